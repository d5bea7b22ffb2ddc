"""Make a TOML text say something else, and leave every other letter of it as it is.

tomlkit loses edits or writes invalid TOML where a table is split over a file, and most files split
`[tool]`. So a text is cut at its headers, tomlkit edits one piece at a time, and what comes out is
parsed and compared with what was meant.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, MutableMapping, Sequence
from difflib import SequenceMatcher
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Array

Place = tuple[str, ...]
"""A key, as a path from the root of the file."""

_INDEX: Place = ("tool", "uv", "index")
_MISSING: Any = object()
_LONG = 100
"""The length from which on a list, or a marker of several parts, is written on several lines."""


class Unwritable(Exception):
    """tomlkit cannot make the text say what was meant; the argument is the key it failed for."""


def rewrite(text: str, wanted: dict[str, Any]) -> str:
    """Return a text that parses to `wanted`, and differs from `text` only where it has to.

    Raises `Unwritable` if there is no such text.
    """
    is_crlf = text.count("\r\n") == text.count("\n") > 0
    new = text.replace("\r\n", "\n") if is_crlf else text
    for place, value in _differences(tomllib.loads(new), wanted):
        new = _changed(new, place, value)
    if not text.endswith(("\n\n", "\r\n\r\n")):
        new = re.sub(r"\n+\Z", "\n", new)
    return new.replace("\n", "\r\n") if is_crlf else new


def _differences(old: Any, new: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Yield each key that has another value, with that value."""
    for key in dict.fromkeys([*old, *new]):
        before, after = old.get(key, _MISSING), new.get(key, _MISSING)
        # `[tool.uv.sources]` gets a header of its own, what is new within it is inline.
        if before is _MISSING and len(place) < len(_INDEX) and isinstance(after, dict):
            before = {}
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _differences(before, after, (*place, key))
        elif before != after:
            yield (*place, key), after


def _changed(text: str, place: Place, value: Any) -> str:
    """Return the text with one value set, or its key left out."""
    meant = tomllib.loads(text)
    table = meant
    for key in place[:-1]:
        table = table.setdefault(key, {})
    table[place[-1]] = {} if value is _MISSING else value
    for candidate in _candidates(text, place, value):
        try:
            if _without_empty(tomllib.loads(candidate)) == _without_empty(meant):
                return candidate
        except tomllib.TOMLDecodeError:
            continue
    raise Unwritable(".".join(place))


def _without_empty(data: Any) -> Any:
    """Leave empty tables out: one that loses its last key may lose its header too."""
    if not isinstance(data, dict):
        return data
    tables = {key: _without_empty(value) for key, value in data.items()}
    return {key: value for key, value in tables.items() if value != {}}


def _candidates(text: str, place: Place, value: Any) -> Iterator[str]:
    """Yield texts that may be right, the best first."""
    pieces = _cut(text)
    headers = [((), False), *map(_header, pieces[1:])]
    if value is _MISSING:
        for at, (header, _) in enumerate(headers):
            pieces[at] = _comments(pieces[at]) if header[: len(place)] == place else pieces[at]
        yield "".join(pieces)
        yield from _edits(pieces, place, value)
        return
    items = [at for at, header in enumerate(headers) if header == (place, True)]
    if items:
        yield _with_items(pieces, items, place, value)
    is_list = place == _INDEX and not re.search(r"\bindex\s*=\s*\[", text)
    if not is_list:
        yield from _edits(pieces, place, value)
    # A new table comes before the tables within it, else behind what is nearest to it.
    parent = place if is_list else place[:-1]
    within = [
        at for at, (header, _) in enumerate(headers) if at and header[: len(parent)] == parent
    ]
    near = [next(n for n in (2, 1, 0) if header[:n] == place[:n]) for header, _ in headers]
    behind = max(range(len(pieces)), key=lambda at: (near[at], at))
    blocks = [_block(parent, it, is_list) for it in (value if is_list else [{place[-1]: value}])]
    yield "".join(_inserted(pieces, within[0] - 1 if within else behind, blocks))
    yield from _edits(pieces, place, value)
    yield from _edits(pieces, place[:-1], {place[-1]: value})


def _cut(text: str) -> list[str]:
    """Return the text in pieces: what precedes the first header, and each header with its lines.

    The comment right above a header belongs to it. A line that only looks like a header, within a
    string or an array, is none: what precedes it is no TOML on its own.
    """
    pieces, start = [], 0
    for match in re.finditer(r"^(?:[ \t]*#.*\n)*[ \t]*\[", text, re.MULTILINE):
        try:
            tomllib.loads(text[start : match.start()])
        except tomllib.TOMLDecodeError:
            continue
        pieces.append(text[start : match.start()])
        start = match.start()
    return [*pieces, text[start:]]


def _header(piece: str) -> tuple[Place, bool]:
    """Return what the header of a piece names, and whether it begins an item of a list."""
    line = re.search(r"^[ \t]*\[.*", piece, re.MULTILINE)
    nested: Any = tomllib.loads(line[0] if line else "")
    place: Place = ()
    while nested and not isinstance(nested, list):
        ((key, nested),) = nested.items()
        place = (*place, key)
    return place, isinstance(nested, list)


