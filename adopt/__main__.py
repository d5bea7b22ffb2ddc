"""Show which PyTorch each platform gets in a project, what is wrong with that, and mend it.

Nothing is written without --write. Answers such as torch_version=2.9.1 change what is asked for.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from adopt import Stop
from adopt.answers import ANSWERS, change, missed
from adopt.edit import apply
from adopt.files import parsed, replace_files
from adopt.find import ADVICE, BROKEN, DRIFTS, Finding, View, find
from adopt.measure import Place, Table, copied, measure
from adopt.parse import Manifest, Project, read_project, read_projects, unique
from adopt.report import as_json, finding_lines, name_all, table_lines
from torch_plan.catalog.facts import Facts, load_facts
from torch_plan.text import listed

_ROUNDS = 8
"""How often what was mended is measured again; one mend can show the next fault."""


class State(NamedTuple):
    """Projects, what was measured of them, and what is wrong."""

    projects: Sequence[Project]
    table: Table
    views: Sequence[View]
    findings: Sequence[Finding]

    @property
    def texts(self) -> dict[Path, str]:
        """The files of the projects."""
        files = [one for project in self.projects for one in (project.root, project.manifest)]
        return {one.path: one.text for one in files}


class Mended(NamedTuple):
    """A state after its mends, which findings they mended, and which cells they were for."""

    state: State
    findings: tuple[Finding, ...]
    places: frozenset[Place]


class Command:
    """One run of the command, in one copy of the project."""

    def __init__(self, options: argparse.Namespace, facts: Facts, copy: Path) -> None:
        self.options, self.facts, self.copy = options, facts, copy
        self.notes: list[str] = []
        self.names_arm = False

    def look(self, projects: Sequence[Project], texts: Mapping[Path, str] | None = None) -> State:
        """Measure projects, with other texts in their files if there are any."""
        if texts is not None:
            projects = [
                read_project(with_text(one.manifest, texts), with_text(one.root, texts))
                for one in projects
            ]
        is_changed, locked = texts is not None, self.options.locked
        table = measure(projects, self.facts, self.copy, is_changed=is_changed, locked=locked)
        if texts is None:
            files = [one for project in projects for one in (project.manifest, project.root)]
            self.names_arm = any("aarch64" in one.text for one in files)
        arm = self.names_arm
        views = [View(project, table, self.facts, names_arm=arm) for project in projects]
        findings = [finding for view in views for finding in find(view)]
        by_text = {finding.text: finding for finding in findings}
        return State(projects, table, views, [*by_text.values()])

    def mend(self, state: State, levels: Collection[str]) -> Mended:
        """Mend what can be mended, and measure after each round; what does not help is undone."""
        mended: tuple[Finding, ...] = ()
        useless: set[str] = set()
        most = None
        for _ in range(_ROUNDS):
            findings = [one for one in state.findings if one.level in levels and one.edits]
            chosen = [one for one in findings if one.text not in useless][:most]
            texts = apply(state.texts, [edit for finding in chosen for edit in finding.edits])
            if texts == state.texts:
                break
            after = self.look(state.projects, texts)
            if after.table.why_nothing and not state.table.why_nothing and len(chosen) > 1:
                # One of them is why it does not lock any more, so they are tried one by one.
                most = 1
            elif left := unhelpful(chosen, state, after):
                useless |= left
            else:
                mended, state = (*mended, *chosen), after
        return Mended(state, mended, frozenset(one for each in mended for one in each.places))

    def ask(self, state: State, given: Mapping[str, str]) -> State:
        """Change what somebody asked for, and measure it."""
        if len(state.projects) > 1:
            names = listed([one.manifest.path.parent.name for one in state.projects], "or")
            raise Stop(f"Answers are for one package. Name its folder: {names}.")
        if state.table.why_nothing and not {"torch_version", "torch_backend"} <= given.keys():
            raise Stop(
                "Nothing could be measured, so say torch_version=… and torch_backend=… both. uv "
                f"says:\n\n{state.table.why_nothing}"
            )
        command = ["uv-torch-adopt", str(self.options.path)]
        asked = change(state.views[0], given, command)
        texts = apply(state.texts, asked.edits)
        after = self.look(state.projects, texts) if texts != state.texts else state
        if after.table.why_nothing and not (state.table.why_nothing and self.options.unmeasured):
            raise Stop(not_lockable(after.table))
        self.notes = [*map(str, asked.plan.notes), *missed(after.views[0], asked.plan)]
        return after


def unhelpful(chosen: Sequence[Finding], before: State, after: State) -> set[str]:
    """Return the findings that are left after their mend; all, if nothing is measured any more."""
    texts = {finding.text for finding in chosen}
    is_lost = after.table.why_nothing and not before.table.why_nothing
    return texts if is_lost else texts & {finding.text for finding in after.findings}


def with_text(manifest: Manifest, texts: Mapping[Path, str]) -> Manifest:
    """Return a file with another text."""
    text = texts.get(manifest.path, manifest.text)
    return Manifest(manifest.path, text, parsed(manifest.path, text))


def not_lockable(table: Table) -> str:
    """Return why a change is not made."""
    return (
        f"With these changes uv would not lock. Nothing is written. uv says:\n\n{table.why_nothing}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns 1 where `--check` finds something broken, or anything with `--strict`; 2 where nothing
    can be said of the project, or an answer cannot be served.
    """
    options, given = read_arguments(arguments)
    for stream in (sys.stdout, sys.stderr):
        # A console of Windows, or a pipe under LC_ALL=C, may not have every letter.
        if isinstance(stream, TextIO) or hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        status = run(options, given)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who reads has seen enough, as `head` has; Python would flush once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Stop as stop:
        return stopped(options, str(stop))
    except KeyboardInterrupt:
        return stopped(options, "Interrupted. Nothing was written.")
    except RecursionError:
        return stopped(options, "The tables or lists of this file are nested too deeply.")
    return status


