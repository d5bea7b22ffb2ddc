"""The rendered project's smoke test, against stand-ins for the builds no one machine can run."""

from __future__ import annotations

import ast
import io
import json
import sys
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import jinja2
import pytest

from tests.helpers.stub_torch import Tensor, raises, stub_torch
from torch_plan.catalog.facts import load_facts

SKELETON = Path(__file__).parent.parent / "{{cookiecutter.project_slug}}"
TEMPLATE = SKELETON / "src" / "{{cookiecutter.__package_name}}" / "smoke.py"

CU128 = "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120 compute_120"
H200 = SimpleNamespace(name="NVIDIA H200", major=9, minor=0)
MI250X = SimpleNamespace(
    name="AMD Instinct MI250X", major=9, minor=0, gcnArchName="gfx90a:sramecc+"
)


def rendered(*companions: str, layout: str = "") -> str:
    """Return the smoke test of a project with these companions, and builds as extras or groups."""
    environment = jinja2.Environment(keep_trailing_newline=True, autoescape=False)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    plan = SimpleNamespace(
        companions=dict.fromkeys(companions),
        extras=layout == "extras",
        groups=layout == "groups",
        tied=load_facts().tied,
    )
    return template.render(torch_plan=lambda context: plan)


class Smoke:
    """The smoke test of a project with torchcodec, in an environment of stand-ins."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys
        self.main: Callable[[list[str]], int]
        self.versions: dict[str, str] = {}
        self.required: dict[str, list[str]] = {}
        monkeypatch.setattr(metadata, "version", self.version)
        monkeypatch.setattr(metadata, "requires", self.required.get)
        for name in ("torch", "torch.version", "torchvision", "torchaudio", "torchcodec", "numpy"):
            monkeypatch.setitem(sys.modules, name, None)
        module = ModuleType("smoke")
        module.__file__ = str(TEMPLATE)
        monkeypatch.setitem(sys.modules, "smoke", module)
        exec(compile(rendered("torchvision", "torchcodec"), "smoke.py", "exec"), vars(module))
        self.main = vars(module)["main"]

    def version(self, name: str) -> str:
        """Stand in for `importlib.metadata.version`."""
        if name not in self.versions:
            raise metadata.PackageNotFoundError(name)
        return self.versions[name]

    def install(self, module: Any, version: str) -> Any:
        """Make a module importable, in a version."""
        self.monkeypatch.setitem(sys.modules, module.__name__, module)
        self.versions[module.__name__] = version
        return module

    def install_torch(self, version: str = "2.13.0+cpu", **build: Any) -> Any:
        torch = self.install(stub_torch(version, **build), version)
        self.monkeypatch.setitem(sys.modules, "torch.version", torch.version)
        return torch

    def install_torchvision(self, version: str, kept: list[int]) -> None:
        torchvision: Any = ModuleType("torchvision")
        torchvision.ops = SimpleNamespace(nms=lambda *args: Tensor(kept))
        self.install(torchvision, version)

    def install_broken(self, name: str, version: str, error: Exception) -> None:
        """Install a package that raises an error when it is imported."""

        class Finder:
            @staticmethod
            def find_spec(wanted: str, path: object = None, target: object = None) -> None:
                if wanted == name:
                    raise error

        for known in (name, f"{name}.version"):
            self.monkeypatch.delitem(sys.modules, known, raising=False)
        self.monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
        self.versions[name] = version

    def run(self, *argv: str) -> tuple[int, str, list[str]]:
        """Return the status, what was printed, and the problems told."""
        status = self.main(list(argv))
        out, err = self.capsys.readouterr()
        return status, out, err.splitlines()

    def problem(self, *argv: str) -> str:
        """Return the one problem that is found."""
        status, _, problems = self.run(*argv)
        assert status == 1
        (problem,) = problems
        return problem

    def passes(self, *argv: str) -> str:
        """Return what is printed where there is no problem."""
        status, out, problems = self.run(*argv)
        assert (status, problems) == (0, [])
        return out


@pytest.fixture
def smoke(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Smoke:
    return Smoke(monkeypatch, capsys)


def test_it_runs_on_the_oldest_python() -> None:
    ast.parse(rendered(), feature_version=(3, 8))


def test_cpu(smoke: Smoke) -> None:
    smoke.install_torch("2.13.0+cpu")
    numpy: Any = ModuleType("numpy")
    numpy.arange = lambda stop: Tensor([])
    smoke.install(numpy, "1.26.4")
    lines = smoke.passes("--expect", "cpu").splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        *("python", "platform", "torch", "build", "device", "architectures"),
        *("numpy", "package", "passed"),
    ]
    assert lines[2:7] == [
        *("torch: 2.13.0+cpu", "build: cpu", "device: cpu", "architectures: none"),
        "numpy: 1.26.4",
    ]
    assert lines[-2] == f"package: {TEMPLATE.resolve().parent}"
    assert lines[-1] == (
        "passed: importing torch, looking for devices, comparing the build, "
        "exchanging an array with numpy 1.26.4, a product and a convolution on cpu"
    )


def test_a_console_that_lacks_characters(smoke: Smoke, monkeypatch: pytest.MonkeyPatch) -> None:
    smoke.install_torch("2.13.0+größe")
    console = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", console)
    assert smoke.main([]) == 0
    console.flush()
    assert b"torch: 2.13.0+gr\\xf6\\xdfe" in console.buffer.getvalue()


@pytest.mark.parametrize(
    ("version", "toolkit", "build"),
    [
        pytest.param("2.1.0+cpu.cxx11.abi", {}, "cpu", id="cpu"),
        pytest.param("2.9.1", {}, "cpu", id="macos"),
        pytest.param("2.9.1", {"cuda": "12.8"}, "cu128", id="pypi-linux"),
        pytest.param("2.1.0+cu118", {"cuda": "11.8"}, "cu118", id="cuda"),
        pytest.param("2.9.1+cpu", {"cuda": "13.0"}, "cu130", id="cuda-under-a-stale-label"),
        pytest.param("2.9.1", {"hip": "6.4.43482-0f2d60242"}, "rocm6.4", id="rocm-unlabelled"),
        pytest.param("2.6.0+rocm6.2.4", {"hip": "6.2.41134"}, "rocm6.2.4", id="rocm-patch"),
        pytest.param("2.9.1+xpu", {"xpu": "20250101"}, "xpu", id="xpu"),
        pytest.param("2.5.1+xpu", {}, "xpu", id="xpu-by-label"),
    ],
)
def test_build(smoke: Smoke, version: str, toolkit: dict[str, str], build: str) -> None:
    smoke.install_torch(version, **toolkit)
    assert f"torch: {version}\nbuild: {build}\n" in smoke.passes("--expect", build)


def test_another_build_than_expected(smoke: Smoke) -> None:
    smoke.install_torch("2.9.1+cpu")
    problem = smoke.problem("--expect", "cu128")
    assert "it is cpu, not cu128" in problem
    assert "uv sync" in problem


def test_no_torch(smoke: Smoke) -> None:
    status, out, problems = smoke.run("--expect", "cpu")
    assert status == 1
    assert "package: " in out
    assert "torch: " not in out
    (problem,) = problems
    assert "importing torch failed (ModuleNotFoundError: " in problem
    assert "uv sync" in problem


def test_remains_of_an_uninstalled_torch_are_no_torch(smoke: Smoke) -> None:
    smoke.monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    smoke.monkeypatch.delitem(sys.modules, "torch.version")
    assert "No module named 'torch.version'" in smoke.problem()


def test_broken_torch(smoke: Smoke) -> None:
    error = OSError("libcudart.so.12: cannot open shared object file:\nNo such file")
    smoke.install_broken("torch", "2.9.1+cu128", error)
    status, out, problems = smoke.run()
    assert status == 1
    assert "torch: 2.9.1+cu128\n" in out
    assert "(OSError: libcudart.so.12: cannot open shared object file" in problems[0]
    assert "--reinstall" in problems[0]


def test_json_is_one_object_of_the_same_facts(smoke: Smoke) -> None:
    smoke.install_torch("2.9.1+cu128", cuda="12.8", flags=CU128, gpus=(H200, H200), cudnn=91002)
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
    lines = smoke.run()[1].splitlines()
    for device in report["devices"]:
        assert f"device: {device}" in lines
    for name in ("python", "torch", "build", "cudnn", "package"):
        assert f"{name}: {report[name]}" in lines


def test_what_a_library_prints_is_no_part_of_the_json(smoke: Smoke) -> None:
    smoke.install_torch()
    smoke.install_torchvision("0.24.1+cpu", kept=[0, 2])

    def nms(*args: object) -> Tensor:
        print("hello")
        return Tensor([0, 2])

    smoke.monkeypatch.setattr("torchvision.ops.nms", nms)
    assert smoke.main(["--json"]) == 0
    out, err = smoke.capsys.readouterr()
    assert json.loads(out)["problems"] == []
    assert err == "hello\n"


def test_compile_is_tested_where_it_is_asked_for(smoke: Smoke) -> None:
    torch = smoke.install_torch(cuda="12.8", gpus=(H200,))
    torch.compile = lambda function: function
    assert "torch.compile" not in smoke.passes()
    assert "torch.compile on cuda:0 NVIDIA H200, capability 9.0" in smoke.passes("--compile")
    torch.compile = raises(RuntimeError("Cannot find a working triton installation"))
    smoke.passes()
    problem = smoke.problem("--compile")
    assert "(RuntimeError: Cannot find a working triton" in problem
    assert "triton-windows" in problem


def test_compiled_code_that_computes_wrongly(smoke: Smoke) -> None:
    torch = smoke.install_torch()
    torch.compile = lambda function: lambda numbers: (Tensor("wrong"), Tensor("wrong"))
    assert "torch.compile on cpu failed (the result is wrong)" in smoke.problem("--compile")


@pytest.mark.parametrize(
    ("layout", "said"), [("extras", "uv add --optional"), ("groups", "the group"), ("", "uv sync")]
)
def test_another_build_is_advised_by_layout(layout: str, said: str) -> None:
    (advice,) = [line for line in rendered(layout=layout).splitlines() if line.startswith("SYNC")]
    assert said in advice
    assert len(advice) <= 100
    assert ("groups" in advice) == (layout == "extras")


@pytest.mark.parametrize("argv", [["--expect"], ["--no-such-option"], ["x"]])
def test_usage_error(smoke: Smoke, argv: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        smoke.run(*argv)
    assert stopped.value.code == 2


def test_cuda_build_without_a_gpu_is_no_problem(smoke: Smoke) -> None:
    smoke.install_torch("2.9.1+cu128", cuda="12.8", flags=CU128)
    out = smoke.passes("--expect", "cu128")
    assert f"device: cpu\narchitectures: {CU128}\n" in out


def test_cudnn_is_named(smoke: Smoke) -> None:
    smoke.install_torch("2.9.1+cu128", cuda="12.8", cudnn=91002)
    assert "cudnn: 91002\n" in smoke.passes()


@pytest.mark.parametrize(
    "message",
    [
        "cuDNN error: CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH",
        "GET was unable to find an engine to execute this computation",
    ],
)
def test_cudnn_error_says_where_to_look(smoke: Smoke, message: str) -> None:
    faults = {("convolution", "cuda:0"): RuntimeError(message)}
    smoke.install_torch("2.13.0+cu130", cuda="13.0", gpus=(H200,), cudnn=92000, faults=faults)
    problem = smoke.problem()
    assert "a product and a convolution on cuda:0 NVIDIA H200, capability 9.0 failed" in problem
    assert message in problem
    assert "LD_LIBRARY_PATH" in problem
    assert "site-packages/nvidia/cudnn/lib" in problem


def test_cudnn_of_another_version_than_torch_was_compiled_with(smoke: Smoke) -> None:
    torch = smoke.install_torch("2.9.1+cu128", cuda="12.8")
    error = RuntimeError("cuDNN version incompatibility: PyTorch was compiled against (9, 10, 2)")
    torch.backends.cudnn.version = raises(error)
    assert "LD_LIBRARY_PATH" in smoke.problem()


@pytest.mark.parametrize("what", ["product", "convolution"])
def test_wrong_result_of_a_device(smoke: Smoke, what: str) -> None:
    smoke.install_torch(cuda="12.8", gpus=(H200, H200), faults={(what, "cuda:1"): "wrong"})
    problem = smoke.problem()
    assert "on cuda:1 NVIDIA H200, capability 9.0 failed (the result is wrong)" in problem


def test_device_that_cannot_compute(smoke: Smoke) -> None:
    error = RuntimeError("CUDA error: no kernel image is available for execution on the device")
    smoke.install_torch(
        cuda="12.8", gpus=(H200,), cudnn=91002, faults={("product", "cuda:0"): error}
    )
    problem = smoke.problem()
    assert "no kernel image" in problem
    assert "LD_LIBRARY_PATH" not in problem


@pytest.mark.parametrize(
    ("flags", "capability", "runs"),
    [
        ("sm_90", (9, 0), True),
        ("sm_80", (8, 6), True),
        ("sm_86", (8, 0), False),
        ("sm_80", (9, 0), False),
        ("sm_100", (10, 3), True),
        ("sm_100", (12, 0), False),
        ("sm_90a", (9, 0), True),
        ("sm_80 compute_90", (12, 0), True),
        ("compute_120", (12, 1), True),
        ("compute_120", (9, 0), False),
        (CU128, (6, 1), False),
    ],
)
def test_architecture_of_nvidia(
    smoke: Smoke, flags: str, capability: tuple[int, int], runs: bool
) -> None:
    major, minor = capability
    gpu = SimpleNamespace(name="GPU", major=major, minor=minor)
    smoke.install_torch(cuda="12.8", flags=flags, gpus=(gpu,))
    if runs:
        smoke.passes()
    else:
        assert f"it needs sm_{major}{minor}, torch was compiled for {flags})" in smoke.problem()


def test_amd(smoke: Smoke) -> None:
    hip = "6.4.43482-0f2d60242"
    smoke.install_torch("2.8.0+rocm6.4", hip=hip, flags="gfx900 gfx90a", gpus=(MI250X,))
    assert "device: cuda:0 AMD Instinct MI250X, gfx90a\n" in smoke.passes("--expect", "rocm6.4")
    smoke.install_torch("2.8.0+rocm6.4", hip=hip, flags="gfx900 gfx942", gpus=(MI250X,))
    assert "it needs gfx90a, torch was compiled for gfx900 gfx942" in smoke.problem()


def test_intel(smoke: Smoke) -> None:
    arc = "Intel(R) Arc(TM) B580 Graphics"
    smoke.install_torch("2.9.1+xpu", xpu="20250201", flags="bmg dg2", xpus=(arc,))
    assert f"device: xpu:0 {arc}\narchitectures: bmg dg2\n" in smoke.passes("--expect", "xpu")


@pytest.mark.parametrize(("memory", "device"), [(True, "mps"), (False, "cpu")])
def test_apple_counts_only_where_it_has_memory(smoke: Smoke, memory: bool, device: str) -> None:
    torch = smoke.install_torch("2.9.1", mps=True)
    if not memory:
        torch.zeros = raises(RuntimeError("MPS backend out of memory"))
    assert f"device: {device}\n" in smoke.passes("--expect", "cpu")


def test_driver_that_torch_cannot_use(smoke: Smoke) -> None:
    torch = smoke.install_torch("2.11.0+cu130", cuda="13.0")

    def is_available() -> bool:
        warnings.warn("CUDA initialization: The NVIDIA driver is too old", stacklevel=1)
        return False

    torch.cuda.is_available = is_available
    problem = smoke.problem()
    assert "The NVIDIA driver is too old" in problem
    assert "update the driver" in problem


def test_device_that_cannot_be_asked(smoke: Smoke) -> None:
    torch = smoke.install_torch("2.9.1+cu128", cuda="12.8", gpus=(H200,))
    torch.cuda.get_device_properties = raises(RuntimeError("CUDA unknown error"))
    status, out, problems = smoke.run()
    assert status == 1
    assert "device: cpu\n" in out
    assert "(RuntimeError: CUDA unknown error)" in problems[0]


def test_numpy_that_torch_cannot_exchange_with(smoke: Smoke) -> None:
    torch = smoke.install_torch("2.2.2+cpu")
    torch.from_numpy = raises(RuntimeError("Numpy is not available"))
    numpy: Any = ModuleType("numpy")
    numpy.arange = range
    smoke.install(numpy, "2.3.5")
    problem = smoke.problem()
    assert "numpy 2.3.5 failed (RuntimeError: Numpy is not available)" in problem
    assert "require `numpy<2`" in problem


@pytest.mark.parametrize("version", ["0.24.1+cpu", "0.24.1", "0.24.0+e437e35", "0.16.0+cpu.cxx11"])
def test_companion_of_this_build(smoke: Smoke, version: str) -> None:
    smoke.install_torch()
    smoke.install_torchvision(version, kept=[0, 2])
    assert f"torchvision: {version}\n" in smoke.passes()


def test_companion_of_another_build(smoke: Smoke) -> None:
    smoke.install_torch("2.9.1", cuda="12.8")
    smoke.install_torchvision("0.24.1+cpu", kept=[0, 2])
    assert "it is a cpu build, and torch a cu128 one" in smoke.problem()


@pytest.mark.parametrize(
    ("required", "is_right"),
    [
        ("torch==2.13.0", True),
        ("torch (==2.13.0)", True),
        ("torch==2.13", True),
        ("torch==2.15.0", False),
        ("torch (==2.13.1)", False),
        ("torch==2.1", False),
        ("torch>=2.10", True),
        ("torchmetrics==1.0", True),
        ("torch==2.9.1 ; extra == 'old'", True),
    ],
)
def test_companion_of_another_release(smoke: Smoke, required: str, is_right: bool) -> None:
    smoke.install_torch()
    smoke.install_torchvision("0.28.0+cpu", kept=[0, 2])
    smoke.required["torchvision"] = ["numpy", required]
    if is_right:
        smoke.passes()
    else:
        assert "it is for torch 2." in smoke.problem()


@pytest.mark.parametrize(
    ("name", "version", "fits", "misfits"),
    [
        ("torchtext", "0.18.0", "2.3.1", "2.13.0"),
        ("torchao", "0.18.0", "2.13.0", "2.9.1"),
        ("torchao", "0.16.0", "2.10.0", "2.1.0"),
        ("triton-windows", "3.7.1.post27", "2.12.1", "2.9.1"),
    ],
)
def test_package_that_goes_with_one_torch_and_does_not_say_it(
    smoke: Smoke, name: str, version: str, fits: str, misfits: str
) -> None:
    smoke.install(ModuleType(name.partition("-")[0]), version)
    smoke.versions[name] = version
    smoke.install_torch(f"{fits}+cpu")
    assert f"testing {name} {version}" in smoke.passes()
    smoke.install_torch(f"{misfits}+cpu")
    problem = smoke.problem()
    assert f"testing {name} {version} failed (it is for torch 2." in problem
    assert "must be for this torch" in problem


def test_torchcodec_for_the_cpu_goes_with_every_build(smoke: Smoke) -> None:
    smoke.install_torch("2.14.1", cuda="13.2")
    smoke.install(ModuleType("torchcodec"), "0.16.0+cpu")
    assert "testing torchcodec 0.16.0+cpu" in smoke.passes()
    smoke.versions["torchcodec"] = "0.16.0+cu126"
    assert "it is a cu126 build, and torch a cu132 one" in smoke.problem()


def test_companion_that_computes_wrongly(smoke: Smoke) -> None:
    smoke.install_torch()
    smoke.install_torchvision("0.24.1+cpu", kept=[0, 1, 2])
    assert "testing torchvision 0.24.1+cpu failed (a compiled operator" in smoke.problem()


def test_companion_of_pypi_in_a_cpu_project(smoke: Smoke) -> None:
    """As after `uv add timm`, which brings PyPI's torchvision along."""
    smoke.install_torch()
    error = RuntimeError("operator torchvision::nms does not exist")
    smoke.install_broken("torchvision", "0.28.0", error)
    problem = smoke.problem()
    assert "operator torchvision::nms does not exist" in problem
    assert "[tool.uv.sources]" in problem


