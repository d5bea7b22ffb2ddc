"""Ask uv what each platform gets with each extra and group, in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from packaging.pylock import (
    Package,
    PackageArchive,
    Pylock,
    PylockSelectError,
    PylockValidationError,
)
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from adopt.parse import Option, Project, conflicts, default_groups, holds
from torch_plan.facts import TORCH, Facts
from torch_plan.markers import compared
from torch_plan.platforms import PLATFORMS

MOST_OPTIONS = 30
"""How many extras and groups are measured; more are named as not measured."""

SECONDS = 60
"""How long uv may take for all of it."""

USUAL = ("linux-x86_64", "linux-aarch64", "macos-arm64", "windows-x86_64")
"""The platforms that are asked about where a file names none."""

LARGEST = 1_000_000
"""Bytes of the largest file that is copied although git does not list it."""

_SET_ASIDE = ("FROZEN", "LOCKED", "NO_SOURCES", "PROJECT", "WORKING_DIR", "PROJECT_ENVIRONMENT")
"""Variables of uv's that would make it lock something else, or nothing, or elsewhere."""

_VERSIONS = ("SETUPTOOLS_SCM_PRETEND_VERSION", "PDM_BUILD_SCM_VERSION", "UV_DYNAMIC_VERSIONING")
"""Variables that give a version to a copy which has no history."""

_WITHOUT_GIT = re.compile(
    r".*\.(toml|cfg|py|pyi|md|rst|txt|in|lock|whl|c|cc|cpp|cu|h|pyx)|LICEN[CS]E.*|\.python-version"
)
"""The files that are copied where there is no git: for projects, builds and their sources."""

_SKIPPED = re.compile(r"\..+|node_modules|__pycache__|build|dist|venv|wandb|.*\.egg-info")


class Got(NamedTuple):
    """A package as uv installs it."""

    version: str
    registry: str
    """The URL of its index; empty for a file, a folder or git."""

    @property
    def public(self) -> str:
        """The version without its label."""
        return self.version.partition("+")[0]

    @property
    def label(self) -> str:
        """The label, as `cu128`."""
        return self.version.partition("+")[2]


class Cell(NamedTuple):
    """What one platform gets with one Python."""

    packages: Mapping[str, Got]
    missing: Mapping[str, Got]
    """The packages that are locked and have no wheel for it, and no source to build from."""
    is_locked: bool = True
    """Whether the lock is for it at all."""
    error: str = ""


class Place(NamedTuple):
    """Whom a cell is for."""

    option: Option
    platform: str
    python: str


class Table(NamedTuple):
    """What was measured."""

    cells: Mapping[Place, Cell]
    unmeasured: Mapping[str, str]
    """What was not measured -> why. Under an empty name, why nothing was."""
    lock: str = ""
    """Whose lock it is, in words."""

    @property
    def why_nothing(self) -> str:
        """Why nothing was measured, empty if something was."""
        return self.unmeasured.get("", "")


class UvFailed(Exception):
    """uv ended with an error; the text is what it said."""


def run_uv(folder: Path, deadline: float, *words: str) -> str:
    """Run uv in a folder and return what it printed. Raises `UvFailed`."""
    uv = os.environ.get("UV") or shutil.which("uv")
    if not uv:
        raise UvFailed("uv is neither in $UV nor on PATH.")
    # With COLUMNS uv breaks its lines, and what it says is read.
    aside = {"VIRTUAL_ENV", "COLUMNS", *(f"UV_{name}" for name in _SET_ASIDE)}
    kept = {name: value for name, value in os.environ.items() if name not in aside}
    kept |= dict.fromkeys(_VERSIONS, "0.0.0") | {"NO_COLOR": "1"}
    try:
        done = subprocess.run(
            [uv, *words],
            cwd=folder,
            env=kept,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=max(deadline - time.monotonic(), 0.1),
        )
    except subprocess.TimeoutExpired:
        raise UvFailed(f"uv took longer than {SECONDS} seconds in all.") from None
    except OSError as error:
        raise UvFailed(f"uv cannot be started: {error}") from None
    said = done.stderr.decode("utf-8", "replace")
    # uv warns of a setting that it cannot read, drops it with its neighbours, and ends with 0.
    if done.returncode or "Failed to parse" in said:
        raise UvFailed(said.strip() or f"uv ended with {done.returncode}.")
    return done.stdout.decode("utf-8", "replace")


