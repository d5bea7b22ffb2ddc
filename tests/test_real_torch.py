"""A project is installed from the replica: its tests, its smoke test, a git install, the demo."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PYTHON, RELEASE, Bake, BakedProject, git
from tests.helpers.proof import locked_wheels
from tools.demo import main as demo
from tools.lib.lock import UvError, find_uv
from tools.lib.replica import Replica


def smoke_tested(bake: Bake, replica: Replica) -> BakedProject:
    """Let the hook lock and install a project, and run its smoke test."""
    return bake(
        torch_version=RELEASE,
        python_version=PYTHON,
        companions="none",
        pytorch_index=replica.url,
        after_generation="smoke",
    )


@pytest.mark.slow
def test_hook_installs_and_runs_torch(
    bake: Bake, capfd: pytest.CaptureFixture[str], real_replica: Replica
) -> None:
    project = smoke_tested(bake, real_replica)
    printed = capfd.readouterr().out.splitlines()
    assert f"torch: {RELEASE}+cpu" in printed
    assert "build: cpu" in printed
    assert "device: cpu" in printed
    project.uv("run", "--no-sync", "pytest", "-q")
    with pytest.raises(UvError, match="cu128"):
        project.uv("run", "--no-sync", "my-ml-project-smoke", "--expect", "cu128")
    assert locked_wheels(project.path, "torch", f"{RELEASE}+cpu", "linux-x86_64")
    assert list(project.path.glob("**/*.whl")) == []


@pytest.mark.slow
def test_git_install_keeps_the_build(bake: Bake, stub_replica: Replica, tmp_path: Path) -> None:
    project = smoke_tested(bake, stub_replica)
    git(project.path, "init", "--quiet")
    git(project.path, "add", "--all")
    git(project.path, "commit", "--quiet", "--message=start")
    source = f"my-ml-project @ git+{project.path.as_uri()}"
    scripts = "Scripts" if sys.platform == "win32" else "bin"

    consumer = tmp_path / "elsewhere"
    uv("venv", f"--python={PYTHON}", consumer)
    python = consumer / scripts / "python"
    uv("pip", "install", f"--python={python}", source)
    lines = smoke([python, "-m", "my_ml_project.smoke"], tmp_path)
    assert lines["torch"] == f"{RELEASE}+cpu"
    assert Path(lines["package"]).is_relative_to(consumer)

    tools = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "commands")}
    uv("tool", "install", f"--python={PYTHON}", source, **tools)
    lines = smoke([tmp_path / "commands" / "my-ml-project-smoke"], tmp_path)
    assert lines["torch"] == f"{RELEASE}+cpu"
    assert Path(lines["package"]).is_relative_to(tmp_path / "tools")


def uv(*arguments: str | Path, **environment: str) -> None:
    subprocess.run(
        [find_uv(), *arguments], env={**os.environ, **environment}, check=True, capture_output=True
    )


def smoke(command: list[str | Path], folder: Path) -> dict[str, str]:
    """Run the smoke test, demanding the CPU build; return its lines."""
    done = subprocess.run(
        [*command, "--expect", "cpu"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split(": ", 1) for line in done.stdout.splitlines())


@pytest.mark.slow
def test_demo_says_that_torch_ran(
    real_torch_wheel: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    # Where pip looks for files: it is there already.
    monkeypatch.setenv("PIP_FIND_LINKS", str(real_torch_wheel.parent))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))  # Set back to what it was.
    assert demo([f"torch_version={RELEASE}", f"--output-dir={tmp_path}"]) == 0
    printed = capfd.readouterr().out
    assert f"torch: {RELEASE}+cpu" in printed
    command = shlex.split(printed.splitlines()[-1])
    assert "passed: importing torch" in subprocess.check_output(command, encoding="utf-8")
    assert f"macos-arm64     torch {RELEASE}\n" in printed
    assert (tmp_path / "my-ml-project" / "uv.lock").is_file()
