"""Nothing is lost: the network, the disk or the user fails, and one command completes the project.

Every fault of the replica strikes a real uv. What the hook makes of uv's words alone, and a uv or
an interpreter that is not there, is in `tests/hook`.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

from tests.conftest import PYTHON, Bake, empty_config
from tests.helpers import answers
from tests.helpers.elsewhere import generate
from tests.helpers.faults import Fault, FaultyReplica
from tests.helpers.hook import next_step, said, take
from tests.helpers.machines import signals
from tests.helpers.proof import check_locked
from tools.lib.lock import find_uv
from tools.lib.replica import Replica

ANSWERS = {**answers.ANSWERS, "python_version": PYTHON}
"""A project that can be installed here, where no other Python needs to be."""

RENDERED = {
    ".github/dependabot.yml",
    ".github/workflows/ci.yml",
    ".gitignore",
    ".python-version",
    "README.md",
    "pyproject.toml",
    "src/my_ml_project/__init__.py",
    "src/my_ml_project/smoke.py",
    "tests/test_smoke.py",
}

NOT_LOADED = "uv cannot load what it needs from {host}, as it says above."

CAUSES = {
    **dict.fromkeys(Fault, NOT_LOADED),
    Fault.FORBIDDEN: "{host} answers 403 Forbidden: it needs a login, in UV_INDEX_<NAME>_USERNAME"
    " and UV_INDEX_<NAME>_PASSWORD with the index's name in pyproject.toml, or lacks the file.",
    Fault.NOT_FOUND: "uv finds no versions that fit, as it says above.",
    Fault.SHORT_METADATA: "A file is not the one that its index promised.",
    Fault.CUT_WHEEL: NOT_LOADED.format(host="a server"),
    Fault.WRONG_HASH: "A file is not the one that its index promised.",
}
"""What the hook says of each fault."""

IN_WHEELS = (Fault.CUT_WHEEL, Fault.WRONG_HASH)
"""The faults that a lock cannot see: it reads no wheel."""


@pytest.fixture(autouse=True)
def uv_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put uv where the command that a message ends with looks for it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "uv").symlink_to(find_uv())
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    monkeypatch.setenv("NO_COLOR", "1")


def check_kept(project: Path) -> None:
    """Check that everything is there that was rendered, and nothing half-written."""
    assert {path for path in RENDERED if (project / path).is_file()} == RENDERED
    assert tomllib.loads((project / "pyproject.toml").read_text())
    assert list(project.glob(".tmp*")) == []


# The network


def test_replica_is_healed_on_its_port() -> None:
    with FaultyReplica(Fault.REFUSE) as replica:
        host = replica.host
        with pytest.raises(URLError, match="refused"):
            urlopen(f"{replica.url}/cpu/torch/", timeout=10)
        replica.heal()
        with urlopen(f"{replica.url}/cpu/torch/", timeout=10) as response:
            assert b"torch-2.13.0" in response.read()
        replica.heal(Fault.SERVER_ERROR)
        with pytest.raises(HTTPError, match="500"):
            urlopen(f"{replica.url}/cpu/torch/", timeout=10)
        assert replica.host == host


@pytest.mark.parametrize("healed", [True, False], ids=["healed", "ended"])
def test_whoever_hangs_on_the_replica_is_let_go(healed: bool) -> None:
    with FaultyReplica(Fault.HANG) as replica:
        client = socket.create_connection(("127.0.0.1", replica.server_port), timeout=10)
        client.sendall(b"GET /whl/cpu/torch/ HTTP/1.1\r\n\r\n")
        while not replica.requests:
            time.sleep(0.01)
        if healed:
            replica.heal()
            assert client.recv(1) == b""
    assert client.recv(1) == b""
    client.close()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(it, marks=[pytest.mark.slow] if it in (Fault.HANG, *IN_WHEELS) else [])
        for it in Fault
    ],
    ids=lambda fault: fault.name,
)
def test_fault(
    bake: Bake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    stub_torch_wheel: Path,
    fault: Fault,
) -> None:
    in_wheels = fault in IN_WHEELS
    with FaultyReplica(fault, [stub_torch_wheel] if in_wheels else ()) as replica:
        began = time.monotonic()
        with monkeypatch.context() as hurried:
            # Of its own: an earlier replica may have had the same port.
            hurried.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
            hurried.setenv("UV_HTTP_RETRIES", "0")
            hurried.setenv("UV_HTTP_TIMEOUT", "2" if fault is Fault.HANG else "30")
            project = bake(
                **{**ANSWERS, "after_generation": "smoke" if in_wheels else "lock"},
                pytorch_index=replica.url,
            ).path
        assert time.monotonic() - began < 60
        printed = said(capfd)
        cause = CAUSES[fault].format(host=replica.host)
        assert f"\n{cause} The project is kept. To complete it, run:\n" in printed
        check_kept(project)
        assert (project / "uv.lock").exists() == (fault is Fault.CUT_WHEEL)
        replica.heal()
        take(next_step(printed))
    check_locked(project)
    assert (project / ".venv").exists() == in_wheels


@pytest.mark.slow
@pytest.mark.parametrize(
    "variables",
    [
        pytest.param({"UV_ENV_FILE": "/nowhere"}, id="env-file"),
        pytest.param({"UV_NO_INSTALL_PROJECT": "1"}, id="project-not-installed"),
        pytest.param({"UV_ISOLATED": "1"}, id="isolated"),
        pytest.param({"UV_PYTHON": "3.8"}, id="python"),
        pytest.param({"PYTHONPATH": "{elsewhere}"}, id="another-project"),
    ],
)
def test_smoke_in_a_shell_of_another_project(
    bake: Bake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    stub_replica: Replica,
    variables: dict[str, str],
) -> None:
    """It is this project's smoke test that runs, and it passes."""
    other = tmp_path / "elsewhere/my_ml_project"
    other.mkdir(parents=True)
    (other / "__init__.py").touch()
    (other / "smoke.py").write_text("def main():\n    return 'another project'\n")
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(elsewhere=other.parent))
    chosen = {**ANSWERS, "after_generation": "smoke"}
    project = bake(**chosen, pytorch_index=stub_replica.url).path
    out, err = capfd.readouterr()
    assert f"package: {project / 'src/my_ml_project'}\n" in out
    assert out.splitlines()[-1].startswith("passed: ")
    assert "The project is in" in err
    assert "The project is kept" not in err


