"""Try whether uv locks a project with another pyproject.toml, and leave the project as it is."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

_DECIDING = ("FROZEN", "LOCKED", "NO_SOURCES", "PROJECT", "WORKING_DIR")
"""Variables of uv's that would make it lock something else, or nothing."""


def try_lock(path: Path, text: str) -> tuple[int, str]:
    """Return uv's exit status for a project whose pyproject.toml holds a text, and what uv said.

    1 says that there is no solution, 2 that uv could not look for one, as without a network.
    """
    uv = os.environ.get("UV") or shutil.which("uv")
    unwanted = {"VIRTUAL_ENV", *(f"UV_{name}" for name in _DECIDING)}
    environment = {name: value for name, value in os.environ.items() if name not in unwanted}
    if not uv:
        return 2, "uv is neither in $UV nor on PATH."
    try:
        # Beside the project, so that `../other` leads to the same place as from there.
        folder = tempfile.TemporaryDirectory(dir=path.parent.parent, prefix=".adopt-")
    except OSError as error:
        return 2, f"{error}"
    with folder as name:
        for entry in path.parent.iterdir():
            with contextlib.suppress(OSError):
                if entry.name == "uv.lock":
                    shutil.copyfile(entry, Path(name, entry.name))
                elif entry.name not in (path.name, ".venv"):
                    Path(name, entry.name).symlink_to(entry)
        Path(name, path.name).write_bytes(text.encode("utf-8"))
        done = subprocess.run([uv, "lock", "--project", name], env=environment, capture_output=True)
    said = done.stderr.decode("utf-8", "replace").replace(name, str(path.parent))
    return 2 if "Failed to parse" in said and not done.returncode else done.returncode, said
