"""The defaults that depend on earlier answers or on this machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch_plan.answers import read_answers, slugify
from torch_plan.builds import Builds
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


def default_backend(release: str, facts: Facts) -> str:
    """Return what this machine can run."""
    return CPU


def default_platforms(answers: Mapping[str, str], facts: Facts) -> str:
    """Return the usual platforms, as far as the answers so far have wheels there.

    A build that is published and broken stays among them, so that it is refused with its reason.
    """
    served = [name for name in DEFAULT_PLATFORMS if _is_served(name, answers, facts)]
    return " ".join(served or DEFAULT_PLATFORMS)


def _is_served(platform: str, answers: Mapping[str, str], facts: Facts) -> bool:
    read, problems = read_answers({**answers, "platforms": platform}, facts)
    if problems:
        return True
    builds = Builds(read, facts)
    return not any(
        builds.missing(package, builds.backend(variant, platform), platform)
        for variant in read.variants
        for package in builds.packages
    )


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
    return {
        **static,
        "project_slug": default_slug(answers.get("project_name", static["project_name"])),
        "torch_version": facts.releases[-1],
        "python_version": default_python(release, facts),
        "torch_backend": default_backend(release, facts),
        "platforms": default_platforms({**static, **answers}, facts),
    }


def as_text(value: object) -> str:
    """Return an answer as text; yes and no for the booleans of cookiecutter."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
