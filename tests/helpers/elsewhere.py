"""Generating a project from outside this process: from a copy of the template, with any command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.conftest import ROOT, empty_config
from tests.helpers.answers import ANSWERS
from tests.helpers.missing import missing
from tools.lib.replica import Replica

HERE = (sys.executable, "-m", "cookiecutter")
"""The cookiecutter of the tests, as a command."""


def answers(replica: Replica | None = None, **more: str) -> list[str]:
    """Return the words that answer: the CPU build of torch 2.13.0 from the replica, locked."""
    index = {"pytorch_index": replica.url} if replica else {}
    return [f"{key}={value}" for key, value in {**ANSWERS, **index, **more}.items()]


def generate(replica: Replica | None, *options: object, **more: str) -> list[str]:
    """Return the command that generates a project with these answers, and asks nothing."""
    return [*HERE, str(ROOT), "--no-input", *map(str, options), *answers(replica, **more)]


def tracked_files() -> list[Path]:
    """Return the files that a clone of this repository has, relative to its root."""
    if not shutil.which("git"):
        missing("git is not here")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, encoding="utf-8"
    )
    names = [Path(name) for name in listed.stdout.split("\0") if name]
    return [name for name in names if (ROOT / name).is_file()]


def copy_template(folder: Path) -> Path:
    """Copy what is tracked of this repository into a folder, and return the folder."""
    for name in tracked_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    return folder


def run(
    command: Iterable[object],
    cwd: Path,
    *,
    status: int = 0,
    typed: str | None = None,
    **variables: str,
) -> str:
    """Run a command with a cookiecutter configuration of its own; return what it printed.

    `status` is the exit status to expect; `typed` is what a person answers to questions.
    """
    config = cwd / "cookiecutter.yaml"
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={
            **os.environ,
            "COOKIECUTTER_CONFIG": str(config if config.exists() else empty_config(cwd)),
            "NO_COLOR": "1",
            **variables,
        },
        input=typed or "",
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == status, printed
    return printed


def contents(project: Path) -> dict[str, bytes]:
    """Return name -> content of what was rendered: everything but the lock and the repository."""
    return {
        path.relative_to(project).as_posix(): path.read_bytes()
        for path in sorted(project.rglob("*"))
        if path.is_file() and path.name != "uv.lock" and ".git" not in path.parts
    }
