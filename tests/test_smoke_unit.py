"""The rendered project's smoke test, against stub torches of the builds no one machine can run."""

from __future__ import annotations

import ast
import importlib.util
import json
import sys
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

SKELETON = Path(__file__).parent.parent / "{{cookiecutter.project_slug}}"
SMOKE = SKELETON / "src" / "{{cookiecutter.__package_name}}" / "smoke.py"

CU128 = "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120 compute_120"
H200 = SimpleNamespace(name="NVIDIA H200", major=9, minor=0)
GTX_1080 = SimpleNamespace(name="NVIDIA GeForce GTX 1080", major=6, minor=1)
MI250X = SimpleNamespace(name="AMD Instinct MI250X", gcnArchName="gfx90a:sramecc+:xnack-")


class Tensor:
    """A tensor that every operation returns unchanged."""

    def __init__(self, values: list[float] | None = None) -> None:
        self.values = values or []

    def __matmul__(self, other: Tensor) -> Tensor:
        return self

    def __mod__(self, number: int) -> Tensor:
        return self

    def same(self, *args: object) -> Tensor:
        return self

    reshape = to = cpu = numpy = same

    def tolist(self) -> list[float]:
        return self.values


def raises(error: Exception) -> Callable[..., Any]:
    """Return a function that raises the error, whatever it is called with."""

    def function(*args: object, **kwargs: object) -> None:
        raise error

    return function


def stub_torch(
    version: str = "2.9.1+cpu",
    *,
    cuda: str | None = None,
    hip: str | None = None,
    xpu: str | None = None,
    flags: str = "",
    gpus: tuple[SimpleNamespace, ...] = (),
    xpus: tuple[str, ...] = (),
    mps: bool = False,
) -> Any:
    """Return a module that answers what the smoke test asks of torch.

    As in torch, `get_arch_list` answers nothing without a GPU, and a CPU build knows no flags.
    """
    torch: Any = ModuleType("torch")
    torch.__version__ = version
    torch.version = ModuleType("torch.version")
    vars(torch.version).update(cuda=cuda, hip=hip, xpu=xpu)
    torch._C = SimpleNamespace()
    if flags:
        setattr(torch._C, "_xpu_getArchFlags" if xpu else "_cuda_getArchFlags", lambda: flags)
    torch.cuda = SimpleNamespace(
        is_available=lambda: bool(gpus),
        device_count=lambda: len(gpus),
        get_device_properties=lambda index: gpus[index],
        get_arch_list=lambda: flags.split() if gpus else [],
    )
    if xpu:
        torch.xpu = SimpleNamespace(
            is_available=lambda: bool(xpus),
            device_count=lambda: len(xpus),
            get_device_name=lambda index: xpus[index],
        )
    torch.backends = SimpleNamespace(mps=SimpleNamespace(is_available=lambda: mps))
    torch.float32 = "float32"
    torch.arange = torch.tensor = torch.zeros = torch.from_numpy = lambda *args, **kwargs: Tensor()
    torch.equal = lambda one, other: True
    return torch


