"""What the hook does: a repository, a lock, an installation, a smoke test."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PYTHON, Bake, git
from tests.helpers.answers import ANSWERS
from tests.helpers.hook import (
    LOCKS,
    FakeUv,
    calls,
    fails,
    next_step,
    said,
)
from tests.helpers.proof import check_locked

HARMFUL = {
    "VIRTUAL_ENV": "/nowhere",
    "UV_FROZEN": "1",
    "UV_LOCKED": "1",
    "UV_NO_SOURCES": "1",
    "UV_PROJECT": "/nowhere",
    "UV_WORKING_DIR": "/nowhere",
    "UV_PROJECT_ENVIRONMENT": "/nowhere",
}


@pytest.fixture
def refused() -> Iterator[str]:
    """The host and port of a server that refuses every connection."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


def test_nothing(bake: Bake, fake_uv: FakeUv, capfd: pytest.CaptureFixture[str]) -> None:
    record = fake_uv("")
    bake(**{**ANSWERS, "after_generation": "nothing"})
    assert calls(record) == []
    assert "That makes uv.lock. Commit it: CI fails without it." in said(capfd)


@pytest.mark.parametrize("wanted", ["yes", "no"])
def test_github_folder(bake: Bake, wanted: str) -> None:
    project = bake(after_generation="nothing", github_actions=wanted)
    assert (project.path / ".github").exists() == (wanted == "yes")


@pytest.mark.usefixtures("with_git")
def test_a_repository_of_its_own(bake: Bake, capfd: pytest.CaptureFixture[str]) -> None:
    project = bake(git="yes")
    told = {
        question: subprocess.check_output(
            ["git", *question.split()], cwd=project.path, encoding="utf-8"
        ).strip()
        for question in ("rev-parse --show-toplevel", "branch --show-current", "ls-files --cached")
    }
    assert list(told.values()) == [str(project.path), "main", ""]
    assert not re.search("^git ", said(capfd), re.MULTILINE)


@pytest.mark.usefixtures("with_git")
@pytest.mark.parametrize("kind", ["repository", "worktree"])
def test_no_repository_within_another(bake: Bake, tmp_path: Path, kind: str) -> None:
    if kind == "repository":
        git(tmp_path, "init", "--quiet")
    else:
        (tmp_path / ".git").write_text("gitdir: elsewhere\n", encoding="utf-8")
    assert not (bake(git="yes").path / ".git").exists()


@pytest.mark.usefixtures("with_git")
def test_no_repository_where_none_is_wanted(bake: Bake) -> None:
    assert not (bake(git="no").path / ".git").exists()


def test_no_repository_without_git(bake: Bake, capfd: pytest.CaptureFixture[str]) -> None:
    assert not (bake(git="yes").path / ".git").exists()
    assert not re.search("^git ", said(capfd), re.MULTILINE)


