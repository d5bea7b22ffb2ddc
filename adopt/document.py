"""Make a TOML text say something else, and leave every other letter of it as it is.

tomlrt edits it, also where a table is split over a file, as `[tool]` mostly is. It takes remarks
along with what goes, so they are put back. What comes out is parsed and compared with what was
meant.
"""

from __future__ import annotations

import contextlib
import json
import re
import tomllib
from difflib import SequenceMatcher
from typing import Any

import tomlrt

from torch_plan.text import toml_key

Place = tuple[str, ...]
"""A key, as a path from the root of the file."""

_INDEX: Place = ("tool", "uv", "index")
_LONG = 100
"""The length from which on a list, or a marker of several parts, is written on several lines."""
_REMARK = r"[ \t]*#.*\n"
"""A line that holds a comment alone."""


class Unwritable(Exception):
    """The text cannot be made to say what was meant; the argument is the key that it fails for."""


def rewrite(text: str, wanted: dict[str, Any]) -> str:
    """Return a text that parses to `wanted`, and differs from `text` only where it has to.

    Raises `Unwritable` if there is no such text.
    """
    is_crlf = text.count("\r\n") == text.count("\n") > 0
    old = text.replace("\r\n", "\n") if is_crlf else text
    document, new, said = tomlrt.loads(old), old, tomllib.loads(old)
    with contextlib.suppress(tomlrt.TOMLError, tomllib.TOMLDecodeError):
        _edit(document, wanted, ())
        new = _with_remarks(tomlrt.dumps(document), old)
        said = tomllib.loads(new)
    if said != wanted:
        raise Unwritable(".".join(_difference(said, wanted)))
    return new.replace("\n", "\r\n") if is_crlf else new


def _difference(one: Any, other: Any) -> Place:
    """Return the first key that has another value."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return ()
    key = next(key for key in {**one, **other} if one.get(key) != other.get(key))
    return (key, *_difference(one.get(key), other.get(key)))


def _edit(
    table: tomlrt.Document | tomlrt.Table, wanted: dict[str, Any], place: Place | None = None
) -> None:
    """Make a table hold what is wanted; it has no place if it stands within a line."""
    remarks = _remarks(table) if place else None
    for key in [key for key in table if key not in wanted]:
        del table[key]
    for key, value in wanted.items():
        old, within = table.get(key), None if place is None else (*place, key)
        if old == value:
            continue
        if isinstance(old, tomlrt.Table) and isinstance(value, dict):
            _edit(old, value, None if old.is_inline else within)
        elif (
            isinstance(old, tomlrt.Array | tomlrt.AoT)
            and isinstance(value, list)
            and '"""' not in _written(value)
        ):
            _edit_list(old, value)
        else:
            table[key] = _made(value, within)
    if place and _remarks(table) not in (None, remarks):
        # A new header came between the first one within it and the remarks on that.
        tables = (it[0] if isinstance(it, tomlrt.AoT) else it for it in table.values())
        with contextlib.suppress(tomlrt.TOMLError, StopIteration):
            first = next(it for it in tables if isinstance(it, tomlrt.Table) and not it.is_inline)
            first.header_leading_comments = table.header_leading_comments
            table.header_leading_comments = remarks or ()


def _remarks(table: tomlrt.Document | tomlrt.Table) -> tuple[str, ...] | None:
    """Return the comments above the header of a table, None where it has no header."""
    try:
        return table.header_leading_comments
    except tomlrt.TOMLError:
        return None


def _edit_list(items: tomlrt.Array | tomlrt.AoT, wanted: list[Any]) -> None:
    """Make a list hold other items; those that stay keep their comments and their place."""
    old = [*map(repr, items.to_list())]
    matcher = SequenceMatcher(None, old, [*map(repr, wanted)], autojunk=False)
    for tag, start, end, first, last in reversed(matcher.get_opcodes()):
        if tag == "equal":
            continue
        del items[start + last - first : end]
        for at, value in enumerate(wanted[first:last], start):
            if at >= end:
                items.insert(at, _made(value, indent="    "))
            elif isinstance(items, tomlrt.AoT):
                _edit(items[at], value)
            else:
                items[at] = _made(value, indent="    ")
    if isinstance(items, tomlrt.Array) and not items.multiline and len(_written(wanted)) > _LONG:
        items.set_multiline(multiline=True)


def _made(value: Any, place: Place | None = None, indent: str = "") -> Any:
    """Return a value to put at a place, with a header of its own where that is usual."""
    if place == _INDEX:
        return tomlrt.AoT(value)
    if place and len(place) <= len(_INDEX) and isinstance(value, dict):
        return tomlrt.Table.section({key: _made(value[key], (*place, key)) for key in value})
    return tomlrt.loads(f"value = {_written(value, indent)}\n")["value"]


def _written(value: Any, indent: str = "") -> str:
    """Return a value as a careful person writes it in TOML."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{toml_key(key)} = {_written(value[key])}' for key in value)} }}"
    if isinstance(value, str) and re.match(rf"[^;]{{{_LONG}}}", value) and " or " in value:
        parts = value.replace(" or ", " or \\\n    ")
        return f'"""\\\n    {parts}\\\n"""'
    if not isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    items = [_written(item, f"{indent}    ") for item in value]
    if len(items) > 1 or any(isinstance(item, list) for item in value):
        return "[\n" + "".join(f"{indent}    {item},\n" for item in items) + f"{indent}]"
    return f"[{', '.join(items)}]"


def _with_remarks(new: str, old: str) -> str:
    """Put back the remarks that went with what they stood above, but for those on a table."""
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for _, start, end, first, _ in reversed(matcher.get_opcodes()):
        gone = "".join(before[start:end])
        others = re.sub(rf"^(?:{_REMARK})*\[[^,\n]*\]\n(?:.+\n)*", "", gone, flags=re.MULTILINE)
        lost = [it for it in re.findall(_REMARK, others) if before.count(it) > after.count(it)]
        after[first:first] = [*lost, *["\n"] * (others != gone and bool(lost))]
    return "".join(after)
