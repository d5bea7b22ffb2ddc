"""Write anew what follows from the facts and the template: `uv run -m tools.docs`.

That is the layout of `builds.json`, the table of `docs/support.md` with its list of
broken builds, and the examples of `docs/answers.md`. A test fails where one of them is older.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from unittest import mock

from cookiecutter.main import cookiecutter
from tabulate import tabulate

from tools.lib.facts_file import dump_facts
from tools.lib.markdown import with_parts
from tools.lib.template import ROOT, empty_config
from torch_plan.answers.records import NO_COMPANIONS
from torch_plan.catalog.facts import BUILDS_PATH, Facts
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
    r"^`(?P<answers>\w+=[^`\n]+)` (?:adds|leaves out|changes)[^\n]*(?:\n```diff\n(?s:.*?)^```)?$",
    re.MULTILINE,
)
"""Answers, and the difference that they make."""

FOLLOWS = "exclude-newer-package"
"""The key that is left out: it names every package with a source."""

Entries = dict[tuple[str, str], list[str]]
"""Table and key -> the lines of the value, of a pyproject.toml."""


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
            f"- {it['id']}, before torch {it['fixed']}: {it['what']} ({it['source']})."
            for it in facts.hardware.all_advisories
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
            *(it["id"] for it in facts.hardware.advisories(release)),
        ],
        [
            f"{name} {TO.join(dict.fromkeys((versions[-1], versions[0])))}"
            for name, versions in facts.companions(release).items()
        ],
        [facts.span(facts.pythons_of(release), to=TO)],
        [f"{floor}\N{NO-BREAK SPACE}{its}" for floor, its in floors(facts, release).items()],
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
    with tempfile.TemporaryDirectory() as folder:
        before = render(Path(folder, "base"), base)

        def example(found: re.Match[str]) -> str:
            after = render(Path(folder, str(found.start())), f"{base} {found['answers']}")
            return f"`{found['answers']}` {difference(before, after)}"

        return EXAMPLE.sub(example, page)


def render(folder: Path, words: str) -> dict[str, str]:
    """Render a project, without a user's configuration, and return file -> text."""
    folder.mkdir()
    answers = dict(word.split("=", 1) for word in shlex.split(words))
    with mock.patch.dict(os.environ, {"COOKIECUTTER_CONFIG": str(empty_config(folder))}):
        options = {"no_input": True, "accept_hooks": False, "output_dir": folder}
        project = Path(cookiecutter(str(ROOT), extra_context=answers, **options))
    return {
        path.relative_to(project).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(project.rglob("*"))
        if path.is_file()
    }


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Say which files come and go between two projects, and what changes in pyproject.toml."""
    what = [
        f"{verb} {' and '.join(f'`{name}`' for name in names)}"
        for verb, names in (
            ("adds", sorted(after.keys() - before.keys())),
            ("leaves out", sorted(before.keys() - after.keys())),
        )
        if names
    ]
    lines = [*changes(*(entries(files["pyproject.toml"]) for files in (before, after)))]
    if not lines:
        return f"{' and '.join(what) or 'changes nothing'}."
    head = f"{' and '.join([*what, 'changes `pyproject.toml`'])}:"
    return "\n".join([head, "```diff", *lines, "```"])


def entries(text: str) -> Entries:
    """Return the entries of a pyproject.toml; comments are left out."""
    found: Entries = {}
    table, key = "", ""
    for line in text.splitlines():
        if line.startswith("["):
            table = line
        elif start := re.match(r"([\w-]+) = (.*)", line):
            key, value = start.groups()
            # One of several tables of this name: its first key tells them apart.
            table += f"  # {value}" if table.startswith("[[") and key == "name" else ""
            found[table, key] = [value]
        elif line and not line.startswith("#"):
            found[table, key].append(line)
    return {(table, key): found[table, key] for table, key in found if key != FOLLOWS}


def changes(old: Entries, new: Entries) -> Iterator[str]:
    """Yield the lines of a diff: the tables, and in each what comes and goes.

    Keys of a table that change alike share their lines: `torch, torchvision = [`.
    """
    alike: dict[str, dict[tuple[str, str], list[str]]] = {}
    for table, key in {**new, **old}:
        was, now = ("\n".join(side.get((table, key), ())) for side in (old, new))
        if was != now:
            alike.setdefault(table, {}).setdefault((was, now), []).append(key)
    for table, values in alike.items():
        if table not in {name for name, _ in new}:
            yield f"-{table}"
            continue
        yield f" {table}"
        for (was, now), keys in values.items():
            yield from change(", ".join(keys), was.splitlines(), now.splitlines())


def change(keys: str, was: Sequence[str], now: Sequence[str]) -> Iterator[str]:
    """Yield what changes in a value; of a list that stays one, the entries alone."""
    if was[:1] == now[:1]:
        yield f" {keys} = {was[0]}"
        yield from (f"-{line}" for line in was if line not in now)
        yield from (f"+{line}" for line in now if line not in was)
        return
    if was:
        yield f"-{keys} = {was[0]}{' … ]' if was[1:] else ''}"
    if now:
        yield f"+{keys} = {now[0]}"
        yield from (f"+{line}" for line in now[1:])


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
