"""What people and programs read: what each platform gets, what is wrong, and what is changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from difflib import unified_diff
from itertools import groupby
from pathlib import Path
from textwrap import indent
from typing import Any, NamedTuple

from adopt.find import Finding, View, grouped, is_pypi
from adopt.measure import Cell, Got, Table
from adopt.parse import Option, Project
from torch_plan.catalog.versions import TORCH
from torch_plan.urls import masked, written


class State(NamedTuple):
    """Projects, what was measured of them, and what is wrong."""

    projects: Sequence[Project]
    table: Table
    views: Sequence[View]
    findings: Sequence[Finding]

    @property
    def texts(self) -> dict[Path, str]:
        """The files of the projects."""
        return {file.path: file.text for one in self.projects for file in (one.root, one.manifest)}

    def more_than(self, other: State) -> list[Finding]:
        """Return what is found here, and was not there."""
        known = {finding.text for finding in other.findings}
        return [finding for finding in self.findings if finding.text not in known]


def text_lines(
    today: State, after: State, mends: Collection[str], notes: Sequence[str]
) -> Iterator[str]:
    """Yield both tables, what was found, and the difference of the files."""
    yield from table_lines("Today", today)
    if today.findings:
        yield from ("", *finding_lines(today.findings, mends))
    if difference := difference_lines(today, after):
        yield from ("", *difference, "", *table_lines("After", after), "", *notes)
        known = {finding.text for finding in today.findings}
        yield from (f"mended on the way: {text}" for text in mends if text not in known)
        yield from finding_lines(after.more_than(today), ())


def difference_lines(today: State, after: State) -> list[str]:
    """Return the difference of the files."""
    lines = list[str]()
    for path, text in today.texts.items():
        old, new = text.splitlines(), after.texts[path].splitlines()
        lines += map(masked, unified_diff(old, new, path.name, path.name, lineterm=""))
    return lines


def table_lines(title: str, state: State) -> Iterator[str]:
    """Yield a table: options that give the same are told together."""
    if state.table.why_nothing:
        yield f"{title}: nothing was measured. uv says:"
        yield indent(masked(state.table.why_nothing), "  ")
        return
    yield f"{title} (of {state.table.lock}):"
    is_one = len(state.views) == 1
    rows = grouped(
        (tuple(option_rows(view, one)), f"{one}" if is_one else f"{one.package}: {one}")
        for view in state.views
        for one in view.project.options
    )
    rows.pop((), None)
    for row, names in rows.items():
        width = max(map(len, dict(row)))
        yield f"  {', '.join(names)}"
        yield from (f"    {platform:<{width}}  {text}" for platform, text in row)
    if not any(view.project.of(TORCH) or view.seen for view in state.views):
        yield "  Nothing here requires torch. An answer such as torch_backend=cu128 adds it."
    for name, why in state.table.unmeasured.items():
        yield f"  {name}: not measured. {masked(why).strip()}"


def option_rows(view: View, option: Option) -> Iterator[tuple[str, str]]:
    """Yield platform and text for each platform of an option, nothing if it was not measured."""
    cells = [(place, cell) for place, cell in view.table.cells.items() if place.option == option]
    for platform, pairs in groupby(cells, lambda pair: pair[0].platform):
        texts = grouped((cell_text(view, cell, platform), place.python) for place, cell in pairs)
        parts = [f"{view.facts.span(pythons)}: {text}" for text, pythons in texts.items()]
        yield platform, "; ".join(parts if len(texts) > 1 else texts)


def cell_text(view: View, cell: Cell, platform: str) -> str:
    """Return what one platform gets with one Python."""
    if not cell.is_locked:
        return "not in the lock"
    if cell.missing:
        packages = [f"{name} {got.version}" for name, got in sorted(cell.missing.items())]
        return f"cannot be installed: no wheel of {', '.join(packages)}"
    names = [name for name in (TORCH, *sorted(view.family - {TORCH})) if name in cell.packages]
    parts = [f"{name} {package_text(view, cell.packages[name], platform)}" for name in names]
    return ", ".join(parts) or "no torch"


def package_text(view: View, got: Got, platform: str) -> str:
    """Return version, build and index of a package: `2.9.1 (cpu, PyPI)`."""
    names = [one.name for one in view.project.indexes if written(one.url) == written(got.registry)]
    where = "PyPI" if is_pypi(got) else "".join(names[:1]) or masked(got.registry) or "no index"
    return f"{got.version} ({', '.join(filter(None, [view.build(got, platform), where]))})"


def finding_lines(findings: Iterable[Finding], mended: Collection[str]) -> Iterator[str]:
    """Yield findings with their level, and what a person can do where nothing is mended."""
    for finding in findings:
        yield f"{finding.level}: {finding.text}"
        if finding.way and finding.text not in mended:
            yield f"  {finding.way}"


def as_json(today: State, after: State, notes: Sequence[str]) -> dict[str, Any]:
    """Return all of it for programs."""
    difference, findings = difference_lines(today, after), today.findings
    states = {"today": today} | ({"after": after} if difference else {})
    return {
        **{name: [*json_cells(state.views)] for name, state in states.items()},
        "lock": today.table.lock,
        "unmeasured": {name: masked(why) for name, why in today.table.unmeasured.items()},
        "findings": [{**one._asdict(), "edits": bool(one.edits)} for one in findings],
        "difference": difference,
        "notes": notes,
    }


def json_cells(views: Iterable[View]) -> Iterator[dict[str, Any]]:
    """Yield the cells of views, with torch's family alone."""
    for view in views:
        for place, cell in view.cells.items():
            yield {
                **place._asdict(),
                "option": f"{place.option}",
                "package": place.option.package,
                "packages": {
                    name: {
                        "version": got.version,
                        "build": view.build(got, place.platform),
                        "index": masked(got.registry),
                    }
                    for name, got in cell.packages.items()
                    if name in view.family
                },
                "missing": [*cell.missing],
            }