def test_a_git_that_fails_costs_no_more_than_the_repository(
    bake: Bake, one_python: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    old = (
        f"#!{sys.executable}\nimport sys\nsys.exit('error: unknown option `initial-branch=main')\n"
    )
    (one_python / "git").write_text(old)
    (one_python / "git").chmod(0o755)
    check_locked(bake(**ANSWERS, git="yes").path)
    printed = said(capfd)
    assert "git could not make the project a repository: error: unknown option" in printed
    assert "The project is kept" not in printed


def test_lock_with_another_python_than_the_pinned(
    bake: Bake, capfd: pytest.CaptureFixture[str]
) -> None:
    project = bake(**ANSWERS)
    assert project.read(".python-version").strip() == ANSWERS["python_version"] != PYTHON
    check_locked(project.path)
    printed = said(capfd)
    assert "Resolved" in printed  # uv's own progress
    assert "The project is kept" not in printed
    assert not (project.path / ".venv").exists()


def test_lock_is_not_disturbed_by_the_environment(
    bake: Bake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in HARMFUL.items():
        monkeypatch.setenv(name, value)
    check_locked(bake(**ANSWERS).path)


@pytest.mark.parametrize("name", HARMFUL)
def test_variables_of_another_project_never_reach_uv(
    bake: Bake, fake_uv: FakeUv, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    record = fake_uv(LOCKS)
    monkeypatch.setenv(name, HARMFUL[name])
    bake(**{**ANSWERS, "after_generation": "smoke"})
    started = [json.loads(line) for line in record.read_text().splitlines()]
    assert len([command for command, environment in started if name not in environment]) == 4
    # Whether the lock stays as it is in the shell of the user.
    asked = [command for command, environment in started if name in environment]
    assert all("--check" in command for command in asked)


def test_uv_variable_comes_before_path(
    bake: Bake, one_python: Path, fake_uv: FakeUv, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = str((one_python / "uv").resolve())
    record = fake_uv("")
    monkeypatch.setenv("UV", real)
    check_locked(bake(**ANSWERS).path)
    assert calls(record) == []


def test_stale_uv_variable(bake: Bake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV", "/nowhere/uv")
    check_locked(bake(**ANSWERS).path)


def test_inherited_indexes_are_named_without_their_values(
    bake: Bake, refused: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UV_INDEX", f"http://someone:hunter2@{refused}/simple")
    monkeypatch.setenv("UV_INDEX_OURS_PASSWORD", "hunter2")
    bake(**ANSWERS)
    printed = said(capfd)
    assert "Your environment sets UV_INDEX:" in printed
    assert f"\nuv cannot load what it needs from {refused}, as it says above." in printed
    assert "someone" not in printed
    assert "hunter2" not in printed


def test_smoke_locks_installs_and_runs(
    bake: Bake, fake_uv: FakeUv, capfd: pytest.CaptureFixture[str]
) -> None:
    record = fake_uv(LOCKS)
    project = bake(**{**ANSWERS, "after_generation": "smoke"})
    requires = project.pyproject["project"]["requires-python"]
    assert calls(record) == [
        ["lock", "--python", requires],
        ["sync", "--frozen"],
        ["run", "--no-sync", "my-ml-project-smoke", "--expect", "cpu"],
    ]
    assert next_step(said(capfd))[3:] == ["uv", "run", "my-ml-project-smoke"]


def test_smoke_of_an_extra(bake: Bake, fake_uv: FakeUv) -> None:
    record = fake_uv(LOCKS)
    bake(
        torch_version="2.9.1",
        python_version="3.10",
        torch_backend="cu128 cpu",
        layout="extras",
        after_generation="smoke",
        platforms="linux-x86_64 linux-aarch64=cpu macos-arm64 windows-x86_64",
    )
    assert calls(record)[1] == ["sync", "--frozen", "--extra", "cu128"]
    assert calls(record)[2][:4] == ["run", "--no-sync", "my-ml-project-smoke", "--expect"]


def test_a_failing_installation_stops_before_the_smoke_test(
    bake: Bake, fake_uv: FakeUv, capfd: pytest.CaptureFixture[str]
) -> None:
    message = "error: Failed to download `torch`\n  cause: No space left on device (os error 28)"
    record = fake_uv(LOCKS + f"if arguments[0] == 'sync': {fails(message)}")
    project = bake(**{**ANSWERS, "after_generation": "smoke"})
    assert [arguments[0] for arguments in calls(record)] == ["lock", "sync", "sync"]
    printed = said(capfd)
    assert "\nuv failed, as it says above. The project is kept." in printed
    assert next_step(printed) == [
        *("uv", "--directory", str(project.path), "run", "my-ml-project-smoke", "--expect", "cpu")
    ]


def test_a_failing_smoke_test(
    bake: Bake, fake_uv: FakeUv, capfd: pytest.CaptureFixture[str]
) -> None:
    record = fake_uv(LOCKS + f"if arguments[0] == 'run': {fails('torch: wrong build', 1)}")
    bake(**{**ANSWERS, "after_generation": "smoke"})
    printed = said(capfd)
    assert len(calls(record)) == 3
    assert printed.count("torch: wrong build") == 1
    assert "\nThe smoke test failed (exit status 1), as it says above." in printed
    assert next_step(printed)[3:] == ["run", "my-ml-project-smoke", "--expect", "cpu"]
