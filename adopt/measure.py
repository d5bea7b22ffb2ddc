"""Ask uv what each platform gets with each extra and group, in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from packaging.pylock import Package, Pylock, PylockValidationError
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from adopt.edit import Edit, apply
from adopt.parse import (
    INDEXES,
    UV,
    Manifest,
    Option,
    Project,
    build_of_url,
    conflicts,
    default_groups,
    holds,
    normal,
    unique,
)
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.catalog.versions import TORCH
from torch_plan.project.markers import compared

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

_VERSIONS = (
    "SETUPTOOLS_SCM_PRETEND_VERSION",
    "PDM_BUILD_SCM_VERSION",
    "UV_DYNAMIC_VERSIONING_BYPASS",
    "POETRY_DYNAMIC_VERSIONING_BYPASS",
)
"""Variables that give a version to a copy which has no history."""

_WITHOUT_GIT = re.compile(
    r".*\.(toml|cfg|py|pyi|md|rst|txt|in|lock|whl|c|cc|cpp|cu|h|pyx)|LICEN[CS]E.*|\.python-version"
)
"""The files that are copied where there is no git: for projects, builds and their sources."""

_NO_CHOICE = {
    "extras": frozenset[str](),
    "dependency_groups": frozenset[str](),
    "platform_release": "",
    "platform_version": "",
}
"""What an export does not ask: it was made for one choice."""

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

    packages: dict[str, Got]
    missing: dict[str, Got]
    """The packages that are locked and have no wheel for it, and no source to build from."""
    is_locked: bool = True
    """Whether the lock is for it at all."""


class Place(NamedTuple):
    """Whom a cell is for."""

    option: Option
    platform: str
    python: str


class Table(NamedTuple):
    """What was measured."""

    cells: dict[Place, Cell]
    unmeasured: dict[str, str]
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
    trees = dict([tree_of(root)])
    places = [one.path.parent / one.entry.get("path", "") for p in projects for one in p.sources]
    for place in (one.resolve() for one in places):
        if place.exists() and not any(place.is_relative_to(tree) for tree in trees):
            trees[place] = [place] if place.is_file() else tree_of(place)[1]
    above = Path(os.path.commonpath(trees))
    with tempfile.TemporaryDirectory(prefix="uv-torch-adopt-") as name:
        for file in (file for files in trees.values() for file in files):
            target = Path(name, "copy", file.relative_to(above))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        yield Path(name, "copy", root.relative_to(above))


def tree_of(folder: Path) -> tuple[Path, list[Path]]:
    """Return a folder, or all that git keeps with it, and the files that are worth a copy."""
    top = Path(git(folder, "rev-parse", "--show-toplevel").strip()).resolve()
    tracked, others = [
        [top / name for name in git(top, "ls-files", "-z", *words).split("\0") if name]
        for words in (["--cached"], ["--others", "--exclude-standard"])
    ]
    # A folder that somebody's repository ignores is not in it.
    if folder / "pyproject.toml" in (*tracked, *others):
        return top, [one for one in tracked if one.is_file()] + [*filter(is_small, others)]
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _SKIPPED.fullmatch(name)]
        found += [Path(place, name) for name in names if _WITHOUT_GIT.fullmatch(name)]
    return folder, [*filter(is_small, found)]


def is_small(file: Path) -> bool:
    """Tell whether a file is a plain one and not a large one; the lock may be large."""
    return file.is_file() and (file.stat().st_size < LARGEST or file.name == "uv.lock")


def git(folder: Path, *words: str) -> str:
    """Return what git says in a folder, nothing without git or a repository."""
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else os.fsdecode(done.stdout)


def measure(
    projects: Sequence[Project], facts: Facts, copy: Path, *, is_changed: bool, locked: bool
) -> Table:
    """Measure projects of one workspace, in a copy that gets their texts.

    `locked` reads uv.lock as it is and asks no index. A project that `is_changed` is locked anew.
    """
    files = unique(one for project in projects for one in (project.manifest, project.root))
    failure = ""
    for texts in ({one.path: one.text for one in files}, {}):
        deadline = time.monotonic() + SECONDS
        root = projects[0].root.path.parent
        eased = texts or {one.path: without_403(one, failure, facts) for one in files}
        if failure and all(eased[one.path] == one.text for one in files):
            break
        for path, text in eased.items():
            place = copy / path.relative_to(root)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(text.encode("utf-8"))
        try:
            lock = lock_copy(copy, deadline, is_changed=is_changed, locked=locked)
        except UvFailed as failed:
            failure = failure or str(failed).replace(str(copy), str(root))
        else:
            told = ", with 403 of an index taken for `not here`" if failure else ""
            return read_lock(projects, facts, copy, deadline, f"{lock}{told}")
    return Table({}, {"": failure})


def lock_copy(copy: Path, deadline: float, *, is_changed: bool, locked: bool) -> str:
    """Lock a copy, and say whose lock it is. Raises `UvFailed`."""
    lock, told = copy / "uv.lock", "a lock made just now"
    if locked and not lock.exists():
        raise UvFailed("There is no uv.lock. `uv lock` makes it.")
    if locked:
        return "uv.lock, not compared with pyproject.toml"
    if lock.exists() and not is_changed:
        try:
            run_uv(copy, deadline, "lock", "--check")
        except UvFailed as failed:
            told += ", since uv.lock does not belong to pyproject.toml"
            if "Failed to parse `uv.lock`" in str(failed):
                lock.unlink()
        else:
            return "uv.lock"
    try:
        run_uv(copy, deadline, "lock")
    except UvFailed as failed:
        if is_changed or is_unsolvable(str(failed)) or not lock.exists():
            raise
        cause = [line for line in str(failed).splitlines() if line.startswith("error")]
        return f"uv.lock as it is, since uv could not lock: {' '.join(cause)[:200]}"
    return told


def is_unsolvable(said: str) -> bool:
    """Tell whether uv says that the requirements contradict each other, all indexes answering."""
    return "No solution found" in said and not re.search(r"40[13] |offline|network", said)


def without_403(manifest: Manifest, failure: str, facts: Facts) -> str:
    """Return a text in which a copy of PyTorch's index may answer 403 for what it lacks.

    uv takes it so from PyTorch's own, which is a bucket that does not say what it has.
    """
    edits = []
    for entry in manifest.uv.get("index", []) if "403 Forbidden" in failure else []:
        if build_of_url(entry["url"], facts) and "ignore-error-codes" not in entry:
            new = {**entry, "ignore-error-codes": [403]}
            edits.append(Edit(manifest.path, INDEXES, entry, new))
    for url in manifest.uv.get("extra-index-url", []) if "403 Forbidden" in failure else []:
        if build_of_url(url, facts):
            edits.append(Edit(manifest.path, (*UV, "extra-index-url"), url, None))
            new = {"url": url, "ignore-error-codes": [403]}
            edits.append(Edit(manifest.path, INDEXES, None, new))
    return apply({manifest.path: manifest.text}, edits)[manifest.path]


def read_lock(
    projects: Sequence[Project], facts: Facts, copy: Path, deadline: float, lock: str
) -> Table:
    """Read what each option of each project gets of a lock."""
    table = Table({}, {}, lock)
    options = [(project, option) for project in projects for option in project.options]
    for project, option in options[:MOST_OPTIONS]:
        try:
            exported = export(copy, deadline, project, option)
        except UvFailed as failed:
            table.unmeasured[str(option)] = str(failed)
            continue
        for platform, python in product(platforms_of(project), pythons_of(project, facts)):
            cell = select(exported, platform, python)
            table.cells[Place(option, platform, python)] = cell
    for _, option in options[MOST_OPTIONS:]:
        why = f"{MOST_OPTIONS} extras and groups are measured at most."
        table.unmeasured[str(option)] = why
    return table


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
    chosen = (option.kind, normal(option.name))
    excluded = {one for entry in conflicts(project) if chosen in entry for one in entry - {chosen}}
    names = [name for name in default_groups(project) if ("group", normal(name)) in excluded]
    return [word for name in names for word in ("--no-group", name)]


def platforms_of(project: Project) -> list[str]:
    """Return the usual platforms, and those whose system and machine some marker names."""
    uv = project.root.uv
    markers = [*uv.get("environments", []), *uv.get("required-environments", [])]
    markers += [line.requirement.marker for line in project.of(TORCH)]
    markers += [source.marker for source in project.sources_of(TORCH)]
    said = [{*re.findall(r"== [\"'](\w+)[\"']", str(marker))} for marker in markers]
    return [
        name
        for name, one in PLATFORMS.items()
        if name in USUAL
        or any(
            one.platform_machine in words
            and {one.sys_platform, compared(name, "3.12")["platform_system"]} & words
            for words in said
        )
    ]


def pythons_of(project: Project, facts: Facts) -> list[str]:
    """Return the Pythons that a project is for, of those that PyTorch has wheels for."""
    return [
        python
        for python in facts.all_pythons
        if any(project.requires_python.contains(f"{python}.{patch}") for patch in (0, 99))
    ]


def select(exported: Pylock, platform: str, python: str) -> Cell:
    """Return what a platform gets of an export; `Pylock.select` would stop at a missing wheel."""
    environment: Any = {
        **compared(platform, python),
        **_NO_CHOICE,
        "implementation_version": python,
    }
    if exported.environments and not any(
        holds(marker, platform, python) for marker in exported.environments
    ):
        return Cell({}, {}, is_locked=False)
    tags = tags_of(platform, python)
    cell = Cell({}, {})
    for package in exported.packages:
        if not package.marker or package.marker.evaluate(environment, context="lock_file"):
            kept = cell.packages if is_installable(package, tags) else cell.missing
            kept[str(package.name)] = got(package)
    return cell


def is_installable(package: Package, tags: frozenset[Tag]) -> bool:
    """Tell whether a package can be installed with some tags, or built from its source."""
    if package.vcs or package.directory or package.sdist:
        return True
    if package.archive:
        names = [file_name(package.archive.url or "")]
        return not names[0].endswith(".whl") or fits(names[0], tags)
    return any(fits(wheel.filename, tags) for wheel in package.wheels or ())


@cache
def fits(wheel: str, tags: frozenset[Tag]) -> bool:
    """Tell whether the file of a wheel is for some tags."""
    try:
        return not parse_wheel_filename(wheel)[3].isdisjoint(tags)
    except InvalidWheelFilename:
        return False


def file_name(url: str) -> str:
    """Return the name of the file that a URL leads to."""
    return unquote(urlsplit(url).path).rpartition("/")[2]


def got(package: Package) -> Got:
    """Return what is locked of a package; a wheel that stands by its URL has its version there."""
    name = file_name(package.archive.url or "") if package.archive else ""
    named = name.split("-")[1] if name.endswith(".whl") else ""
    return Got(str(package.version or named), package.index or "")


@cache
def tags_of(platform: str, python: str) -> frozenset[Tag]:
    """Return the tags of a machine that is as new as one can be."""
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
    own = cpython_tags(version, abis=[interpreter], platforms=platforms)
    return frozenset([*own, *compatible_tags(version, interpreter, platforms)])
