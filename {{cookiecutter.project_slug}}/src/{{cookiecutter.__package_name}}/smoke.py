"""Which PyTorch is installed here, which build of it, and does it work?

Prints one `name: value` line for each fact, at last what was checked if all is well, and tells each
problem in a line on stderr. Exits with 0 (all well), 1 (something is wrong) or 2 (usage). A machine without a GPU is no problem. Needs
torch and the standard library; neither pip nor the network.

Under torchrun every rank tests itself and its own device, then all of them add numbers up in a
process group, and rank 0 reports for all.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import platform
import re
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
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
    """Yield the facts as `name: value` lines, one for each device; no companion that is missing."""
    for name, value in facts.items():
        if name == "devices":
            yield from (f"device: {device}" for device in value)
        elif isinstance(value, list):
            yield f"{name}: {' '.join(value) or 'none'}"
        elif value or name not in COMPANIONS:
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


def problems_of(checks: Iterable[tuple[str, Callable[[], None]]]) -> Iterator[str]:
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


RANK_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
HINTS = {
    "gloo": "see what the ranks print; GLOO_SOCKET_IFNAME names the network interface",
    "nccl": "NCCL_DEBUG=INFO tells more; NCCL_SOCKET_IFNAME names the network interface",
    "xccl": "CCL_LOG_LEVEL=info tells more",
}


def process_group_of(torch: Any, devices: Sequence[Device]) -> str:
    """Return the devices' own backend where torch has it (on Windows it has none), else gloo."""
    if not torch.distributed.is_available():
        return "none"
    kind = devices[0].name.partition(":")[0] if devices else "cpu"
    backend = {"cuda": "nccl", "xpu": "xccl"}.get(kind, "gloo")
    available = getattr(torch.distributed, f"is_{backend}_available", bool)
    return backend if available() else "gloo"


def own_devices(devices: Sequence[Device], local_rank: int) -> Sequence[Device]:
    """Return the one device that is a rank's own; Problem if this machine has too few.

    A machine without numbered devices has none to share out.
    """
    if not any(":" in device.name for device in devices):
        return devices
    if local_rank < len(devices):
        return [devices[local_rank]]
    count = len(devices)
    lacking = f"no device for local rank {local_rank}, this machine has {count}"
    raise Problem(f"{lacking}: start `torchrun --nproc-per-node {count}` here")


def named(ranks: Sequence[int]) -> str:
    """Return `rank 1`, or `ranks 0, 2`."""
    return f"rank{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}"


def by_value(values: Iterable[tuple[int, str]]) -> dict[str, list[int]]:
    """Return the ranks that have each value."""
    ranks: dict[str, list[int]] = {}
    for rank, value in values:
        ranks.setdefault(value, []).append(rank)
    return ranks


def within(seconds: float, act: Callable[[], None]) -> None:
    """Run a function that may never return; raise what it raises, or TimeoutError."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"not done within {seconds:g} s")
    for error in errors:
        raise error


@contextlib.contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Keep stdout clean of what C++ prints, as the gloo of torch 2.8 does on connecting."""
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


