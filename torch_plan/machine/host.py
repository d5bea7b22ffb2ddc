"""The machine that this runs on: its files, and what its programs print, within a short time."""

from __future__ import annotations

import contextlib
import glob
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from torch_plan.catalog.platforms import PLATFORMS

_SECONDS = 1.5
"""How long all commands together may take; looking at the machine stays below 2 s with that."""
_KILL_SECONDS = 0.1


class Host(NamedTuple):
    """A machine, as far as detection looks at it; nothing here raises."""

    sys_platform: str
    environ: Mapping[str, str]
    read: Callable[[str], str]
    """The text of a file, or of all that a pattern finds; empty if none can be read."""
    run: Callable[[tuple[str, ...]], str]
    """What a command prints, empty if it is absent, fails, or takes too long."""


def host_platform() -> str:
    """Return the platform that this runs on, empty if PyTorch has no wheels for it."""
    if sys.platform == "win32":
        import platform

        machine = platform.machine()
    else:
        # The same without its import, which takes milliseconds.
        machine = os.uname().machine
    here = sys.platform, machine
    names = (name for name in PLATFORMS if PLATFORMS[name][1:3] == here)
    return next(names, "")


def this_host() -> Host:
    """Return the machine that this runs on; the time of its commands counts from this call."""
    deadline = time.monotonic() + _SECONDS
    return Host(
        sys.platform, os.environ, _read, lambda command: _run(command, deadline - time.monotonic())
    )


def _read(pattern: str) -> str:
    texts = []
    for path in sorted(glob.glob(pattern)):  # noqa: PTH207  # of a whole path
        with contextlib.suppress(OSError):
            texts.append(Path(path).read_text(encoding="utf-8", errors="replace"))
    return "".join(texts)


def _run(command: tuple[str, ...], seconds: float) -> str:
    """Run a command for at most so many seconds.

    Its output goes to a file, since a child of the command could hold a pipe open and block us.
    A command that cannot even be killed (nvidia-smi inside a stuck driver) is left behind.
    """
    # Imported where they are needed: the page looks at no machine.
    import shutil
    import signal
    import subprocess
    import tempfile

    if seconds <= 0 or not shutil.which(command[0]):
        return ""
    with contextlib.suppress(OSError, ValueError), tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            if process.wait(seconds) == 0:
                output.seek(0)
                return output.read().decode(errors="replace")
        except subprocess.TimeoutExpired:
            with contextlib.suppress(subprocess.TimeoutExpired):
                if sys.platform == "win32":
                    process.kill()
                else:
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait(_KILL_SECONDS)
    return ""
