"""The command as others get it: from a wheel, without this repository."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

from tests.conftest import ROOT
from tools.lib.lock import find_uv


def test_the_wheel_runs_anywhere(tmp_path: Path) -> None:
    subprocess.run(
        [find_uv(), "build", "--quiet", "--wheel", "--out-dir", tmp_path / "dist", ROOT], check=True
    )
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "torch_plan/catalog/builds.json",
        "torch_plan/cookiecutter.json",
        "adopt/__main__.py",
    } <= names
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {
        "adopt",
        "torch_plan",
    }
    poetry = '[tool.poetry]\nname = "sample"\n[tool.poetry.dependencies]\ntorch = "^2.6"\n'
    (tmp_path / "pyproject.toml").write_text(poetry, encoding="utf-8")
    command = ["tool", "run", "--from", wheel, "uv-torch-adopt", "--check", tmp_path]
    done = subprocess.run(
        [find_uv(), *map(str, command)], cwd=tmp_path, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 2, done.stdout
    assert "`uvx migrate-to-uv` brings them there" in done.stderr
