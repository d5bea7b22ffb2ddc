"""The default backend: the build of a release that the GPU of this machine can run.

uv decides by the NVIDIA driver alone. Here the card counts too, since a build runs on no card that
it was not compiled for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

from torch_plan.catalog.facts import Facts
from torch_plan.catalog.hardware import runs_on
from torch_plan.catalog.versions import CPU, FAMILIES, TORCH, backend_key, family_of, version_key
from torch_plan.machine.gpus import (
    AMD_ARCHITECTURE,
    CUDA_DRIVER,
    Gpu,
    capabilities_text,
    find_gpu,
)
from torch_plan.machine.host import this_host
from torch_plan.text import listed


class Detected(NamedTuple):
    """The default backend, and a sentence that says what was found and why it is this one."""

    backend: str
    sentence: str


class Obstacle(NamedTuple):
    """What keeps a build from running on a machine, or may do so."""

    text: str
    certain: bool = True
    """False where the facts do not say whether it runs."""


Cards = tuple[int, ...] | tuple[str, ...]
"""The compute capabilities of NVIDIA's cards, or AMD's names of its own."""


class Candidate(NamedTuple):
    """A build, and some of the cards of a machine that it may be for."""

    build: str
    cards: Cards
    """Empty where they are not known."""
    obstacle: Obstacle | None


class Choice(NamedTuple):
    """The candidate that is taken, and what keeps the newer builds from running on its cards."""

    candidate: Candidate
    passed_over: Mapping[str, Obstacle]


def detect_here(release: str, facts: Facts) -> Detected:
    """Return the default backend of a release on this machine."""
    gpu = _gpu_here(*(os.environ.get(name, "") for name in (CUDA_DRIVER, AMD_ARCHITECTURE, "PATH")))
    return detect(release, facts, gpu, this_host().platform)


@cache
def _gpu_here(*_environment: str) -> Gpu:
    """Look at this machine once for each value of the variables that change what is found."""
    return find_gpu(this_host())


def detect(release: str, facts: Facts, gpu: Gpu, platform: str) -> Detected:
    """Return the newest build of the GPU's family that works on it, or `cpu` and why.

    Builds that nobody has seen do not count: a default has to hold.
    """
    facts = facts.published
    if platform.startswith("macos"):
        sentence = "This is macOS: the default build is cpu, which uses the GPU by Metal (mps)."
        return Detected(CPU, sentence)
    if not gpu.family:
        return Detected(CPU, f"Found {gpu.description}, so the default build is cpu.")
    family = FAMILIES[gpu.family]
    sentence_start = f"Found {gpu.description}{_cards_of(gpu, facts, platform)}"
    choice = choose(release, facts, gpu, platform)
    if choice:
        reason = (
            f"{choice.candidate.build} is the newest {family} build of torch {release}"
            f"{_that_runs(gpu, choice.candidate)}{_passed_over(choice.passed_over)}"
        )
        return Detected(choice.candidate.build, f"{sentence_start}: {reason}.")
    obstacles = _obstacles(release, facts, gpu, platform)
    if obstacles:
        reason = f"no {family} build of torch {release} runs here{_passed_over(obstacles)}"
    else:
        reason = f"torch {release} has no {family} build for {platform or 'this platform'}"
    older = _newest_release_that_runs(facts, gpu, platform)
    sentence = f"{sentence_start}: the default build is cpu, since {reason}{older}."
    return Detected(CPU, sentence)


def _cards_of(gpu: Gpu, facts: Facts, platform: str) -> str:
    """Return the cards that a GPU may be, as people call them: ` (RTX 40, L4)`."""
    nvidia, amd = facts.hardware.cards(platform), facts.hardware.amd_cards
    known = [*map(nvidia.get, gpu.capabilities), *map(amd.get, gpu.architectures)]
    return f" ({names})" if (names := "; ".join(filter(None, known))) else ""


def _newest_release_that_runs(facts: Facts, gpu: Gpu, platform: str) -> str:
    choices = {
        release: choice.candidate
        for release in reversed(facts.releases)
        if (choice := choose(release, facts, gpu, platform))
    }
    certain = [release for release, candidate in choices.items() if not candidate.obstacle]
    for release in [*certain, *choices][:1]:
        return f"; the newest release with one is torch {release} ({choices[release].build})"
    return ""


def choose(release: str, facts: Facts, gpu: Gpu, platform: str) -> Choice | None:
    """Choose for all cards at once; where no build runs on all, for the newest card served.

    A build of which it is not known whether it runs, or that is reported to hurt, comes after all
    that are known to run.
    """
    candidates = [*_candidates(release, facts, gpu, platform)]
    runs = [build for build in candidates if build.obstacle is None]
    may_run = [build for build in candidates if build.obstacle and not build.obstacle.certain]
    chosen = next(iter(runs + may_run), None)
    if chosen is None:
        return None
    passed_over = {
        other.build: other.obstacle
        for other in candidates
        if other.cards == chosen.cards
        and backend_key(other.build) > backend_key(chosen.build)
        and other.obstacle
    }
    return Choice(chosen, passed_over)


def _candidates(release: str, facts: Facts, gpu: Gpu, platform: str) -> Iterator[Candidate]:
    """Yield every build with all cards, then with each card alone, the newest first."""
    builds = [
        build
        for build in facts.backends(release)
        if family_of(build) == gpu.family and platform in facts.platforms(TORCH, release, build)
    ]
    builds.sort(key=backend_key, reverse=True)
    for cards in _groups(gpu.capabilities or gpu.architectures):
        for build in builds:
            obstacle = _obstacle(release, facts, build, platform, gpu.driver, cards)
            reported = facts.hardware.why_avoided(release, build)
            if not obstacle and reported:
                obstacle = Obstacle(reported, certain=False)
            yield Candidate(build, cards, obstacle)


def _groups(cards: Cards) -> Iterator[Cards]:
    """Yield all cards together, then each alone, the newest of NVIDIA's first."""
    yield cards
    if len(cards) > 1:
        for position in reversed(range(len(cards))):
            yield cards[position : position + 1]


