"""Interpreters: stand-ins, which uv asks for their version, and environments with packages."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from tools.lib.lock import find_uv
from tools.lib.template import PYTHON

_PRETEND = """\
import collections, sys, sysconfig
fields = "major minor micro releaselevel serial"
version = collections.namedtuple("version_info", fields)({major}, {minor}, 0, "final", 0)
sys.version_info = sys.implementation.version = version
sys.version = "{major}.{minor}.0 (stand-in, Jan 1 2026, 00:00:00) [none]"
sys.hexversion = ({major} << 24) + ({minor} << 16) + 0xF0
sysconfig._PIP_USE_SYSCONFIG = True  # not distutils, which an old Python would have
"""

SAY_VERSION = "import platform; print(platform.python_version())"


@cache
def interpreter(python: str) -> str:
    """Return an interpreter of this minor version: the running one, or one that says it is."""
    if python == PYTHON:
        return sys.executable
    return stand_in(python, sys.executable)


_PYTHON = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
"""Where an environment has its interpreter."""


def stand_in(python: str, base: str) -> str:
    """Make an environment of a base interpreter, whose Python says that it is another version.

    A stand-in locks and dry-runs as a real one would, on a machine that has one Python only; it
    cannot install or run anything. A `.pth` file makes it one, since that runs whatever else is
    there: Debian's Pythons have a `sitecustomize`, which comes before any other. The folder is
    always a new one: uv remembers what the Python at a path has said. Raises `RuntimeError` if
    the stand-in does not say what it should.
    """
    folder = Path(mkdtemp(prefix=f"python-{python}-"))
    subprocess.run([find_uv(), "venv", "--quiet", f"--python={base}", folder], check=True)
    (site,) = [path for path in folder.rglob("site-packages") if path.is_dir()]
    major, minor = python.split(".")
    pretend = _PRETEND.format(major=major, minor=minor)
    (site / "stand_in.py").write_text(pretend, encoding="utf-8")
    (site / "stand_in.pth").write_text("import stand_in\n", encoding="utf-8")
    made = str(folder / _PYTHON)
    said = subprocess.run([made, "-I", "-c", SAY_VERSION], check=True, stdout=subprocess.PIPE)
    if said.stdout.decode().strip() != f"{python}.0":
        raise RuntimeError(f"{made}, of {base}, says {said.stdout!r} and not {python}.0")
    return made


def install(folder: Path, python: str, *requirements: str) -> Path:
    """Install packages for an interpreter, and return the `python` that has them."""
    uv = find_uv()
    subprocess.run([uv, "venv", "--quiet", f"--python={python}", folder], check=True)
    installed = folder / _PYTHON
    command = [uv, "pip", "install", "--quiet", f"--python={installed}", *requirements]
    subprocess.run(command, check=True)
    return installed
