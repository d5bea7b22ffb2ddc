"""The default build: the newest that the GPU of this machine can run, of any release or of one.

uv decides by the NVIDIA driver alone. Here the card counts too, since a build runs on no card that
it was not compiled for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from torch_plan.catalog.facts import Facts
from torch_plan.catalog.hardware import Gpu, runs_on
from torch_plan.catalog.versions import CPU, FAMILIES, TORCH, family_of, version_key
from torch_plan.machine.gpus import (
    AMD_ARCHITECTURE,
    CUDA_DRIVER,
    capabilities_text,
    find_gpu,
)
from torch_plan.machine.host import this_host
from torch_plan.text import listed


class Detected(NamedTuple):
    """The default backend, and a sentence that says what was found and why it is this one."""

    release: str
    """The one that has it for this machine; empty for the newest with this build."""
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
    """A build of a release, and some of the cards of a machine that it may be for."""

    release: str
    build: str
    cards: Cards
    """Empty where they are not known."""
    obstacle: Obstacle | None


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

    Without a release it is one of the two years before the newest known one. Builds that nobody has
    seen do not count: a default has to hold.
    """
    if platform.startswith("macos"):
        sentence = "This is macOS: the default build is cpu, which uses the GPU by Metal (mps)."
        return Detected(release, CPU, sentence)
    if not gpu.family:
        sentence = f"Found {gpu.description}, so the default build is cpu."
        return Detected(release, CPU, sentence)
    finder = _Finder(facts, gpu, platform)
    releases = [release] if release else finder.recent
    chosen = finder.best(releases)
    finding = f"Found {gpu.description}{_cards_of(gpu, facts, platform)}"
    if chosen is None:
        why = finder.why_none(releases, release)
        return Detected(release, CPU, f"{finding}: the default build is cpu, since {why}.")
    why = finder.why(chosen, releases, release)
    return Detected(chosen.release, chosen.build, f"{finding}: {why}.")


def _cards_of(gpu: Gpu, facts: Facts, platform: str) -> str:
    """Return the cards that a GPU may be, as people call them: ` (RTX 40, L4)`."""
    nvidia, amd = facts.hardware.cards(platform), facts.hardware.amd_cards
    known = [*map(nvidia.get, gpu.capabilities), *map(amd.get, gpu.architectures)]
    return f" ({names})" if (names := "; ".join(filter(None, known))) else ""


class _Finder:
    """Finds the build for a GPU, and says why it is this one.

    Builds that nobody has seen do not count: a default has to hold.
    """

    def __init__(self, facts: Facts, gpu: Gpu, platform: str) -> None:
        self.facts, self.gpu, self.platform = facts.published, gpu, platform
        self.likely, self.family = facts, FAMILIES[gpu.family]

    @property
    def recent(self) -> list[str]:
        """The releases of the two years before the newest known one, the newest first."""
        released = {name: self.facts.released(name) for name in reversed(self.facts.releases)}
        newest = next(iter(released.values()))
        since = f"{int(newest[:4]) - 2}{newest[4:]}"
        return [name for name, day in released.items() if day >= since]

    def best(self, releases: Sequence[str]) -> Candidate | None:
        """Choose for all cards at once; where no build runs on all, for the newest card served.

        A build of which it is not known whether it runs, or that is reported to hurt, comes after
        all that are known to run.
        """
        candidates = [*self.candidates(releases)]
        runs = [candidate for candidate in candidates if candidate.obstacle is None]
        may_run = [one for one in candidates if one.obstacle and not one.obstacle.certain]
        return next(iter(runs + may_run), None)

    def candidates(self, releases: Sequence[str]) -> Iterator[Candidate]:
        """Yield every build with all cards, then with each card alone, the newest first."""
        for cards in _groups(self.gpu.capabilities or self.gpu.architectures):
            for release in releases:
                for build in self.builds(release, self.facts):
                    obstacle = _obstacle(
                        release, self.facts, build, self.platform, self.gpu.driver, cards
                    )
                    yield Candidate(release, build, cards, obstacle)

    def builds(self, release: str, facts: Facts) -> list[str]:
        """Return the builds of the GPU's family for the platform, the newest first."""
        return [
            build
            for build in reversed(facts.backends(release))
            if family_of(build) == self.gpu.family
            and self.platform in facts.platforms(TORCH, release, build)
        ]

    def why(self, chosen: Candidate, releases: Sequence[str], asked: str) -> str:
        """Say what is taken, and why nothing newer; `asked` is empty for any release."""
        runs, but = _that_runs(self.gpu, chosen)
        if self.gpu.family == "cu" and not self.gpu.driver:
            least = self.facts.hardware.min_driver(chosen.build, self.platform)
            but += f"; it needs driver {least} or newer"
        taken = f"{chosen.build} is the newest {self.family} build of torch {asked}{runs}"
        if not asked:
            runs = runs or " that runs here"
            taken = f"the newest torch{runs} is {chosen.release} with {chosen.build}"
        rows = [row for row in self.candidates(releases) if row.cards == chosen.cards]
        newer, newest = rows[: rows.index(chosen)], releases[0]
        if chosen.release == newest:
            reasons = [f"not {text}" for text in _grouped(newer)]
        else:
            reasons = [f"not {newest}, which {self.what_it_has(newest, newer)}"]
        doubted = {
            row.obstacle.text: f"not {row.release} with {row.build}: {row.obstacle.text}"
            for row in reversed(newer)
            if row.obstacle and not row.obstacle.certain and row.release != releases[0]
        }
        reasons += doubted.values()
        return f"{taken}{but} ({'; '.join(reasons)})" if reasons else f"{taken}{but}"

    def what_it_has(self, release: str, rows: Sequence[Candidate]) -> str:
        """Return which builds a release has, and what keeps each from running."""
        grouped = [*_grouped([row for row in rows if row.release == release])]
        if grouped:
            return f"has {'; '.join(grouped)}"
        if self.builds(release, self.likely):
            return f"has no {self.family} build that anybody has seen"
        elsewhere = self.gpu.family in map(family_of, self.facts.backends(release))
        where = f" for {self.platform or 'this platform'}" if elsewhere else ""
        return f"has no {self.family} build{where}"

    def why_none(self, releases: Sequence[str], asked: str) -> str:
        """Say why only the CPU build is left, and which release has another that runs."""
        cards = self.gpu.capabilities or self.gpu.architectures
        rows = [row for row in self.candidates(releases) if row.cards == cards]
        newest = rows[0].release if rows else asked
        has = f"torch {newest} {self.what_it_has(newest, rows)}"
        if rows and asked:
            has = f"no {self.family} build of torch {asked} runs here "
            has += f"({'; '.join(f'not {text}' for text in _grouped(rows))})"
        elif rows:
            has = f"no {self.family} build of the last two years runs here ({has})"
        elif not asked:
            has = f"torch has no {self.family} build for {self.platform or 'this platform'}"
        older = self.best([*reversed(self.facts.releases)])
        if older:
            has += f"; the newest release with one is torch {older.release} ({older.build})"
        return has


