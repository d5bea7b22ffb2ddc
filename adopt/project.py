"""What a pyproject.toml says about torch, and the answers that this gives."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple
from urllib.parse import unquote

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename

from adopt import Stop
from torch_plan.answers import records
from torch_plan.answers.indexes import build_in
from torch_plan.answers.words import normalized
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.catalog.versions import PYPI, TORCH
from torch_plan.inverse import Inverse, Present, index_backend
from torch_plan.project.markers import compared
from torch_plan.project.plan import Plan
from torch_plan.resolution.defaults import complete
from torch_plan.text import listed
from torch_plan.urls import masked, written

Place = tuple[str, ...]
"""A key, as a path from the root of the file."""

BASE: Place = ("project", "dependencies")
UV: Place = ("tool", "uv")
CONSTRAINTS: Place = (*UV, "constraint-dependencies")
OVERRIDES: Place = (*UV, "override-dependencies")
KINDS: Mapping[str, Place] = {
    "extra": ("project", "optional-dependencies"),
    "group": ("dependency-groups",),
}
"""How a source and a conflict name what chooses a build -> where that stands."""


class Line(NamedTuple):
    """A requirement of torch or of what comes with it."""

    place: Place
    text: str
    name: str
    versions: SpecifierSet
    """The public versions that it admits."""
    label: str
    """The label that it demands, as `cu128`; empty for none."""
    marker: Marker | None
    names_file: bool
    is_exact: bool
    """Whether it admits one release alone."""
    is_setting: bool
    """Whether it is a constraint or an override, which require nothing by themselves."""


class Source(NamedTuple):
    """An entry of `[tool.uv.sources]` that names an index."""

    index_name: str
    option: Place
    """The extra or group that it is for, empty for all of them."""
    marker: Marker | None


def value_at(data: Mapping[str, Any], place: Place) -> Any:
    """Return what stands at a place, nothing that can be iterated if nothing does."""
    for key in place:
        data = data.get(key, {})
    return data


def holds(marker: Marker | None, platform: str, pythons: Iterable[str], extra: Place = ()) -> bool:
    """Tell whether a marker holds on a platform with any of some Pythons."""
    return marker is None or any(
        marker.evaluate({**compared(platform, it), "extra": "".join(extra)}) for it in pythons
    )


def normal(place: Place) -> Place:
    """Return a place with the name of its extra or group as uv compares it."""
    return (*place[:-1], canonicalize_name(place[-1]))


def options_in(entry: Mapping[str, str]) -> list[Place]:
    """Return the extra or group that an entry of uv's settings names, in its normal form."""
    return [normal((*KINDS[kind], entry[kind])) for kind in KINDS if kind in entry]


