"""What people and programs read: what each platform gets, and what is wrong with that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from adopt.find import LEVELS, Finding, View, is_pypi
from adopt.measure import Cell, Got, Table
from adopt.parse import Option
from torch_plan.catalog.versions import TORCH
from torch_plan.urls import masked, written

_EMPTY = ("no torch", "not in the lock")


def table_lines(title: str, table: Table, views: Sequence[View]) -> Iterator[str]:
    """Yield a table: options that give the same are told together."""
    if table.why_nothing:
        yield f"{title}: nothing was measured. uv says:"
        yield from (f"  {line}" for line in masked(table.why_nothing).splitlines())
        return
    yield f"{title} (of {table.lock}):"
    empty = []
    for names, texts in [row for view in views for row in view_rows(view, views)]:
        if {*texts.values()} <= {*_EMPTY}:
            empty.append(names)
            continue
        width = max(map(len, texts))
        yield f"  {names}"
        yield from (f"    {platform:<{width}}  {text}" for platform, text in texts.items())
    yield from left_out(table, views, empty)


def left_out(table: Table, views: Sequence[View], empty: Sequence[str]) -> Iterator[str]:
    """Yield what has no torch, what was not measured, and how to get torch."""
    if empty:
        yield f"  Without torch: {', '.join(empty)}"
    if not any(view.project.of(TORCH) or view.seen for view in views):
        yield "  Nothing here requires torch. An answer such as torch_backend=cu128 adds it."
    for name, why in table.unmeasured.items():
        yield f"  {name}: not measured. {masked(why).strip()}"


def view_rows(view: View, views: Sequence[View]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield what the options of a project are, and what each platform gets; like ones at once."""
    rows: dict[tuple[tuple[str, str], ...], list[Option]] = {}
    for option in view.project.options:
        rows.setdefault(tuple(option_rows(view, option)), []).append(option)
    yield from ((name_all(options, views), dict(row)) for row, options in rows.items() if row)


def name_all(options: Sequence[Option], views: Sequence[View]) -> str:
    """Return options as people choose them, with their package where there are several."""
    is_one = len(views) <= 1
    return ", ".join(f"{one}" if is_one else f"{one.package}: {one}" for one in options)


def option_rows(view: View, option: Option) -> Iterator[tuple[str, str]]:
    """Yield platform and text for each platform of an option, nothing if it was not measured."""
    cells = [(place, cell) for place, cell in view.table.cells.items() if place.option == option]
    for platform, pairs in groupby(cells, lambda pair: pair[0].platform):
        texts = [(cell_text(view, cell, platform), place.python) for place, cell in pairs]
        spans = {
            text: [python for _, python in group]
            for text, group in groupby(texts, lambda pair: pair[0])
        }
        parts = [f"{view.facts.span(pythons)}: {text}" for text, pythons in spans.items()]
        yield platform, "; ".join(parts if len(spans) > 1 else spans)


def cell_text(view: View, cell: Cell, platform: str) -> str:
    """Return what one platform gets with one Python."""
    if not cell.is_locked:
        return _EMPTY[1]
    if cell.missing:
        packages = [f"{name} {got.version}" for name, got in sorted(cell.missing.items())]
        return f"cannot be installed: no wheel of {', '.join(packages)}"
    names = [TORCH, *sorted(view.family - {TORCH})]
    parts = [
        f"{name} {package_text(view, cell.packages[name], platform)}"
        for name in names
        if name in cell.packages
    ]
    return ", ".join(parts) or _EMPTY[0]


def package_text(view: View, got: Got, platform: str) -> str:
    """Return version, build and index of a package: `2.9.1 (cpu, PyPI)`."""
    names = [one.name for one in view.project.indexes if written(one.url) == written(got.registry)]
    where = "PyPI" if is_pypi(got) else "".join(names[:1]) or masked(got.registry) or "no index"
    return f"{got.version} ({', '.join(filter(None, [view.build(got, platform), where]))})"


def finding_lines(findings: Iterable[Finding], mended: Iterable[str] = ()) -> Iterator[str]:
    """Yield findings with their level, and what a person can do where nothing is mended."""
    done = {*mended}
    for finding in findings:
        yield f"{finding.level}: {finding.text}"
        if finding.way and finding.text not in done:
            yield f"  {finding.way}"


def as_json(
    tables: Mapping[str, tuple[Table, Sequence[View]]], findings: Sequence[Finding], **more: Any
) -> dict[str, Any]:
    """Return all of it for programs."""
    keys = ("level", "text", "way")
    return {
        **{name: [*json_cells(views)] for name, (_, views) in tables.items()},
        "lock": tables["today"][0].lock,
        "unmeasured": dict(tables["today"][0].unmeasured),
        "findings": [
            {**{key: getattr(one, key) for key in keys}, "mendable": bool(one.edits)}
            for one in findings
        ],
        "counts": {level: sum(one.level == level for one in findings) for level in LEVELS},
        **more,
    }


def json_cells(views: Iterable[View]) -> Iterator[dict[str, Any]]:
    """Yield the cells of views, with torch's family alone."""
    for view in views:
        for place, cell in view.cells.items():
            yield {
                "package": place.option.package,
                "option": f"{place.option}",
                "platform": place.platform,
                "python": place.python,
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
