"""What the files of a project say of torch and of the packages that come with it, as records."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from packaging.dependency_groups import DependencyGroupResolver
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from adopt import Stop
from adopt.document import parsed, read_text
from torch_plan.catalog.facts import BUILD_PLACE, Facts
from torch_plan.catalog.versions import PYPI
from torch_plan.project.markers import compared
from torch_plan.urls import written

Keys = tuple[str, ...]
"""The way to a value, from the root of a file."""

BASE: Keys = ("project", "dependencies")
GROUPS: Keys = ("dependency-groups",)
UV: Keys = ("tool", "uv")
SOURCES: Keys = (*UV, "sources")
INDEXES: Keys = (*UV, "index")
CONSTRAINTS: Keys = (*UV, "constraint-dependencies")
KINDS: Mapping[str, Keys] = {"extra": ("project", "optional-dependencies"), "group": GROUPS}
"""How uv names what a person can choose -> where that stands."""

_WAYS = {
    "requirements.txt": "`uv init --bare`, then `uv add -r requirements.txt --frozen` writes it",
    "setup.*": "setup.py is Python: run `uv init --bare`, then `uv add --frozen NAME` for each "
    "name in its `install_requires`",
}
"""What a folder has -> how to get a pyproject.toml from it."""


class Manifest(NamedTuple):
    """One pyproject.toml."""

    path: Path
    text: str
    data: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name of the package, empty for a root that is none."""
        return canonicalize_name(value_at(self.data, ("project", "name")) or "")

    @property
    def uv(self) -> Mapping[str, Any]:
        """The settings of uv."""
        return value_at(self.data, UV) or {}


class Option(NamedTuple):
    """What a person can install: a package bare, or with one of its extras or groups."""

    package: str
    kind: str = ""
    """`extra` or `group`; empty for a bare `uv sync`."""
    name: str = ""
    without: tuple[str, ...] = ()
    """The default groups that it excludes."""

    @property
    def words(self) -> list[str]:
        """How uv is told to take it."""
        words = [word for name in self.without for word in ("--no-group", name)]
        return [*words, f"--{self.kind}", self.name] if self.kind else []

    def __str__(self) -> str:
        return " ".join(["uv sync", *self.words])


class Line(NamedTuple):
    """A requirement, and the list that it stands in."""

    path: Path
    keys: Keys
    text: str
    requirement: Requirement
    name: str
    """The package."""

    @property
    def is_setting(self) -> bool:
        """Whether it is a constraint or an override."""
        return self.keys[0] == "tool"

    @property
    def label(self) -> str:
        """The build that it names (`cu128`), empty for none."""
        return "".join(re.findall(r"\+([\w.]+)", str(self.requirement.specifier))[:1])

    @property
    def is_exact(self) -> bool:
        """Whether it admits one release alone."""
        pins = [one for one in self.requirement.specifier if one.operator in ("==", "===")]
        return any("*" not in one.version for one in pins)

    @property
    def public(self) -> SpecifierSet:
        """The versions that it admits, builds set aside."""
        return SpecifierSet(re.sub(r"\+[\w.]+", "", str(self.requirement.specifier)))


@dataclass(frozen=True, eq=False)
class Source:
    """An entry of `[tool.uv.sources]`."""

    path: Path
    key: str
    """The package, as the file spells it."""
    name: str
    entry: Mapping[str, Any]
    marker: Marker | None
    """Where it holds, None for everywhere."""

    def is_for(self, option: Option) -> bool:
        """Tell whether it holds for an option, on the platforms of its marker."""
        chosen = {(kind, canonicalize_name(self.entry[kind])) for kind in KINDS & self.entry.keys()}
        return not chosen or (option.kind, canonicalize_name(option.name)) in chosen


class Index(NamedTuple):
    """An index that the files name, whatever the setting."""

    path: Path
    setting: str
    """`index`, `index-url`, `extra-index-url` or `find-links`."""
    name: str
    url: str
    entry: Mapping[str, Any]
    """Its table, empty for the other settings."""


