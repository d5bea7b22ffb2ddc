"""The smallest edits: each takes one item of one list for another, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import tomlrt

from adopt.document import rewrite
from adopt.parse import BASE, CONSTRAINTS, INDEXES, SOURCES, UV, Keys, Line, Project, Source
from torch_plan.project.markers import split


class Edit(NamedTuple):
    """In the value at `keys` of a file, `new` stands in the place of `old`.

    The value is a list, or one source that may become a list. Without `old` an item is added,
    without `new` it goes. Where the edit is `whole`, all of the value is replaced.
    """

    path: Path
    keys: Keys
    old: Any
    new: Any
    whole: bool = False


def apply(texts: Mapping[Path, str], edits: Iterable[Edit]) -> dict[Path, str]:
    """Return texts with edits; one whose old item is not there any more is left out."""
    new = dict(texts)
    for edit in edits:
        new[edit.path] = rewrite(new[edit.path], partial(carry_out, edit.keys, edit))
    return new


def carry_out(keys: Sequence[str], edit: Edit, table: Any) -> None:
    """Carry out an edit at the end of keys; settings that say nothing any more go."""
    key, *rest = keys
    if rest:
        carry_out(rest, edit, table.setdefault(key, tomlrt.Table.section()))
    elif edit.whole:
        put(table, key, edit.new)
    elif edit.keys[:-1] == SOURCES and not isinstance(table.get(key), list):
        put(table, key, one_source(table.get(key), edit))
    else:
        empty = tomlrt.AoT() if edit.keys == INDEXES else tomlrt.Array()
        exchange(table.setdefault(key, empty), edit)
    # A list of dependencies may be empty; an extra or a group that lost its last one is none.
    if key in table and (table[key] == {} or (table[key] == [] and edit.keys != BASE)):
        del table[key]


def one_source(value: Any, edit: Edit) -> Any:
    """Return what takes the place of the one source of a package, or of none."""
    if value in (edit.old, edit.new):
        return edit.new
    return value if edit.old else [value, edit.new]


def exchange(items: Any, edit: Edit) -> None:
    """Exchange an item of a list."""
    if edit.old is None and edit.new not in items:
        items.append(edit.new)
    elif edit.old in items and edit.new is None:
        items.remove(edit.old)
    elif edit.old in items:
        put(items, items.index(edit.old), edit.new)


def put(place: Any, key: Any, new: Any) -> None:
    """Put a value into a table or a list, None for nothing; what is there already stays."""
    old = place.get(key) if isinstance(place, dict) else place[key]
    if new is None:
        place.pop(key, None)
    elif isinstance(old, dict) and isinstance(new, dict):
        for name in {**old, **new}:
            put(old, name, new.get(name))
    elif old != new:
        place[key] = new
        if isinstance(new, list):
            place[key].set_multiline(multiline=len(new) > 1)


def without(platforms: Collection[str], among: Sequence[str]) -> str:
    """Return the shortest marker that holds on all others, empty where either are none."""
    here, others = {*platforms}, [name for name in among if name not in {*platforms}]
    return split([others, here], among)[0] if here and others else ""


def joined(marker: str, other: str) -> str:
    """Return a marker that holds where two do."""
    return " and ".join(f"({one})" if " or " in one else one for one in (marker, other) if one)


def change_source(source: Source, **changes: str) -> Edit:
    """Change an entry; an empty value takes a key away."""
    entry = {key: value for key, value in {**source.entry, **changes}.items() if value}
    return Edit(source.path, (*SOURCES, source.key), dict(source.entry), entry)


def limit_line(line: Line, limit: str) -> Edit:
    """Let a requirement hold only where a marker does."""
    bare, _, marker = line.text.partition(";")
    new = f"{bare.strip()} ; {joined(marker.strip(), limit)}"
    return Edit(line.path, line.keys, line.text, new)


def add_sources(project: Project, package: str, entries: Iterable[Mapping[str, Any]]) -> list[Edit]:
    """Add sources of a package, beside those of torch."""
    path = next((source.path for source in project.sources_of("torch")), project.manifest.path)
    return [Edit(path, (*SOURCES, package), None, dict(entry)) for entry in entries]


def constrain(project: Project, text: str) -> Edit:
    """Add a constraint, which requires nothing by itself."""
    return Edit(project.root.path, CONSTRAINTS, None, text)


def conflict(project: Project, old: Any, chosen: Iterable[tuple[str, str]]) -> Edit:
    """Let extras or groups exclude each other; `old` is what that takes the place of."""
    name = project.manifest.name
    package = {} if project.root.path == project.manifest.path else {"package": name}
    new = [{**package, kind: option} for kind, option in chosen]
    return Edit(project.root.path, (*UV, "conflicts"), old, new)
