"""Answers are a change that somebody asks for: from what a project has, to what a plan says."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from adopt import Stop
from adopt.edit import Edit, constrain, exclude_each_other
from adopt.find import Seen, View, is_pypi
from adopt.parse import (
    BASE,
    CONSTRAINTS,
    INDEXES,
    KINDS,
    SOURCES,
    UV,
    Keys,
    Line,
    Option,
    base_of,
    build_of_url,
    default_groups,
    normal,
    unique,
    value_at,
)
from torch_plan.answers.problems import Problem, Refused
from torch_plan.answers.records import (
    EXTRAS,
    LOCAL,
    MARKERS,
    MINIMUM,
    NO_COMPANIONS,
    OPTIONAL,
    PUBLIC,
)
from torch_plan.answers.words import BackendWord, PlatformWord
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.versions import CPU, PYPI, TORCH, version_key
from torch_plan.project.plan import Option as Build
from torch_plan.project.plan import Plan
from torch_plan.project.planning import make_plan
from torch_plan.resolution.cells import Cell, Package
from torch_plan.resolution.check import find_problems
from torch_plan.resolution.defaults import complete
from torch_plan.resolution.refusal import refusal_text
from torch_plan.text import shell_line
from torch_plan.urls import written

ANSWERS = (
    "torch_version",
    "torch_backend",
    "layout",
    "companions",
    "platforms",
    "python_version",
    "pytorch_index",
)
"""The answers of the template that are about torch."""

_BUILDS = {"torch_backend", "layout", "companions", "platforms", "pytorch_index"}
"""The answers that choose indexes."""

_LAYOUTS = {"extra": EXTRAS, "group": "groups", "": MARKERS}


class Change(NamedTuple):
    """What answers change, and the plan that they lead to."""

    edits: tuple[Edit, ...]
    plan: Plan


# --- What a project has ---------------------------------------------------------------------------


def variants(view: View) -> list[Option]:
    """Return the extras or groups that choose a build; the first option with torch, if none do."""
    named = [
        option
        for option in view.project.options
        if option.kind
        and any(option.kind in one.entry for one in view.project.sources_of(TORCH, option))
    ]
    having = [seen.place.option for seen in view.seen if seen.torch]
    return named if len(named) > 1 else having[:1]


def read_answers(view: View, given: Mapping[str, str]) -> dict[str, str]:
    """Return the answers that give what was measured, or defaults where there is no torch."""
    options = variants(view)
    seen = {
        option: unique_platforms([one for one in view.seen if one.torch and one.place[0] == option])
        for option in options
    }
    read = {"project_slug": "adopted-project", **pinned(view), **named_index(view, given)}
    pythons = [place.python for place in view.cells] or [""]
    read["python_version"] = min(pythons, key=version_key)
    if not any(seen.values()):
        return complete(
            {key: value for key, value in {**read, **given}.items() if value}, view.facts
        )
    first = [seen[option][0] for option in options if seen[option]]
    release = first[0].torch.public if first[0].torch else ""
    words = [backend_word(view, one, release, given) for one in first]
    read |= {
        "torch_version": release,
        "torch_backend": " ".join(words),
        "layout": _LAYOUTS[options[0].kind if len(options) > 1 else ""],
        "platforms": " ".join(unique(one.place.platform for own in seen.values() for one in own)),
    }
    answers = complete(read, view.facts)
    return {**answers, "platforms": " ".join(platform_words(view, answers, seen, given))}


def unique_platforms(seen: Sequence[Seen]) -> list[Seen]:
    """Return the cells of the oldest Python of each platform, an accelerator's first."""
    oldest = {one.place.platform: one for one in reversed(seen)}
    return sorted(oldest.values(), key=lambda one: one.build == CPU)


def has_own_release(view: View, seen: Seen, release: str, given: Mapping[str, str]) -> bool:
    """Tell whether a cell has another release than the project, and would not take a new one."""
    asked = given.get("torch_version", "")
    lines = view.lines_at(TORCH, seen.place)
    takes = bool(asked and lines) and all(line.public.contains(asked) for line in lines)
    return seen.torch is not None and seen.torch.public != release and not takes


