"""The questions, answered in a terminal as a person types."""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

import pexpect
import pytest

from tests.conftest import ROOT, empty_config, git
from tests.helpers.elsewhere import copy_template, run
from tests.helpers.interpreters import install
from tests.helpers.machines import terminal
from torch_plan.answers.questions import questions
from torch_plan.catalog.facts import load_facts
from torch_plan.dialogue.session import OLDEST_COOKIECUTTER

Ask = Callable[..., "pexpect.spawn[str]"]

pytestmark = terminal


@pytest.fixture
def start(tmp_path: Path) -> Ask:
    """Start a command in a terminal of its own."""

    def spawn(*words: object) -> pexpect.spawn[str]:
        first, *more = map(str, words)
        return pexpect.spawn(
            first,
            more,
            cwd=tmp_path,
            env={
                **os.environ,
                "COOKIECUTTER_CONFIG": str(empty_config(tmp_path)),
                "TERM": "dumb",
                "COLUMNS": "300",
                "PATH": "/usr/bin:/bin",
                "PYTHONPATH": "",
            },
            encoding="utf-8",
            dimensions=(40, 300),
            timeout=30,
        )

    return spawn


@pytest.fixture
def ask(start: Ask) -> Ask:
    """Start cookiecutter in a terminal of its own."""
    return lambda *words: start(sys.executable, "-m", "cookiecutter", ROOT, *words)


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """Put the template into a git repository of its own, as cruft needs it."""
    folder = copy_template(tmp_path / "template")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=template")
    return folder


def key_of(shown: str) -> str:
    """Return the answer that a question is about, as it is shown."""
    prompts: dict[str, str] = questions()["__prompts__"]
    return next(key for key, text in prompts.items() if shown.startswith(text))


def answer(terminal: pexpect.spawn[str], **typed: str | Sequence[str]) -> str:
    """Answer every question, with Enter where nothing is to be typed; return what was shown.

    Several answers to one question are typed one after the other, as often as it is asked.
    """
    left = {key: [text] if isinstance(text, str) else [*text] for key, text in typed.items()}
    shown = ""
    while terminal.expect([r"\[\d+/\d+\] ([^\n]*)\): $", pexpect.EOF]) == 0:
        shown += f"{terminal.before}{terminal.after}"
        key = key_of(str(terminal.match[1]))  # type: ignore[index]
        texts = left.get(key) or [""]
        terminal.sendline(texts.pop(0))
    assert not any(left.values()), left
    return shown + str(terminal.before)


def indexes(project: Path) -> list[str]:
    """Return the indexes that a project takes torch from."""
    text = (project / "pyproject.toml").read_text(encoding="utf-8")
    sources = tomllib.loads(text)["tool"]["uv"]["sources"]["torch"]
    return [source["index"] for source in ([sources] if isinstance(sources, dict) else sources)]


def test_the_question_for_the_build_says_what_there_is(ask: Ask, tmp_path: Path) -> None:
    terminal = ask("after_generation=nothing")
    shown = answer(terminal, torch_backend="cu130")
    before = shown.partition("PyTorch build (or several")[0]
    newest = load_facts().releases[-1]
    assert f"cpu and pypi (whatever PyPI ships): torch {newest}; " in before
    assert "; cu128: torch 2.11.0; " in before
    assert "as every Mac does. You need not answer anything else for that." in before
    assert re.search(r"Found .+\.|This is macOS", before)
    assert indexes(tmp_path / "my-ml-project") == ["pytorch-cu130", "pytorch-cpu"]


def test_another_release_has_other_builds(ask: Ask) -> None:
    shown = answer(ask("after_generation=nothing", "torch_version=2.9.1"))
    assert "cpu, cu126, cu128, cu129, cu130, rocm6.3, rocm6.4 and" in shown


def test_what_is_not_asked_is_shown(ask: Ask) -> None:
    shown = answer(ask("after_generation=nothing", "dockerfile=yes"))
    first = shown.partition("[1/10]")[0]
    assert "dockerfile=yes after_generation=nothing" in first


