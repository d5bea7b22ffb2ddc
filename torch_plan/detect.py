"""The default backend: the GPU of this machine, and the build of a release that it can run.

The places to look, and their order, are those of `uv pip install --torch-backend=auto`
(astral-sh/uv, crates/uv-torch/src/accelerator.rs). uv decides by the NVIDIA driver alone; here the
card counts too, since a build runs on no card that it was not compiled for.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from torch_plan.facts import CPU, PLATFORMS, Facts, backend_key, family_of, version_key

CUDA_DRIVER = "UV_CUDA_DRIVER_VERSION"
AMD_ARCHITECTURE = "UV_AMD_GPU_ARCHITECTURE"
_OVERRIDES = (CUDA_DRIVER, AMD_ARCHITECTURE)

_SECONDS = 1.5
"""How long all commands together may take; looking at the machine stays below 2 s with that."""
_KILL_SECONDS = 0.1

_NAMES = {"cu": "CUDA", "rocm": "ROCm", "xpu": "XPU"}

_DRIVER = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}){0,3}")
_CAPABILITY = re.compile(r"[0-9]{1,3}\.[0-9]")
_GFX = re.compile(r"gfx(?!000$)[0-9a-f]{3,5}")


class Host(NamedTuple):
    """A machine, as far as detection looks at it; nothing here raises."""

    sys_platform: str
    machine: str
    environ: Mapping[str, str]
    read: Callable[[str], str]
    """The text of a file, empty if it cannot be read."""
    find: Callable[[str], Sequence[str]]
    """The paths that match an absolute pattern."""
    run: Callable[[tuple[str, ...]], str]
    """What a command prints, empty if it is absent, fails, or takes too long."""

    @property
    def platform(self) -> str:
        """The platform's name in the facts, empty if PyTorch has no wheels for it."""
        here = (self.sys_platform, self.machine)
        names = (
            name
            for name, known in PLATFORMS.items()
            if (known.sys_platform, known.platform_machine) == here
        )
        return next(names, "")


class Gpu(NamedTuple):
    """What a machine has: the family of builds made for it, and what they depend on."""

    family: str
    """`cu`, `rocm`, `xpu`; empty for no GPU that has builds of its own."""
    description: str
    driver: str = ""
    capabilities: tuple[int, ...] = ()
    """The compute capability of each kind of NVIDIA card (90 for 9.0), empty if not known."""


class Detected(NamedTuple):
    """The default backend: what it is, what was found, and why the one follows from the other."""

    backend: str
    found: str
    reason: str

    def line(self) -> str:
        """Return the one line that is shown."""
        return f"Found {self.found}: {self.reason}."


def detect(release: str, facts: Facts, host: Host) -> Detected:
    """Return the default backend of a release on a machine; `cpu` for whatever is not known."""
    return choose(release, facts, find_gpu(host), host.platform)


def detect_here(release: str, facts: Facts) -> Detected:
    """Return the default backend of a release on this machine, which is looked at once."""
    host = this_host()
    gpu = _gpu_here(*(host.environ.get(name, "") for name in (*_OVERRIDES, "PATH")))
    return choose(release, facts, gpu, host.platform)


@cache
def _gpu_here(*_environ: str) -> Gpu:
    return find_gpu(this_host())


_announced: set[str] = set()


def announce(detected: Detected) -> None:
    """Print the line to stderr, once per process."""
    line = detected.line()
    if line not in _announced:
        _announced.add(line)
        with contextlib.suppress(OSError, ValueError):
            print(line, file=sys.stderr, flush=True)


# What the machine has


def find_gpu(host: Host) -> Gpu:
    """Return the GPU that decides: uv's overrides, then NVIDIA, AMD, Intel."""
    driver = _match(_DRIVER, host.environ.get(CUDA_DRIVER, ""))
    if driver:
        return _nvidia(driver, f" ({CUDA_DRIVER})", smi_cards(host))
    architecture = _match(_GFX, host.environ.get(AMD_ARCHITECTURE, ""))
    if architecture:
        return Gpu("rocm", f"AMD {architecture} ({AMD_ARCHITECTURE})")
    if host.sys_platform == "darwin":
        return Gpu("", "macOS")
    cards = smi_cards(host)
    driver = sys_driver(host) or proc_driver(host) or smi_driver(host, cards)
    if driver:
        return _nvidia(driver, "", cards)
    architectures = amd_architectures(host)
    if architectures:
        return Gpu("rocm", f"AMD {_listed(architectures)}")
    if has_intel_gpu(host):
        return Gpu("xpu", "Intel graphics")
    return Gpu("", "no GPU that PyTorch has builds for")


Cards = Sequence[tuple[str, str]]
"""The driver and the compute capability that nvidia-smi prints for each NVIDIA card."""