def backend_word(view: View, seen: Seen, release: str, given: Mapping[str, str]) -> str:
    """Return the word of `torch_backend` for the first cell of an option."""
    if not seen.torch:
        return PYPI
    backend = PYPI if is_pypi(seen.torch) else seen.build or PYPI
    own = seen.torch.public if has_own_release(view, seen, release, given) else None
    name = seen.place.option.name if len(variants(view)) > 1 else ""
    is_named = name and normal(name) != normal(backend)
    return str(BackendWord(name if is_named else None, backend, own))


def platform_words(
    view: View,
    answers: Mapping[str, str],
    seen: Mapping[Option, Sequence[Seen]],
    given: Mapping[str, str],
) -> list[str]:
    """Return the words of `platforms`, with what gets another build or release than its option."""
    words = {name: [name] for name in answers["platforms"].split()}
    backends = [BackendWord.parse(word) for word in answers["torch_backend"].split()]
    for option, backend in zip(seen, backends, strict=False):
        release = backend.release or answers["torch_version"]
        name = (backend.name or backend.backend) if len(seen) > 1 else None
        for one in seen[option]:
            is_own = has_own_release(view, one, release, given)
            if is_own or one.build != usual_build(view, release, backend.backend, one):
                known = words[one.place.platform]
                overrides = [word for word in known if "=" in word]
                words[one.place.platform] = [*overrides, override(view, one, name, is_own=is_own)]
    return [word for each in words.values() for word in each]


def usual_build(view: View, release: str, backend: str, seen: Seen) -> str:
    """Return the build that a platform gets of a backend: that, or the CPU's without wheels."""
    is_served = view.facts.pythons(TORCH, release, backend, seen.place.platform)
    return view.facts.build(release, backend if is_served else CPU, seen.place.platform)


def override(view: View, seen: Seen, name: str | None, *, is_own: bool) -> str:
    """Return the word of `platforms` for a cell as it is."""
    registry, version = (seen.torch.registry, seen.torch.public) if seen.torch else ("", "")
    is_known = build_of_url(registry, view.facts) or registry.rstrip("/").endswith("/simple")
    backend = PYPI if seen.torch and is_pypi(seen.torch) else seen.build
    release, url = version if is_own else None, None if is_known else registry
    return str(PlatformWord(seen.place.platform, name, backend, release, url))


def pinned(view: View) -> dict[str, str]:
    """Return how torch is pinned, and which companions are required."""
    project = view.project
    lines = [line for line in project.of(TORCH) if line.keys[0] != "tool"]
    held = any(line.is_exact for line in project.of(TORCH) if line.keys == CONSTRAINTS)
    is_bound = held and any(not line.is_exact for line in lines)
    pin = LOCAL if any(line.label for line in lines) else PUBLIC
    required = {line.name: line for line in project.lines if line.keys[0] != "tool"}
    companions = [
        f"{name}{OPTIONAL if required[name].requirement.marker else ''}"
        for name in view.facts.all_companions
        if name in required
    ]
    return {
        "torch_pin": MINIMUM if is_bound else pin,
        "companions": " ".join(companions) or NO_COMPANIONS,
    }


def named_index(view: View, given: Mapping[str, str]) -> dict[str, str]:
    """Return the answer that names the index of PyTorch, or the copy, that the files name."""
    named = view.facts.pytorch_mirrors.items()
    mirrors = {url: name for name, mirror in named for url in mirror.urls}
    bases = [base_of(index.url, view.facts) for index in view.project.indexes]
    base = next((base for base in bases if base), "")
    found = {"pytorch_index": mirrors.get(base, base)} if base else {}
    return found | {key: value for key, value in given.items() if key == "pytorch_index"}


# --- What is asked for ----------------------------------------------------------------------------


def change(view: View, given: Mapping[str, str], command: Sequence[str]) -> Change:
    """Return the edits that answers ask for. Raises `Stop` where they cannot be served."""
    read = read_answers(view, given)
    check_several(read, given)
    answers = wanted_answers(view, read, given)
    try:
        plan = plan_of(answers, view.facts)
    except Refused:
        raise Stop(refusal(view, answers, given, command)) from None
    is_known = bool(variants(view)) and not problems_of(read, view.facts)
    before = plan_of(read, view.facts) if is_known else None
    edits = [*line_edits(view, plan, before, given), *setting_edits(view, plan, before, given)]
    if _BUILDS & given.keys() or (before and before.sources != plan.sources):
        edits += source_edits(view, plan, before, is_asked=bool(_BUILDS & given.keys()))
    if plan.selector:
        edits += option_edits(view, plan)
    return Change(tuple(edits), plan)


