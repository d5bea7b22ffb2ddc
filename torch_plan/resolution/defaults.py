"""The defaults that depend on earlier answers or on this machine."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING

from torch_plan.answers.meaning import Machine, Meaning, ProperAnswers, meaning, with_platforms
from torch_plan.answers.problems import Note
from torch_plan.answers.questions import fixed_defaults
from torch_plan.answers.records import DEFAULT_PLATFORMS, EXTRAS, GROUPS, MAIN_PLATFORM, MINIMUM
from torch_plan.answers.slugs import default_slug
from torch_plan.answers.words import BackendWord
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.catalog.versions import CPU, TORCH
from torch_plan.resolution.check import default_platforms
from torch_plan.text import listed

if TYPE_CHECKING:
    from torch_plan.machine.detection import Detected


def default_release(backends: str, facts: Facts) -> str:
    """Return the newest release that has all builds of an answer, the same on every machine.

    A build counts where it is published for Linux x86_64, or else for any platform, and comes last
    where it is reported to hurt. Where all words have a release of their own it is the first.
    """
    words, builds, published = backends.split(), _asking(backends), facts.published
    if words and not builds:
        return str(BackendWord.parse(words[0]).release)
    builds = builds or [CPU]

    def shortcomings(release: str) -> tuple[bool, ...]:
        where = [published.platforms(TORCH, release, build) for build in builds]
        is_main = all(MAIN_PLATFORM in platforms for platforms in where)
        hurts = any(facts.hardware.why_avoided(release, build) for build in builds)
        return not all(where), not is_main, hurts

    return min(reversed(facts.releases), key=shortcomings)


def _asking(backends: str) -> list[str]:
    """Return the builds of an answer whose words name no release of their own."""
    words = map(BackendWord.parse, backends.split())
    return [word.backend for word in words if word.release is None]


def newest_notes(release: str, backends: str, facts: Facts) -> Iterator[Note]:
    """Yield why a default release is not the newest of all, nothing where it is that."""
    newest, builds, published = default_release(CPU, facts), _asking(backends), facts.published
    with_all = [name for name in facts.releases if {*builds} <= {*published.backends(name)}]
    is_default = builds and with_all and release == default_release(backends, facts)
    if not is_default or release == newest:
        return
    text, last = f"torch {release} is the newest release with {listed(builds)}", with_all[-1]
    if release != last:
        hurts = next(filter(None, (facts.hardware.why_avoided(last, name) for name in builds)), "")
        why = hurts or f"not for {MAIN_PLATFORM}"
        text = f"You get torch {release}: torch {last} has {listed(builds)} too, but {why}"
    yield Note(f"{text}; torch {newest} is published for {listed(published.backends(newest)[1:])}.")


def default_python(release: str, facts: Facts) -> str:
    """Return the Python that runs this if the release has wheels for it, else the newest it has.

    What counts is a wheel of torch and of torchvision on every default platform that the release
    is published for.
    """
    running = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if release not in facts.releases and not facts.is_expected(release):
        return running
    companion = fixed_defaults()["companions"]
    packages = ((TORCH, release), (companion, facts.companions(release)[companion][0]))
    asked = product(packages, DEFAULT_PLATFORMS)
    wheels = (facts.pythons(*package, CPU, platform) for package, platform in asked)
    # A platform that the release is not published for does not count.
    needed = [*filter(None, wheels)]
    served = [python for python in facts.all_pythons if all(python in have for have in needed)]
    return running if running in served else served[-1]


def default_backend(release: str, facts: Facts) -> Detected:
    """Return what this machine can run of a release, empty for any, and why. Never raises."""
    # Imported where it is needed: whoever names a build has no use for it.
    from torch_plan.machine.detection import Detected, detect_here

    try:
        return detect_here(release, facts)
    except Exception:  # noqa: BLE001  # whatever happens, a person gets a question with a default
        sentence = "The GPU here cannot be detected, so the default build is cpu."
        return Detected(release, CPU, sentence)


def _backend_for(text: str, release: str, facts: Facts) -> tuple[str, str] | None:
    """Return the backend for the card or driver that a text names, and why; None for neither."""
    words = {*re.split(r"[\s,]+", text.lower())}
    if re.search("[=+]", text) or words & {*facts.all_backends}:
        return None
    # Imported where they are needed: most answers name a build.
    from torch_plan.machine.detection import detect
    from torch_plan.machine.gpus import named_gpu

    for platform in DEFAULT_PLATFORMS[:2]:
        if gpu := named_gpu(text, facts.hardware, platform):
            detected = detect(release, facts, gpu, platform)
            return detected.backend, f": {detected.sentence.partition(': ')[2].rstrip('.')}"
    return None


def understand(answers: Mapping[str, str], facts: Facts) -> Meaning:
    """Return what answers mean on this machine; those that are not given stay out."""
    machine = Machine(
        backend=lambda release: default_backend(release, facts).backend,
        release=lambda backends: default_release(backends, facts),
        hardware=lambda text, release: _backend_for(text, release, facts),
        all_platforms=lambda proper: " ".join(default_platforms(proper, facts, PLATFORMS)),
    )
    return meaning(answers, facts, machine)


def complete(answers: Mapping[str, str], facts: Facts) -> ProperAnswers:
    """Return all answers in their proper form: those given, and the defaults of those left out.

    The build and its release are found on this machine where neither is given, else the one by the
    other. For an answer that is given nothing is looked up.
    """
    given, known = understand(answers, facts).answers, dict(fixed_defaults())
    known.update(given)
    release = given.get("torch_version", "")
    if "torch_backend" not in given:
        release, known["torch_backend"], _ = default_backend(release, facts)
    backends = known["torch_backend"]
    if "torch_version" not in given:
        known["torch_version"] = release or default_release(backends, facts)
    if "project_slug" not in given:
        known["project_slug"] = default_slug(known["project_name"])
    if "python_version" not in given:
        known["python_version"] = default_python(known["torch_version"], facts)
    if "layout" not in given and (" " in backends or "=" in backends):
        # What is added to a project with groups gets the build that is chosen, by a bare `uv sync`
        # too. A library leaves the choice to its users, and they see only extras.
        known["layout"] = EXTRAS if known["torch_pin"] == MINIMUM else GROUPS
    known = understand(known, facts).answers
    return known if "platforms" in given else with_platforms(known, default_platforms(known, facts))
