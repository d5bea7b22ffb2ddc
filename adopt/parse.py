"""What the files of a project say of torch and of the packages that come with it, as records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from packaging.dependency_groups import DependencyGroupResolver
from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from adopt import Stop
from adopt.files import parsed, read_text
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.versions import PYPI, TORCH
from torch_plan.project.markers import compared
from torch_plan.urls import written

Keys = tuple[str, ...]
"""The way to a value, from the root of a file."""

BASE: Keys = ("project", "dependencies")
EXTRAS: Keys = ("project", "optional-dependencies")
GROUPS: Keys = ("dependency-groups",)
UV: Keys = ("tool", "uv")
SOURCES: Keys = (*UV, "sources")
INDEXES: Keys = (*UV, "index")
CONSTRAINTS: Keys = (*UV, "constraint-dependencies")
OVERRIDES: Keys = (*UV, "override-dependencies")
T = TypeVar("T")
KINDS: Mapping[str, Keys] = {"extra": EXTRAS, "group": GROUPS}
"""How uv names what a person can choose -> where that stands."""


class Manifest(NamedTuple):
    """One pyproject.toml."""

    path: Path
    text: str
    data: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name of the package, empty for a root that is none."""
        return str(canonicalize_name(value_at(self.data, ("project", "name")) or ""))

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

    def __str__(self) -> str:
        chosen = f" --{self.kind} {self.name}" if self.kind else ""
        return f"uv sync{chosen}"


class Line(NamedTuple):
    """A requirement, and the list that it stands in."""

    path: Path
    keys: Keys
    text: str
    requirement: Requirement

    @property
    def name(self) -> str:
        """The package."""
        return str(canonicalize_name(self.requirement.name))

    @property
    def label(self) -> str:
        """The build that it names (`cu128`), empty for none."""
        return "".join(re.findall(r"\+([\w.]+)", str(self.requirement.specifier))[:1])

    @property
    def release(self) -> str:
        """The release that it pins, without its label; empty for none."""
        pins = [one.version for one in self.requirement.specifier if one.operator == "=="]
        return "".join(pins[:1]).partition("+")[0]

    @property
    def is_exact(self) -> bool:
        """Whether it admits one release alone."""
        return any(
            one.operator == "==" and "*" not in one.version for one in self.requirement.specifier
        )

    @property
    def is_lower(self) -> bool:
        """Whether it only says from which release on."""
        return {one.operator for one in self.requirement.specifier} == {">="}

    def holds(self, platform: str, python: str) -> bool:
        """Tell whether it counts on a platform with a Python."""
        return holds(self.requirement.marker, platform, python)

    @property
    def public(self) -> SpecifierSet:
        """The versions that it admits, builds set aside."""
        return SpecifierSet(re.sub(r"\+[\w.]+", "", str(self.requirement.specifier)))


