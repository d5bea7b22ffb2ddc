"""Which GPU a machine has, or somebody names.

The places to look on a machine, and their order, are those of `uv pip install --torch-backend=auto`
(astral-sh/uv, crates/uv-torch/src/accelerator.rs at 11f49f2e); `docs/releasing.md` lists
what differs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch_plan.catalog.hardware import Gpu, Hardware, cards_text
from torch_plan.catalog.versions import version_key
from torch_plan.machine.host import Host

CUDA_DRIVER = "UV_CUDA_DRIVER_VERSION"
AMD_ARCHITECTURE = "UV_AMD_GPU_ARCHITECTURE"
"""uv's own variables, which say what a machine has instead of the machine itself."""

_DRIVER = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}){0,3}")
_CAPABILITY = re.compile(r"[0-9]{1,3}\.[0-9]")
_GFX = re.compile(r"gfx(?!000$)[0-9a-f]{3,5}")
_NAMED_DRIVER = re.compile(r"driver(?: version)?:?\s*(\d{3}(?:\.\d+)*)", re.IGNORECASE)
_NAMED_CAPABILITY = re.compile(r"(?:capability|compute_cap|sm_?|,)\s*:?\s*(\d{1,2})\.?(\d)\b")
_NAMED_GFX = re.compile(r"\bgfx(?!000)[0-9a-f]{3,4}\b")


def find_gpu(host: Host) -> Gpu:
    """Return the GPU that decides: uv's overrides, then NVIDIA, AMD, Intel."""
    if driver := _match(_DRIVER, host.environ.get(CUDA_DRIVER, "")):
        return _nvidia(f"{driver} ({CUDA_DRIVER})", driver, smi_rows(host))
    if architecture := _match(_GFX, host.environ.get(AMD_ARCHITECTURE, "")):
        return Gpu("rocm", f"AMD {architecture} ({AMD_ARCHITECTURE})", cards=(architecture,))
    if host.sys_platform == "darwin":
        return Gpu("", "macOS")
    rows = smi_rows(host)
    drivers = (kernel_driver(host), *(_match(_DRIVER, driver) for driver, _ in rows))
    if driver := next(filter(None, drivers), ""):
        return _nvidia(driver, driver, rows)
    if architectures := amd_architectures(host):
        return Gpu("rocm", f"AMD {cards_text(architectures)}", cards=architectures)
    if has_intel_gpu(host):
        return Gpu("xpu", "Intel graphics")
    return Gpu("", "no GPU that PyTorch has builds for")


def _nvidia(description: str, driver: str, rows: Sequence[tuple[str, str]]) -> Gpu:
    known = {_match(_CAPABILITY, text) for _, text in rows} - {""}
    cards = tuple(sorted(known, key=version_key))
    card = cards_text(cards) if cards else "compute capability unknown"
    return Gpu("cu", f"NVIDIA driver {description}, {card}", driver, cards)


def kernel_driver(host: Host) -> str:
    """Return the NVIDIA driver of Linux's kernel: of the loaded module, else what it reports.

    That is `NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.54.03  Tue …`, or `NVRM version:
    NVIDIA UNIX Open Kernel Module for x86_64  570.86.16  Release Build  …`.
    """
    text = host.read("/proc/driver/nvidia/version")
    reported = re.search(rf"NVRM version:.*?\s({_DRIVER.pattern})(?!\S)", text)
    loaded = _match(_DRIVER, host.read("/sys/module/nvidia/version"))
    return loaded or (reported[1] if reported else "")


def smi_rows(host: Host) -> list[tuple[str, str]]:
    """Return the driver and the compute capability that nvidia-smi prints for each card.

    One that is too old for `compute_cap` is asked for its driver alone. In WSL nvidia-smi is in a
    folder that is on PATH in a login shell only.
    """
    programs = ("nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi")
    for fields in ("driver_version,compute_cap", "driver_version"):
        lines = _printed(host, programs, f"--query-gpu={fields}", "--format=csv,noheader")
        if lines:
            return [(line.partition(",")[0], line.partition(",")[2]) for line in lines]
    return []


