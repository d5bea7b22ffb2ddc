"""The smallest edits: each takes one item of one list for another, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from adopt.document import parsed, rewrite
from adopt.parse import BASE, CONSTRAINTS, SOURCES, UV, Keys, Line, Project, Source
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
    wanted = {path: parsed(path, text) for path, text in texts.items()}
    for edit in edits:
        put(wanted[edit.path], edit.keys, edit)
    return {path: rewrite(text, wanted[path]) for path, text in texts.items()}


def put(table: dict[str, Any], keys: Sequence[str], edit: Edit) -> None:
    """Carry out an edit at the end of keys; settings that say nothing any more go."""
    key, *rest = keys
    if rest:
        put(table.setdefault(key, {}), rest, edit)
    else:
        table[key] = exchanged(table.get(key), edit)
    # A list of dependencies may be empty; an extra or a group that lost its last one is none.
    if table[key] is None or table[key] == {} or (table[key] == [] and edit.keys != BASE):
        del table[key]


def exchanged(value: Any, edit: Edit) -> Any:
    """Return a list, or the one source in the place of a list, with an item exchanged."""
    new = deepcopy(edit.new)
    if edit.whole:
        return new
    is_one = edit.keys[:-1] == SOURCES and not isinstance(value, list)
    items = list(value) if isinstance(value, list) else [value] * (value is not None)
    at = items.index(edit.old) if edit.old in items else len(items)
    if edit.old in items or (edit.old is None and new not in items):
        items[at : at + 1] = [new] * (new is not None)
    return items[0] if is_one and len(items) == 1 else items


def without(platforms: Collection[str], among: Sequence[str]) -> str:
    """Return the shortest marker that holds on all others, empty where either are none."""
    here, others = {*platforms}, [name for name in among if name not in {*platforms}]
    return split([others, here], among)[0] if here and others else ""


def joined(marker: str, other: str) -> str:
    """Return a marker that holds where two do."""
    return " and ".join(f"({one})" if " or " in one else one for one in (marker, other) if one)


def limit_source(source: Source, limit: str) -> Edit:
    """Let a source hold only where a marker does; its package comes from elsewhere then."""
    return change_source(source, marker=joined(source.entry.get("marker", ""), limit))


def change_source(source: Source, **changes: str) -> Edit:
    """Change an entry; an empty value takes a key away."""
    entry = {key: value for key, value in {**source.entry, **changes}.items() if value}
    return Edit(source.path, (*SOURCES, source.key), dict(source.entry), entry)


def limit_line(line: Line, limit: str) -> Edit:
    """Let a requirement hold only where a marker does."""
    bare, _, marker = line.text.partition(";")
    new = f"{bare.strip()} ; {joined(marker.strip(), limit)}"
    return Edit(line.path, line.keys, line.text, new)


def without_label(line: Line) -> Edit:
    """Leave the choice of the build to the index; the release stays exact."""
    return Edit(line.path, line.keys, line.text, re.sub(r"\+[\w.]+", "", line.text, count=1))


def add_sources(project: Project, package: str, entries: Iterable[Mapping[str, Any]]) -> list[Edit]:
    """Add sources of a package, beside those of torch."""
    path = next((source.path for source in project.sources_of("torch")), project.manifest.path)
    return [Edit(path, (*SOURCES, package), None, dict(entry)) for entry in entries]


def constrain(project: Project, text: str) -> Edit:
    """Add a constraint, which requires nothing by itself."""
    return Edit(project.root.path, CONSTRAINTS, None, text)


def exclude_each_other(project: Project, names: Iterable[tuple[str, str]], old: Any = None) -> Edit:
    """Let extras and groups exclude each other."""
    root, manifest = project.root, project.manifest
    package = {"package": manifest.data["project"]["name"]} if root.path != manifest.path else {}
    entry = [{**package, kind: option} for kind, option in names]
    return Edit(root.path, (*UV, "conflicts"), old, entry)
