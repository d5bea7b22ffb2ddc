"""From all answers to a plan."""

from __future__ import annotations

from functools import lru_cache

from torch_plan.answers.meaning import ProperAnswers
from torch_plan.answers.problems import Refused
from torch_plan.catalog.facts import Facts, load_facts
from torch_plan.project.notes import notes
from torch_plan.project.plan import Plan
from torch_plan.resolution.check import examine


def make_plan(answers: ProperAnswers, facts: Facts | None = None) -> Plan:
    """Plan a project from all answers, as text under the keys of cookiecutter.json.

    Raises `Refused` with every problem at once if the answers cannot be served.
    """
    return _made_plan(tuple(answers.items()), facts or load_facts())


# The check, each of the templates and the hook ask for the plan of the same answers.
@lru_cache(maxsize=8)
def _made_plan(items: tuple[tuple[str, str], ...], facts: Facts) -> Plan:
    answers = ProperAnswers(dict(items))
    examination = examine(answers, facts)
    if examination.problems:
        raise Refused(examination.problems)
    return Plan(examination.cells, tuple(notes(examination, answers)))
