"""Where the project lies: workspaces, other folders, and whoever interrupts."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import tomllib
from pathlib import Path

import pytest
from cookiecutter.generate import generate_files

from tests.conftest import ROOT, Bake, empty_config
from tests.helpers.answers import ANSWERS
from tests.helpers.elsewhere import generate
from tests.helpers.hook import (
    LOCKS,
    FakeUv,
    calls,
    fails,
    next_step,
    said,
    take,
)
from tests.helpers.machines import signals
from tests.helpers.proof import check_locked
from tools.lib.replica import Replica


@pytest.mark.parametrize("lock", [None, b"version = 1\r\n# kept as it is\n"])
def test_inside_a_workspace(
    bake: Bake,
    fake_uv: FakeUv,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    lock: bytes | None,
) -> None:
    workspace = '[project]\nname = "above"\nversion = "1"\nrequires-python = ">=3.10,<3.15"\n'
    workspace += '[tool.uv.workspace]\nmembers = ["my-*"]\n'
    (tmp_path / "pyproject.toml").write_text(workspace)
    above = tmp_path / "uv.lock"
    if lock is not None:
        above.write_bytes(lock)
    project = bake(**ANSWERS)
    assert (above.read_bytes() if above.exists() else None) == lock
    printed = said(capfd)
    assert f"The project lies in the uv workspace of {tmp_path}" in printed
    asked = re.search(r"add '(.*)' to `exclude` of\s*\[tool.uv.workspace\]", printed)
    assert asked
    (tmp_path / "pyproject.toml").write_text(f'{workspace}exclude = ["{asked[1]}"]\n')
    take(next_step(printed))
    check_locked(project.path)
    shutil.rmtree(project.path)
    assert (above.read_bytes() if above.exists() else None) == lock


def test_beneath_a_workspace_that_it_is_no_member_of(bake: Bake, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["packages/*"]\n')
    check_locked(bake(**ANSWERS).path)


@pytest.mark.usefixtures("with_git")
def test_cruft_update_leaves_everything_alone(
    fake_uv: FakeUv,
    replica: Replica,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """As cruft does: its own key in the context, for an update in a folder of `tempfile`."""
    from cruft._commands.utils.cookiecutter import generate_cookiecutter_context  # it needs git

    record = fake_uv(LOCKS)
    monkeypatch.syspath_prepend(str(ROOT))
    given = {**ANSWERS, "pytorch_index": replica.url}
    context = generate_cookiecutter_context(
        str(ROOT), "0123456", ROOT, extra_context=given, no_input=True
    )
    said(capfd)  # what the template says of whoever calls it so
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(generate_files(str(ROOT), context=context, output_dir=scratch))
        assert (project / "pyproject.toml").exists()
        assert not (project / ".git").exists()
    assert calls(record) == []
    assert said(capfd) == ""
    project = Path(generate_files(str(ROOT), context=context, output_dir=str(tmp_path / "created")))
    assert [arguments[0] for arguments in calls(record)] == ["lock"]
    assert (project / ".git").exists()


@pytest.mark.parametrize("name", ["with space", "it's", "größe", "$HOME;x"])
def test_awkward_folders(fake_uv: FakeUv, replica: Replica, tmp_path: Path, name: str) -> None:
    """The command can be pasted, and a terminal that lacks a letter does no harm."""
    fake_uv(fails("error: a riddle"))
    output = tmp_path / name
    done = subprocess.run(
        generate(replica, f"--output-dir={output}"),
        env={
            **os.environ,
            "COOKIECUTTER_CONFIG": str(empty_config(tmp_path)),
            "PYTHONIOENCODING": "ascii" if name == "größe" else "utf-8",
        },
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert (output / "my-ml-project/pyproject.toml").exists()
    if name != "größe":
        assert next_step(done.stderr)[2] == str(output / "my-ml-project")


@signals
@pytest.mark.parametrize("everyone", [True, False], ids=["terminal", "hook-alone"])
def test_interrupt(fake_uv: FakeUv, replica: Replica, tmp_path: Path, everyone: bool) -> None:
    record = fake_uv("print(os.getppid(), file=sys.stderr, flush=True)\ntime.sleep(60)\n")
    running = subprocess.Popen(
        generate(replica, f"--output-dir={tmp_path}"),
        env={**os.environ, "COOKIECUTTER_CONFIG": str(empty_config(tmp_path))},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )
    assert running.stderr
    hook = next(int(line) for line in running.stderr if line.strip().isdigit())
    if everyone:
        os.killpg(running.pid, signal.SIGINT)
    else:
        os.kill(hook, signal.SIGINT)
    _, printed = running.communicate(timeout=10)
    assert "Interrupted. The project is kept." in printed
    if not everyone:
        assert "Traceback" not in printed
        assert running.returncode == 0
    assert next_step(printed)[3] == "lock"
    assert len(calls(record)) == 1
    assert tomllib.loads((tmp_path / "my-ml-project/pyproject.toml").read_text())
