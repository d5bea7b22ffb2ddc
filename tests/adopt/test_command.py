"""The command: what it prints, what it writes, and when it writes nothing."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from adopt.__main__ import adopt, main
from adopt.trial import try_lock
from tests.adopt import shapes
from tests.adopt.shapes import head, index
from tests.conftest import ROOT
from tests.helpers.faults import Fault, FaultyReplica
from tools.lib.replica import Replica

CPU = head() + 'dependencies = ["torch==2.9.1"]\n\n[tool.uv.sources]\ntorch.index = "cpu"\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder for a project, with room beside it."""
    folder = tmp_path / "sample"
    folder.mkdir()
    return folder


def put(project: Path, text: str) -> Path:
    """Write a project's file."""
    path = project / "pyproject.toml"
    path.write_text(text, encoding="utf-8")
    return path


def against(replica: Replica) -> str:
    """Return a project that takes a build from the replica."""
    return CPU + index("cpu", "cpu", base=replica.url)


@pytest.fixture
def locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A project that locks, whatever its file says."""
    monkeypatch.setattr("adopt.__main__.try_lock", lambda *_: (0, ""))


def test_check_says_the_reasons_alone(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(project, shapes.UNUSED)
    assert main([str(project), "--check"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "torchaudio has a source that nothing here needs: uv ignores it." in lines
    assert all(line.endswith(".") for line in lines)


def test_check_of_a_project_that_is_right(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = put(project, adopt(put(project, shapes.UNUSED), {}).new)
    assert main([str(path), "--check"]) == 0
    assert capsys.readouterr().out == ""
    assert main([str(path), "--write"]) == 0
    said, *notes = capsys.readouterr().out.strip().splitlines()
    assert said == "Nothing is to be changed."
    assert all("has known vulnerabilities" in note for note in notes)


def test_the_difference_is_shown_and_not_written(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = put(project, shapes.EXTRAS)
    assert main([str(project), "torch_version=2.6.0"]) == 0
    printed = capsys.readouterr().out
    assert "+conflicts = [" in printed
    assert "conflicts: extras and groups with different builds" in printed
    assert "linux-aarch64 gets cpu" in printed
    assert path.read_text(encoding="utf-8") == shapes.EXTRAS


def test_who_reads_may_stop(project: Path) -> None:
    put(project, shapes.EXTRAS)
    with subprocess.Popen(
        [sys.executable, "-m", "adopt", str(project)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stdout
        assert running.stderr
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 1


def test_a_refusal_names_the_command_that_works(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = put(project, shapes.CPU_BUT_ON_LINUX)
    assert main([str(project), "torch_version=2.15.0"]) == 2
    printed = capsys.readouterr().err
    assert "torch 2.15.0 has: pypi cpu cu130 cu132" in printed
    command = printed.splitlines()[-1].split()
    assert command[:2] == ["uv-torch-adopt", str(path)]
    assert main(command[1:]) == 0


@pytest.mark.parametrize("words", [["project_slug=x"], ["torch_verson=2.9.1"], ["nothing"]])
def test_an_answer_that_is_not_about_torch(
    words: list[str], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(project), *words])
    assert stopped.value.code == 2
    assert "is no answer about torch; those are: torch_version," in capsys.readouterr().err


def test_what_uv_would_not_take_either(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(project, head("^3.11") + 'dependencies = ["torch"]\n')
    assert main([str(project)]) == 2
    assert "^3.11" in capsys.readouterr().err


def test_a_file_that_is_not_there(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(project)]) == 2
    assert f"There is no {project / 'pyproject.toml'}. `uv init" in capsys.readouterr().err


def test_a_member_of_a_workspace(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(project, shapes.LIBRARY)
    workspace = head() + '[tool.uv.workspace]\nmembers = ["{}"]\n'
    root = put(project.parent, workspace.format("sam*"))
    assert main([str(project)]) == 2
    assert f"member of the workspace of {root}" in capsys.readouterr().err
    put(project.parent, workspace.format("other"))
    assert main([str(project)]) == 0


def test_written_after_the_lock_was_tried(
    project: Path, replica: Replica, capsys: pytest.CaptureFixture[str]
) -> None:
    path = put(project, against(replica))
    path.chmod(0o640)
    (project / "README.md").write_text("read me", encoding="utf-8")
    asked = [str(project), f"pytorch_index={replica.url}"]
    assert main([*asked, "--write"]) == 0
    assert f"{path} is written. Next: uv sync" in capsys.readouterr().out
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert {it.name for it in project.iterdir()} == {"README.md", "pyproject.toml"}
    assert {it.name for it in project.parent.iterdir()} == {"sample"}
    assert main([*asked, "--check"]) == 0


def test_a_project_that_would_not_lock_any_more_is_left_alone(
    project: Path, replica: Replica, capsys: pytest.CaptureFixture[str]
) -> None:
    """The package triton has wheels for Linux alone, and nothing to build it from."""
    text = against(replica).replace('"torch==2.9.1"', '"torch==2.9.1", "triton==3.1.0"')
    path = put(project, text)
    assert main([str(project), f"pytorch_index={replica.url}", "--write"]) == 2
    printed = capsys.readouterr().err
    assert "It locks as it is, and would not with these changes." in printed
    assert "triton" in printed
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("fault", [Fault.REFUSE, None])
def test_written_where_the_lock_tells_nothing(
    fault: Fault | None,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The index is out of reach, or something else cannot be locked, before and after."""
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with FaultyReplica(fault) as replica:
        missing = "torch==2.9.1" if fault else 'torch==2.9.1", "rich==0.0.0.0.1'
        path = put(project, against(replica).replace("torch==2.9.1", missing))
        assert main([str(project), f"pytorch_index={replica.url}", "--write"]) == 0
    printed = capsys.readouterr().out
    assert "It was not locked, now or with these changes." in printed
    assert ("rich" if fault is None else "Failed to fetch") in printed
    assert "required-environments" in path.read_text(encoding="utf-8")


