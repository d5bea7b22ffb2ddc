"""Make a TOML text say something else, and leave every other letter of it as it is.

tomlrt edits it, also where a table is split over a file, as `[tool]` mostly is. It takes remarks
along with what goes, so they are put back. What comes out is parsed and compared with what was
meant.
"""

from __future__ import annotations

import contextlib
import re
import tomllib
from difflib import SequenceMatcher
from typing import Any

import tomlrt

from adopt import Stop
from adopt.files import BOM
from adopt.parse import INDEXES, UV, Keys

_SPARED: Keys = (*UV, "exclude-newer-package")
_LIST = tomlrt.Array | tomlrt.AoT
_LONG = 100
"""The length from which on a list is written on several lines."""
_STYLE = tomlrt.FormatOptions(indent=4)
_REMARK = r"[ \t]*#.*\n"
"""A line that holds a comment alone."""
_TAIL = r"^([ \t]+)[\"{\[].*[\"}\]],?[ \t]*(#[^\"'\n]*\n)"
"""An item of a list, and the comment behind it."""


def rewrite(text: str, wanted: dict[str, Any]) -> str:
    """Return a text that parses to `wanted`, and differs from `text` only where it has to.

    Raises `Stop` if there is no such text.
    """
    end = "\r\n" if text.count("\r\n") == text.count("\n") > 0 else "\n"
    mark, old = BOM * text.startswith(BOM), text.removeprefix(BOM).replace(end, "\n")
    if tomllib.loads(old) == wanted:
        return text
    with contextlib.suppress(tomlrt.TOMLError, tomllib.TOMLDecodeError):
        document = tomlrt.loads(old)
        _edit(document, wanted, ())
        new = _with_remarks(tomlrt.dumps(document), old)
        if tomllib.loads(new) == wanted:
            return mark + new.replace("\n", end)
    raise Stop("This file is written in a way that this command cannot change.")


def _edit(table: tomlrt.Document | tomlrt.Table, wanted: dict[str, Any], place: Keys) -> None:
    """Make a table hold what is wanted; below the place of an index all stands within a line."""
    for key in [key for key in table if key not in wanted]:
        del table[key]
    for key, value in wanted.items():
        old = table.get(key)
        if old == value:
            continue
        if isinstance(old, tomlrt.Table) and isinstance(value, dict):
            _edit(old, value, INDEXES if old.is_inline else (*place, key))
        elif isinstance(old, _LIST) and isinstance(value, list):
            _edit_list(old, value)
        else:
            table[key] = _made(value, (*place, key))
            _lay_out(table[key])


def _edit_list(items: _LIST, wanted: list[Any]) -> None:
    """Make a list hold other items; those that stay keep their comments and their place."""
    old = [*map(repr, items.to_list())]
    matcher = SequenceMatcher(None, old, [*map(repr, wanted)], autojunk=False)
    for _, start, end, first, last in reversed(matcher.get_opcodes()):
        del items[start + last - first : end]
        for at, value in enumerate(wanted[first:last], start):
            if at < end and isinstance(items, tomlrt.AoT):
                _edit(items[at], value, INDEXES)
            elif at >= end or items[at] != value:
                items[at : at + (at < end)] = [_made(value, ())]
                _lay_out(items[at])
    if isinstance(items, tomlrt.Array) and not items.multiline and len(repr(wanted)) > _LONG:
        items.set_multiline(multiline=True)


def _made(value: Any, place: Keys) -> Any:
    """Return a value to put at a place, with a header of its own where that is usual."""
    if place == INDEXES:
        return tomlrt.AoT(value)
    if isinstance(value, list):
        is_long = len(value) > 1 or any(isinstance(item, list) for item in value)
        return tomlrt.Array([_made(item, ()) for item in value], multiline=is_long)
    if not isinstance(value, dict):
        return value
    table = {key: _made(value[key], (*place, key)) for key in value}
    has_header = 0 < len(place) <= len(INDEXES) and place != _SPARED
    return tomlrt.Table.section(table) if has_header else tomlrt.Table.inline(table)


def _lay_out(value: Any) -> None:
    if isinstance(value, tomlrt.Array):
        value.format(options=_STYLE)


def _with_remarks(new: str, old: str) -> str:
    """Put back the remarks that went with what they stood above, but for those on a table."""
    if "[tool.uv]\n" not in old:
        # A new header came between the first one within it and the remarks on that.
        new = re.sub(rf"(?m)((?:^{_REMARK})+)(\[tool\.uv\]\n(?:.+\n)*\n)(?=\[)", r"\2\1", new)
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for _, start, end, first, _ in reversed(matcher.get_opcodes()):
        gone = "".join(before[start:end])
        others = re.sub(rf"^(?:{_REMARK})*\[[^,\n]*\]\n(?:.+\n)*", "", gone, flags=re.MULTILINE)
        lost = [one for one in re.findall(_REMARK, others) if before.count(one) > after.count(one)]
        tails = re.findall(_TAIL, gone, flags=re.MULTILINE)
        lost += [indent + tail for indent, tail in tails if old.count(tail) > new.count(tail)]
        after[first:first] = [*lost, *["\n"] * (others != gone and bool(lost))]
    return "".join(after)
