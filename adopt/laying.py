"""Lays a plan into a project: what its file is to say, and one line of reason for each change."""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import deepcopy
from itertools import combinations, product
from typing import Any

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from adopt.document import Place
from adopt.project import (
    BASE,
    CONSTRAINTS,
    EXTRAS,
    GROUPS,
    OVERRIDES,
    UV,
    Line,
    Stop,
    holds,
    normal,
)
from adopt.reading import Reading
from torch_plan.facts import CPU, TORCH
from torch_plan.plan import Plan, next_minor
from torch_plan.text import listed
from torch_plan.urls import written

_HARDWARE = r"cpu|gpu|cu(da)?\d*|rocm|amd|hip|xpu|intel|nvidia|mps|metal"
"""What an extra or group is called that chooses a build, and is not one of several features."""


class Layout:
    """The file as it is to be, in `wanted`, and the `reasons` for what is changed.

    `pins` is the plan of the exact pins, `plan` that of all the rest.
    """

    def __init__(self, reading: Reading, plan: Plan, pins: Plan) -> None:
        self.reading, self.project, self.plan = reading, reading.project, plan
        self.wanted: dict[str, Any] = deepcopy(dict(self.project.data))
        self.reasons: list[str] = []
        kind = GROUPS if plan.selector == "group" else EXTRAS
        options = plan.options if plan.selector else ()
        self.places = {it.name: reading.variants.get(it.name, (*kind, it.name)) for it in options}
        self.pins = self.required(pins)
        self.requirements = self.required(plan)
        self.constraints: dict[str, list[str]] = {}
        for text in plan.constraints:
            name = canonicalize_name(Requirement(text).name)
            self.constraints.setdefault(name, []).append(text)
        self.torch = f"{TORCH} {listed(plan.releases)}"
        self.lay_requirements()
        self.lay_python()
        self.lay_settings()
        self.lay_conflicts()
        names = self.lay_indexes()
        for package in sorted(self.project.family, key=lambda it: (it != TORCH, it)):
            self.lay_sources(package, names)
        self.drop_indexes()

    def required(self, plan: Plan) -> dict[str, dict[Place, list[str]]]:
        """Return package -> the list of each option -> what a plan requires there."""
        found: dict[str, dict[Place, list[str]]] = {}
        for option, text in [(it, text) for it in plan.options for text in it.requirements]:
            places = found.setdefault(canonicalize_name(Requirement(text).name), {})
            places.setdefault(self.places.get(option.name, ()), []).append(text)
        return found

    def get(self, place: Place, default: Any = ()) -> Any:
        """Return a value of the file as it is to be."""
        table: Any = self.wanted
        for key in place[:-1]:
            table = table.get(key, {})
        return table.get(place[-1], default)

    def put(self, place: Place, value: Any, reason: str) -> None:
        """Set a value, None to leave its key out; a value that is there already needs no reason."""
        if self.get(place, None) == value:
            return
        self.reasons.append(reason)
        table = self.wanted
        for key in place[:-1]:
            table = table.setdefault(key, {})
        table[place[-1]] = value
        if value is None:
            del table[place[-1]]

    def lay_requirements(self) -> None:
        """Pin torch and what comes with it, each where the project has it, and guard NumPy."""
        pairs = dict.fromkeys((line.place, line.name) for line in self.project.lines)
        for package, places in self.requirements.items():
            wanted = [*places] if self.places else self.requiring(package)
            pairs.update({(it, package): None for it in [*wanted, self.pin_place(package)] if it})
        pairs.update({(CONSTRAINTS, package): None for package in self.constraints})
        for place, package in pairs:
            old = [line for line in self.project.of(package) if line.place == place]
            before, after = [line.text for line in old], self.texts(place, package, old)
            if self.meaning(before) != self.meaning(after):
                self.replace(place, before, after, self.why(place, package, old, after))
        named = self.plan.dependencies if self.plan.guarded_platforms else ()
        guard = [text for text in named if re.match("numpy[<>]", text)]
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

    def pin_place(self, package: str) -> Place | None:
        """Return the list of uv's that pins a package, None where its requirements do."""
        lines = self.project.of(package)
        required = [line for line in lines if line.place[0] != "tool"]
        if any(line.place == OVERRIDES for line in lines):
            return OVERRIDES
        is_pinned = any(line.is_exact for line in required)
        if not lines or (is_pinned and self.reading.given.get("torch_pin") != "minimum"):
            return None
        is_bound = self.reading.keeps_bounds and any(it.place[0] == "project" for it in required)
        return CONSTRAINTS if is_bound or len(required) < len(lines) else None

    def texts(self, place: Place, package: str, old: Sequence[Line]) -> list[str]:
        """Return the requirements of a package in a list: exact pins, bounds that stay, or none."""
        if self.leaves(place, package):
            return []
        pins, pinning = self.pins.get(package, {}), self.pin_place(package)
        every = [*dict.fromkeys(text for texts in pins.values() for text in texts)]
        versions = re.findall(r"==([\w.]+)", " ".join(every)) or self.paired(package)
        fits = all(it.versions.contains(version) for it in old for version in versions)
        is_exact = any(line.is_exact for line in old)
        if place == CONSTRAINTS and package in self.constraints:
            is_kept = is_exact and fits and package not in self.pins
            return [line.text for line in old] if is_kept else self.constraints[package]
        if place == pinning:
            return every
        here = self.requirements.get(package, {}).get(place if self.places else (), [])
        if not pinning and place[0] != "tool" and here:
            return here
        is_bound = pinning and self.reading.keeps_bounds and place[0] == "project"
        if old and (pinning == OVERRIDES or (fits and not (is_bound and is_exact))):
            return [line.text for line in old]
        if is_bound and here:
            return here
        return [f"{package}{'>=' if is_bound else '=='}{it}" for it in dict.fromkeys(versions)]

    def paired(self, package: str) -> list[str]:
        """Return the newest version of a companion that goes with each release of the plan."""
        found = (self.reading.facts.companions(it).get(package) for it in self.plan.releases)
        return [versions[0] for versions in found if versions]

    def leaves(self, place: Place, package: str) -> bool:
        """Tell whether a requirement of a package has no place in a list any more.

        Beside options that have several indexes uv locks torch in no other list.
        """
        if place[0] == "tool":
            return package not in self.pins and not self.paired(package)
        if place in self.places.values() or not self.places:
            return package not in self.pins
        is_split = any(len({it.backend for it in option.cells}) > 1 for option in self.plan.options)
        in_base = any(line.place == BASE for line in self.project.of(TORCH))
        is_gone = place in self.reading.variants.values()
        return package not in self.pins or is_split or is_gone or (place == BASE and not in_base)

    def meaning(self, texts: Sequence[str]) -> set[Any]:
        """Return what requirements demand on each platform with each Python."""
        lines = [line for text in texts if (line := self.project.line(BASE, text))]
        where = [*product(self.plan.platforms, self.plan.pythons)]
        return {
            (*it, str(line.versions), line.label, line.names_file)
            for it, line in product(where, lines)
            if holds(line.marker, *it)
        }

    def replace(self, place: Place, old: Sequence[str], new: Sequence[str], reason: str) -> None:
        """Put requirements in the place of others, or behind what they come with."""
        items = list(self.get(place))
        family = [at + 1 for at, item in enumerate(items) if self.project.line(place, item)]
        at = next((at for at, item in enumerate(items) if item in old), [len(items), *family][-1])
        before, after = ([it for it in part if it not in old] for part in (items[:at], items[at:]))
        value = [*before, *new, *after]
        is_gone = not value and place in {*self.reading.variants.values(), CONSTRAINTS, OVERRIDES}
        self.put(place, None if is_gone else value, reason)

    def why(self, place: Place, package: str, old: Sequence[Line], new: Sequence[str]) -> str:
        """Return the reason for other requirements of a package."""
        said = listed([line.text for line in old])
        pins = listed([*dict.fromkeys(text.partition(" ; ")[0] for text in new)])
        versions = re.findall(r"==([\w.]+)", pins)
        if place == CONSTRAINTS and new and package not in self.pins:
            return f"Other packages may require {package}: {pins} keeps it beside {self.torch}."
        if not old and place == CONSTRAINTS:
            return (
                f"The bound of {package} lets platforms lock different releases: {pins} holds one."
            )
        if not old:
            return f"{package} goes into {place[-1]}: its index holds where it is required by name."
        if not new and package in self.pins:
            return f"{said} leaves {place[-1]}: {listed([*self.places])} choose its build."
        if not new:
            return f"{said} leaves {place[-1]}: no build of {self.torch} requires it."
        if any(line.names_file for line in old):
            return f"{package} is named by wheels: {pins} and an index say it for all of them."
        if package != TORCH and not all(it.versions.contains(v) for it in old for v in versions):
            return f"{said} is not made for {self.torch}: {pins}."
        if self.plan.local_pins:
            return f"{said} does not name the build of every platform: {pins}."
        if all(line.is_exact for line in old):
            return f"{said} becomes {pins}."
        return f"{said} lets platforms lock different releases: {pins}."

    def lay_python(self) -> None:
        """Bound `requires-python` to the Pythons that have every wheel."""
        plan, text = self.plan, self.get(("project", "requires-python"), "")
        parts, end = [it.strip() for it in text.split(",")], next_minor(plan.pythons[-1])
        if "python_version" in self.reading.given or not text:
            parts = [plan.requires_python]
        elif self.reading.pythons[:1] != [plan.python]:
            parts = [f">={plan.python}", *(it for it in parts if it[0] in "<!")]
        if "<" in plan.requires_python and SpecifierSet(",".join(parts)).contains(f"{end}.0"):
            parts = [*(it for it in parts if it[0] != "<"), f"<{end}"]
        if parts != [it.strip() for it in text.split(",")]:
            reason = f"requires-python: wheels are there for {plan.python} to {plan.pythons[-1]}."
            self.put(("project", "requires-python"), ",".join(parts), reason)

    def lay_settings(self) -> None:
        """Name the platforms exactly, and the group that a bare `uv sync` installs."""
        exact = list(self.plan.environments)
        joined = "the lock is for the platforms that have wheels, each with its own build"
        each = "a platform without a wheel fails at the lock, not at the install"
        for key, value, reason in (
            ("environments", [" or ".join(exact)], joined),
            ("required-environments", exact, each),
        ):
            markers = " or ".join(str(Marker(text)) for text in self.get((*UV, key)))
            if {*markers.split(" or ")} != {str(Marker(text)) for text in exact}:
                self.put((*UV, key), value, f"{key}: {reason}.")
        self.lay_spared()
        self.lay_required_uv()
        known, groups = (
            {*self.project.lists},
            [it for it in self.places.values() if it[:-1] == GROUPS],
        )
        if groups and not known.issuperset(groups):
            kept = self.get((*UV, "default-groups"), ["dev"] if (*GROUPS, "dev") in known else [])
            names = [it for it in kept if it not in {*self.reading.variants} - {*self.places}]
            value = [*dict.fromkeys([*names, self.plan.default.name])]
            self.put(
                (*UV, "default-groups"), value, "default-groups: a bare `uv sync` has a build."
            )

    def lay_spared(self) -> None:
        """Except what comes from PyTorch's index from a cooldown, as it tells no upload dates."""
        key: Place = (*UV, "exclude-newer-package")
        known: dict[str, Any] = self.get(key, {})
        kept = {it: known[it] for it in known if it not in self.project.family or known[it]}
        value = {**kept, **dict.fromkeys(self.plan.explicit_packages, False)}
        reason = "PyTorch's index tells no upload dates, so a cooldown would refuse all it has"
        self.put(key, value or None, f"{key[-1]}: {reason}.")

    def lay_required_uv(self) -> None:
        """Ask for a uv that knows all that stands here."""
        key, least = (*UV, "required-version"), self.plan.required_uv
        starts = re.findall(r"(?:^|[,=>~])\s*(\d[\d.]*\d)", self.get(key, ""))
        if not any(SpecifierSet(least).contains(start) for start in starts):
            reason = f"an older uv than {least.strip('>=')} drops settings that stand here"
            self.put(key, least, f"{key[-1]}: {reason}.")

    def lay_conflicts(self) -> None:
        """Let extras and groups with different builds exclude each other, and no others."""
        builds = {it.name: {cell[1:] for cell in it.cells} for it in self.plan.options}
        pairs = [*combinations(self.places, 2)]
        different = [it for it in pairs if builds[it[0]] != builds[it[1]]]
        missing = [it for it in different if not self.excluded(*it)]
        named = all(re.search(_HARDWARE, name) for pair in missing for name in pair)
        if not named and "torch_backend" not in self.reading.given:
            raise Stop(
                f"{listed(missing[0])} have different builds of torch, and nothing says that they "
                "exclude each other. If they do, say so in `conflicts`; if they are to be added "
                "up, give them one build."
            )
        gone = {*self.reading.variants} - {*self.places}
        entries = [
            [it for it in entry if it.get("extra", it.get("group")) not in gone]
            for entry in self.get((*UV, "conflicts"))
        ]
        for names in [tuple(self.places)] if missing and different == pairs else missing:
            added = [self.selector(name) for name in names]
            entries = [*(it for it in entries if any(item not in added for item in it)), added]
        entries = [entry for entry in entries if len(entry) > 1]
        reason = f"{listed([*self.places])} have different builds, so they need `conflicts`."
        self.put((*UV, "conflicts"), entries or None, reason)

    def excluded(self, one: str, other: str) -> bool:
        """Tell whether the project says already that two options exclude each other."""
        both = {normal(self.places[one]), normal(self.places[other])}
        return any(both <= names for names in self.reading.conflicts)

    def selector(self, name: str) -> dict[str, str]:
        """Return what names an option in a source or in `conflicts`, nothing for the only one."""
        place = self.places.get(name)
        return {"group" if place[:-1] == GROUPS else "extra": place[-1]} if place else {}

    def lay_indexes(self) -> dict[str, str]:
        """Declare the indexes; return the plan's name of each -> the name that it has here."""
        names = {}
        for index in self.plan.indexes:
            items, backend = list(self.get((*UV, "index"))), self.project.backend_of(index.url)
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
        """Give a package its index on every platform."""
        entries = []
        for source in self.plan.sources.get(package, ()):
            chosen = self.selector(source.extra or source.group)
            place = self.places.get(source.extra or source.group, BASE)
            lines = [self.project.line(place, item) for item in self.get(place)]
            if not chosen or any(line and line.name == package for line in lines):
                marker = {"marker": source.marker} if source.marker else {}
                entries.append({"index": names[source.index_name], **chosen, **marker})
        is_setting = any(line.place[0] == "tool" for line in self.project.of(package))
        if self.is_served(package, names) if entries else is_setting:
            return
        keys = [it for it in self.get((*UV, "sources")) if canonicalize_name(it) == package]
        value = entries[0] if len(entries) == 1 else entries or None
        for key in keys or [package] * bool(entries):
            self.put((*UV, "sources", key), value, self.why_source(package, bool(entries)))

    def is_served(self, package: str, names: dict[str, str]) -> bool:
        """Tell whether the file gives a package the planned index on each platform already."""
        sources, known = self.project.sources(package), {(), *map(normal, self.project.lists)}
        if not sources or any(it.extra_in_marker or it.option not in known for it in sources):
            return False
        for option, platform in product(self.plan.options, self.plan.platforms):
            planned = [
                names[it.index_name]
                for it in self.plan.sources[package]
                if (it.extra or it.group or option.name) == option.name
                if not it.marker or holds(Marker(it.marker), platform, self.plan.python)
            ]
            index = self.project.index_of(package, self.places.get(option.name), platform)
            if [index.get("name")] * bool(index) != planned:
                return False
        return True

    def why_source(self, package: str, has_source: bool) -> str:
        """Return the reason for other sources of a package."""
        sources = self.project.sources(package)
        options: list[Place | None] = [*self.places.values()] or [None]
        if not has_source:
            return f"{package} has a source that nothing here needs: uv ignores it."
        if not sources and not self.project.of(package):
            return f"Other packages may require {package}: then it has the build of torch."
        if not sources:
            index = self.project.index_of(package, options[0], self.plan.platforms[0])
            origin = f"the index {index.get('name', index['url'])}" if index else "PyPI"
            return f"{package} has no source: it comes from {origin}."
        if any(it.extra_in_marker for it in sources):
            return f"uv drops `extra` from a marker: this index of {package} holds for everybody."
        for option, platform in product(options, self.plan.platforms):
            index = self.project.index_of(package, option, platform)
            backend = self.project.backend_of(index.get("url", "")) or CPU
            if "macos" in platform and backend != CPU:
                return f"A Mac is locked to {index['name']}, which has no {package} for it."
        return f"{package} comes from the index of its build on each platform."

    def drop_indexes(self) -> None:
        """Leave out the indexes of PyTorch that nothing uses any more."""
        used = str([*dict(self.get((*UV, "sources"))).values()])
        for index in self.get((*UV, "index")):
            name, kept = index.get("name"), [it for it in self.get((*UV, "index")) if it != index]
            if self.project.backend_of(index["url"]) is not None and repr(name) not in used:
                reason = f"No source uses the index {name or index['url']}."
                self.put((*UV, "index"), kept or None, reason)
        for key in ("extra-index-url", "find-links"):
            kept = [it for it in self.get((*UV, key)) if self.project.backend_of(it) is None]
            reason = f"{key} has PyTorch's index, which any package may come from then."
            self.put((*UV, key), kept or None, reason)
