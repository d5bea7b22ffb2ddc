"""How `torch_plan/catalog/builds.json` is laid out, for review line by line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from torch_plan.catalog.platforms import PLATFORMS, platform_of
from torch_plan.catalog.versions import backend_key

Wheel = tuple[str, str, str]
"""A wheel of one version: its index, platform tag and CPython tag (`cp313t`, `py3`)."""

Value = TypeVar("Value")


def dump_facts(facts: dict[str, Any]) -> str:
    """Return the JSON text: nested tables on lines of their own, each innermost one on one line."""
    innermost = r'[\[{](?:[^][{}"]|"(?:[^"\\]|\\.)*")*[\]}]'
    text = json.dumps(facts, ensure_ascii=False, indent=1)
    return re.sub(innermost, lambda table: _on_one_line(table[0]), text) + "\n"


def _on_one_line(table: str) -> str:
    return re.sub(r"\n *", "", re.sub(r",\n *", ", ", table))


def wheels_in(tables: Mapping[str, Mapping[str, str]]) -> set[Wheel]:
    """Return the wheels of a version, of which the file has tables."""
    return {
        (index, tag, python)
        for indexes, table in tables.items()
        for index in indexes.split()
        for tags, pythons in table.items()
        for tag in tags.split()
        for python in pythons.split()
    }


def tables_of(wheels: Iterable[Wheel]) -> dict[str, dict[str, str]]:
    """Return the wheels of a version as the file has them: what is equal is said once."""
    pythons: dict[str, dict[str, str]] = {}
    in_order = sorted(wheels, key=lambda wheel: (backend_key(wheel[0]), tag_order(*wheel[1:])))
    for index, tag, python in in_order:
        row = pythons.setdefault(index, {})
        row[tag] = f"{row[tag]} {python}" if tag in row else python
    rows = {index: tuple(_merged(row).items()) for index, row in pythons.items()}
    return {indexes: dict(row) for indexes, row in _merged(rows).items()}


def _merged(table: Mapping[str, Value]) -> dict[str, Value]:
    """Return a table in which the keys of equal values are one key, separated by spaces."""
    keys: dict[Value, list[str]] = {}
    for key, value in table.items():
        keys.setdefault(value, []).append(key)
    return {" ".join(names): value for value, names in keys.items()}


def tag_order(tag: str, python: str) -> tuple[int, str, bool, bool, int]:
    """Return what sorts the wheels of a version: by platform, `cp39 cp310 cp313t`, `py3` last."""
    place = [*PLATFORMS, ""].index(platform_of(tag))
    number = int(python[3:].rstrip("t") or 0)
    return place, tag, python == "py3", python.endswith("t"), number
