"""Builds that are only likely: what is said of them, and what can be had without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch_plan.answers.meaning import ProperAnswers
from torch_plan.answers.problems import Way, with_changes
from torch_plan.catalog.versions import CPU, TORCH, family_of
from torch_plan.resolution.cells import Cell, Cells
from torch_plan.resolution.check import read_cells
from torch_plan.resolution.ways import Ways
from torch_plan.text import listed


def likely_notes(cells: Cells) -> tuple[str, ...]:
    """Return a sentence for each reason why builds are only likely, and which builds these are."""
    groups: dict[str, dict[str, dict[str, None]]] = {}
    for cell in cells.all:
        if cell.is_likely:
            builds = groups.setdefault(_reason(cell, cells), {})
            platforms = builds.setdefault(f"{cell.backend} of torch {cell.release}", {})
            platforms[cell.platform] = None
    sentences = []
    for reason, builds in groups.items():
        parts = (f"{build} for {listed([*platforms])}" for build, platforms in builds.items())
        sentences.append(f"{reason}: {'; '.join(parts)}. uv finds out when it locks.")
    return tuple(sentences)


def _reason(cell: Cell, cells: Cells) -> str:
    facts = cells.facts
    is_invented = not facts.pythons(TORCH, cell.release, cell.backend, cell.platform)
    if cell.url:
        return f"This template does not know what {cell.url} has"
    if facts.is_expected(cell.release):
        newest = facts.releases[-1]
        rest = "not these builds" if is_invented else "plans newer ones like it"
        return f"This template knows releases up to torch {newest}, and {rest}"
    if is_invented:
        return "PyTorch does not publish these builds, so your index has to have them"
    return "These builds very likely exist, but nobody has seen them yet"


def without_likely(cells: Cells, raw: Mapping[str, str], platform: str) -> dict[str, str]:
    """Return the answers without the builds of a platform that are only likely.

    The newest known release takes the place of a newer one, everywhere and with no build that is
    only likely. The CPU build takes the place of other builds, and a platform of which even the CPU
    build is only likely is left out.
    """
    changed = _of_known_releases(cells, raw)
    is_moved = changed != raw
    known = read_cells(ProperAnswers(changed), cells.facts) if is_moved else cells
    for cell in known.all if known else ():
        if cell.is_likely and (is_moved or cell.platform == platform):
            changed = with_changes(changed, _instead(cell, Ways(known or cells, changed)))
    return changed


def _of_known_releases(cells: Cells, raw: Mapping[str, str]) -> dict[str, str]:
    """Return the answers with the newest known release for newer ones, and builds that it has."""
    newest, changed = cells.facts.releases[-1], dict(raw)
    builds = cells.facts.published.backends(newest)
    # From the last word on: a word that comes to say the same as an earlier one goes.
    for cell in reversed(cells.all):
        if cells.facts.is_expected(cell.release):
            if cell.backend not in builds:
                way = _known_build(cell, cells, Ways(cells, changed), builds)
                changed = with_changes(changed, way)
            way = Ways(cells, changed).with_release(cell.release, newest)
            changed = with_changes(changed, way)
    return changed


def _known_build(cell: Cell, cells: Cells, ways: Ways, builds: Sequence[str]) -> Way:
    """Take the newest of these builds that is of a cell's family, or the CPU build."""
    if cells.override(cell.variant, cell.platform):
        return ways.with_override(cell, CPU)
    family = [build for build in builds if family_of(build) == family_of(cell.backend)]
    return ways.with_backend(cell.variant, [CPU, *family][-1])


def _instead(cell: Cell, ways: Ways) -> Way:
    if cell.backend == CPU and not cell.url:
        return ways.without_platforms({cell.platform})
    return ways.with_override(cell, CPU)
