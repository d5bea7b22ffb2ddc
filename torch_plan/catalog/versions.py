"""How versions and builds are called and sorted."""

import re
from functools import cache

PYPI = "pypi"
"""The backend that takes whatever PyPI ships, and the name of PyPI's own column in the facts."""

CPU = "cpu"

TORCH = "torch"

FAMILIES = {PYPI: "PyPI", CPU: "CPU", "cu": "CUDA", "rocm": "ROCm", "xpu": "XPU"}
"""Every family of backends, and how people write it."""


@cache
def version_key(version: str) -> tuple[int, ...]:
    """Return what sorts `2.10.0` after `2.9.1`, and `3.10` after `3.9`."""
    # Python refuses to read a number of thousands of digits.
    return tuple(int(part) for part in re.findall(r"\d{1,99}", version))


@cache
def family_of(backend: str) -> str:
    """Return `cu` for `cu128`, `rocm` for `rocm6.4`, and any other backend's own name."""
    numbered = re.match(r"(cu|rocm)\d", backend)
    return numbered[1] if numbered else backend


def backend_key(backend: str) -> tuple[int, tuple[int, ...]]:
    """Return what sorts backends by family, then by the version of their toolkit."""
    return [*FAMILIES].index(family_of(backend)), version_key(backend)


def is_build(name: str) -> bool:
    """Tell whether a name is formed as those of CUDA and ROCm builds: `cu134`, `rocm10.1`."""
    return re.fullmatch(r"cu\d{2,3}|rocm\d+(\.\d+){1,2}", name) is not None


def is_open(version: str) -> bool:
    """Tell whether a version is any of a line (`0.29.*`), or any at all (empty)."""
    return not version or version.endswith(".*")


def labelled(version: str, label: str) -> str:
    """Return `2.9.1+cu128` for a version with a label, and the version alone without one."""
    return f"{version}+{label}" if label else version