def problems_of(answers: Mapping[str, str], facts: Facts) -> list[Problem]:
    """Return what is wrong with answers, put in their proper form."""
    return find_problems(complete(answers, facts), facts)


def plan_of(answers: Mapping[str, str], facts: Facts) -> Plan:
    """Return the plan of answers, put in their proper form; raises `Refused`."""
    return make_plan(complete(answers, facts), facts)


def wanted_answers(view: View, read: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return what a project has, changed by what is asked for."""
    answers = {**read, **given}
    if not variants(view) and "torch_version" not in given:
        answers = newest_that_can_be(view, read, given)
    if {"torch_backend", "layout"} & given.keys() and "platforms" not in given and view.platforms:
        # A platform with a release of its own keeps it; others get the build that is asked for.
        words = [word for word in read["platforms"].split() if "+" in word]
        kept = {word.partition("=")[0] for word in words}
        answers["platforms"] = " ".join(
            [*words, *(one for one in view.platforms if one not in kept)]
        )
    if "companions" in given or not problems_of(answers, view.facts):
        return answers
    # A companion may come from elsewhere, or have no wheels for some of the platforms.
    names = [name.rstrip(OPTIONAL) for name in answers["companions"].split()]
    optional = " ".join(f"{name}{OPTIONAL}" for name in names if name != NO_COMPANIONS)
    eased = {**answers, "companions": optional or NO_COMPANIONS}
    return answers if problems_of(eased, view.facts) else eased


def newest_that_can_be(
    view: View, read: Mapping[str, str], given: Mapping[str, str]
) -> dict[str, str]:
    """Return answers with the newest release that has what is asked for, else with the newest."""
    known = {key: value for key, value in {**read, **given}.items() if key != "torch_version"}
    trials = [
        complete({**known, "torch_version": release, **given}, view.facts)
        for release in reversed(view.facts.releases)
    ]
    return next((one for one in trials if not problems_of(one, view.facts)), trials[0])


def check_several(read: Mapping[str, str], given: Mapping[str, str]) -> None:
    """Refuse one build for a project that can be switched between several."""
    asked = given.get("torch_backend", "").split()
    if read.get("layout") != MARKERS and len(asked) == 1 and "layout" not in given:
        raise Stop(
            f"The project has several builds: torch_backend={read['torch_backend']!r}. Name all "
            f"that it is to have, or leave one: torch_backend={asked[0]} layout=markers."
        )


def refusal(
    view: View, answers: Mapping[str, str], given: Mapping[str, str], command: Sequence[str]
) -> str:
    """Return why no plan can be made, and the command that makes one."""

    def line(changed: Mapping[str, str]) -> str:
        words = {
            key: value
            for key, value in changed.items()
            if key in given or answers.get(key) != value
        }
        return shell_line([*command, *(f"{key}={value}" for key, value in words.items())])

    known = {key: answers[key] for key in ANSWERS if key in answers}
    return refusal_text(
        known, lambda changed: problems_of({**answers, **changed}, view.facts), line
    )


def line_edits(
    view: View, plan: Plan, before: Plan | None, asked: Collection[str]
) -> Iterator[Edit]:
    """Yield the edits of requirements, list by list, and add torch where there is none."""
    lines = [line for line in view.project.lines if line.name in view.family]
    for path, keys, name in unique((line.path, line.keys, line.name) for line in lines):
        group = [line for line in lines if (line.keys, line.name) == (keys, name)]
        old = [line.text for line in group]
        for one, other in zip_longest(old, new_lines(view, plan, before, asked, group)):
            if one != other:
                yield Edit(path, keys, one, other)
    yield from added_lines(view, plan, asked)


def added_lines(view: View, plan: Plan, asked: Collection[str]) -> Iterator[Edit]:
    """Yield the edits that add what is asked for and no list has; a bound gets a constraint."""
    torch, texts = view.project.of(TORCH), list[str]()
    if "torch_version" in asked and len(plan.releases) == 1 and is_loose(torch, plan):
        yield constrain(view.project, f"{TORCH}=={plan.releases[0]}")
    if not torch and not plan.selector:
        guards = [text for text in plan.dependencies if text.startswith("numpy<")]
        texts = [*plan.default.requirements, *guards]
    elif torch and "companions" in asked:
        names = [name for name in plan.companions if not view.project.of(name)]
        texts = [text for name in names for text in planned(plan, BASE, name)]
    yield from (Edit(view.project.manifest.path, BASE, None, text) for text in texts)


def is_loose(torch: Sequence[Line], plan: Plan) -> bool:
    """Tell whether nothing pins torch for the lock; a library of the template pins it itself."""
    is_held = any(line.is_exact and line.keys[0] == "tool" for line in torch)
    return any(not line.is_exact for line in torch) and not is_held and not plan.is_library


def new_lines(
    view: View, plan: Plan, before: Plan | None, asked: Collection[str], group: Sequence[Line]
) -> list[str]:
    """Return the requirements in the place of those of one package in one list.

    What the plan of before says word for word becomes what the plan says; so does a label, which
    is for some platforms, where another build is asked for. All others get another release.
    """
    keys, name = group[0].keys, group[0].name
    if keys in gone(view, plan) or (keys == BASE and is_first_choice(view, plan)):
        return []
    texts, new = [line.text for line in group], planned(plan, keys, name)
    is_labelled = bool(_BUILDS & {*asked}) and any(line.label for line in group)
    is_planned = texts == planned(before, keys, name) or name in view.facts.all_tritons
    if keys[0] != "tool" and (is_planned or is_labelled):
        return new
    ours = before.constraints if before else ()
    return [line.text if line.text in ours else respecified(view, plan, line) for line in group]


def is_first_choice(view: View, plan: Plan) -> bool:
    """Tell whether builds can be chosen from now on, and could not before."""
    return bool(plan.selector) and not any(option.kind for option in variants(view))


def planned(plan: Plan | None, keys: Keys, name: str) -> list[str]:
    """Return the requirements of a package that a plan puts into a list."""
    texts = build_for(plan, keys).requirements if plan and keys[0] != "tool" else ()
    return [text for text in texts if re.match(rf"{re.escape(name)}(?![\w.-])", text)]


def build_for(plan: Plan, keys: Keys) -> Build:
    """Return the option of a plan that a list of requirements belongs to."""
    named = [one for one in plan.options if plan.selector and normal(one.name) == normal(keys[-1])]
    return named[0] if named else plan.default


def gone(view: View, plan: Plan) -> list[Keys]:
    """Return the extras and groups that chose a build, and that the plan does not have."""
    kept = {(plan.selector, normal(option.name)) for option in plan.options}
    options = [
        one for one in variants(view) if one.kind and (one.kind, normal(one.name)) not in kept
    ]
    return [(*KINDS[one.kind], one.name) for one in options]


def respecified(view: View, plan: Plan, line: Line) -> str:
    """Return a requirement with the version of a plan; a bound or a pin that admits it stays."""
    cells = [
        cell
        for cell in build_for(plan, line.keys).cells
        if any(line.holds(cell.platform, python) for python in plan.pythons)
    ]
    packages = [one for cell in cells if (one := cell.package(line.name)) and one.version]
    if not packages or line.requirement.url or is_right(view, line, cells, packages):
        return line.text
    pin = f"=={packages[0].full_version if line.label else packages[0].version}"
    if not line.is_exact and line.keys[0] == "tool" and line.name != TORCH:
        pin = view.facts.pair_bounds(line.name, cells[0].release)
    elif line.is_lower:
        pin = f">={packages[0].version}"
    bare, separator, marker = line.text.partition(";")
    name = re.sub(r"\s*[(<>=!~].*", "", bare.strip())
    return f"{name}{pin}{f' {separator}' if marker else ''}{marker}"


def is_right(view: View, line: Line, cells: Sequence[Cell], packages: Sequence[Package]) -> bool:
    """Tell whether a requirement admits what goes with each release, and names its build."""
    labels = {one.label for one in packages} if line.label else {""}
    versions = [fitting(view, cell.release, line.name, packages[0].version) for cell in cells]
    return line.label in labels and all(any(map(line.public.contains, one)) for one in versions)


def fitting(view: View, release: str, name: str, version: str) -> Sequence[str]:
    """Return the versions of a package that go with a release of torch."""
    return view.facts.companions(release).get(name, (version,))


def is_own_project(view: View, before: Plan | None) -> bool:
    """Tell whether a project is one of the template: it names the platforms of its plan."""
    named = view.project.root.uv.get("environments", [])
    return before is not None and " or ".join(named) == " or ".join(before.environments)


def setting_edits(
    view: View, plan: Plan, before: Plan | None, asked: Collection[str]
) -> Iterator[Edit]:
    """Yield the edits of settings: those asked for, and in a project of the template all others."""
    root, manifest = view.project.root, view.project.manifest
    named = root.uv.get("environments", [])
    is_ours = is_own_project(view, before)
    python: Keys = ("project", "requires-python")
    old = value_at(manifest.data, python)
    if "python_version" in asked or (is_ours and before and old == before.requires_python):
        yield Edit(manifest.path, python, None, plan.requires_python, whole=True)
    if "platforms" in asked or is_ours:
        exact = [*plan.environments]
        new = [" or ".join(exact)] if len(named) == 1 else exact
        yield Edit(root.path, (*UV, "environments"), None, new, whole=True)
        yield Edit(root.path, (*UV, "required-environments"), None, exact, whole=True)
    if is_ours and before:
        yield from own_setting_edits(view, plan, before)


def own_setting_edits(view: View, plan: Plan, before: Plan) -> Iterator[Edit]:
    """Yield the edits of what the template writes: constraints, and what no cooldown is for."""
    root = view.project.root
    constraints = root.uv.get("constraint-dependencies", [])
    kept = [text for text in constraints if text not in before.constraints]
    new = [*plan.constraints, *(text for text in kept if text not in plan.constraints)]
    yield Edit(root.path, CONSTRAINTS, None, new, whole=True)
    if spared := root.uv.get("exclude-newer-package"):
        others = {name: spared[name] for name in spared if name not in before.explicit_packages}
        wanted = {**dict.fromkeys(plan.explicit_packages, False), **others}
        yield Edit(root.path, (*UV, "exclude-newer-package"), None, wanted, whole=True)


def source_edits(view: View, plan: Plan, before: Plan | None, *, is_asked: bool) -> Iterator[Edit]:
    """Yield the edits of sources and indexes: those of the plan for what the project has."""
    project, used = view.project, set[str]()
    names = {index.name: declared_name(view, index.url) or index.name for index in plan.indexes}
    for package in unique([*plan.sources, *(one.name for one in project.sources)]):
        sources = project.sources_of(package)
        old = [dict(one.entry) for one in sources]
        new = old
        if package in view.family and (is_asked or follows(view, plan, before, package)):
            is_planned = package in {*plan.tritons, *plan.companions, TORCH}
            entries = [source_entry(names, one) for one in plan.sources.get(package, ())]
            new = entries if is_planned or is_present(view, package) else []
        used |= {entry.get("index", "") for entry in new}
        if old != new:
            path = sources[0].path if sources else project.manifest.path
            keys = (*SOURCES, sources[0].key if sources else package)
            yield Edit(path, keys, None, new[0] if len(new) == 1 else new or None, whole=True)
    yield from index_edits(view, plan, used)


def follows(view: View, plan: Plan, before: Plan | None, package: str) -> bool:
    """Tell whether the sources of a package follow the plan, though nobody asked for a build.

    They do where the plan of before says them word for word.
    """
    old = [dict(one.entry) for one in view.project.sources_of(package)]
    ours = [source_entry({}, one) for one in (before.sources.get(package, ()) if before else ())]
    return old == ours and (bool(old) or package in plan.tritons or is_own_project(view, before))


def declared_name(view: View, url: str) -> str:
    """Return the name of an index that the files declare, empty for none."""
    same = [one.name for one in view.project.indexes if written(one.url) == written(url)]
    return "".join(same[:1])


def is_present(view: View, package: str) -> bool:
    """Tell whether a package is named by the files, or installed anywhere."""
    cells = view.cells.values()
    installed = any(package in cell.packages or package in cell.missing for cell in cells)
    return installed or bool(view.project.of(package))


def index_edits(view: View, plan: Plan, used: Collection[str]) -> Iterator[Edit]:
    """Yield the edits of indexes: those that sources name are declared, those of no use go."""
    project = view.project
    for index in plan.indexes:
        if index.name in used and not index.default and not declared_name(view, index.url):
            flat = {"format": "flat"} if index.flat else {}
            entry = {"name": index.name, "url": index.url, **flat, "explicit": True}
            clash = project.index_named(index.name)
            path = clash.path if clash else project.root.path
            yield Edit(path, INDEXES, raw_index(view, index.name), entry)
    for declared in project.indexes:
        is_ours = declared.setting == "index" and base_of(declared.url, view.facts)
        if is_ours and declared.name not in used:
            yield Edit(declared.path, INDEXES, raw_index(view, declared.name), None)


def source_entry(names: Mapping[str, str], source: Any) -> dict[str, str]:
    """Return a source of a plan as the file says it."""
    name = names.get(source.index_name, source.index_name)
    entry = {"index": name, "extra": source.extra, "group": source.group}
    entry["marker"] = source.marker
    return {key: value for key, value in entry.items() if value}


def raw_index(view: View, name: str) -> Any:
    """Return the table of an index, as the file has it."""
    for manifest in (view.project.manifest, view.project.root):
        for entry in manifest.uv.get("index", []):
            if entry.get("name") == name:
                return entry
    return None


def option_edits(view: View, plan: Plan) -> Iterator[Edit]:
    """Yield the extras or groups of a plan that the project does not have, and their conflict."""
    project, kind = view.project, KINDS[plan.selector]
    here = {normal(name): name for name in value_at(project.manifest.data, kind) or {}}
    for option in plan.options:
        keys = (*kind, here.get(normal(option.name), option.name))
        present = {line.name for line in project.lines if line.keys == keys}
        for text in option.requirements:
            package = re.split(r"[^\w.-]", text)[0]
            if TORCH not in present or package in {*plan.tritons} - present:
                yield Edit(project.manifest.path, keys, None, text)
    if plan.groups and not any(option.name in default_groups(project) for option in plan.options):
        names = [*default_groups(project), plan.default.name]
        yield Edit(project.root.path, (*UV, "default-groups"), None, names, whole=True)
    yield from conflict_edits(view, plan)


def conflict_edits(view: View, plan: Plan) -> Iterator[Edit]:
    """Yield the edit by which the extras or groups of a plan exclude each other."""
    wanted = {(plan.selector, normal(option.name)) for option in plan.options}
    left = {normal(keys[-1]) for keys in gone(view, plan)}
    known = view.project.root.uv.get("conflicts", [])
    old = [one for one in known if {name for _, name in chosen_in(one)} & left]
    if old or not any(wanted <= chosen_in(one) for one in known):
        names = [(plan.selector, one.name) for one in plan.options]
        yield exclude_each_other(view.project, names)._replace(old=[*old, None][0])


def chosen_in(conflict: Sequence[Mapping[str, str]]) -> set[tuple[str, str]]:
    """Return the extras and groups that a conflict is between."""
    return {(kind, normal(item[kind])) for item in conflict for kind in KINDS if kind in item}


def missed(view: View, plan: Plan) -> list[str]:
    """Return what was asked for, and is not what uv gives: something else holds it."""
    chosen = {normal(option.name): option for option in variants(view)}
    sentences = []
    for option in plan.options:
        place = (
            chosen.get(normal(option.name)) if plan.selector else next(iter(chosen.values()), None)
        )
        cells = {cell.platform: cell for cell in option.cells}
        for seen in view.seen:
            cell = cells.get(seen.place.platform)
            if seen.torch and cell and seen.place.option == place:
                got, wanted = (seen.torch.public, seen.build), (cell.release, cell.build)
                if got != wanted:
                    sentences.append(
                        f"Not as asked: torch {got[0]} ({got[1]}) is installed on {cell.platform} "
                        f"(`{seen.place.option}`), and not {wanted[0]} ({wanted[1]})."
                    )
    return unique(sentences)
