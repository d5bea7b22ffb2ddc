"""What people read while cookiecutter asks, and how it is printed."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from typing import NoReturn

import click

from torch_plan.answers.questions import unasked
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.versions import CPU, FAMILIES, PYPI, family_of
from torch_plan.dialogue.invocation import Invocation
from torch_plan.project.plan import Plan
from torch_plan.text import listed, shell_line
from torch_plan.urls import masked

_said: set[str] = set()


def say(text: str) -> None:
    """Print a text to standard error, if there is one that takes it."""
    with contextlib.suppress(OSError, ValueError):
        print(masked(text), file=sys.stderr, flush=True)


def say_once(text: str) -> None:
    """Print a text to standard error, once per process."""
    if text not in _said:
        _said.add(text)
        say(text)


def end(message: str, invocation: Invocation) -> NoReturn:
    """End with a message and without a traceback, and leave nothing behind.

    cruft brings a click of its own, which does not catch the exception of the one here.
    """
    if invocation.cruft_command:
        say(f"Error: {message}")
        raise SystemExit(1)
    raise click.ClickException(message)


def unasked_note(answers: Mapping[str, str]) -> str:
    """Return which answers a person is not asked for, and what they are."""
    words = shell_line(f"{key}={answers[key]}" for key in unasked())
    return f"Not asked; add any of them to the command to change it (docs/answers.md):\n{words}\n"


def builds_note(release: str, detected: str, facts: Facts) -> str:
    """Return which builds a release has, and what a platform without the chosen one gets."""
    families: dict[str, list[str]] = {}
    for backend in facts.backends(release):
        families.setdefault(FAMILIES[family_of(backend)], []).append(backend)
    whatever = {PYPI: f"{PYPI} (whatever PyPI ships)", CPU: CPU, "xpu": "xpu (Intel GPUs)"}
    builds = "; ".join(
        whatever.get(names[0], f"{listed(names)} ({family})") for family, names in families.items()
    )
    accelerated = [name for name in facts.backends(release) if family_of(name) == "cu"]
    example = detected if detected != CPU else [CPU, *accelerated][-1]
    return (
        f"\ntorch {release} has these builds: {builds}.\n"
        f"A platform that does not have the build you choose gets the CPU build: with {example}, a "
        "Mac gets cpu. You need not answer anything else for that."
    )


def old_system_notes(
    plan: Plan, platform: str, system: tuple[str, tuple[int, ...]] | None
) -> Iterator[str]:
    """Yield a sentence where this machine's system is older than the default build needs."""
    floor = plan.default.floors.get(platform)
    if floor and system and system[0] == floor.system and system[1] < floor.version:
        here = f"{system[0]} {'.'.join(map(str, system[1]))}"
        yield (
            f"This machine has {here}, but {plan.default.build_on(platform)} of torch "
            f"{plan.releases[0]} needs {floor}; docs/support.md lists releases for older systems."
        )
