"""Ask uv what a lock would install on a platform."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from torch_plan.catalog.platforms import PLATFORMS


class UvError(Exception):
    """uv ended with an error; the text is what it printed."""


def find_uv() -> str:
    """Return uv's path: `$UV`, which uv sets for what it runs, else the one on PATH."""
    if uv := os.environ.get("UV") or shutil.which("uv"):
        return uv
    raise UvError("uv is neither in $UV nor on PATH")


def run_uv(project: Path, *arguments: str, **environment: str) -> str:
    """Run uv in a project and return what it printed; raises `UvError` if it fails.

    uv only warns about settings it cannot read and then drops them, so such a warning fails too.
    """
    foreign = ("VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT")
    inherited = {key: value for key, value in os.environ.items() if key not in foreign}
    done = subprocess.run(
        [find_uv(), *arguments],
        cwd=project,
        env={**inherited, "NO_COLOR": "1", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
    )
    printed = done.stdout + done.stderr
    if done.returncode or "Failed to parse" in printed:
        raise UvError(f"uv {' '.join(arguments)} in {project.name}:\n{printed}")
    return printed


def installed(project: Path, platform: str, *options: str) -> dict[str, str]:
    """Return package -> version that `uv sync` would install on a platform, by its own dry run.

    `options` select extras, groups or the interpreter. Whatever is installed already does not
    count. macOS 14 is assumed, which torch needs from 2.12.0 on; uv itself assumes macOS 13.
    """
    with tempfile.TemporaryDirectory() as nothing:
        printed = run_uv(
            project,
            *("sync", "--dry-run", "--frozen", "--no-install-project"),
            *("--python-platform", PLATFORMS[platform].uv_name),
            *options,
            MACOSX_DEPLOYMENT_TARGET="14.0",
            UV_PROJECT_ENVIRONMENT=str(Path(nothing) / "venv"),
        )
    return dict(re.findall(r"^ \+ ([\w.-]+)==(\S+)", printed, re.MULTILINE))
