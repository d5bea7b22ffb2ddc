"""Read files whatever they are, and replace them only if they are still what was read."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adopt import Stop

BOM = "\ufeff"
"""What Notepad puts before a text. uv reads such a file, so it is kept."""


def read_text(path: Path) -> str:
    """Return the text of a file, line endings and all; raises `Stop` if it is not one."""
    try:
        # A FIFO would wait for a writer for ever.
        if not path.is_file() and path.exists():
            raise Stop(f"{path} is not a file that can be read and written.")
        return path.read_bytes().decode("utf-8")
    except (OSError, ValueError, RuntimeError) as error:
        raise Stop(f"{path} cannot be read: {error}") from None


def parsed(path: Path, text: str) -> dict[str, Any]:
    """Return what a TOML text holds; raises `Stop` if it is none."""
    try:
        return tomllib.loads(text.removeprefix(BOM))
    except ValueError as error:
        raise Stop(f"{path} cannot be read: {error}") from None


def replace_files(old: Mapping[Path, str], new: Mapping[Path, str]) -> None:
    """Write texts in the place of those that were read: each file at once, or not at all.

    Raises `Stop` where a file has changed since it was read, or may not be written. Mode and owner
    stay. A link stays a link; a file of several names is written in its place for all of them.
    """
    for path in new:
        if path.read_bytes() != old[path].encode("utf-8"):
            raise Stop(f"{path} was changed while uv was asked. Nothing is written; run it again.")
        if not os.access(path, os.W_OK):
            raise Stop(f"{path} may not be written.")
    try:
        for path, text in new.items():
            if path.stat().st_nlink > 1:
                path.write_bytes(text.encode("utf-8"))
            else:
                _replace(path.resolve(), text)
    except OSError as error:
        raise Stop(f"{error.filename} cannot be written: {error.strerror}") from None


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(path, name)
        if hasattr(os, "chown"):
            # Only root may give a file away; for all others it is theirs already.
            with contextlib.suppress(PermissionError):
                os.chown(name, path.stat().st_uid, path.stat().st_gid)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
