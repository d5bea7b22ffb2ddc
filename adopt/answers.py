"""Answers are a change that somebody asks for: from what a project has, to what a plan says."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from adopt import Stop, parse
from adopt.edit import Edit, constrain, exclude_each_other
from adopt.find import Seen, View, grouped, is_pypi
from adopt.parse import (
    BASE,
    CONSTRAINTS,
    GROUPS,
    INDEXES,
    KINDS,
    SOURCES,
    UV,
    Keys,
    Line,
    Option,
    holds,
)
from torch_plan.answers import records
from torch_plan.answers.problems import Problem, Refused
from torch_plan.answers.words import BackendWord, PlatformWord
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.versions import CPU, PYPI, TORCH
from torch_plan.project.plan import Option as Build
from torch_plan.project.plan import Plan
from torch_plan.project.planning import make_plan
from torch_plan.resolution.cells import Cell, Package
from torch_plan.resolution.check import find_problems, read_cells
from torch_plan.resolution.defaults import complete
from torch_plan.resolution.refusal import refusal_text
from torch_plan.text import shell_line
from torch_plan.urls import written

_BUILDS = ("torch_backend", "layout", "companions", "platforms", "pytorch_index")
"""The answers that choose indexes."""

ANSWERS = ("torch_version", "python_version", *_BUILDS)
"""The answers of the template that are about torch."""

ListAndName = tuple[Keys, str]
"""A list of requirements, and a package in it."""

_LAYOUTS = {"extra": records.EXTRAS, "group": records.GROUPS, "": records.MARKERS}

_ASKED = {
    "requires-python": "python_version",
    "environments": "platforms",
    "required-environments": "platforms",
}
"""Setting -> the answer that asks for it."""


class Plans(NamedTuple):
    """The plan that gives what a project has, if there is one, and that of the answers."""

    view: View
    before: Plan | None
    plan: Plan
    asked: Collection[str]

    @property
    def is_ours(self) -> bool:
        """Whether the project is one of the template: it names the platforms of its plan."""
        named = self.view.project.root.uv.get("environments", [])
        # It was one marker for all of them once.
        return self.before is not None and " or ".join(named) == " or ".join(
            self.before.environments
        )

    @property
    def chooses(self) -> bool:
        """Whether somebody asks for other builds."""
        return not {*self.asked}.isdisjoint(_BUILDS)

    @property
    def moves(self) -> bool:
        """Whether other builds are asked for, or follow from the release."""
        before = self.before or self.plan
        return self.chooses or before.sources != self.plan.sources

    @property
    def lists(self) -> dict[ListAndName, list[Line]]:
        """The requirements of torch's family, as the files have them."""
        lines = [line for line in self.view.project.lines if line.name in self.view.family]
        return grouped(((as_compared(line.keys), line.name), line) for line in lines)

    @property
    def gone(self) -> set[Keys]:
        """The lists that chose a build, and do not any more."""
        options = variants(self.view)
        named = options if len(options) > 1 or self.plan.selector else []
        before = {as_compared(keys_of(option)) for option in named} or {BASE}
        return before - {keys for keys, name in planned(self.plan) if name == TORCH}


def as_compared(keys: Keys) -> Keys:
    """Return the place of a list, its last name as uv compares it."""
    return (*keys[:-1], canonicalize_name(keys[-1]))


# --- What a project has ---------------------------------------------------------------------------


def variants(view: View) -> list[Option]:
    """Return the extras or groups that choose a build; the first option with torch, if none do."""
    named = [option for option in view.project.options if view.is_variant(option)]
    having = [seen.place.option for seen in view.seen]
    return named if len(named) > 1 else having[:1]


