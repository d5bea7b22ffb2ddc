"""The facts of `builds.json`: which wheels exist, for whom, under which label, on which index."""

import json
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

from torch_plan.catalog.hardware import Hardware
from torch_plan.catalog.versions import CPU, PYPI, family_of, is_open, version_key
from torch_plan.catalog.wheels import Wheels

BUILDS_PATH = Path(__file__).with_name("builds.json")

BUILD_PLACE = "{build}"
"""Stands in the URL of an index where the build does not stand last."""


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

    @property
    def urls(self) -> tuple[str, ...]:
        """Its URL under each of its hosts, where it has several."""
        first, *_ = self.hosts
        return tuple(self.url.replace(first, host, 1) for host in self.hosts)

    def url_of(self, build: str) -> str:
        """Return the URL of one build's index."""
        if BUILD_PLACE in self.url:
            return self.url.replace(BUILD_PLACE, build)
        # The links of a flat listing are relative to its URL, which therefore ends with a slash.
        return f"{self.url}/{build}{'/' if self.flat else ''}"


class Requirement(NamedTuple):
    """A package that builds of torch require, and what it has wheels for."""

    name: str
    version: str
    """Empty where no version is documented; torch's own requirement then pins it."""
    platforms: tuple[str, ...]
    pythons: tuple[str, ...]
    """On others torch does without triton."""


class Facts(Wheels):
    """What PyTorch publishes. Versions are public ones (`2.9.1`), Pythons are minors (`3.12`).

    An index is named by its backend; `pypi` stands for PyPI's own wheels. Arguments come in one
    order: package, version or release, index, backend or build, platform.
    """

    @cached_property
    def hardware(self) -> Hardware:
        """What the builds need of a machine."""
        return Hardware(self._data)

    @cached_property
    def published(self) -> "Facts":
        """The facts without what is only likely."""
        return Facts({**self._data, "likely": []})

    def label(self, package: str, version: str, index: str, platform: str) -> str:
        """Return the label that a wheel carries (`cu128`), empty where it carries none."""
        since = self._data["labelled_since"].get(package, {}).get(platform)
        if index == PYPI or since is None or is_open(version):
            return ""
        return index if version_key(version) >= version_key(since) else ""

    def build(self, release: str, backend: str, platform: str) -> str:
        """Return the build behind a backend: PyPI's differs by platform, empty for no wheel."""
        if backend == PYPI:
            backend = self._release(release)["pypi"].get(platform, "")
        return backend

    def pair_bounds(self, companion: str, release: str) -> str:
        """Return the bounds that keep a companion beside a release: `>=2.9.1,<2.11.0`.

        There is an upper end only where nothing else keeps a newer version away: the metadata of
        most versions names the torch that they were made for. Empty where there is no companion.
        """
        versions = self.companions(release if release in self.releases else self.releases[-1])
        pairs, first = versions.get(companion), self._data["names_no_torch"].get(companion)
        if not pairs:
            return ""
        newer = [
            version
            for version in (self._data["wheels"][companion] if first else ())
            if version_key(version) >= version_key(first)
            and version_key(version) > version_key(pairs[0])
        ]
        end = f",<{min(newer, key=version_key)}" if newer else ""
        return f">={pairs[-1]}{end}"

    @cached_property
    def tied(self) -> dict[str, str]:
        """Package that is no companion -> which of its minors go with which torch: `0.18=2.3`."""
        return {name: entry["pairs"] for name, entry in self._data["tied"].items()}

    def companion_index(
        self, companion: str, version: str, backend: str, platform: str, python: str
    ) -> str:
        """Return the index that a companion of a build comes from: its own, the CPU's, or PyPI."""
        indexes, first = [backend], self._data["cpu_goes_with_any"].get(companion)
        if backend == CPU or (first and version_key(version) >= version_key(first)):
            # The last version whose wheel on PyPI is a CPU build, whatever its torch is.
            last = self._data["cpu_on_pypi"].get(companion, {}).get(platform)
            is_cpu = last == "" or (last and version_key(version) <= version_key(last))
            indexes += [CPU, PYPI] if is_cpu else [CPU]
        wheels = {index: self.pythons(companion, version, index, platform) for index in indexes}
        return next((index for index in indexes if python in wheels[index]), backend)

    def pypi_build(self, companion: str, version: str, platform: str) -> str:
        """Return the build of torch that PyPI's wheel of a companion demands, empty for any."""
        release = self._made_for(companion, version)
        if companion in self._data["cpu_on_pypi"] or not release:
            return ""
        return self.build(release, PYPI, platform)

    @cache
    def triton(self, release: str, backend: str) -> Requirement | None:
        """Return the triton that a build requires from the index, if unknown the previous one."""
        family = family_of(backend)
        for known in reversed(self.releases):
            entry = self._data["releases"][known].get("triton", {}).get(family)
            if entry and version_key(known) <= version_key(release):
                name, _, version = entry["requirement"].partition("==")
                tags = entry.get("python_tags", "py3")
                if known != release:
                    version, tags = "", "py3"
                platforms = tuple(entry["platforms"].split())
                return Requirement(name, version, platforms, self.minors(tags.split()))
        return None

    def requires(self, release: str, backend: str) -> tuple[Requirement, ...]:
        """Return what a build requires from its index: triton, and AMD's packages."""
        triton = self.triton(release, backend)
        return (*filter(None, [triton]), *self.amd_packages(backend))

    def amd_packages(self, build: str) -> tuple[Requirement, ...]:
        """Return AMD's packages that a ROCm build requires from its index, from ROCm 7.14 on.

        The kernels of each card are a package, and torch requires all, in any patch of its ROCm.
        """
        entry = self._data["rocm"]["packages"]
        if family_of(build) != "rocm" or version_key(build) < version_key(entry["since"]):
            return ()
        version, platforms = f"{build.removeprefix('rocm')}.*", tuple(entry["platforms"].split())
        names, pythons = entry["names"].split(), self.all_pythons
        return tuple(Requirement(name, version, platforms, pythons) for name in names)

    def hosts_of(self, build: str) -> tuple[str, ...]:
        """Return the hosts that an index of PyTorch links to for what a build requires."""
        hosts = self._data["rocm"]["packages"]["hosts"].split()
        return tuple(hosts) if self.amd_packages(build) else ()

    @cached_property
    def all_tritons(self) -> frozenset[str]:
        """The packages that the ROCm and XPU builds of any release require from the index."""
        tables = [release.get("triton", {}) for release in self._data["releases"].values()]
        entries = [entry for table in tables for entry in table.values()]
        names = {entry["requirement"].partition("==")[0] for entry in entries}
        return frozenset(names.union(self._data["rocm"]["packages"]["names"].split()))

    def numpy_1_platforms(self, release: str) -> tuple[str, ...]:
        """Return the platforms whose wheels were compiled against NumPy 1."""
        return tuple(self._release(release)["numpy_1"].split())

    def requires_numpy_1(self, release: str) -> tuple[str, ...]:
        """Return the companions with a wheel that requires `numpy<2`, on whatever platform."""
        return tuple(self._release(release).get("requires_numpy_1", "").split())

    def numpy(self, major: int) -> Requirement:
        """Return a major version of NumPy."""
        entry = self._data[f"numpy_{major}"]
        pythons = self.minors(entry["python_tags"].split())
        return Requirement("numpy", f"{major}", tuple(entry["platforms"].split()), pythons)

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


@cache
def load_facts() -> Facts:
    """Read `builds.json`."""
    return Facts(json.loads(BUILDS_PATH.read_text(encoding="utf-8")))
