"""Bring a plan for PyTorch into a pyproject.toml that exists.

Shows the difference, and one line of reason for each change.
"""

from __future__ import annotations

import argparse
import difflib
import os
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from adopt import Stop
from adopt.document import rewrite
from adopt.laying import Layout
from adopt.project import Project
from adopt.trial import try_lock
from torch_plan.answers.problems import Problem, Refused
from torch_plan.catalog.facts import load_facts
from torch_plan.catalog.versions import TORCH
from torch_plan.project.plan import Plan
from torch_plan.project.planning import make_plan
from torch_plan.resolution.check import BUILD_ANSWERS, find_problems
from torch_plan.resolution.defaults import complete
from torch_plan.resolution.refusal import refusal_text
from torch_plan.text import listed, shell_line

ANSWERS = (*BUILD_ANSWERS, "numpy_guard", "torch_pin", "pytorch_index", "package_index")
"""The answers of the template that are about torch."""


class Adoption(NamedTuple):
    """What a plan changes in a file."""

    path: Path
    text: str
    new: str
    reasons: list[str]
    plan: Plan


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns 1 where `--check` finds changes, 2 where a project is refused."""
    parser = argparse.ArgumentParser(prog="uv-torch-adopt", description=__doc__)
    parser.add_argument("path", type=Path, help="a project's folder, or its pyproject.toml")
    parser.add_argument("answers", nargs="*", metavar="key=value", help=", ".join(ANSWERS))
    parser.add_argument("--check", action="store_true", help="only say what is to change, and why")
    parser.add_argument("--write", action="store_true", help="try the lock, then write the file")
    options = parser.parse_args(arguments)
    given = dict(answer.partition("=")[::2] for answer in options.answers)
    if unknown := [key for key in given if key not in ANSWERS]:
        parser.error(f"{unknown[0]} is no answer about torch; those are: {', '.join(ANSWERS)}")
    try:
        adoption = adopt(options.path, given)
        if options.check:
            print(*(f"{reason}\n" for reason in adoption.reasons), sep="", end="")
            return 1 if adoption.reasons else 0
        old, new, name = adoption.text.splitlines(), adoption.new.splitlines(), adoption.path.name
        print(*difflib.unified_diff(old, new, name, name, lineterm=""), "", sep="\n")
        print(*adoption.reasons or ["Nothing is to be changed."], *adoption.plan.notes, sep="\n")
        sys.stdout.flush()
        if options.write and adoption.reasons:
            write(adoption)
    except BrokenPipeError:
        # Who reads has seen enough, as `head` has; Python would flush once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Stop as stop:
        print(f"Error: {stop}", file=sys.stderr)
        return 2
    return 0


def adopt(path: Path, given: Mapping[str, str]) -> Adoption:
    """Return what the plan of a project's own answers, and of those given, changes in its file."""
    path = (path / "pyproject.toml" if path.is_dir() else path).resolve()
    if not path.exists():
        raise Stop(
            f"There is no {path}. `uv init --bare` makes one, and `uv add -r requirements.txt "
            "--no-sync` brings what is required."
        )
    try:
        text = path.read_bytes().decode("utf-8")
        first = adopt_text(path, text, given)
        # Where one build of several is left, the file is read again, as that of any project.
        rest = {key: given[key] for key in given if key != "layout"}
        is_one = "torch_backend" in given and " " not in given["torch_backend"].strip()
        then = adopt_text(path, first.new, rest) if is_one else first
    except (OSError, ValueError) as error:
        raise Stop(f"{path} cannot be read: {error}") from None
    reasons = [*dict.fromkeys([*first.reasons, *then.reasons])]
    return first._replace(new=then.new, reasons=reasons)


def adopt_text(path: Path, text: str, given: Mapping[str, str]) -> Adoption:
    """Return what changes in a text that stands, or will stand, in a file."""
    facts, data = load_facts(), tomllib.loads(text)
    refuse(path, data)
    lock = read(path.with_name("uv.lock")).get("package", [])
    locked = {it.get("version", "").partition("+")[0] for it in lock if it["name"] == TORCH}
    project = Project(data, facts, given, locked)
    answers = project.answers()
    try:
        plan = make_plan(complete(answers, facts), facts)
    except Refused:
        raise Stop(refusal(path, given, answers)) from None
    layout = Layout(project, plan)
    return Adoption(path, text, rewrite(text, layout.wanted), layout.reasons, plan)


def refusal(path: Path, given: Mapping[str, str], answers: Mapping[str, str]) -> str:
    """Return why no plan can be made, and the command that makes one."""

    def command(changed: Mapping[str, str]) -> str:
        named = [it for it in changed.items() if it[0] in given or it not in answers.items()]
        return shell_line(["uv-torch-adopt", str(path), *map("=".join, named)])

    known = {key: answers[key] for key in ANSWERS}

    def problems_of(changed: Mapping[str, str]) -> list[Problem]:
        return find_problems(complete({**answers, **changed}, load_facts()), load_facts())

    return refusal_text(known, problems_of, command)


def refuse(path: Path, data: Mapping[str, Any]) -> None:
    """Refuse a project whose dependencies, or whose settings, do not stand in this file."""
    poetry, project = data.get("tool", {}).get("poetry", {}), data.get("project", {})
    if "name" not in project or {"dependencies", "group", "source"} & {*poetry}:
        advice = "`uvx migrate-to-uv` brings those of Poetry there."
        raise Stop(f"The dependencies do not stand in a [project] table. {advice}")
    fields = ["dependencies", "optional-dependencies", "requires-python"]
    if dynamic := [it for it in fields if it in project.get("dynamic", [])]:
        raise Stop(f"{listed(dynamic)} stand in another file (`dynamic`). Bring them here first.")
    for folder in path.parents[1:]:
        root = folder / "pyproject.toml"
        workspace = read(root).get("tool", {}).get("uv", {}).get("workspace", {})
        if any(path.parent in folder.glob(pattern) for pattern in workspace.get("members", [])):
            raise Stop(
                f"It is a member of the workspace of {root}, and half of the settings belong "
                "there. In a copy outside of the workspace this command shows all of them."
            )


def read(path: Path) -> dict[str, Any]:
    """Return what a TOML file holds, nothing if it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def write(adoption: Adoption) -> None:
    """Try the lock, write the file at once or not at all, and say what comes next."""
    path = adoption.path
    status, said = try_lock(path, adoption.new)
    if status == 1 and try_lock(path, adoption.text)[0] == 0:
        raise Stop(f"It locks as it is, and would not with these changes. uv says:\n\n{said}")
    if status:
        print(f"\nIt was not locked, now or with these changes. uv says:\n\n{said}")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".adopt-") as folder:
        new = Path(folder, path.name)
        new.write_bytes(adoption.new.encode("utf-8"))
        shutil.copymode(path, new)
        new.replace(path)
    print(f"\n{path} is written. Next: {shell_line(['uv', 'sync', *adoption.plan.default.sync])}")


if __name__ == "__main__":
    sys.exit(main())
