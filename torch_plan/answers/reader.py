"""Reading answers: each problem is noted, and the next answer is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from torch_plan.answers.problems import Problem, Way


class Reader:
    """Gives the answers as text, and collects what is wrong with them."""

    def __init__(self, raw: Mapping[str, str]) -> None:
        self.raw = raw
        self.problems: list[Problem] = []

    def text(self, key: str) -> str:
        """Return an answer without space around it, empty where it was not given."""
        return str(self.raw.get(key, "")).strip()

    def words(self, key: str) -> list[str]:
        """Return the words of a list."""
        return self.text(key).split()

    def refuse(self, key: str, reason: str, replacements: Iterable[str], near: int = 0) -> None:
        """Refuse a whole answer; each replacement is a way out, the first ones what was meant."""
        ways = tuple({key: value} for value in dict.fromkeys(replacements) if value)
        self.problems.append(Problem((key,), f"{key}={self.text(key)}", reason, ways, near))

    def refuse_word(
        self,
        key: str,
        word: str,
        about: str,
        reason: str,
        replacements: Iterable[object],
        *,
        also: Sequence[Way] = (),
        near: int = 0,
    ) -> None:
        """Refuse one word of an answer; each replacement is a way out, `also` are other ones.

        `about` tells two problems of one word apart. An empty replacement leaves the word out: the
        way out for a repeated word, and for one that resembles no other.
        """
        words = self.text(key).split()
        ways: list[Way] = []
        for replacement in map(str, replacements):
            changed = [replacement if other == word else other for other in words]
            if not replacement:
                # Keep the first of two equal words.
                last = len(words) - 1 - words[::-1].index(word)
                changed = words[:last] + words[last + 1 :]
            kept = dict.fromkeys(other for other in changed if other)
            if kept:
                ways.append({key: " ".join(kept)})
        heading = f"{word} in {key}={self.text(key)}" if len(words) > 1 else f"{key}={word}"
        key_of = (key, word, about)
        self.problems.append(Problem(key_of, heading, reason, (*ways, *also), near))
