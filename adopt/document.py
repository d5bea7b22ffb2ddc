"""A TOML file: what it holds, the same text with edits, and that in the place of it.

tomlrt edits a text and leaves every other letter of it, also where a table is split over the file,
as `[tool]` mostly is. What comes out is parsed and compared with what was meant.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import tomlrt

from adopt import Stop

_BOM = "\ufeff"
"""What Notepad puts before a text. uv reads such a file, so it is kept."""
_REMARK = r"[ \t]*#.*\n"
"""A line that holds a comment alone."""


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
        return tomllib.loads(text.removeprefix(_BOM))
    except ValueError as error:
        raise Stop(f"{path} cannot be read: {error}") from None


def rewrite(text: str, change: Callable[[tomlrt.Document], None]) -> str:
    """Return a text with a change of what it holds, and all else as it is.

    Raises `Stop` if there is no such text.
    """
    end = "\r\n" if text.count("\r\n") == text.count("\n") > 0 else "\n"
    mark, old = _BOM * text.startswith(_BOM), text.removeprefix(_BOM).replace(end, "\n")
    with contextlib.suppress(tomlrt.TOMLError, tomllib.TOMLDecodeError):
        document = tomlrt.loads(old)
        change(document)
        if document.to_dict() == tomllib.loads(old):
            return text
        new = _with_remarks(tomlrt.dumps(document), old)
        if document.to_dict() == tomllib.loads(new):
            return mark + new.replace("\n", end)
    raise Stop("A file is written in a way that cannot be edited. --check shows what is wrong.")


def _with_remarks(new: str, old: str) -> str:
    """Put back the remarks that went with what an empty line parts them from."""
    if "[tool.uv]\n" not in old:
        # A new header came between the first one within it and the remarks on that.
        new = re.sub(rf"(?m)((?:^{_REMARK})+)(\[tool\.uv\]\n(?:.+\n)*\n)(?=\[)", r"\2\1", new)
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for _, start, end, first, _ in reversed(matcher.get_opcodes()):
        parted = re.findall(rf"(?m)((?:^{_REMARK})+)\n", "".join(before[start : end + 1]))
        after[first:first] = [f"{one}\n" for one in parted if old.count(one) > new.count(one)]
    return "".join(after)


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
    for path, text in new.items():
        if path.stat().st_nlink > 1:
            path.write_bytes(text.encode("utf-8"))
        else:
            _replace(path.resolve(), text)


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
