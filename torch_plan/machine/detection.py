"""The default build: the newest that the GPU of this machine can run, of any release or of one.

uv decides by the NVIDIA driver alone. Here the card counts too, since a build runs on no card that
it was not compiled for.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from torch_plan.catalog.facts import Facts
from torch_plan.catalog.hardware import Gpu, cards_text, runs_on
from torch_plan.catalog.versions import CPU, FAMILIES, TORCH, family_of, version_key
from torch_plan.machine.gpus import AMD_ARCHITECTURE, CUDA_DRIVER, find_gpu
from torch_plan.machine.host import host_platform, this_host
from torch_plan.text import listed


class Detected(NamedTuple):
    """The default backend, and a sentence that says what was found and why it is this one."""

    release: str
    """The one that has it for this machine; empty for the newest with this build."""
    backend: str
    sentence: str


class Candidate(NamedTuple):
    """A build of a release, held against some of the cards of a machine."""

    release: str
    build: str
    cards: tuple[str, ...]
    """Empty where they are not known."""
    obstacle: str
    """Why it does not run on them, empty if nothing is known against it."""
    doubt: str
    """Why it may not run well, empty if nothing is known against it."""


def detect_here(release: str, facts: Facts) -> Detected:
    """Return the default backend of a release on this machine."""
    gpu = _gpu_here(*(os.environ.get(name, "") for name in (CUDA_DRIVER, AMD_ARCHITECTURE, "PATH")))
    return detect(release, facts, gpu, host_platform())


@cache
def _gpu_here(*_environment: str) -> Gpu:
    """Look at this machine once for each value of the variables that change what is found."""
    return find_gpu(this_host())


def detect(release: str, facts: Facts, gpu: Gpu, platform: str) -> Detected:
    """Return the newest build of the GPU's family that works on it, or `cpu`, and why."""
    if platform.startswith("macos"):
        sentence = "This is macOS: the default build is cpu, which uses the GPU by Metal (mps)."
        return Detected(release, CPU, sentence)
    if not gpu.family:
        sentence = f"Found {gpu.description}, so the default build is cpu."
        return Detected(release, CPU, sentence)
    releases = [release] if release else _recent(facts)
    names = facts.hardware.cards(platform)
    known = "; ".join(names[card] for card in gpu.cards if card in names)
    finding = f"Found {gpu.description}{f' ({known})' if known else ''}"
    finder = _Finder(facts, gpu, platform)
    chosen = finder.best(releases)
    if chosen:
        why = f"{finder.why(chosen)}{finder.why_not(releases, chosen.cards, chosen)}"
        return Detected(chosen.release, chosen.build, f"{finding}: {why}.")
    of = f"torch {release}" if release else "the last two years"
    why = f"no {finder.family} build of {of} runs with it{finder.why_not(releases, gpu.cards)}"
    if older := finder.best(facts.releases[::-1]):
        why += f"; the newest that does is {older.build} of torch {older.release}"
    return Detected(release, CPU, f"{finding}: the default build is cpu, since {why}.")


def _recent(facts: Facts) -> list[str]:
    """Return the releases of the two years before the newest known one, the newest first."""
    newest = facts.released(facts.releases[-1])
    since = f"{int(newest[:4]) - 2}{newest[4:]}"
    return [name for name in reversed(facts.releases) if facts.released(name) >= since]


class _Finder:
    """Finds the build for a GPU, and says why it is this one."""

    def __init__(self, facts: Facts, gpu: Gpu, platform: str) -> None:
        # Builds that nobody has seen do not count: a default has to hold.
        self.facts, self.gpu, self.platform = facts.published, gpu, platform
        self.family = FAMILIES[gpu.family]

    def best(self, releases: Sequence[str]) -> Candidate | None:
        """Choose for all cards at once; where no build runs on all, for the newest card served.

        A build that is in doubt comes after all others.
        """
        groups = [self.gpu.cards, *((card,) for card in reversed(self.gpu.cards))]
        rows = (row for cards in groups for row in self.candidates(releases, cards))
        runs = [row for row in rows if not row.obstacle]
        return min(runs, key=lambda row: bool(row.doubt), default=None)

    def candidates(self, releases: Sequence[str], cards: tuple[str, ...]) -> list[Candidate]:
        """Return every build of the GPU's family for the platform, the newest first."""
        return [
            Candidate(release, build, cards, *self.against(release, build, cards))
            for release in releases
            for build in reversed(self.facts.backends(release))
            if family_of(build) == self.gpu.family
            and self.platform in self.facts.platforms(TORCH, release, build)
        ]

    def against(self, release: str, build: str, cards: tuple[str, ...]) -> tuple[str, str]:
        """Return why a build does not run on these cards, and why it may not run well."""
        hardware, doubt = self.facts.hardware, self.facts.hardware.why_avoided(release, build)
        # Also those for other systems: a default project has them too, and would be refused.
        for name in self.facts.platforms(TORCH, release, build):
            if hardware.why_broken(release, build, name):
                return f"its wheels for {name} are broken", doubt
        least = hardware.min_driver(build, self.platform)
        if self.gpu.family == "cu" and not least:
            return "it is not known which driver it needs", doubt
        if self.gpu.driver and version_key(self.gpu.driver) < version_key(least):
            return f"driver {least} needed", doubt
        compiled = hardware.compiled_for(release, build, self.platform)
        foreign = [card for card in cards if not any(runs_on(code, card) for code in compiled)]
        if foreign and compiled:
            return f"not compiled for {cards_text(foreign)}", doubt
        return "", "it is not known which cards it was compiled for" if foreign else doubt

    def why(self, chosen: Candidate) -> str:
        """Say what is taken, on which cards it runs, and what else it needs."""
        text = f"{chosen.build} of torch {chosen.release} is the newest {self.family} build that"
        text += " may run " if chosen.doubt else " runs "
        is_for_all = chosen.cards == self.gpu.cards
        text += "with it" if is_for_all else f"on {cards_text(chosen.cards)}, and none runs on all"
        if chosen.doubt:
            text += f", although {chosen.doubt}"
        if self.gpu.family == "cu" and not self.gpu.driver:
            least = self.facts.hardware.min_driver(chosen.build, self.platform)
            text += f"; it needs driver {least} or newer"
        return text

    def why_not(
        self, releases: Sequence[str], cards: tuple[str, ...], chosen: Candidate | None = None
    ) -> str:
        """Say in brackets what keeps newer builds than the chosen one, or all, from running."""
        rows = self.candidates(releases, cards)
        said = []
        if not rows or rows[0].release != releases[0]:
            where = self.platform or "this platform"
            said = [f"torch {releases[0]} has no published {self.family} build for {where}"]
        reasons: dict[str, tuple[str, list[str]]] = {}
        for row in rows[: rows.index(chosen)] if chosen else rows:
            # A reason that holds for several releases is told of the newest.
            release, builds = reasons.setdefault(row.obstacle or row.doubt, (row.release, []))
            if row.release == release:
                builds.append(row.build)
        for reason, (release, builds) in reasons.items():
            of = f" of torch {release}" if len(releases) > 1 else ""
            said.append(f"not {listed(builds[::-1])}{of}: {reason}")
        return f" ({'; '.join(said)})" if said else ""
