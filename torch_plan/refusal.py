"""The message for answers that cannot be served: why, what works, the command to run."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping

import click

from torch_plan.answers import Problem
from torch_plan.defaults import default_answers
from torch_plan.facts import Facts
from torch_plan.plan import problems_of

_OFFERED = 3
"""How many ways out one problem names."""
_STEPS = 12
"""How many changes of answers are tried in a row; each solves a problem, so a few are enough."""

TEMPLATE = "gh:org/uv-torch-template"


def refusal_text(raw: Mapping[str, str], problems: list[Problem], facts: Facts) -> str:
    """Say why the answers are refused.

    Comes in: the answers and every problem with them. Goes out: a text that names for each problem
    changes that were tried and do away with it, and at the end a command that works.
    """
    lines = ["These answers do not go together:" if len(problems) > 1 else "This cannot be done:"]
    for problem in problems:
        lines += ["", f"  {problem.asked}", f"    {problem.reason}"]
        offered = working_ways(raw, problem, problems, facts)[:_OFFERED]
        if offered:
            lines.append("    What works: " + ", or ".join(_assignments(way) for way in offered))
    fixed = nearest_answers(raw, problems, facts)
    if fixed is not None:
        changed = {key: value for key, value in fixed.items() if value != raw.get(key)}
        lines += [
            "",
            "Nothing was written. To run it again "
            f"with {_assignments(changed)} and your other answers:",
            "",
            "  " + command(fixed, facts),
        ]
    return "\n".join(lines)


def working_ways(
    raw: Mapping[str, str], problem: Problem, problems: list[Problem], facts: Facts
) -> list[Mapping[str, str]]:
    """Return the problem's ways out that do away with it and bring up nothing new."""
    known = {other.asked for other in problems}
    working: list[Mapping[str, str]] = []
    for way in problem.ways:
        left = {other.asked for other in problems_of({**raw, **way}, facts)}
        if problem.asked not in left and left <= known and way not in working:
            working.append(way)
    return working


def nearest_answers(
    raw: Mapping[str, str], problems: list[Problem], facts: Facts
) -> dict[str, str] | None:
    """Return the answers with the changes it takes to be accepted, None if none were found."""
    answers, left = dict(raw), problems
    for _ in range(_STEPS):
        if not left:
            return answers
        tried = [
            (len(rest), {**answers, **way}, rest)
            for way in (way for problem in left for way in problem.ways)
            for rest in [problems_of({**answers, **way}, facts)]
        ]
        tried = [attempt for attempt in tried if attempt[1] != answers]
        if not tried:
            break
        _, answers, left = min(tried, key=lambda attempt: attempt[0])
    plain = {**raw, **_PLAIN_BUILD}
    plain["python_version"] = default_answers(plain, facts)["python_version"]
    return plain if not problems_of(plain, facts) else None


_PLAIN_BUILD = {
    "torch_backend": "cpu",
    "layout": "markers",
    "companions": "none",
    "platforms": "linux-x86_64",
    "numpy_guard": "auto",
}


def command(answers: Mapping[str, str], facts: Facts) -> str:
    """Return the command line that generates a project from these answers without a question.

    Answers that are the default anyway are left out, except the build: on another machine that
    default is another. Template and options are those of the command
    that is running, where cookiecutter was started from a command line.
    """
    context = click.get_current_context(silent=True)
    params = context.params if context else {}
    words = ["uvx", "cookiecutter"] if "UV" in os.environ else ["cookiecutter"]
    words.append(str(params.get("template") or TEMPLATE))
    for option in ("checkout", "directory", "output_dir", "config_file"):
        value = params.get(option)
        if value and value != ".":
            words += ["--" + option.replace("_", "-"), str(value)]
    words.append("--no-input")
    defaults = default_answers(answers, facts)
    words += [
        f"{key}={value}"
        for key, value in answers.items()
        if key in defaults and (value != defaults[key] or key == "torch_backend")
    ]
    return _joined(words)


def _assignments(way: Mapping[str, str]) -> str:
    return _joined([f"{key}={value}" for key, value in way.items()])


def _joined(words: list[str]) -> str:
    """Return words as the shell of this system takes them."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
