"""Get a real CPU wheel of torch for the replica, from wherever there is one."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from tools.lib.wheel_names import parse_wheel_name
from torch_plan.facts import CPU, Facts, labelled, version_key

_SECONDS = 10
"""How long a server may be silent before it counts as out of reach."""


def real_cpu_wheel(folder: Path, platform: str, facts: Facts, release: str = "") -> Path | None:
    """Download a CPU wheel of torch for the running Python.

    Takes the folder to put it into, this machine's platform, and a release, or none for the newest
    that can be had. Returns the file, or None if there is none. Looks where pip is
    configured to look, and on the official CPU index.
    """
    if release:
        return _download(folder, _exact(release, platform, facts), *_official(facts))
    local = _download(folder, "torch", "--no-index")
    if local and not _is_cpu_build(local, platform, facts):
        local = None
    least = parse_wheel_name(local.name).version if local else ""
    if _reachable(facts):
        for newer in reversed(facts.releases):
            if least and version_key(newer) <= version_key(least):
                break
            found = _download(folder, _exact(newer, platform, facts), *_official(facts))
            if found:
                return found
    return local


def _official(facts: Facts) -> tuple[str, str]:
    return "--extra-index-url", f"{facts.pytorch_mirrors['official'].url}/{CPU}"


def _exact(release: str, platform: str, facts: Facts) -> str:
    label = facts.label("torch", release, CPU, platform)
    return f"torch=={labelled(release, label)}"


def _is_cpu_build(wheel: Path, platform: str, facts: Facts) -> bool:
    name = parse_wheel_name(wheel.name)
    known = name.version in facts.releases
    return known and name.label == facts.label("torch", name.version, CPU, platform)


def _reachable(facts: Facts) -> bool:
    try:
        urllib.request.urlopen(_official(facts)[1] + "/", timeout=_SECONDS).close()
    except (urllib.error.URLError, OSError):
        return False
    return True


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