def read_answers(view: View, given: Mapping[str, str]) -> dict[str, str]:
    """Return the answers that give what was measured, or defaults where there is no torch."""
    options = variants(view)
    # Of each platform the oldest Python, and platforms with an accelerator first.
    seen = {one.place[:2]: one for one in reversed(view.seen) if one.place.option in options}
    rows = sorted(seen.values(), key=lambda one: (options.index(one.place[0]), one.build == CPU))
    read = {"project_slug": "adopted-project", "torch_pin": pinned(view)}
    read |= {"companions": required(view), **named_index(view, given)}
    read |= {"python_version": view.oldest} if view.oldest else {}
    if not rows:
        return complete({**read, **given}, view.facts)
    firsts, release = {one.place[0]: one for one in reversed(rows)}, rows[0].torch.public
    words = [backend_word(view, firsts[one], release, given) for one in options if one in firsts]
    read |= {
        "torch_version": release,
        "torch_backend": " ".join(words),
        "layout": _LAYOUTS[options[0].kind if len(options) > 1 else ""],
        "platforms": " ".join(dict.fromkeys(one.place.platform for one in rows)),
    }
    answers = complete(read, view.facts)
    return {**answers, "platforms": " ".join(platform_words(view, answers, rows, given))}


def has_own_release(view: View, seen: Seen, release: str, given: Mapping[str, str]) -> bool:
    """Tell whether a cell has another release than the project, and would not take a new one."""
    asked, lines = given.get("torch_version", ""), view.lines_at(TORCH, seen.place)
    takes = bool(asked and lines) and all(line.public.contains(asked) for line in lines)
    return seen.torch.public != release and not takes


def backend_word(view: View, seen: Seen, release: str, given: Mapping[str, str]) -> str:
    """Return the word of `torch_backend` for the first cell of an option."""
    backend = PYPI if is_pypi(seen.torch) else seen.build or PYPI
    own = seen.torch.public if has_own_release(view, seen, release, given) else None
    name = seen.place.option.name if len(variants(view)) > 1 else ""
    is_named = name and canonicalize_name(name) != canonicalize_name(backend)
    return str(BackendWord(name if is_named else None, backend, own))


def platform_words(
    view: View, answers: Mapping[str, str], rows: Sequence[Seen], given: Mapping[str, str]
) -> Iterator[str]:
    """Yield the words of `platforms`, with what gets another build or release than its option."""
    read = read_cells(complete(answers, view.facts), view.facts)
    cells = {(one.variant.name, one.platform): one for one in (read.all if read else ())}
    names = dict(zip(variants(view), dict.fromkeys(name for name, _ in cells), strict=False))
    words: dict[str, list[str]] = {one: [] for one in answers["platforms"].split()}
    for seen in rows:
        cell = cells.get((names.get(seen.place.option, ""), seen.place.platform))
        if cell and (word := override(view, seen, cell, given, named=len(names) > 1)):
            words[cell.platform].append(word)
    return (word for platform, others in words.items() for word in others or [platform])


def override(view: View, seen: Seen, cell: Cell, given: Mapping[str, str], *, named: bool) -> str:
    """Return the word of `platforms` for what is measured, empty where a plan has it there."""
    is_own = has_own_release(view, seen, cell.release, given)
    if not is_own and seen.build == cell.build:
        return ""
    registry = seen.torch.registry
    is_known = is_pypi(seen.torch) or parse.build_of_url(registry, view.facts)
    backend = PYPI if is_pypi(seen.torch) else seen.build
    release, name = seen.torch.public if is_own else None, cell.variant.name if named else None
    url = None if is_known else registry
    return str(PlatformWord(cell.platform, name, backend, release, url))


def pinned(view: View) -> str:
    """Return how torch is pinned."""
    torch = [line for line in view.project.of(TORCH) if not line.is_setting]
    held = [line.is_exact for line in view.project.of(TORCH) if line.keys == CONSTRAINTS]
    if any(held) and not all(line.is_exact for line in torch):
        return records.MINIMUM
    return records.LOCAL if any(line.label for line in torch) else records.PUBLIC


def required(view: View) -> str:
    """Return the companions that are required, as an answer."""
    lines = {line.name: line for line in view.project.lines if not line.is_setting}
    marks = {name: records.OPTIONAL * bool(lines[name].requirement.marker) for name in lines}
    names = [f"{name}{marks[name]}" for name in view.facts.all_companions if name in lines]
    return " ".join(names) or records.NO_COMPANIONS


