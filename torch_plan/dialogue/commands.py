"""The command that is running: what is wrong with it, and the commands to type instead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from os.path import exists  # Path.exists raises an OSError for a long name

from torch_plan.addresses import ANSWERS
from torch_plan.answers import suggest
from torch_plan.answers.problems import Problem, Way
from torch_plan.answers.questions import fixed_defaults
from torch_plan.answers.records import NAMED
from torch_plan.catalog.facts import Facts
from torch_plan.dialogue.invocation import Invocation
from torch_plan.resolution import defaults
from torch_plan.resolution.check import find_problems
from torch_plan.resolution.search import refusal_text
from torch_plan.text import shell_line


class Commands:
    """Commands like the one that is running, with other answers."""

    def __init__(self, invocation: Invocation, facts: Facts) -> None:
        self.invocation, self.facts = invocation, facts
        given = invocation.given
        self.unknown = {key: given[key] for key in unknown_keys(given)}

    def find_problems(self, answers: Mapping[str, str]) -> list[Problem]:
        """Return the problems of answers, with defaults for all others, and of their command."""
        known = {key: value for key, value in answers.items() if key in fixed_defaults()}
        proper = defaults.complete(known, self.facts)
        own_problems = self.problems(answers, proper["project_slug"])
        return [*own_problems, *find_problems(proper, self.facts)]

    def problems(self, given: Mapping[str, str], slug: str) -> Iterator[Problem]:
        """Yield what is wrong with the command, and not with the answers among themselves."""
        if self.invocation.is_update:
            return  # a project may have recorded answers that no longer exist
        for key in unknown_keys(given):
            near = suggest.close(key, fixed_defaults().keys() - given.keys(), cutoff=0.5)
            ways: list[Way] = [{key: None, name: given[key]} for name in near]
            reason = f"the template has no such answer; {ANSWERS} lists all of them."
            heading = f"{key}={given[key]}"
            yield Problem(("unknown", key), heading, reason, tuple(ways or [{key: None}]))
        folder = self.invocation.output_folder / slug.strip()
        may_overwrite = self.invocation.parameters.get("overwrite_if_exists")
        if slug.strip() and not may_overwrite and exists(folder):  # noqa: PTH110
            reason = (
                f"{folder} already exists. Choose another name, or add -f to the command to "
                "overwrite its files."
            )
            numbered = (folder.with_name(f"{folder.name}-{number}") for number in count(2))
            free = next(path for path in numbered if not exists(path))  # noqa: PTH110
            way = {"project_slug": free.name}
            yield Problem(("project_slug", "folder"), f"project_slug={slug}", reason, (way,))

    def command(self, answers: Mapping[str, str]) -> list[str]:
        """Return the words of the command for answers."""
        proper = defaults.complete(answers, self.facts)
        return self.invocation.command(
            {key: proper[key] for key in proper if key in answers or key in NAMED}
        )

    def refusal(self, given: Mapping[str, str]) -> str:
        """Return the message for answers that somebody gave and that cannot be served."""
        return refusal_text(
            given, self.find_problems, lambda answers: shell_line(self.command(answers))
        )

    def explicit_answers(self, answers: Mapping[str, str]) -> dict[str, str]:
        """Return the answers of the command, and all others that differ from their default.

        Of those it is not known whether a configuration or a person at a prompt gave them.
        """
        explicit = {key: answers[key] for key in answers if key in self.invocation.given}
        for key, answer in answers.items():
            if answer != defaults.complete(explicit, self.facts).get(key, answer):
                explicit[key] = answer
        return explicit


def unknown_keys(answers: Iterable[str]) -> list[str]:
    """Return the keys that no answer has; private ones are looked at by `Session.begin`."""
    return [key for key in answers if not key.startswith("_") and key not in fixed_defaults()]
