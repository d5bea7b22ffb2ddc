"""The facts of `builds.json`: which wheels exist, for whom, under which label."""

from __future__ import annotations

import json
import platform
import re
import sys
from collections.abc import Mapping
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

BUILDS_PATH = Path(__file__).with_name("builds.json")

PYPI = "pypi"
"""The backend that takes whatever PyPI ships, and the name of PyPI's own column in the facts."""

CPU = "cpu"


class Platform(NamedTuple):
    """A platform that a project names, and how PEP 508 markers tell it apart."""

    name: str
    sys_platform: str
    platform_machine: str


PLATFORMS = {
    platform.name: platform
    for platform in (
        Platform("linux-x86_64", "linux", "x86_64"),
        Platform("linux-aarch64", "linux", "aarch64"),
        Platform("macos-arm64", "darwin", "arm64"),
        Platform("macos-x86_64", "darwin", "x86_64"),
        Platform("windows-x86_64", "win32", "AMD64"),
        Platform("windows-arm64", "win32", "ARM64"),
    )
}
"""Every platform PyTorch publishes wheels for, by name, in the order in which lists name them."""

_TAG_ENDS = (
    (("manylinux", "linux_"), "_x86_64", "linux-x86_64"),
    (("manylinux", "linux_"), "_aarch64", "linux-aarch64"),
    (("macosx_",), "_arm64", "macos-arm64"),
    (("macosx_",), "_x86_64", "macos-x86_64"),
    (("win_",), "_amd64", "windows-x86_64"),
    (("win_",), "_arm64", "windows-arm64"),
)
"""How a platform tag begins and ends, and the platform that it is for."""


@cache
def platform_of(platform_tag: str) -> str | None:
    """Return the platform that a wheel's platform tag is for (`win_amd64`: `windows-x86_64`).

    A compressed set (`manylinux_2_17_x86_64.manylinux2014_x86_64`) counts as its last tag. None
    for a platform that the template does not name, such as s390x.
    """
    tag = platform_tag.rpartition(".")[2]
    fitting = (
        name for starts, end, name in _TAG_ENDS if tag.startswith(starts) and tag.endswith(end)
    )
    return next(fitting, None)


@cache
def version_key(version: str) -> tuple[int, ...]:
    """Return what sorts `2.10.0` after `2.9.1`, and `3.10` after `3.9`."""
    return tuple(int(part) for part in re.findall(r"\d+", version))


_FAMILIES = ("pypi", "cpu", "cu", "rocm", "xpu")


def family_of(backend: str) -> str:
    """Return `cu` for `cu128`, `rocm` for `rocm6.4`, and any other backend's own name."""
    for family in ("cu", "rocm"):
        if backend.startswith(family) and backend[len(family) :][:1].isdecimal():
            return family
    return backend


def backend_key(backend: str) -> tuple[int, tuple[int, ...]]:
    """Return what sorts backends by family, then by the version of their toolkit."""
    return _FAMILIES.index(family_of(backend)), version_key(backend)


class Triton(NamedTuple):
    """The package of the PyTorch index that the ROCm or XPU build of a release requires."""

    name: str
    version: str
    """Empty where no version is documented; torch's own requirement then pins it."""
    platforms: tuple[str, ...]


class Mirror(NamedTuple):
    """A copy of the PyTorch index: `url` is what comes before `/cu128`."""

    url: str
    flat: bool
    hosts: tuple[str, ...]


Tags = dict[str, tuple[str, ...]]
"""Platform tag -> CPython tags."""