def test_a_lock_from_before_is_not_removed(
    bake: Bake, tmp_path: Path, capfd: pytest.CaptureFixture[str], stub_torch_wheel: Path
) -> None:
    """It says which files somebody chose once: other ones must not get in."""
    chosen = {**ANSWERS, "after_generation": "smoke"}
    with FaultyReplica(Fault.WRONG_HASH, [stub_torch_wheel]) as replica:
        bake(**ANSWERS, pytorch_index=replica.url)
        lock = tmp_path / "my-ml-project/uv.lock"
        before = lock.read_bytes()
        replica.heal()
        options = (f"--output-dir={tmp_path}", "--overwrite-if-exists")
        subprocess.run(generate(replica, *options, **chosen), check=True)
        printed = said(capfd)
    assert "A file is not the one that its index promised. The project" in printed
    assert lock.read_bytes() == before


@signals
def test_interrupt_of_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a terminal: Ctrl-C reaches cookiecutter, the hook and uv alike."""
    monkeypatch.setenv("COOKIECUTTER_CONFIG", str(empty_config(tmp_path)))
    with FaultyReplica(Fault.HANG) as replica:
        running = subprocess.Popen(
            generate(replica, f"--output-dir={tmp_path}", **ANSWERS),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )
        deadline = time.monotonic() + 30
        while not replica.requests and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGINT)
        _, printed = running.communicate(timeout=20)
        assert "\nInterrupted. The project is kept. To complete it, run:\n" in printed
        project = tmp_path / "my-ml-project"
        check_kept(project)
        assert not (project / "uv.lock").exists()
        replica.heal()
        take(next_step(printed))
    check_locked(project)


# The disk


@dataclass(frozen=True)
class Disk:
    """A small file system that only the processes of its own namespace see."""

    path: Path
    pid: int

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command that sees it."""
        enter = f"nsenter --target={self.pid} --user --mount --preserve-credentials".split()
        return subprocess.run(
            [*enter, *command], cwd="/", capture_output=True, encoding="utf-8", check=check
        )


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    path = tmp_path / "disk"
    path.mkdir()
    if not (shutil.which("unshare") and shutil.which("nsenter")):
        pytest.skip("a disk of the test's own is mounted by unshare and nsenter, which are Linux's")
    mount = 'mount -t tmpfs -o size=1m none "$0" && echo mounted && exec cat'
    with subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    ) as holder:
        assert holder.stdout
        if holder.stdout.readline() != "mounted\n":
            pytest.skip("this machine does not let a user mount a file system in a namespace")
        yield Disk(path, holder.pid)


