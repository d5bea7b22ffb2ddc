"""Which GPU a machine has.

The places to look, and their order, are those of `uv pip install --torch-backend=auto`
(astral-sh/uv, crates/uv-torch/src/accelerator.rs at 11f49f2e); `docs/releasing.md` lists
what differs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch_plan.catalog.hardware import Gpu, capability
from torch_plan.machine.host import Host
from torch_plan.text import listed

CUDA_DRIVER = "UV_CUDA_DRIVER_VERSION"
AMD_ARCHITECTURE = "UV_AMD_GPU_ARCHITECTURE"
"""uv's own variables, which say what a machine has instead of the machine itself."""

_DRIVER = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}){0,3}")
_CAPABILITY = re.compile(r"[0-9]{1,3}\.[0-9]")
_GFX = re.compile(r"gfx(?!000$)[0-9a-f]{3,5}")


def find_gpu(host: Host) -> Gpu:
    """Return the GPU that decides: uv's overrides, then NVIDIA, AMD, Intel."""
    driver = _match(_DRIVER, host.environ.get(CUDA_DRIVER, ""))
    if driver:
        return _nvidia(driver, smi_cards(host), set_by=CUDA_DRIVER)
    architecture = _match(_GFX, host.environ.get(AMD_ARCHITECTURE, ""))
    if architecture:
        return _amd((architecture,), f" ({AMD_ARCHITECTURE})")
    if host.sys_platform == "darwin":
        return Gpu("", "macOS")
    rows = smi_cards(host)
    driver = kernel_driver(host) or smi_driver(host, rows)
    if driver:
        return _nvidia(driver, rows)
    architectures = amd_architectures(host)
    if architectures:
        return _amd(architectures)
    if has_intel_gpu(host):
        return Gpu("xpu", "Intel graphics")
    return Gpu("", "no GPU that PyTorch has builds for")


SmiRows = Sequence[tuple[str, str]]
"""The driver and the compute capability that nvidia-smi prints for each NVIDIA card."""


def _nvidia(driver: str, rows: SmiRows, set_by: str = "") -> Gpu:
    """Return an NVIDIA GPU; `set_by` is the variable that its driver stands in, empty for none."""
    capabilities = {_match(_CAPABILITY, text) for _, text in rows} - {""}
    known = tuple(sorted(int(text.replace(".", "")) for text in capabilities))
    card = capabilities_text(known) if known else "compute capability unknown"
    source = f" ({set_by})" if set_by else ""
    return Gpu("cu", f"NVIDIA driver {driver}{source}, {card}", driver, known)


def _amd(architectures: tuple[str, ...], source: str = "") -> Gpu:
    """Return an AMD GPU; `source` says where its name was found, if not on the machine."""
    description = f"AMD {listed(architectures)}{source}"
    return Gpu("rocm", description, architectures=architectures)


def capabilities_text(capabilities: Sequence[int]) -> str:
    """Return `compute capability 9.0`, or `compute capabilities 7.5 and 9.0`."""
    noun = "compute capability" if len(capabilities) == 1 else "compute capabilities"
    return f"{noun} {listed([*map(capability, capabilities)])}"


def kernel_driver(host: Host) -> str:
    """Return the NVIDIA driver of Linux's kernel: of the loaded module, else what it reports.

    The first file is `535.54.03`. The line in the second is `NVRM version: NVIDIA UNIX x86_64
    Kernel Module  535.54.03  Tue …`, or `NVRM version: NVIDIA UNIX Open Kernel Module for x86_64
    570.86.16  Release Build  …`.
    """
    if host.sys_platform != "linux":
        return ""
    text = host.read("/proc/driver/nvidia/version")
    reported = re.search(rf"NVRM version:.*?\s({_DRIVER.pattern})(?!\S)", text)
    loaded = _match(_DRIVER, host.read("/sys/module/nvidia/version"))
    return loaded or (reported[1] if reported else "")


def smi_driver(host: Host, rows: SmiRows) -> str:
    """Return the NVIDIA driver that nvidia-smi names; one too old to be asked for cards, too."""
    drivers = [driver for driver, _ in rows] or _smi(host, "driver_version")
    return next(filter(None, (_match(_DRIVER, driver) for driver in drivers)), "")


def smi_cards(host: Host) -> SmiRows:
    """Return the NVIDIA cards, none if nvidia-smi is too old to be asked for `compute_cap`."""
    rows = (row.partition(",") for row in _smi(host, "driver_version,compute_cap"))
    return [(driver, capability) for driver, _, capability in rows]


def _smi(host: Host, fields: str) -> list[str]:
    """Return the row that nvidia-smi prints for each card.

    nvidia-smi is not always on PATH: on Windows the driver puts it into System32, and in WSL into
    a folder that is on PATH in a login shell only.
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
        names = {_match(_GFX, line) for line in host.run((program,)).splitlines()} - {""}
        if names:
            return tuple(sorted(names))
    return ()


def has_intel_gpu(host: Host) -> bool:
    r"""Return whether there is a display controller of Intel's on PCI, which is uv's rule.

    As in uv that includes graphics older than Arc and Core Ultra, whose build runs on the CPU only.
    Windows names the devices that are there: `PCI\VEN_8086&DEV_E20B&SUBSYS_…`.
    """
    if host.sys_platform == "win32":
        displays = host.run(("pnputil", "/enum-devices", "/class", "Display", "/connected"))
        return "VEN_8086" in re.split(r"[\\&\s]", displays.upper())
    return host.sys_platform == "linux" and any(
        host.read(f"{device}/class").strip().startswith("0x03")
        and host.read(f"{device}/vendor").strip() == "0x8086"
        for device in host.entries("/sys/bus/pci/devices")
    )


def _match(pattern: re.Pattern[str], text: str) -> str:
    """Return the text without space around it if the pattern is all there is, else nothing."""
    match = pattern.fullmatch(text.strip())
    return match[0] if match else ""
