"""Builds that are only likely: what is said of them, and what can be had without them."""

from __future__ import annotations

from collections.abc import Sequence

from torch_plan.answers.meaning import ProperAnswers
from torch_plan.answers.problems import Problem
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.versions import CPU, TORCH
from torch_plan.resolution.cells import Cell, Cells
from torch_plan.resolution.check import examine
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


def likely_problems(answers: ProperAnswers, facts: Facts, platform: str) -> Sequence[Problem]:
    """Return what is wrong with answers, or if nothing is, the builds that are only likely.

    They are those of a platform, and those of a release that nobody knows yet. The ways out take
    the newest known release, the CPU build, or leave out a platform without it.
    """
    cells, problems, _ = examine(answers, facts)
    if problems:
        return problems
    ways, likely = Ways(cells, answers), []
    for cell in cells.all:
        is_expected = facts.is_expected(cell.release)
        if cell.is_likely and (is_expected or cell.platform == platform):
            way = ways.with_override([cell], CPU)
            if is_expected:
                way = ways.with_release(cell.release, facts.releases[-1])
            elif cell.backend == CPU and not cell.url:
                way = ways.without_platforms({cell.platform})
            key = ("likely", cell.platform, cell.variant.name)
            likely.append(Problem(key, f"platforms={cell.platform}", _reason(cell, cells), (way,)))
    return likely