class Facts:
    """What PyTorch publishes. Versions are public ones (`2.9.1`), Pythons are minors (`3.12`).

    An index is named by its backend; `pypi` stands for PyPI's own wheels.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data
        self._wheels: dict[tuple[str, str], dict[str, Tags]] = {}

    @cached_property
    def releases(self) -> tuple[str, ...]:
        """Every torch release, oldest first."""
        return tuple(sorted(self._data["releases"], key=version_key))

    @cached_property
    def all_pythons(self) -> tuple[str, ...]:
        """Every Python that any wheel of torch is for, oldest first."""
        tags = {
            python_tags
            for tables in self._data["wheels"]["torch"].values()
            for table in tables.values()
            for python_tags in table.values()
        }
        minors = {_minor(tag) for python_tags in tags for tag in python_tags.split()}
        return tuple(sorted(minors, key=version_key))

    @cached_property
    def all_backends(self) -> tuple[str, ...]:
        """Every backend that any release of torch has."""
        names = {
            index
            for tables in self._data["wheels"]["torch"].values()
            for indexes in tables
            for index in indexes.split()
        }
        return tuple(sorted(names, key=backend_key))

    @cached_property
    def all_companions(self) -> tuple[str, ...]:
        """Every package that is released in step with torch."""
        return tuple(package for package in self._data["wheels"] if package != "torch")

    def backends(self, release: str) -> tuple[str, ...]:
        """Return the backends of a release: `pypi`, `cpu`, CUDA, ROCm and XPU, in this order."""
        return self.indexes("torch", release)

    def indexes(self, package: str, version: str) -> tuple[str, ...]:
        """Return the indexes that carry this version of a package."""
        return tuple(sorted(self._tables(package, version), key=backend_key))

    def released(self, release: str) -> str:
        """Return the day of a release, as `2026-10-28`."""
        return str(self._data["releases"][release]["released"])

    def companions(self, release: str) -> dict[str, str]:
        """Return companion -> version for a release."""
        return dict(self._data["releases"][release]["companions"])

    def wheels(self, package: str, version: str, index: str) -> Tags:
        """Return platform tag -> CPython tags of the wheels on an index, empty for none."""
        return self._tables(package, version).get(index, {})

    def _tables(self, package: str, version: str) -> dict[str, Tags]:
        """Return index -> wheels of a version, taken apart when first asked for."""
        if (package, version) not in self._wheels:
            self._wheels[package, version] = {
                index: _split_tags(table)
                for indexes, table in self._data["wheels"].get(package, {}).get(version, {}).items()
                for index in indexes.split()
            }
        return self._wheels[package, version]

    def platforms(self, package: str, version: str, index: str) -> tuple[str, ...]:
        """Return the platforms that an index has wheels of this version for."""
        found = {platform_of(tag) for tag in self.wheels(package, version, index)}
        return tuple(name for name in PLATFORMS if name in found)

    def pythons(self, package: str, version: str, index: str, platform: str) -> tuple[str, ...]:
        """Return the Pythons of those wheels on one platform, free-threaded builds left out."""
        tags = {
            tag
            for platform_tag, tags in self.wheels(package, version, index).items()
            if platform_of(platform_tag) == platform
            for tag in tags
        }
        return self.minors(tags)

    def minors(self, python_tags: set[str]) -> tuple[str, ...]:
        """Return the Pythons behind wheel tags: `cp312` is 3.12, `py3` every one, `cp313t` none."""
        if "py3" in python_tags:
            return self.all_pythons
        found = {_minor(tag) for tag in python_tags if not tag.endswith("t")}
        return tuple(sorted(found, key=version_key))

    def platform_tags(
        self, package: str, version: str, index: str, platform: str, pythons: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Return the platform tags of the wheels that these Pythons would get."""
        return tuple(
            tag
            for tag, python_tags in self.wheels(package, version, index).items()
            if platform_of(tag) == platform and set(self.minors(set(python_tags))) & set(pythons)
        )

    def label(self, package: str, version: str, index: str, platform: str) -> str:
        """Return the local label that a wheel carries (`cu128`), empty where it carries none."""
        since = self._data["labelled_since"].get(package, {}).get(platform)
        if index == PYPI or since is None or version_key(version) < version_key(since):
            return ""
        return index

    def build(self, release: str, backend: str, platform: str) -> str:
        """Return the build behind a backend: PyPI's differs by platform, any other is its name."""
        if backend != PYPI:
            return backend
        return str(self._data["releases"][release]["pypi"][platform])

    def made_for(self, companion: str, version: str) -> str:
        """Return the first release that a companion's version belongs to."""
        return next(
            release
            for release in self.releases
            if self.companions(release).get(companion) == version
        )

    def triton(self, release: str, backend: str) -> Triton | None:
        """Return the triton package that a build requires from the index, if it does."""
        entry = self._data["releases"][release].get("triton", {}).get(family_of(backend))
        if entry is None:
            return None
        name, _, version = entry["requirement"].partition("==")
        return Triton(name, version, tuple(entry["platforms"].split()))

    def numpy_1_platforms(self, release: str) -> tuple[str, ...]:
        """Return the platforms whose wheels were compiled against NumPy 1."""
        return tuple(self._data["releases"][release]["numpy_1"].split())

    @cached_property
    def numpy_1_wheels(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The Pythons and the platforms that NumPy 1 has wheels for."""
        entry = self._data["numpy_1"]
        return self.minors(set(entry["python_tags"].split())), tuple(entry["platforms"].split())

    def broken(self, release: str, backend: str, platform: str) -> str:
        """Return why a published build does not work, empty if nothing is known against it."""
        for entry in self._data["broken"]:
            if (entry["release"], entry["backend"], entry["platform"]) == (
                release,
                backend,
                platform,
            ):
                return f"{entry['reason']} ({entry['source']})"
        return ""

    def min_driver(self, build: str, platform: str) -> str:
        """Return the least NVIDIA driver for a CUDA build (`525.60.13`), else nothing."""
        system = platform.partition("-")[0]
        return str(self._data["cuda"]["min_driver"].get(system, {}).get(build, ""))

    def architectures(self, build: str, release: str, platform: str) -> tuple[int, ...]:
        """Return the compute capabilities (90 for 9.0) a CUDA build was compiled for.

        Empty where the facts do not say.
        """
        machine = "aarch64" if platform == "linux-aarch64" else "x86_64"
        since = [
            (version_key(first), machines)
            for first, machines in self._data["cuda"]["architectures"].get(build, {}).items()
            if version_key(first) <= version_key(release)
        ]
        if not since:
            return ()
        return tuple(int(number) for number in max(since)[1].get(machine, "").split())

    def may_depend_on(self, distribution: str) -> bool:
        """Tell whether a project of this template may depend on a distribution of this name."""
        entry = self._data["dependencies"]
        names = {*entry["names"].split(), *entry["tools"].split(), *self.all_companions}
        return distribution in names or distribution.startswith(tuple(entry["prefixes"].split()))

    @cached_property
    def pytorch_mirrors(self) -> dict[str, Mirror]:
        """The named copies of the PyTorch index, the official one first."""
        return {
            name: Mirror(entry["url"], entry.get("format") == "flat", tuple(entry["hosts"].split()))
            for name, entry in self._data["indexes"]["pytorch"].items()
        }

    @cached_property
    def package_mirrors(self) -> dict[str, str]:
        """The named mirrors of PyPI and their URLs."""
        return dict(self._data["indexes"]["packages"])


def _split_tags(table: Mapping[str, str]) -> Tags:
    return {
        platform_tag: tuple(python_tags.split())
        for platform_tags, python_tags in table.items()
        for platform_tag in platform_tags.split()
    }


def _minor(python_tag: str) -> str:
    digits = python_tag.removeprefix("cp").rstrip("t")
    return f"{digits[0]}.{digits[1:]}"


@lru_cache(maxsize=1)
def load_facts() -> Facts:
    """Read `builds.json`."""
    return Facts(json.loads(BUILDS_PATH.read_text(encoding="utf-8")))


def host_platform() -> str:
    """Return the platform this runs on, empty if PyTorch has no wheels for it."""
    here = (sys.platform, platform.machine())
    return next(
        (
            name
            for name, known in PLATFORMS.items()
            if (known.sys_platform, known.platform_machine) == here
        ),
        "",
    )
