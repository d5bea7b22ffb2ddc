"""What is said of builds that are only likely."""

from __future__ import annotations

from torch_plan.catalog.facts import Facts
from torch_plan.catalog.versions import TORCH
from torch_plan.resolution.cells import Cell, Cells
from torch_plan.text import listed


def likely_notes(cells: Cells) -> tuple[str, ...]:
    """Return a sentence for each reason why builds are only likely, and which builds these are."""
    groups: dict[str, dict[str, dict[str, None]]] = {}
    for cell in cells.all:
        if cell.is_likely:
            builds = groups.setdefault(_reason(cell, cells.facts), {})
            platforms = builds.setdefault(f"{cell.backend} of torch {cell.release}", {})
            platforms[cell.platform] = None
    sentences = []
    for reason, builds in groups.items():
        parts = (f"{build} for {listed([*platforms])}" for build, platforms in builds.items())
        sentences.append(f"{reason}: {'; '.join(parts)}. uv finds out when it locks.")
    return tuple(sentences)


def _reason(cell: Cell, facts: Facts) -> str:
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