def _nvidia(driver: str, source: str, cards: Cards) -> Gpu:
    found = {_match(_CAPABILITY, capability) for _, capability in cards} - {""}
    known = tuple(sorted(int(capability.replace(".", "")) for capability in found))
    card = _capabilities(known) if known else "compute capability unknown"
    return Gpu("cu", f"NVIDIA driver {driver}{source}, {card}", driver, known)


def sys_driver(host: Host) -> str:
    """Return the NVIDIA driver of the loaded kernel module: the file is `535.54.03`."""
    return _match(_DRIVER, host.read("/sys/module/nvidia/version"))


def proc_driver(host: Host) -> str:
    """Return the NVIDIA driver that the kernel reports.

    The line is `NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.54.03  Tue …`, or
    `NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.16  Release Build  …`.
    """
    text = host.read("/proc/driver/nvidia/version")
    found = re.search(rf"NVRM version:.*?\s({_DRIVER.pattern})(?!\S)", text)
    return found[1] if found else ""


def smi_driver(host: Host, cards: Cards) -> str:
    """Return the NVIDIA driver that nvidia-smi names; one too old to be asked for cards, too."""
    named = [driver for driver, _ in cards] or _smi(host, "driver_version")
    return next(filter(None, (_match(_DRIVER, driver) for driver in named)), "")


def smi_cards(host: Host) -> Cards:
    """Return the NVIDIA cards, none if nvidia-smi is too old to be asked for `compute_cap`."""
    rows = (row.partition(",") for row in _smi(host, "driver_version,compute_cap"))
    return [(driver, capability) for driver, _, capability in rows]


def _smi(host: Host, fields: str) -> list[str]:
    """Return the row that nvidia-smi prints for each card.

    The programs: on Windows the driver puts it into System32, in WSL into a folder of its own that
    is on PATH in a login shell only.
    """
    if host.sys_platform == "win32":
        root = host.environ.get("SystemRoot", r"C:\Windows")
        programs = [rf"{root}\System32\nvidia-smi.exe", "nvidia-smi"]
    elif host.sys_platform == "linux":
        programs = ["nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi"]
    else:
        programs = []
    for program in programs:
        printed = host.run((program, f"--query-gpu={fields}", "--format=csv,noheader"))
        if printed:
            return printed.splitlines()
    return []


def amd_architectures(host: Host) -> tuple[str, ...]:
    """Return AMD's name of each kind of GPU; `gfx000` among the agents is the CPU."""
    if host.sys_platform != "linux":
        return ()
    for program in ("rocm_agent_enumerator", "/opt/rocm/bin/rocm_agent_enumerator"):
        found = {_match(_GFX, line) for line in host.run((program,)).splitlines()} - {""}
        if found:
            return tuple(sorted(found))
    return ()


def has_intel_gpu(host: Host) -> bool:
    """Return whether Linux has a display controller of Intel's on PCI, which is uv's rule.

    As in uv that includes graphics older than Arc and Core Ultra, whose build runs on the CPU only.
    """
    return any(
        host.read(f"{device}/class").strip().startswith("0x03")
        and host.read(f"{device}/vendor").strip() == "0x8086"
        for device in host.find("/sys/bus/pci/devices/*")
    )


def _match(pattern: re.Pattern[str], text: str) -> str:
    """Return the text without space around it if the pattern is all there is, else nothing."""
    found = pattern.fullmatch(text.strip())
    return found[0] if found else ""


# What it can run


def choose(release: str, facts: Facts, gpu: Gpu, platform: str) -> Detected:
    """Return the newest build of the GPU's family that works on it, or `cpu` and why."""
    if not gpu.family:
        why = "cpu is what PyTorch has for it" if platform.startswith("macos") else "cpu"
        return Detected(CPU, gpu.description, why)
    name = _NAMES[gpu.family]
    choice = _choice(release, facts, gpu, platform)
    if choice.build:
        what = f"{choice.build} is the newest {name} build of torch {release}"
        return Detected(choice.build, gpu.description, what + _that_runs(gpu, choice))
    if choice.against:
        why = f"cpu, since no {name} build of torch {release} runs here{_against(choice.against)}"
    else:
        why = f"cpu, since torch {release} has no {name} build for {platform or 'this platform'}"
    for other in reversed(facts.releases):
        served = _choice(other, facts, gpu, platform).build
        if served:
            why += f"; the newest release with one is torch {other} ({served})"
            break
    return Detected(CPU, gpu.description, why)


class _Choice(NamedTuple):
    """A build (empty: none), the cards it is for, what is against each newer one and itself."""

    build: str
    cards: tuple[int, ...]
    against: Mapping[str, str]
    doubt: str = ""


_NOT_KNOWN = "for which cards it is compiled is not known"


