"""What the page says of a choice: the plan and the template, or the refusal and the ways out.

It runs in the browser, and for the most common choices when the page is built. A choice is what
was answered on the page, under the keys of cookiecutter.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from torch_plan.addresses import ADOPT, DOCS, TEMPLATE, VERSION
from torch_plan.answers.grammar import is_yes
from torch_plan.answers.meaning import ProperAnswers
from torch_plan.answers.problems import Problem, Way
from torch_plan.answers.questions import fixed_defaults
from torch_plan.answers.records import NAMED, NO_COMPANIONS, OPTIONAL
from torch_plan.catalog.facts import load_facts
from torch_plan.catalog.hardware import runs_on
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.catalog.versions import CPU, family_of
from torch_plan.project.needs import CAPABILITIES
from torch_plan.project.plan import Option, Plan, make_plan
from torch_plan.resolution.cells import Cell
from torch_plan.resolution.check import find_problems
from torch_plan.resolution.defaults import complete, default_release, understand
from torch_plan.resolution.search import OFFERED, Search, distinct
from torch_plan.text import NOT_QUOTABLE, author, code, markdown, shell_line, toml, toml_key

ROOT = Path(__file__).resolve().parent.parent

PROJECT = "{{cookiecutter.project_slug}}"
"""The folder of the files of a new project."""

_SCRIPT = """
import torch

print(torch.__version__, torch.cuda.is_available())
"""


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
    words = [f"{key}={answers[key]}" for key in answers if key in choice or key in NAMED]
    return [shell_line([word]) for word in ("uvx", "cookiecutter", TEMPLATE, "--no-input", *words)]


def adopt_command_of(choice: Mapping[str, str]) -> str:
    """Return the command that changes a project that exists; its Pythons are its own."""
    answers = answers_of(choice)
    given = ("layout", "companions", "platforms", "pytorch_index")
    named = ["torch_version", "torch_backend", *(key for key in given if key in choice)]
    return shell_line([*ADOPT, ".", *(f"{key}={answers[key]}" for key in named), "--write"])


def part_of(pyproject: str) -> str:
    """Return the part of a new pyproject.toml that a project that exists takes over.

    What such a project has of its own is left out. A comment says of each table whether it goes
    into one that is there already.
    """
    taken = ("[project]", "[project.optional-", "[dependency-groups]", "[tool.uv", "[[tool.uv")
    parts = []
    for table in re.split(r"\n+(?=\[)", pyproject.strip()):
        header, *lines = table.splitlines()
        if header in ("[project]", "[dependency-groups]"):
            not_ours = r"(name|version|description|readme|authors|dev) ="
            lines = [line for line in lines if not re.match(not_ours, line)]
        if lines and header.startswith(taken):
            mark = "# New:" if header.startswith("[[") else "# New, or merge into yours:"
            parts.append("\n".join([mark, header, *lines]))
    return "\n\n".join(parts)


def alone(plan: Plan) -> list[tuple[str, str, str]]:
    """Return each build of a choice as files without a project: its name, and both texts.

    One is `requirements.txt`, for pip and for uv, the other a script with its own metadata
    (PEP 723). pip knows no index of a single package, so in the first a label names the build.
    """
    texts = []
    for option in plan.options:
        labelled = plan.alone(option, labelled=True)
        public = labelled if plan.is_library else plan.alone(option)
        lines = html("script.toml", plan=public).splitlines()
        metadata = "\n".join(f"# {line}".rstrip() for line in lines)
        script = f"# /// script\n{metadata}\n# ///\n{_SCRIPT}"
        name = option.name if plan.selector else ""
        texts.append((name, html("requirements.txt", plan=labelled).strip(), script))
    return texts


@cache
def _environment() -> jinja2.Environment:
    # The templates as Python runs them, where `compile.mjs` has put them.
    compiled = ROOT / "page/compiled"
    # As cookiecutter sets Jinja up; what it renders is no HTML.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([ROOT, ROOT / "templates", ROOT / "page"]),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        bytecode_cache=jinja2.FileSystemBytecodeCache(str(compiled)) if compiled.exists() else None,
    )
    environment.filters.update(code=code, markdown=markdown, toml=toml, toml_key=toml_key)
    environment.globals.update(author_of=author, needs_of=needs_of, toolkit=toolkit)
    return environment


def html(name: str, **values: Any) -> str:
    """Return a file of this folder, rendered."""
    return _environment().get_template(name).render(platforms=PLATFORMS, **values)


def pyproject_of(answers: Mapping[str, str], plan: Plan) -> str:
    """Return the pyproject.toml of a new project."""
    template = _environment().get_template(f"{PROJECT}/pyproject.toml")
    return template.render(cookiecutter=answers, torch_plan=lambda _: plan)


def files_of(choice: Mapping[str, str]) -> dict[str, str]:
    """Return name -> text of all files of a new project."""
    # Imported where it is needed: only the one who looks at the files waits for it.
    from torch_plan.project.ci import jobs_of
    from torch_plan.project.readme import advice, made_with

    answers, facts = answers_of(choice), load_facts()
    plan, folder = make_plan(answers), ROOT / PROJECT
    environment, files = _environment(), {}
    given: dict[str, Any] = {
        "cookiecutter": {**answers, "__package_name": plan.package},
        "advice": lambda _: advice(plan, answers, facts),
        "docs": DOCS,
        "is_yes": is_yes,
        "jobs": jobs_of,
        "made_with": lambda _: made_with(answers, facts),
        "template_version": VERSION,
        "torch_plan": lambda _: plan,
    }
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = environment.from_string(path.relative_to(folder).as_posix()).render(given)
        if name and not name.endswith("/"):
            template = environment.get_template(path.relative_to(ROOT).as_posix())
            files[name] = template.render(given)
    return files


def said_of(choice: Mapping[str, str]) -> dict[str, Any]:
    """Return all answers, and what is said of the choice as HTML."""
    answers = answers_of(choice)
    if problems_of(choice):
        return {"answers": answers, "html": html("result.html", **_refusal(choice, answers))}
    plan = make_plan(answers)
    result = html(
        "result.html",
        plan=plan,
        command=command_of(choice),
        notes=[(note.text, _buttons(note.ways, answers)) for note in plan.notes],
        adopt=adopt_command_of(choice),
        part=part_of(pyproject_of(answers, plan)),
        alone=alone(plan),
        slug=answers["project_slug"],
    )
    return {"answers": answers, "html": result}


def _refusal(choice: Mapping[str, str], answers: ProperAnswers) -> dict[str, Any]:
    """Return a card for each reason, and the way out of all of them where that is one more way.

    What shows only when another problem is done away with is there too.
    """
    search = Search(choice, problems_of)
    way_out = search.way_out()
    accepted = way_out.answers if way_out else search.given
    problems = distinct([*search.problems, *(way_out.met if way_out else ())])
    reasons: dict[str, list[Problem]] = {}
    for problem in problems:
        reasons.setdefault(problem.reason, []).append(problem)
    cards = []
    for reason, alike in reasons.items():
        first, *others = [search.working_ways(one, problems, accepted) for one in alike]
        ways = [way for way in first if all(way in other for other in others)]
        heading = ", ".join(problem.heading for problem in alike)
        cards.append((heading, reason, _buttons(ways, answers)[:OFFERED]))
    every = {key: value for key, value in accepted.items() if value != search.given.get(key)}
    is_one_more = len(cards) > 1 or not cards[0][-1]
    return {"cards": cards, "every": _buttons([every], answers) if is_one_more else []}


def _buttons(ways: Iterable[Way], answers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the change that each way makes, as JSON, and what its button says; each once."""
    labels = {}
    for way in ways:
        change = {key: value for key, value in way.items() if value != answers[key]}
        said = [_said(key, answers[key], value) for key, value in change.items()]
        if change:
            labels[json.dumps(change)] = ", ".join(said)
    return list(labels.items())