def test_without_uv_nothing_is_tried(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PATH", str(project))
    put(project, shapes.UNUSED)
    assert main([str(project), "--write"]) == 0
    assert "uv is neither in $UV nor on PATH" in capsys.readouterr().out


@pytest.mark.usefixtures("locks")
def test_nothing_is_lost_where_writing_stops(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(project, shapes.UNUSED)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        main([str(project), "--write"])
    assert path.read_text(encoding="utf-8") == shapes.UNUSED
    assert [it.name for it in project.iterdir()] == ["pyproject.toml"]


@pytest.mark.usefixtures("locks")
def test_a_link_to_the_file_stays_a_link(project: Path) -> None:
    path = put(project, shapes.UNUSED)
    elsewhere = project.parent / "linked"
    elsewhere.mkdir()
    link = elsewhere / "pyproject.toml"
    link.symlink_to(path)
    assert main([str(elsewhere), "--write"]) == 0
    assert link.is_symlink()
    assert "required-environments" in path.read_text(encoding="utf-8")


def test_a_setting_that_uv_drops_is_no_lock(project: Path) -> None:
    path = put(project, head() + "dependencies = []\n")
    text = head() + 'dependencies = []\n[tool.uv]\nenvironments = "no list"\n'
    status, said = try_lock(path, text)
    assert status == 2
    assert "Failed to parse" in said


def test_paths_lead_where_they_led(project: Path) -> None:
    """A lock is tried beside the project: its own folders and its neighbours are found."""
    for folder in (project / "inner", project.parent / "outer"):
        folder.mkdir()
        name = folder.name
        put(folder, f'[project]\nname = "{name}"\nversion = "1"\nrequires-python = ">=3.11"\n')
    text = (
        head()
        + 'dependencies = ["inner", "outer"]\n[tool.uv.sources]\n'
        + 'inner = { path = "inner" }\nouter = { path = "../outer" }\n'
    )
    assert try_lock(put(project, text), text)[0] == 0


def test_started_as_a_module(project: Path) -> None:
    put(project, shapes.UNUSED)
    command = [sys.executable, "-m", "adopt", str(project), "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stderr) == (1, "")
    assert "No source uses the index pytorch-cpu." in done.stdout
