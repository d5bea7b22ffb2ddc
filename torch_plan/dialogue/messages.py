"""What people read while cookiecutter asks, and how it is printed."""

from __future__ import annotations

import contextlib
import re
import sys

from torch_plan.addresses import ANSWERS, SUPPORT
from torch_plan.answers.questions import QUESTIONS_PATH
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.versions import PYPI, version_key
from torch_plan.resolution.defaults import default_release
from torch_plan.text import listed
from torch_plan.urls import masked

MISSED = f"""\
A library to publish: make it again with torch_pin=minimum ({ANSWERS}#torch_pin).
A Dockerfile: make it again with dockerfile=yes ({ANSWERS}#dockerfile)."""
"""What people miss among the answers that they are not asked for."""

_NAMES = {PYPI: f"{PYPI} (whatever PyPI ships)", "xpu": "xpu (Intel GPUs)"}
"""Builds whose names say too little."""
SAID: set[str] = set()
"""How the sentences begin that were said once in this run."""


def say(text: str) -> None:
    """Print a text to standard error, if there is one that takes it."""
    with contextlib.suppress(OSError, ValueError):
        print(masked(text), file=sys.stderr, flush=True)


def say_once(*texts: str) -> None:
    """Print texts to standard error, but none that begins, up to a colon, as one before it."""
    for text in texts:
        if (head := text.partition(": ")[0]) not in SAID:
            SAID.add(head)
            say(text)


def help_on(key: str) -> str:
    """Return what an answer is, as the page about all of them has it."""
    path = QUESTIONS_PATH.with_name("docs") / "answers.md"
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    section = re.search(rf"(?m)^## `{key}`\n\n(.+)$", page)
    return f"\n{section[1] if section else key} ({ANSWERS}#{key})\n"


def builds_note(release: str, facts: Facts) -> str:
    """Return which builds a release has, or all do, and what a platform without one gets."""
    newest: dict[str, list[str]] = {}
    for backend in facts.backends(release) if release else reversed(facts.all_backends):
        name = release or default_release(backend, facts)
        newest.setdefault(name, []).append(_NAMES.get(backend, backend))
    told = sorted(newest, key=version_key, reverse=True)[:6]
    builds = "; ".join(f"{listed(newest[name])}: torch {name}" for name in told)
    builds += f"; older ones: {SUPPORT}" if len(newest) > len(told) else ""
    return (
        f"\nThe builds{'' if release else ', and the release that you get with each'}: {builds}.\n"
        "A platform without the build that you choose gets the CPU build, as every Mac does. You "
        "need not answer anything else for that."
    )
