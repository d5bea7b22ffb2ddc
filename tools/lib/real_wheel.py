"""Get a real CPU wheel of torch for the replica, from wherever there is one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tools.lib.wheel_names import parse_wheel_name
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.versions import CPU, labelled


def real_cpu_wheel(folder: Path, platform: str, facts: Facts, release: str = "") -> Path | None:
    """Download a CPU wheel of torch for the running Python into a folder; None if there is none.

    Without a release it is the newest that can be had. Looks where pip is configured to find files
    (`PIP_FIND_LINKS`), and then on the official CPU index; never on PyPI, whose wheels may hold
    gigabytes of CUDA.
    """
    label = facts.label("torch", release, CPU, platform) if release else ""
    requirement = f"torch=={labelled(release, label)}" if release else "torch"
    official = f"{facts.pytorch_mirrors['official'].url}/{CPU}"
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--retries=0", "--timeout=10"]
    for place in ("--no-index", f"--index-url={official}"):
        command = [sys.executable, "-m", "pip", "download", *options, f"--dest={folder}"]
        subprocess.run(
            [*command, place, requirement], stdin=subprocess.DEVNULL, capture_output=True
        )
        for wheel in folder.glob("*.whl"):
            name = parse_wheel_name(wheel.name)
            known = name.version in facts.releases
            if known and name.label == facts.label("torch", name.version, CPU, platform):
                return wheel
            wheel.unlink()
    return None
