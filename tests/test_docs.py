"""The documentation: every command exists, every TOML block is read, no page is stale."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from page.choices import pyproject_of
from tests.conftest import PYTHON, RELEASE, ROOT, Bake
from tests.helpers.markdown import BLOCK
from tools.lib.lock import find_uv
from tools.lib.replica import Replica
from torch_plan.answers.questions import fixed_defaults
from torch_plan.catalog.facts import load_facts
from torch_plan.project.plan import make_plan
from torch_plan.resolution.check import find_problems
from torch_plan.resolution.defaults import complete

ANSWERS = ROOT / "docs/answers.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def blocks(language: str) -> list[object]:
    return [
        pytest.param(text, id=f"{page.name}-{number}")
        for page in PAGES
        for number, (kind, text) in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")))
        if kind == language and page != ANSWERS
    ]


def commands() -> list[object]:
    found = dict.fromkeys(
        part.strip()
        for page in PAGES
        for kind, text in BLOCK.findall(page.read_text(encoding="utf-8"))
        if kind == "console"
        for line in text.splitlines()
        for part in line.partition("  #")[0].split("&&")
    )
    return [pytest.param(command, id=command[:60]) for command in found]


@cache
def help_text(*command: str) -> str:
    """Return what a command says of its options."""
    done = subprocess.run(
        [*command, "--help"], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


def check_options(words: list[str], *command: str) -> None:
    for word in words:
        if word.startswith("--"):
            assert word.partition("=")[0] in help_text(*command), (word, command)


def check_answers(words: list[str]) -> None:
    """Check that a cookiecutter command has answers that the template takes."""
    given = dict(word.split("=", 1) for word in words if "=" in word and not word.startswith("-"))
    assert set(given) <= set(fixed_defaults())
    facts = load_facts()
    assert find_problems(complete(given, facts), facts) == []


@pytest.mark.parametrize("command", commands())
def test_command(command: str) -> None:  # noqa: C901  # one case for each kind of command
    words = shlex.split(command)
    match words:
        case ["uvx", "cookiecutter", *rest] | ["cookiecutter", *rest]:
            check_options(rest, sys.executable, "-m", "cookiecutter")
            check_answers(rest)
        case ["cruft", subcommand, *rest] | ["uvx", "cruft", subcommand, *rest]:
            check_options(rest, sys.executable, "-m", "cruft", subcommand)
        case ["uv", "run", "-m", module, *rest] | [
            "uv",
            "run",
            "--only-group",
            "demo",
            "-m",
            module,
            *rest,
        ]:
            check_options(rest, sys.executable, "-m", module)
            if module == "tools.demo":
                check_answers(rest)
        case ["uvx", "--from", _, "uv-torch-adopt", _, *rest] | [
            "uv",
            "run",
            "-m",
            "adopt",
            _,
            *rest,
        ]:
            options = [word for word in rest if word.startswith("--")]
            check_options(options, sys.executable, "-m", "adopt")
            check_answers(rest)
        case ["uv", "run", "pytest" | "ruff" | "mypy", *_]:
            pass
        case ["uv", "run", *rest]:
            until = next((i for i, word in enumerate(rest) if not word.startswith("-")), len(rest))
            check_options(rest[:until], find_uv(), "run")
        case ["uv", ("pip" | "tool") as kind, subcommand, *rest]:
            check_options(rest, find_uv(), kind, subcommand)
        case ["uv", subcommand, *rest]:
            check_options(rest, find_uv(), subcommand)
        case ["git", "restore", path]:
            assert (ROOT / path).is_file()
        case ["pip", "install", "uv"] | ["cd", _] | [".ci/run"]:
            pass
        case _:
            pytest.fail(f"no check knows this command: {command}")


@pytest.mark.parametrize("text", blocks("toml"))
def test_toml_is_known_to_uv(text: str, tmp_path: Path) -> None:
    """Uv warns about settings it does not know: read the block as part of a project."""
    block = tomllib.loads(text)
    head = "" if "dependencies" in block.get("project", {}) else "dependencies = []\n"
    start = f'[project]\nname = "x"\nversion = "0"\nrequires-python = ">=3.11"\n{head}'
    body = text.replace("[project]\n", "", 1) if "[project]\n" in text else "\n" + text
    (tmp_path / "pyproject.toml").write_text(start + body, encoding="utf-8")
    done = subprocess.run(
        [find_uv(), "lock", "--dry-run", "--offline", f"--python={PYTHON}"],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert "Failed to parse" not in done.stderr
    assert "unknown field" not in done.stderr
    assert "TOML" not in done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        assert target.startswith("http") or (page.parent / target).exists(), target


EXAMPLES = re.findall(
    r"(?m)^`(\w+=[^`\n]+)`:\n```toml\n((?s:.*?))^```$", ANSWERS.read_text("utf-8")
)


def pyproject(words: str) -> dict[str, Any]:
    """Return the pyproject.toml for answers, parsed."""
    answers = complete(dict(word.split("=", 1) for word in shlex.split(words)), load_facts())
    return tomllib.loads(pyproject_of(answers, make_plan(answers)))


def holds(rendered: Any, example: Any) -> bool:
    """Tell whether what was rendered has every key and every entry of an example."""
    if isinstance(example, dict):
        return all(key in rendered and holds(rendered[key], example[key]) for key in example)
    if isinstance(example, list):
        return all(any(holds(entry, wanted) for entry in rendered) for wanted in example)
    return bool(rendered == example)


@pytest.mark.parametrize(("answers", "text"), EXAMPLES, ids=[answers for answers, _ in EXAMPLES])
def test_example_of_an_answer(answers: str, text: str) -> None:
    """The answers give these lines, and without them at least one of them is another."""
    (base,) = re.findall(r"(?m)^cookiecutter .* --no-input (.*)$", ANSWERS.read_text("utf-8"))
    example = tomllib.loads(text)
    assert holds(pyproject(f"{base} {answers}"), example)
    assert not holds(pyproject(base), example)


def test_answers_page_describes_every_answer() -> None:
    page = ANSWERS.read_text(encoding="utf-8")
    assert re.findall(r"^## `(\w+)`$", page, flags=re.MULTILINE) == [*fixed_defaults()]
    assert len(EXAMPLES) == page.count("```toml")


@pytest.mark.slow
def test_recipe_without_a_network(bake: Bake, stub_replica: Replica) -> None:
    project = bake(
        torch_version=RELEASE,
        python_version=PYTHON,
        companions="none",
        pytorch_index=stub_replica.url,
    )
    project.lock()
    cache_option = ("--cache-dir", str(project.path.parent / "carried-cache"))
    project.uv("sync", "--locked", *cache_option)
    shutil.rmtree(project.path / ".venv")
    project.uv("sync", "--locked", "--offline", *cache_option)
    assert f"torch: {RELEASE}+cpu" in project.uv("run", "--no-sync", "my-ml-project-smoke")
