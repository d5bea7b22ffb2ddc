"""What the hook heeds of a user, what it prints, and the command that it asks for."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import BakedProject
from tests.helpers.shells import printed_words
from torch_plan.text import shell_line

FakeUv = Callable[..., Path]
"""Puts a program in the place of uv, and returns the record of its calls."""

LOCKS = """\
if arguments[0] == 'lock' and '--check' not in arguments:
    pathlib.Path('uv.lock').write_bytes(pathlib.Path('pyproject.toml').read_bytes())
"""
"""What a fake uv does to lock: its file names the indexes of the project, as a lock does."""


def fails(message: str, status: int = 2) -> str:
    """Return what a fake uv does to fail with a message."""
    return f"print({message!r}, file=sys.stderr); sys.exit({status})\n"


def calls(record: Path) -> list[list[str]]:
    """Return the arguments of each call of a fake uv; `workspace dir` and checks left out."""
    every = [json.loads(line)[0] for line in record.read_text().splitlines()]
    return [arguments for arguments in every if "--check" not in arguments]


def lock_step(project: BakedProject) -> list[str]:
    """Return the command that locks a project, whichever Python is there."""
    requires = project.pyproject["project"]["requires-python"]
    return ["uv", "--directory", str(project.path), "lock", "--python", requires]


def said(capfd: pytest.CaptureFixture[str]) -> str:
    """Return what was printed; a traceback fails the test."""
    out, err = capfd.readouterr()
    printed = out + err
    assert "Traceback" not in printed
    return printed


def next_step(printed: str) -> list[str]:
    """Return the words of the one line to type that a message ends with."""
    commands = [line for line in printed.splitlines() if re.match("    (uv|cd|mv|move) ", line)]
    assert len(commands) == 1, printed
    return printed_words(commands[0].strip())


def take(step: list[str]) -> None:
    """Type the command that a message ends with."""
    line = " ".join(word if word == "&&" else shell_line([word]) for word in step)
    subprocess.run(line, shell=True, check=True, cwd="/")


def uv_toml(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    names: tuple[str, ...] = ("XDG_CONFIG_HOME", "APPDATA"),
) -> None:
    """Let the user have a uv.toml with this text, beneath a folder that variables name."""
    path = folder / "config/uv/uv.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text + "\n", encoding="utf-8")
    for name in names:
        monkeypatch.setenv(name, str(folder / "config"))