def test_torchaudio(smoke: Smoke) -> None:
    torch = smoke.install_torch()
    torchaudio = smoke.install(ModuleType("torchaudio"), "2.9.1+cpu")
    echo = Tensor([1.0, 0.5, 0.25])
    torchaudio.functional = SimpleNamespace(lfilter=lambda *args: echo)
    torch.ops = SimpleNamespace(torchaudio=SimpleNamespace(_lfilter_core_loop=None))
    assert "testing torchaudio 2.9.1+cpu" in smoke.passes()
    torch.ops = SimpleNamespace(torchaudio=SimpleNamespace())
    assert "_lfilter_core_loop" in smoke.problem()


def test_companion_without_a_known_operator_is_imported(smoke: Smoke) -> None:
    smoke.install_torch()
    smoke.install(ModuleType("torchcodec"), "0.12.0+cpu")
    out = smoke.passes()
    assert "torchcodec: 0.12.0+cpu\n" in out
    assert "testing torchcodec 0.12.0+cpu" in out


LACKING = "OSError: {}: cannot open shared object file: No such file or directory"
FFMPEG, COMPANION = "FFmpeg is missing", "torchcodec must be for this torch"


@pytest.mark.parametrize(
    ("details", "advice"),
    [
        pytest.param(
            [LACKING.format("libavutil.so.60"), LACKING.format("libavutil.so.59")],
            {FFMPEG},
            id="no-ffmpeg",
        ),
        pytest.param(
            [
                LACKING.format("libavutil.so.60"),
                "OSError: /site/torchcodec/libtorchcodec_core5.so: undefined symbol: _ZN3c10",
            ],
            {COMPANION},
            id="another-release",
        ),
        pytest.param([LACKING.format("libnvrtc.so.13")], {COMPANION}, id="another-build"),
        pytest.param(["Could not load this library: core8"], {FFMPEG, COMPANION}, id="not-said"),
    ],
)
def test_torchcodec_that_cannot_be_loaded(
    smoke: Smoke, details: list[str], advice: set[str]
) -> None:
    """It names both causes for every failure; newer ones add what the loader said."""
    causes = "Could not load libtorchcodec. Likely causes: 1. FFmpeg is not properly installed."
    smoke.install_torch()
    smoke.install_broken("torchcodec", "0.12.0", RuntimeError("\n".join([causes, *details])))
    problem = smoke.problem()
    assert {text for text in (FFMPEG, COMPANION) if text in problem} == advice
