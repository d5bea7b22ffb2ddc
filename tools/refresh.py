"""Bring `builds.json` up to date from the PyTorch index and PyPI.

Run it with `uv run tools/refresh.py`. Progress goes to stderr, a summary in Markdown to stdout.
With `--check` it writes nothing, and exits 1 if something would change. It exits 2 if no page at
all could be read.

How it merges:
- What the facts have stays: tags are only added, and a page that cannot be read changes nothing.
  Where pages say otherwise, the summary does, and a person decides.
- A release is added whole or not at all: day, the build behind each of PyPI's wheels, a version of
  each companion, and wheels on the `cpu` index. Pre-releases and post-releases are passed over.
- A companion's version is the newest that requires exactly this torch. Where none does, it is the
  newest whose requirement admits it, of those published before the next torch.
- Indexes are those that the facts know, those that the index root names and those given with
  `--index`. The root lists every folder with an index page beside the packages (pytorch/test-infra,
  `s3_management/manage_v2.py`); a mirror may have no such page.
- A wheel without a label, in a folder other than the index that lists it, lies in the index root:
  every index lists it, and it counts for `cpu` (torch 2.0 for Linux aarch64).
"""

from __future__ import annotations

import argparse
import copy
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import requests
from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name
from packaging.version import Version
from pypi_simple import (
    PYPI_SIMPLE_ENDPOINT,
    DistributionPackage,
    NoMetadataError,
    NoSuchProjectError,
    PyPISimple,
)

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.facts_file import FACTS_PATH, dump_facts
from tools.wheel_names import WheelName, parse_wheel_name
from torch_plan.facts import CPU, PYPI, Facts, backend_key, family_of, version_key
from torch_plan.platforms import PLATFORMS, platform_of

TORCH = "torch"

INDEX_NAME = re.compile(r"cpu|xpu|cu\d{3}|rocm\d+(\.\d+)+")
"""An index of stable wheels. `cpu-cxx11-abi`, `cu117_pypi_cudnn`, `nightly`, `test` are none."""

PYTHON_TAG = re.compile(r"cp3\d+t?|py3")

COMMIT = re.compile(r"[0-9a-f]{7,40}")
"""What torchvision's wheels for Windows on Arm carry in place of a label."""

TIMEOUT = 30.0
PATIENCE = 3
"""After so many requests in a row without any answer, a repository is not asked again."""

_SYSTEMS = {"linux": ("posix", "Linux"), "darwin": ("posix", "Darwin"), "win32": ("nt", "Windows")}
"""`sys_platform` -> `os_name`, `platform_system`."""

Answer = TypeVar("Answer")

Tags = dict[str, set[str]]
"""Platform tag -> CPython tags."""


@dataclass(frozen=True)
class Listed:
    """A wheel on a page, and what its name says."""

    name: WheelName
    package: DistributionPackage

    @property
    def platform(self) -> str:
        """The platform that it is for."""
        return platform_of(self.name.platform_tag) or ""

    @property
    def folder(self) -> str:
        """The folder that it lies in, as its URL names it."""
        path = unquote(urlsplit(self.package.url).path)
        return path.rpartition("/")[0].rpartition("/")[2]


Listing = dict[str, list[Listed]]
"""Version -> wheels, of one package on one index."""


@dataclass
class Report:
    """What a run did and did not; `unread` is reason -> what could not be read for it."""

    changes: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    by_hand: list[str] = field(default_factory=list)
    contradictions: list[str] = field(default_factory=list)
    unread: dict[str, list[str]] = field(default_factory=dict)
    pages: int = 0

    def text(self) -> str:
        """Return it in Markdown."""
        lines = [f"- {', '.join(names)}: {reason}" for reason, names in self.unread.items()]
        sections = {
            "Changed": self.changes,
            "To do by hand": self.by_hand,
            "Not added yet": self.waiting,
            "The facts say otherwise (they were kept)": self.contradictions,
        }
        parts = [
            f"## {title}\n\n" + "\n".join(f"- {entry}" for entry in dict.fromkeys(entries))
            for title, entries in sections.items()
            if entries
        ]
        if lines:
            parts.append("## Could not be read (the facts were kept)\n\n" + "\n".join(lines))
        if not self.changes:
            parts.insert(0, f"Nothing to change after {self.pages} pages.")
        return "\n\n".join(parts) + "\n"


