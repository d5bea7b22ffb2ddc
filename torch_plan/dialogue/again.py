"""At a prompt: whether an answer can stand, and the question to ask again if it cannot.

answers so far ── find_problems ──> problems
    ── may later questions solve them? (Search among ways that change later answers)
    ──> problems that last ── may this question solve them? (Search among its answers)
    ──> the question again, with what was meant as its default, else the one that it had
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from torch_plan.answers.problems import FindProblems, Problem, Way
from torch_plan.answers.questions import choices, in_order
from torch_plan.answers.records import MAIN_PLATFORM
from torch_plan.catalog.facts import Facts
from torch_plan.resolution import defaults
from torch_plan.resolution.search import OFFERED, Search, distinct


class Again(NamedTuple):
    """A question that is asked again."""

    text: str
    """Why, and what works."""
    default: str
    """An answer that can stand: what was probably meant, else the default that it had."""


def without_overruled(key: str, answers: Mapping[str, str]) -> Mapping[str, str]:
    """Return answers without a build, where the release that is typed after it names another."""
    overrules = key == "torch_version" and "+" in answers[key]
    if overrules and " " not in answers.get("torch_backend", ""):
        return {name: answer for name, answer in answers.items() if name != "torch_backend"}
    return answers


def lasting_problems(
    given: Mapping[str, str], later: Collection[str], find_problems: FindProblems, facts: Facts
) -> Sequence[Problem]:
    """Return what is wrong with the answers given so far whatever is answered later.

    Answers to later questions may be given already, and are no more than defaults then.
    """

    def comes_later(answers: Mapping[str, str], way: Way) -> bool:
        # Platforms can be left out later, but not the one that is never left out by default. One
        # that gets another build is no way to this one.
        platforms = defaults.complete(answers, facts)["platforms"]
        words, kept = set(platforms.split()), set((way.get("platforms") or platforms).split())
        return set(way) <= set(later) and kept <= words and MAIN_PLATFORM not in words - kept

    search = Search(given, find_problems, comes_later)
    if not search.problems or search.way_out():
        return ()
    # Problems that hide behind solvable ones are told now too: later nothing could solve them.
    left = search.furthest()
    return [problem for problem in left if problem.key[0] not in later] or left


def question_again(
    key: str, given: Mapping[str, str], usual: str, find_problems: FindProblems, facts: Facts
) -> Again | None:
    """Return the question to ask again for an answer, None if that can stand.

    `usual` is the default that the question had. Where no other answer to this question would help,
    what is wrong is told together with everything else, after the last question.
    """
    later = in_order()[in_order().index(key) + 1 :]

    def lasting(answers: Mapping[str, str]) -> Sequence[Problem]:
        return lasting_problems(without_overruled(key, answers), later, find_problems, facts)

    def answers_this(_: Mapping[str, str], way: Way) -> bool:
        return set(way) == {key}

    search = Search(given, lasting, answers_this)
    if not search.problems:
        return None
    near = [way for problem in search.problems for way in problem.ways[: problem.near]]
    meant = [str(way[key]) for way in near if set(way) == {key}]
    way_out = search.way_out()
    last = [way_out.answers[key]] if way_out else []
    # Of several slips each is mended alone, and the way out mends all of them.
    slips = last if all(problem.near for problem in search.problems) else []
    for default in (*meant, *slips, usual, *choices().get(key, ()), *last):
        if not search.problems_of({**given, key: default}):
            break
    else:
        return None
    lines = []
    for problem in distinct(search.problems):
        lines += ["", f"  {problem.heading}", f"    {problem.reason}"]
        ways = search.working_ways(problem, search.problems, {key: default})
        here = [str(*way.values()) for way in ways if way.keys() == {key}]
        if here:
            lines.append(f"    What works: {', or '.join(here[:OFFERED])}")
    return Again("\n".join(lines), default)
