"""Every build PyTorch publishes, locked and asked for on every platform that has wheels.

`pytest -m slow` runs all of it; the everyday suite a spread of old, new and odd releases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.conftest import Bake
from tests.helpers.proof import prove
from torch_plan.answers.grammar import read_answers
from torch_plan.catalog.facts import load_facts
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.catalog.versions import CPU, family_of
from torch_plan.resolution.cells import Cells
from torch_plan.resolution.check import find_problems
from torch_plan.resolution.defaults import complete

FACTS = load_facts()
DEFAULTS = complete({}, FACTS)

UNSUPPORTED = {
    ("2.6.0", "cu126", "linux-x86_64"): "do not declare the nvidia packages",
}
"""Published cells that cannot work, and what the refusal says of them."""

EVERYDAY = "2.9.1"
"""The release that is tried every day: it has builds of every kind."""

PYTHONS = ("3.11", "3.12", "3.10", "3.9", "3.13", "3.14", "3.15", "3.8")
"""The order in which a cell's Python is chosen: first one that most releases have."""


@dataclass(frozen=True)
class Cell:
    """One project: a build with the platforms that one Python serves."""

    release: str
    backend: str
    python: str
    companions: str
    platforms: tuple[str, ...]
    layout: str = "markers"

    def answers(self) -> dict[str, str]:
        return {
            "torch_version": self.release,
            "torch_backend": self.backend,
            "python_version": self.python,
            "companions": self.companions,
            "platforms": " ".join(self.platforms),
            "layout": self.layout,
        }

    def __str__(self) -> str:
        words = (self.release, self.backend.replace(" ", "+"), self.python, self.companions)
        return "-".join((*words, self.layout))


def served(release: str, backend: str, python: str, companions: str) -> tuple[str, ...]:
    """Return the platforms on which the plan finds every wheel, known-broken ones left out."""
    chosen = {
        "torch_version": release,
        "torch_backend": backend,
        "python_version": python,
        "companions": companions,
        "layout": "extras",
        "platforms": " ".join(PLATFORMS),
    }
    answers, problems = read_answers(complete({**DEFAULTS, **chosen}, FACTS), FACTS)
    assert problems == []
    grid = Cells(answers, FACTS)
    return tuple(
        platform
        for platform in PLATFORMS
        if not any(cell.lacking for cell in grid.all if cell.platform == platform)
        and not any(
            (release, variant.backend, platform) in UNSUPPORTED for variant in answers.variants
        )
    )


def cells(release: str, backend: str, layout: str = "markers") -> Iterator[Cell]:
    """Yield cells until every platform with wheels was in one; with torchvision where it exists."""
    left = {
        platform
        for index in {*backend.split(), CPU}
        for platform in FACTS.platforms("torch", release, index)
    } - {
        platform
        for broken in UNSUPPORTED
        if broken[:2] == (release, backend)
        for platform in broken[2:]
    }
    for companions in ("torchvision", "none"):
        for python in PYTHONS:
            platforms = served(release, backend, python, companions)
            wanted = [
                name
                for name in FACTS.platforms("torch", release, backend.rsplit(maxsplit=1)[-1])
                if name in platforms
            ]
            if left & set(platforms) and wanted:
                left -= set(platforms)
                yield Cell(release, backend, python, companions, platforms, layout)
            if not left:
                return
    assert not left, f"{release} {backend}: no cell for {left}"


def newest_cuda(release: str) -> str:
    """Return the newest CUDA build of a release that works everywhere it is published."""
    broken = {name for version, name, _ in UNSUPPORTED if version == release}
    options = [name for name in FACTS.backends(release) if family_of(name) == "cu"]
    return [name for name in options if name not in broken][-1]


def supported(release: str, backend: str) -> bool:
    """Tell whether any platform gets this build in working order."""
    platforms = FACTS.platforms("torch", release, backend)
    return any((release, backend, platform) not in UNSUPPORTED for platform in platforms)


def matrix() -> Iterator[Cell]:
    for release in FACTS.releases:
        for backend in FACTS.backends(release):
            if supported(release, backend):
                yield from cells(release, backend)
        for layout in ("extras", "groups"):
            yield from cells(release, f"{CPU} {newest_cuda(release)}", layout)


def parameters() -> list[object]:
    return [
        pytest.param(
            cell, id=str(cell), marks=[] if cell.release == EVERYDAY else [pytest.mark.slow]
        )
        for cell in matrix()
    ]


@pytest.mark.parametrize("cell", parameters())
def test_every_platform_gets_the_planned_build(
    cell: Cell, bake: Bake, record_property: Callable[[str, object], None]
) -> None:
    project = bake(**cell.answers())
    record_property("lock_seconds", prove(project))
    record_property("platforms", len(cell.platforms))


@pytest.mark.parametrize(("cell", "reason"), UNSUPPORTED.items())
def test_unsupported_cells_are_refused_with_their_reason(
    cell: tuple[str, str, str], reason: str
) -> None:
    release, backend, platform = cell
    answers = {"torch_version": release, "torch_backend": backend, "python_version": "3.11"}
    raw = complete({**answers, "platforms": platform}, FACTS)
    assert any(reason in problem.reason for problem in find_problems(raw, FACTS))


def test_the_matrix_leaves_nothing_out() -> None:
    tried = {(cell.release, cell.backend) for cell in matrix() if cell.layout == "markers"}
    published = {
        (release, backend) for release in FACTS.releases for backend in FACTS.backends(release)
    }
    assert published == tried
