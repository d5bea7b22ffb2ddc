"""Write anew what follows from the facts and the template, after something was added.

    uv run -m tools.docs

That is the layout of `builds.json`, the table of `docs/support.md` with its list of broken builds,
and the examples of `docs/answers.md`. A test fails where one of them is older than the facts or the
template.
"""

from __future__ import annotations

import difflib
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
from torch_plan.answers.records import NO_COMPANIONS
from torch_plan.catalog.facts import BUILDS_PATH, Facts
from torch_plan.catalog.versions import CPU, PYPI, TORCH, family_of
from torch_plan.project.planning import make_plan
from torch_plan.resolution.defaults import complete

ROOT = Path(__file__).resolve().parent.parent
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
    r"(?P<line>^`(?P<answers>[^`\n]+)`(?: in (?P<files>`[^\n]+`))?:\n\n```diff)\n.*?^```$",
    re.MULTILINE | re.DOTALL,
)
"""Answers, and the difference that they make in the files of that line, or in pyproject.toml."""


def with_parts(page: str, parts: Mapping[str, str]) -> str:
    """Return a page with new parts: each stands between `<!-- name -->` and `<!-- end -->`.

    Raises `KeyError` for a part that the page has no place for.
    """
    for name, text in parts.items():
        place = re.search(rf"(?<=<!-- {name} -->\n).*?(?=<!-- end -->)", page, re.DOTALL)
        if place is None:
            raise KeyError(f"the page has no place for {name}")
        page = f"{page[: place.start()]}\n{text}\n\n{page[place.end() :]}"
    return page


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
    table = tabulate(rows, HEAD, tablefmt="github", disable_numparse=True)
    return with_parts(page, {"table": table, "broken": "\n".join(broken)})


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
        [f"**{release}**", facts.released(release)],
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
    """Return `LA?W`: the platforms of a build, a `?` after each that is only likely."""
    return "".join(
        f"~~{letter}~~"
        if facts.hardware.why_broken(release, backend, platform)
        else f"{letter}{'?' if facts.is_likely(TORCH, release, backend, platform) else ''}"
        for platform, letter in LETTERS.items()
        if platform in facts.platforms(TORCH, release, backend)
    )


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
            files = re.findall("`([^`]+)`", found["files"] or "`pyproject.toml`")
            return "\n".join([found["line"], *differences(before, after, files), "```"])

        return EXAMPLE.sub(example, page)


def render(folder: Path, words: str) -> Path:
    """Render a project, without a user's configuration, and return its folder."""
    folder.mkdir()
    answers = dict(word.split("=", 1) for word in shlex.split(words))
    config = folder / "config.yaml"
    config.write_text(f"replay_dir: {folder / 'replay'}\n", encoding="utf-8")
    with mock.patch.dict(os.environ, {"COOKIECUTTER_CONFIG": str(config)}):
        options = {"no_input": True, "accept_hooks": False}
        return Path(cookiecutter(str(ROOT), extra_context=answers, output_dir=folder, **options))


def differences(before: Path, after: Path, files: Sequence[str]) -> Iterator[str]:
    """Yield the changed lines of files; pyproject.toml alone needs no name."""
    for name in files:
        # A file that one of them does not have, has no lines there.
        old, new = (
            path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
            for path in (before / name, after / name)
        )
        if files != ["pyproject.toml"]:
            yield f"  {name}"
        diff = list(difflib.unified_diff(old, new, n=0, lineterm=""))[2:]
        yield from (line for line in diff if not line.startswith("@@") and line not in ("+", "-"))


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
