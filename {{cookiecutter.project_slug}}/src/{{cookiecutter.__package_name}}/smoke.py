{%- set plan = torch_plan(cookiecutter) -%}
"""Which PyTorch is installed here, which build of it, and does it work?

Prints facts, then what passed, and on stderr each problem with what to do. Exits with 0 (all is
well, without a GPU too), 1 (something is wrong) or 2 (usage). Needs only torch, not the network.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import platform
import re
import sys
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

COMPANIONS = ("torchvision", "torchaudio"{% for name in plan.companions | reject("in", ["torchvision", "torchaudio"]) %}, "{{ name }}"{% endfor %})
TIED = {  # Which version goes with which torch, of packages whose metadata does not say it.
{%- for name, pairs in plan.tied.items() %}
    "{{ name }}": "{{ pairs }}",
{%- endfor %}
}

SYNC = "{% if plan.extras %}`uv sync --extra NAME`; what needs torch: `uv add --optional NAME`, to each; or use groups
{%- else %}run `uv sync`{% if plan.groups %}, with the group of the build; `uv run --no-sync` keeps it{% endif %}{% endif %}"
NUMPY = "if torch was compiled against NumPy 1, require `numpy<2` in pyproject.toml, run `uv sync`"
DEVICE = "choose a build or a release of torch that supports it, or update the driver"
COMPILE = "it needs a C++ compiler and setuptools; on a GPU Triton (on Windows triton-windows)"
COMPANION = "must be for this torch and its build: require it next to it, with [tool.uv.sources]"
CUDNN = "is another cuDNN loaded? See LD_LIBRARY_PATH, ldconfig -p, site-packages/nvidia/cudnn/lib"
FFMPEG = "FFmpeg is missing: install version 4 to 8 (`apt install ffmpeg`, `brew install ffmpeg`)"

BUILD = re.compile(r"(?<=\+)(cpu|xpu|cu\d{2,}|rocm\d+(\.\d+)+)(?=\.|$)")
NVIDIA = re.compile(r"(sm|compute)_(\d+)[af]?")
NOT_FFMPEG = re.compile(r".*(undefined symbol|Symbol not found|lib(?!av|sw)\w+\S*: cannot open).*")


class Wrong(Exception):
    """Something is wrong, and nothing else raised an exception."""


class Device(NamedTuple):
    """A device: torch's name for it, what to print, the architecture that it needs code for."""

    name: str
    text: str
    architecture: str = ""


class Report(NamedTuple):
    """The findings: facts in the order to print them, what passed, and what is wrong."""

    facts: dict[str, Any]
    passed: list[str]
    problems: list[str]

    @contextlib.contextmanager
    def trying(self, what: str, advice: str) -> Iterator[None]:
        """Note that a step passed; or that it failed, why, and what to do about it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever fails is a finding
            # torchcodec always blames FFmpeg; if it says what else is missing, that is the reason.
            other = NOT_FFMPEG.search(text := str(error))
            if "FFmpeg" in text and not other:
                advice = FFMPEG + ("" if "libav" in text else f"; if it is there, {advice}")
            elif re.search("cuDNN|CUDNN_|find an engine", text):
                advice = CUDNN
            kind = "" if isinstance(error, Wrong) else f"{type(error).__name__}: "
            reason = textwrap.shorten(kind + (other[0] if other else text), 300)
            self.problems.append(f"{what} failed ({reason}): {advice}")
        else:
            self.passed.append(what)

    def lines(self) -> Iterator[str]:
        """Yield the lines to print: one for each fact and each device, none for what is missing."""
        for name, value in self.facts.items():
            if name == "devices":
                yield from (f"device: {text}" for text in value)
            elif value is not None:
                yield f"{name}: {' '.join(value) or 'none' if isinstance(value, list) else value}"


def installed_version(name: str) -> str | None:
    """Return a distribution's version with its label; None if it is missing or unreadable."""
    with contextlib.suppress(Exception):  # Broken metadata takes many forms.
        return metadata.version(name)
    return None


