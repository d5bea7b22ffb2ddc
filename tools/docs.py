"""Write anew what follows from the facts: `uv run -m tools.docs`.

That is the layout of `builds.json`, and the table of `docs/support.md` with its list of broken
builds. A test fails where one of them is older.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from tabulate import tabulate

from tools.lib.facts_file import dump_facts
from tools.lib.template import ROOT
from torch_plan.answers.records import NO_COMPANIONS
from torch_plan.catalog.facts import BUILDS_PATH, Facts
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.catalog.versions import CPU, FAMILIES, PYPI, TORCH, family_of
from torch_plan.project.plan import make_plan
from torch_plan.resolution.defaults import complete
from torch_plan.text import listed

SUPPORT = ROOT / "docs/support.md"

LETTERS = dict(zip(PLATFORMS, "LAMmWw", strict=True))
"""How the table writes a platform; the page says so too."""

TO = "\N{EN DASH}"
SPACE = "\N{NO-BREAK SPACE}"

HEAD = ("torch", "goes with", "Python", "needs", "on PyPI", "CPU", "CUDA", "ROCm", "XPU")


def support(page: str, facts: Facts) -> str:
    """Return the page with the table and the lists as the facts have them now.

    Raises `KeyError` if the page has no place for one of them.
    """
    rows = [row(facts, release) for release in reversed(facts.releases)]
    broken = [
        f"- torch {release}, `{backend}`, {platform}: {reason}."
        for release in reversed(facts.releases)
        for backend in facts.backends(release)
        for platform in facts.platforms(TORCH, release, backend)
        if (reason := facts.hardware.why_broken(release, backend, platform))
    ]
    reported = []
    for entry in facts.hardware.all_reports:
        build = f", `{entry['builds']}`" if "builds" in entry else ""
        mended = f" torch {entry['fixed']} mends it." if entry["fixed"] else ""
        releases = listed(entry["releases"].split())
        reported.append(f"- torch {releases}{build}: {entry['what']} ({entry['source']}).{mended}")
    advisories = [
        f"- {entry['id']}, before torch {entry['fixed']}: {entry['what']} ({entry['source']})."
        for entry in facts.hardware.all_advisories
    ]
    table = tabulate(rows, HEAD, tablefmt="github", disable_numparse=True)
    lists = {"broken": broken, "reported": reported, "advisories": advisories}
    return with_parts(page, {"table": table, **{name: "\n".join(lists[name]) for name in lists}})


def with_parts(page: str, parts: Mapping[str, str]) -> str:
    """Return a page with new parts: each stands between `<!-- name -->` and `<!-- end -->`.

    Raises `KeyError` for a part that the page has no place for.
    """
    for name, text in parts.items():
        start, end = f"<!-- {name} -->\n", "<!-- end -->"
        before, marker, rest = page.partition(start)
        if not marker:
            raise KeyError(f"the page has no place for {name}")
        page = f"{before}{start}\n{text}\n\n{end}{rest.partition(end)[2]}"
    return page


def row(facts: Facts, release: str) -> list[str]:
    """Return the cells of a release."""
    cells: dict[str, list[str]] = {name: [] for name in HEAD}
    advisories = [entry["id"] for entry in facts.hardware.advisories(release)]
    cells["torch"] = [f"**{release}**", facts.released(release), *advisories]
    for name, versions in facts.companions(release).items():
        cells["goes with"].append(f"{name} {TO.join(dict.fromkeys((versions[-1], versions[0])))}")
    cells["Python"] = [facts.span(facts.pythons_of(release), to=TO)]
    for floor, letters in floors(facts, release).items():
        cells["needs"].append(f"{floor}{SPACE}{letters}")
    for backend in facts.backends(release):
        column = FAMILIES[family_of(backend)]
        for build, letters in builds(facts, release, backend).items():
            cell = letters if FAMILIES.get(build) == column else f"`{build}`{SPACE}{letters}"
            cells["on PyPI" if backend == PYPI else column].append(cell)
    return ["<br>".join(lines) for lines in cells.values()]


def builds(facts: Facts, release: str, backend: str) -> dict[str, str]:
    """Return build -> `LA?W!`: its platforms, `?` after one that is likely, `!` if reported."""
    letters: dict[str, str] = {}
    for platform in facts.platforms(TORCH, release, backend):
        build = facts.build(release, backend, platform)
        likely = "?" if facts.is_likely(TORCH, release, backend, platform) else ""
        is_reported = facts.hardware.reported(release, backend, platform)
        letter = f"{LETTERS[platform]}{likely}{'!' if is_reported else ''}"
        is_broken = facts.hardware.why_broken(release, backend, platform)
        letters[build] = letters.get(build, "") + (f"~~{letter}~~" if is_broken else letter)
    return letters


def floors(facts: Facts, release: str) -> dict[str, str]:
    """Return the oldest systems that the wheels of the CPU build take -> their platforms."""
    python, *_ = facts.pythons_of(release)
    answers = {
        "torch_version": release,
        "torch_backend": CPU,
        "python_version": python,
        "companions": NO_COMPANIONS,
        "platforms": "all",
    }
    letters: dict[str, str] = {}
    for platform, floor in make_plan(complete(answers, facts)).default.floors.items():
        name = str(floor).removesuffix(" or newer")
        letters[name] = letters.get(name, "") + LETTERS[platform]
    return letters


def main() -> None:
    """Write the files."""
    facts = json.loads(BUILDS_PATH.read_text(encoding="utf-8"))
    page = support(SUPPORT.read_text(encoding="utf-8"), Facts(facts))
    BUILDS_PATH.write_text(dump_facts(facts), encoding="utf-8", newline="\n")
    SUPPORT.write_text(page, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
