"""What makes answers impossible to serve, with the changes that may help.

Every problem is collected before any is reported. The ways out are candidates, the nearest first;
`refusal` offers those that it has tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby

from torch_plan.answers import DEFAULT_PLATFORMS, MARKERS, Variant
from torch_plan.cells import Cell, Cells
from torch_plan.facts import CPU, TORCH, Facts
from torch_plan.grammar import read_answers
from torch_plan.problems import Problem, Way
from torch_plan.ways import Ways

_BUILD_ANSWERS = (
    "torch_version",
    "python_version",
    "torch_backend",
    "layout",
    "companions",
    "platforms",
)
"""The answers that decide the cells."""


def examine(raw: Mapping[str, str], facts: Facts) -> tuple[Cells, list[Problem]]:
    """Return the cells that the answers lead to, and everything that is wrong with the answers.

    Where anything is wrong, the cells are not to be planned. They are looked at also where the
    name of the project or an index is refused, so that one message says everything.
    """
    answers, problems = read_answers(raw, facts)
    cells = Cells(answers, facts)
    if not _decides_cells(problems):
        problems += _check_cells(cells, raw)
    return cells, problems


def find_problems(raw: Mapping[str, str], facts: Facts) -> list[Problem]:
    """Return everything that is wrong with the answers, nothing if they can be planned."""
    return examine(raw, facts)[1]


def read_cells(raw: Mapping[str, str], facts: Facts) -> Cells | None:
    """Return the cells that the answers lead to, None where an answer that decides them is wrong.

    Whether the cells can be had is not looked at.
    """
    answers, problems = read_answers(raw, facts)
    return None if _decides_cells(problems) else Cells(answers, facts)


def _decides_cells(problems: Iterable[Problem]) -> bool:
    """Tell whether any problem is about an answer that decides the cells."""
    return any(problem.key[0] in _BUILD_ANSWERS for problem in problems)


def _check_cells(cells: Cells, raw: Mapping[str, str]) -> list[Problem]:
    """Return why these cells cannot be had; the ways out change `raw` word by word."""
    checks = _Checks(cells, raw)
    if checks.check_python():
        for variant in cells.answers.variants:
            if checks.check_backend(variant):
                for cell in cells.of(variant):
                    checks.check_torch(cell)
                checks.check_companions(variant)
        checks.check_numpy_guard()
        checks.check_dockerfile()
    return checks.problems


class _Checks:
    """Collects what is wrong. A check that others build on tells whether it found nothing."""

    def __init__(self, cells: Cells, raw: Mapping[str, str]) -> None:
        self.cells, self.raw = cells, raw
        self.answers, self.facts = cells.answers, cells.facts
        self.ways = Ways(cells, raw)
        self.problems: list[Problem] = []

    def refuse(self, *key: str, heading: str, reason: str, ways: Iterable[Way]) -> None:
        """Note a problem; a way that changes nothing is none."""
        distinct = [way for way in ways if any(self.raw.get(name) != way[name] for name in way)]
        self.problems.append(Problem(key, heading, reason, tuple(distinct)))

    def check_python(self) -> bool:
        """Refuse a Python that the release has no wheel of torch for at all."""
        release, python = self.answers.release, self.answers.python
        pythons = self.facts.pythons_of(release)
        if python in pythons:
            return True
        having = [name for name in self.facts.releases if python in self.facts.pythons_of(name)]
        self.refuse(
            "python_version",
            heading=f"python_version={python} with torch_version={release}",
            reason=f"torch {release} has wheels for Python {self.facts.span(pythons)}.",
            ways=[*self.ways.other_pythons(pythons), *self.ways.other_releases(having)],
        )
        return False

    def check_backend(self, variant: Variant) -> bool:
        """Refuse a backend that the release lacks, or that no chosen platform would get."""
        answers, facts, backend = self.answers, self.facts, variant.backend
        release, python = answers.release, answers.python
        options = facts.backends(release)
        if backend not in options:
            self.refuse(
                *("torch_backend", self.position(variant), "release"),
                heading=f"torch_backend={backend} with torch_version={release}",
                reason=f"torch {release} has: {' '.join(options)}.",
                ways=self.ways.other_backends(variant),
            )
            return False
        reaches_one = any(
            self.cells.override(variant, platform) or self.cells.is_published(backend, platform)
            for platform in answers.platforms
        )
        if reaches_one:
            return True
        served = {
            platform: facts.pythons(TORCH, release, backend, platform)
            for platform in facts.platforms(TORCH, release, backend)
        }
        listed = "; ".join(f"{name} (Python {facts.span(has)})" for name, has in served.items())
        elsewhere = [name for name in served if self.cells.is_published(backend, name)]
        here = [python for name in answers.platforms for python in served.get(name, ())]
        self.refuse(
            *("torch_backend", self.position(variant), "platforms"),
            heading=f"torch_backend={backend} for platforms={' '.join(answers.platforms)} "
            f"with torch_version={release} and python_version={python}",
            reason=f"no platform of this project would get it: torch {release} has {backend} "
            f"on {listed}.",
            ways=[
                *self.ways.other_pythons(here),
                *self.ways.other_backends(variant),
                *({"platforms": f"{name} {self.raw['platforms']}"} for name in elsewhere),
            ],
        )
        return False

    def check_torch(self, cell: Cell) -> None:
        """Refuse a cell whose wheel of torch does not exist, or does not work."""
        reason = self.cells.why_missing(TORCH, cell)
        if reason:
            self.refuse(
                *("platforms", cell.platform, self.position(cell.variant)),
                heading=self.heading(cell),
                reason=reason,
                ways=self.ways.other_cells(cell),
            )
            return
        reason = self.facts.why_broken(cell.release, cell.backend, cell.platform)
        if reason:
            self.refuse(
                *("broken", cell.platform, self.position(cell.variant)),
                heading=self.heading(cell),
                reason=f"the build is published and does not work: {reason}.",
                ways=[
                    *self.ways.other_backends(cell.variant),
                    self.ways.with_override(cell, CPU),
                    self.ways.without_platform(cell.platform),
                ],
            )

    def check_companions(self, variant: Variant) -> None:
        """Refuse the companions that cannot be had: of the release, an index, or a platform."""
        for companion in self.answers.companions:
            if companion not in self.cells.versions:
                self.refuse_release(companion)
                continue
            cells = sorted(self.cells.of(variant), key=lambda cell: cell.backend)
            for backend, group in groupby(cells, key=lambda cell: cell.backend):
                if self.facts.wheels(companion, self.cells.versions[companion], backend):
                    for cell in group:
                        self.check_companion(companion, cell)
                else:
                    self.refuse_index(companion, list(group))

    def refuse_release(self, companion: str) -> None:
        """Refuse a companion that was not made for this release of torch."""
        release = self.answers.release
        having = [name for name in self.facts.releases if companion in self.facts.companions(name)]
        self.refuse(
            *("companions", companion),
            heading=f"companions={companion} with torch_version={release}",
            reason=f"there is none for torch {release}.",
            ways=[self.ways.without_companion(companion), *self.ways.other_releases(having)],
        )

    def refuse_index(self, companion: str, cells: list[Cell]) -> None:
        """Refuse a companion that the index of these cells lacks on every platform."""
        variant, backend = cells[0].variant, cells[0].backend
        version = self.cells.versions[companion]
        platforms = " ".join(cell.platform for cell in cells)
        carrying = " ".join(self.facts.indexes(companion, version))
        self.refuse(
            *("companions", companion, self.position(variant)),
            heading=f"companions={companion} with torch_backend={backend} "
            f"for platforms={platforms} and torch_version={self.answers.release}",
            reason=f"{companion} {version}, the one for torch {self.answers.release}, is on "
            f"{carrying} and not on {backend}.",
            ways=[
                *self.ways.other_backends(variant),
                self.ways.without_companion(companion),
                *(self.ways.with_override(cell, CPU) for cell in cells),
            ],
        )

    def check_companion(self, companion: str, cell: Cell) -> None:
        """Refuse a companion that one cell lacks, unless the cell lacks torch itself."""
        reason = self.cells.why_missing(companion, cell)
        if not reason or self.cells.why_missing(TORCH, cell):
            return
        version = self.cells.versions[companion]
        pythons = self.facts.pythons(companion, version, cell.backend, cell.platform)
        self.refuse(
            *("companions", companion, self.position(cell.variant), cell.platform),
            heading=f"companions={companion} and {self.heading(cell)}",
            reason=reason,
            ways=[
                self.ways.with_override(cell, CPU),
                self.ways.without_companion(companion),
                *self.ways.other_pythons(pythons),
                *self.ways.other_backends(cell.variant),
                self.ways.without_platform(cell.platform),
            ],
        )

    def check_numpy_guard(self) -> None:
        """Refuse `numpy<2` where NumPy 1 has no wheels."""
        answers, guarded = self.answers, self.cells.guarded
        pythons, platforms = self.facts.numpy_1
        if guarded and answers.python not in pythons:
            self.refuse(
                *("numpy_guard", "python"),
                heading=f"numpy_guard={answers.numpy_guard} with python_version={answers.python}",
                reason=f"numpy<2 has wheels for Python {self.facts.span(pythons)}.",
                ways=[
                    *self.ways.other_pythons(pythons),
                    {"numpy_guard": "auto"},
                    {"numpy_guard": "never"},
                ],
            )
        unserved = [platform for platform in guarded if platform not in platforms]
        if unserved:
            self.refuse(
                *("numpy_guard", "platforms"),
                heading=f"numpy_guard={answers.numpy_guard} for platforms={' '.join(unserved)}",
                reason="numpy<2 has no wheels there.",
                ways=[{"numpy_guard": "auto"}, *map(self.ways.without_platform, unserved)],
            )

    def check_dockerfile(self) -> None:
        """Refuse a container without a platform that runs in it."""
        has_linux = any(platform.startswith("linux") for platform in self.answers.platforms)
        if self.answers.dockerfile and not has_linux:
            self.refuse(
                "dockerfile",
                heading=f"dockerfile=yes for platforms={' '.join(self.answers.platforms)}",
                reason="a container runs Linux, and none of the platforms is one.",
                ways=[
                    {"dockerfile": "no"},
                    {"platforms": f"{DEFAULT_PLATFORMS[0]} {self.raw['platforms']}"},
                ],
            )

    def position(self, variant: Variant) -> str:
        """Return what names a variant also after its backend, and so its name, was changed."""
        return str(self.answers.variants.index(variant))

    def heading(self, cell: Cell) -> str:
        """Return what was asked of a cell."""
        name = "" if self.answers.layout == MARKERS else f" ({cell.variant.name})"
        return (
            f"torch_backend={cell.backend}{name} for platforms={cell.platform} "
            f"with torch_version={cell.release} and python_version={self.answers.python}"
        )