def stopped(options: argparse.Namespace, why: str) -> int:
    """Say why there is no result."""
    if options.json:
        print(json.dumps({"error": why}))
    print(f"Error: {why}", file=sys.stderr)
    return 2


def read_arguments(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, dict[str, str]]:
    """Take the command line apart; options, answers and the path stand in any order."""
    parser = argparse.ArgumentParser(prog="uv-torch-adopt", description=__doc__)
    parser.add_argument(
        "words",
        nargs="*",
        metavar="PATH or key=value",
        help=f"a project's folder or its pyproject.toml; answers: {', '.join(ANSWERS)}",
    )
    for name, text in (
        ("check", "end with 1 if something is broken, and show no difference"),
        ("strict", "with --check: end with 1 for whatever is found"),
        ("locked", "with --check: read uv.lock as it is, and ask no index"),
        ("write", "write what the difference shows"),
        ("drifts", "mend also what lets platforms or days lock different releases"),
        ("advice", "mend also what is advice"),
        ("unmeasured", "with --write: write although uv could not lock"),
        ("json", "print JSON"),
    ):
        parser.add_argument(f"--{name}", action="store_true", help=text)
    options = parser.parse_intermixed_args(arguments)
    answers = [word for word in options.words if "=" in word and not Path(word).exists()]
    paths = [word for word in options.words if word not in answers]
    given = dict(word.partition("=")[::2] for word in answers)
    if unknown := [key for key in given if key not in ANSWERS]:
        parser.error(f"{unknown[0]} is no answer about torch; those are: {', '.join(ANSWERS)}")
    if len(paths) > 1:
        parser.error(f"one path at a time, and not {listed(paths)}")
    if options.locked and not options.check:
        parser.error("--locked goes with --check")
    options.path = Path(*paths)
    return options, given


