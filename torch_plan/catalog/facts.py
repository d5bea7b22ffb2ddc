"""The facts of `builds.json`: which wheels exist, for whom, under which label."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from torch_plan.catalog.platforms import PLATFORMS, platform_of

BUILDS_PATH = Path(__file__).with_name("builds.json")

PYPI = "pypi"
"""The backend that takes whatever PyPI ships, and the name of PyPI's own column in the facts."""

CPU = "cpu"

TORCH = "torch"

BUILD_PLACE = "{build}"
"""Stands in the URL of an index where the build does not stand last."""

FAMILIES = {PYPI: "PyPI", CPU: "CPU", "cu": "CUDA", "rocm": "ROCm", "xpu": "XPU"}
"""Every family of backends, and how people write it."""


@cache
def version_key(version: str) -> tuple[int, ...]:
    """Return what sorts `2.10.0` after `2.9.1`, and `3.10` after `3.9`."""
    return tuple(int(part) for part in re.findall(r"\d+", version))


@cache
def family_of(backend: str) -> str:
    """Return `cu` for `cu128`, `rocm` for `rocm6.4`, and any other backend's own name."""
    numbered = re.match(r"(cu|rocm)\d", backend)
    return numbered[1] if numbered else backend


def backend_key(backend: str) -> tuple[int, tuple[int, ...]]:
    """Return what sorts backends by family, then by the version of their toolkit."""
    return [*FAMILIES].index(family_of(backend)), version_key(backend)


def labelled(version: str, label: str) -> str:
    """Return `2.9.1+cu128` for a version with a label, and the version alone without one."""
    return f"{version}+{label}" if label else version


def capability(number: int) -> str:
    """Return a compute capability as NVIDIA writes it: `9.0` for 90."""
    return f"{number // 10}.{number % 10}"


class Triton(NamedTuple):
    """The package of the PyTorch index that the ROCm or XPU build of a release requires."""

    name: str
    version: str
    """Empty where no version is documented; torch's own requirement then pins it."""
    platforms: tuple[str, ...]
    pythons: tuple[str, ...]
    """The Pythons that it has wheels for; on others torch does without."""


class Mirror(NamedTuple):
    """An index of PyTorch: the official one, a copy, or one that somebody else fills."""

    url: str
    """What comes before `/cu128`; or all of it, with `{build}` where that stands."""
    flat: bool
    """Whether it lists files and has no page for each package."""
    hosts: tuple[str, ...]
    """The hosts that its pages and its files come from."""
    known: bool = True
    """Whether it holds what PyTorch publishes, and nothing else."""

    def url_of(self, build: str) -> str:
        """Return the URL of one build's index."""
        if BUILD_PLACE in self.url:
            return self.url.replace(BUILD_PLACE, build)
        # The links of a flat listing are relative to its URL, which therefore ends with a slash.
        return f"{self.url}/{build}{'/' if self.flat else ''}"


class Numpy(NamedTuple):
    """The Pythons and platforms that a major version of NumPy has wheels for."""

    pythons: tuple[str, ...]
    platforms: tuple[str, ...]


Tags = dict[str, tuple[str, ...]]
"""Platform tag -> CPython tags."""

Place = tuple[str, str]
"""An index and a platform."""