class Ranks:
    """The processes that torchrun started, and the store in which they leave each other notes.

    The report goes through the store, not through the process group, so that it comes also when
    the group hangs. No step waits for the other ranks longer than `seconds`.
    """

    def __init__(self, environment: Mapping[str, str], seconds: float) -> None:
        """Read the variables that torchrun sets; ValueError if they make no sense."""
        rank, size, self.host, port = (environment[name] for name in RANK_VARIABLES)
        self.rank, self.size, self.port = int(rank), int(size), int(port)
        self.local_rank = int(environment.get("LOCAL_RANK", 0))
        self.seconds = seconds
        if not 0 <= self.rank < self.size or self.local_rank < 0:
            raise ValueError(f"RANK is {rank}, WORLD_SIZE {size}")
        self.present = [self.rank]
        self.stuck = False

    @property
    def speaks(self) -> bool:
        """Tell whether this rank reports for those it has met: rank 0, unless it is missing."""
        return self.rank == min(self.present)

    def connect(self, torch: Any) -> None:
        """Connect to the store, which is torchrun's or else rank 0's own."""
        if not torch.distributed.is_available():
            lacking = f"torch {torch.__version__} was built without torch.distributed"
            raise Problem(f"{lacking}: run the smoke test without torchrun")
        served = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
        without_uv = os.environ.get("USE_LIBUV") == "0"
        store = torch.distributed.TCPStore(
            self.host,
            self.port,
            self.size,
            self.rank == 0 and not served,
            timeout=timedelta(seconds=self.seconds),
            wait_for_workers=False,
            **({"use_libuv": False} if without_uv else {}),
        )
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self.store = torch.distributed.PrefixStore(f"smoke/{attempt}", store)
        self.present = list(range(self.size))

    def exchange(self, step: str, value: Any) -> dict[int, Any]:
        """Leave a note for this step; return those of the ranks that do so in time."""
        self.store.set(f"{step}/{self.rank}", json.dumps(value))
        self.store.add(f"{step}/{self.rank}/there", 1)
        self.store.add(step, 1)
        deadline = time.monotonic() + self.seconds
        while self.store.add(step, 0) < len(self.present):
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        there = [n for n in self.present if self.store.add(f"{step}/{n}/there", 0)]
        return {n: json.loads(self.store.get(f"{step}/{n}")) for n in there}

    def go_on_with(self, there: Mapping[int, Any], what: str) -> Iterator[str]:
        """Count on the ranks that are there; yield a problem if others were expected."""
        absent = [rank for rank in self.present if rank not in there]
        if absent:
            count = f"{len(there)} of {len(self.present)} ranks {what}"
            missing = f"{named(absent)} {'are' if len(absent) > 1 else 'is'} missing"
            yield (
                f"{count} within {self.seconds:g} s, {missing}: see whether all were "
                "started and what they print; `--timeout SECONDS` waits longer"
            )
        self.present = list(there)

    def add_up(self, torch: Any, backend: str, device: str) -> None:
        """Raise Problem unless an all-reduce is right; each rank's number has its own place."""
        if device != "cpu":
            getattr(torch, device.partition(":")[0]).set_device(device)
        torch.distributed.init_process_group(
            backend,
            store=torch.distributed.PrefixStore("group", self.store),
            rank=self.rank,
            world_size=self.size,
            # Longer than anybody waits here: NCCL kills a process at the end of its time.
            timeout=timedelta(seconds=10 * self.seconds),
        )
        numbers = torch.zeros(self.size, device=device)
        numbers[self.rank] = self.rank + 1
        torch.distributed.all_reduce(numbers)
        wrong = ", ".join(
            f"rank {rank} gave {rank + 1} and {number:g} arrived"
            for rank, number in enumerate(numbers.tolist())
            if number != rank + 1
        )
        # A rank that closes its connections may end the others' all-reduce.
        self.exchange("added up", None)
        torch.distributed.destroy_process_group()
        if wrong:
            raise Problem(
                f"the all-reduce ({backend}) is wrong, {wrong}: {HINTS[backend]}"
            )

    def check_group(self, torch: Any, backend: str, devices: Sequence[Device]) -> None:
        """Raise Problem unless the ranks' process group works, in time."""
        device = "cpu" if backend == "gloo" else devices[0].name
        try:
            with stdout_to_stderr():
                within(self.seconds, partial(self.add_up, torch, backend, device))
        except Problem:
            raise
        except Exception as error:
            self.stuck = True
            failed = f"the all-reduce ({backend}) failed ({told(error)})"
            raise Problem(f"{failed}: {HINTS[backend]}") from error

    def compare(
        self,
        torch: Any,
        facts: dict[str, Any],
        devices: Sequence[Device] | None,
        problems: list[str],
    ) -> Iterator[str]:
        """Yield the problems of all ranks, for this one's own; without devices it cannot join."""
        group = facts["process_group"]
        release = str(facts["torch"]).partition("+")[0]
        same = {"torch": release, "build": facts["build"], "process group": group}
        known = self.exchange("facts", dict(same, joins=devices is not None))
        shared = list(self.go_on_with(known, "came"))
        for name in same:
            ranks = by_value((rank, known[rank][name]) for rank in known)
            if len(ranks) > 1:
                kinds = ", ".join(f"{kind} on {named(ranks[kind])}" for kind in ranks)
                advice = "every machine needs the same devices, uv.lock and `uv sync`"
                shared.append(f"{name} differs, {kinds}: {advice}")
        joins = all(known[rank]["joins"] for rank in known)
        if devices is not None and joins and not shared:
            check = partial(self.check_group, torch, group, devices)
            problems.extend(problems_of(iter([("the all-reduce", check)])))
        found = self.exchange("problems", problems)
        yield from (*shared, *self.go_on_with(found, "finished"))
        for line, who in by_value(
            (r, line) for r in found for line in found[r]
        ).items():
            yield f"{named(who)}: {line}"

    def problems_of_all(
        self,
        torch: Any,
        facts: dict[str, Any],
        devices: Sequence[Device] | None,
        problems: list[str],
    ) -> list[str]:
        """Return what `compare` does; where the ranks cannot meet, this one's own problems."""
        try:
            self.connect(torch)
            return list(self.compare(torch, facts, devices, problems))
        except Problem as problem:
            problems.append(str(problem))
        except Exception as error:  # noqa: BLE001 - networks fail in many ways
            lost = f"no connection to the ranks' store at {self.host}:{self.port}"
            advice = "see that rank 0 runs and that it can be reached there"
            problems.append(f"{lost} ({told(error)}): {advice}")
        self.present = [self.rank]
        return [f"rank {self.rank}: {line}" for line in problems]

    def leave(self) -> None:
        """Wait until all was told: torchrun ends every rank as soon as one fails."""
        if len(self.present) > 1:
            with contextlib.suppress(Exception):
                self.exchange("told", None)
        if self.stuck:
            # What hangs in the process group would hang the interpreter's exit too.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(1)


