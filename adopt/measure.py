"""Ask uv what each platform gets with each extra and group, in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from packaging.pylock import Package, Pylock, PylockValidationError
from packaging.specifiers import SpecifierSet
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from adopt.parse import Option, Project, holds
from torch_plan.answers.records import DEFAULT_PLATFORMS
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.platforms import PLATFORMS, platform_of
from torch_plan.catalog.versions import TORCH
from torch_plan.project.markers import compared

MOST_OPTIONS = 30
"""How many extras and groups are measured; more are named as not measured."""

SECONDS = 60
"""How long uv may take for all of it."""

LARGEST = 1_000_000
"""Bytes of the largest file that is copied although git does not list it."""

_SET_ASIDE = (
    *("FROZEN", "LOCKED", "NO_SOURCES", "PROJECT", "PROJECT_ENVIRONMENT", "WORKING_DIR"),
    *("WORKING_DIRECTORY", "DEV", "NO_DEV", "NO_GROUP", "NO_DEFAULT_GROUPS"),
)
"""Variables of uv's that would make it lock something else, or nothing, or elsewhere."""

_WITHOUT_GIT = re.compile(
    r".*\.(toml|cfg|py|pyi|md|rst|txt|in|lock|whl|c|cc|cpp|cu|h|pyx)|LICEN[CS]E.*|\.python-version"
)
"""The files that are copied where there is no git: for projects, builds and their sources."""

_SKIPPED = re.compile(r"\..+|node_modules|__pycache__|build|dist|venv|wandb|.*\.egg-info")

NO_DATE = "is missing an upload date"
"""What uv says of a wheel that a cooldown refuses, since its index gives no dates."""


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


def run_uv(copy: Path, deadline: float, *words: str) -> str:
    """Run uv in a copy of a project, and return what it printed. Raises `UvFailed`."""
    # With COLUMNS uv breaks its lines, and what it says is read.
    aside = {"VIRTUAL_ENV", "COLUMNS", *(f"UV_{name}" for name in _SET_ASIDE)}
    kept = {name: value for name, value in os.environ.items() if name not in aside}
    versions = ("SETUPTOOLS_SCM_PRETEND_VERSION", "UV_DYNAMIC_VERSIONING_BYPASS")
    no_history = dict.fromkeys(versions, "0.0.0")
    try:
        done = subprocess.run(
            [os.environ.get("UV") or shutil.which("uv") or "uv", *words],
            cwd=copy,
            env=kept | no_history | {"NO_COLOR": "1"},
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=max(deadline - time.monotonic(), 0.1),
        )
    except subprocess.TimeoutExpired:
        raise UvFailed(f"uv took longer than {SECONDS} seconds in all.") from None
    except OSError as error:
        raise UvFailed(f"uv cannot be started from $UV or PATH: {error}") from None
    # uv warns of each wheel of an index without dates; one line is enough.
    said = done.stderr.decode("utf-8", "replace")
    said = re.sub(rf"(?m)(^warning: .*{NO_DATE}.*\n)+", r"\1", said)
    # uv warns of a setting that it cannot read, drops it with its neighbours, and ends with 0.
    if done.returncode or "Failed to parse" in said:
        raise UvFailed(said.strip() or f"uv ended with {done.returncode}.")
    return done.stdout.decode("utf-8", "replace")


