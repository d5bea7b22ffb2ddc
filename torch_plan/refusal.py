"""The message for answers that cannot be served: why, what works, the command to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch_plan.problems import Problem, Way
from torch_plan.shell import shell_line

FindProblems = Callable[[Mapping[str, str]], Sequence[Problem]]
"""Tells what is wrong with the answers that were given, all others being the defaults."""

_OFFERED = 3
"""How many ways out one problem names."""
_TRIALS = 300
"""How many sets of answers are tried at most; one takes some milliseconds."""


class WayOut:
    """Looks for changes of the answers given that are accepted."""

    def __init__(self, given: Mapping[str, str], find_problems: FindProblems) -> None:
        self.given = dict(given)
        self.find_problems = find_problems
        self.tried: dict[frozenset[tuple[str, str]], Sequence[Problem]] = {}
        self.problems = self.problems_of(self.given)
        self.named = {key for problem in self.problems for way in problem.ways for key in way}
        """The answers that some problem is about: no other one is changed."""

    def problems_of(self, given: Mapping[str, str]) -> Sequence[Problem]:
        """Return what is wrong with answers; the same answers are looked at once."""
        identity = frozenset(given.items())
        if identity not in self.tried:
            self.tried[identity] = self.find_problems(given)
        return self.tried[identity]

    @property
    def has_trials_left(self) -> bool:
        """Whether more answers may be tried: a person waits for the message."""
        return len(self.tried) < _TRIALS

    def nearest_answers(self) -> dict[str, str] | None:
        """Return the answers with the nearest changes that are accepted, None if none were found.

        Whatever no problem is about stays as it was given.
        """
        return self._solve(self.given, self.problems, {frozenset(self.given.items())})

    def _solve(
        self,
        given: dict[str, str],
        problems: Sequence[Problem],
        seen: set[frozenset[tuple[str, str]]],
    ) -> dict[str, str] | None:
        """Do away with the first problem, then with those that are left, and go back if need be."""
        if not problems:
            return given
        steps = []
        for way in problems[0].ways:
            if self.named.issuperset(way) and self.has_trials_left:
                changed = with_changes(given, way)
                left = self.problems_of(changed)
                if problems[0].key not in _keys(left):
                    steps.append((changed, left))
        # A change that brings up nothing new is better than a nearer one that does.
        steps.sort(key=lambda step: len(_keys(step[1]) - _keys(problems)))
        for changed, left in steps:
            identity = frozenset(changed.items())
            if identity not in seen:
                seen.add(identity)
                solved = self._solve(changed, left, seen)
                if solved is not None:
                    return solved
        return None

    def working_ways(self, problem: Problem) -> list[Way]:
        """Return the problem's ways out that do away with it and bring up nothing new."""
        working: list[Way] = []
        for way in problem.ways:
            if way in working or not self.has_trials_left:
                continue
            left = _keys(self.problems_of(with_changes(self.given, way)))
            if problem.key not in left and left <= _keys(self.problems):
                working.append(way)
        return working


def refusal_text(
    given: Mapping[str, str],
    find_problems: FindProblems,
    command: Callable[[Mapping[str, str]], str],
) -> str:
    """Say why answers are refused, what works instead, and a command that does it.

    `command` writes the command line for answers. Every change that the text names was tried.
    """
    search = WayOut(given, find_problems)
    fixed = search.nearest_answers()
    problems = search.problems
    lines = ["This cannot be done:" if len(problems) == 1 else f"{len(problems)} problems:"]
    for problem in problems:
        lines += ["", f"  {problem.heading}", f"    {problem.reason}"]
        offered = search.working_ways(problem)[:_OFFERED]
        if offered:
            lines.append("    What works: " + ", or ".join(map(_change, offered)))
    if fixed is None:
        return "\n".join([*lines, "", "Nothing was written."])
    changed = {key: fixed.get(key) for key in {**given, **fixed}}
    changed = {key: value for key, value in changed.items() if value != given.get(key)}
    lines += ["", f"Nothing was written. To run it again {_with(changed)}:"]
    return "\n".join([*lines, "", f"  {command(fixed)}"])


def with_changes(given: Mapping[str, str], way: Way) -> dict[str, str]:
    """Return answers with the changes of a way out."""
    return {key: value for key, value in {**given, **way}.items() if value is not None}


def _keys(problems: Sequence[Problem]) -> set[tuple[str, ...]]:
    return {problem.key for problem in problems}


def _change(way: Way) -> str:
    """Return a way out as words of the command line; `without x` where it only leaves x out."""
    words = [f"{key}={value}" for key, value in way.items() if value is not None]
    return shell_line(words) if words else f"without {', '.join(way)}"


def _with(way: Way) -> str:
    return _change(way) if all(value is None for value in way.values()) else f"with {_change(way)}"
