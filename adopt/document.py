"""A TOML file: what it holds, a text that says something else, and that in the place of it.

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
from collections.abc import Mapping
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import tomlrt

from adopt import Stop

_BOM = "\ufeff"
"""What Notepad puts before a text. uv reads such a file, so it is kept."""
_INDEXES = ("tool", "uv", "index")
_SPARED = ("tool", "uv", "exclude-newer-package")
"""A table that stands within a line."""
_LIST = tomlrt.Array | tomlrt.AoT
_LONG = 100
"""The length from which on a list is written on several lines."""
_STYLE = tomlrt.FormatOptions(indent=4)
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


def rewrite(text: str, wanted: dict[str, Any]) -> str:
    """Return a text that parses to `wanted`, and differs from `text` only where it has to.

    Raises `Stop` if there is no such text.
    """
    end = "\r\n" if text.count("\r\n") == text.count("\n") > 0 else "\n"
    mark, old = _BOM * text.startswith(_BOM), text.removeprefix(_BOM).replace(end, "\n")
    if tomllib.loads(old) == wanted:
        return text
    with contextlib.suppress(tomlrt.TOMLError, tomllib.TOMLDecodeError):
        document = tomlrt.loads(old)
        _edit(document, wanted, ())
        new = _with_remarks(tomlrt.dumps(document), old)
        if tomllib.loads(new) == wanted:
            return mark + new.replace("\n", end)
    raise Stop("This file is written in a way that this command cannot change.")


def _edit(
    table: tomlrt.Document | tomlrt.Table, wanted: dict[str, Any], place: tuple[str, ...]
) -> None:
    """Make a table hold what is wanted; below the place of an index all stands within a line."""
    for key in [key for key in table if key not in wanted]:
        del table[key]
    for key, value in wanted.items():
        old = table.get(key)
        if old == value:
            continue
        if isinstance(old, tomlrt.Table) and isinstance(value, dict):
            _edit(old, value, _INDEXES if old.is_inline else (*place, key))
        elif isinstance(old, _LIST) and isinstance(value, list):
            _edit_list(old, value)
        else:
            table[key] = _made(value, (*place, key))
            _lay_out(table[key])


def _edit_list(items: _LIST, wanted: list[Any]) -> None:
    """Make a list hold other items; those that stay keep their comments and their place."""
    old = [*map(repr, items.to_list())]
    matcher = SequenceMatcher(None, old, [*map(repr, wanted)], autojunk=False)
    changes = [change for change in matcher.get_opcodes() if change[0] != "equal"]
    for _, start, end, first, last in reversed(changes):
        del items[start + last - first : end]
        for at, value in enumerate(wanted[first:last], start):
            if at >= end:
                items.insert(at, _made(value, ()))
            elif isinstance(items, tomlrt.AoT):
                _edit(items[at], value, _INDEXES)
            else:
                items[at] = _made(value, ())
            _lay_out(items[at])
    if isinstance(items, tomlrt.Array) and not items.multiline and len(repr(wanted)) > _LONG:
        items.set_multiline(multiline=True)


def _made(value: Any, place: tuple[str, ...]) -> Any:
    """Return a value to put at a place, with a header of its own where that is usual."""
    if place == _INDEXES:
        return tomlrt.AoT(value)
    if isinstance(value, list):
        is_long = len(value) > 1 or any(isinstance(item, list) for item in value)
        return tomlrt.Array([_made(item, ()) for item in value], multiline=is_long)
    if not isinstance(value, dict):
        return value
    table = {key: _made(value[key], (*place, key)) for key in value}
    has_header = 0 < len(place) <= len(_INDEXES) and place != _SPARED
    return tomlrt.Table.section(table) if has_header else tomlrt.Table.inline(table)


def _lay_out(value: Any) -> None:
    if isinstance(value, tomlrt.Array):
        value.format(options=_STYLE)


def _with_remarks(new: str, old: str) -> str:
    """Put back the remarks that went with what an empty line parts them from."""
    if "[tool.uv]\n" not in old:
        # A new header came between the first one within it and the remarks on that.
        new = re.sub(rf"(?m)((?:^{_REMARK})+)(\[tool\.uv\]\n(?:.+\n)*\n)(?=\[)", r"\2\1", new)
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for _, start, end, first, _ in reversed(matcher.get_opcodes()):
        parted = re.findall(rf"(?m)((?:^{_REMARK})+)\n", "".join(before[start:end]))
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