def build_of(torch: Any) -> str:
    """Return the build as its index is named; wheels of PyPI and for macOS may have no label."""
    label = (BUILD.search(torch.__version__) or [""])[0]  # `2.1.0+cpu.cxx11.abi`: `cpu`
    cuda, hip = torch.version.cuda, torch.version.hip
    if hip:
        return label if label.startswith("rocm") else "rocm" + ".".join(hip.split(".")[:2])
    if cuda:
        return "cu" + "".join(cuda.split(".")[:2])
    return "xpu" if getattr(torch.version, "xpu", None) or label == "xpu" else "cpu"


def devices_of(torch: Any) -> Iterator[Device]:
    """Yield the NVIDIA, AMD, Intel and Apple devices that torch can use."""
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        found = torch.cuda.get_device_properties(index)
        code, shown = f"sm_{found.major}{found.minor}", f"capability {found.major}.{found.minor}"
        if torch.version.hip:
            code = shown = found.gcnArchName.partition(":")[0]
        yield Device(f"cuda:{index}", f"cuda:{index} {found.name}, {shown}", code)
    for index in range(torch.xpu.device_count() if hasattr(torch, "xpu") else 0):
        yield Device(f"xpu:{index}", f"xpu:{index} {torch.xpu.get_device_name(index)}")
    if torch.backends.mps.is_available():
        with contextlib.suppress(RuntimeError):  # Virtual Macs show a device without memory.
            torch.zeros(1, device="mps")
            yield Device("mps", "mps")


def runs_on(code: str, architecture: str) -> bool:
    """Tell whether code runs on a device: `sm_86` on 8.6 to 8.9, `compute_86` from 8.6 on."""
    compiled, device = NVIDIA.fullmatch(code), NVIDIA.fullmatch(architecture)
    if not (compiled and device):
        return code == architecture
    need, have = int(compiled[2]), int(device[2])
    return need <= have and (compiled[1] == "compute" or need // 10 == have // 10)


def describe(report: Report) -> tuple[Any, list[Device]]:
    """Note the facts; return torch, None if it cannot be imported, and the devices it can use."""
    facts, torch, devices = report.facts, None, []
    facts.update(python=platform.python_version(), platform=platform.platform())
    facts.update(torch=installed_version("torch"))
    with report.trying("importing torch", f"{SYNC}; `--reinstall` mends a broken torch"):
        importlib.import_module("torch.version")  # Leftovers of an uninstalled torch lack it.
        torch = importlib.import_module("torch")
        facts.update(torch=torch.__version__, build=build_of(torch), devices=["cpu"])
        # What torch has code for; `torch.cuda.get_arch_list` may not tell without a GPU.
        flags = (getattr(torch._C, f"_{kind}_getArchFlags", str)() for kind in ("cuda", "xpu"))
        facts.update(architectures=" ".join(filter(None, flags)).split(), cudnn=None)
    if torch:
        with report.trying("looking for devices", DEVICE), warnings.catch_warnings():
            # If torch cannot use the driver, it finds no device and only warns why.
            warnings.filterwarnings("error", message="CUDA initialization")
            devices = list(devices_of(torch))
            facts.update(devices=[one.text for one in devices] or ["cpu"])
            facts.update(cudnn=torch.backends.cudnn.version() if torch.version.cuda else None)
    facts.update({name: installed_version(name) for name in (*COMPANIONS, *TIED, "numpy")})
    facts.update(package=str(Path(__file__).resolve().parent))
    return torch, devices


def check_companion(torch: Any, name: str, version: str, build: str) -> None:
    """Hold a companion against torch, import it, and run a compiled operator if one is known."""
    pairs = (pair.split("=") for pair in TIED.get(name, "").split())
    exact = [release for series, release in pairs if version.startswith(f"{series}.")]
    exact += re.findall(r"(?m)^torch ?\(?==([\d.]+)\)?$", "\n".join(metadata.requires(name) or ()))
    if exact and not re.match(rf"{exact[0]}(?!\d)", torch.__version__):
        raise Wrong(f"it is for torch {exact[0]}, and this is {torch.__version__}")
    label = (BUILD.search(version) or [""])[0]  # The module's own is another in renamed wheels.
    if label not in ("", build, "cpu" if name == "torchcodec" else build):
        raise Wrong(f"it is a {label} build, and torch a {build} one")
    module, right = importlib.import_module(name.partition("-")[0]), True  # triton-windows: triton
    if name == "torchvision":  # The second box covers 81 % of the first.
        boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 9, 9], [20, 20, 30, 30]])
        right = module.ops.nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist() == [0, 2]
    elif name == "torchaudio":
        _ = torch.ops.torchaudio._lfilter_core_loop  # Without it lfilter falls back to Python.
        impulse, gain, feedback = map(torch.tensor, ([1.0, 0, 0], [1.0, 0], [1, -0.5]))
        right = module.functional.lfilter(impulse, feedback, gain).tolist() == [1.0, 0.5, 0.25]
    if not right:
        raise Wrong("a compiled operator computes a wrong result")


