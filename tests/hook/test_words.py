"""What the hook says, when all is well and when it is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Bake, empty_config
from tests.helpers.answers import ANSWERS
from tests.helpers.elsewhere import generate
from tests.helpers.hook import (
    LOCKS,
    FakeUv,
    calls,
    fails,
    lock_step,
    next_step,
    said,
    take,
)
from tests.helpers.proof import check_locked
from tools.lib.replica import Replica
from tools.lib.server import Response


class OldIndex(Replica):
    """An index that has no torch 2.13.0."""

    def answer(self, path: str) -> Response:
        response = super().answer(path)
        if not path.endswith("/torch/") or isinstance(response.body, Path):
            return response
        lines = response.body.splitlines(keepends=True)
        return replace(response, body=b"".join(line for line in lines if b"2.13.0" not in line))


@pytest.mark.parametrize(
    ("after", "step"),
    [
        ("nothing", ["uv", "sync", "--extra", "cu128"]),
        ("lock", ["uv", "sync", "--extra", "cu128"]),
        ("smoke", ["uv", "run", "--extra", "cu128", "my-ml-project-smoke"]),
    ],
)
@pytest.mark.parametrize("folder", [".", "a folder/deep"])
def test_last_words(
    fake_uv: FakeUv, replica: Replica, tmp_path: Path, after: str, step: list[str], folder: str
) -> None:
    """Where the project is, its torch, and what to type next: from where the user is."""
    record = fake_uv(LOCKS)
    chosen = {"layout": "extras", "torch_backend": "cu128 cpu", "torch_version": "2.9.1"}
    done = subprocess.run(
        generate(replica, f"--output-dir={folder}", **chosen, after_generation=after),
        cwd=tmp_path,
        env={**os.environ, "COOKIECUTTER_CONFIG": str(empty_config(tmp_path))},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    project = f"{folder}/my-ml-project".removeprefix("./")
    said_of_it = f"The project is in {project}, with torch 2.9.1 (cu128, cpu). The next step:"
    assert said_of_it in done.stderr.splitlines()
    assert next_step(done.stderr) == ["cd", project, "&&", *step]
    assert ("Commit it: CI fails without it." in done.stderr) == (after == "nothing")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("    cd ")]
    record.write_text("")
    subprocess.run(line, shell=True, check=True, cwd=tmp_path)
    assert calls(record) == [step[1:]]


def test_nothing_is_said_of_ci_where_there_is_none(
    bake: Bake, capfd: pytest.CaptureFixture[str]
) -> None:
    bake(**{**ANSWERS, "after_generation": "nothing", "github_actions": "no"})
    assert "CI" not in said(capfd)


def test_uv_missing(
    bake: Bake,
    one_python: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    uv = one_python / "uv"
    uv.rename(one_python / "later")
    project = bake(**ANSWERS)
    printed = said(capfd)
    assert "\nuv is not installed" in printed
    assert next_step(printed) == lock_step(project)
    (one_python / "later").rename(uv)
    take(next_step(printed))
    check_locked(project.path)


def test_uv_too_old(
    bake: Bake, one_python: Path, fake_uv: FakeUv, capfd: pytest.CaptureFixture[str]
) -> None:
    newer = (one_python / "uv").resolve()
    fake_uv(LOCKS, version="0.9.20")
    project = bake(**ANSWERS)
    printed = said(capfd)
    assert "This is uv 0.9.20, and the project needs 0.10.0 or newer; update it." in printed
    assert not (project.path / "uv.lock").exists()
    (one_python / "uv").unlink()
    (one_python / "uv").symlink_to(newer)
    take(next_step(printed))
    check_locked(project.path)


def test_uv_that_does_not_start(
    bake: Bake, one_python: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (one_python / "uv").unlink()
    (one_python / "uv").write_text("#!/nowhere/python\n")
    (one_python / "uv").chmod(0o755)
    project = bake(**ANSWERS)
    printed = said(capfd)
    assert "\nuv cannot be run (" in printed
    assert next_step(printed) == lock_step(project)


def test_the_second_attempt_is_brief(
    bake: Bake, fake_uv: FakeUv, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = fake_uv(fails("error: Request failed"))
    for name in ("UV_HTTP_RETRIES", "UV_HTTP_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    bake(**ANSWERS)
    first, second = (json.loads(line)[1] for line in record.read_text().splitlines())
    assert "UV_HTTP_RETRIES" not in first
    assert "UV_HTTP_TIMEOUT" not in first
    assert (second["UV_HTTP_RETRIES"], second["UV_HTTP_TIMEOUT"]) == ("0", "10")


def test_the_second_attempt_may_succeed(
    bake: Bake, fake_uv: FakeUv, capfd: pytest.CaptureFixture[str]
) -> None:
    fake_uv("if 'UV_HTTP_TIMEOUT' not in os.environ: sys.exit(2)\n" + LOCKS)
    project = bake(**ANSWERS)
    assert (project.path / "uv.lock").exists()
    assert "The project is kept" not in said(capfd)


def test_index_without_the_version(bake: Bake, capfd: pytest.CaptureFixture[str]) -> None:
    with OldIndex() as old:
        project = bake(**ANSWERS, pytorch_index=old.url)
    printed = said(capfd)
    assert "\nuv finds no versions that fit, as it says above." in printed
    assert next_step(printed) == lock_step(project)
    assert not (project.path / "uv.lock").exists()


def test_no_python(bake: Bake, one_python: Path, capfd: pytest.CaptureFixture[str]) -> None:
    python = one_python / "python3"
    python.rename(one_python / "later")
    older = f"{sys.version_info[0]}.{sys.version_info[1] - 1}"
    project = bake(**{**ANSWERS, "python_version": f"3.10-{older}"})
    printed = said(capfd)
    requires = project.pyproject["project"]["requires-python"]
    assert f"\nuv finds no Python {requires} here, and cannot download one" in printed
    assert not (project.path / "uv.lock").exists()
    assert next_step(printed) == lock_step(project)


def test_uv_gets_the_python_that_runs_this_where_it_finds_none(
    bake: Bake, one_python: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """As in an environment of pyenv or conda, whose own Python is not on PATH."""
    (one_python / "python3").unlink()
    check_locked(bake(**ANSWERS).path)
    step = next_step(said(capfd))
    assert Path(step[step.index("--python") + 1]).resolve() == Path(sys.executable).resolve()


NOT_LOADED = "uv cannot load what it needs from {}, as it says above."
LOGIN = (
    "index.org answers {}: it needs a login, in UV_INDEX_<NAME>_USERNAME and"
    " UV_INDEX_<NAME>_PASSWORD with the index's name in pyproject.toml, or lacks the file."
)


@pytest.mark.parametrize(
    ("printed_by_uv", "expected"),
    [
        pytest.param(
            "error: Failed to fetch: http://a:b@index.org/whl/cpu/torch/\n"
            "  cause: HTTP status server error (503 Service Unavailable) for url"
            " (http://a:b@index.org/whl/cpu/torch/)",
            NOT_LOADED.format("index.org"),
            id="server-error",
        ),
        pytest.param(
            "error: No solution found\n"
            "  cause: Because torch was not found in the package registry\n"
            "hint: An index URL (http://a:b@index.org/whl/cpu) could not be queried due to a lack\n"
            "      of valid authentication credentials (401\n      Unauthorized).",
            LOGIN.format("401 Unauthorized"),
            id="login-0.10",
        ),
        pytest.param(
            "error: Failed to fetch: http://index.org/torch.whl\n"
            "  cause: HTTP status client error (401 Unauthorized) for url (http://index.org/t.whl)",
            LOGIN.format("401 Unauthorized"),
            id="login-of-a-file",
        ),
        pytest.param(
            "error: No solution found\n"
            "  cause: Because torch was not found in the package registry\n"
            "hint: An index (http://index.org/whl/cpu) returned a 403 Forbidden error. Check that"
            " the index URL is correct and the credentials are valid.",
            LOGIN.format("403 Forbidden"),
            id="forbidden",
        ),
        pytest.param(
            "error: Failed to download `torch==2.13.0+cpu`\n  cause: operation timed out",
            NOT_LOADED.format("a server"),
            id="wheel-times-out",
        ),
        pytest.param(
            "error: Request failed after 3 retries\n"
            "  cause: Failed to fetch: https://index.org/whl/cpu/torch/\n"
            "  cause: Connection reset by peer (os error 104)",
            NOT_LOADED.format("index.org"),
            id="reset",
        ),
        pytest.param(
            "error: No solution found\n  cause: Because six was not found\n"
            "hint: Packages were unavailable because the network was disabled.",
            "uv finds no versions that fit, as it says above.",
            id="offline",
        ),
        pytest.param(
            "error: failed to create file `uv.lock`: Permission denied (os error 13)",
            "uv failed, as it says above.",
            id="what-uv-tells-well-enough",
        ),
    ],
)
def test_causes(
    bake: Bake,
    fake_uv: FakeUv,
    capfd: pytest.CaptureFixture[str],
    printed_by_uv: str,
    expected: str,
) -> None:
    fake_uv(fails(printed_by_uv))
    project = bake(**ANSWERS)
    printed = said(capfd)
    assert printed.startswith(printed_by_uv)
    assert f"\n{expected} The project is kept. To complete it, run:" in printed
    assert next_step(printed) == lock_step(project)
    assert project.pyproject["project"]["name"] == "my-ml-project"


def test_uv_that_leaves_no_lock(
    bake: Bake, fake_uv: FakeUv, capfd: pytest.CaptureFixture[str]
) -> None:
    fake_uv("")
    bake(**ANSWERS)
    assert "left no uv.lock in the project" in said(capfd)


@pytest.mark.parametrize(
    ("word", "quoted"),
    [
        ("uv", "uv"),
        (r"C:\work\my-project", r"C:\work\my-project"),
        (r"C:\my work", r'"C:\my work"'),
        (">=3.10,<3.15", '">=3.10,<3.15"'),
    ],
)
def test_quoting_on_windows(
    hook: Any, monkeypatch: pytest.MonkeyPatch, word: str, quoted: str
) -> None:
    windows = types.SimpleNamespace(name="nt")
    monkeypatch.setattr(hook, "os", windows)
    assert hook.quote(word) == quoted
