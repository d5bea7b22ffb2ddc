"""Write anew what follows from the facts: `uv run -m tools.docs`.

That is the layout of `builds.json`, and the table of `docs/support.md` with its list of broken
builds. A test fails where one of them is older.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from tabulate import tabulate

from tools.lib.facts_file import dump_facts
from tools.lib.markdown import with_parts
from tools.lib.template import ROOT
from torch_plan.answers.records import NO_COMPANIONS
from torch_plan.catalog.facts import BUILDS_PATH, Facts
from torch_plan.catalog.versions import CPU, PYPI, TORCH, family_of
from torch_plan.project.planning import make_plan
from torch_plan.resolution.defaults import complete
from torch_plan.text import listed

SUPPORT = ROOT / "docs/support.md"

LETTERS = {
    "linux-x86_64": "L",
    "linux-aarch64": "A",
    "macos-arm64": "M",
    "macos-x86_64": "m",
    "windows-x86_64": "W",
    "windows-arm64": "w",
}
"""How the table writes a platform; the page says so too."""

TO = "\N{EN DASH}"

HEAD = ("torch", "goes with", "Python", "needs", "on PyPI", "CPU", "CUDA", "ROCm", "XPU")


def support(page: str, facts: Facts) -> str:
    """Return the page with the table and the list as the facts have them now.

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
    parts = {
        "table": tabulate(rows, HEAD, tablefmt="github", disable_numparse=True),
        "broken": "\n".join(broken),
        "reported": "\n".join(reported(facts)),
        "advisories": "\n".join(
            f"- {row['id']}, before torch {row['fixed']}: {row['what']} ({row['source']})."
            for row in facts.hardware.all_advisories
        ),
    }
    return with_parts(page, parts)


def reported(facts: Facts) -> Iterator[str]:
    """Yield what people reported, row by row."""
    for row in facts.hardware.all_reports:
        build = f", `{row['builds']}`" if "builds" in row else ""
        mended = f" torch {row['fixed']} mends it." if row["fixed"] else ""
        releases = listed(row["releases"].split())
        yield f"- torch {releases}{build}: {row['what']} ({row['source']}).{mended}"


def row(facts: Facts, release: str) -> list[str]:
    """Return the cells of a release."""
    on_pypi: dict[str, str] = {}
    for platform in facts.platforms(TORCH, release, PYPI):
        build = f"`{facts.build(release, PYPI, platform)}`"
        on_pypi[build] = on_pypi.get(build, "") + LETTERS[platform]
    builds: dict[str, list[str]] = {}
    for backend in facts.backends(release):
        if backend != PYPI:
            family, letters = family_of(backend), letters_of(facts, release, backend)
            cell = letters if backend == family else f"`{backend}`\N{NO-BREAK SPACE}{letters}"
            builds.setdefault(family, []).append(cell)
    cells = [
        [
            f"**{release}**",
            facts.released(release),
            *(row["id"] for row in facts.hardware.advisories(release)),
        ],
        [
            f"{name} {TO.join(dict.fromkeys((versions[-1], versions[0])))}"
            for name, versions in facts.companions(release).items()
        ],
        [facts.span(facts.pythons_of(release), to=TO)],
        [f"{floor}\N{NO-BREAK SPACE}{of}" for floor, of in floors(facts, release).items()],
        [f"{build}\N{NO-BREAK SPACE}{letters}" for build, letters in on_pypi.items()],
        *(builds.get(family, []) for family in ("cpu", "cu", "rocm", "xpu")),
    ]
    return ["<br>".join(lines) for lines in cells]


def letters_of(facts: Facts, release: str, backend: str) -> str:
    """Return `LA?W!`: the platforms of a build, `?` after one that is likely, `!` if reported."""
    letters = ""
    for platform in facts.platforms(TORCH, release, backend):
        likely = "?" if facts.is_likely(TORCH, release, backend, platform) else ""
        is_reported = facts.hardware.reported(release, backend, platform)
        letter = f"{LETTERS[platform]}{likely}{'!' if is_reported else ''}"
        is_broken = facts.hardware.why_broken(release, backend, platform)
        letters += f"~~{letter}~~" if is_broken else letter
    return letters


def floors(facts: Facts, release: str) -> dict[str, str]:
    """Return the oldest systems that the wheels of the CPU build take -> their platforms."""
    letters: dict[str, str] = {}
    for platform in facts.platforms(TORCH, release, CPU):
        answers = {
            "torch_version": release,
            "torch_backend": CPU,
            "python_version": facts.pythons(TORCH, release, CPU, platform)[0],
            "companions": NO_COMPANIONS,
            "platforms": platform,
        }
        for floor in make_plan(complete(answers, facts)).default.floors.values():
            name = str(floor).removesuffix(" or newer")
            letters[name] = letters.get(name, "") + LETTERS[platform]
    return letters


def main() -> None:
    """Write the files."""
    facts = json.loads(BUILDS_PATH.read_text(encoding="utf-8"))
    texts = {
        BUILDS_PATH: dump_facts(facts),
        SUPPORT: support(SUPPORT.read_text(encoding="utf-8"), Facts(facts)),
    }
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
