"""What a build needs of a machine, in words for people and in patterns for `sync.py`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

from torch_plan.catalog.hardware import runs_on
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.catalog.versions import CPU, family_of, version_key
from torch_plan.resolution.cells import Cell, Cells

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
    machines: tuple[str, ...]
    """Where it is installed, as Python names it: `sys.platform` and `platform.machine()`."""


def demands(
    options: Iterable[tuple[tuple[str, ...], Iterable[Cell]]], cells: Cells
) -> tuple[Demand, ...]:
    """Return what each build of an option needs, once for all platforms that need the same.

    Each option is given as those of `uv sync`, and its cells. One is enough for a platform's CPU
    build, and the CPU builds come last.
    """
    needed: dict[tuple[tuple[str, ...], str, str, tuple[str, ...]], list[str]] = {}
    have_cpu: set[str] = set()
    for sync, of_option in options:
        for cell in of_option:
            if cell.build != CPU or cell.platform not in have_cpu:
                driver = cells.facts.hardware.min_driver(cell.build, cell.platform)
                where = PLATFORMS[cell.platform]
                machines = needed.setdefault((sync, cell.build, driver, _gpus(cell, cells)), [])
                machines.append(f"{where.sys_platform}-{where.platform_machine}")
        have_cpu.update(cell.platform for cell in of_option if cell.build == CPU)
    every = (Demand(*key, tuple(machines)) for key, machines in needed.items())
    return tuple(sorted(every, key=lambda demand: demand.build == CPU))


def _gpus(cell: Cell, cells: Cells) -> tuple[str, ...]:
    """Return patterns of the GPUs that a build runs on, empty where nobody knows."""
    family = family_of(cell.build)
    compiled = cells.facts.hardware.compiled_for(cell.release, cell.build, cell.platform)
    if family != "cu":
        return compiled if family == "rocm" else ("*",)
    # Each runs on its major version from its minor one on, as `runs_on` has it.
    least: dict[str, str] = {}
    for code in sorted(compiled, key=version_key):
        major, _, minor = code.partition(".")
        least.setdefault(major, "?" if minor == "0" else f"[{minor}-9]")
    return tuple(f"{major}.{minors}" for major, minors in least.items())


def needs(cell: Cell, cells: Cells) -> Iterator[str]:
    """Yield what a build asks of the machine, and what of the answers a platform does not get.

    Of the builds of an index of the platform's own nothing is known.
    """
    if cell.url:
        yield f"what the builds of {cell.url} need"
    else:
        yield from _gpu_needs(cell, cells)
        if oldest := floor(cell, cells):
            yield str(oldest)
    if cell in cells.fallbacks:
        yield f"there is no {cell.variant.backend} build for it"
        if nearest := cells.nearest(cell):
            yield f"the nearest build is {nearest}"
    for name in cell.lacking:
        yield f"there is no {name} for it"


def _gpu_needs(cell: Cell, cells: Cells) -> Iterator[str]:
    hardware, family = cells.facts.hardware, family_of(cell.build)
    cards = hardware.cards(cell.platform)
    compiled = hardware.compiled_for(cell.release, cell.build, cell.platform)
    if driver := hardware.min_driver(cell.build, cell.platform):
        yield f"NVIDIA driver {driver} or newer"
    if family == "rocm":
        yield f"a driver for ROCm {cell.build.removeprefix('rocm')}"
        yield f"AMD GPU {', '.join(_named(gpu, cards) for gpu in compiled)}"
    elif family == "xpu":
        yield "Intel GPU with its driver"
    elif compiled:
        known = groupby(
            sorted({*cards, *compiled}, key=version_key),
            lambda card: any(runs_on(code, card) for code in compiled),
        )
        spans = [[*span] for runs, span in known if runs]
        # Of each range of cards that it runs on, the first and the last.
        ends = [dict.fromkeys([span[0], span[-1]]) for span in spans]
        named = (" to ".join(_named(card, cards) for card in pair) for pair in ends)
        yield f"{CAPABILITIES} {', '.join(named)}"


def _named(gpu: str, cards: Mapping[str, str]) -> str:
    """Return a GPU with the cards that have it, if their names are known."""
    return f"{gpu} ({cards[gpu]})" if gpu in cards else gpu


def floor(cell: Cell, cells: Cells) -> Floor | None:
    """Return the oldest system for a cell, None where its wheels name none, or are not known.

    A compressed set of platform tags is content with the oldest version in it.
    """
    floors = []
    for package in cell.packages if not cell.url else ():
        if package.pythons is None:
            for tag in cells.facts.platform_tags(
                package.name, package.version, package.origin, cell.platform, cells.pythons
            ):
                versions = re.findall(r"(?:macosx|manylinux)_(\d+)_(\d+)_", tag)
                if versions:
                    floors.append(min((int(major), int(minor)) for major, minor in versions))
    system = "macOS" if PLATFORMS[cell.platform].sys_platform == "darwin" else "glibc"
    return Floor(system, max(floors)) if floors else None
