"""The default backend: what is found on a machine, and what a release has for it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.helpers.machines import ENUMERATOR, fake_host, posix, program
from torch_plan.catalog.facts import Facts, load_facts
from torch_plan.catalog.hardware import Gpu
from torch_plan.catalog.versions import CPU
from torch_plan.dialogue.invocation import Invocation
from torch_plan.dialogue.messages import say_once
from torch_plan.dialogue.session import Session
from torch_plan.machine import detection as module
from torch_plan.machine.detection import detect
from torch_plan.machine.gpus import find_gpu
from torch_plan.machine.host import Host, this_host
from torch_plan.resolution.defaults import default_backend

ROOT = Path(__file__).resolve().parents[2]
FACTS = load_facts()

SYS = "/sys/module/nvidia/version"
PROC = "/proc/driver/nvidia/version"
NVRM = "NVRM version: NVIDIA UNIX {}  Tue Feb  4\nGCC version:  gcc version 12.3.0 (Ubuntu)\n"
CARDS = "--query-gpu=driver_version,compute_cap"
DRIVER = "--query-gpu=driver_version"
WSL = "/usr/lib/wsl/lib/nvidia-smi"
NOTHING = "no GPU that PyTorch has builds for"


@pytest.fixture(autouse=True)
def machine_without_gpu() -> None:
    """Leave detection as it is: these tests are about it."""


def smi(program: str = "nvidia-smi", query: str = CARDS) -> str:
    return f"{program} {query} --format=csv,noheader"


def pci(vendor: str, device_class: str) -> dict[str, str]:
    ids = f"v0000{vendor}d0000E20Bsv00001849sd00001001"
    return {"/sys/bus/pci/devices/*/modalias": f"pci:{ids}bc{device_class}i00\n"}


PNPUTIL = "pnputil /enum-devices /class Display /connected"
DISPLAYS = r"""
Instance ID:                PCI\VEN_8086&DEV_E20B&SUBSYS_11001849&REV_00\6&21C1D86&0&00080008
Device Description:         Intel(R) Arc(TM) B580 Graphics
Class Name:                 Display
"""


def windows(displays: str) -> Host:
    """Return a machine with Windows and these displays."""
    return fake_host({}, {PNPUTIL: displays}, "win32")


def amd(*architectures: str) -> Gpu:
    return Gpu("rocm", f"AMD {' and '.join(architectures)}", cards=architectures)


def nvidia(driver: str, *capabilities: int) -> Gpu:
    cards = tuple(f"{number // 10}.{number % 10}" for number in capabilities)
    return Gpu("cu", "a GPU", driver, cards)


def id_of(value: object) -> str | None:
    """Return the id of a GPU in a table of cases: its family, driver and architectures."""
    if not isinstance(value, Gpu):
        return None
    words = (value.family or "none", value.driver, *value.cards)
    return "-".join(str(word) for word in words if word)


L40 = "NVIDIA driver 535.54.03, compute capability 8.9"


@pytest.mark.parametrize(
    ("host", "family", "found"),
    [
        pytest.param(
            fake_host({SYS: "535.54.03\n"}, {smi(): "535.54.03, 8.9\n"}), "cu", L40, id="sys"
        ),
        pytest.param(
            fake_host({PROC: NVRM.format("x86_64 Kernel Module  535.54.03")}),
            "cu",
            "NVIDIA driver 535.54.03, compute capability unknown",
            id="proc",
        ),
        pytest.param(
            fake_host({PROC: NVRM.format("Open Kernel Module for x86_64  570.86.16")}),
            "cu",
            "NVIDIA driver 570.86.16, compute capability unknown",
            id="proc-open",
        ),
        pytest.param(fake_host({}, {smi(): "535.54.03, 8.9\n"}), "cu", L40, id="nvidia-smi"),
        pytest.param(
            fake_host({}, {smi(query=DRIVER): "450.80.02\n"}),
            "cu",
            "NVIDIA driver 450.80.02, compute capability unknown",
            id="nvidia-smi-too-old-for-compute-cap",
        ),
        pytest.param(
            fake_host({SYS: "580.65.06"}, {smi(): "580.65.06, [N/A]\n"}),
            "cu",
            "NVIDIA driver 580.65.06, compute capability unknown",
            id="card-out-of-reach",
        ),
        pytest.param(
            fake_host({SYS: "580.65.06"}, {smi(): "580.65.06, 12.0\n" * 2 + "580.65.06, 6.1\n"}),
            "cu",
            "NVIDIA driver 580.65.06, compute capabilities 6.1 and 12.0",
            id="several-cards",
        ),
        pytest.param(fake_host({}, {smi(WSL): "535.54.03, 8.9"}), "cu", L40, id="wsl"),
        pytest.param(
            fake_host({}, {smi(): "535.54.03, 8.9\r\n"}, "win32"), "cu", L40, id="windows"
        ),
        pytest.param(
            fake_host({SYS: "535.54.03"}, UV_CUDA_DRIVER_VERSION="550.144"),
            "cu",
            "NVIDIA driver 550.144 (UV_CUDA_DRIVER_VERSION), compute capability unknown",
            id="driver-override",
        ),
        pytest.param(
            fake_host({SYS: "535.54.03"}, UV_AMD_GPU_ARCHITECTURE="gfx90a"),
            "rocm",
            "AMD gfx90a (UV_AMD_GPU_ARCHITECTURE)",
            id="amd-override",
        ),
        pytest.param(
            fake_host({}, {ENUMERATOR: "gfx000\ngfx942\ngfx942\n"}), "rocm", "AMD gfx942", id="amd"
        ),
        pytest.param(fake_host({}, {ENUMERATOR: "gfx000\n"}), "", NOTHING, id="amd-cpu-only"),
        pytest.param(fake_host(pci("8086", "03sc00")), "xpu", "Intel graphics", id="intel"),
        pytest.param(fake_host(pci("8086", "03sc80")), "xpu", "Intel graphics", id="intel-3d"),
        pytest.param(windows(DISPLAYS), "xpu", "Intel graphics", id="intel-on-windows"),
        pytest.param(windows(DISPLAYS.replace("8086", "1414")), "", NOTHING, id="other-on-windows"),
        pytest.param(fake_host(pci("8086", "02sc00")), "", NOTHING, id="intel-network"),
        pytest.param(fake_host(pci("1A03", "03sc00")), "", NOTHING, id="server-graphics"),
        pytest.param(
            fake_host({SYS: "535.54.03", **pci("8086", "03sc00")}, {smi(): "535.54.03, 8.9"}),
            "cu",
            L40,
            id="nvidia-next-to-intel",
        ),
        pytest.param(fake_host({}, {}, "darwin"), "", "macOS", id="macos"),
        pytest.param(fake_host({}, {}, "freebsd14"), "", NOTHING, id="freebsd"),
        pytest.param(
            fake_host(
                {SYS: "\0?", PROC: "NVRM version: none", **pci("?", "03sc00")},
                {smi(): "Failed to initialize NVML", smi(query=DRIVER): ",", ENUMERATOR: "gfx?"},
                UV_CUDA_DRIVER_VERSION="9" * 5000,
                UV_AMD_GPU_ARCHITECTURE="gfx-1",
            ),
            "",
            NOTHING,
            id="garbage",
        ),
    ],
)
def test_what_is_found(host: Host, family: str, found: str) -> None:
    gpu = find_gpu(host)
    assert (gpu.family, gpu.description) == (family, found)


@pytest.mark.parametrize(
    ("release", "gpu", "platform", "backend", "reason"),
    [
        (
            "2.11.0",
            nvidia("580.65.06", 90),
            "linux-x86_64",
            "cu130",
            "is the newest CUDA build that",
        ),
        ("2.9.1", nvidia("535.54", 89), "linux-x86_64", "cu128", "not cu130: driver 580 needed"),
        ("2.7.0", nvidia("580.65.06", 120), "linux-x86_64", "cu128", "newest CUDA build that runs"),
        ("2.7.0", nvidia("535.54", 90), "linux-x86_64", "cu128", "build that runs with it"),
        ("2.7.0", nvidia("535.54", 70), "linux-x86_64", "cu126", "capability 7.0"),
        ("2.6.0", nvidia("580.65.06", 90), "linux-x86_64", "cu124", "wheels for linux-x86_64 are"),
        ("2.6.0", nvidia("580.65.06", 90), "windows-x86_64", "cu124", "not cu126: its wheels for"),
        (
            "2.6.0",
            nvidia("580.65.06", 100),
            "linux-x86_64",
            CPU,
            f"does is cu132 of torch {FACTS.releases[-1]}",
        ),
        ("2.9.1", nvidia("470.82"), "linux-x86_64", CPU, "is cu118 of torch 2.7.1."),
        ("2.9.1", nvidia("390.10", 61), "linux-x86_64", CPU, "driver 525.60.13 needed)"),
        ("2.9.1", nvidia("528.02", 89), "linux-x86_64", "cu128", "build that runs with it"),
        ("2.9.1", nvidia("528.02", 89), "windows-x86_64", CPU, "driver 528.33 needed"),
        ("2.15.0", nvidia("580.65.06", 61), "linux-x86_64", CPU, "is cu126 of torch 2.14.1."),
        ("2.8.0", nvidia("535.54", 90), "linux-aarch64", "cu129", "is not known"),
        ("2.9.1", nvidia("580.65.06", 121), "linux-aarch64", "cu130", "build that runs with it"),
        ("2.10.0", nvidia("550.144"), "linux-x86_64", "cu129", "runs with it (not cu130: driver"),
        ("2.11.0", nvidia("580.65.06", 75, 90), "linux-x86_64", "cu130", "build that runs with it"),
        ("2.11.0", nvidia("580.65.06", 61, 90), "linux-x86_64", "cu126", "build that runs with it"),
        (
            "2.11.0",
            nvidia("580.65.06", 61, 120),
            "linux-x86_64",
            "cu130",
            "12.0, and none runs on all.",
        ),
        ("2.4.0", nvidia("580.65.06", 90), "linux-aarch64", CPU, "CUDA build for linux-aarch64)"),
        ("2.9.1", nvidia("580.65.06", 90), "", CPU, "no published CUDA build for this platform"),
        ("9.9", nvidia("580.65.06", 90), "linux-x86_64", CPU, "9.9 has no published CUDA build"),
        ("soon", nvidia("580.65.06", 90), "linux-x86_64", CPU, "soon has no published CUDA build"),
        ("2.14.1", Gpu("rocm", "AMD"), "linux-x86_64", "rocm7.2", "newest ROCm build"),
        ("2.14.0", Gpu("rocm", "AMD"), "linux-x86_64", "rocm7.2", "not rocm7.14: it is reported"),
        ("2.15.0", Gpu("rocm", "AMD"), "linux-x86_64", CPU, "2.15.0 has no published ROCm build"),
        ("2.13.0", amd("gfx1100"), "linux-x86_64", "rocm7.2", "ROCm build that runs with it."),
        ("2.13.0", amd("gfx803"), "linux-x86_64", CPU, "not compiled for gfx803)."),
        ("2.5.1", amd("gfx1201"), "linux-x86_64", CPU, "is rocm7.2 of torch 2.14.1."),
        ("2.13.0", amd("gfx1036", "gfx1100"), "linux-x86_64", "rocm7.2", "on gfx1100, and none"),
        ("2.3.0", amd("gfx942"), "linux-x86_64", "rocm6.0", "newest ROCm build"),
        ("2.13.0", Gpu("rocm", "AMD"), "windows-x86_64", CPU, "ROCm build for windows-x86_64)"),
        ("2.13.0", Gpu("xpu", "Intel"), "linux-x86_64", "xpu", "newest XPU build"),
        ("2.15.0", Gpu("xpu", "Intel"), "linux-x86_64", CPU, "is xpu of torch 2.13.0."),
        ("2.14.1", Gpu("xpu", "Intel"), "linux-x86_64", "xpu", "although it is reported that it"),
        ("2.13.0", amd("gfx1100"), "linux-x86_64", "rocm7.2", "Found AMD gfx1100 (RX 7900): "),
        ("2.13.0", Gpu("", "macOS"), "macos-arm64", CPU, "uses the GPU by Metal"),
        ("2.13.0", Gpu("", "nothing"), "linux-x86_64", CPU, "Found nothing, so the default"),
    ],
    ids=id_of,
)
def test_what_is_chosen(release: str, gpu: Gpu, platform: str, backend: str, reason: str) -> None:
    detected = detect(release, FACTS, gpu, platform)
    assert detected.backend == backend
    assert reason in detected.sentence


OLD, MIDDLE, NEW = ("450.80.02", "470.82"), ("535.54", "550.54", "570.86"), ("580.65", "595.10")
CAPABILITIES = (61, 70, 75, 80, 86, 89, 90, 100, 120, 121, 0)
"""Compute capabilities, and 0 for a card that is not known."""


@pytest.mark.parametrize(
    ("platform", "drivers", "expected"),
    [
        pytest.param(
            "linux-x86_64",
            OLD,
            {"2.7.1 cu118": {61, 70, 75, 80, 86, 89, 90, 0}, " cpu": {100, 120, 121}},
            id="linux-old",
        ),
        pytest.param(
            "linux-x86_64",
            ("525.60.13", *MIDDLE),
            {"2.14.1 cu126": {61, 70, 75, 80, 86, 89, 90, 0}, "2.11.0 cu128": {100, 120, 121}},
            id="linux-middle",
        ),
        pytest.param("linux-aarch64", OLD, {" cpu": {*CAPABILITIES}}, id="arm-old"),
        pytest.param(
            "linux-aarch64",
            ("525.60.13", *MIDDLE),
            {"2.13.0 cu126": {80, 86, 89, 90}, "2.13.0 cu129": {61, 70, 75, 100, 120, 121, 0}},
            id="arm-middle",
        ),
        pytest.param(
            "linux-aarch64",
            NEW,
            {"2.15.0 cu132": {80, 86, 89, 90, 100, 120, 121, 0}, "2.13.0 cu129": {61, 70, 75}},
            id="arm-new",
        ),
        pytest.param(
            "windows-x86_64",
            ("470.82", "525.60.13"),
            {"2.7.1 cu118": {61, 70, 75, 80, 86, 89, 90, 0}, " cpu": {100, 120, 121}},
            id="windows-old",
        ),
        pytest.param(
            "windows-x86_64",
            MIDDLE,
            {"2.14.1 cu126": {61, 70, 75, 80, 86, 89, 90, 0}, "2.11.0 cu128": {100, 120, 121}},
            id="windows-middle",
        ),
        *(
            pytest.param(
                platform,
                NEW,
                {"2.15.0 cu132": {75, 80, 86, 89, 90, 100, 120, 121, 0}, "2.14.1 cu126": {61, 70}},
                id=f"{platform}-new",
            )
            for platform in ("linux-x86_64", "windows-x86_64")
        ),
    ],
)
def test_the_default_is_the_newest_that_driver_and_card_can_run(
    platform: str, drivers: Sequence[str], expected: Mapping[str, set[int]]
) -> None:
    newest = FACTS.releases[-1]
    for driver in drivers:
        chosen: dict[str, set[int]] = {}
        for card in CAPABILITIES:
            detected = detect("", FACTS, nvidia(driver, *filter(None, [card])), platform)
            chosen.setdefault(f"{detected.release} {detected.backend}", set()).add(card)
            # Whoever gets something older is told what keeps the newest from running.
            reasons = ("580 needed", "not compiled", "not known which cards")
            says_why = any(reason in detected.sentence for reason in reasons)
            assert says_why == (detected.release != newest), detected
        assert chosen == expected


@pytest.mark.parametrize(
    ("gpu", "platform", "chosen", "why"),
    [
        (amd("gfx942"), "linux-x86_64", "2.14.1 rocm7.2", "(torch 2.15.0 has no published ROCm"),
        (amd("gfx942"), "windows-x86_64", " cpu", "published ROCm build for windows-x86_64)."),
        (amd("gfx803"), "linux-x86_64", " cpu", "not rocm7.2 and rocm7.14 of torch 2.14.1: not"),
        (Gpu("xpu", "Intel"), "linux-x86_64", "2.13.0 xpu", "; not xpu of torch 2.14.1: it is"),
        (Gpu("xpu", "Intel"), "windows-x86_64", "2.13.0 xpu", "no published XPU build for windows"),
        (Gpu("xpu", "Intel"), "linux-aarch64", " cpu", "published XPU build for linux-aarch64)."),
        (nvidia("580.65", 61, 90), "linux-x86_64", "2.14.1 cu126", "build that runs with it ("),
        (nvidia("580.65", 61, 120), "linux-x86_64", "2.15.0 cu132", ", and none runs on all."),
        (nvidia("470.82", 37), "linux-x86_64", " cpu", "newest that does is cu117 of torch 2.0.1"),
        (Gpu("", "nothing"), "linux-x86_64", " cpu", "Found nothing, so"),
    ],
    ids=id_of,
)
def test_the_default_without_a_release(gpu: Gpu, platform: str, chosen: str, why: str) -> None:
    detected = detect("", FACTS, gpu, platform)
    assert f"{detected.release} {detected.backend}" == chosen
    assert why in detected.sentence


def test_the_sentence_says_what_was_found_what_was_chosen_and_why() -> None:
    host = fake_host({SYS: "535.54.03"}, {smi(): "535.54.03, 8.9\n"})
    assert detect("2.7.0", FACTS, find_gpu(host), "linux-x86_64").sentence == (
        "Found NVIDIA driver 535.54.03, compute capability 8.9 (RTX 40, L4, L40): "
        "cu128 of torch 2.7.0 is the newest CUDA build that runs with it."
    )
    pascal = fake_host({}, {smi(): "580.65.06, 6.1\n"})
    assert detect("2.15.0", FACTS, find_gpu(pascal), "linux-x86_64").sentence == (
        "Found NVIDIA driver 580.65.06, compute capability 6.1 (GTX 10, P40): the default build is "
        "cpu, since no CUDA build of torch 2.15.0 runs with it (not cu130 and cu132: not compiled "
        "for compute capability 6.1); the newest that does is cu126 of torch 2.14.1."
    )
    assert detect("", FACTS, find_gpu(pascal), "linux-x86_64").sentence == (
        "Found NVIDIA driver 580.65.06, compute capability 6.1 (GTX 10, P40): cu126 of torch "
        "2.14.1 is the newest CUDA build that runs with it (not cu130 and cu132 of torch 2.15.0: "
        "not compiled for compute capability 6.1)."
    )
    plain = fake_host()
    assert detect("2.15.0", FACTS, find_gpu(plain), "linux-x86_64").sentence == (
        "Found no GPU that PyTorch has builds for, so the default build is cpu."
    )


def test_a_sentence_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    say_once("A sentence of this test.", "What was typed is taken for this: of any release.")
    say_once("What was typed is taken for this: of 2.9.1.", "A sentence of this test.")
    said = capsys.readouterr().err.splitlines()
    assert said == ["A sentence of this test.", "What was typed is taken for this: of any release."]


@posix
@pytest.mark.parametrize(
    ("script", "printed"),
    [
        ("echo 535.54.03, 8.9", "535.54.03, 8.9\n"),
        ("echo No devices were found; exit 6", ""),
        (r"printf '\377'", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_a_real_command(tmp_path: Path, script: str, printed: str) -> None:
    program(tmp_path, "nvidia-smi", script)
    host = this_host()
    assert host.run((str(tmp_path / "nvidia-smi"),)) == printed
    assert host.run((str(tmp_path / "absent"),)) == ""


def test_real_files(tmp_path: Path) -> None:
    (tmp_path / "version").write_bytes(b"535.54\xff")
    host = this_host()
    assert host.read(str(tmp_path / "*sion")).startswith("535.54")
    assert host.read(str(tmp_path)) == host.read(str(tmp_path / "absent")) == ""


@posix
@pytest.mark.parametrize("script", ["sleep 10", "sleep 10 & echo 535.54.03, 8.9; wait"])
def test_commands_that_hang_take_less_than_2_seconds_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    for name in ("nvidia-smi", "rocm_agent_enumerator"):
        program(tmp_path, name, script)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    started = time.monotonic()
    default_backend("2.9.1", FACTS)
    assert time.monotonic() - started < 2


@posix
def test_a_command_that_hangs_leaves_no_child(tmp_path: Path) -> None:
    program(tmp_path, "nvidia-smi", f"sleep 60 & echo $! > {tmp_path}/child; wait")
    assert this_host().run((str(tmp_path / "nvidia-smi"),)) == ""
    child, until = (tmp_path / "child").read_text().strip(), time.monotonic() + 10
    # A child that was killed may wait as a zombie for whoever inherits it.
    state = ["ps", "-o", "stat=", "-p", child]
    while said := subprocess.run(state, capture_output=True, text=True).stdout.strip("Z+<Nsl \n"):
        assert time.monotonic() < until, said


def test_this_machine_is_looked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looked: list[Host] = []

    def find(host: Host) -> Gpu:
        looked.append(host)
        return nvidia("580.65.06", 90)

    monkeypatch.setattr(module, "find_gpu", find)
    monkeypatch.setattr(module, "this_host", fake_host)
    module._gpu_here.cache_clear()
    assert default_backend("2.11.0", FACTS).backend == "cu130"
    assert default_backend("2.7.0", FACTS).backend == "cu128"
    assert len(looked) == 1
    assert capsys.readouterr().err == ""
    known = Invocation("", {"extra_context": {"torch_version": "2.7.0"}}, {}, prompts=False)
    assert Session(FACTS, known).default_of({}, "torch_backend") == "cu128"
    assert "cu128 of torch 2.7.0 is the newest CUDA build" in capsys.readouterr().err
    module._gpu_here.cache_clear()


@pytest.mark.parametrize("facts", [FACTS, None], ids=["broken-host", "broken-facts"])
def test_the_default_never_raises(monkeypatch: pytest.MonkeyPatch, facts: Facts) -> None:
    def fail() -> Host:
        raise RuntimeError("no such machine")

    monkeypatch.setattr(module, "this_host", fail)
    assert default_backend("2.9.1", facts).backend == CPU


def test_a_generation_prints_the_line_once(tmp_path: Path) -> None:
    code = (
        "import os; from torch_plan.machine import detection\n"
        "from torch_plan.catalog.hardware import Gpu\n"
        "detection.find_gpu = lambda host: Gpu('', 'nothing')\n"
        "from cookiecutter.main import cookiecutter\n"
        f"cookiecutter({str(ROOT)!r}, no_input=True, output_dir={str(tmp_path)!r},\n"
        "    config_file=os.devnull, extra_context={'after_generation': 'nothing'})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr.count("Found nothing, so the default build is cpu.") == 1
