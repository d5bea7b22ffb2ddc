"""Show which PyTorch each platform gets in a project, what is wrong with that, and mend it.

Nothing is written without --write. Answers such as torch_version=2.9.1 change what is asked for.
"""

from __future__ import annotations

import argparse
import difflib
import errno
import json
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from adopt import Stop
from adopt.answers import ANSWERS, change
from adopt.edit import apply
from adopt.files import parsed, replace_files
from adopt.find import ADVICE, BROKEN, DRIFTS, Finding, View, find
from adopt.measure import Table, copied, measure
from adopt.parse import Manifest, Project, read_project, read_projects
from adopt.report import as_json, finding_lines, name_all, table_lines
from torch_plan.catalog.facts import Facts, load_facts
from torch_plan.text import listed
from torch_plan.urls import masked

_ROUNDS = 8
"""How often what was mended is measured again; one mend can show the next fault."""

_OPTIONS = {
    "check": "end with 1 if something is broken, and show no difference",
    "strict": "with --check: end with 1 for whatever is found",
    "locked": "with --check: read uv.lock as it is, and ask no index",
    "write": "write what the difference shows",
    "drifts": "mend also what lets platforms or days lock different releases",
    "advice": "mend also what is advice",
    "unmeasured": "with --write: write although uv could not lock",
    "json": "print JSON",
}


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

    def mendable(self, levels: Collection[str], useless: Collection[str]) -> list[Finding]:
        """Return what can be mended, of some levels, and was not tried in vain."""
        findings = [one for one in self.findings if one.edits and one.level in levels]
        return [one for one in findings if one.text not in useless]

    def left_of(self, chosen: Sequence[Finding], before: State) -> set[str]:
        """Return which findings are there after their mend; all, if nothing is measured now."""
        names = {finding.text for finding in chosen}
        is_lost = self.table.why_nothing and not before.table.why_nothing
        return names if is_lost else names & {finding.text for finding in self.findings}

    def more_than(self, other: State) -> list[Finding]:
        """Return what is found here, and was not there."""
        known = {finding.text for finding in other.findings}
        return [finding for finding in self.findings if finding.text not in known]


class Command:
    """One run of the command, in one copy of the project."""

    def __init__(self, options: argparse.Namespace, facts: Facts, projects: list[Project]) -> None:
        self.options, self.facts, self.projects = options, facts, projects
        texts = State(projects, Table({}, {}), (), ()).texts.values()
        self.names_arm = any("aarch64" in text for text in texts)

    def look(self, copy: Path, texts: Mapping[Path, str] | None = None) -> State:
        """Measure the projects, with other texts in their files if there are any."""
        projects = self.projects
        if texts is not None:
            projects = [
                read_project(with_text(one.manifest, texts), with_text(one.root, texts))
                for one in projects
            ]
        is_changed, locked = texts is not None, self.options.locked
        table = measure(projects, self.facts, copy, is_changed=is_changed, locked=locked)
        views = [View(one, table, self.facts, names_arm=self.names_arm) for one in projects]
        findings = {finding.text: finding for view in views for finding in find(view)}
        return State(projects, table, views, [*findings.values()])

    def mend(
        self, copy: Path, state: State, levels: Collection[str]
    ) -> tuple[State, list[Finding]]:
        """Mend what can be mended, and measure after each round; what does not help is undone.

        Raises `Stop` where a cell changed that no mend was for, or something else is broken.
        """
        before, mended, useless, most = state, list[Finding](), set[str](), None
        for _ in range(_ROUNDS):
            chosen = state.mendable(levels, useless)[:most]
            texts = apply(state.texts, [edit for one in chosen for edit in one.edits])
            if texts == state.texts:
                break
            after = self.look(copy, texts)
            left = after.left_of(chosen, state)
            if not left:
                mended, state = [*mended, *chosen], after
            elif after.table.why_nothing and len(chosen) > 1:
                # One of them is why it does not lock any more, so they are tried one by one.
                most = 1
            else:
                useless |= left
        if not before.table.why_nothing:
            refuse_unasked(before, state, {name for one in mended for name in one.platforms})
        return state, mended

    def ask(self, copy: Path, state: State, given: Mapping[str, str]) -> tuple[State, list[str]]:
        """Change what somebody asked for, and measure it; returns what to say of it, too."""
        if len(state.projects) > 1:
            names = listed([one.manifest.path.parent.name for one in state.projects], "or")
            raise Stop(f"Answers are for one package. Name its folder: {names}.")
        why = state.table.why_nothing
        if why and not {"torch_version", "torch_backend"} <= given.keys():
            raise Stop(
                "Nothing could be measured, so say torch_version=… and torch_backend=… both. uv "
                f"says:\n\n{masked(why)}"
            )
        asked = change(state.views[0], given, ["uv-torch-adopt", str(self.options.path)])
        texts = apply(state.texts, asked.edits)
        after = self.look(copy, texts) if texts != state.texts else state
        if after.table.why_nothing and not (why and self.options.unmeasured):
            raise Stop(
                "With these changes uv would not lock. Nothing is written. uv says:\n\n"
                f"{masked(after.table.why_nothing)}"
            )
        return after, [*map(str, asked.plan.notes), *asked.missed(after.views[0])]