# --- Reading -------------------------------------------------------------------------------------


class Repository:
    """A simple repository, read page by page. What it does not give is noted in the report."""

    def __init__(self, title: str, url: str, session: requests.Session, report: Report) -> None:
        self.title = title
        self._url = url.rstrip("/")
        self._session = session
        self._report = report
        self._silent = 0

    def names(self) -> list[str]:
        """Return what the root page lists: packages, and on the PyTorch index folders as well."""
        client = PyPISimple(self._url, session=self._session)
        page = self._read(f"{self.title} root", lambda: client.get_index_page(TIMEOUT), False)
        return page.projects if page else []

    def wheels(self, index: str, project: str, expected: bool) -> list[DistributionPackage] | None:
        """Return the wheels of a project that are not yanked; `expected`: it should have some.

        None where the page is not there, cannot be read, or is not about this project.
        """
        client = PyPISimple("/".join(filter(None, (self._url, index))), session=self._session)
        what = "/".join(filter(None, (self.title, index, project)))
        page = self._read(what, lambda: client.get_project_page(project, TIMEOUT), expected)
        if page is None:
            return None
        names = {package.filename: package for package in page.packages if not package.is_yanked}
        wheels = [package for name, package in names.items() if name.endswith(".whl")]
        if not wheels:
            if expected:
                self._note(what, "the page lists no wheel")
            return None
        self._report.pages += 1
        return wheels

    def requirements(self, wheel: Listed) -> list[Requirement] | None:
        """Return what a wheel requires, out of its METADATA (PEP 658); None if it is not given.

        METADATA without a hash counts as not given: half a file would read as fewer requirements.
        """
        what = f"{self.title}: METADATA of {wheel.package.filename}"
        if not wheel.package.metadata_digests:
            self._note(f"{self.title}: METADATA of {wheel.name.package}", "the page offers none")
            return None
        client = PyPISimple(self._url, session=self._session)
        text = self._read(
            what, lambda: client.get_package_metadata(wheel.package, timeout=TIMEOUT), True
        )
        if text is None:
            return None
        try:
            return Metadata.from_email(text, validate=False).requires_dist or []
        except ValueError as error:
            self._note(what, _reason(error))
            return None

    def _read(self, what: str, get: Callable[[], Answer], expected: bool) -> Answer | None:
        if self._silent >= PATIENCE:
            self._note(f"{self.title}: every page after that", "not asked for")
            return None
        try:
            answer = get()
        # Whatever a page does to its parser, the other pages are read.
        except Exception as error:  # noqa: BLE001
            no_answer = isinstance(error, (requests.ConnectionError, requests.Timeout))
            self._silent = self._silent + 1 if no_answer else 0
            if expected or not _is_absent(error):
                self._note(what, _reason(error))
            else:
                _say(f"{what}: not there")
            return None
        self._silent = 0
        _say(what)
        return answer

    def _note(self, what: str, reason: str) -> None:
        places = self._report.unread.setdefault(reason, [])
        if what not in places:
            _say(f"{what}: could not be read: {reason}")
            places.append(what)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _is_absent(error: Exception) -> bool:
    """Tell what is not there from what fails: the PyTorch index says 403 of it, others 404."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return error.response.status_code in (403, 404)
    return isinstance(error, NoSuchProjectError)


def _reason(error: Exception) -> str:
    match error:
        case requests.HTTPError(response=requests.Response() as response):
            return f"HTTP {response.status_code}"
        case NoSuchProjectError() | NoMetadataError():
            return "HTTP 404"
        case requests.Timeout():
            return f"no answer within {TIMEOUT:.0f} seconds"
        case requests.exceptions.ChunkedEncodingError():
            return "the connection broke off"
        case requests.ConnectionError():
            return "no connection"
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first[:200]}"


def listing(packages: Iterable[DistributionPackage], project: str, index: str) -> Listing:
    """Return the wheels that belong to an index and that the facts can name, by version."""
    found: Listing = {}
    for package in packages:
        try:
            wheel = Listed(parse_wheel_name(package.filename), package)
        except InvalidWheelFilename:
            continue
        name = wheel.name
        is_fact = wheel.platform and is_final(name.version) and has_known_python(wheel)
        if name.package == project and is_fact and belongs(wheel, index):
            found.setdefault(name.version, []).append(wheel)
    return found


def is_final(version: str) -> bool:
    """Tell final releases, which alone are facts, from pre-, post- and development releases."""
    parsed = Version(version)
    return not (parsed.is_prerelease or parsed.is_postrelease or parsed.epoch)


def has_known_python(wheel: Listed) -> bool:
    """Tell whether the facts can express a wheel's tags: `cp310-abi3` they cannot."""
    known = PYTHON_TAG.fullmatch(wheel.name.python) is not None
    return known and "-abi3-" not in wheel.package.filename


