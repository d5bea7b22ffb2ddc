"""What a build needs of a machine, in words for people and in patterns for `sync.py`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from torch_plan.catalog.facts import Facts
from torch_plan.catalog.hardware import runs_on
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.catalog.versions import CPU, family_of, version_key
from torch_plan.resolution.cells import Cell

CAPABILITIES = "GPU of compute capability"
"""Begins the sentence about NVIDIA's cards."""


class Floor(NamedTuple):
    """The oldest version of a system that a build's wheels are content with."""

    system: str
    """`glibc` or `macOS`."""
    version: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.system} {self.version[0]}.{self.version[1]} or newer"


class Demand(NamedTuple):
    """What one build needs of the machine, for `sync.py` to choose by."""

    sync: tuple[str, ...]
    """The options of `uv sync` that install it."""
    build: str
    driver: str
    """The least NVIDIA driver, empty for other GPUs."""
    gpus: tuple[str, ...]
    """The GPUs that it runs on, as patterns of a shell: `8.?`, `7.[5-9]`, `gfx90a`.

    Empty where nobody knows, `*` where there is no choice.
    """
    platforms: tuple[str, ...]

    @property
    def machines(self) -> tuple[str, ...]:
        """The platforms as Python names them: `sys.platform` and `platform.machine()`."""
        entries = [PLATFORMS[platform] for platform in self.platforms]
        return tuple(f"{entry.sys_platform}-{entry.platform_machine}" for entry in entries)


class Needs:
    """Tells what cells need, whose projects are for some Pythons."""

    def __init__(self, facts: Facts, pythons: Collection[str]) -> None:
        self.facts, self.pythons = facts, pythons

    def demands(
        self, options: Iterable[tuple[tuple[str, ...], Iterable[Cell]]]
    ) -> Iterator[Demand]:
        """Yield what each build of an option needs, once for all platforms that need the same.

        Each option is given as those of `uv sync`, and its cells. One is enough for a platform's
        CPU build.
        """
        have_cpu: set[str] = set()
        for sync, cells in options:
            platforms: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
            for cell in cells:
                if cell.build != CPU or cell.platform not in have_cpu:
                    driver = self.facts.hardware.min_driver(cell.build, cell.platform)
                    key = (cell.build, driver, self.runs_on(cell))
                    platforms.setdefault(key, []).append(cell.platform)
            have_cpu.update(cell.platform for cell in cells if cell.build == CPU)
            for (build, driver, gpus), names in platforms.items():
                yield Demand(sync, build, driver, gpus, tuple(names))

    def runs_on(self, cell: Cell) -> tuple[str, ...]:
        """Return patterns of the GPUs that a build runs on, empty where nobody knows."""
        family = family_of(cell.build)
        if family == "cu":
            return _capability_patterns(self.gpus(cell))
        return self.gpus(cell) if family == "rocm" else ("*",)

    def gpus(self, cell: Cell) -> tuple[str, ...]:
        """Return the GPUs that a build is compiled for: `9.0` or `gfx90a`."""
        return self.facts.hardware.compiled_for(cell.release, cell.build, cell.platform)

    def capabilities(self, cell: Cell) -> Iterator[str]:
        """Yield the ranges of compute capability that a CUDA build runs on, ends with cards."""
        cards, compiled = self.facts.hardware.cards(cell.platform), self.gpus(cell)
        known = sorted({*cards, *compiled}, key=version_key)
        for runs, group in groupby(
            known, lambda card: any(runs_on(code, card) for code in compiled)
        ):
            if runs:
                numbers = [*group]
                ends = dict.fromkeys([numbers[0], numbers[-1]])
                yield " to ".join(_named(card, cards.get(card)) for card in ends)

    def sentences(self, cell: Cell) -> Iterator[str]:
        """Yield what a build asks of the machine: driver and card, glibc or macOS.

        Of the builds of an index of the platform's own nothing is known.
        """
        if cell.url:
            yield f"what the builds of {cell.url} need"
            return
        facts = self.facts
        driver = facts.hardware.min_driver(cell.build, cell.platform)
        if driver:
            yield f"NVIDIA driver {driver} or newer"
        if family_of(cell.build) == "rocm":
            yield f"a driver for ROCm {cell.build.removeprefix('rocm')}"
            cards = facts.hardware.cards(cell.platform)
            yield f"AMD GPU {', '.join(_named(gpu, cards.get(gpu)) for gpu in self.gpus(cell))}"
        elif capabilities := [*self.capabilities(cell)]:
            yield f"{CAPABILITIES} {', '.join(capabilities)}"
        if cell.build == "xpu":
            yield "Intel GPU with its driver"
        floor = self.floor(cell)
        if floor:
            yield str(floor)

    def floor(self, cell: Cell) -> Floor | None:
        """Return the oldest system for a cell, None where its wheels name none, or are not known.

        A compressed set of platform tags is content with the oldest version in it.
        """
        floors = []
        for package in cell.packages:
            if package.pythons is None and not cell.url:
                for tag in self.facts.platform_tags(
                    package.name, package.version, package.origin, cell.platform, self.pythons
                ):
                    versions = re.findall(r"(?:macosx|manylinux)_(\d+)_(\d+)_", tag)
                    if versions:
                        floors.append(min((int(major), int(minor)) for major, minor in versions))
        system = "macOS" if PLATFORMS[cell.platform].sys_platform == "darwin" else "glibc"
        return Floor(system, max(floors)) if floors else None


def _named(architecture: str, cards: str | None) -> str:
    """Return an architecture with the cards that have it, if their names are known."""
    return f"{architecture} ({cards})" if cards else architecture


def _capability_patterns(compiled: Iterable[str]) -> tuple[str, ...]:
    """Return patterns of the compute capabilities that code for some of them runs on.

    Each runs on its major version from its minor one on, as `runs_on` has it.
    """
    least: dict[str, str] = {}
    for name in compiled:
        major, minor = name.split(".")
        least[major] = min(minor, least.get(major, minor))
    return tuple(
        f"{major}.?" if minor == "0" else f"{major}.[{minor}-9]" for major, minor in least.items()
    )