@contextmanager
def copied(projects: Sequence[Project]) -> Iterator[Path]:
    """Copy what uv needs to lock; yields the copy of the root's folder."""
    root = projects[0].root.path.resolve().parent
    trees = dict([tree_of(root)])
    sources = [source for project in projects for source in project.sources]
    indexes = [index for project in projects for index in project.indexes]
    named = [(one.path, one.entry["path"]) for one in sources if "path" in one.entry]
    named += [(one.path, one.url) for one in indexes if "://" not in one.url]
    places = [(file.parent / path).resolve() for file, path in named]
    for place in [*places, *(wheel for one in places for wheel in one.glob("*.whl"))]:
        if place.is_file():  # whatever its size, and whoever ignores it
            trees[place] = [place]
        elif place.exists() and not any(map(place.is_relative_to, trees)):
            trees[place] = tree_of(place)[1]
    above = Path(os.path.commonpath(trees))
    with tempfile.TemporaryDirectory(prefix="uv-torch-adopt-") as name:
        for file in {file: None for files in trees.values() for file in files}:
            target = Path(name, "copy", file.relative_to(above))
            target.parent.mkdir(parents=True, exist_ok=True)
            is_linked = file.suffix == ".whl" and os.name == "posix"  # A torch has gigabytes.
            (os.symlink if is_linked else shutil.copyfile)(file, target)
        yield Path(name, "copy", root.relative_to(above))


def tree_of(folder: Path) -> tuple[Path, list[Path]]:
    """Return a folder, or all that git keeps with it, and the files that are worth a copy."""
    top = Path(git(folder, "rev-parse", "--show-toplevel").strip()).resolve()
    tracked, others = (
        [top / name for name in git(top, "ls-files", "-z", *words).split("\0") if name]
        for words in (["--cached"], ["--others", "--exclude-standard"])
    )
    # A folder that somebody's repository ignores is not in it.
    if folder / "pyproject.toml" in (*tracked, *others):
        return top, [*filter(Path.is_file, tracked), *filter(is_small, others)]
    files: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _SKIPPED.fullmatch(name)]
        files += [Path(place, name) for name in filter(_WITHOUT_GIT.fullmatch, names)]
    return folder, [*filter(is_small, files)]


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
    uv = partial(run_uv, copy, time.monotonic() + SECONDS)
    root = projects[0].root.path.parent
    for one in (one for project in projects for one in (project.manifest, project.root)):
        place = copy / one.path.relative_to(root)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(one.text.encode("utf-8"))
    try:
        is_there = (copy / "uv.lock").exists() and not is_changed
        lock = make_lock(uv, is_there=is_there, locked=locked)
    except UvFailed as failed:
        return Table({}, {"": str(failed).replace(str(copy), str(root))})
    return read_lock(uv, lock, projects, facts)


def make_lock(uv: Callable[..., str], *, is_there: bool, locked: bool) -> str:
    """Lock a copy, and say whose lock it is. Raises `UvFailed`."""
    if locked and not is_there:
        raise UvFailed("There is no uv.lock. `uv lock` makes it.")
    if locked:
        return "uv.lock, not compared with pyproject.toml"
    if is_there:
        with suppress(UvFailed):
            uv("lock", "--check")
            return "uv.lock"
    uv("lock")
    why = ", since uv.lock does not belong to pyproject.toml"
    return f"a lock made just now{why if is_there else ''}"


def read_lock(
    uv: Callable[..., str], lock: str, projects: Sequence[Project], facts: Facts
) -> Table:
    """Read what each option of each project gets of a lock, first of those that name torch."""
    table = Table({}, {}, lock)
    pairs = [(project, option) for project in projects for option in project.options]
    names = {TORCH, *facts.all_companions}
    counts = {
        option: sum(line.name in names for line in one.required(option)) for one, option in pairs
    }
    order = sorted(counts, key=lambda option: (option.kind != "", -counts[option]))
    for project, option in pairs:
        if option in order[MOST_OPTIONS:]:
            why = f"{MOST_OPTIONS} extras and groups are measured at most."
            table.unmeasured[str(option)] = why
            continue
        try:
            exported = export(uv, option)
        except UvFailed as failed:
            table.unmeasured[str(option)] = str(failed)
            continue
        bounds = project.requires_python & (exported.requires_python or SpecifierSet())
        for platform, python in product(platforms_of(project), facts.all_pythons):
            # Where a project names none, uv takes the Python that locks for the oldest.
            if any(map(bounds.contains, (f"{python}.0", f"{python}.99"))):
                place = Place(option, platform, python)
                table.cells[place] = select(exported, platform, python)
    return table