def _obstacles(release: str, facts: Facts, gpu: Gpu, platform: str) -> dict[str, Obstacle]:
    """Return what keeps each build from running on all cards, the newest build first."""
    return {
        candidate.build: candidate.obstacle
        for candidate in _candidates(release, facts, gpu, platform)
        if candidate.cards == (gpu.capabilities or gpu.architectures) and candidate.obstacle
    }


def _obstacle(
    release: str, facts: Facts, build: str, platform: str, driver: str, cards: Cards
) -> Obstacle | None:
    """Return what keeps a build from running on these cards, None for nothing."""
    if facts.hardware.why_broken(release, build, platform):
        return Obstacle("its wheels are broken")
    if family_of(build) == "rocm":
        kernels = facts.hardware.amd_architectures(release, build)
        foreign = [str(card) for card in cards if card not in kernels]
        return Obstacle(f"not compiled for {listed(foreign)}") if foreign else None
    if family_of(build) != "cu":
        return None
    least = facts.hardware.min_driver(build, platform)
    if not least:
        return Obstacle("it is not known which driver it needs")
    if version_key(driver) < version_key(least):
        return Obstacle(f"driver {least} needed")
    compiled = facts.hardware.architectures(release, build, platform)
    if cards and not compiled:
        return Obstacle("it is not known which cards it was compiled for", certain=False)
    unserved = [
        card for card in map(int, cards) if not any(runs_on(binary, card) for binary in compiled)
    ]
    return Obstacle(f"not compiled for {capabilities_text(unserved)}") if unserved else None


def _that_runs(gpu: Gpu, chosen: Candidate) -> str:
    """Return what of the machine the build runs on: ` that this driver and this card can run`."""
    cards = chosen.cards
    although = f", although {chosen.obstacle.text}" if chosen.obstacle else ""
    if gpu.family != "cu":
        some = "" if cards == gpu.architectures else f" that {listed([*map(str, cards)])} can run"
        return f"{some}{although}"
    if although:
        return f" that this driver can run{although}"
    if not cards:
        return " that this driver can run"
    if cards != gpu.capabilities:
        text = capabilities_text([*map(int, cards)])
        return f" that this driver and {text} can run; no build runs on all"
    if len(cards) == 1:
        return " that this driver and this card can run"
    return " that this driver and these cards can run"


def _passed_over(obstacles: Mapping[str, Obstacle]) -> str:
    """Return ` (not cu130 and cu132: driver 580 needed)`, empty if nothing was passed over."""
    builds: dict[str, list[str]] = {}
    for build, obstacle in obstacles.items():
        builds.setdefault(obstacle.text, []).append(build)
    parts = [f"not {listed(newest_first[::-1])}: {text}" for text, newest_first in builds.items()]
    return f" ({'; '.join(parts)})" if parts else ""
