"""Builds that are only likely: what is said of them, and what can be had without them."""

from __future__ import annotations

from collections.abc import Mapping

from torch_plan.answers.problems import Way, with_changes
from torch_plan.catalog.versions import CPU
from torch_plan.resolution.cells import Cell, Cells
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
    if cell.url:
        return f"This template does not know what {cell.url} has"
    if facts.is_expected(cell.release):
        newest = facts.releases[-1]
        return f"This template knows releases up to torch {newest}, and plans newer ones like it"
    if cells.is_invented(cell):
        return "PyTorch does not publish these builds, so your index has to have them"
    return "These builds very likely exist, but nobody has seen them yet"


def without_likely(cells: Cells, raw: Mapping[str, str], platform: str) -> dict[str, str]:
    """Return the answers without the builds of a platform that are only likely.

    The CPU build takes the place of other builds, the newest known release that of a newer one, and
    a platform of which even the CPU build is only likely is left out.
    """
    changed = dict(raw)
    for cell in cells.all:
        if cell.platform == platform and cell.is_likely:
            changed = with_changes(changed, _instead(cell, cells, Ways(cells, changed)))
    return changed


def _instead(cell: Cell, cells: Cells, ways: Ways) -> Way:
    if cells.facts.is_expected(cell.release):
        return ways.with_release(cell.release, cells.facts.releases[-1])
    if cell.backend == CPU and not cell.url:
        return ways.without_platform(cell.platform)
    return ways.with_override(cell, CPU)