def export(uv: Callable[..., str], option: Option) -> Pylock:
    """Return what uv would install for an option on all platforms. Raises `UvFailed`."""
    words = ["export", "--frozen", "--quiet", "--no-header", "--format", "pylock.toml"]
    words += ["--no-emit-project", "--package", option.package, *option.words]
    try:
        data = tomllib.loads(uv(*words))
        for package in data.get("packages", []):
            # An override such as `sys_platform == 'never'` leaves a package without any file.
            if not {"wheels", "sdist", "archive", "directory", "vcs"} & package.keys():
                package["archive"] = {"path": "none.whl", "hashes": {"none": "0"}}
        return Pylock.from_dict(data)
    except (PylockValidationError, ValueError) as error:
        raise UvFailed(f"What uv exports cannot be read: {error}") from None


def platforms_of(project: Project) -> list[str]:
    """Return the usual platforms, and those whose system and machine some marker names."""
    uv = project.root.uv
    markers = [*uv.get("environments", []), *uv.get("required-environments", [])]
    markers += [line.requirement.marker for line in project.of(TORCH)]
    markers += [source.marker for source in project.sources_of(TORCH)]
    words = [{*re.findall(r"== [\"'](\w+)[\"']", str(marker))} for marker in markers]

    def is_named(platform: str) -> bool:
        values = compared(platform, "3.12")
        systems, machine = {values["sys_platform"], values["platform_system"]}, "platform_machine"
        return any(values[machine] in named and systems & named for named in words)

    return [name for name in PLATFORMS if name in DEFAULT_PLATFORMS or is_named(name)]


def select(exported: Pylock, platform: str, python: str) -> Cell:
    """Return what a platform gets of an export; `Pylock.select` would stop at a missing wheel."""
    markers = [holds(marker, platform, python) for marker in exported.environments or ()]
    cell = Cell({}, {}, is_locked=any(markers) or not markers)
    for package in exported.packages if cell.is_locked else ():
        if holds(package.marker, platform, python):
            files = files_of(package)
            is_there = any(fits(name, platform, python) for name in files)
            # A wheel that stands by its URL has its version there.
            version = package.version or "".join("".join(files[:1]).split("-")[1:2])
            kept = cell.packages if is_there else cell.missing
            kept[str(package.name)] = Got(str(version), package.index or "")
    return cell


def files_of(package: Package) -> list[str]:
    """Return the names of the wheels of a package, an empty one where uv can build it."""
    archive = package.archive and (package.archive.url or package.archive.path)
    name = unquote(urlsplit(archive or "").path).rpartition("/")[2]
    if name.endswith(".whl"):
        return [name]
    is_source = package.archive or package.vcs or package.directory or package.sdist
    return [""] if is_source else [wheel.filename for wheel in package.wheels or ()]


@cache
def fits(wheel: str, platform: str, python: str) -> bool:
    """Tell whether the file of a wheel is for a platform, as new a machine as there can be."""
    try:
        tags = parse_wheel_filename(wheel)[3]
    except InvalidWheelFilename:
        return not wheel
    machine, known = platform.rpartition("-")[2], interpreters(python)
    fitting = [one.platform for one in tags if (one.interpreter, one.abi) in known]
    names = {name.replace("universal2", machine) for name in fitting}
    return "any" in names or platform in map(platform_of, names)


@cache
def interpreters(python: str) -> frozenset[tuple[str, str]]:
    """Return the pairs of interpreter and ABI in the wheels that a Python takes."""
    version, name = (*map(int, python.split(".")),), f"cp{python.replace('.', '')}"
    tags = [*cpython_tags(version, [name], [""]), *compatible_tags(version, name, [""])]
    return frozenset((tag.interpreter, tag.abi) for tag in tags)
