"""Which PyTorch is installed here, which build of it, and does it work?

Prints one `name: value` line for each fact and tells each problem in a line on stderr. Exits with
0 (all well), 1 (something is wrong) or 2 (usage). A machine without a GPU is no problem. Needs
torch and the standard library; neither pip nor the network.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import platform
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

SYNC = "run `uv sync` (with the extra or group that names the build, if the project has several)"
SOURCES = "check the indexes in [tool.uv.sources] of pyproject.toml, run `uv lock` and `uv sync`"
REINSTALL = "run `uv sync --reinstall`; if that changes nothing, choose another build or release"

BUILD = re.compile(r"(cpu|xpu|cu\d{2,}|rocm\d+(\.\d+)+)(?=\.|$)")
ARCHITECTURE = re.compile(r"(sm|compute)_(\d+)(\d)([af]?)")


class Problem(Exception):
    """What is wrong and what to do about it, in one line."""


@dataclass(frozen=True)
class Device:
    """An accelerator: torch's name for it, its model, and what compiled code must match."""

    name: str
    model: str = ""
    architecture: str = ""

    def __str__(self) -> str:
        """Return `cuda:0 NVIDIA H200, capability 9.0`, or as much of it as is known."""
        arch = ARCHITECTURE.fullmatch(self.architecture)
        detail = f"capability {arch[2]}.{arch[3]}" if arch else self.architecture
        return ", ".join(
            part for part in (f"{self.name} {self.model}".strip(), detail) if part
        )


def installed_version(name: str) -> str | None:
    """Return a distribution's installed version, label and all; None if missing or unreadable."""
    try:
        return metadata.version(name)
    except Exception:  # noqa: BLE001 - broken metadata takes many forms
        return None


def label_of(version: str) -> str:
    """Return the build that a version's label names (`2.1.0+cpu.cxx11.abi`: `cpu`), or nothing.

    A commit hash (`0.24.0+e437e35`) names no build.
    """
    build = BUILD.match(version.partition("+")[2])
    return build[0] if build else ""


def build_of(label: str, cuda: str | None, hip: str | None, xpu: str | None) -> str:
    """Return the build, by the name of its index, from `torch.version` and the version's label.

    `torch.version` tells the toolkit of the files that are really there: CUDA `12.8` is `cu128`,
    HIP `6.4.43482-0f2d60242` is `rocm6.4`. A ROCm label is more exact (`rocm6.2.4`). PyPI's Linux
    wheels and all macOS wheels are installed without a label.
    """
    if hip:
        return (
            label if label.startswith("rocm") else "rocm" + ".".join(hip.split(".")[:2])
        )
    if cuda:
        return "cu" + "".join(cuda.split(".")[:2])
    return "xpu" if xpu or label == "xpu" else "cpu"


def torch_version(torch: Any) -> str:
    """Return torch's version with its label, which may stand in the installed metadata alone."""
    own, installed = str(torch.__version__), installed_version("torch") or ""
    return installed if installed.startswith(own + "+") else own


def torch_build(torch: Any) -> str:
    """Return the build of the imported torch."""
    toolkits = (getattr(torch.version, name, None) for name in ("cuda", "hip", "xpu"))
    return build_of(label_of(torch_version(torch)), *toolkits)


def architectures_of(torch: Any) -> list[str]:
    """Return the architectures that torch was compiled for; none for a CPU build.

    `torch.cuda.get_arch_list` answers nothing on a machine without a GPU, what it calls does.
    """
    for name in ("_cuda_getArchFlags", "_xpu_getArchFlags"):
        with contextlib.suppress(Exception):
            flags = getattr(torch._C, name)()
            if flags:
                return str(flags).split()
    with contextlib.suppress(Exception):
        return list(torch.cuda.get_arch_list())
    return []


def runs_on(code: str, architecture: str) -> bool:
    """Tell whether code compiled for `code` runs on an architecture (`sm_86`, `gfx90a`).

    NVIDIA: machine code runs on the same major capability from its own minor one on, PTX
    (`compute_90`) on everything from its own capability on; of the specific kinds, `sm_90a` runs on
    that capability alone and `sm_100f` on its major one. AMD: on the architecture itself.
    """
    compiled, device = (
        ARCHITECTURE.fullmatch(code),
        ARCHITECTURE.fullmatch(architecture),
    )
    if not (compiled and device):
        return code == architecture
    need, have = (int(compiled[2]), int(compiled[3])), (int(device[2]), int(device[3]))
    if need == have or compiled[4] == "a":
        return need == have
    return need < have and (
        need[0] == have[0] or (compiled[1], compiled[4]) == ("compute", "")
    )


