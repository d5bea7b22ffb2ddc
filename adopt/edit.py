"""The smallest edits: each takes one item of one list for another, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from adopt.document import rewrite
from adopt.files import BOM, parsed
from adopt.parse import (
    BASE,
    CONSTRAINTS,
    INDEXES,
    SOURCES,
    UV,
    Keys,
    Line,
    Project,
    Source,
    build_of_url,
    value_at,
)
from torch_plan.catalog.facts import Facts
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
    return {
        path: text
        if wanted[path] == parsed(path, text)
        else BOM * text.startswith(BOM) + rewrite(text.removeprefix(BOM), wanted[path])
        for path, text in texts.items()
    }


def put(table: dict[str, Any], keys: Sequence[str], edit: Edit) -> None:
    """Carry out an edit at the end of keys; settings that say nothing any more go."""
    key, *rest = keys
    if rest:
        put(table.setdefault(key, {}), rest, edit)
    else:
        table[key] = deepcopy(edit.new) if edit.whole else exchanged(table.get(key), edit)
    # A list of dependencies may be empty; an extra or a group that lost its last one is none.
    if table[key] is None or table[key] == {} or (table[key] == [] and edit.keys != BASE):
        del table[key]


def exchanged(value: Any, edit: Edit) -> Any:
    """Return a list, or the one source in the place of a list, with an item exchanged."""
    is_source = edit.keys[:-1] == SOURCES
    items = list(value) if isinstance(value, list) else [] if value is None else [value]
    if edit.old is None:
        items += [] if edit.new in items else [deepcopy(edit.new)]
    elif edit.old in items:
        position = items.index(edit.old)
        items[position : position + 1] = [] if edit.new is None else [deepcopy(edit.new)]
    return items[0] if is_source and len(items) == 1 and not isinstance(value, list) else items


# --- What can be mended ---------------------------------------------------------------------------


def without(platforms: Collection[str], among: Collection[str]) -> str:
    """Return the shortest marker that holds on all other platforms."""
    others = [name for name in among if name not in platforms]
    return split([others, [*platforms]], among)[0] if others else ""


def joined(marker: str, other: str) -> str:
    """Return a marker that holds where both do."""
    return " and ".join(f"({one})" if " or " in one else one for one in (marker, other) if one)


def limit_sources(
    sources: Iterable[Source], platforms: Collection[str], among: Collection[str]
) -> list[Edit]:
    """Let sources not hold on some platforms, which take a package from elsewhere then."""
    limit = without(platforms, among)
    edits = []
    for source in sources if limit else ():
        marker = joined(source.entry.get("marker", ""), limit)
        edits.append(source_edit(source, {**source.entry, "marker": marker}))
    return edits


def source_edit(source: Source, entry: Mapping[str, Any] | None) -> Edit:
    """Put another entry in the place of a source, or none."""
    new = None if entry is None else dict(entry)
    return Edit(source.path, (*SOURCES, source.key), dict(source.entry), new)


def limit_lines(
    lines: Iterable[Line], platforms: Collection[str], among: Collection[str]
) -> list[Edit]:
    """Let requirements not hold on some platforms."""
    limit = without(platforms, among)
    edits = []
    for line in lines if limit else ():
        bare, _, marker = line.text.partition(";")
        new = f"{bare.strip()} ; {joined(marker.strip(), limit)}"
        edits.append(Edit(line.path, line.keys, line.text, new))
    return edits


def also_amd64(text: str) -> str:
    """Return a marker that holds on Windows too where it asks for `x86_64`; Windows says AMD64."""
    pattern = r"platform_machine\s*==\s*(['\"])x86_64\1"
    both = "(platform_machine == 'x86_64' or platform_machine == 'AMD64')"
    return both[1:-1] if re.fullmatch(pattern, text.strip()) else re.sub(pattern, both, text)


def without_labels(lines: Iterable[Line]) -> list[Edit]:
    """Leave the choice of the build to the index; the release stays exact."""
    return [
        Edit(line.path, line.keys, line.text, re.sub(r"\+[\w.]+", "", line.text, count=1))
        for line in lines
        if line.label
    ]


def add_index(project: Project, build: str, facts: Facts) -> tuple[str, list[Edit]]:
    """Return the name of the index of a build, and the edit that declares it where it is not."""
    for index in project.indexes:
        if index.name and build_of_url(index.url, facts) == build:
            return index.name, []
    name, official = f"pytorch-{build}", facts.pytorch_mirrors["official"]
    entry = {"name": name, "url": official.url_of(build), "explicit": True}
    return name, [Edit(project.root.path, INDEXES, None, entry)]


def add_sources(project: Project, package: str, entries: Iterable[Mapping[str, Any]]) -> list[Edit]:
    """Add sources of a package, beside those of torch."""
    above = project.sources_of("torch")
    path = above[0].path if above else project.manifest.path
    return [Edit(path, (*SOURCES, package), None, dict(entry)) for entry in entries]


def constrain(project: Project, text: str) -> Edit:
    """Add a constraint, which requires nothing by itself."""
    return Edit(project.root.path, CONSTRAINTS, None, text)


def exclude_each_other(project: Project, names: Sequence[tuple[str, str]]) -> Edit:
    """Let extras and groups exclude each other."""
    here = value_at(project.manifest.data, ("project", "name"))
    is_member = project.root.path != project.manifest.path
    package = {"package": here} if is_member else {}
    entry = [{**package, kind: name} for kind, name in names]
    return Edit(project.root.path, (*UV, "conflicts"), None, entry)
