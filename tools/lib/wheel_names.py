"""Wheel file names of the PyTorch index: read them, and write them."""

from __future__ import annotations

from typing import NamedTuple

from packaging.utils import canonicalize_name, parse_wheel_filename

from torch_plan.catalog.platforms import platform_of
from torch_plan.catalog.versions import labelled


class WheelName(NamedTuple):
    """What a wheel file name says."""

    package: str
    version: str
    label: str
    """The local version (`cu128`), empty where there is none."""
    python: str
    """What tells CPythons apart in `builds.json`: `cp312`, `cp313t`, `py3` for every Python 3."""
    platform_tag: str
    """The last part of the name as it stands, `manylinux_2_17_x86_64.manylinux2014_x86_64` too."""

    def __str__(self) -> str:
        tags = (self.python.removesuffix("t"), self.python)
        interpreter, abi = ("py3", "none") if self.python == "py3" else tags
        version = labelled(self.version, self.label)
        package = self.package.replace("-", "_")
        return f"{package}-{version}-{interpreter}-{abi}-{self.platform_tag}.whl"

    @property
    def platform(self) -> str:
        """The platform that it is for, empty for one that the template does not name."""
        return platform_of(self.platform_tag)


def parse_wheel_name(filename: str) -> WheelName:
    """Take a wheel file name apart; `%2B` for `+`, as index pages write it, is understood.

    Raises `packaging.utils.InvalidWheelFilename` for anything else.
    """
    filename = filename.replace("%2B", "+")
    name, version, _, _ = parse_wheel_filename(filename)
    interpreter, abi, platform_tag = filename.removesuffix(".whl").split("-")[-3:]
    python = abi if abi.startswith("cp") else interpreter
    label = version.local or ""
    return WheelName(canonicalize_name(name), version.public, label, python, platform_tag)
