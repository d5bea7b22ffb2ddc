"""What is known to hurt in the builds of a plan, in words for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch_plan.catalog.facts import Facts
from torch_plan.resolution.cells import Cells
from torch_plan.text import listed


def warnings(cells: Cells) -> Iterator[str]:
    """Yield a sentence for each report of a build, and one for the advisories of each release."""
    facts, reports = cells.facts, dict[str, None]()
    for cell in cells.all:
        if not cell.url:
            asked = cell.release, cell.build, cell.platform, cells.pythons
            for row in facts.hardware.reported(*asked):
                reports[report(row, cell.release, cell.build)] = None
    yield from reports
    for release in dict.fromkeys(cell.release for cell in cells.all):
        yield from advisory(facts, release)


def report(row: Mapping[str, Any], release: str, build: str) -> str:
    """Return a row of what people reported, as a sentence; `docs/support.md` has the sources."""
    of = f"{build} of torch {release}" if "builds" in row else f"torch {release}"
    mended = f"; torch {row['fixed']} mends it" if row["fixed"] else ""
    return f"Reported of {of}: {row['what']}{mended}."


def advisory(facts: Facts, release: str) -> Iterator[str]:
    """Yield the security advisories of a release as one sentence, nothing where it has none."""
    rows = facts.hardware.advisories(release)
    if rows:
        named = listed([f"{row['id']} ({row['what']})" for row in rows])
        mended = f"torch {rows[-1]['fixed']} mends what is known"
        yield f"torch {release} has known vulnerabilities: {named}; {mended}."
