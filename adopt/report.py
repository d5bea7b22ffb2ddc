"""What people and programs read: what each platform gets, and what is wrong with that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from adopt.find import LEVELS, Finding, Seen, View, is_pypi
from adopt.measure import Got, Table
from adopt.parse import Option
from torch_plan.catalog.versions import TORCH
from torch_plan.urls import masked


def table_lines(title: str, table: Table, views: Sequence[View]) -> Iterator[str]:
    """Yield a table: options that give the same are told together."""
    if table.why_nothing:
        yield f"{title}: nothing was measured. uv says:"
        yield from (f"  {line}" for line in masked(table.why_nothing).splitlines())
        return
    yield f"{title} (of {table.lock}):"
    empty: list[Option] = []
    for view in views:
        rows = {option: option_rows(view, option) for option in view.project.options}
        for row in dict.fromkeys(filter(None, rows.values())):
            options = [option for option in rows if rows[option] == row]
            if {text for _, text in row} <= {"no torch", "not in the lock"}:
                empty += options
            else:
                yield f"  {name_all(options, views)}"
                width = max(len(platform) for platform, _ in row)
                yield from (f"    {platform:<{width}}  {text}" for platform, text in row)
    if empty:
        yield f"  Without torch: {name_all(empty, views)}"
    yield from left_out(table, views)


def left_out(table: Table, views: Sequence[View]) -> Iterator[str]:
    """Yield what was not measured, and how to get torch where nothing requires it."""
    if not any(view.project.of(TORCH) or any(seen.torch for seen in view.seen) for view in views):
        yield "  Nothing here requires torch. An answer such as torch_backend=cu128 adds it."
    for name, why in table.unmeasured.items():
        yield f"  {name}: not measured. {masked(why).strip()}"


def name_all(options: Sequence[Option], views: Sequence[View]) -> str:
    """Return options as people choose them, with their package where there are several."""
    return ", ".join(
        f"{option.package}: {option}" if len(views) > 1 else f"{option}" for option in options
    )


def option_rows(view: View, option: Option) -> tuple[tuple[str, str], ...]:
    """Return platform and text for each platform of an option, empty if it was not measured."""
    places = [place for place in view.table.cells if place.option == option]
    rows = []
    for platform, own in groupby(places, lambda place: place.platform):
        texts = [
            (place.python, cell_text(view, view.look(place, view.table.cells[place])))
            for place in own
        ]
        spans = [
            (text, [python for python, _ in group])
            for text, group in groupby(texts, lambda pair: pair[1])
        ]
        parts = [f"{view.facts.span(pythons)}: {text}" for text, pythons in spans]
        rows.append((platform, spans[0][0] if len(spans) == 1 else "; ".join(parts)))
    return tuple(rows)


def cell_text(view: View, seen: Seen) -> str:
    """Return what one platform gets with one Python."""
    cell = seen.cell
    if not cell.is_locked:
        return "not in the lock"
    names = [TORCH, *sorted(view.family - {TORCH})]
    if cell.missing:
        packages = ", ".join(f"{name} {got.version}" for name, got in sorted(cell.missing.items()))
        return f"cannot be installed: no wheel of {packages}"
    parts = [
        f"{name} {package_text(view, cell.packages[name], seen.place.platform)}"
        for name in names
        if name in cell.packages
    ]
    return ", ".join(parts) or "no torch"


def package_text(view: View, got: Got, platform: str) -> str:
    """Return version, build and index of a package: `2.9.1 (cpu, PyPI)`."""
    build = view.build(got, platform)
    named = [
        one.name for one in view.project.indexes if one.url.rstrip("/") == got.registry.rstrip("/")
    ]
    where = "PyPI" if is_pypi(got) else "".join(named[:1]) or masked(got.registry) or "no index"
    return f"{got.version} ({', '.join(filter(None, [build, where]))})"


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
    return {
        **{name: [*json_cells(views)] for name, (_, views) in tables.items()},
        "lock": tables["today"][0].lock,
        "unmeasured": dict(tables["today"][0].unmeasured),
        "findings": [
            {"level": one.level, "text": one.text, "way": one.way, "mendable": bool(one.edits)}
            for one in findings
        ],
        "counts": {level: sum(one.level == level for one in findings) for level in LEVELS},
        **more,
    }


def json_cells(views: Iterable[View]) -> Iterator[dict[str, Any]]:
    """Yield the cells of views, with torch's family alone."""
    for view in views:
        for seen in view.seen:
            place = seen.place
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
                    for name, got in seen.cell.packages.items()
                    if name in view.family
                },
                "missing": [*seen.cell.missing],
            }