def _said(key: str, before: str, after: str | None) -> str:
    """Return a change of an answer as a person makes it: of a list the words that change."""
    if after is None or key not in ("torch_backend", "companions", "platforms"):
        called = {"torch_version": "PyTorch", "python_version": "Python"}
        return f"{called.get(key, key)} {after or 'as usual'}"
    old, new = before.split(), after.split()
    added = [word for word in new if word not in old]
    removed = [word for word in old if word not in new]
    if not added or after == NO_COMPANIONS:
        return f"without {' '.join(removed)}"
    optional = [word.removesuffix(OPTIONAL) for word in added if word.endswith(OPTIONAL)]
    if optional == removed and len(added) == len(removed):
        return f"{' '.join(removed)} only where it exists"
    replaced = len(old) > 1 and key != "platforms" and removed
    return " ".join(added) + (f" in place of {' '.join(removed)}" if replaced else "")


def toolkit(build: str) -> str:
    """Return the version of CUDA that a build is made with, empty for other builds."""
    return f"{build[2:-1]}.{build[-1]}" if family_of(build) == "cu" else ""


def needs_of(option: Option, cell: Cell) -> list[str]:
    """Return what a build needs of a machine, with the names of NVIDIA's cards that it runs on."""
    hardware = load_facts().hardware
    compiled = hardware.compiled_for(cell.release, cell.build, cell.platform)
    cards = ", ".join(
        names
        for card, names in hardware.cards(cell.platform).items()
        if any(runs_on(code, card) for code in compiled)
    )
    needs = option.needs[cell.platform]
    return [cards if cards and need.startswith(CAPABILITIES) else need for need in needs]


def have(text: str, platform: str) -> tuple[dict[str, str], str]:
    """Return the choice for a GPU that somebody names, nothing if the text names none; and why."""
    # Imported where it is needed: most choices ask for nothing of it.
    from torch_plan.catalog.hardware import Gpu
    from torch_plan.machine.detection import detect
    from torch_plan.machine.gpus import named_gpu

    facts = load_facts()
    is_mac = platform.startswith("macos")
    gpu = Gpu("", "") if is_mac else named_gpu(text, facts.hardware, platform)
    if gpu is None:
        return {}, "That names no card and no driver that is known here."
    detected = detect("", facts, gpu, platform)
    release = {"torch_version": detected.release} if detected.release else {}
    answers = answers_of({**release, "torch_backend": detected.backend})
    return {key: answers[key] for key in NAMED}, detected.sentence


def ask(name: str, request: str) -> str:
    """Answer a question of the page; both are JSON."""
    questions: dict[str, Callable[..., object]] = {
        "say": said_of,
        "have": have,
        "files": lambda choice: html("files.html", files=files_of(choice)),
        "refused": lambda *choices: [bool(problems_of(choice)) for choice in choices],
    }
    return json.dumps(questions[name](*json.loads(request)))
