"""The machine that this runs on: its files, and what its programs print, within a short time."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from torch_plan.catalog.platforms import platform_named
from torch_plan.machine.system import host_machine

if TYPE_CHECKING:
    import subprocess

_SECONDS = 1.5
"""How long all commands together may take; looking at the machine stays below 2 s with that."""
_KILL_SECONDS = 0.1


class Host(NamedTuple):
    """A machine, as far as detection looks at it; nothing here raises."""

    sys_platform: str
    machine: str
    environ: Mapping[str, str]
    read: Callable[[str], str]
    """The text of a file, empty if it cannot be read."""
    entries: Callable[[str], Sequence[str]]
    """The paths in a folder, none if it cannot be read."""
    run: Callable[[tuple[str, ...]], str]
    """What a command prints, empty if it is absent, fails, or takes too long."""

    @property
    def platform(self) -> str:
        """The platform's name in the facts, empty if PyTorch has no wheels for it."""
        return platform_named(self.sys_platform, self.machine)


def this_host(seconds: float = _SECONDS) -> Host:
    """Return the machine that this runs on.

    All its commands together may take `seconds`, counted from this call.
    """
    deadline = time.monotonic() + seconds
    return Host(
        sys_platform=sys.platform,
        machine=host_machine(),
        environ=os.environ,
        read=_read,
        entries=_entries,
        run=lambda command: _run(command, deadline - time.monotonic()),
    )


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _entries(folder: str) -> list[str]:
    try:
        return sorted(map(str, Path(folder).iterdir()))
    except OSError:
        return []


def _run(command: tuple[str, ...], seconds: float) -> str:
    """Run a command for at most so many seconds.

    Its output goes to a file, since a child of the command could hold a pipe open and block us.
    A command that cannot even be killed (nvidia-smi inside a stuck driver) is left behind.
    """
    # Imported where they are needed: the page looks at no machine.
    import shutil
    import subprocess
    import tempfile

    if seconds <= 0 or not shutil.which(command[0]):
        return ""
    try:
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                status = process.wait(seconds)
            except subprocess.TimeoutExpired:
                _kill(process)
                return ""
            output.seek(0)
            return output.read().decode(errors="replace") if status == 0 else ""
    except (OSError, ValueError):
        return ""


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a command and what it started, and wait briefly for its end."""
    import signal
    import subprocess

    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_KILL_SECONDS)