class Facts:
    """What PyTorch publishes. Versions are public ones (`2.9.1`), Pythons are minors (`3.12`).

    An index is named by its backend; `pypi` stands for PyPI's own wheels. Arguments come in one
    order: package, version or release, index, backend or build, platform.

    Wheels that nobody has seen, but that very likely exist, count among the others, and
    `is_likely` tells them apart. A release that is expected next has only likely wheels, which are
    assumed to be those of the newest known release. An empty version of a companion stands for
    whichever belongs to such a release.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data
        self._wheels: dict[tuple[str, str], dict[str, Tags]] = {}
        self._likely: dict[tuple[str, str], frozenset[Place]] = {}
        self._pythons: dict[tuple[str, str, str, str], tuple[str, ...]] = {}
        self._pythons_of: dict[str, tuple[str, ...]] = {}
        self._companions: dict[str, dict[str, tuple[str, ...]]] = {}
        self._tritons: dict[tuple[str, str], Triton | None] = {}

    @cached_property
    def published(self) -> "Facts":
        """The facts without what is only likely."""
        return Facts({**self._data, "likely": []})

    @cached_property
    def releases(self) -> tuple[str, ...]:
        """Every torch release, oldest first."""
        return tuple(sorted(self._data["releases"], key=version_key))

    @cached_property
    def expected_releases(self) -> tuple[str, ...]:
        """The releases that may come next: a patch, one of three minors, or a major."""
        major, minor, patch = version_key(self.releases[-1])
        minors = (f"{major}.{minor + step}.0" for step in (1, 2, 3))
        return (f"{major}.{minor}.{patch + 1}", *minors, f"{major + 1}.0.0")

    def is_expected(self, release: str) -> bool:
        """Tell whether a release is not known yet, but may come next."""
        return release in self.expected_releases

    def _release(self, release: str) -> dict[str, Any]:
        """Return the entry of a release; of an expected one, that of the newest known."""
        known = self.releases[-1] if self.is_expected(release) else release
        entry: dict[str, Any] = self._data["releases"][known]
        return entry

    @cached_property
    def all_pythons(self) -> tuple[str, ...]:
        """Every Python that any wheel of torch is for, oldest first."""
        texts = {text for _, table in self._torch_tables() for text in table.values()}
        minors = {_minor(tag) for text in texts for tag in text.split()}
        return tuple(sorted(minors, key=version_key))

    @cached_property
    def all_backends(self) -> tuple[str, ...]:
        """Every backend that any release of torch has."""
        names = {name for indexes, _ in self._torch_tables() for name in indexes.split()}
        return tuple(sorted(names, key=backend_key))

    def _torch_tables(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Yield the indexes and the wheels of each entry of the file for torch."""
        for entries in self._data["wheels"][TORCH].values():
            yield from entries.items()

    @cached_property
    def all_companions(self) -> tuple[str, ...]:
        """Every package that is released in step with torch."""
        return tuple(package for package in self._data["wheels"] if package != TORCH)

    def backends(self, release: str) -> tuple[str, ...]:
        """Return the backends of a release: `pypi`, `cpu`, CUDA, ROCm and XPU, in this order."""
        return self.indexes(TORCH, release)

    def indexes(self, package: str, version: str) -> tuple[str, ...]:
        """Return the indexes that carry this version of a package."""
        return tuple(sorted(self._tables(package, version), key=backend_key))

    def last_release(self, backend: str) -> str:
        """Return the newest release that has a backend, empty where none has it."""
        return next(
            (name for name in reversed(self.releases) if backend in self.backends(name)), ""
        )

    def released(self, release: str) -> str:
        """Return the day of a known release, as `2026-10-28`."""
        day: str = self._data["releases"][release]["released"]
        return day

    def companions(self, release: str) -> dict[str, tuple[str, ...]]:
        """Return companion -> the versions that go with a release, the newest first.

        Of an expected release they are not known: there is one, and it is empty.
        """
        if release not in self._companions:
            pairs: dict[str, str] = self._release(release)["companions"]
            unknown = self.is_expected(release)
            self._companions[release] = {
                name: ("",) if unknown else tuple(text.split()) for name, text in pairs.items()
            }
        return self._companions[release]

    def wheels(self, package: str, version: str, index: str) -> Tags:
        """Return platform tag -> CPython tags of the wheels on an index, empty for none."""
        return self._tables(package, version).get(index, {})

    def _tables(self, package: str, version: str) -> dict[str, Tags]:
        """Return index -> wheels of a version, the likely ones among them."""
        newest = self.releases[-1]
        if package == TORCH and self.is_expected(version):
            return self._tables(package, newest)
        if not version:
            paired = self.companions(newest).get(package)
            return self._tables(package, paired[0]) if paired else {}
        if (package, version) not in self._wheels:
            entries = self._data["wheels"].get(package, {}).get(version, {})
            tables = {
                index: _split_tags(table)
                for indexes, table in entries.items()
                for index in indexes.split()
            }
            likely = set()
            for index, platform in self._likely_places(package, version):
                if platform not in map(platform_of, tables.get(index, {})):
                    model = _model(tables, index, platform) or self._earlier(
                        package, version, index, platform
                    )
                    if model:
                        tables[index] = {**tables.get(index, {}), **model}
                        likely.add((index, platform))
            self._wheels[package, version] = tables
            self._likely[package, version] = frozenset(likely)
        return self._wheels[package, version]

    def _earlier(self, package: str, version: str, index: str, platform: str) -> Tags:
        """Return the wheels of the release of torch before this one that has some there."""
        earlier = [it for it in self.releases if version_key(it) < version_key(version)]
        for release in reversed(earlier if package == TORCH else []):
            if wheels := _for_platform(self.wheels(TORCH, release, index), platform):
                return wheels
        return {}

    def _likely_places(self, package: str, version: str) -> Iterator[Place]:
        """Yield where a version is said to be likely: a companion where its torch is."""
        release = version if package == TORCH else self._made_for(package, version)
        for entry in self._data["likely"]:
            if entry["release"] == release and entry["index"] in self._all_indexes(package):
                for platform in entry["platforms"].split():
                    yield entry["index"], platform

    def _all_indexes(self, package: str) -> set[str]:
        """Return the indexes that carry any version of a package."""
        entries = self._data["wheels"].get(package, {}).values()
        return {index for tables in entries for indexes in tables for index in indexes.split()}

    def is_likely(self, package: str, version: str, index: str, platform: str) -> bool:
        """Tell whether wheels are only likely: nobody has seen them yet."""
        tables = self._tables(package, version)
        if not version or (package == TORCH and self.is_expected(version)):
            return platform in map(platform_of, tables.get(index, {}))
        return (index, platform) in self._likely[package, version]

    def platforms(self, package: str, version: str, index: str) -> tuple[str, ...]:
        """Return the platforms that an index has wheels of this version for."""
        found = {platform_of(tag) for tag in self.wheels(package, version, index)}
        return tuple(name for name in PLATFORMS if name in found)

    def pythons(self, package: str, version: str, index: str, platform: str) -> tuple[str, ...]:
        """Return the Pythons of those wheels on one platform, free-threaded builds left out."""
        asked = package, version, index, platform
        if asked not in self._pythons:
            wheels = _for_platform(self.wheels(package, version, index), platform)
            self._pythons[asked] = self.minors(tag for tags in wheels.values() for tag in tags)
        return self._pythons[asked]

    def pythons_of(self, release: str) -> tuple[str, ...]:
        """Return the Pythons that any wheel of torch is for in a release."""
        if release not in self._pythons_of:
            tables = self._tables(TORCH, release).values()
            tags = (tag for table in tables for tags in table.values() for tag in tags)
            self._pythons_of[release] = self.minors(tags)
        return self._pythons_of[release]

    def minors(self, python_tags: Iterable[str]) -> tuple[str, ...]:
        """Return the Pythons behind wheel tags: `cp312` is 3.12, `py3` every one, `cp313t` none."""
        tags = set(python_tags)
        if "py3" in tags:
            return self.all_pythons
        found = {_minor(tag) for tag in tags if not tag.endswith("t")}
        return tuple(sorted(found, key=version_key))

    def span(self, pythons: Iterable[str], to: str = " to ") -> str:
        """Return `3.10 to 3.14`, or every one (`3.8, 3.10`) where some between are missing."""
        versions = sorted(pythons, key=version_key)
        positions = [self.all_pythons.index(python) for python in versions]
        if len(versions) > 1 and positions[-1] - positions[0] == len(versions) - 1:
            return f"{versions[0]}{to}{versions[-1]}"
        return ", ".join(versions)

    def platform_tags(
        self, package: str, version: str, index: str, platform: str, pythons: Iterable[str]
    ) -> tuple[str, ...]:
        """Return the platform tags of the wheels that these Pythons would get."""
        wanted = set(pythons)
        return tuple(
            platform_tag
            for platform_tag, tags in self.wheels(package, version, index).items()
            if platform_of(platform_tag) == platform and wanted.intersection(self.minors(tags))
        )

    def label(self, package: str, version: str, index: str, platform: str) -> str:
        """Return the label that a wheel carries (`cu128`), empty where it carries none."""
        since = self._data["labelled_since"].get(package, {}).get(platform)
        if index == PYPI or since is None or version_key(version) < version_key(since):
            return ""
        return index

    def build(self, release: str, backend: str, platform: str) -> str:
        """Return the build behind a backend: PyPI's differs by platform, any other is its name.

        Empty where PyPI has no wheel for the platform.
        """
        if backend != PYPI:
            return backend
        build: str = self._release(release)["pypi"].get(platform, "")
        return build

    def _made_for(self, companion: str, version: str) -> str:
        having = (it for it in self.releases if version in self.companions(it).get(companion, ()))
        return next(having, "")

    def pair_bounds(self, companion: str, release: str) -> str:
        """Return the bounds that keep a companion beside a release: `>=2.9.1,<2.11.0`.

        There is an upper end only where nothing else keeps a newer version away: the metadata of
        most versions names the torch that they were made for. Of an expected release the bound is
        that of the newest known.
        """
        versions = self.companions(release if release in self.releases else self.releases[-1])
        pairs = versions[companion]
        first = self._data["names_no_torch"].get(companion)
        newer = [
            version
            for version in self._data["wheels"][companion]
            if version_key(version) > version_key(pairs[0])
            and first
            and version_key(version) >= version_key(first)
        ]
        end = f",<{min(newer, key=version_key)}" if newer else ""
        return f">={pairs[-1]}{end}"

    def companion_index(self, companion: str, version: str, backend: str, platform: str) -> str:
        """Return the index that a companion of a build comes from: its own, or PyPI.

        PyPI's wheel serves the CPU build where it is one and PyTorch's index has none.
        """
        on_pypi = (
            backend == CPU
            and self._pypi_is_cpu(companion, version, platform)
            and not self.pythons(companion, version, CPU, platform)
        )
        return PYPI if on_pypi else backend

    def _pypi_is_cpu(self, companion: str, version: str, platform: str) -> bool:
        """Tell whether PyPI's wheel of a companion is a CPU build, whatever its torch is."""
        last = self._data["cpu_on_pypi"].get(companion, {}).get(platform)
        return last is not None and (not last or version_key(version) <= version_key(last))

    def pypi_build(self, companion: str, version: str, platform: str) -> str:
        """Return the build of torch that PyPI's wheel of a companion demands, empty for any."""
        release = self._made_for(companion, version)
        if companion in self._data["cpu_on_pypi"] or not release:
            return ""
        return self.build(release, PYPI, platform)

    def pythons_anywhere(self, package: str, version: str, platform: str) -> tuple[str, ...]:
        """Return the Pythons of a version's wheels for a platform on any index.

        Where there are none, those of all its wheels; where there are none at all, every Python.
        """
        wheels = [*self._tables(package, version).values()]
        every = [(platform_of(tag), tags) for table in wheels for tag, tags in table.items()]
        here = [tags for name, tags in every if name == platform] or [tags for _, tags in every]
        return self.minors(tag for tags in here for tag in tags) or self.all_pythons

    def triton(self, release: str, backend: str) -> Triton | None:
        """Return the triton package that a build requires from the index, if it does.

        If a release's own package is not known, it has the name of the previous one and no version.
        """
        asked = release, family_of(backend)
        if asked not in self._tritons:
            self._tritons[asked] = self._triton(*asked)
        return self._tritons[asked]

    def _triton(self, release: str, family: str) -> Triton | None:
        own = self._data["releases"].get(release, {}).get("triton", {})
        before = [
            self._data["releases"][known].get("triton", {})
            for known in reversed(self.releases)
            if version_key(known) < version_key(release)
        ]
        entry = next((tritons[family] for tritons in (own, *before) if family in tritons), None)
        if entry is None:
            return None
        name, _, version = entry["requirement"].partition("==")
        if family not in own:
            version = ""
        tags = entry.get("python_tags", "").split()
        pythons = self.minors(tags) if tags else self.all_pythons
        return Triton(name, version, tuple(entry["platforms"].split()), pythons)

    @cached_property
    def all_tritons(self) -> frozenset[str]:
        """The triton packages of every release."""
        entries = [self._data["releases"][release].get("triton", {}) for release in self.releases]
        return frozenset(
            entry["requirement"].partition("==")[0] for it in entries for entry in it.values()
        )

    def numpy_1_platforms(self, release: str) -> tuple[str, ...]:
        """Return the platforms whose wheels were compiled against NumPy 1."""
        return tuple(self._release(release)["numpy_1"].split())

    def requires_numpy_1(self, release: str) -> tuple[str, ...]:
        """Return the companions with a wheel that requires `numpy<2`, on whatever platform."""
        return tuple(self._release(release).get("requires_numpy_1", "").split())

    @cached_property
    def numpy_1(self) -> Numpy:
        """What NumPy 1 has wheels for."""
        return self._numpy("numpy_1")

    @cached_property
    def numpy_2(self) -> Numpy:
        """What NumPy 2 has wheels for."""
        return self._numpy("numpy_2")

    def _numpy(self, key: str) -> Numpy:
        entry = self._data[key]
        return Numpy(self.minors(entry["python_tags"].split()), tuple(entry["platforms"].split()))

    def why_broken(self, release: str, backend: str, platform: str) -> str:
        """Return why a published build does not work, empty if nothing is known against it."""
        wanted = (release, backend, platform)
        for entry in self._data["broken"]:
            if (entry["release"], entry["backend"], entry["platform"]) == wanted:
                return f"{entry['reason']} ({entry['source']})"
        return ""

    def min_driver(self, build: str, platform: str) -> str:
        """Return the least NVIDIA driver for a CUDA build (`525.60.13`), else nothing."""
        system = platform.partition("-")[0]
        driver: str = self._data["cuda"]["min_driver"].get(system, {}).get(build, "")
        return driver

    def architectures(self, release: str, build: str, platform: str) -> tuple[int, ...]:
        """Return the compute capabilities (90 for 9.0) that a CUDA build was compiled for.

        Empty where the facts do not say. They change with a release and hold until the next entry.
        They do not differ between systems, only between machines.
        """
        entries = self._data["cuda"]["architectures"].get(build, {})
        reached = [first for first in entries if version_key(first) <= version_key(release)]
        if not reached:
            return ()
        machines = entries[max(reached, key=version_key)]
        machine = "aarch64" if platform == "linux-aarch64" else "x86_64"
        return tuple(int(number) for number in machines.get(machine, "").split())

    def amd_architectures(self, release: str, build: str) -> tuple[str, ...]:
        """Return AMD's names of the GPUs that a ROCm build holds kernels for: `gfx90a`."""
        found: list[str] = []
        for entry in self._data["rocm"]["architectures"]:
            reached = version_key(entry["since"]) <= version_key(release)
            if reached and version_key(entry.get("from", "")) <= version_key(build):
                found += entry["added"].split()
        return tuple(sorted(found, key=lambda name: (len(name), name)))

    def may_depend_on(self, distribution: str) -> bool:
        """Tell whether a project of this template may depend on a distribution of this name."""
        entry = self._data["dependencies"]
        names = {*entry["names"].split(), *entry["tools"].split(), *self.all_companions}
        return distribution in names or distribution.startswith(tuple(entry["prefixes"].split()))

    @cached_property
    def installed_modules(self) -> frozenset[str]:
        """The modules of the packages that every project gets, or may get; in lower case."""
        companions = (name.replace("-", "_") for name in self.all_companions)
        return frozenset([*self._data["dependencies"]["modules"].split(), *companions])

    @cached_property
    def standard_library(self) -> frozenset[str]:
        """The modules of the standard libraries of all Pythons that torch has wheels for."""
        return frozenset(self._data["standard_library"]["names"].split())

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
    """Return platform tag -> CPython tags for an entry of the file, which lists several at once."""
    return {
        platform_tag: tuple(python_tags.split())
        for platform_tags, python_tags in table.items()
        for platform_tag in platform_tags.split()
    }


def _model(tables: Mapping[str, Tags], index: str, platform: str) -> Tags:
    """Return the wheels for a platform on another index: of the same family, CPU, or any."""
    others = [name for name in tables if name != index]
    others.sort(key=lambda name: (family_of(name) != family_of(index), name != CPU))
    found = (_for_platform(tables[other], platform) for other in others)
    return next(filter(None, found), {})


def _for_platform(wheels: Tags, platform: str) -> Tags:
    return {tag: pythons for tag, pythons in wheels.items() if platform_of(tag) == platform}


def _minor(python_tag: str) -> str:
    """Return `3.12` for `cp312`, and for the free-threaded `cp312t`."""
    digits = python_tag.removeprefix("cp").rstrip("t")
    return f"{digits[0]}.{digits[1:]}"


@lru_cache(maxsize=1)
def load_facts() -> Facts:
    """Read `builds.json`."""
    return Facts(json.loads(BUILDS_PATH.read_text(encoding="utf-8")))