def named_index(view: View, given: Mapping[str, str]) -> dict[str, str]:
    """Return the answer that names the index of PyTorch, or the copy, that the files name."""
    named = view.facts.pytorch_mirrors.items()
    mirrors = {url: name for name, mirror in named for url in mirror.urls}
    bases = [parse.base_of(index.url, view.facts) for index in view.project.indexes]
    base = given.get("pytorch_index") or next(filter(None, bases), "")
    return {"pytorch_index": mirrors.get(base, base)} if base else {}


# --- What is asked for ----------------------------------------------------------------------------


def change(view: View, given: Mapping[str, str], command: Sequence[str]) -> tuple[list[Edit], Plan]:
    """Return the edits that answers ask for, and their plan. Raises `Stop` where there is none."""
    read = read_answers(view, given)
    check_several(read, given)
    answers = wanted_answers(view, read, given)
    try:
        plan = make_plan(complete(answers, view.facts), view.facts)
    except Refused:
        raise Stop(refusal(view, answers, given, command)) from None
    is_known = bool(variants(view)) and not problems_of(read, view.facts)
    before = make_plan(complete(read, view.facts), view.facts) if is_known else None
    plans = Plans(view, before, plan, given)
    return [edit for edits in _EDITS for edit in edits(plans)], plan


def problems_of(answers: Mapping[str, str], facts: Facts) -> list[Problem]:
    """Return what is wrong with answers, put in their proper form."""
    return find_problems(complete(answers, facts), facts)


def check_several(read: Mapping[str, str], given: Mapping[str, str]) -> None:
    """Refuse one build for a project that can be switched between several."""
    asked = given.get("torch_backend", "").split()
    if read.get("layout") != records.MARKERS and len(asked) == 1 and "layout" not in given:
        raise Stop(
            f"The project has several builds: torch_backend={read['torch_backend']!r}. Name all "
            f"that it is to have, or leave one: torch_backend={asked[0]} layout=markers."
        )


