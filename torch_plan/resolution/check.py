"""Answers, read and looked at: their cells, and everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import repeat
from typing import NamedTuple

from torch_plan.answers.grammar import read_answers
from torch_plan.answers.indexes import OWN
from torch_plan.answers.meaning import ProperAnswers
from torch_plan.answers.problems import Problem
from torch_plan.catalog.facts import Facts
from torch_plan.resolution.cell_checks import check_cells
from torch_plan.resolution.cells import Cells

BUILD_ANSWERS = (
    "torch_version",
    "python_version",
    "torch_backend",
    "layout",
    "companions",
    "platforms",
)
"""The answers that decide the cells."""


class Examination(NamedTuple):
    """The cells that answers lead to, and everything that is wrong with the answers."""

    cells: Cells
    """Not to be planned where anything is wrong."""
    problems: tuple[Problem, ...]


def examine(answers: ProperAnswers, facts: Facts) -> Examination:
    """Read answers and look at their cells; the same answers are read once.

    The cells are checked even if the name of the project or an index is refused, so that one
    message says everything.
    """
    return _examine(tuple(answers.items()), facts)


# What is asked again, planned or refused next has been read before.
@lru_cache(maxsize=256)
def _examine(items: tuple[tuple[str, str], ...], facts: Facts) -> Examination:
    answers = ProperAnswers(dict(items))
    read, problems = read_answers(answers, facts)
    cells = Cells(read, facts)
    if not _decides_cells(problems):
        problems += check_cells(cells, answers)
    if read.pytorch_index.known and "://" in answers["pytorch_index"]:
        problems = [*map(_with_own_index, problems, repeat(answers))]
    return Examination(cells, tuple(problems))


def _with_own_index(problem: Problem, raw: Mapping[str, str]) -> Problem:
    """Return a problem with one more way out: the URL may be of an index with its own builds."""
    way = {"pytorch_index": f"{OWN}{raw['pytorch_index']}"}
    return problem._replace(ways=(*problem.ways[:1], way, *problem.ways[1:]))


def find_problems(answers: ProperAnswers, facts: Facts) -> list[Problem]:
    """Return everything that is wrong with the answers, nothing if they can be planned."""
    return [*examine(answers, facts).problems]


def read_cells(answers: ProperAnswers, facts: Facts) -> Cells | None:
    """Return the cells that the answers lead to, None where an answer that decides them is wrong.

    Whether the cells can be had is not looked at.
    """
    read, problems = read_answers(answers, facts)
    return None if _decides_cells(problems) else Cells(read, facts)


def _decides_cells(problems: Iterable[Problem]) -> bool:
    """Tell whether any problem is about an answer that decides the cells."""
    return any(problem.key[0] in BUILD_ANSWERS for problem in problems)
