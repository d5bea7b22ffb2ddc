"""What a build needs of a machine, for people and for `sync.py`."""

from __future__ import annotations

import pytest

from tests.helpers.refusals import FACTS
from torch_plan.project.plan import Plan, make_plan
from torch_plan.resolution.defaults import complete


def plan(**given: str) -> Plan:
    return make_plan(complete({"torch_version": "2.9.1", "python_version": "3.11", **given}, FACTS))


def test_demands_say_which_build_runs_where_the_cpu_build_last() -> None:
    made = plan(layout="extras", torch_backend="cpu gpu=cu128 amd=rocm6.4 intel=xpu")
    amd = FACTS.hardware.compiled_for("2.9.1", "rocm6.4", "linux-x86_64")
    cuda = ("7.?", "8.?", "9.?", "10.?", "12.?")
    everywhere = ("linux-x86_64", "linux-aarch64", "darwin-arm64", "win32-AMD64")
    assert [tuple(demand) for demand in made.demands] == [
        (("--extra", "gpu"), "cu128", "525.60.13", cuda, ("linux-x86_64",)),
        (("--extra", "gpu"), "cu128", "525.60.13", (), ("linux-aarch64",)),
        (("--extra", "gpu"), "cu128", "528.33", cuda, ("win32-AMD64",)),
        (("--extra", "amd"), "rocm6.4", "", amd, ("linux-x86_64",)),
        (("--extra", "intel"), "xpu", "", ("*",), ("linux-x86_64", "win32-AMD64")),
        (("--extra", "cpu"), "cpu", "", ("*",), everywhere),
    ]


@pytest.mark.parametrize(
    ("backend", "platform", "needs"),
    [
        (
            "cu128",
            "linux-x86_64",
            (
                "NVIDIA driver 525.60.13 or newer",
                "GPU of compute capability 7.0 (V100) to 12.0 (RTX 50, RTX PRO Blackwell)",
                "glibc 2.28 or newer",
            ),
        ),
        ("cu128", "linux-aarch64", ("NVIDIA driver 525.60.13 or newer", "glibc 2.28 or newer")),
        ("xpu", "linux-x86_64", ("Intel GPU with its driver", "glibc 2.28 or newer")),
        ("xpu", "windows-x86_64", ("Intel GPU with its driver",)),
        ("xpu", "macos-arm64", ("macOS 12.0 or newer",)),
        ("rocm6.4", "linux-aarch64", ("glibc 2.28 or newer", "there is no rocm6.4 build for it")),
    ],
)
def test_needs_are_sentences(backend: str, platform: str, needs: tuple[str, ...]) -> None:
    assert plan(torch_backend=backend).default.needs[platform] == needs


def test_rocm_needs_its_driver_and_one_of_its_gpus() -> None:
    driver, gpus, _ = plan(torch_backend="rocm6.4").default.needs["linux-x86_64"]
    assert driver == "a driver for ROCm 6.4"
    assert gpus.startswith(
        "AMD GPU gfx900 (Radeon RX Vega, MI25), gfx906 (Radeon VII, MI50, MI60), "
    )


def test_the_floor_is_that_of_the_wheel_that_asks_for_most() -> None:
    """Companions count, and of the tags of one wheel the oldest."""
    made = plan(torch_backend="cpu", companions="torchvision", torch_version="2.9.1")
    assert {name: str(floor) for name, floor in made.default.floors.items()} == {
        "linux-x86_64": "glibc 2.28 or newer",
        "linux-aarch64": "glibc 2.28 or newer",
        "macos-arm64": "macOS 12.0 or newer",
    }
    alone = plan(torch_backend="cpu", companions="none")
    assert str(alone.default.floors["macos-arm64"]) == "macOS 11.0 or newer"