@pytest.mark.parametrize(
    ("damage", "repair"),
    [
        pytest.param("cat /dev/zero >fill", "rm fill", id="full"),
        pytest.param("mount -o remount,ro .", "mount -o remount,rw .", id="read-only"),
    ],
)
def test_disk(
    disk: Disk,
    replica: Replica,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: str,
    repair: str,
) -> None:
    """The disk fails when the project is rendered and uv has begun to lock."""
    monkeypatch.setenv("COOKIECUTTER_CONFIG", str(empty_config(tmp_path)))
    uv, aside = tmp_path / "bin/uv", tmp_path / "bin/real"
    uv.rename(aside)
    failing = f"(cd {shlex.quote(str(disk.path))} && {damage}) 2>/dev/null"
    uv.write_text(f'#!/bin/sh\n[ "$1" != lock ] || {failing}\nexec {aside} "$@"\n')
    uv.chmod(0o755)
    printed = disk.run(*generate(replica, f"--output-dir={disk.path}", **ANSWERS)).stderr
    assert "\nuv failed, as it says above. The project is kept. To complete it, run:\n" in printed
    assert "Traceback" not in printed
    project = disk.path / "my-ml-project"
    found = disk.run("find", str(project), "-type", "f", "-printf", r"%P\n").stdout
    assert set(found.split()) >= RENDERED
    assert "uv.lock" not in found
    assert ".tmp" not in found
    aside.rename(uv)
    disk.run("sh", "-c", f"cd {shlex.quote(str(disk.path))} && {repair}")
    disk.run("sh", "-c", shlex.join(next_step(printed)))
    check_locked(project, lambda path: disk.run("cat", str(path)).stdout)


def test_target_that_takes_no_folder(replica: Replica, tmp_path: Path) -> None:
    """Cookiecutter's own refusal, before any hook: nothing is written, and the folder is named."""
    target = tmp_path / "target"
    target.write_text("a file")
    config = {"COOKIECUTTER_CONFIG": str(empty_config(tmp_path))}
    done = subprocess.run(
        generate(replica, f"--output-dir={target}", **ANSWERS),
        env={**os.environ, **config},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == f"OSError: Unable to create directory at {target / 'my-ml-project'}"
    assert target.read_text() == "a file"


def test_existing_folder(replica: Replica, tmp_path: Path) -> None:
    """Whatever is in the folder stays as it is."""
    theirs = tmp_path / "my-ml-project"
    theirs.mkdir()
    (theirs / "uv.lock").write_text("theirs")
    config = {"COOKIECUTTER_CONFIG": str(empty_config(tmp_path))}
    done = subprocess.run(
        generate(replica, f"--output-dir={tmp_path}", **ANSWERS),
        env={**os.environ, **config},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 1
    assert f"{theirs} already exists" in done.stderr
    assert [path.name for path in theirs.iterdir()] == ["uv.lock"]
    assert (theirs / "uv.lock").read_text() == "theirs"
