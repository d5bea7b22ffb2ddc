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
from adopt.find import Seen, View, is_pypi
from adopt.parse import BASE, CONSTRAINTS, GROUPS, INDEXES, KINDS, SOURCES, UV, Keys, Line, Option
from torch_plan.answers import records
from torch_plan.answers.problems import Problem, Refused
from torch_plan.answers.words import BackendWord, PlatformWord
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.versions import CPU, PYPI, TORCH
from torch_plan.project.plan import Option as Build
from torch_plan.project.plan import Plan
from torch_plan.project.planning import make_plan
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
    def lists(self) -> dict[ListAndName, list[Line]]:
        """The requirements of torch's family, as the files have them."""
        lists: dict[ListAndName, list[Line]] = {}
        for line in self.view.project.lines:
            if line.name in self.view.family:
                lists.setdefault((as_compared(line.keys), line.name), []).append(line)
        return lists


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
    seen = {one.place[:2]: one for one in reversed(view.seen)}
    rows = [one for option in options for one in seen.values() if one.place.option == option]
    rows.sort(key=lambda one: (options.index(one.place.option), one.build == CPU))
    read = {"project_slug": "adopted-project", **pinned(view), **named_index(view, given)}
    read |= {"python_version": view.oldest} if view.oldest else {}
    if not rows:
        return complete({**read, **given}, view.facts)
    firsts = {one.place.option: one for one in reversed(rows)}
    release = rows[0].torch.public
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
    cells = read_cells(complete(answers, view.facts), view.facts)
    planned = {(one.variant.name, one.platform): one for one in cells.all} if cells else {}
    names = dict(zip(variants(view), dict.fromkeys(name for name, _ in planned), strict=False))
    for platform in answers["platforms"].split():
        overrides = []
        for seen in [one for one in rows if one.place.platform == platform]:
            cell = planned[names[seen.place.option], platform]
            is_own = has_own_release(view, seen, cell.release, given)
            if is_own or seen.build != cell.build:
                name = cell.variant.name if len(names) > 1 else None
                overrides.append(override(view, seen, name, is_own=is_own))
        yield from overrides or [platform]


def override(view: View, seen: Seen, name: str | None, *, is_own: bool) -> str:
    """Return the word of `platforms` for a cell as it is."""
    registry = seen.torch.registry
    is_known = is_pypi(seen.torch) or parse.build_of_url(registry, view.facts)
    backend, release = PYPI if is_pypi(seen.torch) else seen.build, seen.torch.public
    url = None if is_known else registry
    return str(PlatformWord(seen.place.platform, name, backend, release if is_own else None, url))


def pinned(view: View) -> dict[str, str]:
    """Return how torch is pinned, and which companions are required."""
    torch = view.project.of(TORCH)
    is_held = any(line.is_exact for line in torch if line.keys == CONSTRAINTS)
    is_bound = is_held and any(not line.is_exact for line in torch if not line.is_setting)
    is_labelled = any(line.label for line in torch if not line.is_setting)
    required = {line.name: line for line in view.project.lines if not line.is_setting}
    companions = [
        f"{name}{records.OPTIONAL if required[name].requirement.marker else ''}"
        for name in view.facts.all_companions
        if name in required
    ]
    return {
        "torch_pin": records.MINIMUM
        if is_bound
        else records.LOCAL
        if is_labelled
        else records.PUBLIC,
        "companions": " ".join(companions) or records.NO_COMPANIONS,
    }


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
    answers = {**read, **given}
    if not variants(view) and "torch_version" not in given:
        # The newest release that has what is asked for, else the newest.
        trials = [{**answers, "torch_version": one} for one in reversed(view.facts.releases)]
        answers = next((one for one in trials if not problems_of(one, view.facts)), trials[0])
    if not {"torch_backend", "layout"}.isdisjoint(given) and "platforms" not in given:
        # A platform with a release of its own keeps it; others get the build that is asked for.
        words = [word for word in read["platforms"].split() if "+" in word]
        kept = {word.partition("=")[0] for word in words}
        words += [one for one in view.platforms if one not in kept]
        answers["platforms"] = " ".join(words) or answers["platforms"]
    if "companions" in given or not problems_of(answers, view.facts):
        return answers
    # A companion may come from elsewhere, or have no wheels for some of the platforms.
    names = [name.rstrip(records.OPTIONAL) for name in answers["companions"].split()]
    optional = [f"{name}{records.OPTIONAL}" for name in names if name != records.NO_COMPANIONS]
    eased = {**answers, "companions": " ".join(optional) or records.NO_COMPANIONS}
    return answers if problems_of(eased, view.facts) else eased


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
    requirements: dict[ListAndName, list[str]] = {}
    for keys, text in ((keys, text) for keys, texts in lists.items() for text in texts):
        requirements.setdefault((keys, Requirement(text).name), []).append(text)
    return requirements