@contextmanager
def copied(projects: Sequence[Project]) -> Iterator[Path]:
    """Copy what uv needs to lock; yields the copy of the root's folder."""
    root = projects[0].root.path.resolve().parent
    trees = {tree_of(root): None} | dict.fromkeys(outside(projects, root))
    above = Path(os.path.commonpath(trees))
    with tempfile.TemporaryDirectory(prefix="uv-torch-adopt-") as name:
        for tree in trees:
            for file in files_of(tree):
                target = Path(name, "copy", file.relative_to(above))
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
        folder = Path(name, "copy", root.relative_to(above))
        folder.mkdir(parents=True, exist_ok=True)
        yield folder


def tree_of(folder: Path) -> Path:
    """Return the folder that git keeps, or this one without git."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--show-toplevel"], cwd=folder, capture_output=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return folder
    top = done.stdout.decode("utf-8", "replace").strip()
    return Path(top).resolve() if not done.returncode and top else folder


def outside(projects: Sequence[Project], root: Path) -> list[Path]:
    """Return the folders that path sources lead to, beside the tree of the project."""
    tree = tree_of(root)
    places = [
        (source.path.parent / source.entry["path"]).resolve()
        for project in projects
        for source in project.sources
        if "path" in source.entry
    ]
    return [one for one in places if one.exists() and not one.is_relative_to(tree)]


def files_of(tree: Path) -> Iterator[Path]:
    """Yield the files of a folder that are worth a copy: those git lists, else those of builds."""
    if tree.is_file():
        yield tree
        return
    listed = git_files(tree)
    if listed is None:
        for folder, folders, names in os.walk(tree):
            folders[:] = [one for one in folders if not _SKIPPED.fullmatch(one)]
            files = [Path(folder, name) for name in names if _WITHOUT_GIT.fullmatch(name)]
            yield from (file for file in files if is_small(file))
        return
    tracked, others = listed
    yield from (file for file in tracked if file.is_file())
    yield from (file for file in others if is_small(file))


def is_small(file: Path) -> bool:
    """Tell whether a file is a plain one and not a large one; the lock may be large."""
    return file.is_file() and (file.stat().st_size < LARGEST or file.name == "uv.lock")


def git_files(tree: Path) -> tuple[list[Path], list[Path]] | None:
    """Return the files that git tracks, and those that it neither tracks nor ignores."""
    found = []
    for words in (["--cached"], ["--others", "--exclude-standard"]):
        try:
            done = subprocess.run(
                ["git", "ls-files", "-z", *words], cwd=tree, capture_output=True, timeout=20
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        if done.returncode:
            return None
        names = os.fsdecode(done.stdout).split("\0")
        found.append([tree / name for name in names if name])
    # An ignored folder within somebody's repository lists nothing.
    named = {tree / "pyproject.toml", *tree.glob("*/pyproject.toml")} & {*found[0], *found[1]}
    return (found[0], found[1]) if named or not (tree / "pyproject.toml").exists() else None


def measure(
    projects: Sequence[Project],
    facts: Facts,
    texts: Mapping[Path, str] | None = None,
    *,
    locked: bool = False,
    copy: Path | None = None,
) -> Table:
    """Measure projects of one workspace, with other `texts` in their files if any are given.

    `locked` reads uv.lock as it is and asks no index. A `copy` made before is used again.
    """
    if copy is None:
        with copied(projects) as folder:
            return measure(projects, facts, texts, locked=locked, copy=folder)
    deadline = time.monotonic() + SECONDS
    root = projects[0].root.path.parent
    for project in projects:
        for manifest in (project.manifest, project.root):
            place = copy / manifest.path.relative_to(root)
            place.parent.mkdir(parents=True, exist_ok=True)
            text = (texts or {}).get(manifest.path, manifest.text)
            place.write_bytes(text.encode("utf-8"))
    try:
        lock = lock_copy(copy, deadline, is_changed=texts is not None, locked=locked)
    except UvFailed as failed:
        return Table({}, {"": str(failed).replace(str(copy), str(root))})
    return read_lock(projects, facts, copy, deadline, lock)


def lock_copy(copy: Path, deadline: float, *, is_changed: bool, locked: bool) -> str:
    """Lock a copy, and say whose lock it is. Raises `UvFailed`."""
    has_lock = (copy / "uv.lock").exists()
    if locked:
        if not has_lock:
            raise UvFailed("There is no uv.lock. `uv lock` makes it.")
        return "uv.lock, not compared with pyproject.toml"
    if has_lock and not is_changed:
        try:
            run_uv(copy, deadline, "lock", "--check")
        except UvFailed as failed:
            if "Failed to parse `uv.lock`" in str(failed):
                (copy / "uv.lock").unlink()
            run_uv(copy, deadline, "lock")
            return "a lock made just now, since uv.lock does not belong to pyproject.toml"
        return "uv.lock"
    run_uv(copy, deadline, "lock")
    return "a lock made just now"


def read_lock(
    projects: Sequence[Project], facts: Facts, copy: Path, deadline: float, lock: str
) -> Table:
    """Read what each option of each project gets of a lock."""
    cells: dict[Place, Cell] = {}
    unmeasured: dict[str, str] = {}
    options = [(project, option) for project in projects for option in project.options]
    for number, (project, option) in enumerate(options):
        name = shown_option(option, projects)
        if number >= MOST_OPTIONS:
            unmeasured[name] = f"{MOST_OPTIONS} extras and groups are measured at most."
            continue
        try:
            exported = export(copy, deadline, project, option)
        except UvFailed as failed:
            unmeasured[name] = str(failed)
            continue
        for platform in platforms_of(project):
            for python in pythons_of(project, facts):
                cells[Place(option, platform, python)] = select(exported, platform, python)
    return Table(cells, unmeasured, lock)


def shown_option(option: Option, projects: Sequence[Project]) -> str:
    """Return how people choose an option, with its package where there are several."""
    return f"{option.package}: {option}" if len(projects) > 1 else f"{option}"


def export(copy: Path, deadline: float, project: Project, option: Option) -> Pylock:
    """Return what uv would install for an option on all platforms. Raises `UvFailed`."""
    words = ["export", "--frozen", "--quiet", "--no-header", "--format", "pylock.toml"]
    words += ["--no-emit-project", "--package", option.package]
    if option.kind:
        words += [f"--{option.kind}", option.name, *deselected(project, option)]
    try:
        data = tomllib.loads(run_uv(copy, deadline, *words))
        for package in data.get("packages", []):
            # An override such as `sys_platform == 'never'` leaves a package without any file.
            if not {"wheels", "sdist", "archive", "directory", "vcs"} & package.keys():
                name = f"{package['name'].replace('-', '_')}-{package['version']}-cp00-no-no.whl"
                package["wheels"] = [{"name": name, "path": name, "hashes": {"none": "0"}}]
        return Pylock.from_dict(data)
    except (PylockValidationError, ValueError) as error:
        raise UvFailed(f"What uv exports cannot be read: {error}") from None


def deselected(project: Project, option: Option) -> list[str]:
    """Return the default groups that an option excludes, as options of uv."""
    chosen = (option.kind, str(canonicalize_name(option.name)))
    excluded = {one for entry in conflicts(project) if chosen in entry for one in entry - {chosen}}
    names = [
        name
        for name in default_groups(project)
        if ("group", str(canonicalize_name(name))) in excluded
    ]
    return [word for name in names for word in ("--no-group", name)]


def platforms_of(project: Project) -> list[str]:
    """Return the usual platforms, and those that the files name by their markers."""
    uv = project.root.uv
    markers = [
        str(one) for key in ("environments", "required-environments") for one in uv.get(key, [])
    ]
    markers += [str(line.requirement.marker) for line in project.of(TORCH)]
    markers += [str(source.marker) for source in project.sources_of(TORCH)]
    named = {name for name in PLATFORMS if any(names(marker, name) for marker in markers)}
    return [name for name in PLATFORMS if name in USUAL or name in named]


def names(marker: str, platform: str) -> bool:
    """Tell whether a marker names a platform by its machine, and does not only leave it out."""
    entry = PLATFORMS[platform]
    said = re.findall(r"(\w+) == [\"'](\w+)[\"']", marker)
    systems = {value for name, value in said if name in ("sys_platform", "platform_system")}
    machines = {value for name, value in said if name == "platform_machine"}
    system = compared(platform, "3.12")
    return entry.platform_machine in machines and bool(
        systems & {entry.sys_platform, system["platform_system"]}
    )


def pythons_of(project: Project, facts: Facts) -> list[str]:
    """Return the Pythons that a project is for, of those that PyTorch has wheels for."""
    return [
        python
        for python in facts.all_pythons
        if any(project.requires_python.contains(f"{python}.{patch}") for patch in (0, 99))
    ]


def select(exported: Pylock, platform: str, python: str) -> Cell:
    """Return what a platform gets of an export."""
    environment: Any = {
        **compared(platform, python),
        "implementation_version": f"{python}.0",
        "platform_release": "",
        "platform_version": "",
    }
    tags = tags_of(platform, python)
    if exported.environments and not any(
        holds(marker, platform, python) for marker in exported.environments
    ):
        return Cell({}, {}, is_locked=False)
    # A Python of which a patch is admitted counts, whatever its first one.
    open_lock = replace(exported, environments=None, requires_python=None)
    try:
        chosen = [package for package, _ in open_lock.select(environment=environment, tags=tags)]
    except PylockSelectError:
        return select_each(open_lock, environment, tags)
    return split_missing(chosen, tags)


def select_each(exported: Pylock, environment: Any, tags: Sequence[Tag]) -> Cell:
    """Select package by package, since the first one without a wheel hides all others."""
    chosen, lacking = [], {}
    for package in exported.packages:
        one = replace(exported, packages=[package])
        try:
            chosen += [found for found, _ in one.select(environment=environment, tags=tags)]
        except PylockSelectError:
            lacking[str(package.name)] = got(package)
    cell = split_missing(chosen, tags)
    return cell._replace(missing={**cell.missing, **lacking})


def split_missing(packages: Collection[Package], tags: Sequence[Tag]) -> Cell:
    """Return a cell; a wheel that stands by its URL may be one for another platform."""
    lacking = [package for package in packages if not fits(package.archive, tags)]
    return Cell(
        {str(package.name): got(package) for package in packages if package not in lacking},
        {str(package.name): got(package) for package in lacking},
    )


def fits(archive: PackageArchive | None, tags: Sequence[Tag]) -> bool:
    """Tell whether an archive can be installed with some tags."""
    name = unquote(urlsplit((archive and archive.url) or "").path).rpartition("/")[2]
    if not name.endswith(".whl"):
        return True
    try:
        return not parse_wheel_filename(name)[3].isdisjoint(tags)
    except InvalidWheelFilename:
        return True


def got(package: Package) -> Got:
    """Return what is locked of a package."""
    version = str(package.version or "")
    if package.archive and package.archive.url:
        name = unquote(urlsplit(package.archive.url).path).rpartition("/")[2]
        version = version or (name.split("-")[1] if name.endswith(".whl") else "")
    return Got(version, package.index or "")


@cache
def tags_of(platform: str, python: str) -> tuple[Tag, ...]:
    """Return the tags of a machine that is as new as one can be; the first ones are the best."""
    system, _, machine = platform.partition("-")
    if system == "macos":
        platforms = [*mac_platforms((15, 0), machine)]
    elif system == "windows":
        platforms = ["win_amd64" if machine == "x86_64" else "win_arm64"]
    else:
        aliases = {17: "2014", 12: "2010", 5: "1"}
        platforms = [
            name
            for minor in range(40, 4, -1)
            for name in (
                f"manylinux_2_{minor}_{machine}",
                f"manylinux{aliases.get(minor)}_{machine}",
            )
            if "None" not in name
        ]
        platforms.append(f"linux_{machine}")
    major, minor = map(int, python.split("."))
    version, interpreter = (major, minor), f"cp{major}{minor}"
    return (
        *cpython_tags(version, abis=[interpreter], platforms=platforms),
        *compatible_tags(version, interpreter=interpreter, platforms=platforms),
    )