def wanted_answers(view: View, read: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return what a project has, changed by what is asked for."""
    answers, keys = {**read, **given}, {*given}
    if not variants(view) and "torch_version" not in keys:
        # The newest release that has what is asked for, else the newest.
        releases = reversed(view.facts.releases)
        answers = first_served([{**answers, "torch_version": one} for one in releases], view.facts)
    if keys & {"torch_backend", "layout"} and "platforms" not in keys:
        # A platform with a release of its own keeps it; others get the build that is asked for.
        kept = re.findall(r"(\S+?)(=\S*\+\S*)", read["platforms"])
        others = [name for name in view.platforms if name not in dict(kept)]
        answers["platforms"] = " ".join([*map("".join, kept), *others]) or answers["platforms"]
    # A companion may come from elsewhere, or have no wheels for some of the platforms.
    optional = re.sub(r"(?<![?\w-])(?!none\b)([\w-]+)\??", r"\1?", answers["companions"])
    eased = answers if "companions" in keys else {**answers, "companions": optional}
    return first_served([answers, eased], view.facts)


def first_served(trials: Sequence[dict[str, str]], facts: Facts) -> dict[str, str]:
    """Return the first answers that can be planned, else the first."""
    return next((one for one in trials if not problems_of(one, facts)), trials[0])


def refusal(
    view: View, answers: Mapping[str, str], given: Mapping[str, str], command: Sequence[str]
) -> str:
    """Return why no plan can be made, and the command that makes one."""

    def line(changed: Mapping[str, str]) -> str:
        keys = [key for key in changed if key in given or answers.get(key) != changed[key]]
        return shell_line([*command, *(f"{key}={changed[key]}" for key in keys)])

    known = {key: answers[key] for key in ANSWERS if key in answers}
    return refusal_text(
        known, lambda changed: problems_of({**answers, **changed}, view.facts), line
    )


# --- Requirements ---------------------------------------------------------------------------------


def planned(plan: Plan | None) -> dict[ListAndName, list[str]]:
    """Return the requirements of a plan, list by list and package by package."""
    if plan is None:
        return {}
    lists = {BASE: plan.dependencies, (*GROUPS, TORCH): plan.gate, CONSTRAINTS: plan.constraints}
    for option in plan.options if plan.selector else ():
        lists[as_compared((*KINDS[plan.selector], option.name))] = option.requirements
    named = {keys: by_package(texts) for keys, texts in lists.items()}
    return {(keys, name): texts for keys in named for name, texts in named[keys].items()}


def by_package(texts: Sequence[str]) -> dict[str, list[str]]:
    """Return requirements by their packages."""
    return grouped((Requirement(text).name, text) for text in texts)


def line_edits(plans: Plans) -> Iterator[Edit]:
    """Yield the edits of requirements, list by list."""
    project, lists, new = plans.view.project, plans.lists, planned(plans.plan)
    options = [Option("", plans.plan.selector, option.name) for option in plans.plan.options]
    spelt = {as_compared(keys): keys for keys in map(keys_of, [*options, *project.options])}
    for key in {**lists, **new}:
        keys, group = key[0], lists.get(key, [])
        manifest = project.root if keys[0] == "tool" else project.manifest
        wanted = exchanged(plans, key) if group else added(plans, key)
        for one, other in zip_longest([line.text for line in group], wanted):
            if one != other:
                yield Edit(manifest.path, spelt.get(keys, keys), one, other)


def bound_edits(plans: Plans) -> Iterator[Edit]:
    """Yield the constraint that holds a bound at the release that is asked for."""
    torch, releases = plans.view.project.of(TORCH), plans.plan.releases
    is_held = plans.plan.is_library or any(one.is_exact and one.is_setting for one in torch)
    is_asked = "torch_version" in plans.asked and len(releases) == 1
    if is_asked and not is_held and not all(one.is_exact for one in torch):
        yield constrain(plans.view.project, f"{TORCH}=={releases[0]}")


def keys_of(option: Option) -> Keys:
    """Return where the requirements of an option stand."""
    return (*KINDS[option.kind], option.name) if option.kind else BASE


def added(plans: Plans, key: ListAndName) -> list[str]:
    """Return the requirements of a package that a list of the file does not have, and is to."""
    (keys, name), project, new = key, plans.view.project, planned(plans.plan)[key]
    if name not in plans.view.family:
        return []
    is_chosen = keys != BASE and (keys, TORCH) not in plans.lists
    is_new = plans.before is not None or is_chosen or not project.of(name)
    is_added = plans.is_ours if keys[0] == "tool" else is_new
    places = {CONSTRAINTS, *(as_compared(keys_of(option)) for option in project.options)}
    is_left_out = keys in places and key in planned(plans.before)
    is_there = is_left_out and bool(project.of(TORCH))
    return new if is_added and not is_there else []


def exchanged(plans: Plans, key: ListAndName) -> list[str]:
    """Return the requirements in the place of those of one package in one list.

    What the plan of before says word for word becomes what the plan says; so does a label, which
    is for some platforms, where another build is asked for. All others get another release.
    """
    (keys, name), group = key, plans.lists[key]
    if keys in plans.gone:
        return []
    if [line.text for line in group] == planned(plans.before).get(key, []):
        return planned(plans.plan).get(key, [])
    is_chosen = plans.chooses and any(line.label for line in group)
    is_ours = is_chosen or name in plans.view.facts.all_tritons
    if is_ours and not group[0].is_setting:
        return by_package(build_for(plans.plan, keys).requirements).get(name, [])
    return [respecified(plans, line) for line in group]


def build_for(plan: Plan, keys: Keys) -> Build:
    """Return the option of a plan that a list of requirements belongs to."""
    name = canonicalize_name(keys[-1])
    named = [one for one in plan.options if plan.selector and canonicalize_name(one.name) == name]
    return [*named, plan.default][0]


def respecified(plans: Plans, line: Line) -> str:
    """Return a requirement with the version of a plan; a bound or a pin that admits it stays."""
    cells = [*packages_for(plans.plan, line)]
    if not cells or line.requirement.url or is_right(line, cells, plans.view.facts):
        return line.text
    release, package = cells[0]
    pin = f"=={package.full_version if line.label else package.version}"
    if not line.is_exact and line.is_setting and line.name != TORCH:
        pin = plans.view.facts.pair_bounds(line.name, release)
    elif not line.is_exact and line.requirement.specifier:
        is_open = all(one.operator.startswith(">") for one in line.requirement.specifier)
        major, minor = map(int, package.version.split(".")[:2])
        pin = f">={package.version}" + f",<{major}.{minor + 1}" * (not is_open)
    return re.sub(r"\s*[(<>=!~][^;]*?(?=\s*(;|$))|(?<=\w)(?=\s*(;|$))", pin, line.text, count=1)


def packages_for(plan: Plan, line: Line) -> Iterator[tuple[str, Package]]:
    """Yield what a plan has in the place of a requirement: release of torch, package."""
    for cell in build_for(plan, line.keys).cells:
        package, marker = cell.package(line.name), line.requirement.marker
        is_held = any(holds(marker, cell.platform, python) for python in plan.pythons)
        if package and package.version and is_held:
            yield cell.release, package


def is_right(line: Line, cells: Sequence[tuple[str, Package]], facts: Facts) -> bool:
    """Tell whether a requirement admits what goes with each release, and names its build."""
    version = cells[0][1].version
    fitting = [facts.companions(release).get(line.name, (version,)) for release, _ in cells]
    is_admitted = all(any(map(line.public.contains, versions)) for versions in fitting)
    return is_admitted and line.label in {"", *(package.label for _, package in cells)}


# --- Settings -------------------------------------------------------------------------------------


def setting_edits(plans: Plans) -> Iterator[Edit]:
    """Yield the edits of settings: those asked for, and in a project of the template all others."""
    project, old, new = plans.view.project, settings(plans.before), settings(plans.plan)
    for keys in new:
        manifest = project.root if keys[0] == "tool" else project.manifest
        value = parse.value_at(manifest.data, keys)
        if _ASKED.get(keys[-1]) in plans.asked:
            yield Edit(manifest.path, keys, None, new[keys], whole=True)
        elif plans.is_ours and (value or not old[keys]):
            yield Edit(manifest.path, keys, None, merged(value, old[keys], new[keys]), whole=True)


def settings(plan: Plan | None) -> dict[Keys, Any]:
    """Return the settings of a plan, where they stand."""
    if plan is None:
        return {}
    return {
        ("project", "requires-python"): plan.requires_python,
        (*UV, "environments"): [*plan.environments],
        (*UV, "required-environments"): [*plan.environments],
        (*UV, "exclude-newer-package"): dict.fromkeys(plan.sources, False),
    }


def merged(value: Any, old: Any, new: Any) -> Any:
    """Return a value with what a plan says now in the place of what it said; the rest stays."""
    if isinstance(new, dict):
        return new | {key: one for key, one in (value or {}).items() if key not in [*old, *new]}
    return new if value == old else value


def option_edits(plans: Plans) -> Iterator[Edit]:
    """Yield the default among the groups of a plan, and the conflict of its options."""
    plan, project = plans.plan, plans.view.project
    names, defaults = [option.name for option in plan.options], parse.default_groups(project)
    if plan.groups and not {*defaults}.intersection(names):
        new = [*defaults, plan.default.name]
        yield Edit(project.root.path, (*UV, "default-groups"), None, new, whole=True)
    if plan.selector:
        yield from conflict_edits(plans, [(plan.selector, name) for name in names])


def conflict_edits(plans: Plans, options: Sequence[tuple[str, str]]) -> Iterator[Edit]:
    """Yield the edit by which options exclude each other, in the place of those that are gone."""
    project, raw = plans.view.project, plans.view.project.root.uv.get("conflicts", [])
    wanted = {(kind, canonicalize_name(name)) for kind, name in options}
    named = {(one.kind, canonicalize_name(one.name)) for one in variants(plans.view)}
    known = [parse.chosen_in(entry, project.manifest.name) for entry in raw]
    old = [entry for entry, chosen in zip(raw, known, strict=True) if chosen & (named - wanted)]
    if old or not any(wanted <= chosen for chosen in known):
        yield exclude_each_other(project, options, [*old, None][0])


# --- Sources and indexes --------------------------------------------------------------------------


def source_edits(plans: Plans) -> Iterator[Edit]:
    """Yield the edits of sources and indexes: those of the plan for what the project has."""
    project, used = plans.view.project, set[str]()
    declared = {written(one.url): one.name for one in reversed(project.indexes) if one.name}
    names = {one.name: declared.get(written(one.url), one.name) for one in plans.plan.indexes}
    new, ours = sources_of(plans.plan, names), sources_of(plans.before, {})
    for package in {**new, **{one.name: None for one in project.sources}}:
        entries: list[Any] = [dict(one.entry) for one in project.sources_of(package)]
        if follows(plans, package, entries, ours) and entries != new.get(package, []):
            entries = new.get(package, [])
            yield replace_sources(project, package, entries)
        used |= {entry.get("index", "") for entry in entries}
    if plans.moves:
        yield from undeclared(plans, used, declared)
        yield from unused(plans, used)


def replace_sources(project: parse.Project, package: str, entries: list[dict[str, str]]) -> Edit:
    """Put other sources in the place of those of a package."""
    places = [(one.path, one.key) for one in project.sources_of(package)]
    path, key = [*places, (project.manifest.path, package)][0]
    value = entries if len(entries) > 1 else [*entries, None][0]
    return Edit(path, (*SOURCES, key), None, value, whole=True)


def sources_of(plan: Plan | None, names: Mapping[str, str]) -> dict[str, list[dict[str, str]]]:
    """Return the sources of a plan as files say them, with the names of their indexes."""
    sources: dict[str, list[dict[str, str]]] = {}
    for package, planned_sources in (plan.sources if plan else {}).items():
        for name, marker, extra, group in planned_sources:
            entry = {"index": names.get(name, name), "extra": extra, "group": group}
            pairs = {**entry, "marker": marker}.items()
            sources.setdefault(package, []).append({key: value for key, value in pairs if value})
    return sources


def follows(plans: Plans, package: str, old: list[Any], ours: Mapping[str, Any]) -> bool:
    """Tell whether the sources of a package follow the plan.

    Those of torch's family do where somebody asked for a build, or where the plan of before says
    them word for word; new ones of what the project does not have are left out.
    """
    view, plan = plans.view, plans.plan
    cells = view.cells.values()
    is_present = any(package in {**cell.packages, **cell.missing} for cell in cells)
    is_named = package in {*plan.tritons, *plan.companions, TORCH} or view.project.of(package)
    if plans.chooses:
        return package in view.family and bool(old or is_present or is_named)
    is_new = package in plan.tritons or plans.is_ours
    return package in view.family and old == ours.get(package, []) and bool(old or is_new)


def undeclared(plans: Plans, used: Collection[str], declared: Collection[str]) -> Iterator[Edit]:
    """Yield the edits that declare the indexes which sources name."""
    project = plans.view.project
    for index in [one for one in plans.plan.indexes if one.name in used and not one.default]:
        if written(index.url) not in declared:
            flat = {"format": "flat"} if index.flat else {}
            entry = {"name": index.name, "url": index.url, **flat, "explicit": True}
            clash = project.index_named(index.name)
            path = clash.path if clash else project.root.path
            yield Edit(path, INDEXES, clash and clash.entry, entry)


def unused(plans: Plans, used: Collection[str]) -> Iterator[Edit]:
    """Yield the edits that take away indexes of PyTorch which no source names."""
    for one in [one for one in plans.view.project.indexes if one.entry and one.name not in used]:
        if parse.base_of(one.url, plans.view.facts):
            yield Edit(one.path, INDEXES, one.entry, None)


_EDITS = (line_edits, bound_edits, setting_edits, option_edits, source_edits)


def missed(view: View, plan: Plan) -> list[str]:
    """Return what was asked for, and is not what uv gives: something else holds it."""
    chosen = variants(view)
    sentences = []
    for seen in [one for one in view.seen if one.place.option in chosen]:
        build = build_for(plan, (seen.place.option.name,))
        for cell in build.cells:
            got, wanted = (seen.torch.public, seen.build), (cell.release, cell.build)
            if cell.platform == seen.place.platform and got != wanted:
                sentences.append(
                    f"Not as asked: torch {got[0]} ({got[1]}) is installed on {cell.platform} "
                    f"(`{seen.place.option}`), and not {wanted[0]} ({wanted[1]})."
                )
    return [*dict.fromkeys(sentences)]