def _edits(pieces: Sequence[str], place: Place, value: Any) -> Iterator[str]:
    """Yield a text for each piece that holds the table of a key, with its value in it."""
    for at, piece in enumerate(pieces):
        header = _header(piece)[0] if at else ()
        edited = _edited(piece, place, value) if place[: len(header)] == header else None
        if edited is not None:
            yield "".join([*pieces[:at], edited, *pieces[at + 1 :]])


def _edited(piece: str, place: Place, value: Any) -> str | None:
    """Return a piece with one value set in it, None if it does not hold the table of the key."""
    body, tail = _without_tail(piece)
    try:
        document = tomlkit.parse(body)
        table: Any = document
        for key in place[:-1]:
            table = table[key][0] if isinstance(table[key], AoT) else table[key]
        if not isinstance(table, MutableMapping):
            return None
        old = table.get(place[-1])
        if value is _MISSING:
            del table[place[-1]]
            if not _without_empty(document.unwrap()):
                return _comments(piece)
        elif isinstance(old, Array) and isinstance(value, list):
            _edit_array(old, value)
        else:
            table[place[-1]] = tomlkit.value(_written(value))
    except (KeyError, TOMLKitError):
        return None
    return tomlkit.dumps(document) + tail


def _without_tail(piece: str) -> tuple[str, str]:
    """Return the lines of a piece, and the blank line and the comments between it and the next."""
    lines = piece.splitlines(keepends=True)
    end = len(lines)
    while end and re.match(r"\s*(#|\Z)", lines[end - 1]):
        end -= 1
    while end < len(lines) and lines[end].strip():
        end += 1
    body = "".join(lines[:end])
    return body + "\n" * bool(body and not body.endswith("\n")), "".join(lines[end:])


def _comments(piece: str) -> str:
    """Return what stays where a piece goes: the comments between it and the next."""
    tail = _without_tail(piece)[1]
    return tail.lstrip("\n") if "#" in tail else ""


def _operations(old: list[Any], new: list[Any]) -> Iterator[tuple[int, int, list[Any]]]:
    """Yield what turns a list into another, from its end: from where, to where, what goes there."""
    matcher = SequenceMatcher(None, [*map(repr, old)], [*map(repr, new)], autojunk=False)
    for tag, start, end, new_start, new_end in reversed(matcher.get_opcodes()):
        if tag != "equal":
            yield start, end, new[new_start:new_end]


def _edit_array(array: Array, new: list[Any]) -> None:
    """Make an array hold other items; those that stay keep their comments and their place."""
    for start, end, items in _operations(array.unwrap(), new):
        for at in reversed(range(start + len(items), end)):
            del array[at]
        for at, item in enumerate(items, start):
            if at < end:
                array[at] = tomlkit.value(_written(item, "    "))
            else:
                array.insert(at, tomlkit.value(_written(item, "    ")))
    if "\n" not in array.as_string() and len(array.as_string()) > _LONG:
        array.multiline(multiline=True)


def _with_items(pieces: list[str], items: list[int], place: Place, new: list[Any]) -> str:
    """Return a text in which the tables of a list, each a piece, are other ones."""
    pieces, old = [*pieces], []
    for at in items:
        table: Any = tomllib.loads(pieces[at])
        for key in place:
            table = table[key]
        old += table
    for start, end, tables in _operations(old, new):
        for at in items[start + len(tables) : end]:
            pieces[at] = _comments(pieces[at])
        for at, before, after in zip(items[start:end], old[start:end], tables, strict=False):
            for (key,), value in _differences(before, after):
                pieces[at] = _edited(pieces[at], (*place, key), value) or ""
        behind = items[min(start + len(tables), end) - 1] if end else items[0] - 1
        blocks = [_block(place, it, is_item=True) for it in tables[end - start :]]
        pieces = _inserted(pieces, behind, blocks)
    return "".join(pieces)


def _inserted(pieces: list[str], behind: int, blocks: list[str]) -> list[str]:
    """Return the pieces with blocks behind one of them, each after a blank line."""
    body, tail = _without_tail(pieces[behind])
    before, after = ([body], tail) if body or not blocks else ([], "\n" + tail)
    added = "\n".join([*before, *blocks]) + after
    return [*pieces[:behind], added, *pieces[behind + 1 :]]


def _block(place: Place, table: dict[str, Any], is_item: bool) -> str:
    """Return a table with its header."""
    header = tomlkit.key(place).as_string()
    lines = [f"{tomlkit.key(key).as_string()} = {_written(table[key])}\n" for key in table]
    return "".join([f"[[{header}]]\n" if is_item else f"[{header}]\n", *lines])


def _written(value: Any, indent: str = "") -> str:
    """Return a value as a careful person writes it in TOML."""
    if isinstance(value, dict):
        pairs = [f"{tomlkit.key(key).as_string()} = {_written(value[key])}" for key in value]
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, str) and re.match(rf"[^;]{{{_LONG}}}", value) and " or " in value:
        parts = str(tomlkit.item(value).as_string())[1:-1].replace(" or ", " or \\\n    ")
        return f'"""\\\n    {parts}\\\n"""'
    if not isinstance(value, list):
        return str(tomlkit.item(value).as_string())
    items = [_written(item, f"{indent}    ") for item in value]
    if len(items) > 1 or any(isinstance(item, list) for item in value):
        return "[\n" + "".join(f"{indent}    {item},\n" for item in items) + f"{indent}]"
    return f"[{', '.join(items)}]"