TYPED: dict[str, str | Sequence[str]] = {
    "project_name": "Torch",
    "project_slug": ("", ""),
    "torch_backend": ("?", "cuda", "cpu cu1300", ""),
    "layout": ("one", "extras"),
    "torch_version": ("2.15.9", "2.9.1+cu126", "2.15.0"),
    "python_version": ("3.7", "3,12"),
    "companions": ("torchvison", ""),
    "platforms": ("linux-x86_64 windows-x8664 macos-arm64", ""),
    "github_actions": ("maybe", "no"),
}
"""What a person types for each question as it comes again; nothing is Enter."""

SAID = (
    "the name of a package that the project depends on",
    "The build, by uv's names",
    "several builds can be meant",
    "cpu cu1300",
    "the choices are: markers, extras, groups.",
    "this template knows no such release",
    "the version names the build cu126, but torch_backend does not",
    "PyTorch has wheels for Python",
    "python_version=3,12 is taken for 3.12.",
    "the companions of torch are",
    "windows-x8664 in platforms=",
    "the answer is yes or no",
)
"""What is said of them, in this order."""


def check_typed(terminal: pexpect.spawn[str], folder: Path) -> None:
    """Type mistakes, and check that each was told at once and that a project came of it."""
    shown = answer(terminal, **TYPED)
    positions = [shown.find(text) for text in SAID]
    assert -1 not in positions, (positions, shown)
    assert positions == sorted(positions)
    assert "Nothing was written" not in shown
    project = folder / "torch-project"
    text = (project / "pyproject.toml").read_text(encoding="utf-8")
    assert [*tomllib.loads(text)["project"]["optional-dependencies"]] == ["cpu", "cu130"]
    assert (project / ".python-version").read_text(encoding="utf-8") == "3.12\n"
    assert not (project / ".github").exists()
    terminal.close()
    assert terminal.exitstatus == 0


def test_each_mistake_is_told_at_once_and_asked_again(ask: Ask, tmp_path: Path) -> None:
    check_typed(ask("after_generation=nothing"), tmp_path)


def cruft_create(python: str | Path, template: Path) -> list[object]:
    """Return the command with which cruft asks and creates."""
    context = json.dumps({"after_generation": "nothing"})
    return [python, "-m", "cruft", "create", template, "--extra-context", context]


@pytest.mark.slow
def test_cruft_asks_again_and_records_what_was_taken(
    start: Ask, template: Path, tmp_path: Path
) -> None:
    check_typed(start(*cruft_create(sys.executable, template)), tmp_path)
    recorded = (tmp_path / "torch-project/.cruft.json").read_text(encoding="utf-8")
    answers = json.loads(recorded)["context"]["cookiecutter"]
    assert answers["torch_backend"] == "cpu cu130"
    assert answers["platforms"] == "linux-x86_64 windows-x86_64 macos-arm64"
    assert answers["numpy_guard"] == "auto"


@pytest.mark.slow
@pytest.mark.parametrize("program", ["cookiecutter", "cruft"])
def test_the_oldest_cookiecutter_asks_again(
    start: Ask, template: Path, tmp_path: Path, program: str
) -> None:
    oldest = f"cookiecutter=={OLDEST_COOKIECUTTER}"
    python = install(tmp_path / "venv", sys.executable, oldest, program)
    command = [python, "-m", "cookiecutter", template, "after_generation=nothing"]
    check_typed(
        start(*(cruft_create(python, template) if program == "cruft" else command)), tmp_path
    )


@pytest.mark.slow
@pytest.mark.parametrize("program", ["cookiecutter", "cruft"])
@pytest.mark.parametrize("end", ["ctrl-c", "end of file"])
def test_whoever_stops_at_the_repeated_question_gets_no_project(
    ask: Ask, start: Ask, template: Path, tmp_path: Path, program: str, end: str
) -> None:
    """It ends as it does at a question of cookiecutter's own."""
    ended = []
    for typed in ("", "2.9.7"):
        if program == "cruft":
            terminal = start(*cruft_create(sys.executable, template))
        else:
            terminal = ask("after_generation=nothing")
        for _ in range(5):
            terminal.expect(r"\): $")
            terminal.sendline()
        terminal.expect(r"PyTorch release \([^)]*\): ")
        if typed:
            terminal.sendline(typed)
            terminal.expect(r"PyTorch release \(2\.9\.1\): ")
        if end == "ctrl-c":
            terminal.sendintr()
        else:
            terminal.sendeof()
        terminal.expect(pexpect.EOF)
        terminal.close()
        ended.append((str(terminal.before).strip(), terminal.exitstatus, terminal.signalstatus))
    assert ended[0] == ended[1]
    assert ended[0][1] != 0
    assert not (tmp_path / "my-ml-project").exists()


