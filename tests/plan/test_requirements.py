"""The lines that a plan requires: of a project, a library, an extra, and what may be added."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.refusals import FACTS
from torch_plan.project.plan import Plan, make_plan
from torch_plan.resolution.defaults import complete


def plan(**given: str) -> Plan:
    return make_plan(complete({"torch_version": "2.9.1", "python_version": "3.11", **given}, FACTS))


TWO_RELEASES = {
    "torch_backend": "cpu=2.13.0+cpu old=2.8.0+cu126",
    "layout": "extras",
    "companions": "none",
}


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ({"torch_backend": "cu128"}, "partial", ("torchcodec ; platform_machine != 'aarch64'",)),
        ({"torch_backend": "cu128", "companions": "torchcodec"}, "partial", ()),
        ({"torch_backend": "cu128"}, "smoke_command", "my-ml-project-smoke"),
        (
            {"torch_backend": "cu128", "torch_pin": "minimum"},
            "smoke_command",
            "python -m my_ml_project.smoke",
        ),
        ({"torch_backend": "cpu", "project_slug": "a-b"}, "package", "a_b"),
        ({"torch_backend": "cu128"}, "gate", ()),
        ({"torch_backend": "cpu cu128", "torch_pin": "minimum"}, "gate", ()),
        (
            {"torch_backend": "rocm6.4", "torch_pin": "minimum"},
            "gate",
            ("torch", "torchvision", "pytorch-triton-rocm ; platform_machine == 'x86_64'"),
        ),
        ({"torch_backend": "cu128"}, "last_releases", {"cu128": "2.11.0"}),
        (
            {"torch_backend": "cpu cu118", "torch_version": "2.3.1"},
            "last_releases",
            {"cu118": "2.7.1"},
        ),
        ({"torch_backend": "cu132", "torch_version": "2.15.0"}, "last_releases", {}),
        (
            {"torch_backend": "pypi", "platforms": "linux-aarch64=cu128@https://host/x"},
            "last_releases",
            {},
        ),
        (TWO_RELEASES, "constraints", ()),
        ({"torch_backend": "cu128"}, "conflicts", False),
        ({"torch_backend": "cpu cu128"}, "conflicts", True),
        ({"torch_backend": "cpu"}, "reaches_cuda", False),
        ({"torch_backend": "cpu cu128"}, "reaches_cuda", True),
        ({"torch_backend": "cu128"}, "tritons", ()),
        ({"torch_backend": "rocm6.4"}, "tritons", ("pytorch-triton-rocm",)),
        (
            {"torch_backend": "cu134", "torch_version": "3.0.0", "torch_pin": "minimum"},
            "dependencies",
            ("torch>=3.0.0", "torchvision", "numpy"),
        ),
        (
            {"torch_backend": "cu132", "torch_version": "2.16.0", "torch_pin": "minimum"},
            "dependencies",
            ("torch>=2.16.0", "torchvision>=0.29", "numpy"),
        ),
        (
            {"torch_backend": "cu118", "torch_version": "2.3.1", "python_version": "3.9-3.13"},
            "dependencies",
            (
                "torch==2.3.1",
                "torchvision==0.18.1",
                "numpy>=2 ; sys_platform != 'win32'",
                "numpy<2 ; sys_platform == 'win32'",
            ),
        ),
    ],
)
def test_a_plan_has(given: dict[str, str], name: str, value: Any) -> None:
    assert getattr(plan(**given), name) == value


def test_each_extra_has_bounds_for_its_own_release() -> None:
    """An owner writes these lines, since uv has one list of bounds for all extras."""
    cpu, old = plan(**TWO_RELEASES).options
    assert cpu.bounds == ("torchvision>=0.28.0", "torchaudio>=2.11.0", "torchcodec>=0.12.0")
    assert old.bounds == (
        "torchvision>=0.23.0",
        "torchaudio>=2.8.0,<2.11.0",
        "torchcodec>=0.6.0,<0.8.0 ; platform_machine != 'aarch64'",
    )
    assert all(option.bounds == () for option in plan(torch_backend="cpu cu128").options)


def test_an_extra_of_a_library_names_its_triton_alone_without_a_version() -> None:
    given = {"torch_backend": "cpu rocm6.4", "torch_pin": "minimum", "layout": "extras"}
    cpu, rocm = plan(**given).options
    assert cpu.requirements == ("torch>=2.9.1", "torchvision>=0.24.1")
    assert rocm.requirements == (
        *cpu.requirements,
        "pytorch-triton-rocm ; platform_machine == 'x86_64'",
    )
    (alone,) = plan(torch_backend="rocm6.4", torch_pin="minimum").options
    assert alone.requirements == cpu.requirements


def test_the_sources_of_a_library_are_its_group_s_and_those_of_the_others_are_not() -> None:
    sources = plan(torch_backend="cu128", torch_pin="minimum").sources
    groups = {name: {source.group for source in entries} for name, entries in sources.items()}
    assert groups == {
        "torch": {"torch"},
        "torchvision": {"torch"},
        "torchaudio": {""},
        "torchcodec": {""},
    }
