"""`torch_plan/builds.json`: what it has seen, and how it is laid out for review line by line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from tools.lib.grouping import grouped
from tools.lib.wheel_names import WheelName
from torch_plan.facts import Facts, backend_key

Wheels = set[tuple[str, WheelName]]
"""The wheels of one version: index and name, whose label counts for nothing here."""

FACTS_PATH = Path(__file__).resolve().parents[2] / "torch_plan" / "builds.json"


class Seen(Facts):
    """The facts without what is only likely, or a release that is only expected."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__({**data, "likely": []})

    @cached_property
    def expected_releases(self) -> tuple[str, ...]:
        """None: every release that comes next is unknown."""
        return ()

    def all_wheels(self, package: str, version: str) -> Wheels:
        """Return the wheels of a version on all indexes."""
        return {
            (index, WheelName(package, version, "", python, tag))
            for index in self.indexes(package, version)
            for tag, pythons in self.wheels(package, version, index).items()
            for python in pythons
        }


def dump_facts(facts: dict[str, Any]) -> str:
    """Return the JSON text: nested tables on lines of their own, each innermost one on one line."""
    return _dump(facts, "") + "\n"


def _dump(value: Any, indent: str) -> str:
    children = value.values() if isinstance(value, dict) else value
    if not isinstance(value, (dict, list)) or not any(
        isinstance(child, (dict, list)) for child in children
    ):
        return json.dumps(value, ensure_ascii=False)
    deeper = indent + " "
    if isinstance(value, dict):
        lines = [f"{deeper}{json.dumps(key)}: {_dump(item, deeper)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    return "[\n" + ",\n".join(deeper + _dump(item, deeper) for item in value) + f"\n{indent}]"


def indexes_of(wheels: Wheels) -> list[str]:
    """Return the indexes that wheels lie on, in the order of the file."""
    return sorted({index for index, _ in wheels}, key=backend_key)


def tables(wheels: Wheels) -> dict[str, dict[str, str]]:
    """Return the wheels of a version as the file has them: what is equal is said once."""
    rows = {index: _rows(wheels, index) for index in indexes_of(wheels)}
    groups = grouped(rows, lambda index: tuple(rows[index].items()))
    return {" ".join(indexes): dict(table) for table, indexes in groups.items()}


def tags_text(wheels: Wheels) -> dict[str, list[str]]:
    """Return what people read of wheels (`win_amd64 for cp312 cp313`) -> the indexes with them."""
    texts = {
        index: "; ".join(f"{tags} for {pythons}" for tags, pythons in _rows(wheels, index).items())
        for index in indexes_of(wheels)
    }
    return grouped(texts, texts.__getitem__)


def _rows(wheels: Wheels, index: str) -> dict[str, str]:
    """Return platform tags -> CPython tags of the wheels on an index."""
    names = sorted((name for at, name in wheels if at == index), key=lambda name: name.order)
    by_tag = {
        tag: " ".join(name.python for name in those)
        for tag, those in grouped(names, lambda name: name.platform_tag).items()
    }
    groups = grouped(by_tag, by_tag.__getitem__)
    return {" ".join(tags): pythons for pythons, tags in groups.items()}