class Source(NamedTuple):
    """An entry of `[tool.uv.sources]`."""

    path: Path
    key: str
    """The package, as the file spells it."""
    entry: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The package."""
        return str(canonicalize_name(self.key))

    @property
    def marker(self) -> Marker | None:
        """Where it holds, None for everywhere."""
        return Marker(self.entry["marker"]) if self.entry.get("marker") else None

    def is_for(self, option: Option) -> bool:
        """Tell whether it holds for an option, on the platforms of its marker."""
        chosen = [(kind, self.entry[kind]) for kind in KINDS if kind in self.entry]
        return not chosen or any(
            (kind, canonicalize_name(name)) == (option.kind, canonicalize_name(option.name))
            for kind, name in chosen
        )


class Index(NamedTuple):
    """An index that the files name, whatever the setting."""

    path: Path
    name: str
    url: str
    explicit: bool
    setting: str
    """`index`, `index-url`, `extra-index-url` or `find-links`."""


class Project(NamedTuple):
    """A package of a workspace, or the only one there is, with what its root says."""

    manifest: Manifest
    root: Manifest
    lines: tuple[Line, ...]
    """The requirements of all packages, constraints and overrides among them."""
    sources: tuple[Source, ...]
    indexes: tuple[Index, ...]
    options: tuple[Option, ...]
    requires_python: SpecifierSet

    def of(self, name: str) -> list[Line]:
        """Return the requirements of a package."""
        return [line for line in self.lines if line.name == name]

    def required(self, option: Option) -> list[Line]:
        """Return the requirements that count for an option."""
        chosen = {BASE, *((*GROUPS, name) for name in default_groups(self))}
        if option.kind:
            chosen.add((*KINDS[option.kind], option.name))
        chosen |= {keys for one in chosen for keys in included(self.manifest, one)}
        return [line for line in self.lines if line.keys in chosen]

    def sources_of(self, name: str, option: Option | None = None) -> list[Source]:
        """Return the sources of a package, those that hold for an option if one is given."""
        found = [source for source in self.sources if source.name == name]
        return [source for source in found if option is None or source.is_for(option)]

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


def included(manifest: Manifest, keys: Keys) -> list[Keys]:
    """Return the groups that a group includes, directly or not."""
    if keys[:-1] != GROUPS:
        return []
    groups = value_at(manifest.data, GROUPS) or {}
    found: list[str] = []
    waiting = [keys[-1]]
    while waiting:
        for item in groups.get(waiting.pop(), ()):
            name = item.get("include-group", "") if isinstance(item, Mapping) else ""
            spelt = [key for key in groups if canonicalize_name(key) == canonicalize_name(name)]
            waiting += [key for key in spelt if key not in found]
            found += [key for key in spelt if key not in found]
    return [(*GROUPS, name) for name in found]


def read_projects(path: Path) -> list[Project]:
    """Read a project, and all packages of its workspace where the path is that of the root.

    Raises `Stop` where there is nothing that uv would take.
    """
    path = (path / "pyproject.toml" if path.is_dir() else path).absolute()
    manifest = read_manifest(path)
    root = workspace_root(manifest) or manifest
    targets = [manifest]
    if root.path == path:
        targets += [read_manifest(found) for found in members(root) if found != path]
    projects = [read_project(one, root) for one in targets if "project" in one.data]
    if not projects:
        raise Stop(why_no_project(manifest))
    return projects


def read_manifest(path: Path) -> Manifest:
    """Read a pyproject.toml."""
    if not path.exists() and not path.is_symlink():
        raise Stop(f"There is no {path}. {way_to_a_file(path.parent)}")
    text = read_text(path)
    return Manifest(path, text, parsed(path, text))


def way_to_a_file(folder: Path) -> str:
    """Return how to get a pyproject.toml from what a folder has."""
    if (folder / "requirements.txt").exists():
        return (
            "`uv init --bare`, then `uv add -r requirements.txt --frozen` writes it; "
            "then run this again."
        )
    if (folder / "setup.py").exists() or (folder / "setup.cfg").exists():
        return (
            "setup.py is Python: run `uv init --bare`, then `uv add --frozen NAME` for each "
            "name in its `install_requires`; then run this again."
        )
    return "`uv init --bare` makes one."


def why_no_project(manifest: Manifest) -> str:
    """Return why a file holds no project, and the command that makes it one."""
    if value_at(manifest.data, ("tool", "poetry")) is not None:
        return (
            f"{manifest.path} has its dependencies in Poetry's tables and no [project] table. "
            "`uvx migrate-to-uv` brings them there; then run this again."
        )
    folder = manifest.path.parent
    return f"{manifest.path} has no [project] table. {way_to_a_file(folder)}"


def workspace_root(manifest: Manifest) -> Manifest | None:
    """Return the root of the workspace that a package belongs to, None if it has none."""
    if value_at(manifest.data, (*UV, "workspace")) is not None:
        return manifest
    for folder in manifest.path.parent.parents:
        path = folder / "pyproject.toml"
        if path.is_file():
            root = read_manifest(path)
            if manifest.path in members(root):
                return root
    return None


def members(root: Manifest) -> list[Path]:
    """Return the files of the packages of a workspace, its root left out."""
    folder, workspace = root.path.parent, root.uv.get("workspace") or {}
    without = {found for one in workspace.get("exclude", []) for found in folder.glob(one)}
    folders = [found for one in workspace.get("members", []) for found in sorted(folder.glob(one))]
    files = [one / "pyproject.toml" for one in dict.fromkeys(folders) if one not in without]
    return [path for path in files if path.is_file() and path != root.path]


def read_project(manifest: Manifest, root: Manifest) -> Project:
    """Take a package and its root apart. Raises `Stop` for what uv would not take either."""
    try:
        project = Project(
            manifest=manifest,
            root=root,
            lines=tuple(read_lines(manifest, root)),
            sources=tuple(read_sources(manifest, root)),
            indexes=tuple(read_indexes(manifest, root)),
            options=tuple(read_options(manifest)),
            requires_python=SpecifierSet(
                value_at(manifest.data, ("project", "requires-python")) or ""
            ),
        )
        for source in project.sources:
            source.marker  # noqa: B018  # a marker that cannot be read is told here
        groups = value_at(manifest.data, GROUPS) or {}
        for group in groups:
            DependencyGroupResolver(groups).resolve(group)
    except (InvalidMarker, InvalidSpecifier, InvalidRequirement) as error:
        raise Stop(f"{manifest.path} cannot be read: {error}") from None
    except (AttributeError, KeyError, TypeError) as error:
        raise Stop(f"{manifest.path} is not built as uv demands: {error}") from None
    except ExceptionGroup as error:
        raise Stop(f"{manifest.path} cannot be read: {error.exceptions[0]}") from None
    return project


def read_lines(manifest: Manifest, root: Manifest) -> Iterator[Line]:
    """Yield the requirements of a package, then the constraints and overrides of its root."""
    lists: list[tuple[Manifest, Keys]] = [(manifest, BASE)]
    for keys in KINDS.values():
        names = value_at(manifest.data, keys) or {}
        lists += [(manifest, (*keys, name)) for name in names]
    for source, keys in (*lists, (root, CONSTRAINTS), (root, OVERRIDES)):
        for item in value_at(source.data, keys) or []:
            # Groups include others by a table; uv takes constraints as tables too.
            if isinstance(item, str):
                yield Line(source.path, keys, item, Requirement(item))


def read_sources(manifest: Manifest, root: Manifest) -> Iterator[Source]:
    """Yield the sources of a package; its own take the place of those of its root."""
    own = manifest.uv.get("sources", {})
    names = {canonicalize_name(name) for name in own}
    above = root.uv.get("sources", {}) if root.path != manifest.path else {}
    tables = [(manifest, name, own[name]) for name in own]
    tables += [(root, name, above[name]) for name in above if canonicalize_name(name) not in names]
    for where, name, value in tables:
        for entry in value if isinstance(value, list) else [value]:
            yield Source(where.path, name, entry)


def read_indexes(manifest: Manifest, root: Manifest) -> Iterator[Index]:
    """Yield the indexes that a package can have, its own first."""
    for where in dict.fromkeys([manifest.path, root.path]):
        uv = manifest.uv if where == manifest.path else root.uv
        for entry in uv.get("index", []):
            explicit = bool(entry.get("explicit"))
            yield Index(where, entry.get("name", ""), entry["url"], explicit, "index")
        for key in ("index-url", "extra-index-url", "find-links"):
            value = uv.get(key, [])
            for url in [value] if isinstance(value, str) else value:
                yield Index(where, "", url, False, key)


def read_options(manifest: Manifest) -> Iterator[Option]:
    """Yield what can be installed of a package: it alone, then with each extra and group."""
    yield Option(manifest.name)
    for kind, keys in KINDS.items():
        for name in value_at(manifest.data, keys) or {}:
            yield Option(manifest.name, kind, name)


def conflicts(project: Project) -> list[set[tuple[str, str]]]:
    """Return the sets of extras and groups of a package that uv takes to exclude each other."""
    name = project.manifest.name
    return [
        {
            (kind, str(canonicalize_name(item[kind])))
            for item in entry
            for kind in KINDS
            if kind in item and canonicalize_name(item.get("package", name)) == name
        }
        for manifest in {one.path: one for one in (project.manifest, project.root)}.values()
        for entry in manifest.uv.get("conflicts", [])
    ]


def holds(marker: Marker | None, platform: str, python: str) -> bool:
    """Tell whether a marker holds on a platform with a Python (`3.12`)."""
    return marker is None or marker.evaluate({**compared(platform, python), "extra": ""})


def family(facts: Facts) -> set[str]:
    """Return torch and the packages that are released with it."""
    return {TORCH, *facts.all_companions, *facts.all_tritons}


def build_of_url(url: str, facts: Facts) -> str:
    """Return the build that an index of PyTorch, or a copy of one, names: `cu128`.

    Its URL ends with the build, wherever the copy is: mirrors have hosts of their own. `nightly/`
    stands before the build of a nightly index. Empty for any other index.
    """
    parts = [part for part in written(url).removesuffix("/torch_stable.html").split("/") if part]
    builds = [build for build in facts.all_backends if build != PYPI]
    words = {position: part for position, part in enumerate(parts[2:]) if part in builds}
    if not words:
        tails = [part for part in parts[2:] if part.rpartition("-")[2] in builds]
        return tails[-1].rpartition("-")[2] if tails else ""
    nightly = "nightly/" if "nightly" in parts else ""
    return nightly + [*words.values()][-1]


def normal(name: str) -> str:
    """Return a name as uv compares it."""
    return str(canonicalize_name(name))


def unique(items: Iterable[T]) -> list[T]:
    """Return items without those that came before; they need not be hashable."""
    kept: list[T] = []
    for item in items:
        if item not in kept:
            kept.append(item)
    return kept


def base_of(url: str, facts: Facts) -> str:
    """Return the answer `pytorch_index` for an index of PyTorch or a copy; empty for any other.

    That is what comes before `/cu128`, or all of it with `{build}` in the place of that.
    """
    build = build_of_url(url, facts)
    start, found, end = written(url).rpartition(build) if build else ("", "", "")
    return (
        start.rstrip("/")
        if found and not end and start.endswith("/")
        else f"{start}{{build}}{end}" * bool(found)
    )