def amd_architectures(host: Host) -> tuple[str, ...]:
    """Return AMD's name of each kind of GPU; `gfx000` among the agents is the CPU."""
    programs = ("rocm_agent_enumerator", "/opt/rocm/bin/rocm_agent_enumerator")
    return tuple(sorted({_match(_GFX, line) for line in _printed(host, programs)} - {""}))


def _printed(host: Host, programs: Sequence[str], *arguments: str) -> list[str]:
    """Return the lines of the first of these programs that prints any."""
    printed = (host.run((program, *arguments)) for program in programs)
    return next(filter(None, printed), "").splitlines()


def has_intel_gpu(host: Host) -> bool:
    r"""Return whether there is a display controller of Intel's on PCI, which is uv's rule.

    As in uv that includes graphics older than Arc and Core Ultra, whose build runs on the CPU only.
    Windows names the devices that are there, `PCI\VEN_8086&DEV_E20B&SUBSYS_…`, and Linux likewise,
    `pci:v00008086d0000E20Bsv00001849sd00001001bc03sc00i00`.
    """
    if host.sys_platform == "win32":
        displays = host.run(("pnputil", "/enum-devices", "/class", "Display", "/connected"))
        return re.search(r"(?i)\bVEN_8086\b", displays) is not None
    devices = host.read("/sys/bus/pci/devices/*/modalias")
    return re.search(r"pci:v00008086d\S*bc03sc", devices) is not None


def _match(pattern: re.Pattern[str], text: str) -> str:
    """Return the text without space around it if the pattern is all there is, else nothing."""
    match = pattern.fullmatch(text.strip())
    return match[0] if match else ""


def named_gpu(text: str, hardware: Hardware, platform: str) -> Gpu | None:
    """Return the GPU that a text names, None if it names none that is known.

    The text may be the table of nvidia-smi, or the rows of its `driver_version,compute_cap`.
    """
    if re.fullmatch(r"\d{3}\.\d+(\.\d+)?(,.*)?", text.strip(), re.DOTALL):
        text = f"driver {text}"
    elif re.match(r"\d{3,4}\b", text):
        text = f"GTX {text} RTX {text} RX {text}"
    rows = hardware.cards(platform)
    # An RTX 4090 is one of the row `RTX 40, L4`.
    pairs = ((card, name) for card, row in rows.items() for name in row.split(", "))
    named = [
        *_NAMED_GFX.findall(text),
        *(card for card, name in pairs if _pattern(name).search(text)),
    ]
    amd = tuple(dict.fromkeys(card for card in named if card.startswith("gfx")))
    if amd:
        return Gpu("rocm", f"AMD {cards_text(amd)}", cards=amd)
    capabilities = {*named, *(".".join(numbers) for numbers in _NAMED_CAPABILITY.findall(text))}
    cards, driver = tuple(sorted(capabilities, key=version_key)), _NAMED_DRIVER.search(text)
    if driver:
        # Without a decimal point it is any driver of that number.
        number = driver[1] if "." in driver[1] else f"{driver[1]}.999"
        card = cards_text(cards) if cards else "card unknown"
        return Gpu("cu", f"NVIDIA driver {driver[1]}, {card}", number, cards)
    if cards:
        return Gpu("cu", f"NVIDIA GPU with an up-to-date driver, {cards_text(cards)}", cards=cards)
    is_intel = re.search(r"\b(intel|arc|xpu)\b", text, re.IGNORECASE)
    return Gpu("xpu", "Intel graphics") if is_intel else None


def _pattern(name: str) -> re.Pattern[str]:
    """Return what finds a card: `RTX 40` and `GTX 900` are series, the others names."""
    series = re.fullmatch(r"([GR]TX|MI)(?: (\d\d|\d(?=00))(00)?|(2)00)", name)
    words = (
        [series[1], rf"{series[2] or series[4]}\d\d"] if series else [*map(re.escape, name.split())]
    )
    pattern = r"\s*".join(words).replace(r"PRO\s*", r"PRO.*")
    more = r"(?:[A-Z]|\s?(?:Ti|XTX?|SUPER))?(?![a-z0-9])"
    return re.compile(rf"(?<![A-Z0-9]){pattern}{more}", re.IGNORECASE)
