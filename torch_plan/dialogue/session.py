"""What happens while cookiecutter collects the answers: notes, questions again, and the check."""

from __future__ import annotations

import sys
from collections.abc import Mapping, MutableMapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import click

from torch_plan.addresses import ANSWERS
from torch_plan.answers import suggest
from torch_plan.answers.meaning import Meaning, ProperAnswers
from torch_plan.answers.problems import Refused
from torch_plan.answers.questions import as_text, fixed_defaults, in_order, questions, unasked
from torch_plan.answers.records import FREE_TEXT
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.versions import version_key
from torch_plan.dialogue import messages
from torch_plan.dialogue.commands import Commands, unknown_keys
from torch_plan.dialogue.invocation import Invocation, find_invocation
from torch_plan.dialogue.messages import say, say_once
from torch_plan.project.plan import Plan, make_plan
from torch_plan.resolution import defaults
from torch_plan.resolution.check import find_problems, settled
from torch_plan.text import shell_line

OLDEST_COOKIECUTTER = "2.7.0"
"""The first cookiecutter that this template was tried with."""


class Session:
    """What templates call in a Jinja environment: one renders questions, another the files."""

    def __init__(self, facts: Facts, invocation: Invocation | None = None) -> None:
        self.facts = facts
        self.invocation = invocation or find_invocation()
        self.commands = Commands(self.invocation, facts)
        self._understood: dict[tuple[tuple[str, str], ...], Meaning] = {}

    def begin(self, context: MutableMapping[str, Any]) -> str:
        """Say at once what is wrong with the command line, before a person answers any question.

        The answers that nobody is asked for are written into the context: cookiecutter hands over
        only those that it asks for. So defaults can depend on them, and they are recorded.
        """
        invocation = self.invocation
        messages.SAID.clear()
        self.check_programs()
        given = {**invocation.config_defaults, **invocation.given}
        private = [key for key in given if key.startswith("_") and key in questions()]
        if private and not invocation.is_update:
            self.end(f"{private[0]} cannot be given: the template computes it. Leave it out.")
        for key in [] if invocation.is_update else unknown_keys(invocation.config_defaults):
            near = suggest.close(key, [*fixed_defaults()], count=1, cutoff=0.8)
            if near:
                say(f"Your cookiecutter configuration sets {key}; did you mean {near[0]}?")
        known = self.invocation.known
        context.update({key: known.get(key, default) for key, default in unasked().items()})
        context.update({key: known[key] for key in questions()["_computed"] if key in known})
        if invocation.prompts:
            # Imported where it is needed: only a terminal has use for it.
            from torch_plan.dialogue.again import lasting_problems

            given = {**self.commands.unknown, **known}
            # What no answer to a question could make right.
            if lasting_problems(given, in_order(), self.commands.find_problems, self.facts):
                self.refuse(given)
            words = shell_line(f"{key}={context[key]}" for key in unasked())
            say(
                f"Not asked; add any of them to the command to change it ({ANSWERS}):\n"
                f"{words}\nAt each question `?` shows help.\n"
            )
        return ""

    def check_programs(self) -> None:
        """Refuse another copy of this package, and a cookiecutter that is too old."""
        template_root = self.invocation.template_root
        own_root, template = Path(__file__).resolve().parents[2], Path(template_root).resolve()
        if template_root and own_root != template:
            self.end(
                f"Python imports torch_plan from {own_root}, but the template is in {template}. "
                "Run the command from another folder, or remove the first of them from PYTHONPATH."
            )
        installed = version("cookiecutter")  # cookiecutter.__version__ of 2.7.0 says 2.6.0
        if version_key(installed) < version_key(OLDEST_COOKIECUTTER):
            self.end(
                f"cookiecutter {installed} is too old. This template needs {OLDEST_COOKIECUTTER} "
                "or newer; `uvx cookiecutter@latest` runs the newest."
            )
        is_read = "extra_context" in self.invocation.parameters or self.invocation.recorded
        if not is_read and not self.invocation.is_update:
            say(
                f"This template cannot read the command line of cookiecutter {installed}, and so "
                "takes answers with misspelt names without a word. Check the names of your answers."
            )

    def ask_again(self, context: MutableMapping[str, Any], key: str) -> str:
        """Ask a person for an answer again, until it can stand.

        One that was not asked for yet gets its default, and is asked for where there is a choice.
        Where nobody is asked, `check` says at the end what is wrong. So it does where answers come
        through a pipe: one that is asked for again would take the answer to the next question.
        """
        is_new = key not in context
        if is_new:
            context[key] = self.default_of(context, key)
        is_replay = self.invocation.parameters.get("replay")
        if not self.invocation.prompts or is_replay or not sys.stdin.isatty():
            return ""
        # Imported where it is needed: only a terminal has use for it.
        from cookiecutter.prompt import read_user_variable

        from torch_plan.dialogue.again import Again, question_again, without_overruled

        find, known = self.commands.find_problems, self.invocation.known
        asked = {name for name in questions() if not name.startswith("_")}
        number = len(asked.intersection(in_order()[: in_order().index(key) + 1]))
        prefix, prompts = f"  [dim][{number}/{len(asked)}][/] ", questions()["__prompts__"]
        others = {name: answer for name, answer in texts_of(context).items() if name != key}
        usual = known.get(key) or defaults.complete({**known, **others}, self.facts)[key]
        if is_new and context[key] != fixed_defaults()[key]:
            context[key] = read_user_variable(key, context[key], prompts, prefix)
        while True:
            answers = {**known, **texts_of(context)}
            again: Again | None = Again(messages.help_on(key), usual)
            if answers[key] != "?":
                again = question_again(key, answers, usual, find, self.facts)
            if not again:
                break
            say(again.text)
            context[key] = read_user_variable(key, again.default, prompts, prefix)
        understood = self.understand(without_overruled(key, texts_of(context)))
        if key == "torch_version":
            context["torch_backend"] = understood.answers["torch_backend"]
        say_once(*understood.notes)
        return ""

    def check(self, context: MutableMapping[str, Any]) -> str:
        """Refuse answers that cannot be served, before cookiecutter writes anything."""
        understood = self.understand(texts_of(context))
        say_once(*understood.notes)
        answers = understood.answers
        context.update(answers)
        own_problems = self.commands.problems(self.invocation.given, answers["project_slug"])
        if any(own_problems) or find_problems(answers, self.facts):
            self.refuse({**self.commands.unknown, **self.commands.explicit_answers(answers)})
        plan = self.plan_of(context)
        for told in plan.notes:
            say(str(told))
        # An update of the template may know of more platforms, so that these are none by default.
        context.update(settled(answers, self.facts))
        if self.invocation.prompts:
            say(messages.MISSED)
        return "passed"

    def understand(self, texts: Mapping[str, str]) -> Meaning:
        """Return what answers mean; each set is understood once."""
        key = tuple(texts.items())
        if key not in self._understood:
            self._understood[key] = defaults.understand(texts, self.facts)
        return self._understood[key]

    def answers_of(self, context: Mapping[str, Any]) -> ProperAnswers:
        """Return cookiecutter's answers in their proper form."""
        return self.understand(texts_of(context)).answers

    def plan_of(self, context: Mapping[str, Any]) -> Plan:
        """Return the plan for cookiecutter's answers."""
        answers = self.answers_of(context)
        try:
            return make_plan(answers, self.facts)
        except Refused:  # a replay renders no `check`
            self.refuse(answers)

    def default_of(self, context: Mapping[str, Any], key: str) -> str:
        """Return the default of a question, and say what is behind it.

        What the command gives counts before it is asked for: a release chooses the build. Whoever
        takes the build that this machine can run gets it in a release that has it here.
        """
        known, facts = self.invocation.known, self.facts
        answers = {**known, **texts_of(context)}
        if key == "torch_backend":
            given = self.understand(known).answers
            release = given.get("torch_version", "")
            if key not in given:
                detected = defaults.default_backend(release, facts)
                if self.invocation.prompts and (not release or release in facts.releases):
                    say(messages.builds_note(release, facts))
                say_once(detected.sentence)
        elif key == "torch_version" and "torch_backend" not in known:
            without = {name: text for name, text in answers.items() if name != "torch_backend"}
            of_machine = defaults.complete(without, facts)
            if of_machine["torch_backend"] == answers["torch_backend"]:
                return of_machine[key]
        proper = defaults.complete(answers, facts)
        if key == "torch_version":
            newest = defaults.newest_notes(proper[key], proper["torch_backend"], facts)
            say_once(*self.understand(known).notes, *map(str, newest))
        return proper[key]

    def refuse(self, given: Mapping[str, str]) -> NoReturn:
        """End with the message for answers that cannot be served."""
        self.end(self.commands.refusal(given))

    def end(self, message: str) -> NoReturn:
        """End with a message and without a traceback, and leave nothing behind.

        cruft brings a click of its own, which does not catch the exception of the one here.
        """
        if self.invocation.cruft_command:
            say(f"Error: {message}")
            raise SystemExit(1)
        raise click.ClickException(message)


def texts_of(context: Mapping[str, Any]) -> dict[str, str]:
    """Return cookiecutter's answers as text without space around it, and no private variables."""
    # A replay of an older project may lack some that nobody is asked for.
    answers = {**unasked(), **context}
    texts = {key: as_text(answers[key]) for key in fixed_defaults() if key in answers}
    return {key: text if key in FREE_TEXT else text.strip() for key, text in texts.items()}