def build_name(text: str) -> str:
    """Return a build's name as it stands on the command line; argparse's error if it is none."""
    if not BUILD.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no build, such as cpu, cu128, rocm6.4, xpu"
        )
    return text


def seconds_given(text: str) -> float:
    """Return a number of seconds from the command line; argparse's error if it is none."""
    if not re.fullmatch(r"\d{1,6}(\.\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return float(text)


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
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=seconds_given,
        default=60.0,
        help="under torchrun: how long each step waits for the other ranks (default: 60)",
    )
    options = parser.parse_args(argv)
    ranks: Ranks | None = None
    if all(name in os.environ for name in RANK_VARIABLES):
        # torch's log would bury the problems under C++ stacks.
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")
        try:
            ranks = Ranks(os.environ, options.timeout)
        except ValueError as error:
            parser.error(f"torchrun's environment variables are wrong: {error}")

    torch: Any = None
    devices: list[Device] = []
    problems: list[str] = []
    try:
        torch = import_torch()
        devices, problems = find_devices(torch)
    except Problem as problem:
        problems = [str(problem)]
    facts = facts_of(torch, devices)
    own: Sequence[Device] | None = devices
    if ranks and torch:
        facts.update(ranks=ranks.size, process_group=process_group_of(torch, devices))
        try:
            own = own_devices(devices, ranks.local_rank)
        except Problem as problem:
            own = None
            problems.append(str(problem))
    if not options.json and (ranks is None or ranks.rank == 0):
        for line in lines_of(facts):
            say(line)
    checks = list(checks_of(torch, own or (), facts, options.expect)) if torch else []
    problems.extend(problems_of(checks))
    if ranks and torch:
        problems = ranks.problems_of_all(torch, facts, own, problems)
    if ranks is None or ranks.speaks:
        if options.json:
            say(json.dumps(dict(facts, problems=problems), indent=2))
        elif not problems:
            say(f"passed: {', '.join(what for what, _ in checks)}")
        for line in problems:
            print(f"problem: {line}", file=sys.stderr)
    if ranks:
        ranks.leave()
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
