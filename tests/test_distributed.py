"""The smoke test for several processes: ranks of a real torch, and ranks that fail each other."""

from __future__ import annotations

import importlib
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cookiecutter.main import cookiecutter

from tests.conftest import PYTHON, RELEASE, ROOT, Bake, empty_config
from tests.helpers.stub_torch import stub_torch
from tools.lib.lock import run_uv
from tools.lib.replica import Replica

MODULE = ("-m", "my_ml_project.smoke_distributed")
SCRIPT = """\
import os
import sys
import time

import torch.distributed

from my_ml_project import smoke_distributed

all_reduce = torch.distributed.all_reduce
if os.environ["RANK"] == "1":
    torch.distributed.all_reduce = lambda *given, **options: {}
status = smoke_distributed.main(["--timeout", "3"])
sys.stdout.flush()
os._exit(status)
"""
"""Ranks of which rank 1 does something else than an all-reduce."""


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

    def ranks(self, *numbers: int, command: tuple[str, ...]) -> list[Ended]:
        """Start some of two ranks by hand."""
        python = run_uv(self.path, "python", "find").strip()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        begun = time.monotonic()
        both = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        started = [
            self.start((python, *command), RANK=str(rank), LOCAL_RANK=str(rank), **both)
            for rank in numbers
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
        """Wait for a process, and end one that hangs."""
        try:
            out, err = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
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
        "distributed": "yes",
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


@pytest.mark.slow
def test_two_ranks_add_up(project: Project) -> None:
    ended = project.torchrun(*MODULE)
    assert (ended.status, ended.problems) == (0, []), ended.err
    lines = ended.out.splitlines()
    assert {f"torch: {RELEASE}+cpu", "build: cpu", "ranks: 2, by gloo"} < {*lines}
    assert [line for line in lines if line.startswith("passed: ")] == lines[-1:]
    assert lines[-1].endswith("adding numbers up by gloo")


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_missing_rank_is_named(project: Project, rank: int) -> None:
    (ended,) = project.ranks(rank, command=(*MODULE, "--timeout", "3"))
    assert ended.status == 1
    (problem,) = ended.problems
    assert ended.err.splitlines() == [problem]
    assert ("rank 1: did not come in time" if rank == 0 else "that rank 0 can be") in problem
    assert ended.seconds < 60


@pytest.mark.slow
@pytest.mark.parametrize(
    ("act", "found"),
    [
        pytest.param(
            "all_reduce(given[0].mul_(7), **options)",
            "a wrong number from rank 1",
            id="computes-wrongly",
        ),
        pytest.param(
            "time.sleep(60)", "rank 1: giving its number; rank 0: waiting for the sum", id="hangs"
        ),
        pytest.param("os._exit(3)", "rank 1: did not come in time", id="dies"),
    ],
)
def test_other_rank_is_named_in_time(project: Project, script: Path, act: str, found: str) -> None:
    script.write_text(SCRIPT.format(act), encoding="utf-8")
    first, second = project.ranks(0, 1, command=(str(script),))
    assert first.status == 1
    assert found in first.problems[-1]
    assert "Traceback" not in first.err
    assert first.seconds < 60
    assert second.status != 0


@pytest.fixture
def module(bake: Bake, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module, of a project that is on the path here."""
    monkeypatch.syspath_prepend(str(bake(project_slug="stubbed", distributed="yes").path / "src"))
    yield importlib.import_module("stubbed.smoke_distributed")
    for name in ("stubbed", "stubbed.smoke", "stubbed.smoke_distributed"):
        del sys.modules[name]


class Store:
    """A store in one process."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.counts: Counter[str] = Counter()

    def set(self, key: str, value: str) -> None:
        self.values[key] = value

    def get(self, key: str) -> bytes:
        return self.values[key].encode()

    def add(self, key: str, amount: int) -> int:
        self.counts[key] += amount
        return self.counts[key]


@pytest.mark.parametrize(
    ("others", "found"),
    [
        pytest.param({1: "cpu", 2: "cpu"}, "", id="alike"),
        pytest.param({1: "cu128", 2: "cpu"}, "rank 0, 2: cpu; rank 1: cu128", id="differ"),
        pytest.param(
            {1: "cpu"}, "rank 0, 1: cpu; rank 2: did not come in time", id="one-is-missing"
        ),
        pytest.param({}, "rank 0: cpu; rank 1, 2: did not come in time", id="two-are-missing"),
    ],
)
def test_ranks_that_meet(
    module: Any, monkeypatch: pytest.MonkeyPatch, others: dict[int, str], found: str
) -> None:
    store = Store()
    stores = {"TCPStore": lambda *_, **__: None, "PrefixStore": lambda *_: store}
    torch = SimpleNamespace(distributed=SimpleNamespace(**stores))
    for name, value in {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    for rank, word in others.items():
        with suppress(module.smoke.Wrong):
            module.Ranks(torch, rank, 3, 0.0).meet("start", word)
    first = module.Ranks(torch, 0, 3, 0.1)
    with pytest.raises(module.smoke.Wrong, match=f"^{found}$") if found else nullcontext():
        first.meet("start", "cpu")


@pytest.mark.parametrize(
    ("device", "backends", "chosen"),
    [
        pytest.param("cuda:0", ("nccl", "gloo"), "nccl", id="nvidia-or-amd"),
        pytest.param("cuda:0", ("gloo",), "gloo", id="windows"),
        pytest.param("xpu:0", ("gloo", "xccl"), "xccl", id="intel"),
        pytest.param("cpu", ("nccl", "gloo"), "gloo", id="cpu"),
    ],
)
def test_backend(module: Any, device: str, backends: tuple[str, ...], chosen: str) -> None:
    has = {f"is_{name}_available": lambda: True for name in backends}
    torch = SimpleNamespace(distributed=SimpleNamespace(**has))
    assert module.backend_of(torch, module.smoke.Device(device, device)) == chosen


def test_more_ranks_than_devices(
    module: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gpu = SimpleNamespace(name="NVIDIA H200", major=9, minor=0)
    torch = stub_torch("2.9.1+cu128", cuda="12.8", gpus=(gpu,))
    torch.distributed = SimpleNamespace()
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch.version", torch.version)
    variables = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_PORT": "1"}
    for name, value in {**variables, "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    assert module.main([]) == 1
    problem = capsys.readouterr().err.splitlines()[0]
    assert problem.startswith("problem: rank 1: computing on the device of local rank 1 failed")
    assert "torch finds 1 GPUs here, start one process for each" in problem


@pytest.mark.parametrize("argv", [[], ["--timeout"], ["--timeout", "soon"]])
def test_usage_error(module: Any, argv: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It wants what torchrun sets, and a number."""
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(SystemExit) as stopped:
        module.main(argv)
    assert stopped.value.code == 2