class Project:
    """A parsed pyproject.toml, read with the answers that are `given` and the releases `locked`.

    `variants` are the extras and groups that choose a build: sources name them, or they exclude
    each other. There are none where the project has one build only.
    """

    def __init__(
        self,
        data: Mapping[str, Any],
        facts: Facts,
        given: Mapping[str, str],
        locked: Collection[str] = (),
    ) -> None:
        self.data, self.facts, self.given, self.locked = data, facts, given, locked
        self.uv: Mapping[str, Any] = value_at(data, UV)
        self.family = {TORCH, *facts.all_companions, *facts.all_tritons}
        self.copies = {it.url: name for name, it in facts.pytorch_mirrors.items()}
        mirror = given.get("pytorch_index", "")
        if mirror and mirror not in self.copies.values():
            self.copies[written(mirror)] = mirror
        self.requires_python = data["project"].get("requires-python", "")
        admitted = SpecifierSet(self.requires_python)
        ends = ((it, f"{it}.0", f"{it}.99") for it in facts.all_pythons)
        self.pythons = [it for it, *both in ends if any(map(admitted.contains, both))]
        urls = [*self.uv.get("extra-index-url", []), *self.uv.get("find-links", [])]
        urls += [self.uv[key] for key in ("index-url",) if key in self.uv]
        self.indexes = [*self.uv.get("index", []), *({"url": url} for url in urls)]
        named = [(*kind, name) for kind in KINDS.values() for name in value_at(data, kind)]
        self.lists = {it: value_at(data, it) for it in (BASE, *named, CONSTRAINTS, OVERRIDES)}
        lines = [self.line(place, it) for place, items in self.lists.items() for it in items]
        self.lines = [line for line in lines if line]
        entries = self.uv.get("conflicts", [])
        self.conflicts = [{it for each in entry for it in options_in(each)} for entry in entries]
        places = {normal(line.place): line.place for line in self.of(TORCH)}
        both = [entry & places.keys() for entry in self.conflicts]
        choosing = {it.option for it in self.sources(TORCH)}.union(
            *(it for it in both if len(it) > 1)
        )
        homes = {normal(it.place) for it in self.of(TORCH) if not it.is_setting}
        self.homes = homes if len(homes) == 1 else set()
        """The only list that requires torch, whose sources hold for the project; else none."""
        found = {places[it][-1]: places[it] for it in places if it in choosing}
        self.variants = found if len(found) > 1 else {}
        self.platforms = self.read_platforms()
        self.cells = [*product(self.variants or ("",), self.platforms)]

    def of(self, package: str) -> list[Line]:
        """Return the requirements of a package."""
        return [line for line in self.lines if line.name == package]

    def line(self, place: Place, item: Any) -> Line | None:
        """Return a requirement of the family taken apart, None for any other item of a list."""
        match = re.match(r"\s*([\w.-]+)", item) if isinstance(item, str) else None
        if not match or canonicalize_name(match[1]) not in self.family:
            return None
        it = Requirement(item)
        if it.extras:
            raise Stop(f"{item!r} asks for extras; what they hold is not known. Keep it by hand.")
        asked = str(it.specifier)
        label = "".join(re.findall(r"\+([\w.]+)", asked)[:1])
        if it.url:
            folder, _, file = re.split("[#?]", unquote(it.url))[0].rpartition("/")
            version = parse_wheel_filename(file)[1]
            asked, label = f"=={version.public}", version.local or self.backend_of(folder) or ""
        versions = SpecifierSet(re.sub(r"\+[\w.]+", "", asked))
        is_exact = any(one.operator == "==" and "*" not in one.version for one in versions)
        kind = (bool(it.url), is_exact, place[0] == "tool")
        return Line(place, item, canonicalize_name(it.name), versions, label, it.marker, *kind)

    def meaning(self, texts: Sequence[str], plan: Plan) -> set[Any]:
        """Return what requirements demand on each platform of a plan with each of its Pythons."""
        lines = [line for text in texts if (line := self.line(BASE, text))]
        return {
            (platform, python, str(line.versions), line.label, line.names_file)
            for platform, python, line in product(plan.platforms, plan.pythons, lines)
            if holds(line.marker, platform, [python])
        }

    def lines_at(self, package: str, variant: str, platform: str) -> list[Line]:
        """Return the requirements of a package that count there; overrides beat the others."""
        lines, own = self.of(package), (BASE, self.variants.get(variant))
        return [
            line
            for line in [it for it in lines if it.place == OVERRIDES] or lines
            if not variant or line.is_setting or line.place in own
            if holds(line.marker, platform, self.facts.all_pythons)
        ]

    def backend_of(self, url: str) -> str | None:
        """Return the backend of an index of PyTorch, as `index_backend` does."""
        return index_backend(url, self.copies)

    def sources(self, package: str) -> list[Source]:
        """Return the sources of a package."""
        tables, found = self.uv.get("sources", {}), []
        values = [tables[name] for name in tables if canonicalize_name(name) == package]
        for entry in [it for each in values for it in (each if isinstance(each, list) else [each])]:
            if "index" not in entry:
                raise Stop(f"{package} has the source {entry}, which is no index. Keep it by hand.")
            text = entry.get("marker", "")
            extras = re.findall(r"""extra\s*==\s*["']([\w.-]+)["']""", text)
            named = [entry, *({"extra": name} for name in extras)]
            places = [place for it in named for place in options_in(it)]
            found.append(Source(entry["index"], [*places, ()][0], Marker(text) if text else None))
        return found

    def index_of(self, package: str, variant: str, platform: str) -> dict[str, Any]:
        """Return the index that a package comes from, nothing for PyPI or what takes its place."""
        named = {it["name"]: it for it in self.indexes if "name" in it}
        open_to_all = [it for it in self.indexes if not it.get("explicit")]
        torch_for_all = [it for it in open_to_all if self.backend_of(it["url"]) is not None]
        own = {(), normal(self.variants[variant])} if variant else {(), *self.homes}
        chosen = [
            named.get(source.index_name, {"name": source.index_name, "url": ""})
            for source in self.sources(package)
            if source.option in own
            if holds(source.marker, platform, self.facts.all_pythons, source.option[-1:])
        ]
        index: dict[str, Any] = [*chosen, *torch_for_all, {}][0]
        return {} if re.fullmatch(r"https://pypi\.\w+/simple/?", index.get("url", "")) else index

    def origins(self, package: str) -> dict[tuple[str, str], str]:
        """Return the name of the index that a package comes from in each cell."""
        return {it: self.index_of(package, *it).get("name", "") for it in self.cells}

    def excludes(self, *entries: Mapping[str, str]) -> bool:
        """Tell whether the project says already that extras and groups exclude each other."""
        both = {it for entry in entries for it in options_in(entry)}
        return any(both <= it for it in self.conflicts)

    def named_in(self, key: str) -> set[str]:
        """Return the platforms that a setting of uv's names."""
        markers, pythons = [Marker(text) for text in self.uv.get(key, [])], self.facts.all_pythons
        return {it for it in PLATFORMS if any(holds(marker, it, pythons) for marker in markers)}

    def read_platforms(self) -> list[str]:
        """Return the usual platforms, those that uv requires, and any with pins of its own.

        `environments` leaves some of them out, and names none: it may say all but the Intel Mac.
        """
        lines = {it: {*self.lines_at(TORCH, "", it)} for it in PLATFORMS}
        usual = [line for it in records.DEFAULT_PLATFORMS for line in lines[it]]
        pinned = {it for it in PLATFORMS if not lines[it].issubset(usual)}
        known = {*records.DEFAULT_PLATFORMS, *pinned, *self.named_in("required-environments")}
        bounds = self.named_in("environments") if self.uv.get("environments") else known
        return [it for it in PLATFORMS if it in known & bounds]

    @cached_property
    def own_builds(self) -> dict[tuple[str, str], tuple[str, str]]:
        """Return cell -> backend and URL, where the index is somebody else's, and not everywhere.

        Such an index names its build in its name, or in its URL.
        """
        found: dict[tuple[str, str], tuple[str, str]] = {}
        for cell in self.cells:
            index = self.index_of(TORCH, *cell)
            build = build_in(f"{index.get('name')}/{index.get('url')}", self.facts)
            if build and self.backend_of(index["url"]) is None:
                found[cell] = (build, index["url"])
        return found if len(found) < len(self.cells) else {}

    def backend(self, variant: str, platform: str) -> str:
        """Return the backend that a variant has on a platform today."""
        index = self.index_of(TORCH, variant, platform)
        labels = [line.label for line in self.lines_at(TORCH, variant, platform)]
        own = [its[0] for cell, its in self.own_builds.items() if cell == (variant, platform)]
        for backend in (*labels, *own, self.backend_of(index["url"]) if index else PYPI):
            if backend in self.facts.all_backends:
                return backend
        if "torch_backend" in self.given:
            return PYPI
        raise Stop(
            f"torch comes from the index {index.get('name') or masked(index['url'])}, which is not "
            "PyTorch's of a released build. Say torch_backend=… or, for a copy, pytorch_index=URL."
        )

    def check_options(self, backends: Mapping[tuple[str, str], str]) -> None:
        """Refuse extras and groups that choose a build in a way that nobody could mean."""
        chosen = {it.option for it in self.sources(TORCH)} - {(), *self.homes}
        if not self.variants and chosen:
            raise Stop(
                f"torch has another index with {listed(sorted(it[-1] for it in chosen))} than "
                "without. Give each build an extra or a group of its own, or say torch_backend=…"
            )
        for variant in self.variants:
            has = [backend for cell, backend in backends.items() if cell[0] == variant]
            named = [it for it in self.facts.all_backends if normalized(it) == normalized(variant)]
            if named and not {*named} & {*has}:
                raise Stop(
                    f"{variant} has the build {has[0]}, and is named as another one. Rename it, or "
                    f"give it the index of {named[0]}."
                )

    def answers(self) -> dict[str, str]:
        """Return all answers: those given, those that the files give, and defaults."""
        lines, given = self.of(TORCH), self.given
        if not lines and not self.sources(TORCH):
            if given:
                return complete({**self.fixed(), **given}, self.facts)
            raise Stop("Nothing here requires torch. Give an answer, as in torch_backend=cu128.")
        if not self.pythons or not self.platforms:
            raise Stop("PyTorch has no wheels for what requires-python and environments name.")
        having = [it for it in self.cells if not lines or self.lines_at(TORCH, *it)]
        lacking = [it for it in self.platforms if lines and not self.lines_at(TORCH, "", it)]
        if not having or (lacking and "platforms" not in given):
            raise Stop(
                f"torch is not required on {listed(lacking or self.platforms)}, or an override "
                "takes it out, as for that of a container. Say platforms=… without them."
            )
        backends = {it: self.backend(*it) for it in having}
        if "torch_backend" not in given:
            self.check_options(backends)
        usual = {*records.DEFAULT_PLATFORMS} - self.named_in("required-environments")
        fixed = self.fixed()
        present = Present(
            backends=backends,
            admits=lambda package, version, place: all(
                line.versions.contains(version) for line in self.lines_at(package, *place)
            ),
            pythons=self.pythons,
            locked=self.locked,
            demanded=[it for it in self.platforms if it not in usual],
            keeps_python=fixed["torch_pin"] == records.MINIMUM and bool(self.requires_python),
            urls={cell: url for cell, (_, url) in self.own_builds.items()},
        )
        found = Inverse(present, given, self.facts).answers(fixed)
        if not found:
            texts, oldest = listed(sorted({line.text for line in lines})), self.facts.releases[0]
            raise Stop(f"No release from {oldest} on satisfies {texts}. Say torch_version=…")
        return found

    def fixed(self) -> dict[str, str]:
        """Return the answers that do not depend on the release.

        A range of torch stays where others install the project, or its lock has a pin beside it.
        """
        every, required = self.of(TORCH), {line for line in self.lines if not line.is_setting}
        is_held = any(line.is_exact for line in every if line.place == CONSTRAINTS)
        is_installed = self.uv.get("package", "build-system" in self.data)
        bounds = [it.place[0] for it in every if it in required and not it.is_exact]
        is_bound = (is_held and bounds) or (is_installed and "project" in bounds)
        is_local = any(line.label and not line.names_file for line in required)
        pin = records.LOCAL if is_local else records.PUBLIC
        copies = [
            name
            for base, name in self.copies.items()
            if any(index_backend(it["url"], [base]) is not None for it in self.indexes)
        ]
        # What some platforms do without already, others may do without too.
        names = {line.name: records.OPTIONAL for line in required}
        for name in names:
            if all({*self.lines_at(name, *it)} & required for it in self.cells):
                names[name] = ""
        companions = [f"{it}{names[it]}" for it in self.facts.all_companions if it in names]
        kinds = [place[:-1] for place in self.variants.values()]
        layouts = [f"{kind}s" for kind in KINDS if KINDS[kind] in kinds]
        return {
            "project_slug": "adopted-project",
            "layout": [*layouts, records.MARKERS][0],
            "companions": " ".join(companions) or records.NO_COMPANIONS,
            "pytorch_index": [*copies, "official"][0],
            "torch_pin": records.MINIMUM if is_bound else pin,
        }