class Project(NamedTuple):
    """A package of a workspace, or the only one there is, with what its root says."""

    manifest: Manifest
    root: Manifest
    lines: Sequence[Line]
    """The requirements of all packages, constraints and overrides among them."""
    sources: Sequence[Source]
    indexes: Sequence[Index]
    options: Sequence[Option]
    requires_python: SpecifierSet

    def of(self, name: str) -> list[Line]:
        """Return the requirements of a package."""
        return [line for line in self.lines if line.name == name]

    def required(self, option: Option) -> list[Line]:
        """Return the requirements that count for an option."""
        groups = [*default_groups(self), *([option.name] if option.kind == "group" else [])]
        chosen = {BASE, *((*GROUPS, name) for name in included(self.manifest, groups))}
        if option.kind == "extra":
            chosen.add((*KINDS["extra"], option.name))
        return [line for line in self.lines if line.keys in chosen]

    def sources_of(self, name: str, option: Option | None = None) -> list[Source]:
        """Return the sources of a package, those that hold for an option if one is given."""
        sources = [source for source in self.sources if source.name == name]
        return [source for source in sources if option is None or source.is_for(option)]

    def index_named(self, name: str) -> Index | None:
        """Return the index of a name."""
        return next((index for index in self.indexes if name and index.name == name), None)


def value_at(data: Any, keys: Keys) -> Any:
    """Return the value that stands at the end of keys, None for nothing."""
    for key in keys:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def default_groups(project: Project) -> list[str]:
    """Return the groups of a bare `uv sync`, as the file spells them."""
    groups = [*(value_at(project.manifest.data, GROUPS) or {})]
    chosen = project.manifest.uv.get("default-groups", ["dev"])
    return groups if chosen == "all" else [name for name in groups if name in chosen]


def included(manifest: Manifest, names: list[str]) -> list[str]:
    """Return groups and those that they include, directly or not, as the file spells them."""
    groups, names = value_at(manifest.data, GROUPS) or {}, [*names]
    for name in names:
        tables = [item for item in groups[name] if not isinstance(item, str)]
        wanted = {canonicalize_name(table["include-group"]) for table in tables}
        names += [one for one in groups if canonicalize_name(one) in wanted]
    return names


def read_projects(path: Path) -> list[Project]:
    """Read a project, and all packages of its workspace where the path is that of the root.

    Raises `Stop` where there is nothing that uv would take.
    """
    manifest = read_manifest((path / "pyproject.toml" if path.is_dir() else path).absolute())
    root = workspace_root(manifest)
    others = [read_manifest(one) for one in members(root)] if root.path == manifest.path else []
    projects = [read_project(one, root) for one in (manifest, *others) if "project" in one.data]
    if not projects:
        raise Stop(f"{manifest.path} has no [project] table. {_way_to_a_file(manifest)}")
    return projects


def read_manifest(path: Path) -> Manifest:
    """Read a pyproject.toml. Raises `Stop` where there is none, or none that can be read."""
    if not path.exists() and not path.is_symlink():
        raise Stop(f"There is no {path}. {_way_to_a_file(Manifest(path, '', {}))}")
    text = read_text(path)
    return Manifest(path, text, parsed(path, text))


def _way_to_a_file(manifest: Manifest) -> str:
    ways = [way for name, way in _WAYS.items() if any(manifest.path.parent.glob(name))]
    if value_at(manifest.data, ("tool", "poetry")) is not None:
        ways = ["`uvx migrate-to-uv` brings them there from Poetry's tables"]
    return f"{ways[0]}; then run this again." if ways else "`uv init --bare` makes one."


def workspace_root(manifest: Manifest) -> Manifest:
    """Return the root of the workspace that a package belongs to; it alone is its own."""
    is_root = "workspace" in manifest.uv
    for folder in [] if is_root else manifest.path.parent.parents:
        path = folder / "pyproject.toml"
        if path.is_file() and manifest.path in members(root := read_manifest(path)):
            return root
    return manifest


def members(root: Manifest) -> list[Path]:
    """Return the files of the packages of a workspace, its root left out."""
    folder, workspace = root.path.parent, root.uv.get("workspace") or {}
    without, folders = (
        {path: None for pattern in workspace.get(key, []) for path in sorted(folder.glob(pattern))}
        for key in ("exclude", "members")
    )
    files = [one / "pyproject.toml" for one in folders if one not in without and one != folder]
    return [path for path in files if path.is_file()]


def read_project(manifest: Manifest, root: Manifest) -> Project:
    """Take a package and its root apart. Raises `Stop` for what uv would not take either."""
    try:
        groups = value_at(manifest.data, GROUPS) or {}
        for group in groups:
            DependencyGroupResolver(groups).resolve(group)
        python = SpecifierSet(value_at(manifest.data, ("project", "requires-python")) or "")
        sources = [*read_sources(manifest, root)]
        lines, indexes = [*read_lines(manifest, root)], [*read_indexes(manifest, root)]
        project = Project(manifest, root, lines, sources, indexes, (), python)
        return project._replace(options=[*read_options(project)])
    except (ValueError, AttributeError, KeyError, TypeError, ExceptionGroup) as error:
        cause = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
        raise Stop(f"{manifest.path} cannot be read as uv reads it: {cause}") from None


