"""Wheel file names of the PyTorch index: read them, and write them."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.utils import canonicalize_name, parse_wheel_filename

from torch_plan.facts import labelled


@dataclass(frozen=True)
class WheelName:
    """What a wheel file name says.

    `python` is the tag that tells CPythons apart in `builds.json`: `cp312`, `cp313t` for a
    free-threaded build, `py3` for a wheel that serves every Python 3. `platform_tag` is the last
    part of the name as it stands, compressed sets (`manylinux_2_17_x86_64.manylinux2014_x86_64`)
    included. `label` is the local version (`cu128`), empty where there is none.
    """

    package: str
    version: str
    label: str
    python: str
    platform_tag: str

    def __str__(self) -> str:
        interpreter, abi = _interpreter_and_abi(self.python)
        version = labelled(self.version, self.label)
        return (
            f"{self.package.replace('-', '_')}-{version}-{interpreter}-{abi}-{self.platform_tag}"
            ".whl"
        )


def _interpreter_and_abi(python: str) -> tuple[str, str]:
    if python == "py3":
        return "py3", "none"
    return python.removesuffix("t"), python


def parse_wheel_name(filename: str) -> WheelName:
    """Take a wheel file name apart; `%2B` for `+`, as index pages write it, is understood.

    Raises `packaging.utils.InvalidWheelFilename` for anything else.
    """
    filename = filename.replace("%2B", "+")
    name, version, _, _ = parse_wheel_filename(filename)
    interpreter, abi, platform_tag = filename.removesuffix(".whl").split("-")[-3:]
    python = abi if abi.startswith("cp") else interpreter
    return WheelName(
        package=canonicalize_name(name),
        version=version.public,
        label=version.local or "",
        python=python,
        platform_tag=platform_tag,
    )
