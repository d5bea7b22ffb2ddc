"""The releases of torch and which wheels there are: published ones, and those only likely."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property
from typing import Any

from torch_plan.catalog.platforms import PLATFORMS, platform_of
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


class Wheels:
    """The releases of torch, and the wheels of torch and its companions.

    A release that is expected next is assumed to be like the newest known one, with the lines of
    its companions (`0.29.*`): torchvision 0.29 has the stable ABI, and goes with torch 2.14 to 2.16
    (release notes of 2.14). An empty version stands for whichever belongs to a new major.

    Wheels that very likely exist count among those that were seen; `is_likely` tells them apart.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data

    @cached_property
    def releases(self) -> tuple[str, ...]:
        """Every torch release, oldest first."""
        return tuple(sorted(self._data["releases"], key=version_key))

    @cached_property
    def expected_releases(self) -> tuple[str, ...]:
        """The releases that may come next: a patch, one of three minors, or a major."""
        major, minor, patch = version_key(self.releases[-1])
        # A minor comes every two or three months, so facts half a year old still know what is
        # asked for. A major has no rhythm: 2.0 came after 1.13.
        minors = (f"{major}.{minor + step}.0" for step in (1, 2, 3))
        return (f"{major}.{minor}.{patch + 1}", *minors, f"{major + 1}.0.0")

    def is_expected(self, release: str) -> bool:
        """Tell whether a release is not known yet, but may come next."""
        return release in self.expected_releases

    def _release(self, release: str) -> dict[str, Any]:
        """Return the entry of a release; of an expected one, that of the newest known."""
        known = self.releases[-1] if self.is_expected(release) else release
        return dict(self._data["releases"][known])

    def released(self, release: str) -> str:
        """Return the day of a known release, as `2026-10-28`."""
        return str(self._data["releases"][release]["released"])

    @cached_property
    def all_companions(self) -> tuple[str, ...]:
        """Every package that is released in step with torch."""
        return tuple(package for package in self._data["wheels"] if package != TORCH)

    @cache
    def companions(self, release: str) -> dict[str, tuple[str, ...]]:
        """Return companion -> the versions that go with a release, the newest first."""
        pairs = {
            name: tuple(text.split()) for name, text in self._release(release)["companions"].items()
        }
        if not self.is_expected(release):
            return pairs
        if version_key(release)[0] > version_key(self.releases[-1])[0]:
            return dict.fromkeys(pairs, ("",))
        lines = {name: [line.rpartition(".")[0] for line in pairs[name]] for name in pairs}
        return {name: tuple(dict.fromkeys(f"{line}.*" for line in lines[name])) for name in lines}

    def _made_for(self, companion: str, version: str) -> str:
        pairs = (
            (release, self.companions(release).get(companion, ())) for release in self.releases
        )
        return next((release for release, versions in pairs if version in versions), "")

    @cached_property
    def all_pythons(self) -> tuple[str, ...]:
        """Every Python that any wheel of torch is for, oldest first."""
        tables = self._data["wheels"][TORCH].values()
        entries = [entry for table in tables for entry in table.values()]
        tags = {tag for entry in entries for text in entry.values() for tag in text.split()}
        return tuple(sorted({_minor(tag) for tag in tags}, key=version_key))

    @cached_property
    def all_backends(self) -> tuple[str, ...]:
        """Every backend that any release of torch has."""
        return tuple(sorted(self._all_indexes(TORCH), key=backend_key))

    def _all_indexes(self, package: str) -> set[str]:
        """Return the indexes that carry any version of a package."""
        entries = self._data["wheels"].get(package, {}).values()
        return {index for tables in entries for indexes in tables for index in indexes.split()}

    def backends(self, release: str) -> tuple[str, ...]:
        """Return the backends of a release: `pypi`, `cpu`, CUDA, ROCm and XPU, in this order."""
        return self.indexes(TORCH, release)

    def may_have(self, release: str, backend: str) -> bool:
        """Tell whether an expected release may have a build that the newest known one lacks.

        Such a build is newer than all of its family, or the newest known has none of the family.
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
        having = (name for name in reversed(self.releases) if backend in self.backends(name))
        return next(having, "")

    def wheels(self, package: str, version: str, index: str) -> Tags:
        """Return platform tag -> CPython tags of the wheels on an index, empty for none."""
        return self._tables(package, version).get(index, {})

    @cache
    def _tables(self, package: str, version: str) -> dict[str, Tags]:
        """Return index -> wheels of a version, the likely ones among them."""
        newest = self.releases[-1]
        if package == TORCH and self.is_expected(version):
            return self._tables(package, newest)
        if is_open(version):
            paired = self.companions(newest).get(package, ())
            known = next((name for name in paired if name.startswith(version[:-1])), None)
            return self._tables(package, known) if known else {}
        tables = self._published(package, version)
        for index, platform in self._likely_places(package, version):
            wheels = tables.get(index, {})
            if platform not in map(platform_of, wheels):
                model = self._model(package, version, index, platform)
                tables = {**tables, index: {**wheels, **model}} if model else tables
        return tables

    @cache
    def _published(self, package: str, version: str) -> dict[str, Tags]:
        """Return index -> published wheels of a version."""
        entries = self._data["wheels"].get(package, {}).get(version, {})
        return {
            index: {
                platform_tag: tuple(python_tags.split())
                for platform_tags, python_tags in table.items()
                for platform_tag in platform_tags.split()
            }
            for indexes, table in entries.items()
            for index in indexes.split()
        }

    def _likely_places(self, package: str, version: str) -> Iterator[tuple[str, str]]:
        """Yield where a version is said to be likely: a companion where its torch is."""
        release = version if package == TORCH else self._made_for(package, version)
        for entry in self._data["likely"]:
            if entry["release"] == release and entry["index"] in self._all_indexes(package):
                for platform in entry["platforms"].split():
                    yield entry["index"], platform

    def _model(self, package: str, version: str, index: str, platform: str) -> Tags:
        """Return the wheels for a platform that likely ones are like.

        Those on another index come first: they are of this very version, and so for its Pythons.
        Those of an earlier release of torch may be for older ones.
        """
        tables = self._published(package, version)
        others = [name for name in tables if name != index]
        others.sort(key=lambda name: (family_of(name) != family_of(index), name != CPU))
        models = [tables[name] for name in others]
        if package == TORCH:
            earlier = self.releases[: self.releases.index(version)]
            models += [self.wheels(TORCH, release, index) for release in reversed(earlier)]
        here = (_for_platform(wheels, platform) for wheels in models)
        return next(filter(None, here), {})

    @cache
    def is_likely(self, package: str, version: str, index: str, platform: str) -> bool:
        """Tell whether there are wheels, but only likely ones: nobody has seen them yet."""
        seen = self._published(package, version).get(index, {})
        is_there = platform in self.platforms(package, version, index)
        return is_there and platform not in map(platform_of, seen)

    def platforms(self, package: str, version: str, index: str) -> tuple[str, ...]:
        """Return the platforms that an index has wheels of this version for."""
        names = {platform_of(tag) for tag in self.wheels(package, version, index)}
        return tuple(name for name in PLATFORMS if name in names)

    @cache
    def pythons(self, package: str, version: str, index: str, platform: str) -> tuple[str, ...]:
        """Return the Pythons of those wheels on one platform, free-threaded builds left out."""
        wheels = _for_platform(self.wheels(package, version, index), platform)
        return self.minors(tag for tags in wheels.values() for tag in tags)

    @cache
    def pythons_of(self, version: str, package: str = TORCH) -> tuple[str, ...]:
        """Return the Pythons that any wheel of a version is for."""
        tables = self._tables(package, version).values()
        return self.minors(tag for table in tables for tags in table.values() for tag in tags)

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
        wheels = _for_platform(self.wheels(package, version, index), platform)
        wanted = set(pythons)
        return tuple(tag for tag, tags in wheels.items() if wanted.intersection(self.minors(tags)))


def _for_platform(wheels: Tags, platform: str) -> Tags:
    return {tag: pythons for tag, pythons in wheels.items() if platform_of(tag) == platform}


def _minor(python_tag: str) -> str:
    """Return `3.12` for `cp312`, and for the free-threaded `cp312t`."""
    digits = python_tag.removeprefix("cp").rstrip("t")
    return f"{digits[0]}.{digits[1:]}"
