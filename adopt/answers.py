"""Answers are a change that somebody asks for: from what a project has, to what a plan says."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any, NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from adopt import Stop, parse
from adopt.edit import Edit, conflict, constrain
from adopt.find import Seen, View, grouped, is_pypi, platforms_in
from adopt.parse import BASE, CONSTRAINTS, GROUPS, INDEXES, KINDS, SOURCES, UV, Keys, Line, holds
from torch_plan.answers import records
from torch_plan.answers.problems import Problem, Refused
from torch_plan.answers.words import BackendWord
from torch_plan.catalog.versions import CPU, PYPI, TORCH
from torch_plan.project.markers import marked
from torch_plan.project.plan import Option, Plan, make_plan
from torch_plan.resolution.check import find_problems
from torch_plan.resolution.defaults import complete
from torch_plan.resolution.search import refusal_text
from torch_plan.text import shell_line
from torch_plan.urls import written

_BUILDS = ("torch_backend", "layout", "companions", "platforms", "pytorch_index")
"""The answers that choose indexes."""

ANSWERS = ("torch_version", "python_version", *_BUILDS)
"""The answers of the template that are about torch."""

_GATE = (*GROUPS, TORCH)


def variants(view: View) -> list[parse.Option]:
    """Return the extras or groups that choose a build; the first option with torch, if none do."""
    named = [option for option in view.project.options if view.is_variant(option)]
    having = [seen.place.option for seen in view.seen]
    return named if len(named) > 1 else having[:1]


def read_answers(view: View, given: Mapping[str, str]) -> dict[str, str]:
    """Return the answers that give what was measured, or defaults where there is no torch.

    A platform with a release of its own is left out, and so stays as it is.
    """
    options, read = variants(view), written_answers(view)
    # Of each platform the oldest Python, and platforms with an accelerator first.
    seen = {one.place[:2]: one for one in reversed(view.seen) if one.place.option in options}
    rows = sorted(seen.values(), key=lambda one: (options.index(one.place[0]), one.build == CPU))
    if not rows:
        several = {"layout": f"{options[0].kind}s"} if len(options) > 1 else {}
        return complete({**read, **several, **given}, view.facts)
    groups = grouped((one.place.option, one) for one in rows).values()
    words = [backend_word(view, group[0], rows[0]) for group in groups]
    pairs = [(one.place, group[0].torch.public) for group in groups for one in group]
    alike = [place for place, release in pairs if view.admits(place, release)]
    read |= {
        "torch_version": rows[0].torch.public,
        "torch_backend": " ".join(words),
        "layout": f"{options[0].kind}s" if len(options) > 1 else records.MARKERS,
        "platforms": " ".join(platforms_in([*alike, *view.lacking])),
    }
    return complete(read, view.facts)


def written_answers(view: View) -> dict[str, str]:
    """Return the answers that the files give, whatever is locked."""
    named = {line.name for line in view.project.lines if not line.is_setting}
    companions = [f"{name}?" for name in view.facts.all_companions if name in named]
    bases = [parse.base_of(index.url, view.facts) for index in view.project.indexes]
    read = {
        "torch_pin": pinned(view),
        "companions": " ".join(companions) or records.NO_COMPANIONS,
        "pytorch_index": next(filter(None, bases), ""),
        "python_version": view.oldest,
    }
    return {key: value for key, value in read.items() if value}


def backend_word(view: View, seen: Seen, main: Seen) -> str:
    """Return the word of `torch_backend` for the first cell of an option."""
    backend = PYPI if is_pypi(seen.torch) else seen.build or PYPI
    name = seen.place.option.name if len(variants(view)) > 1 else ""
    is_named = name and canonicalize_name(name) != canonicalize_name(backend)
    release = None if view.admits(seen.place, main.torch.public) else seen.torch.public
    return str(BackendWord(name if is_named else None, backend, release))


def pinned(view: View) -> str:
    """Return how torch is pinned; a library of the template has a group for its sources."""
    if parse.value_at(view.project.manifest.data, _GATE):
        return records.MINIMUM
    is_labelled = any(line.label for line in view.project.of(TORCH))
    return records.LOCAL if is_labelled else records.PUBLIC


def change(view: View, given: Mapping[str, str], command: Sequence[str]) -> Change:
    """Return the change that answers ask for. Raises `Stop` where there is no plan for them."""
    read, asked = read_answers(view, given), given.get("torch_backend", "").split()
    if read["layout"] != records.MARKERS and len(asked) == 1 and "layout" not in given:
        raise Stop(
            f"The project has several builds: torch_backend={read['torch_backend']!r}. Name all "
            f"that it is to have, or leave one: torch_backend={asked[0]} layout=markers."
        )
    answers = {**read, **given}
    try:
        plan = make_plan(complete(answers, view.facts), view.facts)
    except Refused:
        raise Stop(refusal(view, answers, given, command)) from None
    try:
        before = make_plan(complete(read, view.facts), view.facts) if variants(view) else None
    except Refused:
        before = None
    return Change(view, given, before, plan)


def refusal(
    view: View, answers: Mapping[str, str], given: Mapping[str, str], command: Sequence[str]
) -> str:
    """Return why no plan can be made, and the command that makes one."""

    def problems(changed: Mapping[str, str]) -> list[Problem]:
        return find_problems(complete({**answers, **changed}, view.facts), view.facts)

    def line(changed: Mapping[str, str]) -> str:
        keys = [key for key in changed if key in given or answers.get(key) != changed[key]]
        return shell_line([*command, *(f"{key}={changed[key]}" for key in keys)])

    return refusal_text({key: answers[key] for key in ANSWERS if key in answers}, problems, line)


class Change(NamedTuple):
    """What is asked for, the plan that gives what a project has, if there is one, and a new one.

    What the plan of before says word for word becomes what the new one says. All else is changed
    only as far as it was asked for.
    """

    view: View
    asked: Mapping[str, str]
    before: Plan | None
    plan: Plan

    @property
    def edits(self) -> list[Edit]:
        """All of it."""
        return [*self.lines(), *self.bounds(), *self.settings(), *self.options(), *self.sources()]

    @property
    def is_ours(self) -> bool:
        """Whether the project is one of the template: it names the platforms of its plan."""
        named = self.view.project.root.uv.get("environments")
        return self.before is not None and named == [*self.before.environments]

    @property
    def chooses(self) -> bool:
        """Whether somebody asks for other builds."""
        return not self.asked.keys().isdisjoint(_BUILDS)

    @property
    def index_names(self) -> dict[str, str]:
        """URL -> the name that a project has for this index."""
        indexes = reversed(self.view.project.indexes)
        return {written(one.url): one.name for one in indexes if one.name}

    def file(self, keys: Keys) -> parse.Manifest:
        """Return the file in which a setting or a requirement stands."""
        project = self.view.project
        return project.root if keys[0] == "tool" else project.manifest

    def lines(self) -> Iterator[Edit]:
        """Yield the edits of requirements, list by list."""
        family, project = self.view.family, self.view.project
        lists = grouped(((one.keys, one.name), one) for one in project.lines)
        old, new = planned(self.before), planned(self.plan)
        several = [one for one in variants(self.view) if len(variants(self.view)) > 1]
        choosing = {(*KINDS[one.kind], one.name) for one in several} or {BASE}
        for key in [key for key in {**lists, **new} if key[1] in family]:
            keys, lines, plans = key[0], lists.get(key, []), (old.get(key, []), new.get(key, []))
            texts = self.exchanged(lines, *plans) if lines else self.added(key, *plans)
            # A list that torch leaves keeps nothing of what comes with it.
            if keys in choosing and (keys, TORCH) not in new:
                texts = []
            for one, other in zip_longest([line.text for line in lines], texts):
                if one != other:
                    yield Edit(self.file(keys).path, keys, one, other)

    def added(self, key: tuple[Keys, str], old: list[str], new: list[str]) -> list[str]:
        """Return the requirements of one package for a list that has none of it.

        What only the plan of before has in a list was left out there by somebody.
        """
        (keys, name), project = key, self.view.project
        is_left_out = bool(old and project.of(TORCH))
        is_elsewhere = not self.before and keys == BASE and bool(project.of(name))
        is_foreign = keys[0] == "tool" and not self.is_ours
        return [] if is_left_out or is_elsewhere or is_foreign else new

    def exchanged(self, lines: Sequence[Line], old: list[str], new: list[str]) -> list[str]:
        """Return the requirements in the place of those of one package in one list.

        A label is for some platforms alone: where another build is asked for, the plan says it.
        """
        first = lines[0]
        if [line.text for line in lines] == old:
            return new
        cells = build_for(self.plan, first.keys).cells
        if self.chooses and any(line.label for line in lines) and not first.is_setting:
            pins = (
                (f"{first.name}=={package.full_version}", cell.platform)
                for cell in cells
                if any(self.is_for(line, cell.platform) for line in lines)
                if (package := cell.package(first.name))
            )
            marked_pins = marked(pins, {*self.view.platforms, *self.plan.platforms})
            return [f"{pin} ; {marker}" if marker else pin for pin, marker in marked_pins]
        if self.chooses and first.name in self.view.facts.all_tritons and not first.is_setting:
            texts = build_for(self.plan, first.keys).requirements
            return [text for text in texts if Requirement(text).name == first.name]
        return [self.respecified(line) for line in lines]

    def is_for(self, line: Line, platform: str) -> bool:
        """Tell whether a requirement holds on a platform with some Python of a plan."""
        marker = line.requirement.marker
        return any(holds(marker, platform, python) for python in self.plan.pythons)

    def respecified(self, line: Line) -> str:
        """Return a requirement with the version of a plan; one that admits it stays as it is."""
        packages = [
            (cell.release, package.version)
            for cell in build_for(self.plan, line.keys).cells
            if self.is_for(line, cell.platform)
            if (package := cell.package(line.name)) and package.version
        ]
        if not packages or line.requirement.url:
            return line.text
        release, version = packages[0]
        fitting = self.view.facts.companions(release).get(line.name, (version,))
        if any(map(line.public.contains, fitting)):
            return line.text
        pin = self.pin(line, release, version)
        return re.sub(r"\s*[(<>=!~][^;]*?(?=\s*(;|$))", pin, line.text, count=1)

    def pin(self, line: Line, release: str, version: str) -> str:
        """Return a version as a requirement holds the one that it has."""
        if line.is_exact:
            return f"=={version}+{line.label}" if line.label else f"=={version}"
        if line.is_setting and line.name != TORCH:
            return self.view.facts.pair_bounds(line.name, release)
        if all(one.operator.startswith(">") for one in line.requirement.specifier):
            return f">={version}"
        major, minor = map(int, version.split(".")[:2])
        return f">={version},<{major}.{minor + 1}"

    def bounds(self) -> Iterator[Edit]:
        """Yield the constraint that holds a bound at the release that is asked for."""
        torch, releases = self.view.project.of(TORCH), self.plan.releases
        is_held = any(one.is_exact and one.is_setting for one in torch)
        is_asked = "torch_version" in self.asked and len(releases) == 1
        if is_asked and not is_held and not all(one.is_exact for one in torch):
            yield constrain(self.view.project, f"{TORCH}=={releases[0]}")

    def settings(self) -> Iterator[Edit]:
        """Yield the edits of settings that were asked for, or are as the plan of before says."""
        old = settings_of(self.before or self.plan)
        for keys, (answer, new) in settings_of(self.plan).items():
            value = parse.value_at(self.file(keys).data, keys)
            is_kept = (value or None) == (old[keys][1] or None)
            if answer in self.asked or (self.is_ours and is_kept):
                yield Edit(self.file(keys).path, keys, None, new, whole=True)

    def options(self) -> Iterator[Edit]:
        """Yield the default among the groups of a plan, and the conflict of its options."""
        plan, project = self.plan, self.view.project
        named = {(one.kind, canonicalize_name(one.name)) for one in variants(self.view)}
        wanted = {(plan.selector, canonicalize_name(one.name)) for one in plan.options}
        gone = named - wanted
        defaults = parse.default_groups(project)
        left = [one for one in defaults if ("group", canonicalize_name(one)) not in gone]
        if plan.groups and wanted.isdisjoint(("group", one) for one in left):
            left.append(plan.default.name)
        if left != defaults:
            yield Edit(project.root.path, (*UV, "default-groups"), None, left, whole=True)
        yield from self.conflicts(wanted, gone)

    def conflicts(self, wanted: set[Any], gone: set[Any]) -> Iterator[Edit]:
        """Yield the conflict of the options of a plan, in the place of one that loses some."""
        project, plan = self.view.project, self.plan
        entries = project.root.uv.get("conflicts", [])
        known = [(parse.chosen_in(entry, project.manifest.name), entry) for entry in entries]
        old = [entry for chosen, entry in known if chosen & gone]
        if not plan.conflicts:
            yield from (Edit(project.root.path, (*UV, "conflicts"), one, None) for one in old)
        elif old or not any(wanted <= chosen for chosen, _ in known):
            options = [(plan.selector, one.name) for one in plan.options]
            yield conflict(project, old[0] if old else None, options)

    def sources(self) -> Iterator[Edit]:
        """Yield the edits of sources and indexes."""
        project = self.view.project
        old = grouped((one.name, dict(one.entry)) for one in project.sources)
        places = {one.name: (one.path, one.key) for one in project.sources}
        changed = self.changed_sources(old)
        for name, entries in changed.items():
            path, key = places.get(name, (project.manifest.path, name))
            value = entries[0] if len(entries) == 1 else entries
            yield Edit(path, (*SOURCES, key), None, value, whole=True)
        if self.chooses or changed:
            used = {entry.get("index") for entry in chain(*{**old, **changed}.values())}
            yield from self.indexes(used)

    def changed_sources(self, old: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Return the new sources of those packages that the project has, where they change."""
        plan, ours = self.plan, sources_of(self.before, self.index_names)
        new = sources_of(plan, self.index_names)
        present = {TORCH, *plan.companions, *plan.tritons, *old, *(new if self.is_ours else ())}
        present.update(*(cell.packages for cell in self.view.cells.values()))
        names = [name for name in {**old, **new} if name in self.view.family & present]
        if not self.chooses:
            names = [name for name in names if old.get(name, []) == ours.get(name, [])]
        entries = {name: new.get(name, []) for name in names}
        return {name: entries[name] for name in names if entries[name] != old.get(name, [])}

    def indexes(self, used: Collection[Any]) -> Iterator[Edit]:
        """Yield the edits that declare what sources name, and take away PyTorch's that none do."""
        project = self.view.project
        for index in self.plan.indexes:
            if index.name in used and written(index.url) not in self.index_names:
                flat = {"format": "flat"} if index.flat else {}
                entry = {"name": index.name, "url": index.url, **flat, "explicit": True}
                clash = project.index_named(index.name)
                path, old = (clash.path, clash.entry) if clash else (project.root.path, None)
                yield Edit(path, INDEXES, old, entry)
        for one in project.indexes:
            if one.entry and one.name not in used and parse.base_of(one.url, self.view.facts):
                yield Edit(one.path, INDEXES, one.entry, None)

    def missed(self, after: View) -> list[str]:
        """Return what uv gives in the place of what was asked for."""
        seen = [one for one in after.seen if one.place.platform in self.plan.platforms]
        others = {one.torch.public for one in seen} - {*self.plan.releases}
        others = others if "torch_version" in self.asked else set()
        return [f"Not as asked: something holds torch {one}." for one in sorted(others)]