def run(options: argparse.Namespace, given: Mapping[str, str]) -> int:
    """Measure, find, and mend unless it is only to be checked."""
    projects = read_projects(options.path)
    with copied(projects) as copy:
        command = Command(options, load_facts(), copy)
        before = command.look(projects)
        if options.check:
            return checked(before, options)
        levels = [BROKEN, *([DRIFTS] * options.drifts), *([ADVICE] * options.advice)]
        first = command.mend(before, levels if not given or before.table.why_nothing else [])
        asked = command.ask(first.state, given) if given else first.state
        then = command.mend(asked, levels) if given else first
    after, mends = then.state, (*first.findings, *(then.findings if given else ()))
    if not given:
        refuse_unasked(before, after, then.places)
    elif not asked.table.why_nothing:
        refuse_unasked(asked, after, then.places)
    if not options.json:
        show(before, after, mends, options, command.notes)
    if options.write and after.texts != before.texts:
        write(before, after, options)
    if options.json:
        show(before, after, mends, options, command.notes)
    return 0


def checked(state: State, options: argparse.Namespace) -> int:
    """Print what is found, and return what `--check` ends with."""
    if options.json:
        print(json.dumps(as_json({"today": (state.table, state.views)}, state.findings)))
    else:
        print(*table_lines("Today", state.table, state.views), sep="\n")
        print(*finding_lines(state.findings), sep="\n", end="\n" * bool(state.findings))
    counts = [one for one in state.findings if options.strict or one.level == BROKEN]
    return 1 if counts else 2 * bool(state.table.why_nothing)


def refuse_unasked(before: State, after: State, asked: Collection[Place]) -> None:
    """Raise `Stop` where a cell changed that no mend was for."""
    if before.table.why_nothing:
        return
    moved = [
        place
        for old, new in zip(before.views, after.views, strict=True)
        for place in dict.fromkeys([*old.cells, *new.cells])
        if place not in asked and old.essence(place) != new.essence(place)
    ]
    if moved:
        cells = listed([*dict.fromkeys(f"{one.platform} (`{one.option}`)" for one in moved)])
        raise Stop(
            f"The mend would change what {cells} gets, which nobody asked for. Nothing is written. "
            "--check shows what is wrong; an answer, such as torch_version=…, changes it all."
        )


def show(
    before: State,
    after: State,
    mends: Sequence[Finding],
    options: argparse.Namespace,
    notes: Sequence[str],
) -> None:
    """Print both tables, what was found, and the difference of the files."""
    lines = [
        line
        for path, text in before.texts.items()
        for line in difflib.unified_diff(
            text.splitlines(), after.texts[path].splitlines(), path.name, path.name, lineterm=""
        )
    ]
    is_same = after.texts == before.texts
    if options.json:
        tables = {"today": (before.table, before.views)}
        tables |= {} if is_same else {"after": (after.table, after.views)}
        print(json.dumps(as_json(tables, before.findings, difference=lines, notes=notes)))
        return
    texts = {finding.text for finding in mends}
    print(*table_lines("Today", before.table, before.views), "", sep="\n")
    print(*finding_lines(before.findings, texts), sep="\n", end="\n" * bool(before.findings))
    if is_same:
        print("Nothing is to be changed.")
        return
    print("", *lines, "", *table_lines("After", after.table, after.views), "", sep="\n")
    print(*notes, sep="\n", end="\n" * bool(notes))
    known = {finding.text for finding in before.findings}
    for text in unique(one.text for one in mends if one.text not in known):
        print(f"mended on the way: {text}")
    print(*finding_lines(one for one in after.findings if one.text not in known), sep="\n")
    if not options.write:
        print("Nothing is written. --write writes it.")


def write(before: State, after: State, options: argparse.Namespace) -> None:
    """Write the files, and say what comes next."""
    if after.table.why_nothing and not options.unmeasured:
        raise Stop("Nothing could be measured, so nothing is written without --unmeasured.")
    texts = {path: text for path, text in after.texts.items() if text != before.texts[path]}
    replace_files({path: before.texts[path] for path in texts}, texts)
    option = after.views[0].project.options[0]
    having = [seen.place.option for view in after.views for seen in view.seen if seen.torch]
    next_step = name_all((having or [option])[:1], ())
    if not options.json:
        folder = after.projects[0].manifest.path.parent
        print(f"{listed([str(path) for path in texts])} is written. Next, in {folder}: {next_step}")


if __name__ == "__main__":
    sys.exit(main())
