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
    for place in ["--no-index"], [f"--index-url={official}"]:
        found = _download(folder, requirement, *place)
        if found and _is_cpu_build(found, platform, facts):
            return found
    return None


def _is_cpu_build(wheel: Path, platform: str, facts: Facts) -> bool:
    name = parse_wheel_name(wheel.name)
    known = name.version in facts.releases
    return known and name.label == facts.label("torch", name.version, CPU, platform)


def _download(folder: Path, requirement: str, *options: str) -> Path | None:
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.glob("*.whl"))
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
        *("--only-binary=:all:", "--retries=0", f"--timeout={_SECONDS}"),
        *(f"--dest={folder}", *options, requirement),
    ]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    found = set(folder.glob("*.whl")) - before
    return found.pop() if done.returncode == 0 and found else None