def cuda_devices(torch: Any) -> Iterator[Device]:
    """Yield the NVIDIA or, in a ROCm build, the AMD devices."""
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        found = torch.cuda.get_device_properties(index)
        if getattr(torch.version, "hip", None):
            architecture = str(found.gcnArchName).partition(":")[0]
        else:
            architecture = f"sm_{found.major}{found.minor}"
        yield Device(f"cuda:{index}", str(found.name), architecture)


def xpu_devices(torch: Any) -> Iterator[Device]:
    """Yield the Intel devices; torch before 2.3 knows none."""
    if hasattr(torch, "xpu") and torch.xpu.is_available():
        for index in range(torch.xpu.device_count()):
            yield Device(f"xpu:{index}", str(torch.xpu.get_device_name(index)))


def mps_devices(torch: Any) -> Iterator[Device]:
    """Yield Apple's device where it has memory: virtual machines show one that has none."""
    if torch.backends.mps.is_available():
        with contextlib.suppress(RuntimeError):
            torch.zeros(1, device="mps")
            yield Device("mps")


def find_devices(torch: Any) -> tuple[list[Device], list[str]]:
    """Return the devices that torch can use, and the problems met on the way.

    torch counts no device where it cannot work with the driver, and says why in a warning.
    """
    devices: list[Device] = []
    problems: list[str] = []
    for find in (cuda_devices, xpu_devices, mps_devices):
        with warnings.catch_warnings(record=True) as caught:
            warnings.filterwarnings("always", message="CUDA initialization")
            try:
                devices.extend(find(torch))
            except Exception as error:  # noqa: BLE001 - drivers fail in many ways
                problems.append(
                    f"looking for devices failed ({told(error)}): update the driver"
                )
        for warning in caught:
            if "CUDA initialization" in str(warning.message):
                advice = "update the driver, or choose a build that it can run"
                problems.append(
                    f"torch cannot use the GPU ({told(warning.message)}): {advice}"
                )
            else:
                about = warning.category, warning.filename, warning.lineno
                warnings.showwarning(warning.message, *about)
    return devices, problems


def check_build(build: str, expected: str) -> None:
    """Raise Problem unless the build is the expected one."""
    if build != expected:
        raise Problem(
            f"the build is {build}, not {expected} as expected: {SYNC}; or {SOURCES}"
        )


def check_numpy(torch: Any) -> None:
    """Raise Problem unless an array becomes a tensor and a tensor an array."""
    numpy = importlib.import_module("numpy")
    array = numpy.arange(3, dtype="float32")
    try:
        same = torch.from_numpy(array).numpy().tolist() == array.tolist()
    except RuntimeError as error:
        pair = f"torch {torch.__version__} cannot share arrays with numpy {numpy.__version__}"
        old = int(numpy.__version__.partition(".")[0]) < 2
        advice = (
            REINSTALL
            if old
            else "require `numpy<2` in pyproject.toml and run `uv sync`"
        )
        raise Problem(f"{pair} ({told(error)}): {advice}") from error
    if not same:
        raise Problem(f"an array came back changed from torch.from_numpy: {REINSTALL}")


def nms_works(torch: Any, torchvision: Any) -> bool:
    """Run torchvision's compiled box suppression: the second box covers 81% of the first."""
    boxes = torch.tensor(
        [[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 9.0, 9.0], [20.0, 20.0, 30.0, 30.0]]
    )
    kept = torchvision.ops.nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5)
    return bool(kept.tolist() == [0, 2])


def lfilter_works(torch: Any, torchaudio: Any) -> bool:
    """Run torchaudio's compiled filter, y[n] = x[n] + y[n-1] / 2, on an impulse.

    The operator is looked up first: without it torchaudio falls back to Python.
    """
    _ = torch.ops.torchaudio._lfilter_core_loop
    impulse = torch.tensor([1.0, 0.0, 0.0, 0.0])
    feedback, gain = torch.tensor([1.0, -0.5]), torch.tensor([1.0, 0.0])
    response = torchaudio.functional.lfilter(impulse, feedback, gain)
    return bool(response.tolist() == [1.0, 0.5, 0.25, 0.125])


COMPANIONS: dict[str, Callable[[Any, Any], bool]] = {
    "torchvision": nms_works,
    "torchaudio": lfilter_works,
}


def check_companion(torch: Any, name: str, facts: dict[str, Any]) -> None:
    """Raise Problem unless a companion is of torch's build, is importable and runs its operator.

    The installed label is compared, not the module's own: some wheels were renamed to another
    build, with an unchanged module.
    """
    version, build, label = facts[name], facts["build"], label_of(facts[name])
    if label and label != build:
        raise Problem(
            f"{name} {version} is a {label} build, but torch is a {build} one: {SOURCES}"
        )
    try:
        works = COMPANIONS[name](torch, importlib.import_module(name))
    except Exception as error:
        pair = f"{name} {version} does not work with torch {facts['torch']}"
        advice = f"both must be of one build and of paired releases; {SOURCES}"
        raise Problem(f"{pair} ({told(error)}): {advice}") from error
    if not works:
        raise Problem(f"{name} {version} computes a wrong result: {REINSTALL}")


