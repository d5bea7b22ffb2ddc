"""The defaults that depend on earlier answers or on this machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch_plan.answers import MARKERS, read_answers, slugify
from torch_plan.builds import Builds
from torch_plan.detect import announce, detect_here
from torch_plan.facts import CPU, Facts

QUESTIONS_PATH = Path(__file__).resolve().parent.parent / "cookiecutter.json"

DEFAULT_PLATFORMS = ("linux-x86_64", "linux-aarch64", "macos-arm64", "windows-x86_64")
DEFAULT_COMPANIONS = "torchvision"


def default_slug(project_name: str) -> str:
    """Return the slug of a project name; a name without any letter of it gives `my-project`."""
    return slugify(project_name) or "my-project"


def default_python(release: str, facts: Facts) -> str:
    """Return the Python that runs this if the release has wheels for it, else the newest it has.

    What counts is a wheel of torch and of torchvision on every default platform that the release
    is published for.
    """
    running = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if release not in facts.releases:
        return running
    vision = facts.companions(release).get(DEFAULT_COMPANIONS, "")
    common = set(facts.all_pythons)
    for platform in DEFAULT_PLATFORMS:
        common &= set(facts.pythons("torch", release, CPU, platform) or common)
        common &= set(facts.pythons(DEFAULT_COMPANIONS, vision, CPU, platform) or common)
    supported = [python for python in facts.all_pythons if python in common]
    return running if running in supported else supported[-1]


def default_backend(release: str, facts: Facts, *, quiet: bool = False) -> str:
    """Return what this machine can run, and say so on stderr once, unless `quiet`. Never raises."""
    try:
        detected = detect_here(release, facts)
    except Exception:
        return CPU
    if not quiet:
        announce(detected)
    return detected.backend


def default_platforms(answers: Mapping[str, str], facts: Facts) -> str:
    """Return the usual platforms, as far as the answers so far have wheels there.

    A platform without wheels is left out. Where only a companion's wheel of the chosen build is
    missing, `cpu` is put in its place, for the person to see; but not on Linux x86_64, where a
    build that cannot be had is refused with its reason.
    """
    wanted = " ".join(DEFAULT_PLATFORMS)
    read, problems = read_answers({**answers, "platforms": wanted}, facts)
    if problems:
        return wanted
    builds = Builds(read, facts)
    words: list[str] = []
    for platform in DEFAULT_PLATFORMS:
        lacking = [variant for variant in read.variants if not builds.served(variant, platform)]
        if not lacking:
            words.append(platform)
        elif all(not builds.missing(package, CPU, platform) for package in builds.packages):
            main = all(builds.served(variant, DEFAULT_PLATFORMS[0]) for variant in lacking)
            names = [f"{variant.name}:" if read.layout != MARKERS else "" for variant in lacking]
            words += [f"{platform}={name}{CPU}" for name in names] if main else [platform]
    return " ".join(words) or wanted


@lru_cache(maxsize=1)
def questions() -> dict[str, Any]:
    """Return cookiecutter.json: the one list of answers and of their static defaults."""
    loaded: dict[str, Any] = json.loads(QUESTIONS_PATH.read_text(encoding="utf-8"))
    return loaded


def default_answers(answers: Mapping[str, str], facts: Facts) -> dict[str, str]:
    """Return what each answer would be if it were left out, given the other answers."""
    static = {
        key: value[0] if isinstance(value, list) else as_text(value)
        for key, value in questions().items()
        if not key.startswith("_")
    }
    release = answers.get("torch_version", facts.releases[-1])
    defaults = {
        **static,
        "project_slug": default_slug(answers.get("project_name", static["project_name"])),
        "torch_version": facts.releases[-1],
        "python_version": default_python(release, facts),
        "torch_backend": default_backend(release, facts, quiet=True),
    }
    return {**defaults, "platforms": default_platforms({**defaults, **answers}, facts)}


def as_text(value: object) -> str:
    """Return an answer as text; yes and no for the booleans of cookiecutter."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
