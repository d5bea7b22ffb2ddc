"""What people are told of what a project lacks of the answers, and what changes that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from torch_plan.answers.meaning import ProperAnswers
from torch_plan.answers.problems import Note, Problem, Way, with_changes
from torch_plan.answers.records import DEFAULT_PLATFORMS
from torch_plan.catalog.versions import CPU
from torch_plan.resolution.cells import Cells
from torch_plan.resolution.check import Examination, default_platforms, examine, settled
from torch_plan.resolution.search import OFFERED
from torch_plan.resolution.ways import Ways
from torch_plan.text import listed


class Notes:
    """Writes notes whose ways were tried: they are accepted, and change something."""

    def __init__(self, examination: Examination, raw: ProperAnswers) -> None:
        self.cells, _, self.told = examination
        self.raw, self.ways = raw, Ways(self.cells, raw)

    def all(self) -> Iterator[Note]:
        """Yield what the answers do not get: platforms, builds, companions, Pythons.

        Nobody misses a companion that was asked for with `?`.
        """
        yield from self.platforms()
        yield from self.builds()
        yield from map(self.companion, self.told)
        for name in self.cells.answers.companions:
            if name in self.raw["companions"].split() and self.cells.stand_ins(name):
                yield self.stand_in(name)
        yield from self.pythons()

    def note(
        self, text: str, ways: Iterable[Way], helps: Callable[[Examination], bool] = bool
    ) -> Note:
        """Return a note with the first ways that help.

        Platforms that a way names are refused for a companion that others lack, so that may be
        left out of them as well.
        """
        less = {"companions": settled(self.raw, self.cells.facts)["companions"]}
        found: list[Way] = []
        for way in ways:
            tried = (also for also in (way, {**less, **way}) if self.changes(also, helps))
            found += [also for also in islice(tried, 1) if also not in found]
            if len(found) == OFFERED:
                break
        return Note(text, tuple(found))

    def changes(self, way: Way, helps: Callable[[Examination], bool]) -> bool:
        """Tell whether a way is accepted, leads to other cells, and helps."""
        seen = examine(ProperAnswers(with_changes(self.raw, way)), self.cells.facts)
        return not seen.problems and seen.cells.all != self.cells.all and helps(seen)

    def platforms(self) -> Iterator[Note]:
        """Yield the default platforms that are left out, where nobody named others."""
        named = self.raw["platforms"].split()
        if {*named} == {*default_platforms(self.raw, self.cells.facts)}:
            for platform in DEFAULT_PLATFORMS:
                if platform not in named:
                    cell = self.cells.with_build(self.cells.answers.variants[0], platform, CPU)
                    more = {"platforms": " ".join([*named, platform])}
                    ways = ({**more, **way} for way in self.ways.other_cells(cell))
                    reason = self.cells.why_missing(cell.torch, cell)
                    yield self.note(f"{platform} is left out: {reason} it.", ways)

    def builds(self) -> Iterator[Note]:
        """Yield the platforms that get the CPU build in the place of another."""
        for cell in self.cells.fallbacks:
            reason = f"torch {cell.release} has no {cell.variant.backend} build for it"
            others = (other.backend for other in islice(self.cells.alternatives(cell), 1))
            ways = (self.ways.with_override(cell, backend) for backend in others)
            yield self.note(f"{cell.platform} gets cpu: {reason}.", ways)

    def companion(self, problem: Problem) -> Note:
        """Return what some platforms lack, with the ways that it would be refused with."""
        name = problem.key[1]
        missed = self.cells.count_lacking(name)
        return self.note(
            f"Some platforms go without {name}: {problem.reason}",
            problem.ways,
            lambda seen: seen.cells.count_lacking(name) < missed,
        )

    def stand_in(self, name: str) -> Note:
        """Return which platforms get a companion for the CPU beside another torch."""
        cells = self.cells.stand_ins(name)
        platforms = listed([*dict.fromkeys(cell.platform for cell in cells)])
        builds = listed([*dict.fromkeys(cell.backend for cell in cells)])
        return self.note(
            f"{name} is for the CPU on {platforms}: there is none for {builds}.",
            [
                self.ways.with_cpu(cells),
                *self.ways.other_backends(cells[0].variant),
                self.ways.without_companion(name),
            ],
            lambda seen: not seen.cells.stand_ins(name),
        )

    def pythons(self) -> Iterator[Note]:
        """Yield what ends `requires-python` before torch does."""
        answers, pythons = self.cells.answers, self.cells.pythons
        of_torch = Cells(answers._replace(companions=()), self.cells.facts).pythons
        if len(of_torch) > len(pythons):
            end = of_torch[len(pythons)]
            packages = (package for cell in self.cells.all for package in cell.packages[1:])
            lacking = [
                package
                for package in packages
                if package.pythons is None and end not in package.wheels
            ]
            names = [*dict.fromkeys(package.name for package in lacking)]
            ways = map(self.ways.without_companion, names)
            yield self.note(
                f"requires-python ends before {end}: there is no {listed(names, 'or')} for it.",
                ways,
            )
