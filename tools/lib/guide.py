"""The same choice of builds, once as our answers and once as uv's guide for PyTorch writes it.

The guide: https://docs.astral.sh/uv/guides/integration/pytorch/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch_plan.facts import family_of

COMMON = {"torch_version": "2.9.1", "python_version": "3.10", "after_generation": "nothing"}
"""The release at which every one of these backends is published."""


class Written(NamedTuple):
    """A source of torch in the guide: its index, where it holds, and for which extra or group."""

    backend: str
    marker: str = ""
    option: str = ""


class Choice(NamedTuple):
    """A choice of builds: our answers, and the sources with which the guide says the same."""

    name: str
    answers: Mapping[str, str]
    sources: tuple[Written, ...]
    is_same: bool = True
    """Whether both give every platform the same build; else ours need not be as cheap."""


LINUX, NOT_LINUX = "sys_platform == 'linux'", "sys_platform != 'linux'"
ROCM = (Written("rocm6.4", LINUX),)

CHOICES = (
    Choice("CPU", {"torch_backend": "cpu"}, (Written("cpu"),)),
    Choice(
        "CUDA on Linux",
        {
            "torch_backend": "cu128",
            "platforms": "linux-x86_64 linux-aarch64 macos-arm64 windows-x86_64=cpu",
        },
        (Written("cpu", NOT_LINUX), Written("cu128", LINUX)),
    ),
    Choice(
        "extras",
        {
            "torch_backend": "cpu cu128",
            "platforms": "linux-x86_64 linux-aarch64 windows-x86_64",
            "layout": "extras",
        },
        (Written("cpu", option="cpu"), Written("cu128", option="cu128")),
    ),
    Choice(
        "ROCm, else PyPI",
        {
            "torch_backend": "rocm6.4",
            "platforms": "linux-x86_64 macos-arm64=pypi windows-x86_64=pypi",
        },
        ROCM,
    ),
    Choice(
        "XPU, else PyPI",
        {"torch_backend": "xpu", "platforms": "linux-x86_64 windows-x86_64 macos-arm64=pypi"},
        (Written("xpu", "sys_platform == 'win32' or sys_platform == 'linux'"),),
    ),
    Choice("ROCm, ours by default", {"torch_backend": "rocm6.4"}, ROCM, is_same=False),
)
"""The examples of the guide. Those of ROCm and XPU leave other platforms to PyPI."""


def guide_project(
    ours: Mapping[str, Any], sources: Sequence[Written], url: str
) -> dict[str, dict[str, Any]]:
    """Return the parsed `pyproject.toml` that the guide leads to.

    `ours` is our own of the same choice, for its pins, Pythons and layout. `url` is what comes
    before `/cu128`. There are no `environments` in it: the guide has none.
    """
    fields = ("name", "version", "requires-python", "dependencies", "optional-dependencies")
    project = {field: ours["project"][field] for field in fields if field in ours["project"]}
    project["dependencies"] = [_in_guide(pin, sources) for pin in project["dependencies"]]
    settings = {
        key: ours["tool"]["uv"][key]
        for key in ("conflicts", "default-groups")
        if key in ours["tool"]["uv"]
    }
    option = "extra" if "optional-dependencies" in project else "group"
    settings["sources"] = {
        package: [_source(source, option) for source in _of_package(package, sources)]
        for package in ours["tool"]["uv"]["sources"]
    }
    settings["index"] = [
        {"name": f"pytorch-{backend}", "url": f"{url}/{backend}", "explicit": True}
        for backend in dict.fromkeys(source.backend for source in sources)
    ]
    groups = ours["dependency-groups"]
    return {"project": project, "dependency-groups": groups, "tool": {"uv": settings}}


def _of_package(package: str, sources: Sequence[Written]) -> list[Written]:
    """Return the sources of a package: a triton is on the indexes of its own family alone."""
    if "triton" not in package:
        return [*sources]
    return [source for source in sources if package.endswith(family_of(source.backend))]


def _in_guide(pin: str, sources: Sequence[Written]) -> str:
    """Return a requirement with the marker that the guide gives it: a triton has one."""
    requirement = pin.partition(" ;")[0]
    if "triton" not in pin:
        return requirement
    return f"{requirement} ; {_of_package(requirement.partition('==')[0], sources)[0].marker}"


def _source(source: Written, option: str) -> dict[str, str]:
    parts = {"index": f"pytorch-{source.backend}", option: source.option, "marker": source.marker}
    return {key: value for key, value in parts.items() if value}
