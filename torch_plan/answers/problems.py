"""Why answers are refused, and what people are told of those that are accepted."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from torch_plan.text import shell_line
from torch_plan.urls import masked

Key = tuple[str, ...]
Way = Mapping[str, "str | None"]
"""Changes of answers: key -> the value to give it, None to leave it out."""


def with_changes(given: Mapping[str, str], way: Way) -> dict[str, str]:
    """Return answers with the changes of a way out."""
    return {key: value for key, value in {**given, **way}.items() if value is not None}


def change(way: Way) -> str:
    """Return a way as words of the command line; `without x` where it only leaves x out."""
    words = [f"{key}={value}" for key, value in way.items() if value is not None]
    return shell_line(words) if words else f"without {', '.join(way)}"


class Objection(NamedTuple):
    """Why an answer cannot stand, and what to give in its place, the nearest first."""

    reason: str
    replacements: tuple[str, ...]


class Note(NamedTuple):
    """What people should know of answers that are accepted."""

    text: str
    ways: tuple[Way, ...] = ()
    """Changes that give something else, the nearest first; every one is accepted."""

    def __str__(self) -> str:
        ways = ", or ".join(map(change, self.ways))
        return f"{self.text} To change that: {ways}" if ways else self.text


class Problem(NamedTuple):
    """One reason to refuse: what it is about, what people read, and what may help."""

    key: Key
    """What the problem is about: an answer, and the word, variant or platform within it.

    It stays the same while answers change, so it tells whether a change does away with a problem.
    """
    heading: str
    """What was asked, as people read it."""
    reason: str
    ways: tuple[Way, ...] = ()
    """Changes that may work, the nearest first; each is tried before it is offered."""
    near: int = 0
    """How many of them, from the first, give what was probably meant."""


FindProblems = Callable[[Mapping[str, str]], Sequence[Problem]]
"""Tells what is wrong with the answers that were given, all others being the defaults."""


class Refused(Exception):
    """The answers cannot be planned; `problems` says why, every one of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        text = "; ".join(f"{problem.heading}: {problem.reason}" for problem in problems)
        super().__init__(masked(text))
        self.problems = tuple(problems)