def belongs(wheel: Listed, index: str) -> bool:
    """Tell whether a wheel that an index lists is its own."""
    label = wheel.name.label
    if label == index:
        return True
    if label and not COMMIT.fullmatch(label):
        return False
    in_root = not INDEX_NAME.fullmatch(wheel.folder)
    return index in (PYPI, wheel.folder) or (index == CPU and in_root)


# --- What METADATA says --------------------------------------------------------------------------


def active(requirements: Iterable[Requirement], wheel: Listed) -> list[Requirement]:
    """Return the requirements that hold where a wheel is installed, without any extra."""
    platform = PLATFORMS[wheel.platform]
    os_name, system = _SYSTEMS[platform.sys_platform]
    python = re.sub(r"^cp3(\d+)t?$", r"3.\1", wheel.name.python).replace("py3", "3.12")
    environment = {
        "sys_platform": platform.sys_platform,
        "platform_machine": platform.platform_machine,
        "platform_system": system,
        "os_name": os_name,
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_python_implementation": "CPython",
        "extra": "",
    }
    return [
        requirement
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate(environment)
    ]


def exact(requirement: Requirement) -> str:
    """Return the version that a requirement pins, empty for any other."""
    match [*requirement.specifier]:
        case [only] if only.operator == "==" and not only.version.endswith(".*"):
            return str(only.version)
    return ""


def cuda_build(requirements: Iterable[Requirement]) -> str:
    """Return the build behind a wheel of PyPI: `cu132` for `cuda-toolkit==13.2.2`, else `cpu`.

    Until torch 2.10 the wheels pin `nvidia-cuda-runtime-cu12`, since 2.11 `cuda-toolkit`. Empty
    where there is something of NVIDIA's, and neither of the two is pinned.
    """
    names = {canonicalize_name(requirement.name): requirement for requirement in requirements}
    for name, requirement in names.items():
        if name == "cuda-toolkit" or name.startswith("nvidia-cuda-runtime"):
            major, _, rest = exact(requirement).partition(".")
            return f"cu{major}{rest.partition('.')[0]}" if major else ""
    return "" if any(name.startswith("nvidia-") for name in names) else CPU


def index_triton(requirements: Iterable[Requirement]) -> Requirement | None:
    """Return the triton package that only the PyTorch index has; plain `triton` is PyPI's."""
    return next(
        (
            requirement
            for requirement in requirements
            if re.fullmatch(r"(pytorch-)?triton-(rocm|xpu)", canonicalize_name(requirement.name))
        ),
        None,
    )


def sample(wheels: Iterable[Listed], platform: str = "") -> Listed | None:
    """Return a wheel to read METADATA of: the oldest Python's, on Linux if there is a choice."""
    order = [*PLATFORMS]
    found = [wheel for wheel in wheels if not platform or wheel.platform == platform]
    return min(
        found,
        key=lambda wheel: (
            order.index(wheel.platform),
            python_key(wheel.name.python),
            wheel.package.filename,
        ),
        default=None,
    )


# --- The merge -----------------------------------------------------------------------------------