class Smoke:
    """The smoke module in an environment of stubs, and how to run it there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch = monkeypatch
        self.capsys = capsys
        spec = importlib.util.spec_from_file_location("smoke", SMOKE)
        assert spec is not None
        assert spec.loader is not None
        self.module: Any = importlib.util.module_from_spec(spec)
        # A __pycache__ in the skeleton would be rendered into every project.
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        monkeypatch.setitem(sys.modules, "smoke", self.module)
        spec.loader.exec_module(self.module)
        self.versions: dict[str, str] = {}
        monkeypatch.setattr(metadata, "version", self.version)
        for name in ("torch", "torch.version", "torchvision", "torchaudio", "numpy"):
            monkeypatch.setitem(sys.modules, name, None)
        for name in ("RANK", "WORLD_SIZE"):
            monkeypatch.delenv(name, raising=False)
        # Set by the smoke test where it is one of several ranks.
        monkeypatch.setenv("TORCH_CPP_LOG_LEVEL", "FATAL")

    def version(self, name: str) -> str:
        """Stand in for `importlib.metadata.version`."""
        if name not in self.versions:
            raise metadata.PackageNotFoundError(name)
        return self.versions[name]

    def install(self, module: Any, version: str | None = None) -> Any:
        """Make a module importable, in a version: its own, where it has one."""
        self.monkeypatch.setitem(sys.modules, module.__name__, module)
        self.versions[module.__name__] = version or module.__version__
        if module.__name__ == "torch":
            self.monkeypatch.setitem(sys.modules, "torch.version", module.version)
        return module

    def install_numpy(self, version: str = "2.3.5") -> None:
        numpy: Any = ModuleType("numpy")
        numpy.__version__ = version
        numpy.arange = lambda *args, **kwargs: Tensor()
        self.install(numpy)

    def install_torchvision(self, version: str, kept: list[float]) -> Any:
        torchvision: Any = ModuleType("torchvision")
        torchvision.ops = SimpleNamespace(nms=lambda *args: Tensor(kept))
        return self.install(torchvision, version)

    def run(self, *argv: str) -> tuple[int, str, list[str]]:
        """Return the status, what was printed, and the problems told."""
        status = self.module.main(list(argv))
        out, err = self.capsys.readouterr()
        assert "Traceback" not in err
        return status, out, err.splitlines()


@pytest.fixture
def smoke(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Smoke:
    return Smoke(monkeypatch, capsys)


def test_source_is_python_38_and_free_of_jinja() -> None:
    source = SMOKE.read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 8))
    assert not any(mark in source for mark in ("{{", "{%", "{#"))


@pytest.mark.parametrize(
    ("label", "cuda", "hip", "xpu", "build"),
    [
        pytest.param("cpu", None, None, None, "cpu", id="cpu"),
        pytest.param("", None, None, None, "cpu", id="macos"),
        pytest.param("", "12.8", None, None, "cu128", id="pypi-linux"),
        pytest.param("cu118", "11.8", None, None, "cu118", id="cuda"),
        pytest.param("cpu", "13.0", None, None, "cu130", id="cuda-under-a-stale-label"),
        pytest.param("", None, "6.4.43482-0f2d60242", None, "rocm6.4", id="rocm-unlabelled"),
        pytest.param("rocm6.2.4", None, "6.2.41134-65d174c3e", None, "rocm6.2.4", id="rocm-patch"),
        pytest.param("xpu", None, None, "20250101", "xpu", id="xpu"),
        pytest.param("xpu", None, None, None, "xpu", id="xpu-by-label"),
    ],
)
def test_build_of(
    smoke: Smoke, label: str, cuda: str | None, hip: str | None, xpu: str | None, build: str
) -> None:
    assert smoke.module.build_of(label, cuda, hip, xpu) == build


@pytest.mark.parametrize(
    ("version", "label"),
    [
        ("2.9.1", ""),
        ("2.9.1+cu128", "cu128"),
        ("2.6.0+rocm6.2.4", "rocm6.2.4"),
        ("2.1.0+cpu.cxx11.abi", "cpu"),
        ("2.5.1+xpu", "xpu"),
        ("0.24.0+e437e35", ""),
        ("0.24.0+c0ffee1", ""),
        ("2.11.0a0+eb65b36914.nv26.2", ""),
    ],
)
def test_label_of(smoke: Smoke, version: str, label: str) -> None:
    assert smoke.module.label_of(version) == label


@pytest.mark.parametrize(
    ("code", "architecture", "runs"),
    [
        ("sm_90", "sm_90", True),
        ("sm_80", "sm_86", True),
        ("sm_86", "sm_80", False),
        ("sm_80", "sm_90", False),
        ("sm_100", "sm_103", True),
        ("sm_100", "sm_120", False),
        ("sm_90a", "sm_90", True),
        ("sm_100a", "sm_103", False),
        ("sm_100f", "sm_103", True),
        ("compute_90", "sm_120", True),
        ("compute_120", "sm_121", True),
        ("compute_120", "sm_90", False),
        ("compute_100f", "sm_120", False),
        ("gfx90a", "gfx90a", True),
        ("gfx900", "gfx90a", False),
    ],
)
def test_runs_on(smoke: Smoke, code: str, architecture: str, runs: bool) -> None:
    assert smoke.module.runs_on(code, architecture) is runs


def test_no_torch(smoke: Smoke) -> None:
    smoke.monkeypatch.delitem(sys.modules, "torch")
    smoke.monkeypatch.delitem(sys.modules, "torch.version")
    smoke.monkeypatch.setattr(sys, "path", [])
    status, out, problems = smoke.run("--expect", "cpu")
    assert status == 1
    assert "torch: not installed\n" in out
    assert "device:" not in out
    (problem,) = problems
    assert "torch is not installed" in problem
    assert "uv sync" in problem


@pytest.mark.parametrize("error", [OSError, ImportError, RuntimeError])
def test_broken_torch_is_one_problem(smoke: Smoke, error: type[Exception]) -> None:
    broken = error("libcudart.so.12: cannot open\nshared object file")
    smoke.monkeypatch.setattr(smoke.module.importlib, "import_module", raises(broken))
    status, _, problems = smoke.run()
    assert status == 1
    (problem,) = problems
    assert f"({error.__name__}: libcudart.so.12: cannot open shared object file)" in problem


def test_cpu(smoke: Smoke) -> None:
    smoke.install(stub_torch("2.1.0+cpu"))
    smoke.install_numpy("1.26.4")
    status, out, problems = smoke.run("--expect", "cpu")
    assert (status, problems) == (0, [])
    assert [line.partition(":")[0] for line in out.splitlines()] == [
        *("python", "platform", "torch", "build", "device", "architectures"),
        *("numpy", "package", "passed"),
    ]
    assert out.splitlines()[2:7] == [
        "torch: 2.1.0+cpu",
        "build: cpu",
        "device: cpu",
        "architectures: none",
        "numpy: 1.26.4",
    ]
    assert out.splitlines()[-2:] == [
        f"package: {SMOKE.resolve().parent}",
        "passed: comparing the build, exchanging an array with numpy, a matrix product on cpu",
    ]


def test_label_of_the_metadata_counts_where_torch_has_none(smoke: Smoke) -> None:
    smoke.install(stub_torch("2.9.1", cuda="12.8"), "2.9.1+cu128")
    assert "torch: 2.9.1+cu128\nbuild: cu128\n" in smoke.run()[1]


def test_json_is_one_object_of_the_same_names(smoke: Smoke) -> None:
    smoke.install(stub_torch("2.9.1+cu128", cuda="12.8", flags=CU128, gpus=(H200, H200)))
    status, out, problems = smoke.run("--json", "--expect", "cu126")
    report = json.loads(out)
    assert status == 1
    assert report["build"] == "cu128"
    assert report["devices"] == [
        "cuda:0 NVIDIA H200, capability 9.0",
        "cuda:1 NVIDIA H200, capability 9.0",
    ]
    assert report["architectures"] == CU128.split()
    assert report["torchvision"] is None
    assert [f"problem: {problem}" for problem in report["problems"]] == problems
    names = [line.partition(":")[0] for line in smoke.run()[1].splitlines()]
    renamed = {"device": "devices", "passed": "problems"}
    names = [renamed.get(name, name) for name in dict.fromkeys(names)]
    assert [name for name in report if name not in ("torchvision", "torchaudio")] == names


def test_cuda_build_without_a_gpu_is_no_problem(smoke: Smoke) -> None:
    smoke.install(stub_torch("2.9.1+cu128", cuda="12.8", flags=CU128))
    status, out, problems = smoke.run("--expect", "cu128")
    assert (status, problems) == (0, [])
    assert "device: cpu\n" in out
    assert f"architectures: {CU128}\n" in out


def test_driver_that_torch_cannot_use_is_a_problem(smoke: Smoke) -> None:
    torch = smoke.install(stub_torch("2.11.0+cu130", cuda="13.0"))

    def is_available() -> bool:
        warnings.warn(
            "CUDA initialization: The NVIDIA driver on your system is too old", stacklevel=1
        )
        return False

    torch.cuda.is_available = is_available
    status, out, problems = smoke.run()
    assert status == 1
    assert "device: cpu\n" in out
    (problem,) = problems
    assert "driver on your system is too old" in problem


def test_device_that_cannot_be_asked_is_a_problem(smoke: Smoke) -> None:
    torch = smoke.install(stub_torch("2.9.1+cu128", cuda="12.8", gpus=(H200,)))
    torch.cuda.get_device_properties = raises(RuntimeError("CUDA unknown error"))
    status, out, problems = smoke.run()
    assert status == 1
    assert "device: cpu\n" in out
    assert "(RuntimeError: CUDA unknown error)" in problems[0]


def test_device_of_no_compiled_architecture(smoke: Smoke) -> None:
    smoke.install(stub_torch("2.9.1+cu128", cuda="12.8", flags=CU128, gpus=(GTX_1080,)))
    status, out, problems = smoke.run()
    assert status == 1
    assert "device: cuda:0 NVIDIA GeForce GTX 1080, capability 6.1\n" in out
    (problem,) = problems
    assert "needs sm_61" in problem
    assert CU128 in problem


def test_product_that_differs_from_the_cpu(smoke: Smoke) -> None:
    torch = smoke.install(stub_torch("2.9.1+cu128", cuda="12.8", flags=CU128, gpus=(H200,)))
    answers = iter([True, False])
    torch.equal = lambda one, other: next(answers)
    status, _, problems = smoke.run()
    assert status == 1
    assert "a matrix product on cuda:0 NVIDIA H200, capability 9.0 differs" in problems[0]


def test_rocm(smoke: Smoke) -> None:
    flags = "gfx900 gfx90a gfx942"
    smoke.install(
        stub_torch("2.8.0+rocm6.4", hip="6.4.43482-0f2d60242", flags=flags, gpus=(MI250X,))
    )
    status, out, problems = smoke.run("--expect", "rocm6.4")
    assert (status, problems) == (0, [])
    assert "device: cuda:0 AMD Instinct MI250X, gfx90a\n" in out


def test_rocm_device_of_no_compiled_architecture(smoke: Smoke) -> None:
    smoke.install(stub_torch("2.8.0+rocm6.4", hip="6.4.43482", flags="gfx942", gpus=(MI250X,)))
    status, _, problems = smoke.run()
    assert status == 1
    assert "needs gfx90a, torch was compiled for gfx942" in problems[0]


def test_xpu(smoke: Smoke) -> None:
    arc = "Intel(R) Arc(TM) B580 Graphics"
    smoke.install(stub_torch("2.9.1+xpu", xpu="20250201", flags="bmg dg2", xpus=(arc,)))
    status, out, problems = smoke.run("--expect", "xpu")
    assert (status, problems) == (0, [])
    assert f"device: xpu:0 {arc}\n" in out
    assert "architectures: bmg dg2\n" in out


@pytest.mark.parametrize(("memory", "device"), [(True, "mps"), (False, "cpu")])
def test_mps_counts_only_where_it_has_memory(smoke: Smoke, memory: bool, device: str) -> None:
    torch = smoke.install(stub_torch("2.9.1", mps=True))
    if not memory:
        torch.zeros = raises(RuntimeError("MPS backend out of memory"))
    status, out, problems = smoke.run("--expect", "cpu")
    assert (status, problems) == (0, [])
    assert f"device: {device}\n" in out


@pytest.mark.parametrize(
    ("numpy", "advice"), [("2.3.5", "require `numpy<2`"), ("1.26.4", "--reinstall")]
)
def test_broken_numpy_bridge(smoke: Smoke, numpy: str, advice: str) -> None:
    torch = smoke.install(stub_torch("2.2.2+cpu"))
    torch.from_numpy = raises(RuntimeError("Numpy is not available"))
    smoke.install_numpy(numpy)
    status, _, problems = smoke.run()
    assert status == 1
    (problem,) = problems
    assert f"cannot share arrays with numpy {numpy}" in problem
    assert advice in problem


def test_companion_of_another_build(smoke: Smoke) -> None:
    smoke.install(stub_torch("2.9.1", cuda="12.8"))
    smoke.install_torchvision("0.24.1+cpu", kept=[0, 2])
    status, out, problems = smoke.run()
    assert status == 1
    assert "torchvision: 0.24.1+cpu\n" in out
    (problem,) = problems
    assert "torchvision 0.24.1+cpu is a cpu build, but torch is a cu128 one" in problem


@pytest.mark.parametrize("version", ["0.24.1+cpu", "0.24.1", "0.24.1+e437e35"])
def test_companion_that_works(smoke: Smoke, version: str) -> None:
    smoke.install(stub_torch())
    smoke.install_torchvision(version, kept=[0, 2])
    status, _, problems = smoke.run()
    assert (status, problems) == (0, [])


def test_companion_with_a_wrong_result(smoke: Smoke) -> None:
    smoke.install(stub_torch())
    smoke.install_torchvision("0.24.1+cpu", kept=[0, 1, 2])
    status, _, problems = smoke.run()
    assert status == 1
    assert "torchvision 0.24.1+cpu computes a wrong result" in problems[0]


def test_companion_whose_import_guard_raises(smoke: Smoke) -> None:
    smoke.install(stub_torch("2.15.0+cu132", cuda="13.2"))
    smoke.versions["torchaudio"] = "2.11.0"
    load = smoke.module.importlib.import_module
    guard = raises(
        RuntimeError("PyTorch and TorchAudio were compiled with different CUDA versions")
    )
    smoke.monkeypatch.setattr(
        smoke.module.importlib,
        "import_module",
        lambda name: guard() if name == "torchaudio" else load(name),
    )
    status, _, problems = smoke.run()
    assert status == 1
    (problem,) = problems
    assert "torchaudio 2.11.0 does not work with torch 2.15.0+cu132 (RuntimeError: " in problem


def test_torchaudio_without_its_compiled_operator(smoke: Smoke) -> None:
    torch = smoke.install(stub_torch())
    torch.ops = SimpleNamespace(torchaudio=SimpleNamespace())
    smoke.install(ModuleType("torchaudio"), "2.9.1+cpu")
    status, _, problems = smoke.run()
    assert status == 1
    assert "_lfilter_core_loop" in problems[0]


def test_torchaudio_that_works(smoke: Smoke) -> None:
    torch = smoke.install(stub_torch())
    torch.ops = SimpleNamespace(torchaudio=SimpleNamespace(_lfilter_core_loop=None))
    torchaudio: Any = ModuleType("torchaudio")
    response = Tensor([1.0, 0.5, 0.25, 0.125])
    torchaudio.functional = SimpleNamespace(lfilter=lambda *args: response)
    smoke.install(torchaudio, "2.9.1+cpu")
    status, _, problems = smoke.run()
    assert (status, problems) == (0, [])


def test_expected_build_is_missing(smoke: Smoke) -> None:
    smoke.install(stub_torch("2.9.1+cpu"))
    status, _, problems = smoke.run("--expect", "cu128")
    assert status == 1
    (problem,) = problems
    assert "the build is cpu, not cu128 as expected" in problem
    assert "uv sync" in problem


def test_exception_in_a_check_is_a_problem_line(smoke: Smoke) -> None:
    torch = smoke.install(stub_torch())
    torch.arange = raises(ValueError("no such\nthing"))
    status, _, problems = smoke.run()
    assert status == 1
    (problem,) = problems
    assert "a matrix product on cpu failed (ValueError: no such thing)" in problem


class Store:
    """A store in which the other ranks have left their notes for every step."""

    def __init__(self, **notes: list[Any]) -> None:
        self.values: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        for step, values in notes.items():
            for rank, value in enumerate(values, 1):
                self.set(f"{step}/{rank}", json.dumps(value))
                self.add(f"{step}/{rank}/there", 1)
                self.add(step, 1)

    def set(self, key: str, value: str) -> None:
        self.values[key] = value

    def get(self, key: str) -> bytes:
        return self.values[key].encode()

    def add(self, key: str, amount: int) -> int:
        self.counts[key] = self.counts.get(key, 0) + amount
        return self.counts[key]


def torchrun(smoke: Smoke, torch: Any, rank: int, size: int, store: Store | None = None) -> Any:
    """Set what torchrun sets, and give torch the parts that meet in a store."""
    variables = {"RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": rank, "MASTER_PORT": 29500}
    for name, value in variables.items():
        smoke.monkeypatch.setenv(name, str(value))
    smoke.monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    torch.distributed = SimpleNamespace(
        is_available=lambda: store is not None,
        TCPStore=lambda *args, **kwargs: store,
        PrefixStore=lambda prefix, store: store,
    )
    return torch


def notes(build: str, *problems: str, group: str = "gloo") -> dict[str, Any]:
    """Return what rank 1 of two leaves in the store."""
    facts = {"torch": "2.9.1", "build": build, "process group": group, "joins": True}
    return {"facts": [facts], "problems": [list(problems)], "told": [None]}


def test_ranks_of_different_builds(smoke: Smoke) -> None:
    torchrun(smoke, smoke.install(stub_torch()), 0, 2, Store(**notes("cu128", group="nccl")))
    status, out, problems = smoke.run()
    assert status == 1
    assert out.endswith("\nranks: 2\nprocess_group: gloo\n")
    assert [problem.partition(": every machine")[0] for problem in problems] == [
        "problem: build differs, cpu on rank 0, cu128 on rank 1",
        "problem: process group differs, gloo on rank 0, nccl on rank 1",
    ]


def test_problems_of_all_ranks_are_told_once(smoke: Smoke) -> None:
    store = Store(**notes("cpu", "both", "second"))
    torch = torchrun(smoke, smoke.install(stub_torch()), 0, 2, store)
    torch.arange = raises(smoke.module.Problem("both"))
    smoke.monkeypatch.setattr(smoke.module.Ranks, "check_group", lambda *args: None)
    status, out, problems = smoke.run("--json")
    assert status == 1
    report = json.loads(out)
    assert (report["ranks"], report["process_group"]) == (2, "gloo")
    assert report["problems"] == ["ranks 0, 1: both", "rank 1: second"]
    assert problems == ["problem: ranks 0, 1: both", "problem: rank 1: second"]


def test_missing_rank(smoke: Smoke) -> None:
    torchrun(smoke, smoke.install(stub_torch()), 0, 3, Store(**notes("cpu")))
    status, _, problems = smoke.run("--timeout", "0.1")
    assert status == 1
    assert problems[0].startswith(
        "problem: 2 of 3 ranks came within 0.1 s, rank 2 is missing: see whether all were started"
    )


def test_only_the_first_rank_prints(smoke: Smoke) -> None:
    torchrun(smoke, smoke.install(stub_torch()), 2, 3, Store(**notes("cu128")))
    assert smoke.run("--timeout", "0.1") == (1, "", [])


def test_more_ranks_than_devices(smoke: Smoke) -> None:
    torch = stub_torch("2.9.1+cu128", cuda="12.8", flags=CU128, gpus=(H200,))
    torchrun(smoke, smoke.install(torch), 1, 2)
    status, _, problems = smoke.run()
    assert status == 1
    assert problems[0] == (
        "problem: rank 1: no device for local rank 1, this machine has 1: "
        "start `torchrun --nproc-per-node 1` here"
    )


def test_torch_without_distributed(smoke: Smoke) -> None:
    torchrun(smoke, smoke.install(stub_torch("2.9.1")), 0, 1)
    status, out, problems = smoke.run()
    assert status == 1
    assert "process_group: none\n" in out
    (problem,) = problems
    assert "rank 0: torch 2.9.1 was built without torch.distributed" in problem


@pytest.mark.parametrize(
    ("device", "backends", "group"),
    [
        pytest.param("cuda:0", ("nccl", "gloo"), "nccl", id="nvidia-or-amd"),
        pytest.param("cuda:0", ("gloo",), "gloo", id="windows"),
        pytest.param("xpu:0", ("gloo", "xccl"), "xccl", id="intel"),
        pytest.param("mps", ("gloo",), "gloo", id="apple"),
        pytest.param("", ("nccl", "gloo"), "gloo", id="cpu"),
    ],
)
def test_process_group_of(smoke: Smoke, device: str, backends: tuple[str, ...], group: str) -> None:
    has = {f"is_{name}_available": lambda: True for name in backends}
    torch = SimpleNamespace(distributed=SimpleNamespace(is_available=lambda: True, **has))
    devices = [smoke.module.Device(device)] if device else []
    assert smoke.module.process_group_of(torch, devices) == group


def test_one_device_is_a_rank_s_own(smoke: Smoke) -> None:
    devices = [smoke.module.Device(name) for name in ("cuda:0", "cuda:1")]
    assert smoke.module.own_devices(devices, 1) == devices[1:]
    assert smoke.module.own_devices([], 1) == []


@pytest.mark.parametrize(("rank", "size"), [("2", "2"), ("first", "2"), ("0", "")])
def test_senseless_variables_are_a_usage_error(smoke: Smoke, rank: str, size: str) -> None:
    torchrun(smoke, stub_torch(), 0, 1)
    smoke.monkeypatch.setenv("RANK", rank)
    smoke.monkeypatch.setenv("WORLD_SIZE", size)
    with pytest.raises(SystemExit) as stopped:
        smoke.run()
    assert stopped.value.code == 2


@pytest.mark.parametrize(
    "argv",
    [
        *(["--expect"], ["--expect", "cuda"], ["--no-such-option"], ["x"]),
        *(["--timeout"], ["--timeout", "-1"], ["--timeout", "soon"]),
    ],
)
def test_usage_error(smoke: Smoke, argv: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        smoke.run(*argv)
    assert stopped.value.code == 2