def line_edits(plans: Plans) -> Iterator[Edit]:
    """Yield the edits of requirements, list by list, and the constraint that a bound needs."""
    project, lists, new = plans.view.project, plans.lists, planned(plans.plan)
    options = [Option("", plans.plan.selector, option.name) for option in plans.plan.options]
    spelt = {as_compared(keys): keys for keys in map(keys_of, [*options, *project.options])}
    for key in {**lists, **new}:
        keys, group = key[0], lists.get(key, [])
        manifest = project.root if keys[0] == "tool" else project.manifest
        old = [line.text for line in group]
        for one, other in zip_longest(old, wanted(plans, key) if group else added(plans, key)):
            if one != other:
                yield Edit(manifest.path, spelt.get(keys, keys), one, other)
    torch, releases = project.of(TORCH), plans.plan.releases
    is_held = plans.plan.is_library or any(one.is_exact and one.is_setting for one in torch)
    is_loose = not is_held and any(not one.is_exact for one in torch)
    if "torch_version" in plans.asked and len(releases) == 1 and is_loose:
        yield constrain(project, f"{TORCH}=={releases[0]}")


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
    return new if is_added and key not in planned(plans.before) else []


def wanted(plans: Plans, key: ListAndName) -> list[str]:
    """Return the requirements in the place of those of one package in one list.

    What the plan of before says word for word becomes what the plan says; so does a label, which
    is for some platforms, where another build is asked for. All others get another release. A list
    that chose a build, and does not any more, has none.
    """
    (keys, name), group = key, plans.lists[key]
    old, new = planned(plans.before), planned(plans.plan)
    is_labelled = plans.chooses and any(line.label for line in group)
    is_planned = [line.text for line in group] == old.get(key, [])
    if is_planned or name in plans.view.facts.all_tritons:
        return new.get(key, [])
    if keys[0] != "tool":
        before, after = ({one for one, name in lists if name == TORCH} for lists in (old, new))
        if keys in (before or {BASE}) - after:
            return []
        if is_labelled:
            return new.get(key, [])
    return [respecified(plans, line) for line in group]


def build_for(plan: Plan, keys: Keys) -> Build:
    """Return the option of a plan that a list of requirements belongs to."""
    name = canonicalize_name(keys[-1])
    named = [one for one in plan.options if plan.selector and canonicalize_name(one.name) == name]
    return [*named, plan.default][0]


def respecified(plans: Plans, line: Line) -> str:
    """Return a requirement with the version of a plan; a bound or a pin that admits it stays."""
    plan, facts, marker = plans.plan, plans.view.facts, line.requirement.marker
    cells = [
        (cell, package)
        for cell in build_for(plan, line.keys).cells
        if any(parse.holds(marker, cell.platform, python) for python in plan.pythons)
        if (package := cell.package(line.name)) and package.version
    ]
    fitting = [
        facts.companions(cell.release).get(line.name, (cells[0][1].version,)) for cell, _ in cells
    ]
    is_admitted = all(any(map(line.public.contains, versions)) for versions in fitting)
    is_built = not line.label or line.label in {package.label for _, package in cells}
    if not cells or line.requirement.url or (is_admitted and is_built):
        return line.text
    cell, package = cells[0]
    pin = f"=={package.full_version if line.label else package.version}"
    if not line.is_exact and line.is_setting and line.name != TORCH:
        pin = facts.pair_bounds(line.name, cell.release)
    elif {one.operator for one in line.requirement.specifier} == {">="}:
        pin = f">={package.version}"
    return re.sub(r"\s*[(<>=!~][^;]*?(?=\s*(;|$))|(?<=\w)(?=\s*(;|$))", pin, line.text, count=1)


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
        (*UV, "exclude-newer-package"): dict.fromkeys(plan.explicit_packages, False),
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
    pairs = [(plan.selector, name) for name in names if plan.selector]
    chosen = {(kind, canonicalize_name(name)) for kind, name in pairs}
    before = {(one.kind, canonicalize_name(one.name)) for one in variants(plans.view) if one.kind}
    known = [
        (one, parse.chosen_in(one, project.manifest.name))
        for one in project.root.uv.get("conflicts", [])
    ]
    old = [raw for raw, one in known if one & (before - chosen)]
    if pairs and (old or not any(chosen <= one for _, one in known)):
        yield exclude_each_other(project, pairs, [*old, None][0])


