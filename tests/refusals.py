"""Refusals as a person gets them, and what follows from the command that they end with."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from torch_plan.defaults import complete
from torch_plan.facts import load_facts
from torch_plan.generation import refusal
from torch_plan.invocation import find_invocation

FACTS = load_facts()


def refused(given: Mapping[str, str]) -> str:
    """Return the message for answers that somebody gave."""
    return refusal(given, find_invocation(), FACTS)


def command_answers(text: str) -> dict[str, str]:
    """Return the answers that the command at the end of a refusal names."""
    words = shlex.split(text.splitlines()[-1])
    return dict(word.split("=", 1) for word in words[words.index("--no-input") + 1 :])


def rerun_answers(text: str) -> dict[str, str]:
    """Return all answers of the command that a refusal ends with."""
    return complete(command_answers(text), FACTS)
