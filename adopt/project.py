"""What a pyproject.toml says about torch: its requirements, sources and indexes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import unquote

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename

from adopt.document import Place
from torch_plan.facts import TORCH, Facts
from torch_plan.inverse import index_backend
from torch_plan.markers import compared
from torch_plan.urls import shown, written

BASE: Place = ("project", "dependencies")
EXTRAS: Place = ("project", "optional-dependencies")
GROUPS: Place = ("dependency-groups",)
UV: Place = ("tool", "uv")
CONSTRAINTS: Place = (*UV, "constraint-dependencies")
OVERRIDES: Place = (*UV, "override-dependencies")


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


class Source(NamedTuple):
    """An entry of `[tool.uv.sources]` that names an index."""

    index_name: str
    option: Place
    """The extra or group that it is for, empty for all of them."""
    marker: Marker | None
    extra_in_marker: bool


def holds(marker: Marker | None, platform: str, python: str, extra: str = "") -> bool:
    """Tell whether a marker holds on a platform with a Python."""
    return marker is None or marker.evaluate({**compared(platform, python), "extra": extra})


def normal(place: Place) -> Place:
    """Return a place with the name of its extra or group as uv compares it."""
    return (*place[:-1], canonicalize_name(place[-1]))


class Project:
    """A parsed pyproject.toml; `mirror` is a copy of PyTorch's index that the facts do not know."""

    def __init__(self, data: Mapping[str, Any], facts: Facts, mirror: str = "") -> None:
        self.data, self.facts = data, facts
        self.uv: Mapping[str, Any] = data.get("tool", {}).get("uv", {})
        self.family = {TORCH, *facts.all_companions, *facts.all_tritons}
        self.copies = {it.url: name for name, it in facts.pytorch_mirrors.items()}
        if mirror and mirror not in self.copies.values():
            self.copies[written(mirror)] = mirror

    @cached_property
    def lists(self) -> dict[Place, list[Any]]:
        """Every list of requirements."""
        extras = self.data["project"].get("optional-dependencies", {})
        return {
            BASE: self.data["project"].get("dependencies", []),
            **{(*EXTRAS, name): extras[name] for name in extras},
            **{(*GROUPS, name): it for name, it in self.data.get("dependency-groups", {}).items()},
            **{place: self.uv.get(place[-1], []) for place in (CONSTRAINTS, OVERRIDES)},
        }

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
            asked, label = self._wheel(url)
        versions = SpecifierSet(re.sub(r"\+[\w.]+", "", asked))
        return Line(place, item, name, versions, label, requirement.marker, bool(url))

    def _wheel(self, url: str) -> tuple[str, str]:
        """Return the version of a wheel as a specifier, and the backend of its index."""
        folder, _, file = re.split("[#?]", url)[0].rpartition("/")
        try:
            version = parse_wheel_filename(file)[1]
        except ValueError:
            raise Stop(f"{shown(url)} is not the URL of a wheel. Keep it by hand.") from None
        return f"=={version.public}", version.local or self.backend_of(folder) or ""

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
            option = {"extra": EXTRAS, "group": GROUPS}
            places = [(*option[kind], entry[kind]) for kind in option if kind in entry]
            places += [(*EXTRAS, extra) for extra in named]
            place = normal(places[0]) if places else ()
            found.append(Source(entry["index"], place, Marker(text) if text else None, bool(named)))
        return found

    def index_of(self, package: str, option: Place | None, platform: str) -> dict[str, Any]:
        """Return the index that a package comes from, nothing for PyPI or what takes its place.

        `option` is the extra or group, None in a project of one build.
        """
        index = self._chosen(package, option, platform)
        return {} if re.fullmatch(r"https://pypi\.\w+/simple/?", index.get("url", "")) else index

    def _chosen(self, package: str, option: Place | None, platform: str) -> dict[str, Any]:
        for source in self.sources(package):
            extra = source.option[-1] if source.extra_in_marker else ""
            is_ours = option is None or source.option in ((), normal(option))
            if is_ours and holds(source.marker, platform, self.facts.all_pythons[-1], extra):
                named = [it for it in self.indexes if it.get("name") == source.index_name]
                return named[0] if named else {"name": source.index_name, "url": ""}
        asked = [it for it in self.indexes if not (it.get("explicit") or it.get("default"))]
        return asked[0] if asked else {}
