"""Get a real CPU wheel of torch for the replica, from wherever there is one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tools.lib.wheel_names import parse_wheel_name
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.versions import CPU, labelled

_SECONDS = 10
"""How long a server may be silent before it counts as out of reach."""


def real_cpu_wheel(folder: Path, platform: str, facts: Facts, release: str = "") -> Path | None:
    """Download a CPU wheel of torch for the running Python.

    Takes the folder to put it into, this machine's platform, and a release, or none for the newest
    that can be had. Returns the file, or None if there is none. Looks where pip is configured to
    find files (`PIP_FIND_LINKS`), and then on the official CPU index; never on PyPI, whose wheels
    may hold gigabytes of CUDA.
    """
    label = facts.label("torch", release, CPU, platform) if release else ""
    requirement = f"torch=={labelled(release, label)}" if release else "torch"
    official = f"{facts.pytorch_mirrors['official'].url}/{CPU}"
    for place in ("--no-index", f"--index-url={official}"):
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--only-binary=:all:", "--retries=0", f"--timeout={_SECONDS}"),
            *(f"--dest={folder}", place, requirement),
        ]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        for wheel in folder.glob("*.whl"):
            name = parse_wheel_name(wheel.name)
            known = name.version in facts.releases
            if known and name.label == facts.label("torch", name.version, CPU, platform):
                return wheel
            wheel.unlink()
    return None
