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

from adopt import Stop
from adopt.parse import INDEXES, UV, Keys
from torch_plan.text import toml_key

_SPARED: Keys = (*UV, "exclude-newer-package")
_LIST = tomlrt.Array | tomlrt.AoT
_LONG = 100
"""The length from which on a list is written on several lines."""
_REMARK = r"[ \t]*#.*\n"
"""A line that holds a comment alone."""
_TAIL = r"^([ \t]+)[\"{\[].*[\"}\]],?[ \t]*(#[^\"'\n]*\n)"
"""An item of a list, and the comment behind it."""


def rewrite(text: str, wanted: dict[str, Any]) -> str:
    """Return a text that parses to `wanted`, and differs from `text` only where it has to.

    Raises `Stop` if there is no such text.
    """
    end = "\r\n" if text.count("\r\n") == text.count("\n") > 0 else "\n"
    old = text.replace(end, "\n")
    document = tomlrt.loads(old)
    with contextlib.suppress(tomlrt.TOMLError, tomllib.TOMLDecodeError):
        _edit(document, wanted, ())
        new = _with_remarks(tomlrt.dumps(document), old)
        if tomllib.loads(new) == wanted:
            return new.replace("\n", end)
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


def _edit_list(items: _LIST, wanted: list[Any]) -> None:
    """Make a list hold other items; those that stay keep their comments and their place."""
    old = [*map(repr, items.to_list())]
    matcher = SequenceMatcher(None, old, [*map(repr, wanted)], autojunk=False)
    for _, start, end, first, last in reversed(matcher.get_opcodes()):
        del items[start + last - first : end]
        for at, value in enumerate(wanted[first:last], start):
            if at >= end:
                items.insert(at, _made(value, (), "    "))
            elif isinstance(items, tomlrt.AoT):
                _edit(items[at], value, INDEXES)
            elif items[at] != value:
                items[at] = _made(value, (), "    ")
    if isinstance(items, tomlrt.Array) and not items.multiline and len(_written(wanted)) > _LONG:
        items.set_multiline(multiline=True)


def _made(value: Any, place: Keys, indent: str = "") -> Any:
    """Return a value to put at a place, with a header of its own where that is usual."""
    if place == INDEXES:
        return tomlrt.AoT(value)
    if 0 < len(place) <= len(INDEXES) and place != _SPARED and isinstance(value, dict):
        return tomlrt.Table.section({key: _made(value[key], (*place, key)) for key in value})
    return tomlrt.loads(f"value = {_written(value, indent)}\n")["value"]


def _written(value: Any, indent: str = "") -> str:
    """Return a value as a careful person writes it in TOML."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{toml_key(key)} = {_written(value[key])}' for key in value)} }}"
    if not isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    items = [_written(item, f"{indent}    ") for item in value]
    if len(items) > 1 or any(isinstance(item, list) for item in value):
        return "[\n" + "".join(f"{indent}    {item},\n" for item in items) + f"{indent}]"
    return f"[{', '.join(items)}]"


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