def check_device(torch: Any, device: Device, codes: Sequence[str], compiled: bool = False) -> None:
    """Compute with small integers, whose results are exact in every floating-point mode."""
    needed = device.architecture
    if needed and codes and not any(runs_on(code, needed) for code in codes):
        raise Wrong(f"it needs {needed}, torch was compiled for {' '.join(codes)}")

    def compute(x: Any) -> tuple[Any, Any]:
        return x @ x + 1, torch.nn.functional.conv2d(x[None, None], x[None, None, :3, :3])

    whole = (torch.arange(64 * 64) % 3).reshape(64, 64).double()
    results = (torch.compile(compute) if compiled else compute)(whole.float().to(device.name))
    if not all(map(torch.equal, (one.cpu().double().round() for one in results), compute(whole))):
        raise Wrong("the result is wrong")


def examine(report: Report, options: argparse.Namespace) -> None:
    """Describe what is installed, and test it."""
    torch, devices = describe(report)
    facts, everywhere = report.facts, [*devices, Device("cpu", "cpu")]
    if not options.json:
        print(*report.lines(), sep="\n", flush=True)
    if not torch:
        return
    if options.expect:
        with report.trying("comparing the build", SYNC):
            if facts["build"] != options.expect:
                raise Wrong(f"it is {facts['build']}, not {options.expect}")
    if facts["numpy"]:
        with report.trying(f"exchanging an array with numpy {facts['numpy']}", NUMPY):
            torch.from_numpy(importlib.import_module("numpy").arange(3)).numpy()
    for name in filter(facts.get, (*COMPANIONS, *TIED)):
        with report.trying(f"testing {name} {facts[name]}", f"{name} {COMPANION}"):
            check_companion(torch, name, facts[name], facts["build"])
    for device in everywhere:
        with report.trying(f"a product and a convolution on {device.text}", DEVICE):
            check_device(torch, device, facts["architectures"])
    if options.compile:
        with report.trying(f"torch.compile on {everywhere[0].text}", COMPILE):
            check_device(torch, everywhere[0], facts["architectures"], compiled=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on its arguments and return the exit status."""
    parser = argparse.ArgumentParser(description="Tell which PyTorch is installed, and test it.")
    parser.add_argument("--compile", action="store_true", help="test torch.compile too")
    parser.add_argument("--expect", metavar="BUILD", help="demand this build: cpu, cu128, rocm6.4")
    parser.add_argument("--json", action="store_true", help="print one JSON object, not lines")
    options, report = parser.parse_args(argv), Report({}, [], [])
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    with contextlib.redirect_stdout(sys.stderr if options.json else sys.stdout):
        examine(report, options)  # Some libraries print when they are imported.
    if options.json:
        print(json.dumps({**report.facts, "problems": report.problems}, indent=2))
    elif not report.problems:
        print("passed:", ", ".join(report.passed))
    for problem in report.problems:
        print("problem:", problem, file=sys.stderr)
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