# --- Sources and indexes --------------------------------------------------------------------------


def source_edits(plans: Plans) -> Iterator[Edit]:
    """Yield the edits of sources and indexes: those of the plan for what the project has."""
    plan, project = plans.plan, plans.view.project
    if not plans.chooses and (plans.before is None or plans.before.sources == plan.sources):
        return
    declared = {written(one.url): one.name for one in reversed(project.indexes) if one.name}
    names = {one.name: declared.get(written(one.url)) or one.name for one in plan.indexes}
    new, used = sources_of(plan, names), set[str]()
    for package in dict.fromkeys([*new, *(one.name for one in project.sources)]):
        sources = project.sources_of(package)
        old = [dict(one.entry) for one in sources]
        entries = new.get(package, []) if follows(plans, package, old) else old
        used |= {entry.get("index", "") for entry in entries}
        if old != entries:
            keys = (*SOURCES, sources[0].key if sources else package)
            path = sources[0].path if sources else project.manifest.path
            value = entries[0] if len(entries) == 1 else entries or None
            yield Edit(path, keys, None, value, whole=True)
    yield from index_edits(plans, used, declared)


def sources_of(plan: Plan | None, names: Mapping[str, str]) -> dict[str, list[dict[str, str]]]:
    """Return the sources of a plan as files say them, with the names of their indexes."""
    sources: dict[str, list[dict[str, str]]] = {}
    for package, planned_sources in (plan.sources if plan else {}).items():
        for name, marker, extra, group in planned_sources:
            entry = {"index": names.get(name, name), "extra": extra, "group": group}
            pairs = {**entry, "marker": marker}.items()
            sources.setdefault(package, []).append({key: value for key, value in pairs if value})
    return sources


def follows(plans: Plans, package: str, old: Sequence[Mapping[str, str]]) -> bool:
    """Tell whether the sources of a package follow the plan.

    Those of torch's family do where somebody asked for a build, or where the plan of before says
    them word for word; new ones of what the project does not have are left out.
    """
    view, plan, ours = plans.view, plans.plan, sources_of(plans.before, {}).get(package, [])
    cells = view.cells.values()
    is_present = any(package in {**cell.packages, **cell.missing} for cell in cells)
    is_named = package in {*plan.tritons, *plan.companions, TORCH} or view.project.of(package)
    if plans.chooses:
        return package in view.family and bool(old or is_present or is_named)
    is_new = package in plan.tritons or plans.is_ours
    return package in view.family and old == ours and bool(old or is_new)


def index_edits(plans: Plans, used: Collection[str], declared: Collection[str]) -> Iterator[Edit]:
    """Yield the edits of indexes: those that sources name are declared, those of no use go."""
    project = plans.view.project
    for index in plans.plan.indexes:
        if index.name in used and not index.default and written(index.url) not in declared:
            flat = {"format": "flat"} if index.flat else {}
            entry = {"name": index.name, "url": index.url, **flat, "explicit": True}
            clash = project.index_named(index.name)
            path = clash.path if clash else project.root.path
            yield Edit(path, INDEXES, clash and clash.entry, entry)
    for one in project.indexes:
        if one.entry and parse.base_of(one.url, plans.view.facts) and one.name not in used:
            yield Edit(one.path, INDEXES, one.entry, None)


_EDITS = (line_edits, setting_edits, option_edits, source_edits)


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
