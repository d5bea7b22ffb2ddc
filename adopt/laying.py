"""Lays a plan into a project: what its file is to say, and one line of reason for each change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from copy import deepcopy
from itertools import combinations, product
from typing import Any

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from adopt.document import Place
from adopt.project import (
    BASE,
    CONSTRAINTS,
    KINDS,
    OVERRIDES,
    UV,
    Line,
    Project,
    Stop,
    holds,
    normal,
    value_at,
)
from torch_plan.answers import MINIMUM
from torch_plan.facts import CPU, TORCH
from torch_plan.plan import Plan, next_minor
from torch_plan.text import listed
from torch_plan.urls import written

_HARDWARE = r"cpu|gpu|cu(da)?\d*|rocm|amd|hip|xpu|intel|nvidia|mps|metal"
"""What an extra or group is called that chooses a build, and is not one of several features."""


class Layout:
    """The file as it is to be, in `wanted`, and the `reasons` for what is changed."""

    def __init__(self, project: Project, plan: Plan) -> None:
        self.project, self.plan = project, plan
        self.wanted: dict[str, Any] = deepcopy(dict(project.data))
        self.reasons: list[str] = []
        names = [it.name for it in plan.options] if plan.selector else []
        kind = KINDS[plan.selector] if names else ()
        self.places = {it: project.variants.get(it, (*kind, it)) for it in names}
        self.gone = {*project.variants} - {*names}
        self.packages = {TORCH, *plan.companions, *plan.tritons}
        self.torch = f"{TORCH} {listed(plan.releases)}"
        self.constraints = by_package(plan.constraints)
        self.required = {
            self.places.get(it.name, ()): by_package(it.requirements) for it in plan.options
        }
        exact = [plan.constraints] if plan.is_library else [it.requirements for it in plan.options]
        self.pins = by_package(dict.fromkeys(text for texts in exact for text in texts))
        self.lay_requirements()
        self.lay_numpy()
        self.lay_python()
        self.lay_settings()
        self.lay_conflicts()
        names_here = self.lay_indexes()
        for package in sorted(project.family, key=lambda it: (it != TORCH, it)):
            self.lay_sources(package, names_here)
        self.drop_indexes()

    def put(self, place: Place, value: Any, reason: str) -> None:
        """Set a value, None to leave its key out; a value that is there already needs no reason."""
        if (value_at(self.wanted, place) or None) != (value or None):
            self.reasons.append(reason)
            set_in(self.wanted, place, value)

    def setting(self, key: str) -> Any:
        """Return a setting of uv's."""
        return value_at(self.wanted, (*UV, key))

    def put_setting(self, key: str, value: Any, reason: str) -> None:
        """Change a setting of uv's, and say which."""
        self.put((*UV, key), value, f"{key}: {reason}.")

    def lay_requirements(self) -> None:
        """Pin torch and what comes with it, each where the project has it."""
        pairs = dict.fromkeys((line.place, line.name) for line in self.project.lines)
        for option, package in [(it, name) for it in self.required for name in self.required[it]]:
            wanted = [option] if self.places else self.requiring(package)
            pairs |= dict.fromkeys((it, package) for it in [*wanted, self.pinning(package)] if it)
        pairs |= dict.fromkeys((CONSTRAINTS, package) for package in self.constraints)
        for place, package in pairs:
            old = [line for line in self.project.of(package) if line.place == place]
            before, after = [line.text for line in old], self.texts(place, package, old)
            if self.meaning(before) != self.meaning(after):
                self.replace(place, before, after, self.why(place, package, old, after))

    def lay_numpy(self) -> None:
        """Hold NumPy below 2 where torch needs that, and nothing holds it."""
        guard = [text for text in self.plan.dependencies if re.match("numpy[<>]", text)]
        every = [item for items in self.project.lists.values() for item in items]
        numpy = [Requirement(it) for it in every if re.match(r"numpy\b(?!-)", str(it))]
        if guard and all(it.specifier.contains("2.0.0") for it in numpy):
            reason = f"{self.torch} was compiled against NumPy 1: {listed(guard)}."
            for place in self.requiring(TORCH) or [BASE]:
                self.replace(place, [], guard, reason)

    def requiring(self, package: str) -> list[Place]:
        """Return the lists of a project of one build that are to require a package."""
        for name in (package, TORCH):
            places = dict.fromkeys(line.place for line in self.project.of(name))
            if found := [place for place in places if place[0] != "tool"]:
                return found
        return [BASE] * (not self.project.of(TORCH))

    def pinning(self, package: str) -> Place | None:
        """Return the list of uv's that pins a package, None where its requirements do."""
        lines = self.project.of(package)
        required = [line for line in lines if not line.is_setting]
        if any(line.place == OVERRIDES for line in lines):
            return OVERRIDES
        is_pinned = any(line.is_exact for line in required)
        if not lines or (is_pinned and self.project.given.get("torch_pin") != MINIMUM):
            return None
        is_bound = self.project.keeps_bounds and any(it.place[0] == "project" for it in required)
        return CONSTRAINTS if is_bound or len(required) < len(lines) else None

    def versions(self, package: str) -> list[str]:
        """Return the versions of a package in the plan, or those that go with its releases."""
        cells = [it.version for cell in self.plan.cells if (it := cell.package(package))]
        paired = [self.project.facts.companions(it).get(package) for it in self.plan.releases]
        return [*dict.fromkeys(filter(None, cells or [it[0] for it in paired if it]))]

    def leaves(self, place: Place, package: str) -> bool:
        """Tell whether a requirement of a package has no place in a list any more.

        Beside options that have several indexes uv locks torch in no other list.
        """
        if package not in self.packages:
            return place[0] != "tool" or not self.versions(package)
        if place[0] == "tool" or not self.places or place in self.places.values():
            return False
        is_split = any(len({it.backend for it in option.cells}) > 1 for option in self.plan.options)
        in_base = any(line.place == BASE for line in self.project.of(TORCH))
        is_gone = place in self.project.variants.values()
        return is_split or is_gone or (place == BASE and not in_base)

    def texts(self, place: Place, package: str, old: Sequence[Line]) -> list[str]:
        """Return the requirements of a package in a list: exact pins, bounds that stay, or none."""
        if self.leaves(place, package):
            return []
        pinning, kept = self.pinning(package), [line.text for line in old]
        versions, is_exact = self.versions(package), any(line.is_exact for line in old)
        is_kept = all(it.versions.contains(version) for it in old for version in versions)
        if place == CONSTRAINTS and package in self.constraints:
            is_spare = package not in self.packages
            return kept if is_spare and is_exact and is_kept else self.constraints[package]
        if place == pinning:
            return self.pins.get(package, []) if package in self.packages else []
        here = self.required.get(place if self.places else (), {}).get(package, [])
        if here and not pinning and place[0] != "tool":
            return here
        is_bound = pinning and self.project.keeps_bounds and place[0] == "project"
        if old and (pinning == OVERRIDES or (is_kept and not (is_bound and is_exact))):
            return kept
        pins = [f"{package}{'>=' if is_bound else '=='}{it}" for it in versions]
        return (is_bound and here) or pins

    def meaning(self, texts: Iterable[str]) -> set[Any]:
        """Return what requirements demand on each platform with each Python."""
        lines = [line for text in texts if (line := self.project.line(BASE, text))]
        return {
            (platform, python, str(line.versions), line.label, line.names_file)
            for platform, python, line in product(self.plan.platforms, self.plan.pythons, lines)
            if holds(line.marker, platform, python)
        }

    def replace(self, place: Place, old: Sequence[str], new: Sequence[str], reason: str) -> None:
        """Put requirements in the place of others, or behind what they come with."""
        items = list(value_at(self.wanted, place))
        family = [at + 1 for at, item in enumerate(items) if self.project.line(place, item)]
        at = next((at for at, item in enumerate(items) if item in old), [len(items), *family][-1])
        before, after = ([it for it in part if it not in old] for part in (items[:at], items[at:]))
        value = [*before, *new, *after]
        is_gone = not value and place in {*self.project.variants.values(), CONSTRAINTS, OVERRIDES}
        self.put(place, None if is_gone else value, reason)

    def why(self, place: Place, package: str, old: Sequence[Line], new: Sequence[str]) -> str:
        """Return the reason for other requirements of a package."""
        said, torch = listed([line.text for line in old]), self.torch
        pins = listed([*dict.fromkeys(text.partition(" ; ")[0] for text in new)])
        if not new and package in self.packages:
            choose = "chooses" if len(self.places) == 1 else "choose"
            return f"{said} leaves {place[-1]}: {listed([*self.places])} {choose} its build."
        if not new:
            return f"{said} leaves {place[-1]}: no build of {torch} requires it."
        if place == CONSTRAINTS and package not in self.packages:
            return f"Other packages may require {package}: {pins} keeps it beside {torch}."
        if not old and place == CONSTRAINTS:
            bound = f"The bound of {package} lets platforms lock different releases"
            return f"{bound}: {pins} holds one."
        if not old:
            return f"{package} goes into {place[-1]}: its index holds where it is required by name."
        if any(line.names_file for line in old):
            return f"{package} is named by wheels: {pins} and an index say it for all of them."
        versions = re.findall(r"[>=]=([\w.]+)", pins)
        if package != TORCH and not all(it.versions.contains(v) for it in old for v in versions):
            return f"{said} is not made for {torch}: {pins}."
        if self.plan.local_pins:
            return f"{said} does not name the build of every platform: {pins}."
        if all(line.is_exact for line in old):
            return f"{said} becomes {pins}."
        return f"{said} lets platforms lock different releases: {pins}."

    def lay_python(self) -> None:
        """Bound `requires-python` to the Pythons that have every wheel."""
        plan, text = self.plan, value_at(self.wanted, ("project", "requires-python")) or ""
        before, end = [it.strip() for it in text.split(",")], next_minor(plan.pythons[-1])
        parts = before
        if "python_version" in self.project.given or not text:
            parts = [plan.requires_python]
        elif self.project.pythons[:1] != [plan.python]:
            parts = [f">={plan.python}", *(it for it in parts if it[0] in "<!")]
        if "<" in plan.requires_python and SpecifierSet(",".join(parts)).contains(f"{end}.0"):
            parts = [*(it for it in parts if it[0] != "<"), f"<{end}"]
        if parts != before:
            reason = f"requires-python: wheels are there for {plan.python} to {plan.pythons[-1]}."
            self.put(("project", "requires-python"), ",".join(parts), reason)

    def lay_settings(self) -> None:
        """Name the platforms exactly, a uv that knows all this, and what a bare `uv sync` gets."""
        plan, exact = self.plan, list(self.plan.environments)
        joined = "the lock is for the platforms that have wheels, each with its own build"
        each = "a platform without a wheel fails at the lock, not at the install"
        for key, value, reason in (
            ("environments", [" or ".join(exact)], joined),
            ("required-environments", exact, each),
        ):
            markers = " or ".join(str(Marker(text)) for text in self.setting(key))
            if {*markers.split(" or ")} != {str(Marker(text)) for text in exact}:
                self.put_setting(key, value, reason)
        known = dict(self.setting("exclude-newer-package"))
        spared = {it: known[it] for it in known if it not in self.project.family or known[it]}
        spared |= dict.fromkeys(plan.explicit_packages, False)
        reason = "PyTorch's index tells no upload dates, so a cooldown would refuse all it has"
        self.put_setting("exclude-newer-package", spared or None, reason)
        least = plan.required_uv.removeprefix(">=")
        starts = re.findall(r"(?:^|[,=>~])\s*(\d[\d.]*\d)", self.setting("required-version") or "")
        if not any(Version(start) >= Version(least) for start in starts):
            reason = f"an older uv than {least} drops settings that stand here"
            self.put_setting("required-version", plan.required_uv, reason)
        if plan.groups and not {*self.project.lists}.issuperset(self.places.values()):
            dev = ["dev"] * ((*KINDS["group"], "dev") in self.project.lists)
            kept = [it for it in self.setting("default-groups") or dev if it not in self.gone]
            names = [*dict.fromkeys([*kept, plan.default.name])]
            self.put_setting("default-groups", names, "a bare `uv sync` has a build")

    def lay_conflicts(self) -> None:
        """Let extras and groups with different builds exclude each other, and no others."""
        builds = {it.name: {cell[1:] for cell in it.cells} for it in self.plan.options}
        pairs = [*combinations(self.places, 2)]
        different = [it for it in pairs if builds[it[0]] != builds[it[1]]]
        excludes, places = self.project.excludes, self.places
        missing = [it for it in different if not excludes(*(places[name] for name in it))]
        named = all(re.search(_HARDWARE, name) for pair in missing for name in pair)
        if not named and "torch_backend" not in self.project.given:
            raise Stop(
                f"{listed(missing[0])} have different builds of torch, and nothing says that they "
                "exclude each other. If they do, say so in `conflicts`; if they are to be added "
                "up, give them one build."
            )
        entries = [
            [it for it in entry if self.gone.isdisjoint(it.values())]
            for entry in self.setting("conflicts")
        ]
        for names in [tuple(self.places)] if missing and different == pairs else missing:
            added = [self.selector(name) for name in names]
            entries = [*(it for it in entries if any(item not in added for item in it)), added]
        entries = [entry for entry in entries if len(entry) > 1]
        reason = f"{listed([*self.places])} have different builds, so they need `conflicts`."
        self.put((*UV, "conflicts"), entries or None, reason)

    def selector(self, name: str) -> dict[str, str]:
        """Return what names an option in a source or in `conflicts`, nothing for the only one."""
        place = self.places.get(name, ())
        return {kind: place[-1] for kind in KINDS if place[:-1] == KINDS[kind]}

    def lay_indexes(self) -> dict[str, str]:
        """Declare the indexes; return the plan's name of each -> the name that it has here."""
        names = {}
        for index in self.plan.indexes:
            items, backend = list(self.setting("index")), self.project.backend_of(index.url)
            same = [it for it in items if written(it["url"]) == written(index.url)]
            same += [
                it for it in items if backend and self.project.backend_of(it["url"]) == backend
            ]
            found = same[0] if same else {}
            entry = {"name": index.name, "url": index.url, **found}
            reason = f"The index {entry['name']} is not explicit: any package may come from it."
            if not found:
                reason = f"{index.name} is a new index: {index.url} has a build of this project."
            elif "name" not in found:
                reason = f"The index {index.url} has no name, so no source can choose it."
            elif written(entry["url"]) != written(index.url):
                entry["url"], reason = index.url, f"The index {entry['name']} is at {index.url}."
            while not found and any(it.get("name") == entry["name"] for it in items):
                entry["name"] += "-torch"
            entry |= {"format": "flat"} if index.flat else {}
            entry.pop("explicit" if index.default else "default", None)
            entry["default" if index.default else "explicit"] = True
            items = [entry if it is found else it for it in items] + [entry] * (not found)
            names[index.name] = entry["name"]
            self.put((*UV, "index"), items, reason)
        return names

    def lay_sources(self, package: str, names: dict[str, str]) -> None:
        """Give a package its index on every platform, if it has another one today."""
        entries = []
        for source in self.plan.sources.get(package, ()):
            option = source.extra or source.group
            place = self.places.get(option, BASE)
            lines = [self.project.line(place, item) for item in value_at(self.wanted, place)]
            if not option or any(line and line.name == package for line in lines):
                index = {"index": names[source.index_name], **self.selector(option)}
                entries.append({**index, **({"marker": source.marker} if source.marker else {})})
        if not entries and any(line.is_setting for line in self.project.of(package)):
            return
        lists = Project(self.wanted, self.project.facts, {}).lists
        sources, known = self.project.sources(package), {(), *map(normal, lists)}
        is_right = sources and all(it.option in known and not it.extra_in_marker for it in sources)
        uv = {**value_at(self.wanted, UV), "sources": {package: entries}}
        both = self.project, Project({"tool": {"uv": uv}}, self.project.facts, {})
        before, after = ([it.get("name") for _, it in self.origins(each, package)] for each in both)
        if entries and is_right and before == after:
            return
        value = entries[0] if len(entries) == 1 else entries or None
        keys = [it for it in self.setting("sources") if canonicalize_name(it) == package]
        for key in keys or [package] * bool(entries):
            self.put((*UV, "sources", key), value, self.why_source(package, bool(entries)))

    def origins(self, project: Project, package: str) -> list[tuple[str, dict[str, Any]]]:
        """Return each platform with the index of a package, in the order of the options."""
        options: Sequence[Place | None] = (*self.places.values(),) or (None,)
        where = product(options, self.plan.platforms)
        return [
            (platform, project.index_of(package, option, platform)) for option, platform in where
        ]

    def why_source(self, package: str, has_source: bool) -> str:
        """Return the reason for other sources of a package."""
        sources, origins = self.project.sources(package), self.origins(self.project, package)
        if not has_source:
            return f"{package} has a source that nothing here needs: uv ignores it."
        if not sources and all(line.is_setting for line in self.project.of(package)):
            return f"Other packages may require {package}: then it has the build of torch."
        if not sources:
            index = origins[0][1]
            origin = f"the index {index.get('name', index['url'])}" if index else "PyPI"
            return f"{package} has no source: it comes from {origin}."
        if any(it.extra_in_marker for it in sources):
            return f"uv drops `extra` from a marker: this index of {package} holds for everybody."
        for platform, index in origins:
            backend = self.project.backend_of(index.get("url", "")) or CPU
            if "macos" in platform and backend != CPU:
                return f"On a Mac uv looks for the {backend} build of {package}, and there is none."
        return f"{package} comes from the index of its build on each platform."

    def drop_indexes(self) -> None:
        """Leave out the indexes of PyTorch that nothing uses any more."""
        used = str([*dict(self.setting("sources")).values()])
        for index in self.setting("index"):
            name, kept = index.get("name"), [it for it in self.setting("index") if it != index]
            if self.project.backend_of(index["url"]) is not None and repr(name) not in used:
                reason = f"No source uses the index {name or index['url']}."
                self.put((*UV, "index"), kept or None, reason)
        for key in ("extra-index-url", "find-links"):
            kept = [it for it in self.setting(key) if self.project.backend_of(it) is None]
            reason = "it has PyTorch's index, which any package may come from then"
            self.put_setting(key, kept or None, reason)


def by_package(requirements: Iterable[str]) -> dict[str, list[str]]:
    """Return package -> its requirements."""
    found: dict[str, list[str]] = {}
    for text in requirements:
        found.setdefault(canonicalize_name(Requirement(text).name), []).append(text)
    return found


def set_in(table: dict[str, Any], place: Sequence[str], value: Any) -> None:
    """Set a value within tables, and leave out what is None, or has nothing left in it."""
    key, *rest = place
    if rest:
        set_in(table.setdefault(key, {}), rest, value)
    else:
        table[key] = value
    if table[key] in (None, {}):
        del table[key]