def _groups(cards: Cards) -> Iterator[Cards]:
    """Yield all cards together, then each alone, the newest of NVIDIA's first."""
    yield cards
    if len(cards) > 1:
        for position in reversed(range(len(cards))):
            yield cards[position : position + 1]


def _grouped(rows: Sequence[Candidate]) -> Iterator[str]:
    """Yield `cu130 and cu132: driver 580 needed` for each reason that keeps builds from running."""
    builds: dict[str, list[str]] = {}
    for row in rows:
        if row.obstacle:
            builds.setdefault(row.obstacle.text, []).append(row.build)
    for text, newest_first in builds.items():
        yield f"{listed(newest_first[::-1])}: {text}"


def _obstacle(
    release: str, facts: Facts, build: str, platform: str, driver: str, cards: Cards
) -> Obstacle | None:
    """Return what keeps a build from running on these cards, or may hurt; None for nothing."""
    hurts = facts.hardware.why_avoided(release, build)
    doubt = Obstacle(hurts, certain=False) if hurts else None
    # Also those for other systems: a default project has them too, and would be refused.
    for name in facts.platforms(TORCH, release, build):
        if facts.hardware.why_broken(release, build, name):
            return Obstacle(f"its wheels for {name} are broken")
    if family_of(build) == "rocm":
        kernels = facts.hardware.amd_architectures(release, build)
        foreign = [str(card) for card in cards if card not in kernels]
        return Obstacle(f"not compiled for {listed(foreign)}") if foreign else doubt
    if family_of(build) != "cu":
        return doubt
    least = facts.hardware.min_driver(build, platform)
    if not least:
        return Obstacle("it is not known which driver it needs")
    if driver and version_key(driver) < version_key(least):
        return Obstacle(f"driver {least} needed")
    compiled = facts.hardware.architectures(release, build, platform)
    if cards and not compiled:
        return Obstacle("it is not known which cards it was compiled for", certain=False)
    unserved = [
        card for card in map(int, cards) if not any(runs_on(binary, card) for binary in compiled)
    ]
    return Obstacle(f"not compiled for {capabilities_text(unserved)}") if unserved else doubt


def _that_runs(gpu: Gpu, chosen: Candidate) -> tuple[str, str]:
    """Return what of the machine the build runs on, and what has to be said of it besides.

    ` that this driver and this card can run`; `, although …`, or that no build runs on all cards.
    """
    cards = chosen.cards
    although = f", although {chosen.obstacle.text}" if chosen.obstacle else ""
    if gpu.family != "cu":
        some = "" if cards == gpu.architectures else f" that {listed([*map(str, cards)])} can run"
        return some, although
    driver, tail = ["this driver"] if gpu.driver else [], although
    if although or not cards:
        card = []
    elif cards != gpu.capabilities:
        card, tail = [capabilities_text([*map(int, cards)])], "; no build runs on all"
    else:
        card = ["this card" if len(cards) == 1 else "these cards"]
    return f" that {listed([*driver, *card])} can run", tail