def check_device(torch: Any, device: Device, architectures: Sequence[str]) -> None:
    """Raise Problem unless the build has code for the device and a matrix product is right there.

    The factors are small integers, so the product is exact in every floating-point mode; it is
    compared with the CPU's in integers.
    """
    wanted = device.architecture
    if (
        wanted
        and architectures
        and not any(runs_on(code, wanted) for code in architectures)
    ):
        compiled = (
            f"{device} needs {wanted}, torch was compiled for {' '.join(architectures)}"
        )
        raise Problem(
            f"{compiled}: choose a build or a release of torch that has {wanted}"
        )
    whole = (torch.arange(64 * 64) % 7).reshape(64, 64)
    there = whole.to(torch.float32).to(device.name)
    if not torch.equal((there @ there).cpu(), (whole @ whole).to(torch.float32)):
        raise Problem(
            f"a matrix product on {device} differs from the CPU's: {REINSTALL}"
        )


def facts_of(torch: Any, devices: Sequence[Device]) -> dict[str, Any]:
    """Return what is printed, by name, in order; `torch` is None where it cannot be imported."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "torch": torch_version(torch) if torch else installed_version("torch"),
        "build": torch_build(torch) if torch else "unknown",
        "devices": [str(device) for device in devices] or (["cpu"] if torch else []),
        "architectures": architectures_of(torch) if torch else [],
        **{name: installed_version(name) for name in (*COMPANIONS, "numpy")},
        "package": str(Path(__file__).resolve().parent),
    }


def lines_of(facts: dict[str, Any]) -> Iterator[str]:
    """Yield the facts as `name: value` lines, one for each device."""
    for name, value in facts.items():
        if name == "devices":
            yield from (f"device: {device}" for device in value)
        elif isinstance(value, list):
            yield f"{name}: {' '.join(value) or 'none'}"
        else:
            yield f"{name}: {value or 'not installed'}"


def checks_of(
    torch: Any, devices: Sequence[Device], facts: dict[str, Any], expected: str | None
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield every check that applies, each with what it tries."""
    if expected:
        yield "comparing the build", partial(check_build, facts["build"], expected)
    if facts["numpy"]:
        yield "exchanging an array with numpy", partial(check_numpy, torch)
    for name in COMPANIONS:
        if facts[name]:
            yield f"testing {name}", partial(check_companion, torch, name, facts)
    for device in (Device("cpu"), *devices):
        check = partial(check_device, torch, device, facts["architectures"])
        yield f"a matrix product on {device}", check


def told(error: object) -> str:
    """Return an exception's or a warning's type and text, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def problems_of(checks: Iterator[tuple[str, Callable[[], None]]]) -> Iterator[str]:
    """Run the checks and yield a line for each that fails, for whatever reason."""
    for what, check in checks:
        try:
            check()
        except Problem as problem:
            yield str(problem)
        except Exception as error:  # noqa: BLE001 - whatever fails is a finding
            yield f"{what} failed ({told(error)}): {REINSTALL}"


def import_torch() -> Any:
    """Return torch; raise Problem where it is missing, a leftover folder or broken."""
    try:
        importlib.import_module("torch.version")
        return importlib.import_module("torch")
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name in (
            "torch",
            "torch.version",
        ):
            raise Problem(
                f"torch is not installed for {sys.executable}: {SYNC}"
            ) from error
        raise Problem(
            f"torch cannot be imported ({told(error)}): {REINSTALL}"
        ) from error


def build_name(text: str) -> str:
    """Return a build's name as it stands on the command line; argparse's error if it is none."""
    if not BUILD.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no build, such as cpu, cu128, rocm6.4, xpu"
        )
    return text


def say(text: str) -> None:
    """Print a line, whatever the encoding of stdout lacks written as an escape."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on its arguments and return the exit status."""
    parser = argparse.ArgumentParser(
        description="Tell which PyTorch is installed, and test it."
    )
    parser.add_argument(
        "--expect", metavar="BUILD", type=build_name, help="demand this build"
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object, not lines"
    )
    options = parser.parse_args(argv)

    torch: Any = None
    devices: list[Device] = []
    problems: list[str] = []
    try:
        torch = import_torch()
        devices, problems = find_devices(torch)
    except Problem as problem:
        problems = [str(problem)]
    facts = facts_of(torch, devices)
    if not options.json:
        for line in lines_of(facts):
            say(line)
    if torch:
        problems.extend(problems_of(checks_of(torch, devices, facts, options.expect)))
    if options.json:
        say(json.dumps(dict(facts, problems=problems), indent=2))
    for line in problems:
        print(f"problem: {line}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
