"""Lays a plan into a project: what its file is to say, and one line of reason for each change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from copy import deepcopy
from itertools import combinations, groupby
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from adopt.project import BASE, CONSTRAINTS, KINDS, OVERRIDES, UV, Line, Place, Project, value_at
from torch_plan.catalog.versions import TORCH
from torch_plan.project.plan import Plan, next_minor
from torch_plan.text import listed
from torch_plan.urls import written

_REASONS = {
    "environments": "the lock is for the platforms that have wheels, each with its own build",
    "required-environments": "a platform without a wheel fails at the lock, not at the install",
    "exclude-newer-package": "PyTorch's index tells no upload dates, so a cooldown would refuse it",
    "required-version": "an older uv drops settings that stand here",
    "default-groups": "a bare `uv sync` has a build",
    "conflicts": "extras and groups with different builds exclude each other",
    "extra-index-url": "any package may come from PyTorch's index then",
    "find-links": "any package may come from PyTorch's index then",
    "index-url": "every package would come from PyTorch's index",
}
"""Setting of uv's -> why it changes."""


class Layout:
    """The file as it is to be, in `wanted`, and the `reasons` for what is changed."""

    def __init__(self, project: Project, plan: Plan) -> None:
        self.project, self.plan = project, plan
        self.wanted: dict[str, Any] = deepcopy(dict(project.data))
        self.reasons: list[str] = []
        self.torch = f"{TORCH} {listed(plan.releases)}"
        self.packages = {TORCH, *plan.companions, *plan.tritons}
        names = [it.name for it in plan.options] if plan.selector else []
        self.places = {it: project.variants.get(it, (*KINDS[plan.selector], it)) for it in names}
        self.gone = {it: project.variants[it] for it in project.variants if it not in names}
        self.is_split = any(len({it.backend for it in one.cells}) > 1 for one in plan.options)
        self.constraints = by_package(plan.constraints)
        self.required = {
            self.places.get(it.name, ()): by_package(it.requirements) for it in plan.options
        }
        self.lay_requirements()
        self.lay_python()
        self.lay_settings()
        self.lay_conflicts()
        self.lay_sources(self.lay_indexes())
        self.drop_indexes()

    def put(self, place: Place, value: Any, reason: str) -> None:
        """Set a value, None to leave its key out; what is there already needs no reason."""
        if (value_at(self.wanted, place) or None) != (value or None):
            self.reasons.append(reason)
            set_in(self.wanted, place, value)

    def setting(self, key: str) -> Any:
        """Return a setting of uv's."""
        return value_at(self.wanted, (*UV, key))

    def put_setting(self, key: str, value: Any) -> None:
        """Change a setting of uv's, and say why."""
        self.put((*UV, key), value or None, f"{key}: {_REASONS[key]}.")

    def lay_requirements(self) -> None:
        """Pin torch and what comes with it, each where the project has it; hold NumPy below 2."""
        plan, lines, torch = self.plan, self.project.lines, self.project.of(TORCH)
        names = {line.name for line in lines if not line.is_setting}
        homes = [line.place for line in torch if not line.is_setting] or [BASE] * (not torch)
        pairs = [(line.place, line.name) for line in lines]
        for option, planned in self.required.items():
            for package in planned:
                places = [option] if option else homes * (package not in names)
                pairs += [(place, package) for place in places]
        pairs += [(CONSTRAINTS, package) for package in self.constraints]
        for place, package in dict.fromkeys(pairs):
            old = [line for line in self.project.of(package) if line.place == place]
            before, after = [line.text for line in old], self.texts(place, package, old)
            if self.project.meaning(before, plan) != self.project.meaning(after, plan):
                self.replace(place, before, after, self.why(place, package, old, after))
        guard = [text for text in self.plan.dependencies if re.match("numpy[<>]", text)]
        every = [item for items in self.project.lists.values() for item in items]
        numpy = [Requirement(it) for it in every if re.match(r"numpy\b(?!-)", str(it))]
        if guard and all(it.specifier.contains("2.0.0") for it in numpy):
            for place in dict.fromkeys(homes or [BASE]):
                reason = f"{self.torch} was compiled against NumPy 1: {listed(guard)}."
                self.replace(place, [], guard, reason)

    def versions(self, package: str) -> list[str]:
        """Return the versions of a package in the plan, or those that go with its releases."""
        cells = [it.version for cell in self.plan.cells if (it := cell.package(package))]
        paired = [self.project.facts.companions(it).get(package) for it in self.plan.releases]
        return [*dict.fromkeys(filter(None, cells or [it[0] for it in paired if it]))]

    def texts(self, place: Place, package: str, old: Sequence[Line]) -> list[str]:
        """Return the requirements of a package in a list: exact pins, bounds that stay, or none.

        Beside options that have several indexes uv locks torch in no other list.
        """
        versions, is_library = self.versions(package), self.plan.is_library
        is_wanted = package in self.packages or (place[0] == "tool" and versions)
        is_beside = self.places and place[0] != "tool" and place not in self.places.values()
        if not is_wanted or (is_beside and (self.is_split or place in self.gone.values())):
            return []
        is_exact, is_bound = any(it.is_exact for it in old), is_library and place[0] == "project"
        fits = all(it.versions.contains(one) for it in old for one in versions)
        stays = bool(old) and fits and place != OVERRIDES
        planned: list[str] = []
        if place == CONSTRAINTS:
            planned = self.constraints.get(package, [])
            stays &= not planned or (is_exact and package not in self.packages)
        elif place != OVERRIDES:
            planned = self.required.get(place if self.places else (), {}).get(package, [])
            stays &= (is_library or not planned) and not (is_bound and is_exact)
            stays |= bool(old) and any(it.place == OVERRIDES for it in self.project.of(package))
        pins = [f"{package}{'>=' if is_bound else '=='}{it}" for it in versions]
        return [line.text for line in old] if stays else planned or pins

    def replace(self, place: Place, old: Sequence[str], new: Sequence[str], reason: str) -> None:
        """Put requirements in the place of others, or behind what they come with."""
        items = list(value_at(self.wanted, place))
        family = [at + 1 for at, item in enumerate(items) if self.project.line(place, item)]
        at = next((at for at, item in enumerate(items) if item in old), [len(items), *family][-1])
        value = [item for item in items if item not in old]
        value[at:at] = new
        is_gone = not value and (place[0] == "tool" or place in self.project.variants.values())
        self.put(place, None if is_gone else value, reason)

    def why(self, place: Place, package: str, old: Sequence[Line], new: Sequence[str]) -> str:
        """Return the reason for other requirements of a package."""
        texts = ["the URL of a wheel" if line.names_file else line.text for line in old]
        said = listed([*dict.fromkeys(texts)])
        pins = listed([*dict.fromkeys(text.partition(" ; ")[0] for text in new)])
        if not new and package in self.packages:
            return (
                f"{said} leaves {place[-1]}: its build is that of {listed([*self.places], 'or')}."
            )
        if not new:
            return f"{said} leaves {place[-1]}: no build of {self.torch} requires it."
        if not old and place != CONSTRAINTS:
            return f"{package} goes into {place[-1]}: its index holds where it is required by name."
        if not self.project.of(package):
            return f"{pins} stays with {self.torch}, where another package requires {package}."
        if old and all(line.is_exact for line in old):
            return f"For {self.torch}: {pins}, in the place of {said}."
        return f"{said or package} lets platforms lock different releases: {pins}."

    def lay_python(self) -> None:
        """Bound `requires-python` to the Pythons that have every wheel."""
        plan, place = self.plan, ("project", "requires-python")
        before = [it.strip() for it in (value_at(self.wanted, place) or "").split(",")]
        parts, end = before, next_minor(plan.pythons[-1])
        if "python_version" in self.project.given or not before[0]:
            parts = [plan.requires_python]
        elif self.project.pythons[:1] != [plan.python]:
            parts = [f">={plan.python}", *(it for it in parts if it[0] in "<!")]
        if "<" in plan.requires_python and SpecifierSet(",".join(parts)).contains(f"{end}.0"):
            parts = [*(it for it in parts if it[0] != "<"), f"<{end}"]
        if parts != before:
            reason = f"requires-python: wheels are there for {plan.python} to {plan.pythons[-1]}."
            self.put(place, ",".join(parts), reason)

    def lay_settings(self) -> None:
        """Name the platforms exactly, a uv that knows all this, and what a bare `uv sync` gets."""
        plan, kept = self.plan, self.setting("exclude-newer-package")
        self.put_setting("environments", list(plan.environments))
        self.put_setting("required-environments", list(plan.environments))
        self.put_setting("exclude-newer-package", {**kept, **dict.fromkeys(plan.sources, False)})
        least = Version(plan.required_uv.removeprefix(">="))
        starts = re.findall(r"(?:^|[,=>~])\s*(\d[\d.]*\d)", self.setting("required-version") or "")
        if not any(Version(start) >= least for start in starts):
            self.put_setting("required-version", plan.required_uv)
        if plan.groups and not self.project.lists.keys() >= {*self.places.values()}:
            groups = [place[-1] for place in self.project.lists if place[:-1] == KINDS["group"]]
            default = self.setting("default-groups") or [it for it in groups if it == "dev"]
            kept = [it for it in (groups if default == "all" else default) if it not in self.gone]
            self.put_setting("default-groups", [*dict.fromkeys([*kept, plan.default.name])])

    def lay_conflicts(self) -> None:
        """Let extras and groups with different builds exclude each other, and no others."""
        builds = {it.name: {cell[1:] for cell in it.cells} for it in self.plan.options}
        pairs = [*combinations(self.places, 2)]
        different = [it for it in pairs if builds[it[0]] != builds[it[1]]]
        missing = [it for it in different if not self.project.excludes(*map(self.selector, it))]
        gone = [{kind: name} for kind in KINDS for name in self.gone]
        entries = [[it for it in entry if it not in gone] for entry in self.setting("conflicts")]
        for names in [tuple(self.places)] if missing and different == pairs else missing:
            added = [self.selector(name) for name in names]
            entries = [*(it for it in entries if any(item not in added for item in it)), added]
        self.put_setting("conflicts", [entry for entry in entries if len(entry) > 1])

    def selector(self, name: str) -> dict[str, str]:
        """Return what names an option in a source or in `conflicts`, nothing for the only one."""
        place = self.places.get(name, ())
        return {kind: place[-1] for kind in KINDS if place[:-1] == KINDS[kind]}

    def lay_indexes(self) -> dict[str, str]:
        """Declare the indexes; return the plan's name -> the one here."""
        place, backend_of = (*UV, "index"), self.project.backend_of
        items, names = list(self.setting("index")), dict[str, str]()
        for index in self.plan.indexes:
            alike = {written(index.url), backend_of(index.url)} - {None}
            same = [it for it in items if {written(it["url"]), backend_of(it["url"])} & alike][:1]
            flag, other = ("default", "explicit") if index.default else ("explicit", "default")
            flat = {"format": "flat"} if index.flat else {}
            entry = {"name": index.name, **dict(*same), "url": index.url, **flat, flag: True}
            entry.pop(other, None)
            while any(it.get("name") == entry["name"] for it in items if it not in same):
                entry["name"] += "-torch"
            names[index.name] = entry["name"]
            items = [entry if it in same else it for it in items] + [entry] * (not same)
            self.put(place, items, f"The index {entry['name']} is {flag}, at {entry['url']}.")
        return names

    def lay_sources(self, names: dict[str, str]) -> None:
        """Give each package its index on every platform, if it has another one today."""
        planned: dict[str, list[dict[str, str]]] = {}
        for package, plans in self.plan.sources.items():
            for it in plans:
                entry = {"index": names[it.index_name], **self.selector(it.extra or it.group)}
                entry |= {"marker": it.marker} if it.marker else {}
                planned.setdefault(package, []).append(entry)
        after = deepcopy(self.wanted)
        set_in(after, (*UV, "sources"), planned)
        one, other = self.project, Project(after, self.project.facts, {})
        for package in sorted(one.family, key=lambda it: (it != TORCH, it)):
            entries, sources = planned.get(package, []), one.sources(package)
            reason = f"{package} comes from the index of its build on each platform."
            if not entries:
                reason = f"{package} has a source that nothing here needs: uv ignores it."
            elif not sources:
                reason = f"{package} has no source: it would not come from the index of its build."
            elif any("extra" in str(it.marker) for it in sources):
                reason = f"uv drops `extra` from a marker, so all get this index of {package}."
            elif one.origins(package) == other.origins(package):
                continue
            names_here = [*self.setting("sources"), package]
            key = next(it for it in names_here if canonicalize_name(it) == package)
            value = entries[0] if len(entries) == 1 else entries or None
            self.put((*UV, "sources", key), value, reason)

    def drop_indexes(self) -> None:
        """Leave out the indexes of PyTorch that nothing uses any more."""
        backend_of, used = self.project.backend_of, str([*dict(self.setting("sources")).values()])
        for index in self.setting("index"):
            if backend_of(index["url"]) is not None and repr(index.get("name")) not in used:
                kept = [it for it in self.setting("index") if it != index]
                reason = f"No source uses the index {index.get('name') or index['url']}."
                self.put((*UV, "index"), kept or None, reason)
        for key in ("extra-index-url", "find-links"):
            self.put_setting(key, [it for it in self.setting(key) if backend_of(it) is None])
        if backend_of(self.setting("index-url") or "") is not None:
            self.put_setting("index-url", None)


def by_package(texts: Iterable[str]) -> dict[str, list[str]]:
    """Return package -> its requirements."""
    return {name: [*its] for name, its in groupby(texts, lambda text: Requirement(text).name)}


def set_in(table: dict[str, Any], place: Sequence[str], value: Any) -> None:
    """Set a value within tables, and leave out what is None, or has nothing left in it."""
    key, *rest = place
    if rest:
        set_in(table.setdefault(key, {}), rest, value)
    else:
        table[key] = value
    if table[key] in (None, {}):
        del table[key]
