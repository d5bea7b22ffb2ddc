"""Show which PyTorch each platform gets in a project and what is wrong with that, and mend it.

Nothing is written without --write. Answers such as torch_version=2.9.1 change what is asked for.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from adopt import Stop
from adopt.answers import ANSWERS, change
from adopt.document import parsed, replace_files
from adopt.edit import Edit, apply
from adopt.find import BROKEN, LEVELS, Finding, View, find
from adopt.measure import copied, measure
from adopt.parse import Manifest, Project, read_project, read_projects
from adopt.report import State, as_json, text_lines
from torch_plan.addresses import ADOPT
from torch_plan.catalog.facts import load_facts
from torch_plan.text import listed
from torch_plan.urls import masked

_OPTIONS = {
    "check": "end with 1 if something is broken, and show no difference",
    "strict": "as --check, and end with 1 for whatever is found",
    "locked": "as --check, and read uv.lock as it is; no index is asked",
    "write": "write what the difference shows",
    "drifts": "also mend what lets platforms lock different releases",
    "advice": "also mend what is advice",
    "unmeasured": "with --write: write although uv could not lock",
    "json": "print JSON",
}

_REASONS = {
    KeyboardInterrupt: "Interrupted. Nothing was written.",
    RecursionError: "The tables or lists of this file are nested too deeply.",
}


class Command(NamedTuple):
    """One run of the command, in one copy of the project."""

    options: argparse.Namespace
    projects: Sequence[Project]
    copy: Path

    def look(self, projects: Sequence[Project], *, is_changed: bool = False) -> State:
        """Measure projects, and find what is wrong."""
        # What a mend writes is not what somebody named.
        texts = [file.text for one in self.projects for file in (one.root, one.manifest)]
        names_arm = any(re.search(r"(?m)^[^#\n]*aarch64", text) for text in texts)
        locked = self.options.locked
        table = measure(projects, load_facts(), self.copy, is_changed=is_changed, locked=locked)
        views = [View(one, table, load_facts(), names_arm=names_arm) for one in projects]
        findings: dict[str, Finding] = {}
        for finding in chain(*map(find, views)):
            edits = findings.get(finding.text, finding._replace(edits=())).edits
            findings[finding.text] = finding._replace(edits=[*edits, *finding.edits])
        return State(projects, table, views, [*findings.values()])

    def edited(self, state: State, edits: Sequence[Edit]) -> State:
        """Carry out edits, and look again."""
        texts = apply(state.texts, edits)
        if texts == state.texts:
            return state
        files = {path: Manifest(path, text, parsed(path, text)) for path, text in texts.items()}
        pairs = [(one.manifest.path, one.root.path) for one in state.projects]
        projects = [read_project(files[manifest], files[root]) for manifest, root in pairs]
        return self.look(projects, is_changed=True)

    def mend(self, state: State) -> tuple[State, list[str]]:
        """Mend what can be mended, and look after each mend; what does not help is undone.

        Raises `Stop` where a cell changed that no mend was for, or something else is broken.
        """
        levels = {BROKEN, *filter(vars(self.options).get, LEVELS)}
        before, mended, tried = state, dict[str, Sequence[str]](), set[str]()
        while left := [
            one for one in state.findings if one.level in levels and one.text not in tried
        ]:
            chosen = left[0]
            tried.add(chosen.text)
            after = self.edited(state, chosen.edits)
            is_lost = after.table.why_nothing and not state.table.why_nothing
            gone = {one.text: one.platforms for one in state.more_than(after) if one in left}
            if not is_lost and chosen.text in gone:
                state, mended = after, mended | gone
        if not before.table.why_nothing:
            refuse_unasked(before, state, {*chain(*mended.values())})
        return state, [*mended]

    def ask(self, state: State, given: Mapping[str, str]) -> tuple[State, list[str]]:
        """Change what somebody asked for, and measure it; returns what to say of it, too."""
        if len(state.projects) > 1:
            raise Stop("Answers are for one package: name the folder of it.")
        if state.table.why_nothing and not {"torch_version", "torch_backend"} <= given.keys():
            raise Stop(
                "Nothing could be measured. Mend that first, or say torch_version=… and "
                f"torch_backend=… both. uv says:\n\n{masked(state.table.why_nothing)}"
            )
        asked = change(state.views[0], given, [*ADOPT, str(self.options.path)])
        after = self.edited(state, asked.edits)
        return after, [*map(str, asked.plan.notes), *asked.missed(after.views[0])]


def refuse_unasked(before: State, after: State, asked: Collection[str]) -> None:
    """Raise `Stop` where a platform changed that no mend was for, or something new is broken."""
    moved = [
        f"other versions on {place.platform} (`{place.option}`)"
        for old, new in zip(before.views, after.views, strict=True)
        for place in dict.fromkeys([*old.cells, *new.cells])
        if place.platform not in asked and old.essence(place) != new.essence(place)
    ]
    broken = [one.text for one in after.more_than(before) if one.level == BROKEN]
    if unasked := [*dict.fromkeys(moved), *broken]:
        raise Stop(
            "The mend would bring what nobody asked for, so nothing is written. --check shows what "
            "is wrong; an answer, such as torch_version=…, changes it all.\n\n" + "\n".join(unasked)
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status, as docs/adopt.md has it."""
    options, given = read_arguments(arguments)
    for stream in (sys.stdout, sys.stderr):
        # A console of Windows, or a pipe under LC_ALL=C, may not have every letter.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        status = run(options, given)
        sys.stdout.flush()
    except (Stop, OSError, *_REASONS) as stop:
        if isinstance(stop, OSError) and stop.errno in (errno.EPIPE, errno.EINVAL):
            # Who reads has seen enough, as `head` has; Windows says EINVAL of that. Python would
            # flush once more at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        why = _REASONS.get(type(stop), masked(str(stop)))
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
    if len(given) < len(answers):
        parser.error(f"give each answer once, and not {masked(' '.join(answers))}")
    if len(paths) > 1:
        parser.error(f"one path at a time, and not {listed(paths)}")
    options.check |= options.locked or options.strict
    if options.check and (given or options.write):
        parser.error("--check, --strict and --locked change nothing: leave out answers and --write")
    options.path = Path(*paths)
    return options, given