def build_for(plan: Plan, keys: Keys) -> Option:
    """Return the option of a plan that a list of requirements belongs to."""
    name = canonicalize_name(keys[-1])
    named = [one for one in plan.options if plan.selector and canonicalize_name(one.name) == name]
    return [*named, plan.default][0]


def planned(plan: Plan | None) -> dict[tuple[Keys, str], list[str]]:
    """Return the requirements of a plan by list and package."""
    if plan is None:
        return {}
    lists = {BASE: plan.dependencies, _GATE: plan.gate, CONSTRAINTS: plan.constraints}
    for option in plan.options if plan.selector else ():
        lists[*KINDS[plan.selector], option.name] = option.requirements
    texts = [(keys, text) for keys in lists for text in lists[keys]]
    return grouped(((keys, Requirement(text).name), text) for keys, text in texts)


def settings_of(plan: Plan) -> dict[Keys, tuple[str, Any]]:
    """Return the settings of a plan, each with the answer that asks for it."""
    return {
        ("project", "requires-python"): ("python_version", plan.requires_python),
        (*UV, "environments"): ("platforms", [*plan.environments]),
        (*UV, "required-environments"): ("platforms", [*plan.environments]),
        (*UV, "exclude-newer-package"): ("", dict.fromkeys(plan.sources, False)),
    }


def sources_of(plan: Plan | None, names: Mapping[str, str]) -> dict[str, list[dict[str, str]]]:
    """Return the sources of a plan as a file says them that has its own names for indexes' URLs."""
    sources: dict[str, list[dict[str, str]]] = {}
    urls = {index.name: written(index.url) for index in plan.indexes} if plan else {}
    for name, entries in (plan.sources if plan else {}).items():
        for index, *others in entries:
            texts = (names.get(urls[index], index), *others)
            pairs = zip(("index", "marker", "extra", "group"), texts, strict=True)
            sources.setdefault(name, []).append({key: text for key, text in pairs if text})
    return sources
