"""What the hook heeds of a user, what it prints, and the command that it asks for."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest


def said(capfd: pytest.CaptureFixture[str]) -> str:
    """Return what was printed; a traceback fails the test."""
    out, err = capfd.readouterr()
    printed = out + err
    assert "Traceback" not in printed
    return printed


def next_step(printed: str) -> list[str]:
    """Return the words of the one line to type that a message ends with."""
    commands = [line for line in printed.splitlines() if re.match("    (uv|cd|mv) ", line)]
    assert len(commands) == 1, printed
    return shlex.split(commands[0])


def take(step: list[str]) -> None:
    """Type the command that a message ends with."""
    line = " ".join(word if word == "&&" else shlex.quote(word) for word in step)
    subprocess.run(line, shell=True, check=True, cwd="/")


def uv_toml(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Let the user have a uv.toml with this text, beneath a folder."""
    path = folder / "config/uv/uv.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text + "\n", encoding="utf-8")
    for name in ("XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.setenv(name, str(folder / "config"))
