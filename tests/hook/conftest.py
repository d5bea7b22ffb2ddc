"""Fixtures: the uv, the Python and the git that the hook finds."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.helpers.hook import (
    FakeUv,
)
from tests.helpers.machines import python_program
from tests.helpers.missing import missing
from tools.lib.lock import find_uv


@pytest.fixture(autouse=True)
def one_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Leave uv and the running Python to the hook, without downloads; return their folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.delenv("UV", raising=False)
    if sys.platform == "win32":  # where a program is no program behind a link of another folder
        shutil.copy(find_uv(), folder)
        monkeypatch.setenv("PATH", os.pathsep.join([str(folder), sys.base_prefix]))
    else:
        (folder / "uv").symlink_to(find_uv())
        (folder / "python3").symlink_to(Path(sys.executable).resolve())
        (folder / "mv").symlink_to(str(shutil.which("mv")))
        monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "pythons"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("NO_COLOR", "1")
    return folder


@pytest.fixture
def fake_uv(one_python: Path, tmp_path: Path) -> FakeUv:
    """Put a program in the place of uv: it notes its arguments and environment, then runs code."""

    def install(
        code: str, workspace: str = "print(os.getcwd()); sys.exit()", version: str = "99.0.0"
    ) -> Path:
        record = tmp_path / "calls"
        record.touch()
        python_program(
            one_python / "uv",
            "import json, os, pathlib, sys, time\n"
            "arguments = sys.argv[1:]\n"
            f"if arguments == ['workspace', 'dir']:\n    {workspace}\n"
            "if arguments[:2] == ['python', 'find']:\n    sys.exit()\n"
            f"if arguments == ['--version']:\n    print('uv {version} (x)')\n    sys.exit()\n"
            f"with open({str(record)!r}, 'a') as record:\n"
            "    print(json.dumps([arguments, dict(os.environ)]), file=record)\n" + code,
        )
        return record

    return install


@pytest.fixture
def with_git(one_python: Path) -> None:
    """Leave git to the hook too."""
    git = shutil.which("git", path=os.defpath) or missing("git is not here")
    (one_python / "git").symlink_to(git)
