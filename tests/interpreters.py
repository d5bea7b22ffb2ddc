"""Stand-in interpreters: uv asks a Python for its version to resolve for it, and for no more."""

from __future__ import annotations

import sys
import venv
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

_PRETEND = """\
import collections, sys, sysconfig
fields = "major minor micro releaselevel serial"
version = collections.namedtuple("version_info", fields)({major}, {minor}, 0, "final", 0)
sys.version_info = sys.implementation.version = version
sys.version = "{major}.{minor}.0 (stand-in, Jan 1 2026, 00:00:00) [none]"
sys.hexversion = ({major} << 24) + ({minor} << 16) + 0xF0
sysconfig._PIP_USE_SYSCONFIG = True  # not distutils, which an old Python would have
"""


@cache
def interpreter(python: str) -> str:
    """Return an interpreter of this minor version: the running one, or one that says it is.

    A stand-in locks and dry-runs as a real one would, on a machine that has one Python only; it
    cannot install or run anything.
    """
    major, minor = python.split(".")
    if (int(major), int(minor)) == sys.version_info[:2]:
        return sys.executable
    folder = Path(mkdtemp(prefix=f"python-{python}-"))
    venv.create(folder, with_pip=False, symlinks=sys.platform != "win32")
    (site,) = [path for path in folder.rglob("site-packages") if path.is_dir()]
    pretend = _PRETEND.format(major=major, minor=minor)
    (site / "sitecustomize.py").write_text(pretend, encoding="utf-8")
    return str(folder / ("Scripts" if sys.platform == "win32" else "bin") / "python")
