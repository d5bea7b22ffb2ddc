"""The smoke test under torchrun: two ranks of a real torch, and ranks that fail each other."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from cookiecutter.main import cookiecutter

from tests.conftest import PYTHON, RELEASE, ROOT, empty_config
from tools.lib.lock import run_uv
from tools.lib.replica import Replica

MODULE = ("-m", "my_ml_project.smoke")
SCRIPT = """\
import os
import sys
import time

import torch.distributed

from my_ml_project import smoke

if os.environ["RANK"] == "1":
    {}
sys.exit(smoke.main(["--timeout", "3"]))
"""


@dataclass(frozen=True)
class Ended:
    """How a process ended: its status, what it printed, and after how many seconds."""

    status: int
    out: str
    err: str
    seconds: float

    @property
    def problems(self) -> list[str]:
        """The problems that it told."""
        return [line for line in self.err.splitlines() if line.startswith("problem: ")]


@dataclass(frozen=True)
class Project:
    """A rendered project whose environment holds a real torch."""

    path: Path

    def torchrun(self, *arguments: str) -> Ended:
        """Start two ranks; torchrun itself finds a free port for them."""
        scripts = self.path / ".venv" / ("Scripts" if sys.platform == "win32" else "bin")
        command = (str(scripts / "torchrun"), "--standalone", "--nproc-per-node=2", *arguments)
        return self.wait(self.start(command), time.monotonic())

    def ranks(self, size: int, *arguments: str) -> list[Ended]:
        """Start the first ranks of two by hand, as many as `size` says."""
        python = run_uv(self.path, "python", "find").strip()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        begun = time.monotonic()
        both = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        started = [
            self.start((python, *arguments), RANK=str(rank), LOCAL_RANK=str(rank), **both)
            for rank in range(size)
        ]
        return [self.wait(process, begun) for process in started]

    def start(self, command: tuple[str, ...], **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.path,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def wait(self, process: subprocess.Popen[str], begun: float) -> Ended:
        """Wait for a process; one that hangs is ended, and so fails the test."""
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
        return Ended(process.returncode, out, err, time.monotonic() - begun)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, real_replica: Replica) -> Project:
    folder = tmp_path_factory.mktemp("project")
    answers = {
        "torch_version": RELEASE,
        "torch_backend": "cpu",
        "python_version": PYTHON,
        "companions": "none",
        "pytorch_index": real_replica.url,
        "after_generation": "nothing",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COOKIECUTTER_CONFIG", str(empty_config(folder)))
        path = cookiecutter(str(ROOT), no_input=True, extra_context=answers, output_dir=folder)
    run_uv(Path(path), "sync", "--python", PYTHON)
    return Project(Path(path))


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Where a test writes what its ranks run."""
    return tmp_path / "ranks.py"


def test_two_ranks_add_up_and_report_once(project: Project) -> None:
    ended = project.torchrun(*MODULE, "--json", "--expect", "cpu")
    assert ended.status == 0, ended.err
    report = json.loads(ended.out)
    assert (report["ranks"], report["process_group"]) == (2, "gloo")
    assert report["torch"] == f"{RELEASE}+cpu"
    assert (report["problems"], ended.problems) == ([], [])


def test_missing_rank_is_named_in_time(project: Project) -> None:
    (first,) = project.ranks(1, *MODULE, "--timeout", "3")
    assert first.status == 1
    (line,) = first.err.splitlines()
    assert line.startswith(
        "problem: 1 of 2 ranks came within 3 s, rank 1 is missing: see whether all were started"
    )
    assert first.seconds < 30


def test_wrong_rank_is_named(project: Project, script: Path) -> None:
    wrong = "torch.distributed.all_reduce = lambda numbers, real=torch.distributed.all_reduce: (\n"
    script.write_text(SCRIPT.format(f"{wrong}        real(numbers.mul_(7))\n    )"))
    ended = project.torchrun(str(script))
    assert ended.status == 1
    (problem,) = ended.problems
    assert "ranks 0, 1: the all-reduce (gloo) is wrong, rank 1 gave 2 and 14 arrived" in problem


@pytest.mark.parametrize("end", ["os._exit(3)", "time.sleep(60)"], ids=["dies", "hangs"])
def test_rank_that_stops_in_the_middle_is_an_error_in_time(
    project: Project, script: Path, end: str
) -> None:
    script.write_text(SCRIPT.format(f"torch.distributed.all_reduce = lambda numbers: {end}"))
    first, second = project.ranks(2, str(script))
    assert (first.status, second.status) == (1, 3 if "exit" in end else 1)
    assert "Traceback" not in first.err
    told = "".join(first.problems)
    assert "the all-reduce (gloo) failed" in told
    assert ("rank 1 is missing" in told) == ("exit" in end)
    assert max(first.seconds, second.seconds) < 40
