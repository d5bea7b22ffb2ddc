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
from adopt.document import parsed, replace_files
from adopt.edit import apply
from adopt.find import ADVICE, BROKEN, DRIFTS, View, find
from adopt.measure import copied, measure
from adopt.parse import Manifest, Project, read_project, read_projects
from adopt.report import State, as_json, text_lines
from torch_plan.catalog.facts import Facts, load_facts
from torch_plan.text import listed
from torch_plan.urls import masked

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

_REASONS = {
    KeyboardInterrupt: "Interrupted. Nothing was written.",
    RecursionError: "The tables or lists of this file are nested too deeply.",
}


class Command(NamedTuple):
    """One run of the command, in one copy of the project."""

    options: argparse.Namespace
    facts: Facts
    projects: Sequence[Project]
    copy: Path

    def look(self, texts: Mapping[Path, str] | None = None) -> State:
        """Measure the projects, with other texts in their files if there are any."""
        projects, is_changed = self.projects, texts is not None
        # What a mend writes is not what somebody named.
        written = {file.text for one in projects for file in (one.root, one.manifest)}
        if texts is not None:
            files = {path: Manifest(path, text, parsed(path, text)) for path, text in texts.items()}
            projects = [
                read_project(files[one.manifest.path], files[one.root.path]) for one in projects
            ]
        locked, names_arm = self.options.locked, any("aarch64" in text for text in written)
        table = measure(projects, self.facts, self.copy, is_changed=is_changed, locked=locked)
        views = [View(one, table, self.facts, names_arm=names_arm) for one in projects]
        findings = {finding.text: finding for view in views for finding in find(view)}
        return State(projects, table, views, [*findings.values()])

    def mend(self, state: State, levels: Collection[str]) -> tuple[State, list[str]]:
        """Mend what can be mended, and measure after each; what does not help is undone.

        Raises `Stop` where a cell changed that no mend was for, or something else is broken.
        """
        before, mended, tried = state, dict[str, Sequence[str]](), set[str]()
        while left := [
            one
            for one in state.findings
            if one.edits and one.level in levels and one.text not in tried
        ]:
            chosen = left[0]
            tried.add(chosen.text)
            texts = apply(state.texts, chosen.edits)
            after = self.look(texts) if texts != state.texts else state
            is_lost = after.table.why_nothing and not state.table.why_nothing
            found = {one.text for one in after.findings}
            gone = {one.text: one.platforms for one in left if one.text not in found}
            if not is_lost and chosen.text in gone:
                state, mended = after, mended | gone
        if not before.table.why_nothing:
            refuse_unasked(before, state, {name for names in mended.values() for name in names})
        return state, [*mended]

    def ask(self, state: State, given: Mapping[str, str]) -> tuple[State, list[str]]:
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
        after = self.look(texts) if texts != state.texts else state
        return after, [*map(str, asked.plan.notes), *asked.missed(after.views[0])]


def refuse_unasked(before: State, after: State, asked: Collection[str]) -> None:
    """Raise `Stop` where a platform changed that no mend was for, or something new is broken."""
    moved = [
        f"{place.platform} (`{place.option}`)"
        for old, new in zip(before.views, after.views, strict=True)
        for place in dict.fromkeys([*old.cells, *new.cells])
        if place.platform not in asked and old.essence(place) != new.essence(place)
    ]
    if moved:
        raise Stop(
            f"The mend would change what {listed([*dict.fromkeys(moved)])} gets, which nobody "
            "asked for. Nothing is written. --check shows what is wrong; an answer, such as "
            "torch_version=…, changes it all."
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
    except (Stop, *_REASONS) as stop:
        why = _REASONS.get(type(stop), str(stop))
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
    """Measure, find, and mend unless it is only to be checked; returns what the command does."""
    projects = read_projects(options.path)
    levels = [BROKEN, *([DRIFTS] * options.drifts), *([ADVICE] * options.advice)]
    notes, mends = list[str](), list[str]()
    with copied(projects) as copy:
        command = Command(options, load_facts(), projects, copy)
        today = after = command.look()
        if not options.check:
            if not given or today.table.why_nothing:
                after, mends = command.mend(today, levels)
            if given:
                asked, notes = command.ask(after, given)
                after, more = command.mend(asked, levels)
                mends += more
    changed = {path: text for path, text in after.texts.items() if text != today.texts[path]}
    is_blind = bool(after.table.why_nothing) and not options.unmeasured
    if options.write and changed:
        if is_blind:
            raise Stop(
                "uv would not lock this, so nothing is written without --unmeasured. uv says:\n\n"
                f"{masked(after.table.why_nothing)}"
            )
        replace_files(today.texts, changed)
    difference = [
        line
        for path, old in today.texts.items()
        for line in difflib.unified_diff(
            old.splitlines(), after.texts[path].splitlines(), path.name, path.name, lineterm=""
        )
    ]
    if options.json:
        states = {"today": today} | ({"after": after} if difference else {})
        print(json.dumps(as_json(states, difference=difference, notes=notes)))
    else:
        print(*text_lines(today, after, mends, difference, notes), sep="\n")
    if not options.check and not options.json:
        print(next_step(after, [*map(str, changed)], options))
    if options.check:
        counts = [one for one in today.findings if options.strict or one.level == BROKEN]
        return 1 if counts else 2 * (not all(view.is_measured for view in today.views))
    return 2 * is_blind


def next_step(after: State, changed: Sequence[str], options: argparse.Namespace) -> str:
    """Return what was done, or how to do it."""
    if not changed:
        return "Nothing is changed."
    if not options.write:
        needs = " --unmeasured" * bool(after.table.why_nothing)
        return f"Nothing is written. --write{needs} writes it."
    having = [seen.place.option for view in after.views for seen in view.seen]
    command = [*having, after.projects[0].options[0]][0]
    folder = after.projects[0].manifest.path.parent
    return f"{listed(changed)} is written. Next, in {folder}: {command}"


if __name__ == "__main__":
    sys.exit(main())