class Refresh:
    """One run: the facts as they were, the pages that were read, and the facts to be."""

    def __init__(
        self, data: Mapping[str, Any], index: Repository, pypi: Repository, report: Report
    ) -> None:
        self.old = Facts(data)
        self.data: dict[str, Any] = copy.deepcopy(dict(data))
        self.index, self.pypi, self.report = index, pypi, report
        self.packages = (TORCH, *self.old.all_companions)
        self.pages: dict[tuple[str, str], Listing] = {}

    def run(self, more_indexes: Iterable[str]) -> dict[str, Any]:
        """Return the new facts; `more_indexes` are looked for besides those that are known."""
        self._read_pages(more_indexes)
        for release in self._unknown_releases():
            self._add_release(release)
        self._check_pairings()
        self._merge_wheels()
        self._check_cuda()
        return self.data

    # Pages

    def _read_pages(self, more_indexes: Iterable[str]) -> None:
        for package in self.packages:
            self._read_page(PYPI, package)
        named = [name for name in self.index.names() if INDEX_NAME.fullmatch(name)]
        indexes = {*self.old.all_backends, *named, *more_indexes} - {PYPI}
        for index in sorted(indexes, key=backend_key):
            self._read_page(index, TORCH)
            if self._has_releases(index):
                for companion in self.packages[1:]:
                    self._read_page(index, companion)

    def _read_page(self, index: str, package: str) -> None:
        known = any(self.old.wheels(package, version, index) for version in self._versions(package))
        if index == PYPI:
            wheels = self.pypi.wheels("", package, known)
        else:
            wheels = self.index.wheels(index, package, known)
        if wheels is not None:
            self.pages[package, index] = listing(wheels, package, index)

    def _has_releases(self, index: str) -> bool:
        """Tell whether an index matters: the oldest hold nothing but what came before the facts."""
        found = self.pages.get((TORCH, index), {})
        return index in self.old.all_backends or any(self._is_recent(name) for name in found)

    def _is_recent(self, release: str) -> bool:
        return version_key(release) >= version_key(self.old.releases[0])

    def _versions(self, package: str) -> Iterator[str]:
        yield from self.data["wheels"].get(package, {})

    def _listed(self, package: str, version: str, index: str) -> list[Listed]:
        return self.pages.get((package, index), {}).get(version, [])

    # Releases

    def _unknown_releases(self) -> list[str]:
        found = {
            release
            for (package, _), page in self.pages.items()
            if package == TORCH
            for release in page
            if self._is_recent(release) and release not in self.old.releases
        }
        return sorted(found, key=version_key)

    def _add_release(self, release: str) -> None:
        day = self._day(TORCH, release)
        companions = {name: self._companion(name, release, day) for name in self.packages[1:]}
        builds = self._pypi_builds(release)
        lacks = [
            *([] if day else ["the day of its upload to PyPI"]),
            *([] if self._listed(TORCH, release, CPU) else ["wheels on the `cpu` index"]),
            *(f"a {name} for it" for name, version in companions.items() if not version),
            *(
                f"the build behind PyPI's wheel for {name}"
                for name, build in builds.items()
                if not build
            ),
        ]
        if lacks:
            self.report.waiting.append(f"torch {release}: {', '.join(lacks)} could not be found")
            return
        self.data["releases"][release] = {
            "released": day,
            "companions": companions,
            "numpy_1": "",
            "pypi": builds,
        }
        self.data["releases"] = dict(
            sorted(self.data["releases"].items(), key=lambda item: version_key(item[0]))
        )
        paired = " and ".join(f"{name} {version}" for name, version in companions.items())
        behind = ", ".join(f"{build} on {name}" for name, build in builds.items())
        self.report.changes.append(
            f"torch {release} of {day}, with {paired}. PyPI's wheels: {behind}"
        )
        self.report.by_hand.append(
            f"torch {release}: everything that `docs/releasing.md` says of a new release"
        )

    def _day(self, package: str, version: str) -> str:
        """Return the day on which a version came to PyPI, empty where it does not say."""
        times = [
            wheel.package.upload_time
            for wheel in self._listed(package, version, PYPI)
            if wheel.package.upload_time
        ]
        return min(times).astimezone(UTC).date().isoformat() if times else ""

    def _pypi_builds(self, release: str) -> dict[str, str]:
        wheels = self._listed(TORCH, release, PYPI)
        there = {wheel.platform for wheel in wheels}
        builds = {}
        for platform in PLATFORMS:
            wheel = sample(wheels, platform) if platform in there else None
            if wheel:
                requirements = self.pypi.requirements(wheel)
                holding = active(requirements or (), wheel)
                builds[platform] = "" if requirements is None else cuda_build(holding)
                self._check_dependencies(release, holding)
        return builds

    def _check_dependencies(self, release: str, requirements: Iterable[Requirement]) -> None:
        """Report what torch requires, and the facts do not know that it may."""
        names = {canonicalize_name(requirement.name) for requirement in requirements}
        if new := sorted(name for name in names if not self.old.may_depend_on(name)):
            self.report.by_hand.append(
                f"torch {release} requires {', '.join(new)}, unknown to `dependencies`"
            )

    # Companions

    def _companion(self, companion: str, release: str, day: str) -> str:
        """Return the version of a companion for a new release, empty where there is none.

        Versions before the one of the release before are not looked at.
        """
        before = [
            self.data["releases"][known]["companions"].get(companion, "0")
            for known in sorted(self.data["releases"], key=version_key)
            if version_key(known) < version_key(release)
        ]
        candidates = [
            version
            for version in self.pages.get((companion, PYPI), {})
            if version_key(version) >= version_key(before[-1])
        ]
        until = self._next_day(day)
        admitted = ""
        for version in sorted(candidates, key=version_key, reverse=True):
            requirements = self._torch_requirements(companion, version)
            if requirements is None:
                return ""
            if release in map(exact, requirements):
                return version
            published = self._day(companion, version)
            if not admitted and _admits(requirements, release) and published < until:
                admitted = version
        return admitted

    def _next_day(self, day: str) -> str:
        """Return the day of the first torch after a day, or a day that never comes."""
        versions = [
            *self.data["releases"],
            *(name for name in self.pages.get((TORCH, PYPI), {}) if self._is_recent(name)),
        ]
        days = [
            self.data["releases"].get(name, {}).get("released") or self._day(TORCH, name)
            for name in versions
        ]
        return min((other for other in days if other > day), default="9999")

    def _torch_requirements(self, companion: str, version: str) -> list[Requirement] | None:
        """Return what a version of a companion requires of torch: nothing, or one requirement."""
        wheel = sample(self._listed(companion, version, PYPI))
        requirements = self.pypi.requirements(wheel) if wheel else None
        if wheel is None or requirements is None:
            return None
        return [entry for entry in active(requirements, wheel) if entry.name == TORCH]

    def _check_pairings(self) -> None:
        """Report the pairings in the facts that a companion's own requirement excludes."""
        for companion in self.packages[1:]:
            releases: dict[str, list[str]] = {}
            for release in self.old.releases:
                for version in self.old.companions(release).get(companion, ()):
                    releases.setdefault(version, []).append(release)
            for version, paired in releases.items():
                for requirement in self._torch_requirements(companion, version) or ():
                    for release in paired:
                        if not _admits([requirement], release):
                            self.report.contradictions.append(
                                f"torch {release} is paired with {companion} {version}, "
                                f"which requires `{requirement}`"
                            )

    # Wheels

    def _merge_wheels(self) -> None:
        wanted = {TORCH: set(self.data["releases"])}
        for entry in self.data["releases"].values():
            for companion, version in entry["companions"].items():
                wanted.setdefault(companion, set()).add(version)
        added: dict[tuple[str, str], dict[str, Tags]] = {}
        for (package, index), page in self.pages.items():
            for version in sorted(wanted[package], key=version_key):
                new = self._new_tags(package, version, index, page.get(version, []))
                if new and (package != TORCH or self._add_triton(version, index)):
                    added.setdefault((package, version), {})[index] = new
        for (package, version), tables in sorted(
            added.items(), key=lambda item: (self.packages.index(item[0][0]), _key(item[0]))
        ):
            self._add_tags(package, version, tables)
        for release in self.old.releases:
            for index in self.old.backends(release):
                if index not in added.get((TORCH, release), {}):
                    self._add_triton(release, index)

    def _new_tags(self, package: str, version: str, index: str, wheels: list[Listed]) -> Tags:
        """Return the tags that the facts lack, and note those that the page lacks."""
        found: Tags = {}
        for wheel in wheels:
            found.setdefault(wheel.name.platform_tag, set()).add(wheel.name.python)
            self._check_label(wheel, index)
        known = self._known_tags(package, version, index)
        if gone := _less(known, found):
            self.report.contradictions.append(
                f"{package} {version} on `{index}`: the page lists no {_tags_text(gone)}"
            )
        return _less(found, known)

    def _known_tags(self, package: str, version: str, index: str) -> Tags:
        return {tag: set(tags) for tag, tags in self.old.wheels(package, version, index).items()}

    def _check_label(self, wheel: Listed, index: str) -> None:
        name = wheel.name
        label = "" if name.label != index else name.label
        expected = self.old.label(name.package, name.version, index, wheel.platform)
        if label != expected:
            self.report.contradictions.append(
                f"{name.package} {name.version} on `{index}`: wheels for {wheel.platform} have "
                f"{f'the label `{label}`' if label else 'no label'} (`labelled_since`)"
            )

    def _add_tags(self, package: str, version: str, tables: Mapping[str, Tags]) -> None:
        merged = {
            index: self._known_tags(package, version, index)
            for index in {*self.old.indexes(package, version), *tables}
        }
        for index, table in tables.items():
            for tag, tags in table.items():
                merged[index].setdefault(tag, set()).update(tags)
        versions = self.data["wheels"][package]
        versions[version] = grouped(merged)
        self.data["wheels"][package] = dict(
            sorted(versions.items(), key=lambda item: version_key(item[0]))
        )
        texts: dict[str, list[str]] = {}
        for index, table in tables.items():
            texts.setdefault(_tags_text(table), []).append(index)
        for text, indexes in texts.items():
            names = " ".join(f"`{name}`" for name in sorted(indexes, key=backend_key))
            self.report.changes.append(f"{package} {version} on {names}: {text}")

    # Triton

    def _add_triton(self, release: str, index: str) -> bool:
        """Complete the triton package of a release's ROCm or XPU build.

        False where the build is new and its METADATA cannot be read: without the package that it
        requires a build is no use.
        """
        family = family_of(index)
        wheels = self._listed(TORCH, release, index)
        if family not in ("rocm", "xpu") or not wheels:
            return True
        tritons = self.data["releases"][release].setdefault("triton", {})
        entry = tritons.get(family, {"requirement": "", "platforms": ""})
        platforms = set(entry["platforms"].split())
        complete = True
        for platform in sorted({wheel.platform for wheel in wheels}, key=[*PLATFORMS].index):
            wheel = sample(wheels, platform)
            said = "==" in entry["requirement"] and platform in platforms
            if wheel is None or (said and index in self.old.backends(release)):
                continue
            requirements = self.index.requirements(wheel)
            if requirements is None:
                complete = False
                continue
            holding = active(requirements, wheel)
            self._check_rocm(release, index, holding)
            if triton := index_triton(holding):
                entry = self._with_triton(release, index, entry, triton)
                platforms.add(platform)
                entry["platforms"] = " ".join(name for name in PLATFORMS if name in platforms)
        if entry["requirement"] and entry != tritons.get(family):
            tritons[family] = entry
            self.data["releases"][release]["triton"] = dict(sorted(tritons.items()))
            self.report.changes.append(
                f"torch {release}, {family}: requires {entry['requirement']} on "
                f"{entry['platforms']}"
            )
        if not self.data["releases"][release]["triton"]:
            del self.data["releases"][release]["triton"]
        return complete or index in self.old.backends(release)

    def _with_triton(
        self, release: str, index: str, entry: Mapping[str, str], triton: Requirement
    ) -> dict[str, str]:
        """Return an entry with the requirement that METADATA states, unless it has another one."""
        name, version = canonicalize_name(triton.name), exact(triton)
        known = entry["requirement"]
        stated = f"{name}=={version}" if version else name
        if "==" in known or (known and not version):
            if known != stated:
                self.report.contradictions.append(
                    f"torch {release} on `{index}` requires `{triton}`, the facts say {known}"
                )
            return dict(entry)
        page = self.index.wheels(index, name, expected=True) or []
        if (
            version
            and page
            and not any(_package_version(package) == (name, version) for package in page)
        ):
            self.report.contradictions.append(
                f"torch {release} on `{index}` requires `{triton}`, which the index does not list"
            )
        return {**entry, "requirement": stated}

    def _check_rocm(self, release: str, index: str, requirements: Iterable[Requirement]) -> None:
        """Report a build that requires AMD's own packages: PyPI has placeholders of them."""
        names = sorted({entry.name for entry in requirements if re.match("rocm", entry.name)})
        if names and not self.old.why_broken(release, index, "linux-x86_64"):
            self.report.by_hand.append(
                f"torch {release} on `{index}` requires {', '.join(names)}: lock it, and add it to "
                "`broken` if that fails"
            )

    # CUDA

    def _check_cuda(self) -> None:
        new = Facts(self.data)
        for index in new.all_backends:
            if family_of(index) == "cu" and not new.min_driver(index, "linux-x86_64"):
                self.report.by_hand.append(
                    f"`{index}`: its least driver and its architectures, under `cuda`"
                )


