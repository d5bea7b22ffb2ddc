"""Which wheels there are: published ones, and those that are only likely."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from torch_plan.catalog.platforms import PLATFORMS, platform_of
from torch_plan.catalog.releases import Releases
from torch_plan.catalog.versions import (
    CPU,
    TORCH,
    backend_key,
    family_of,
    is_build,
    is_open,
    version_key,
)

Tags = dict[str, tuple[str, ...]]
"""Platform tag -> CPython tags."""

IndexAndPlatform = tuple[str, str]


class Wheels(Releases):
    """The wheels of torch and its companions.

    Wheels that nobody has seen, but that very likely exist, count among the others, and
    `is_likely` tells them apart. A release that is expected next has only likely wheels.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data)
        self._wheels: dict[tuple[str, str], dict[str, Tags]] = {}
        self._likely: dict[tuple[str, str], frozenset[IndexAndPlatform]] = {}
        self._pythons: dict[tuple[str, str, str, str], tuple[str, ...]] = {}
        self._pythons_of: dict[str, tuple[str, ...]] = {}

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

    def backends(self, release: str) -> tuple[str, ...]:
        """Return the backends of a release: `pypi`, `cpu`, CUDA, ROCm and XPU, in this order."""
        return self.indexes(TORCH, release)

    def may_have(self, release: str, backend: str) -> bool:
        """Tell whether a release may have a build that no known release has, or lost again.

        Nothing is known against it of a release that is expected next, where the build is newer
        than all of its family, or where the newest known release has none of the family.
        """
        family = [name for name in self.all_backends if family_of(name) == family_of(backend)]
        is_named = family and (is_build(backend) or backend in family)
        if not is_named or not self.is_expected(release):
            return False
        is_newer = backend_key(backend) > backend_key(family[-1])
        return is_newer or not {*family}.intersection(self.backends(self.releases[-1]))

    def indexes(self, package: str, version: str) -> tuple[str, ...]:
        """Return the indexes that carry this version of a package."""
        return tuple(sorted(self._tables(package, version), key=backend_key))

    def last_release(self, backend: str) -> str:
        """Return the newest release that has a backend, empty where none has it."""
        return next(
            (name for name in reversed(self.releases) if backend in self.backends(name)), ""
        )

    def wheels(self, package: str, version: str, index: str) -> Tags:
        """Return platform tag -> CPython tags of the wheels on an index, empty for none."""
        return self._tables(package, version).get(index, {})

    def _tables(self, package: str, version: str) -> dict[str, Tags]:
        """Return index -> wheels of a version, the likely ones among them."""
        newest = self.releases[-1]
        if package == TORCH and self.is_expected(version):
            return self._tables(package, newest)
        if is_open(version):
            paired = self.companions(newest).get(package, ())
            known = next((name for name in paired if name.startswith(version[:-1])), None)
            return self._tables(package, known) if known else {}
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
                    # Wheels on another index come first: they are of this very version, and so for
                    # its Pythons. Those of an earlier release may be for older ones.
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
        releases = [name for name in self.releases if version_key(name) < version_key(version)]
        for release in reversed(releases if package == TORCH else []):
            if wheels := _for_platform(self.wheels(TORCH, release, index), platform):
                return wheels
        return {}

    def _likely_places(self, package: str, version: str) -> Iterator[IndexAndPlatform]:
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
        if is_open(version) or (package == TORCH and self.is_expected(version)):
            return platform in map(platform_of, tables.get(index, {}))
        return (index, platform) in self._likely[package, version]

    def platforms(self, package: str, version: str, index: str) -> tuple[str, ...]:
        """Return the platforms that an index has wheels of this version for."""
        names = {platform_of(tag) for tag in self.wheels(package, version, index)}
        return tuple(name for name in PLATFORMS if name in names)

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

    def pythons_anywhere(self, package: str, version: str, platform: str) -> tuple[str, ...]:
        """Return the Pythons of a version's wheels for a platform on any index.

        Where there are none, those of all its wheels; where there are none at all, every Python.
        """
        wheels = [*self._tables(package, version).values()]
        every = [(platform_of(tag), tags) for table in wheels for tag, tags in table.items()]
        here = [tags for name, tags in every if name == platform] or [tags for _, tags in every]
        return self.minors(tag for tags in here for tag in tags) or self.all_pythons

    def minors(self, python_tags: Iterable[str]) -> tuple[str, ...]:
        """Return the Pythons behind wheel tags: `cp312` is 3.12, `py3` every one, `cp313t` none."""
        tags = set(python_tags)
        if "py3" in tags:
            return self.all_pythons
        versions = {_minor(tag) for tag in tags if not tag.endswith("t")}
        return tuple(sorted(versions, key=version_key))

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
    models = (_for_platform(tables[other], platform) for other in others)
    return next(filter(None, models), {})


def _for_platform(wheels: Tags, platform: str) -> Tags:
    return {tag: pythons for tag, pythons in wheels.items() if platform_of(tag) == platform}


def _minor(python_tag: str) -> str:
    """Return `3.12` for `cp312`, and for the free-threaded `cp312t`."""
    digits = python_tag.removeprefix("cp").rstrip("t")
    return f"{digits[0]}.{digits[1:]}"