def with_text(manifest: Manifest, texts: Mapping[Path, str]) -> Manifest:
    """Return a file with another text."""
    text = texts.get(manifest.path, manifest.text)
    return Manifest(manifest.path, text, parsed(manifest.path, text))


def refuse_unasked(before: State, after: State, asked: Collection[str]) -> None:
    """Raise `Stop` where a platform changed that no mend was for, or something new is broken."""
    moved = [
        place
        for old, new in zip(before.views, after.views, strict=True)
        for place in dict.fromkeys([*old.cells, *new.cells])
        if place.platform not in asked and old.essence(place) != new.essence(place)
    ]
    if moved:
        cells = listed([*dict.fromkeys(f"{one.platform} (`{one.option}`)" for one in moved)])
        folders = [str(one.manifest.path.parent) for one in after.projects[1:]]
        one_package = f" Or try a package alone: {listed(folders, 'or')}." * bool(folders)
        raise Stop(
            f"The mend would change what {cells} gets, which nobody asked for. Nothing is written. "
            "--check shows what is wrong; an answer, such as torch_version=…, changes it all."
            f"{one_package}"
        )
    for one in after.more_than(before):
        if one.level == BROKEN:
            raise Stop(f"The mend would leave something new broken: {one.text} Nothing is written.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns 1 where `--check` finds something broken, or anything with `--strict`; 2 where nothing
    can be said of the project, or of an option that names torch, or an answer cannot be served.
    """
    options, given = read_arguments(arguments)
    for stream in (sys.stdout, sys.stderr):
        # A console of Windows, or a pipe under LC_ALL=C, may not have every letter.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        status = run(options, given)
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EINVAL):
            raise
        # Who reads has seen enough, as `head` has; Windows says EINVAL of that. Python would flush
        # once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Stop, KeyboardInterrupt, RecursionError) as stop:
        reasons = {
            KeyboardInterrupt: "Interrupted. Nothing was written.",
            RecursionError: "The tables or lists of this file are nested too deeply.",
        }
        why = reasons.get(type(stop), str(stop))
        if options.json:
            print(json.dumps({"error": why}))
        print(f"Error: {why}", file=sys.stderr)
        return 2
    return status


def read_arguments(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, dict[str, str]]:
    """Take the command line apart; options, answers and the path stand in any order."""
    parser = argparse.ArgumentParser(prog="uv-torch-adopt", description=__doc__)
    words = f"a project's folder or its pyproject.toml; answers: {', '.join(ANSWERS)}"
    parser.add_argument("words", nargs="*", metavar="PATH or key=value", help=words)
    for name, text in _OPTIONS.items():
        parser.add_argument(f"--{name}", action="store_true", help=text)
    options = parser.parse_intermixed_args(arguments)
    answers = [word for word in options.words if "=" in word and not Path(word).exists()]
    given = dict(word.split("=", 1) for word in answers)
    paths = sorted({*options.words} - {*answers})
    for key in given.keys() - ANSWERS:
        parser.error(f"{key} is no answer about torch; those are: {', '.join(ANSWERS)}")
    if len(paths) > 1:
        parser.error(f"one path at a time, and not {listed(paths)}")
    if options.locked and not options.check:
        parser.error("--locked goes with --check")
    options.path = Path(*paths)
    return options, given


def run(options: argparse.Namespace, given: Mapping[str, str]) -> int:
    """Measure, find, and mend unless it is only to be checked."""
    projects = read_projects(options.path)
    levels = [BROKEN, *([DRIFTS] * options.drifts), *([ADVICE] * options.advice)]
    notes, mends = list[str](), list[Finding]()
    with copied(projects) as copy:
        command = Command(options, load_facts(), projects)
        today = after = command.look(copy)
        if options.check:
            return checked(today, options)
        if not given or today.table.why_nothing:
            after, mends = command.mend(copy, today, levels)
        if given:
            asked, notes = command.ask(copy, after, given)
            after, more = command.mend(copy, asked, levels)
            mends += more
    if options.write:
        write(today, after, options)
    show(today, after, mends, options, notes)
    is_said = after.findings or after.texts != today.texts
    return 0 if is_said or not after.table.why_nothing else 2


def write(today: State, after: State, options: argparse.Namespace) -> None:
    """Write what was changed."""
    changed = {path: text for path, text in after.texts.items() if text != today.texts[path]}
    if changed and after.table.why_nothing and not options.unmeasured:
        raise Stop(
            "Nothing could be measured, so nothing is written without --unmeasured. uv says:\n\n"
            f"{masked(after.table.why_nothing)}"
        )
    replace_files({path: today.texts[path] for path in changed}, changed)


def checked(state: State, options: argparse.Namespace) -> int:
    """Print what is found, and return what `--check` ends with."""
    if options.json:
        print(json.dumps(as_json({"today": (state.table, state.views)}, state.findings)))
    else:
        print(*table_lines("Today", state.table, state.views), sep="\n")
        print(*finding_lines(state.findings), sep="\n", end="\n" * bool(state.findings))
    counts = [one for one in state.findings if options.strict or one.level == BROKEN]
    return 1 if counts else 2 * (not all(view.is_measured for view in state.views))


def show(
    today: State,
    after: State,
    mends: Sequence[Finding],
    options: argparse.Namespace,
    notes: Sequence[str],
) -> None:
    """Print both tables, what was found, and the difference of the files."""
    lines = [
        line
        for path, old in today.texts.items()
        for line in difflib.unified_diff(
            old.splitlines(), after.texts[path].splitlines(), path.name, path.name, lineterm=""
        )
    ]
    states = {"Today": today} | ({"After": after} if lines else {})
    if options.json:
        tables = {name.lower(): (one.table, one.views) for name, one in states.items()}
        print(json.dumps(as_json(tables, today.findings, difference=lines, notes=notes)))
        return
    told = [*table_lines("Today", today.table, today.views), ""]
    told += finding_lines(today.findings, [one.text for one in mends])
    if lines:
        told += ["", *lines, "", *table_lines("After", after.table, after.views), "", *notes]
        new = State(after.projects, after.table, after.views, mends).more_than(today)
        told += dict.fromkeys(f"mended on the way: {one.text}" for one in new)
        told += finding_lines(after.more_than(today))
    print(*told, next_step(today, after, options), sep="\n")


def next_step(today: State, after: State, options: argparse.Namespace) -> str:
    """Return what was done, or how to do it."""
    paths = [str(path) for path, text in after.texts.items() if text != today.texts[path]]
    is_blind = bool(after.table.why_nothing)
    if not paths:
        return f"Nothing {'was measured, and nothing is' if is_blind else 'is to be'} changed."
    if not options.write:
        needs = "It could not be measured, so `--write` needs `--unmeasured` too."
        return f"Nothing is written. {needs if is_blind else '--write writes it.'}"
    having = [seen.place.option for view in after.views for seen in view.seen]
    command = name_all([*having, after.projects[0].options[0]][:1], ())
    folder = after.projects[0].manifest.path.parent
    return f"{listed(paths)} is written. Next, in {folder}: {command}"


if __name__ == "__main__":
    sys.exit(main())
