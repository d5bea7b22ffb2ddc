"""What people are told of what a project lacks of the answers, and what changes that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice

from torch_plan.answers.meaning import ProperAnswers
from torch_plan.answers.problems import Note, Way, with_changes
from torch_plan.answers.records import DEFAULT_PLATFORMS
from torch_plan.catalog.versions import CPU, TORCH
from torch_plan.resolution.cells import Cells
from torch_plan.resolution.check import default_platforms, examine, settled
from torch_plan.resolution.search import OFFERED
from torch_plan.resolution.ways import Ways
from torch_plan.text import listed


def notes(cells: Cells, raw: ProperAnswers) -> Iterator[Note]:
    """Yield what the answers `raw` do not get: platforms, builds, companions, Pythons.

    Nobody misses a companion that was asked for with `?`.
    """
    missing = _Notes(cells, raw)
    yield from missing.platforms()
    yield from missing.builds()
    for name in cells.answers.companions:
        if name in raw["companions"].split():
            yield from missing.companion(name)
    yield from missing.pythons()


class _Notes:
    """Writes notes whose ways were tried."""

    def __init__(self, cells: Cells, raw: ProperAnswers) -> None:
        self.cells, self.raw = cells, raw
        self.answers, self.facts = cells.answers, cells.facts
        self.ways = Ways(cells, raw)

    def note(self, text: str, *kinds: Iterable[Way], helps: Callable[[Cells], bool] = bool) -> Note:
        """Return a note with the first way of each kind that is accepted and helps."""
        tried = (filter(lambda way: self.works(way, helps), self.with_less(kind)) for kind in kinds)
        return Note(text, tuple(way for ways in tried for way in islice(ways, 1)))

    def with_less(self, ways: Iterable[Way]) -> Iterator[Way]:
        """Yield ways; those that name platforms also without the companions that some lack.

        Platforms that are named are refused for them.
        """
        optional = {"companions": settled(self.raw, self.facts)["companions"]}
        for way in filter(None, ways):
            yield from [way, {**optional, **way}] if "platforms" in way else [way]

    def works(self, way: Way, helps: Callable[[Cells], bool]) -> bool:
        changed = ProperAnswers(with_changes(self.raw, way))
        cells, problems = examine(changed, self.facts)
        return changed != self.raw and not problems and helps(cells)

    def platforms(self) -> Iterator[Note]:
        """Yield the default platforms that are left out, where nobody named others."""
        named = self.raw["platforms"].split()
        if {*named} == {*default_platforms(self.raw, self.facts)}:
            for platform in DEFAULT_PLATFORMS:
                if platform not in named:
                    cell = self.cells.with_build(self.answers.variants[0], platform, CPU)
                    more = {"platforms": f"{self.raw['platforms']} {platform}"}
                    ways = ([{**more, **way}] for way in self.ways.other_cells(cell)[:OFFERED])
                    reason = self.cells.why_missing(cell.torch, cell)
                    yield self.note(f"{platform} is left out: {reason}", *ways)

    def builds(self) -> Iterator[Note]:
        """Yield the platforms that get the CPU build in the place of another."""
        for cell in self.cells.fallbacks:
            reason = f"torch {cell.release} has no {cell.variant.backend} build for it"
            others = (other.backend for other in self.cells.alternatives(cell))
            ways = (self.ways.with_override(cell, backend) for backend in others)
            yield self.note(f"{cell.platform} gets cpu: {reason}.", ways)

    def companion(self, name: str) -> Iterator[Note]:
        """Yield the platforms that get no companion, or its CPU build beside another torch."""
        facts = self.facts
        releases = [release for release in facts.releases if name in facts.companions(release)]
        for cell in self.cells.all:
            reason = self.cells.why_lacking(name, cell)
            if reason:
                text = f"{cell.platform} goes without {name}: {reason}"
            elif self.cells.companion(name, cell).is_stand_in:
                none = f"there is none for {cell.backend} and Python {self.answers.python}"
                text = f"{cell.platform} gets {name} for the CPU: {none}."
            else:
                continue
            builds = [*self.cells.alike(cell.variant), CPU]
            yield self.note(
                text,
                (self.ways.with_override(cell, backend) for backend in builds),
                self.ways.other_pythons(facts.all_pythons),
                self.ways.other_releases(cell.release, releases),
                [self.ways.without_companion(name)],
                helps=partial(_has_own, name, cell.platform),
            )

    def pythons(self) -> Iterator[Note]:
        """Yield what ends `requires-python` before torch does."""
        pythons = self.cells.pythons
        of_torch = Cells(self.answers._replace(companions=()), self.facts).pythons
        if len(of_torch) > len(pythons):
            end = of_torch[len(pythons)]
            names = dict.fromkeys(
                package.name
                for cell in self.cells.all
                for package in cell.packages
                if package.pythons is None and package.name != TORCH and end not in package.wheels
            )
            kept = [word for word in self.raw["companions"].split() if word.strip("?") not in names]
            text = (
                f"requires-python ends before {end}: there is no {listed([*names], 'or')} for it."
            )
            yield self.note(text, [{"companions": " ".join(kept) or "none"}])


def _has_own(name: str, platform: str, cells: Cells) -> bool:
    """Tell whether a platform gets a companion of its own build, or nobody asks for it."""
    return name not in cells.answers.companions or not any(
        cells.why_lacking(name, cell) or cells.companion(name, cell).is_stand_in
        for cell in cells.all
        if cell.platform == platform
    )