def _choice(release: str, facts: Facts, gpu: Gpu, platform: str) -> _Choice:
    """Choose for all cards at once; where no build runs on all, for the newest card served.

    A build whose architectures the facts do not name comes after all that are known to run.
    """
    builds = sorted(
        (
            build
            for build in facts.backends(release)
            if family_of(build) == gpu.family
            and platform in facts.platforms("torch", release, build)
        ),
        key=backend_key,
        reverse=True,
    )
    every = gpu.capabilities
    groups = [every, *((card,) for card in reversed(every) if len(every) > 1)]
    obstacles = [
        {b: _obstacle(release, facts, b, platform, gpu.driver, cards) for b in builds}
        for cards in groups
    ]
    for doubt in ("", _NOT_KNOWN):
        for cards, against in zip(groups, obstacles, strict=True):
            for position, build in enumerate(builds):
                if against[build] == doubt:
                    newer = {name: against[name] for name in builds[:position]}
                    return _Choice(build, cards, newer, doubt)
    return _Choice("", every, obstacles[0])


def _obstacle(
    release: str, facts: Facts, build: str, platform: str, driver: str, cards: tuple[int, ...]
) -> str:
    """Return what keeps a build from running, empty for nothing."""
    if facts.broken(release, build, platform):
        return "its wheels are broken"
    if family_of(build) != "cu":
        return ""
    least = facts.min_driver(build, platform)
    if not least:
        return "which driver it needs is not known"
    if version_key(driver) < version_key(least):
        return f"driver {least} needed"
    compiled = facts.architectures(build, release, platform)
    if cards and not compiled:
        return _NOT_KNOWN
    missing = [card for card in cards if not any(runs_on(binary, card) for binary in compiled)]
    return f"not compiled for {_capabilities(missing)}" if missing else ""


def runs_on(binary: int, card: int) -> bool:
    """Return whether code for one compute capability runs on a card of another.

    It does on the same major version and the same or a later minor one (CUDA C++ Programming
    Guide, "Binary Compatibility"): 8.6 on 8.9, 9.0 not on 10.0.
    """
    return binary // 10 == card // 10 and binary % 10 <= card % 10


def _that_runs(gpu: Gpu, choice: _Choice) -> str:
    if gpu.family != "cu":
        return _against(choice.against)
    if choice.doubt:
        runners = f"this driver can run, while {choice.doubt}"
    elif not choice.cards:
        runners = "this driver can run"
    elif choice.cards != gpu.capabilities:
        runners = f"this driver and {_capabilities(choice.cards)} can run, none running on all"
    else:
        cards = "this card" if len(choice.cards) == 1 else "these cards"
        runners = f"this driver and {cards} can run"
    return f" that {runners}{_against(choice.against)}"


def _against(obstacles: Mapping[str, str]) -> str:
    """Return ` (not cu130 and cu132: driver 580 needed)`, empty if nothing was passed over."""
    builds: dict[str, list[str]] = {}
    for build, obstacle in obstacles.items():
        builds.setdefault(obstacle, []).insert(0, build)
    parts = [f"not {_listed(names)}: {obstacle}" for obstacle, names in builds.items()]
    return f" ({'; '.join(parts)})" if parts else ""


def _capabilities(numbers: Sequence[int]) -> str:
    noun = "compute capability" if len(numbers) == 1 else "compute capabilities"
    return f"{noun} {_listed([f'{number // 10}.{number % 10}' for number in numbers])}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


# This machine


def this_host(seconds: float = _SECONDS) -> Host:
    """Return the machine this runs on; its commands share so many seconds, from now on."""
    deadline = time.monotonic() + seconds
    return Host(
        sys_platform=sys.platform,
        machine=platform.machine(),
        environ=os.environ,
        read=_read,
        find=_find,
        run=lambda command: _run(command, deadline - time.monotonic()),
    )


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _find(pattern: str) -> list[str]:
    anchor = Path(pattern).anchor
    try:
        return sorted(str(path) for path in Path(anchor).glob(pattern.removeprefix(anchor)))
    except OSError:
        return []


def _run(command: tuple[str, ...], seconds: float) -> str:
    """Run a command for so long at most.

    Its output goes to a file, not to a pipe: nothing waits then for a pipe that a child of the
    command holds open. A command that cannot even be killed (nvidia-smi inside a stuck driver) is
    left behind.
    """
    if seconds <= 0 or not shutil.which(command[0]):
        return ""
    try:
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                status = process.wait(seconds)
            except subprocess.TimeoutExpired:
                _kill(process)
                return ""
            output.seek(0)
            return output.read().decode(errors="replace") if status == 0 else ""
    except (OSError, ValueError):
        return ""


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a command and what it started, and wait briefly for its end."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_KILL_SECONDS)