WISHES = {
    "CUDA 12.8 on a Linux server, the CPU on a Mac": (
        {"torch_backend": "CUDA 12.8", "platforms": "linux mac"},
        ("torch 2.11.0 is the newest release with cu128",),
        {"torch==2.11.0"},
        {"pytorch-cu128", "pytorch-cpu"},
    ),
    "the CPU in a small Docker image": (
        {"torch_backend": "cpu", "companions": "none", "platforms": "linux"},
        ("A Dockerfile: make it again with dockerfile=yes (https://",),
        {"torch==2.15.0"},
        {"pytorch-cpu"},
    ),
    "two builds in a library to publish": (
        {"torch_backend": "cpu, 13.0", "layout": "extras"},
        ("How to switch: groups", "A library to publish: make it again with torch_pin=minimum"),
        set(),
        {"pytorch-cpu", "pytorch-cu130"},
    ),
}
"""What a person wants -> what they type, what they are told, and what the project has of torch."""


@pytest.mark.parametrize("wish", WISHES)
def test_a_wish_is_typed_without_a_slip(ask: Ask, tmp_path: Path, wish: str) -> None:
    typed, told, required, sources = WISHES[wish]
    shown = answer(ask("after_generation=nothing"), **typed)
    assert "What works" not in shown
    assert "start again" not in shown
    assert [text for text in told if text not in shown] == []
    project = tmp_path / "my-ml-project"
    text = (project / "pyproject.toml").read_text(encoding="utf-8")
    dependencies = tomllib.loads(text)["project"]["dependencies"]
    assert {name for name in dependencies if name.startswith("torch==")} == required
    assert {*indexes(project)} == sources


def test_a_folder_in_the_way_is_told_with_a_free_name(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "my-ml-project").mkdir()
    shown = answer(ask("after_generation=nothing"), project_slug=("", ""))
    assert "my-ml-project already exists" in shown
    assert (tmp_path / "my-ml-project-2/pyproject.toml").is_file()


def test_nobody_is_asked_in_a_terminal_without_input(ask: Ask) -> None:
    terminal = ask("--no-input", "layout=rows", "torch_version=2.9.7")
    shown = answer(terminal)
    assert "2 problems:" in shown
    assert "[" not in shown
    terminal.close()
    assert terminal.exitstatus == 1


def test_a_pipe_gets_the_one_check_at_the_end(tmp_path: Path) -> None:
    """Answers are taken in their order: a question more would take the answer to the next one."""
    typed = "\n" * 4 + "cuda\n2.9.1\n3.12\n\n\n\n"
    command = [sys.executable, "-m", "cookiecutter", ROOT, "after_generation=nothing"]
    shown = run(command, tmp_path, status=1, typed=typed)
    assert "torch_backend=cuda" in shown
    assert "Nothing was written. To run it again" in shown


def test_a_misspelt_key_is_told_before_the_first_question(ask: Ask) -> None:
    shown = answer(ask("torch_verion=2.9.1"))
    assert "torch_verion=2.9.1" in shown
    assert "[1/" not in shown


def test_what_no_question_can_make_right_is_told_before_the_first(ask: Ask) -> None:
    shown = answer(ask("torch_pin=loca", "torch_version=2.9.1"))
    assert "the choices are: public, local, minimum." in shown
    assert {"torch_pin=local", "torch_version=2.9.1"} <= set(shown.splitlines()[-1].split())
    assert "[1/" not in shown


def test_the_last_lines_say_where_the_project_is_and_what_to_type(ask: Ask, tmp_path: Path) -> None:
    shown = answer(ask("after_generation=nothing"), torch_version="2.9.1")
    last = shown[shown.rindex("a GitHub Actions workflow") :]
    assert "my-ml-project" in last
    assert "torch 2.9.1" in last
    assert "cd my-ml-project" in last
    assert (tmp_path / "my-ml-project").is_dir()
