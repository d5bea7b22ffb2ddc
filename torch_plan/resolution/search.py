"""The search for answers that are accepted, from those that are not; and what people read of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from torch_plan.answers.problems import FindProblems, Key, Problem, Way, change, with_changes
from torch_plan.urls import masked

OFFERED = 3
"""How many ways out one problem names."""
_TRIALS = 120
"""How many sets of answers are tried at most. One takes some milliseconds, and a person waits."""


class WayOut(NamedTuple):
    """Answers that are accepted, and the problems met on the way: one may hide another."""

    answers: dict[str, str]
    met: tuple[Problem, ...]


class Search:
    """Looks for changes of the answers given that are accepted; `allows` tells which to try."""

    def __init__(
        self,
        given: Mapping[str, str],
        find_problems: FindProblems,
        allows: Callable[[Mapping[str, str], Way], bool] = lambda _given, _way: True,
    ) -> None:
        self.given = dict(given)
        self.find_problems = find_problems
        self.allows = allows
        self.tried: dict[frozenset[tuple[str, str]], Sequence[Problem]] = {}
        self.problems = self.problems_of(self.given)

    def problems_of(self, given: Mapping[str, str]) -> Sequence[Problem]:
        """Return what is wrong with answers; the same answers are looked at once."""
        identity = frozenset(given.items())
        if identity not in self.tried:
            self.tried[identity] = self.find_problems(given)
        return self.tried[identity]

    def way_out(self) -> WayOut | None:
        """Return the nearest answers that are accepted, None if none were found."""
        return self._solve(self.given, self.problems, [])

    def furthest(self) -> Sequence[Problem]:
        """Return the problems that are left once every problem with a way out is solved.

        They include those that others had hidden. No step is taken back.
        """
        given, problems = self.given, self.problems
        seen: list[Mapping[str, str]] = []
        while given not in seen:
            seen.append(given)
            steps = (step for problem in problems for step in self._steps(given, problem))
            new = (step for step in steps if step[0] not in seen)
            given, problems = next(new, (given, problems))
        return problems

    def _solve(
        self, given: dict[str, str], problems: Sequence[Problem], seen: list[Mapping[str, str]]
    ) -> WayOut | None:
        """Solve the first problem, then those that are left; go back if that fails."""
        if not problems:
            return WayOut(given, ())
        # A change without new problems is better than a nearer one that causes some.
        known = _keys(problems)
        steps = self._steps(given, problems[0])
        for changed, left in sorted(steps, key=lambda step: len(_keys(step[1]) - known)):
            if changed not in seen:
                seen.append(changed)
                if solved := self._solve(changed, left, seen):
                    return WayOut(solved.answers, (*problems, *solved.met))
        return None

    def _steps(
        self, given: Mapping[str, str], problem: Problem
    ) -> Iterator[tuple[dict[str, str], Sequence[Problem]]]:
        """Yield the answers that solve a problem, and what is wrong with them."""
        for way in problem.ways:
            left = self._tried(given, way) if self.allows(given, way) else None
            if left is not None and problem.key not in _keys(left):
                yield with_changes(given, way), left

    def _tried(self, given: Mapping[str, str], way: Way) -> Sequence[Problem] | None:
        """Return what is wrong with the answers that a way leads to, None if there is no time."""
        changed = with_changes(given, way)
        is_known = len(self.tried) < _TRIALS or frozenset(changed.items()) in self.tried
        return self.problems_of(changed) if is_known else None

    def working_ways(
        self, problem: Problem, problems: Sequence[Problem], fixed: Mapping[str, str]
    ) -> list[Way]:
        """Return the ways out that solve a problem and cause none that is not in `problems`.

        Where none does, the accepted answers (`fixed`) to the same questions are tried.
        """
        keys = dict.fromkeys(key for way in problem.ways for key in way)
        known = _keys(problems) - {problem.key}
        working: list[Way] = []
        for way in problem.ways:
            changes = self._working(way, known)
            if changes and changes not in working:
                working.append(changes)
        if not working and (changes := self._working({key: fixed.get(key) for key in keys}, known)):
            working.append(changes)
        return working

    def _working(self, way: Way, known: set[Key]) -> Way:
        """Return what a way changes, nothing where another problem comes of it than those known."""
        left = self._tried(self.given, way)
        # An answer with two wrong words is shown with both of them right, or not at all.
        if left is None or not _keys(left) <= known or any(key[0] in way for key in _keys(left)):
            return {}
        return {key: value for key, value in way.items() if value != self.given.get(key)}

    def way_out_or_less(self) -> WayOut | None:
        """Return the way out; where none was found, that of the answers that no problem is about.

        None if the problems are not about what was given.
        """
        refused = {
            key
            for problem in self.problems
            for way in (problem.key[:1], *problem.ways)
            for key in way
        }
        kept = {key: value for key, value in self.given.items() if key not in refused}
        way_out = self.way_out()
        if way_out or kept == self.given:
            return way_out
        less = Search(kept, self.find_problems).way_out_or_less()
        return less and less._replace(met=(*self.problems, *less.met))


def _keys(problems: Iterable[Problem]) -> set[Key]:
    return {problem.key for problem in problems}


def distinct(problems: Iterable[Problem]) -> list[Problem]:
    """Return the first problem of each key."""
    return list({problem.key: problem for problem in reversed([*problems])}.values())[::-1]


def refusal_text(
    given: Mapping[str, str],
    find_problems: FindProblems,
    command: Callable[[Mapping[str, str]], str],
) -> str:
    """Say why answers are refused, what works instead, and the command that does it."""
    search = Search(given, find_problems)
    way_out = search.way_out_or_less()
    answers = way_out.answers if way_out else given
    problems = distinct([*search.problems, *(way_out.met if way_out else ())])
    lines = ["This cannot be done:" if len(problems) == 1 else f"{len(problems)} problems:"]
    for problem in problems:
        lines += ["", f"  {problem.heading}", f"    {problem.reason}"]
        working = search.working_ways(problem, problems, answers)[:OFFERED]
        if working:
            lines.append("    What works: " + ", or ".join(map(change, working)))
    if way_out is None:
        return masked("\n".join([*lines, "", "Nothing was written."]))
    changed = {key: answers.get(key) for key in {**given, **answers}}
    changed = {key: value for key, value in changed.items() if value != given.get(key)}
    how = f"{'' if set(changed.values()) == {None} else 'with '}{change(changed)}"
    lines += ["", f"Nothing was written. To run it again {how}:", "", f"  {command(answers)}"]
    return masked("\n".join(lines))
