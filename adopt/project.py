"""What a pyproject.toml says about torch, and the answers that this gives."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cached_property
from itertools import combinations, product
from typing import Any, NamedTuple
from urllib.parse import unquote

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename

from adopt.document import Place
from torch_plan.answers import (
    DEFAULT_PLATFORMS,
    LOCAL,
    MARKERS,
    MINIMUM,
    NO_COMPANIONS,
    OPTIONAL,
    PUBLIC,
)
from torch_plan.defaults import complete
from torch_plan.facts import PYPI, TORCH, Facts
from torch_plan.inverse import Inverse, Present, index_backend
from torch_plan.markers import compared
from torch_plan.platforms import PLATFORMS
from torch_plan.text import listed
from torch_plan.urls import shown, written

Table = Mapping[str, Any]

BASE: Place = ("project", "dependencies")
UV: Place = ("tool", "uv")
CONSTRAINTS: Place = (*UV, "constraint-dependencies")
OVERRIDES: Place = (*UV, "override-dependencies")
KINDS: Mapping[str, Place] = {
    "extra": ("project", "optional-dependencies"),
    "group": ("dependency-groups",),
}
"""How a source and a conflict name what chooses a build -> where that stands."""


ANSWERS = (
    *("torch_version", "python_version", "torch_backend", "layout", "companions", "platforms"),
    *("numpy_guard", "torch_pin", "pytorch_index", "package_index"),
)
"""The answers of the template that are about torch."""


class Stop(Exception):
    """Why this command leaves a project as it is, and what its owner can do."""


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

    @property
    def is_exact(self) -> bool:
        """Whether it admits one release alone."""
        return any(it.operator == "==" and "*" not in it.version for it in self.versions)

    @property
    def is_setting(self) -> bool:
        """Whether it is a constraint or an override, which require nothing by themselves."""
        return self.place[0] == "tool"


class Source(NamedTuple):
    """An entry of `[tool.uv.sources]` that names an index."""

    index_name: str
    option: Place
    """The extra or group that it is for, empty for all of them."""
    marker: Marker | None

    @property
    def extra_in_marker(self) -> bool:
        """Whether its marker names an extra, which uv drops."""
        return "extra ==" in str(self.marker)


def value_at(data: Table, place: Place) -> Any:
    """Return what stands at a place, nothing that can be iterated if nothing does."""
    for key in place:
        data = data.get(key, {})
    return data


def holds(marker: Marker | None, platform: str, python: str, extra: str = "") -> bool:
    """Tell whether a marker holds on a platform with a Python."""
    return marker is None or marker.evaluate({**compared(platform, python), "extra": extra})


def normal(place: Place) -> Place:
    """Return a place with the name of its extra or group as uv compares it."""
    return (*place[:-1], canonicalize_name(place[-1]))


def options_in(entry: Mapping[str, str]) -> list[Place]:
    """Return the extra or group that an entry of uv's settings names, in its normal form."""
    return [normal((*KINDS[kind], entry[kind])) for kind in KINDS if kind in entry]