def _admits(requirements: Iterable[Requirement], release: str) -> bool:
    return all(requirement.specifier.contains(release) for requirement in requirements)


def _package_version(package: DistributionPackage) -> tuple[str, str]:
    try:
        name = parse_wheel_name(package.filename)
    except InvalidWheelFilename:
        return "", ""
    return name.package, name.version


def _key(item: tuple[str, str]) -> tuple[int, ...]:
    return version_key(item[1])


# --- Tags ----------------------------------------------------------------------------------------


def python_key(tag: str) -> tuple[bool, bool, int]:
    """Return what sorts CPython tags as the facts do: `cp39 cp310 cp313t`, and `py3` last."""
    return tag == "py3", tag.endswith("t"), int(re.sub(r"\D", "", tag)[1:] or 0)


def platform_key(tag: str) -> tuple[int, str]:
    """Return what sorts platform tags as `PLATFORMS` does."""
    return [*PLATFORMS].index(platform_of(tag) or ""), tag


def grouped(tables: Mapping[str, Tags]) -> dict[str, dict[str, str]]:
    """Return tables by index in the shape of `builds.json`: what is equal is said once."""
    indexes: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for index in sorted(tables, key=backend_key):
        indexes.setdefault(tuple(_rows(tables[index]).items()), []).append(index)
    return {" ".join(names): dict(rows) for rows, names in indexes.items()}


