"""Answers, read and looked at: their cells, and everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from typing import NamedTuple

from torch_plan.answers.grammar import read_answers
from torch_plan.answers.indexes import OWN
from torch_plan.answers.meaning import ProperAnswers, with_platforms
from torch_plan.answers.problems import Problem
from torch_plan.answers.records import DEFAULT_PLATFORMS, OPTIONAL, Answers
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.platforms import PLATFORMS
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
        cells = _settled(read, answers, facts)
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
    return None if _decides_cells(problems) else _settled(read, answers, facts)


def default_platforms(
    answers: ProperAnswers, facts: Facts, among: Sequence[str] = DEFAULT_PLATFORMS
) -> tuple[str, ...]:
    """Return those of some platforms that have wheels of torch, of each build; all if none has.

    A companion moves no platform. Answers that cookiecutter asks for after `platforms` do not
    count.
    """
    read, problems = read_answers(with_platforms(answers, among), facts)
    return tuple(among) if _decides_cells(problems) else _served(read, facts, among)


def settled(answers: ProperAnswers, facts: Facts) -> ProperAnswers:
    """Return answers that say `?` of the companions that some default platforms lack."""
    cells, words = examine(answers, facts).cells, answers["companions"].split()
    marked = (f"{word}{OPTIONAL}" if word in cells.answers.optional else word for word in words)
    return ProperAnswers({**answers, "companions": " ".join(marked)})


def _served(read: Answers, facts: Facts, among: Sequence[str]) -> tuple[str, ...]:
    bare = Cells(read._replace(platforms=tuple(among), overrides={}, companions=()), facts)
    lacking = {cell.platform for cell in bare.all if not bare.is_served(cell)}
    return tuple(platform for platform in among if platform not in lacking) or tuple(among)


def _settled(read: Answers, raw: Mapping[str, str], facts: Facts) -> Cells:
    """Return the cells of answers, without the companions that some default platforms lack.

    Where somebody named the platforms, and where all of them lack it, it stays and is refused.
    Platforms that are the default were named by nobody, also in the answers that a project records.
    """
    cells, named = Cells(read, facts), {*raw["platforms"].split()}
    defaults = (_served(read, facts, among) for among in (DEFAULT_PLATFORMS, tuple(PLATFORMS)))
    lacks = [{*cells.lacks(cell)} for cell in cells.all]
    some = set[str]().union(*lacks).difference(lacks[0].intersection(*lacks), read.optional)
    if not some or named not in map(set, defaults):
        return cells
    return Cells(read._replace(optional=read.optional | some), facts)


def _decides_cells(problems: Iterable[Problem]) -> bool:
    """Tell whether any problem is about an answer that decides the cells."""
    return any(problem.key[0] in BUILD_ANSWERS for problem in problems)
