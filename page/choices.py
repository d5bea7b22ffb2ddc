"""What the page says of a choice: the plan and the template, or the refusal and the ways out.

It runs in the browser, and for the most common choices when the page is built. A choice is what
was answered on the page, under the keys of cookiecutter.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from torch_plan.addresses import TEMPLATE
from torch_plan.answers.meaning import ProperAnswers
from torch_plan.answers.problems import Problem, Way, with_changes
from torch_plan.answers.questions import fixed_defaults
from torch_plan.catalog.facts import load_facts
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.catalog.versions import CPU
from torch_plan.project.plan import Plan
from torch_plan.project.planning import make_plan
from torch_plan.resolution.check import find_problems
from torch_plan.resolution.defaults import complete, default_release, understand
from torch_plan.resolution.search import OFFERED, Search, distinct
from torch_plan.text import NOT_QUOTABLE, author, shell_line, toml, toml_key

ROOT = Path(__file__).resolve().parent.parent

LISTS = ("torch_backend", "companions", "platforms")
"""The answers that are words with spaces between them."""

NAMED = ("torch_version", "python_version", "torch_backend")
"""The answers that every command and every link names: their defaults change with the time."""

_TAKEN_OVER = ("[project]", "[project.optional-", "[dependency-groups]", "[tool.uv", "[[tool.uv")
"""How the tables of pyproject.toml begin that a project that exists takes over."""

_LEFT_OUT = {
    "[project]": r"(name|version|description|readme|authors) =",
    "[dependency-groups]": "dev =",
}
"""Table -> the lines of it that such a project has of its own."""

_DEV = '# without "dev" where the project has no such group'


def answers_of(choice: Mapping[str, str]) -> ProperAnswers:
    """Return all answers: those of a choice, and the defaults of the others.

    There is no machine to look at: the build is the CPU's. The Python is the oldest that the newest
    release is built for, or else the newest of the chosen release.
    """
    facts = load_facts()
    known = {key: value for key, value in choice.items() if key in fixed_defaults()}
    given = understand(known, facts).answers
    build = {"torch_backend": CPU, **given}
    release = given.get("torch_version") or default_release(build["torch_backend"], facts)
    oldest = facts.pythons_of(default_release(CPU, facts))[0]
    pythons = facts.pythons_of(release) or (oldest,)
    python = oldest if oldest in pythons else pythons[-1]
    return complete({"torch_version": release, "python_version": python, **build}, facts)


def problems_of(choice: Mapping[str, str]) -> list[Problem]:
    """Return why a choice cannot be had, nothing if it can."""
    reason = 'no quotes keep " $ ` \\ % and ! as they are in sh, cmd and PowerShell alike.'
    quoting = [
        Problem((key, "quotes"), f"{key}={value}", reason, ({key: plain},))
        for key, value in choice.items()
        if (plain := re.sub(NOT_QUOTABLE, "", value)) != value
    ]
    return [*quoting, *find_problems(answers_of(choice), load_facts())]


def command_of(choice: Mapping[str, str]) -> list[str]:
    """Return the words that start a project, quoted for sh, cmd and PowerShell."""
    answers = answers_of(choice)
    named = [key for key in answers if key in choice or key in NAMED]
    words = ["uvx", "cookiecutter", TEMPLATE, "--no-input"]
    return [shell_line([word]) for word in [*words, *(f"{key}={answers[key]}" for key in named)]]


def part_of(pyproject: str) -> str:
    """Return the part of a new pyproject.toml that a project that exists takes over."""
    parts = []
    for table in re.split(r"\n+(?=\[)", pyproject.strip()):
        header, *lines = table.splitlines()
        left_out = _LEFT_OUT.get(header, "$.")
        kept = [line for line in lines if not re.match(left_out, line)]
        kept = [re.sub(r"^default-groups .*", rf"\g<0>  {_DEV}", line) for line in kept]
        if kept and header.startswith(_TAKEN_OVER):
            parts.append("\n".join([header, *kept]))
    return "\n\n".join(parts)


@cache
def _environment() -> Environment:
    # As cookiecutter sets Jinja up; what it renders is no HTML.
    environment = Environment(
        loader=FileSystemLoader([ROOT, ROOT / "templates", ROOT / "page"]),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters.update(toml=toml, toml_key=toml_key)
    environment.globals.update(author_of=author)
    return environment


def html(name: str, **values: Any) -> str:
    """Return a file of this folder, rendered."""
    return _environment().get_template(name).render(platforms=PLATFORMS, **values)


def pyproject_of(answers: Mapping[str, str], plan: Plan) -> str:
    """Return the pyproject.toml of a new project."""
    template = _environment().get_template("{{cookiecutter.project_slug}}/pyproject.toml")
    return template.render(cookiecutter=answers, torch_plan=lambda _: plan)


def said_of(choice: Mapping[str, str]) -> dict[str, Any]:
    """Return all answers, and what is said of the choice as HTML."""
    answers = answers_of(choice)
    refusal = _refusal(tuple(choice.items()))
    if refusal.problems:
        entries = [
            (problem, [_button(way, answers) for way in ways]) for problem, ways in refusal.problems
        ]
        every = [_button(refusal.every, answers)] if refusal.every and len(entries) > 1 else []
        result = html("result.html", problems=entries, every=every)
    else:
        plan = make_plan(answers)
        part = part_of(pyproject_of(answers, plan))
        result = html("result.html", plan=plan, command=command_of(choice), part=part)
    return {"answers": answers, "html": result}


class _Refusal(NamedTuple):
    problems: list[tuple[Problem, list[Way]]]
    """Each with the ways out of it; those too that show only when another one is done away with."""
    every: Way
    """The way out of all of them, empty if none was found."""


@lru_cache(maxsize=1)
def _refusal(choice: tuple[tuple[str, str], ...]) -> _Refusal:
    search = Search(dict(choice), problems_of)
    way_out = search.way_out()
    accepted = way_out.answers if way_out else search.given
    problems = distinct([*search.problems, *(way_out.met if way_out else ())])
    ways = [search.working_ways(problem, problems, accepted)[:OFFERED] for problem in problems]
    every = {key: value for key, value in accepted.items() if value != search.given.get(key)}
    return _Refusal(list(zip(problems, ways, strict=True)), every)


def _button(way: Way, answers: Mapping[str, str]) -> tuple[str, str]:
    """Return what a button does, as JSON, and what it says: of a list the words that change."""
    said = []
    for key, value in way.items():
        words, before = str(value).split(), answers[key].split()
        added = [word for word in words if word not in before]
        removed = [word for word in before if word not in words]
        if key not in LISTS or len(words) == 1:
            said.append(f"{key}={value}")
        else:
            said.append(f"{key}: {' '.join(added) or 'without ' + ' '.join(removed)}")
    return json.dumps(way), ", ".join(said)


def say(request: str) -> str:
    """Answer the page, in JSON: what is said of a choice."""
    return json.dumps(said_of(json.loads(request)))


def refused(request: str) -> str:
    """Answer the page, in JSON: which choices of a list would be refused, true or false each.

    The first one is that on the page. Where it is refused itself, what leads out of it counts as
    not refused: a way out of one of its problems, and what goes with the way out of all of them.
    """
    shown, *others = json.loads(request)
    refusal = _refusal(tuple(shown.items()))
    offered = [way for _, ways in refusal.problems for way in ways]
    flags = []
    for choice in others:
        changed = {key: value for key, value in choice.items() if value != shown.get(key)}
        fixed = with_changes(choice, {**refusal.every, **changed})
        flags.append(changed not in offered and bool(problems_of(fixed)))
    return json.dumps(flags)
