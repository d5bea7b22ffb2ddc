"""The defaults that depend on earlier answers or on this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from torch_plan.answers.meaning import Machine, Meaning, ProperAnswers, meaning, with_platforms
from torch_plan.answers.questions import fixed_defaults
from torch_plan.answers.records import DEFAULT_PLATFORMS
from torch_plan.answers.slugs import default_slug
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.catalog.versions import CPU, TORCH
from torch_plan.machine.system import host_platform
from torch_plan.resolution.check import default_platforms

if TYPE_CHECKING:
    from torch_plan.machine.detection import Detected


def default_release(facts: Facts, platform: str) -> str:
    """Return the newest release, but none of which this platform's CPU build is only likely."""
    certain = (
        release
        for release in reversed(facts.releases)
        if not facts.is_likely(TORCH, release, CPU, platform)
    )
    return next(certain)


def default_python(release: str, facts: Facts) -> str:
    """Return the Python that runs this if the release has wheels for it, else the newest it has.

    What counts is a wheel of torch and of torchvision on every default platform that the release
    is published for.
    """
    running = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if release not in facts.releases and not facts.is_expected(release):
        return running
    companion = fixed_defaults()["companions"]
    packages = {TORCH: release, companion: facts.companions(release)[companion][0]}
    supported = set(facts.all_pythons)
    for platform in DEFAULT_PLATFORMS:
        for package, version in packages.items():
            wheels = facts.pythons(package, version, CPU, platform)
            # A platform that the release is not published for does not count.
            if wheels:
                supported.intersection_update(wheels)
    if running in supported:
        return running
    return max(supported, key=facts.all_pythons.index)


def default_backend(release: str, facts: Facts) -> Detected:
    """Return what this machine can run, and a sentence that says why. Never raises."""
    # Imported where it is needed: whoever names a build has no use for it.
    from torch_plan.machine.detection import Detected, detect_here

    try:
        return detect_here(release, facts)
    except Exception:  # noqa: BLE001  # whatever happens, a person gets a question with a default
        return Detected(CPU, "The GPU here cannot be detected, so the default build is cpu.")


def understand(answers: Mapping[str, str], facts: Facts) -> Meaning:
    """Return what answers mean on this machine; those that are not given stay out."""
    machine = Machine(
        backend=lambda release: default_backend(release, facts).backend,
        all_platforms=lambda proper: " ".join(default_platforms(proper, facts, tuple(PLATFORMS))),
    )
    return meaning(answers, facts, machine)


def complete(answers: Mapping[str, str], facts: Facts) -> ProperAnswers:
    """Return all answers in their proper form: those given, and the defaults of those left out.

    Nothing is looked up, on this machine or in the facts, for an answer that is given.
    """
    given, fixed = understand(answers, facts).answers, fixed_defaults()
    newest = default_release(facts, host_platform())
    release = given.get("torch_version", newest)
    computed: dict[str, Callable[[], str]] = {
        "project_slug": lambda: default_slug(given.get("project_name", fixed["project_name"])),
        "torch_version": lambda: newest,
        "python_version": lambda: default_python(release, facts),
        "torch_backend": lambda: default_backend(release, facts).backend,
    }
    left_out = {key: default() for key, default in computed.items() if key not in given}
    known = understand({**fixed, **left_out, **given}, facts).answers
    if "platforms" in given:
        return known
    return with_platforms(known, default_platforms(known, facts))
