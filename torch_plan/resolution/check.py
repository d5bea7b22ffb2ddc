"""Answers, read and looked at: their cells, and everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from torch_plan.answers.grammar import read_answers
from torch_plan.answers.indexes import OWN
from torch_plan.answers.meaning import ProperAnswers, with_platforms
from torch_plan.answers.problems import Problem, Way
from torch_plan.answers.records import DEFAULT_PLATFORMS, NO_COMPANIONS, OPTIONAL
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.resolution.cell_checks import check_cells
from torch_plan.resolution.cells import Cells


class Examination(NamedTuple):
    """The cells that answers lead to, and everything that is wrong with the answers."""

    cells: Cells
    """Not to be planned where anything is wrong."""
    problems: tuple[Problem, ...]
    told: tuple[Problem, ...]
    """What would be refused, had somebody named the platforms: some of them lack a companion."""


def examine(answers: ProperAnswers, facts: Facts) -> Examination:
    """Read answers and look at their cells; the same answers are read once.

    The cells are checked even if a name or an index is refused: one message says everything.
    """
    return _examine(tuple(answers.items()), facts)


# What is asked again, planned or refused next has been read before.
@lru_cache(maxsize=256)
def _examine(items: tuple[tuple[str, str], ...], facts: Facts) -> Examination:
    answers = ProperAnswers(dict(items))
    read, problems = read_answers(answers, facts)
    cells, told = Cells(read, facts), list[Problem]()
    if not _decides_cells(problems):
        problems += check_cells(cells, answers)
        lacking = [problem for problem in problems if problem.key[0] == "companions"]
        if lacking and _are_default_platforms(answers, facts):
            # What no platform has is refused all the same.
            all_lack = set.intersection(*(set(cell.lacking) for cell in cells.all))
            told = [problem for problem in lacking if problem.key[1] not in all_lack]
            problems = [problem for problem in problems if problem not in told]
            optional = read.optional.union(problem.key[1] for problem in told)
            cells = Cells(read._replace(optional=optional), facts)
    if read.pytorch_index.known and "://" in answers["pytorch_index"]:
        # One more way out: the URL may be of an index with its own builds.
        way: Way = {"pytorch_index": f"{OWN}{answers['pytorch_index']}"}
        problems = [
            problem._replace(ways=(*problem.ways[:1], way, *problem.ways[1:]))
            for problem in problems
        ]
    return Examination(cells, tuple(problems), tuple(told))


def _are_default_platforms(answers: ProperAnswers, facts: Facts) -> bool:
    """Tell whether platforms are the default, or `all`: nobody named them, if they are recorded."""
    defaults = (
        default_platforms(answers, facts, among) for among in (DEFAULT_PLATFORMS, PLATFORMS)
    )
    return {*answers["platforms"].split()} in map(set, defaults)


def find_problems(answers: ProperAnswers, facts: Facts) -> list[Problem]:
    """Return everything that is wrong with the answers, nothing if they can be planned."""
    return [*examine(answers, facts).problems]


def default_platforms(
    answers: ProperAnswers, facts: Facts, among: Iterable[str] = DEFAULT_PLATFORMS
) -> tuple[str, ...]:
    """Return those of some platforms that torch has wheels for, in each build; all if none has.

    No companion moves a platform.
    """
    torch = ProperAnswers({**with_platforms(answers, among), "companions": NO_COMPANIONS})
    read, problems = read_answers(torch, facts)
    cells = () if _decides_cells(problems) else Cells(read, facts).all
    lacking = {cell.platform for cell in cells if cell.lacking}
    return tuple(platform for platform in among if platform not in lacking) or tuple(among)


def settled(answers: ProperAnswers, facts: Facts) -> ProperAnswers:
    """Return answers that say `?` of the companions that some default platforms lack."""
    cells, words = examine(answers, facts).cells, answers["companions"].split()
    marked = (f"{word}{OPTIONAL}" if word in cells.answers.optional else word for word in words)
    return ProperAnswers({**answers, "companions": " ".join(marked)})


def _decides_cells(problems: Iterable[Problem]) -> bool:
    """Tell whether any problem is about an answer that decides the cells."""
    builds = {"torch_version", "python_version", "torch_backend", "layout", "companions"}
    return any(problem.key[0] in {*builds, "platforms"} for problem in problems)
