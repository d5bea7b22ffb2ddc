"""Write anew what follows from the facts and the template: `uv run -m tools.docs`.

That is the layout of `builds.json`, the table of `docs/support.md` with its list of
broken builds, and the examples of `docs/answers.md`. A test fails where one of them is older.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator

from tabulate import tabulate

from page.choices import pyproject_of
from tools.lib.facts_file import dump_facts
from tools.lib.markdown import with_parts
from tools.lib.template import ROOT
from torch_plan.answers.records import NO_COMPANIONS
from torch_plan.catalog.facts import BUILDS_PATH, Facts, load_facts
from torch_plan.catalog.versions import CPU, PYPI, TORCH, family_of
from torch_plan.project.planning import make_plan
from torch_plan.resolution.defaults import complete
from torch_plan.text import listed

SUPPORT, ANSWERS = ROOT / "docs/support.md", ROOT / "docs/answers.md"

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

COMMAND = re.compile(r"^cookiecutter .* --no-input (.*)$", re.MULTILINE)
"""The command that the examples are compared with."""

EXAMPLE = re.compile(
    r"(?P<head>^`(?P<answers>\w+=[^`\n]+)` .*`pyproject\.toml`:)\n```diff\n(?s:.*?)^```$",
    re.MULTILINE,
)
"""Answers, and the difference that they make."""

FOLLOWS = "exclude-newer-package"
"""The key that is left out: it names every package with a source."""

Entries = dict[tuple[str, str], str]
"""Table and key -> the text of the value, of a pyproject.toml."""


# --- docs/support.md -----------------------------------------------------------------------------


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


# --- docs/answers.md -----------------------------------------------------------------------------


def examples(page: str) -> str:
    """Return the page with the differences that the template makes now."""
    (base,) = COMMAND.findall(page)
    before = entries(base)

    def example(match: re.Match[str]) -> str:
        lines = changes(before, entries(f"{base} {match['answers']}"))
        return "\n".join([match["head"], "```diff", *lines, "```"])

    return EXAMPLE.sub(example, page)


def entries(words: str) -> Entries:
    """Return the entries of the pyproject.toml for answers; comments are left out."""
    answers = complete(dict(word.split("=", 1) for word in shlex.split(words)), load_facts())
    values: Entries = {}
    table = key = ""
    for line in pyproject_of(answers, make_plan(answers)).splitlines():
        if line.startswith("["):
            table = line
        elif start := re.match(r"([\w-]+) = (.*)", line):
            key, value = start.groups()
            # One of several tables of this name: its first key tells them apart.
            table += f"  # {value}" if table.startswith("[[") and key == "name" else ""
            values[table, key] = value
        elif line and not line.startswith("#"):
            values[table, key] += f"\n{line}"
    return {entry: value for entry, value in values.items() if entry[1] != FOLLOWS}


def changes(old: Entries, new: Entries) -> Iterator[str]:
    """Yield the lines of a diff: the tables, and in each what comes and goes.

    Keys of a table that change alike share their lines: `torch, torchvision = [`.
    """
    alike: dict[str, dict[tuple[str, str], list[str]]] = {}
    for table, key in {**new, **old}:
        values = old.get((table, key), ""), new.get((table, key), "")
        if values[0] != values[1]:
            alike.setdefault(table, {}).setdefault(values, []).append(key)
    for table, keys_of in alike.items():
        yield f" {table}"
        for values, keys in keys_of.items():
            texts = [f"{', '.join(keys)} = {value}" if value else "" for value in values]
            before, after = (text.splitlines() for text in texts)
            yield from (f" {line}" for line in before[:1] if line in after)
            yield from (f"-{line}" for line in before if line not in after)
            yield from (f"+{line}" for line in after if line not in before)


def main() -> None:
    """Write the files."""
    facts = json.loads(BUILDS_PATH.read_text(encoding="utf-8"))
    texts = {
        BUILDS_PATH: dump_facts(facts),
        SUPPORT: support(SUPPORT.read_text(encoding="utf-8"), Facts(facts)),
        ANSWERS: examples(ANSWERS.read_text(encoding="utf-8")),
    }
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