def read_lines(manifest: Manifest, root: Manifest) -> Iterator[Line]:
    """Yield the requirements of a package, then the constraints and overrides of its root."""
    lists = [(manifest, BASE)]
    for keys in KINDS.values():
        lists += [(manifest, (*keys, name)) for name in value_at(manifest.data, keys) or {}]
    for source, keys in (*lists, (root, CONSTRAINTS), (root, (*UV, "override-dependencies"))):
        for item in value_at(source.data, keys) or []:
            # Groups include others by a table; uv takes constraints as tables too.
            if isinstance(item, str):
                requirement = Requirement(item)
                name = canonicalize_name(requirement.name)
                yield Line(source.path, keys, item, requirement, name)


def read_sources(manifest: Manifest, root: Manifest) -> Iterator[Source]:
    """Yield the sources of a package; its own take the place of those of its root."""
    tables = {
        canonicalize_name(key): (one.path, key, value)
        for one in (root, manifest)
        for key, value in one.uv.get("sources", {}).items()
    }
    for name, (path, key, value) in tables.items():
        for entry in value if isinstance(value, list) else [value]:
            marker = Marker(entry["marker"]) if entry.get("marker") else None
            yield Source(path, key, name, entry, marker)


def read_indexes(manifest: Manifest, root: Manifest) -> Iterator[Index]:
    """Yield the indexes that a package can have, its own first."""
    for path, uv in {one.path: one.uv for one in (manifest, root)}.items():
        for entry in uv.get("index", []):
            yield Index(path, "index", entry.get("name", ""), entry["url"], entry)
        for key in ("index-url", "extra-index-url", "find-links"):
            value = uv.get(key, [])
            for url in [value] if isinstance(value, str) else value:
                yield Index(path, key, "", url, {})


def read_options(project: Project) -> Iterator[Option]:
    """Yield what can be installed of a package: it alone, then with each extra and group."""
    package, files = project.manifest.name, (project.manifest, project.root)
    yield Option(package)
    conflicts = [
        chosen_in(entry, package) for one in files for entry in one.uv.get("conflicts", [])
    ]
    defaults = default_groups(project)
    for kind, keys in KINDS.items():
        for name in value_at(project.manifest.data, keys) or {}:
            chosen = (kind, canonicalize_name(name))
            others = {other for one in conflicts if chosen in one for other in one - {chosen}}
            without = [one for one in defaults if ("group", canonicalize_name(one)) in others]
            yield Option(package, kind, name, tuple(without))


def chosen_in(conflict: list[Mapping[str, str]], package: str) -> set[tuple[str, str]]:
    """Return the extras and groups of a package that a conflict is between."""
    return {
        (kind, canonicalize_name(item[kind]))
        for item in conflict
        for kind in KINDS & item.keys()
        if canonicalize_name(item.get("package", package)) == package
    }


def holds(marker: Marker | None, platform: str, python: str, **others: str) -> bool:
    """Tell whether a marker holds on a platform with a Python (`3.12`), or with other values."""
    values = {**compared(platform, python), "implementation_version": python, **others}
    # Nobody knows the release of another machine.
    values |= {"platform_release": "", "platform_version": ""}
    return marker is None or marker.evaluate(values, context="lock_file")


def build_of_url(url: str, facts: Facts) -> str:
    """Return the build that an index of PyTorch, or a copy of one, names: `cu128`.

    Mirrors have hosts of their own, and may call it `pytorch-cu128`. `nightly/` stands before the
    build of a nightly index. Empty for any other index.
    """
    parts = written(url).removesuffix("/torch_stable.html").split("/")[3:]
    words = [part.rpartition("-")[2] for part in parts]
    builds = [word for word in words if word in facts.all_backends and word != PYPI]
    return f"{'nightly/' * ('nightly' in parts)}{builds[-1]}" if builds else ""


def base_of(url: str, facts: Facts) -> str:
    """Return the answer `pytorch_index` for an index of PyTorch or a copy; empty for any other.

    That is what comes before `/cu128`, or all of it with `{build}` in the place of that.
    """
    build = build_of_url(url, facts)
    if not build or build not in url:
        return ""
    start, _, end = written(url).rpartition(build)
    is_last = start.endswith("/") and not end
    return start.rstrip("/") if is_last else f"{start}{BUILD_PLACE}{end}"
