"""The questions, answered in a terminal as a person types."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from tests.conftest import ROOT, empty_config

QUESTIONS = {
    "project_name": "Name of the project",
    "torch_version": "PyTorch release",
    "torch_backend": r"PyTorch build \(several",
    "layout": "How the project holds its builds",
    "github_actions": "A GitHub Actions workflow",
}
"""Answer -> how its question begins."""

Ask = Callable[..., "pexpect.spawn[str]"]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Start cookiecutter in a terminal of its own."""

    def start(*words: str) -> pexpect.spawn[str]:
        return pexpect.spawn(
            sys.executable,
            ["-m", "cookiecutter", str(ROOT), *words],
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

    return start


def answer(terminal: pexpect.spawn[str], **typed: str) -> str:
    """Answer every question, with Enter where nothing is to be typed; return what was shown."""
    shown = ""
    question = r"\[(\d+)/(\d+)\] ([^\r\n]*): "
    while terminal.expect([question, pexpect.EOF]) == 0:
        shown += f"{terminal.before}{terminal.after}"
        asked = str(terminal.after).partition("] ")[2]
        keys = [key for key, text in QUESTIONS.items() if re.match(text, asked)]
        terminal.sendline(typed.get(keys[0], "") if keys else "")
    return shown + str(terminal.before)


def test_the_question_for_the_build_says_what_there_is(ask: Ask, tmp_path: Path) -> None:
    terminal = ask("after_generation=nothing")
    shown = answer(terminal, torch_backend="cu130")
    before = shown.partition("PyTorch build (several")[0]
    assert "torch 2.15.0 has these builds: pypi (whatever PyPI ships); cpu; cu130 and" in before
    assert "a Mac gets cpu, and nothing else needs to be answered for that." in before
    assert re.search(r"Found .+\.|This is macOS", before)
    project = tmp_path / "my-ml-project/pyproject.toml"
    sources = tomllib.loads(project.read_text(encoding="utf-8"))["tool"]["uv"]["sources"]["torch"]
    assert [source["index"] for source in sources] == ["pytorch-cu130", "pytorch-cpu"]


def test_another_release_has_other_builds(ask: Ask) -> None:
    shown = answer(ask("after_generation=nothing"), torch_version="2.9.1")
    assert "cu126, cu128, cu129 and cu130 (CUDA); rocm6.3 and rocm6.4 (ROCm)" in shown


def test_a_folder_in_the_way_is_told_with_a_free_name(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "my-ml-project").mkdir()
    terminal = ask("after_generation=nothing")
    shown = answer(terminal, layout="marker")
    assert "2 problems:" in shown
    assert "my-ml-project is there already" in shown
    assert "project_slug=my-ml-project-2" in shown.splitlines()[-1]
    terminal.close()
    assert terminal.exitstatus == 1


def test_a_misspelt_key_is_told_before_the_first_question(ask: Ask) -> None:
    shown = answer(ask("torch_verion=2.9.1"))
    assert "torch_verion=2.9.1" in shown
    assert "[1/" not in shown


def test_the_last_lines_say_where_the_project_is_and_what_to_type(ask: Ask, tmp_path: Path) -> None:
    shown = answer(ask("after_generation=nothing"), torch_version="2.9.1")
    last = shown[shown.rindex("A GitHub Actions workflow") :]
    assert "my-ml-project" in last
    assert "torch 2.9.1" in last
    assert "cd my-ml-project" in last
    assert (tmp_path / "my-ml-project").is_dir()
