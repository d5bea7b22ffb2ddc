"""Projects of the version before come to today's by `cruft update`, with what owners added."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, git
from tests.helpers.elsewhere import copy_template
from tests.test_cruft import OWN, Cruft, commit
from tools.lib.lock import installed, run_uv
from tools.lib.replica import Replica
from torch_plan.addresses import VERSION

pytestmark = pytest.mark.slow

BEFORE = "b946cc94a578ac605b5f805de57f6a9f56feecec"
"""The commit that version 0.1.0 stands for."""

LAYOUTS = {
    "markers": {"torch_backend": "cu128", "torch_version": "2.9.1"},
    "extras": {"torch_backend": "cpu gpu=cu128", "torch_version": "2.9.1"},
    "groups": {"torch_backend": "gpu=cu126 cpu", "torch_version": "2.8.0", "dockerfile": "yes"},
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of the template: the version before, and on its `main` what is here now."""
    folder = tmp_path_factory.mktemp("update") / "template"
    fetch = ["git", "clone", "--quiet", "--no-checkout", str(ROOT), str(folder)]
    subprocess.run(fetch, check=True)
    known = subprocess.run(["git", "cat-file", "-e", BEFORE], cwd=folder, capture_output=True)
    if known.returncode:
        pytest.skip("a shallow clone lacks the version before")
    git(folder, "switch", "--quiet", "--force-create", "main", BEFORE)
    for path in folder.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    copy_template(folder)
    commit(folder, "today's version")
    return folder


@pytest.mark.parametrize("layout", LAYOUTS)
def test_update(layout: str, template: Path, tmp_path: Path, replica: Replica) -> None:
    runner = Cruft(tmp_path)
    context = {
        "python_version": "3.11",
        "layout": layout,
        "pytorch_index": replica.url,
        **LAYOUTS[layout],
    }
    project = create(runner, template, context)
    before = torch_of(project)
    run_uv(project, "add", "--frozen", *OWN)
    commit(project, "ten packages")

    done = runner.run("update", "--skip-apply-ask", "--checkout", "main")
    assert done.returncode == 0, done.stdout + done.stderr
    # The changelog would have to say how each of them is resolved.
    assert conflicts(project) == {}
    assert f"uv-torch-template {VERSION}" in (project / "README.md").read_text(encoding="utf-8")
    assert set(OWN) <= set(pyproject(project)["project"]["dependencies"])
    run_uv(project, "lock")
    assert torch_of(project) == before


def test_recorded_answers_mean_what_they_meant(template: Path, tmp_path: Path) -> None:
    """Then torchcodec decided about platforms: Windows got the CPU, Linux on ARM nothing."""
    runner = Cruft(tmp_path)
    context = {
        "torch_version": "2.9.1",
        "torch_backend": "cu128",
        "companions": "torchvision torchcodec",
        "after_generation": "nothing",
    }
    project = create(runner, template, context)
    before = pyproject(project)["tool"]["uv"]
    done = runner.run("update", "--skip-apply-ask", "--checkout", "main")
    assert done.returncode == 0, done.stdout + done.stderr
    after = pyproject(project)["tool"]["uv"]
    assert after["sources"] == before["sources"]
    assert [" or ".join(after["environments"])] == before["environments"]


def create(runner: Cruft, template: Path, context: dict[str, str]) -> Path:
    """Create a project as the version before did, and commit it."""
    words = ["create", str(template), "--checkout", BEFORE, "--no-input"]
    done = runner.run(*words, "--extra-context", json.dumps(context))
    assert done.returncode == 0, done.stdout + done.stderr
    commit(runner.project, "start")
    return runner.project


def pyproject(project: Path) -> dict[str, Any]:
    return tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))


def torch_of(project: Path) -> dict[str, str]:
    """Return option and platform -> the torch that uv would install."""
    extras = pyproject(project)["project"].get("optional-dependencies", {})
    options: list[tuple[str, ...]] = [("--extra", name) for name in extras] or [()]
    return {
        f"{' '.join(option)} {platform}": installed(project, platform, *option)["torch"]
        for option in options
        for platform in ("linux-x86_64", "linux-aarch64", "macos-arm64", "windows-x86_64")
    }


def conflicts(project: Path) -> dict[str, int]:
    """Return file -> how many conflicts an update left in it, rejected patches included."""
    counts = {}
    for path in (path for path in project.rglob("*") if path.is_file()):
        if ".git/" in path.as_posix() or ".venv" in path.parts:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        marks = len(re.findall("^<<<<<<< ", text, re.MULTILINE))
        hunks = len(re.findall("^@@ ", text, re.MULTILINE)) if path.suffix == ".rej" else 0
        if marks or hunks:
            counts[path.relative_to(project).as_posix()] = marks + hunks
    return counts