def run(options: argparse.Namespace, given: Mapping[str, str]) -> int:
    """Measure, find, and mend unless it is only to be checked; returns what the command does."""
    projects = read_projects(options.path)
    notes, mends = list[str](), list[str]()
    with copied(projects) as copy:
        command = Command(options, projects, copy)
        today = after = command.look(projects)
        if not options.check:
            if given:
                after, notes = command.ask(today, given)
            after, mends = command.mend(after)
    is_blind = after.table.why_nothing and not options.unmeasured
    changed = dict(sorted(after.texts.items() - today.texts.items()))
    if options.write:
        if changed and is_blind:
            raise Stop(
                "uv would not lock this, so nothing is written without --unmeasured. uv says:\n\n"
                f"{masked(after.table.why_nothing)}"
            )
        replace_files(today.texts, changed)
    if options.json:
        print(json.dumps(as_json(today, after, notes)))
    else:
        print(*text_lines(today, after, mends, notes), sep="\n")
    if options.check:
        return check_status(today, is_strict=options.strict)
    if not options.json:
        print(f"\n{ending(changed, is_written=options.write)}")
    return 2 if is_blind else 0


def check_status(today: State, *, is_strict: bool) -> int:
    """Return 1 where something counts, 2 where torch could not be measured."""
    if any(is_strict or one.level == BROKEN for one in today.findings):
        return 1
    return 0 if all(view.is_measured for view in today.views) else 2


def ending(changed: Collection[Path], *, is_written: bool) -> str:
    """Return what became of the files that a change is for."""
    if changed and is_written:
        return f"{listed([*map(str, changed)])} is written."
    return f"Nothing is {'written. --write writes it' if changed else 'changed'}."


if __name__ == "__main__":
    sys.exit(main())
