"""A wheel of the stand-in for torch: it installs at once, and passes a project's smoke test."""

from __future__ import annotations

import inspect
import zipfile
from pathlib import Path

from tests.helpers import stub_torch
from tools.lib.replica import Replica
from tools.lib.wheel_names import parse_wheel_name
from torch_plan.machine.host import host_platform

TORCH = f"{inspect.getsource(stub_torch)}\nglobals().update(vars(stub_torch()) | globals())\n"


def stub_wheel(folder: Path, python: str) -> Path | None:
    """Write the CPU wheel of torch 2.13.0 under its real name; None if this machine has none."""
    tag = f"cp{python.replace('.', '')}"
    for filename in Replica().wheels("cpu", "torch"):
        name = parse_wheel_name(filename)
        if (name.version, name.python, name.platform) == ("2.13.0", tag, host_platform()):
            break
    else:
        return None
    _, version, tags = filename.removesuffix(".whl").split("-", 2)
    info = f"torch-{version}.dist-info"
    files = {
        "torch/__init__.py": TORCH,
        "torch/version.py": "cuda = hip = xpu = None\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tags}\n",
        f"{info}/RECORD": "",
    }
    path = folder / filename
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return path
