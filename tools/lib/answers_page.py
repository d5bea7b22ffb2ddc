"""The examples in `docs/answers.md`.

Each is a line with answers, and the difference that they make in rendered files: in those that the
line names, or in pyproject.toml. What they are compared with is the command at the top of the page.
A test fails when the page is older than the template.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from unittest import mock

from cookiecutter.main import cookiecutter

from tools.lib.written import DOCS

ROOT = DOCS.parent
PAGE = DOCS / "answers.md"

COMMAND = re.compile(r"^cookiecutter .* --no-input (?P<answers>.*)$", re.MULTILINE)
EXAMPLE = re.compile(
    r"(?P<line>^`(?P<answers>[^`\n]+)`(?: in (?P<files>`[^\n]+`))?:\n\n```diff)\n.*?^```$",
    re.MULTILINE | re.DOTALL,
)


def refreshed(page: str) -> str:
    """Return the page with the differences that the template makes now."""
    command = COMMAND.search(page)
    if command is None:
        raise ValueError(f"{PAGE.name} names no command to compare with")
    base = _answers(command["answers"])
    with tempfile.TemporaryDirectory() as folder:
        before = _render(Path(folder) / "base", base)

        def example(found: re.Match[str]) -> str:
            changes = _answers(found["answers"])
            after = _render(Path(folder) / str(found.start()), {**base, **changes})
            files = re.findall("`([^`]+)`", found["files"] or "`pyproject.toml`")
            return "\n".join([found["line"], *_differences(before, after, files), "```"])

        return EXAMPLE.sub(example, page)


def _answers(words: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(words))


def _render(folder: Path, answers: Mapping[str, str]) -> Path:
    """Render a project, without a user's configuration, and return its folder."""
    folder.mkdir()
    config = folder / "config.yaml"
    config.write_text(f"replay_dir: {folder / 'replay'}\n", encoding="utf-8")
    with mock.patch.dict(os.environ, {"COOKIECUTTER_CONFIG": str(config)}):
        output = folder / "project"
        rendered = cookiecutter(
            str(ROOT), no_input=True, extra_context=answers, output_dir=output, accept_hooks=False
        )
        return Path(rendered)


def _differences(before: Path, after: Path, files: Sequence[str]) -> Iterator[str]:
    """Yield the changed lines of files; pyproject.toml alone needs no name."""
    for name in files:
        old, new = (_read(folder / name) for folder in (before, after))
        if files != ["pyproject.toml"]:
            yield f"  {name}"
        diff = list(difflib.unified_diff(old, new, n=0, lineterm=""))[2:]
        yield from (line for line in diff if not line.startswith("@@") and line not in ("+", "-"))


def _read(path: Path) -> list[str]:
    """Return the lines of a file; none of a file that is not rendered."""
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
