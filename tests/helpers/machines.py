"""Machines and programs that stand in for those that the tests do not run on."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import pytest

from torch_plan.machine.host import Host

ENUMERATOR = "rocm_agent_enumerator"
"""The program that names AMD's GPUs."""

posix = pytest.mark.skipif(sys.platform == "win32", reason="the fake programs are shell scripts")
links = pytest.mark.skipif(sys.platform == "win32", reason="Windows lets few people make links")
terminal = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
signals = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal for a group")


def fake_host(
    files: Mapping[str, str] | None = None,
    commands: Mapping[str, str] | None = None,
    system: str = "linux",
    **environ: str,
) -> Host:
    """Return a machine with these files and these commands (command line -> what it prints)."""
    present, printed = files or {}, commands or {}
    return Host(
        sys_platform=system,
        environ=environ,
        read=lambda path: present.get(path, ""),
        run=lambda command: printed.get(" ".join(command), ""),
    )


def python_program(path: Path, code: str) -> None:
    """Write a program in Python: a script, or on Windows the `.exe` that pip would make of it."""
    if sys.platform != "win32":
        path.unlink(missing_ok=True)
        path.write_text(f"#!{sys.executable}\n{code}", encoding="utf-8")
        path.chmod(0o755)
        return
    launcher = resources.files("pip._vendor.distlib").joinpath("t64.exe").read_bytes()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("__main__.py", code)
    start = launcher + f"#!{sys.executable}\r\n".encode()
    path.with_suffix(".exe").unlink(missing_ok=True)
    path.with_suffix(".exe").write_bytes(start + archive.getvalue())


def program(folder: Path, name: str, script: str) -> None:
    """Write a shell script that stands in for a program."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