class Project:
    """A parsed pyproject.toml, read with the answers that are `given` and the releases `locked`."""

    def __init__(
        self, data: Table, facts: Facts, given: Mapping[str, str], locked: Collection[str] = ()
    ) -> None:
        self.data, self.facts, self.given, self.locked = data, facts, given, locked
        self.uv: Table = value_at(data, UV)
        self.family = {TORCH, *facts.all_companions, *facts.all_tritons}
        self.copies = {it.url: name for name, it in facts.pytorch_mirrors.items()}
        mirror = given.get("pytorch_index", "")
        if mirror and mirror not in self.copies.values():
            self.copies[written(mirror)] = mirror

    @cached_property
    def lists(self) -> dict[Place, list[Any]]:
        """Every list of requirements."""
        named = [(*kind, name) for kind in KINDS.values() for name in value_at(self.data, kind)]
        places = (BASE, *named, CONSTRAINTS, OVERRIDES)
        return {place: value_at(self.data, place) for place in places}

    @cached_property
    def lines(self) -> list[Line]:
        """The requirements of the family, in all lists."""
        found = [self.line(place, it) for place, items in self.lists.items() for it in items]
        return [line for line in found if line]

    def of(self, package: str) -> list[Line]:
        """Return the requirements of a package."""
        return [line for line in self.lines if line.name == package]

    def line(self, place: Place, item: Any) -> Line | None:
        """Return a requirement of the family taken apart, None for any other item of a list."""
        match = re.match(r"\s*([\w.-]+)", item) if isinstance(item, str) else None
        name = canonicalize_name(match[1]) if match else ""
        if name not in self.family:
            return None
        try:
            requirement = Requirement(item)
        except InvalidRequirement:
            raise Stop(f"{item!r} in {'.'.join(place)} is not a requirement.") from None
        if requirement.extras:
            raise Stop(f"{item!r} asks for extras; what they hold is not known. Keep it by hand.")
        asked, url = str(requirement.specifier), unquote(requirement.url or "")
        label = "".join(re.findall(r"\+([\w.]+)", asked)[:1])
        if url:
            folder, _, file = re.split("[#?]", url)[0].rpartition("/")
            try:
                version = parse_wheel_filename(file)[1]
            except ValueError:
                raise Stop(f"{shown(url)} is not the URL of a wheel. Keep it by hand.") from None
            asked = f"=={version.public}"
            label = version.local or self.backend_of(folder) or ""
        versions = SpecifierSet(re.sub(r"\+[\w.]+", "", asked))
        return Line(place, item, name, versions, label, requirement.marker, bool(url))

    def lines_at(self, package: str, variant: str, platform: str) -> list[Line]:
        """Return the requirements of a package that count there; overrides beat the others."""
        own = (BASE, self.variants[variant]) if variant else ()
        found = [
            line
            for line in self.of(package)
            if not variant or line.is_setting or line.place in own
            if any(holds(line.marker, platform, it) for it in self.facts.all_pythons)
        ]
        return [line for line in found if line.place == OVERRIDES] or found

    @cached_property
    def indexes(self) -> list[dict[str, Any]]:
        """The indexes that uv asks, in its order; those of older settings have no name."""
        urls = [*self.uv.get("extra-index-url", []), *self.uv.get("find-links", [])]
        return [*self.uv.get("index", []), *({"url": url} for url in urls)]

    def backend_of(self, url: str) -> str | None:
        """Return the backend of an index of PyTorch, as `index_backend` does."""
        return index_backend(url, self.copies)

    def sources(self, package: str) -> list[Source]:
        """Return the sources of a package."""
        tables = self.uv.get("sources", {})
        values = [tables[name] for name in tables if canonicalize_name(name) == package]
        found = []
        for entry in [it for each in values for it in (each if isinstance(each, list) else [each])]:
            if "index" not in entry:
                raise Stop(f"{package} has the source {entry}, which is no index. Keep it by hand.")
            text = entry.get("marker", "")
            named = re.findall(r"""extra\s*==\s*["']([\w.-]+)["']""", text)
            places = [*options_in(entry), *(options_in({"extra": it})[0] for it in named), ()]
            found.append(Source(entry["index"], places[0], Marker(text) if text else None))
        return found

    def index_of(self, package: str, option: Place | None, platform: str) -> dict[str, Any]:
        """Return the index that a package comes from, nothing for PyPI or what takes its place.

        `option` is the extra or group, None in a project of one build.
        """
        asked = (it for it in self.indexes if not (it.get("explicit") or it.get("default")))
        index = next(asked, {})
        for source in self.sources(package):
            is_ours = option is None or source.option in ((), normal(option))
            extra = "".join(source.option[-1:])
            if is_ours and holds(source.marker, platform, self.facts.all_pythons[-1], extra):
                named = (it for it in self.indexes if it.get("name") == source.index_name)
                index = next(named, {"name": source.index_name, "url": ""})
                break
        return {} if re.fullmatch(r"https://pypi\.\w+/simple/?", index.get("url", "")) else index

    def excludes(self, *places: Place) -> bool:
        """Tell whether the project says already that extras and groups exclude each other."""
        both, entries = {*map(normal, places)}, self.uv.get("conflicts", [])
        return any(both <= {it for each in entry for it in options_in(each)} for entry in entries)

    @cached_property
    def variants(self) -> dict[str, Place]:
        """The extras and groups that choose a build: sources name them, or they exclude each other.

        None where the project has one build only.
        """
        places = dict.fromkeys(line.place for line in self.of(TORCH))
        choosing = {it.option for it in self.sources(TORCH)}
        for pair in combinations(places, 2):
            choosing.update(map(normal, pair) if self.excludes(*pair) else ())
        found = {it[-1]: it for it in places if normal(it) in choosing}
        return found if len(found) > 1 else {}

    @cached_property
    def pythons(self) -> list[str]:
        """The Pythons that `requires-python` admits."""
        admitted = SpecifierSet(self.data["project"].get("requires-python", ""))
        every = self.facts.all_pythons
        return [it for it in every if admitted.contains(f"{it}.0") or admitted.contains(f"{it}.99")]

    @cached_property
    def platforms(self) -> list[str]:
        """The usual platforms, those that uv requires, and any with pins of its own.

        `environments` leaves some of them out, and names none: it may say all but the Intel Mac.
        """
        usual = [line for it in DEFAULT_PLATFORMS for line in self.lines_at(TORCH, "", it)]
        known = {*DEFAULT_PLATFORMS, *self.matching("required-environments")}
        known.update(it for it in PLATFORMS if {*self.lines_at(TORCH, "", it)} - {*usual})
        bounds = self.matching("environments") if self.uv.get("environments") else PLATFORMS
        return [it for it in bounds if it in known]

    def matching(self, key: str) -> list[str]:
        """Return the platforms that a setting of uv's names."""
        markers = [Marker(text) for text in self.uv.get(key, [])]
        places = [*product(markers, self.pythons or self.facts.all_pythons)]
        return [
            it for it in PLATFORMS if any(holds(marker, it, python) for marker, python in places)
        ]

    def backend(self, variant: str, platform: str) -> str:
        """Return the backend that a variant has on a platform today."""
        for line in self.lines_at(TORCH, variant, platform):
            if line.label in self.facts.all_backends:
                return line.label
        index = self.index_of(TORCH, self.variants.get(variant), platform)
        if not index:
            return PYPI
        backend, name = self.backend_of(index["url"]), index.get("name", "without a name")
        if backend in self.facts.all_backends:
            return backend
        if "torch_backend" in self.given:
            return PYPI
        if backend is None:
            raise Stop(
                f"torch comes from the index {name}, which is not PyTorch's. If it is a copy of "
                "that, say pytorch_index=URL; else only its owner knows what it holds."
            )
        if backend:
            raise Stop(f"The index {name} holds builds that are not released: no plan names them.")
        raise Stop(f"The index {name} holds all builds. Name one, as in torch_backend=cu128.")

    def answers(self) -> dict[str, str]:
        """Return all answers: those given, those that the files give, and defaults."""
        lines = self.of(TORCH)
        if not lines and not self.sources(TORCH):
            if not self.given:
                raise Stop(
                    "Nothing here requires torch. Give an answer, as in torch_backend=cu128."
                )
            return complete({**self.fixed, **self.given}, self.facts)
        if not self.pythons or not self.platforms:
            key = "environments" if self.pythons else "requires-python"
            raise Stop(f"PyTorch has no wheels for what {key} names.")
        used = {line for it in PLATFORMS for line in self.lines_at(TORCH, "", it)}
        for line in lines:
            if line.place == OVERRIDES and line not in used:
                raise Stop(
                    f"{line.text!r} takes torch out: it is the container's, not the project's."
                )
        lacking = [it for it in self.platforms if lines and not self.lines_at(TORCH, "", it)]
        if lacking and "platforms" not in self.given:
            raise Stop(f"torch is not required on {listed(lacking)}: say platforms=… without them.")
        own = {*PLATFORMS} - {*DEFAULT_PLATFORMS} | {*self.matching("required-environments")}
        places = product(self.variants or ("",), self.platforms)
        having = [it for it in places if not lines or self.lines_at(TORCH, *it)]
        present = Present(
            backends={it: self.backend(*it) for it in having},
            admits=lambda package, version, place: all(
                line.versions.contains(version) for line in self.lines_at(package, *place)
            ),
            pythons=self.pythons,
            locked=self.locked,
            demanded=[it for it in self.platforms if it in own],
        )
        answers = Inverse(present, self.given, self.facts).answers(self.fixed)
        if not answers:
            texts, oldest = sorted({line.text for line in lines}), self.facts.releases[0]
            raise Stop(
                f"No release from {oldest} on satisfies {listed(texts)}. Say torch_version=…"
            )
        return answers

    @cached_property
    def fixed(self) -> dict[str, str]:
        """The answers that do not depend on the release."""
        urls = [index["url"] for index in self.indexes]
        copies = [
            name
            for base, name in self.copies.items()
            if any(index_backend(url, [base]) is not None for url in urls)
        ]
        if len(copies) > 1 and "pytorch_index" not in self.given:
            raise Stop(f"It has the indexes of {listed(copies)}. Choose with pytorch_index=…")
        required = [line for line in self.lines if not line.is_setting]
        places = [*product(self.variants or ("",), self.platforms)]
        names = {line.name for line in required}
        # What some platforms do without already, others may do without too.
        companions = [
            name if all(self.requires(name, *it) for it in places) else f"{name}{OPTIONAL}"
            for name in self.facts.all_companions
            if name in names
        ]
        is_local = any(line.label and not line.names_file for line in required)
        kinds = {place[:-1] for place in self.variants.values()}
        layouts = [f"{kind}s" for kind in KINDS if KINDS[kind] in kinds]
        return {
            "project_slug": "adopted-project",
            "layout": [*layouts, MARKERS][0],
            "companions": " ".join(companions) or NO_COMPANIONS,
            "pytorch_index": [*copies, "official"][0],
            "torch_pin": LOCAL if is_local else MINIMUM if self.keeps_bounds else PUBLIC,
        }

    def requires(self, package: str, variant: str, platform: str) -> bool:
        """Tell whether a package is required there, and not only held at a version."""
        return any(not line.is_setting for line in self.lines_at(package, variant, platform))

    @cached_property
    def keeps_bounds(self) -> bool:
        """Whether its metadata names a range of torch, for others or beside the pin of its lock."""
        if "torch_pin" in self.given:
            return self.given["torch_pin"] == MINIMUM
        every = self.of(TORCH)
        is_held = any(line.is_exact for line in every if line.place == CONSTRAINTS)
        kinds = ("project", *KINDS["group"]) if is_held else ("project",)
        lines = [line for line in every if line.place[0] in kinds]
        installed = self.uv.get("package", "build-system" in self.data)
        return bool(installed or is_held) and any(not line.is_exact for line in lines)