def _rows(table: Tags) -> dict[str, str]:
    rows: dict[str, list[str]] = {}
    for tag in sorted(table, key=platform_key):
        rows.setdefault(" ".join(sorted(table[tag], key=python_key)), []).append(tag)
    return {" ".join(tags): pythons for pythons, tags in rows.items()}


def _less(table: Tags, other: Tags) -> Tags:
    """Return what a table has and another has not."""
    rest = {tag: pythons - other.get(tag, set()) for tag, pythons in table.items()}
    return {tag: pythons for tag, pythons in rest.items() if pythons}


def _tags_text(table: Tags) -> str:
    return "; ".join(f"{tags} for {pythons}" for tags, pythons in _rows(table).items())


# --- The command ---------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Refresh the facts; return the exit status."""
    facts_path = FACTS_PATH
    before = facts_path.read_text(encoding="utf-8")
    data = json.loads(before)
    official = Facts(data).pytorch_mirrors["official"].url
    parser = argparse.ArgumentParser(description="Bring builds.json up to date.")
    parser.add_argument(
        "--index-url",
        default=official,
        metavar="URL",
        help=f"a PyTorch index in the shape of PEP 503 (default: {official})",
    )
    parser.add_argument(
        "--index",
        action="append",
        default=[],
        type=_index_name,
        metavar="NAME",
        help="an index to look for besides those that are known, such as cu134; repeatable",
    )
    parser.add_argument(
        "--pypi-url",
        default=PYPI_SIMPLE_ENDPOINT,
        metavar="URL",
        help="a copy of PyPI's simple API, with upload times and metadata (default: PyPI)",
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing, exit 1 if something would change"
    )
    options = parser.parse_args(arguments)
    report = Report()
    with requests.Session() as session:
        index = Repository("index", options.index_url, session, report)
        pypi = Repository("pypi", options.pypi_url, session, report)
        after = Refresh(data, index, pypi, report).run(options.index)
    if not report.pages:
        reasons = "; ".join(f"{names[0]}: {reason}" for reason, names in report.unread.items())
        print(f"Error: no page could be read ({reasons})", file=sys.stderr)
        return 2
    changed = after != data
    if changed and not options.check:
        after["about"]["gathered"] = today().isoformat()
        facts_path.write_text(dump_facts(after), encoding="utf-8")
    print(report.text(), end="")
    return 1 if changed and options.check else 0


def today() -> date:
    """Return the day it is in UTC."""
    return datetime.now(tz=UTC).date()


def _index_name(text: str) -> str:
    if not INDEX_NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no index: cpu, xpu, cu134, rocm7.14")
    return text


if __name__ == "__main__":
    sys.exit(main())
