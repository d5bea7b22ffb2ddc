"""Which build each platform gets from each variant: answers held against facts."""

from collections.abc import Mapping
from functools import cached_property, lru_cache, partial
from itertools import dropwhile, product, takewhile
from typing import NamedTuple

from torch_plan.answers.records import MAIN_PLATFORM, MARKERS, Answers, Variant, WantedBuild
from torch_plan.answers.suggest import nearest
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.versions import CPU, PYPI, TORCH, family_of, labelled


class Package(NamedTuple):
    """One package of a cell that comes in step with torch, or torch itself."""

    name: str
    version: str
    """The public version; empty where nothing but the requirements of others say it."""
    origin: str
    """The index that it comes from: a backend, or a backend and a platform that has its own."""
    wheels: tuple[str, ...]
    """The Pythons that it has wheels for there, none where it is absent."""
    label: str = ""
    """The label that the version of its wheel carries, empty for none."""
    is_likely: bool = False
    """Whether nobody has seen those wheels, which very likely exist."""
    is_stand_in: bool = False
    """Whether it is a CPU build beside another build of torch."""
    pythons: tuple[str, ...] | None = None
    """The Pythons that require it, None for all."""

    @property
    def full_version(self) -> str:
        """The version with its label: `2.9.1+cu128`."""
        return labelled(self.version, self.label)


class Cell(NamedTuple):
    """What one platform gets from one variant."""

    variant: Variant
    platform: str
    release: str
    backend: str
    build: str
    """What torch was compiled for; empty where PyPI has no wheel for the platform."""
    packages: tuple[Package, ...]
    """Torch first, then the companions that there are, then what ROCm and XPU require."""
    lacking: Mapping[str, str]
    """Torch or a companion -> why it cannot be had. A list of platforms ends each sentence."""
    url: str = ""
    """The index of the platform's own, empty where it has none."""

    @property
    def torch(self) -> Package:
        """The package that all others come with."""
        return self.packages[0]

    @property
    def is_likely(self) -> bool:
        """Whether any of its wheels is only likely."""
        return any(package.is_likely for package in self.packages)

    def package(self, name: str) -> Package | None:
        """Return a package of the cell by its name, None if it has no such package."""
        return next((package for package in self.packages if package.name == name), None)


class Cells:
    """The cells that the answers lead to. Nothing here refuses; `check` does."""

    def __init__(self, answers: Answers, facts: Facts) -> None:
        self.answers, self.facts = answers, facts
        self._package = partial(_package, facts, answers.pytorch_index.known, answers.python)
        self._versions: dict[tuple[str, str], str] = {}

    @cached_property
    def all(self) -> tuple[Cell, ...]:
        """Every cell, variant by variant."""
        return tuple(self._cell(*wanted) for wanted in self._wanted)

    @cached_property
    def _wanted(self) -> list[tuple[Variant, str, WantedBuild]]:
        """What each cell gets: the override, else the variant's backend if it exists, else CPU."""
        wanted = []
        for variant, platform in product(self.answers.variants, self.answers.platforms):
            build = self.override(variant, platform)
            if build is None:
                release, backend = variant.release, variant.backend
                # An index of others has no more than PyTorch's, but for one platform, or where it
                # is said.
                is_main = platform == MAIN_PLATFORM or MAIN_PLATFORM not in self.answers.platforms
                may_be = is_main or self.facts.pythons(TORCH, release, backend, platform)
                exists = may_be and self.exists(release, backend, platform)
                build = WantedBuild(release, backend if exists else CPU)
            build = build._replace(release=build.release or variant.release)
            wanted.append((variant, platform, build))
        return wanted

    def of(self, variant: Variant) -> tuple[Cell, ...]:
        """Return the cells of a variant, one for each platform."""
        return tuple(cell for cell in self.all if cell.variant == variant)

    def with_build(self, variant: Variant, platform: str, backend: str) -> Cell:
        """Return the cell that a platform would have with a backend."""
        return self._cell(variant, platform, WantedBuild(variant.release, backend))

    def _cell(self, variant: Variant, platform: str, wanted: WantedBuild) -> Cell:
        """Return a cell; the requirements and sources of a project keep the order of packages."""
        facts, release, backend = self.facts, wanted.release, wanted.backend
        build = facts.build(release, backend, platform)
        packages: list[Package] = []
        lacking: dict[str, str] = {}
        for name in (TORCH, *self.answers.companions):
            if name != TORCH and name not in facts.companions(release):
                lacking[name] = f"there is no {name} for torch {release} on"
                continue
            package = self._package(name, self.version(name, release), platform, wanted)
            if reason := self._why_missing(package, platform, build):
                lacking[name] = reason
            if name == TORCH or not reason:
                packages.append(package)
        for triton in facts.requires(release, backend):
            if platform in triton.platforms:
                version = "" if wanted.url else triton.version
                index, pythons = _index(platform, wanted), triton.pythons
                packages.append(Package(triton.name, version, index, pythons, pythons=pythons))
        every = tuple(packages)
        return Cell(variant, platform, release, backend, build, every, lacking, wanted.url)

    def spare(self, cell: Cell) -> dict[str, Package]:
        """Return the companions that were not chosen, but exist for a cell."""
        wanted, packages = WantedBuild(cell.release, cell.backend, cell.url), {}
        for name in self.facts.companions(cell.release):
            if name not in self.answers.companions:
                version = self.version(name, cell.release)
                package = self._package(name, version, cell.platform, wanted)
                known = self.facts.pythons(name, version, package.origin, cell.platform)
                missing = self._why_missing(package, cell.platform, cell.build)
                if (cell.url or known) and not missing:
                    packages[name] = package
        return packages

    def version(self, package: str, release: str) -> str:
        """Return the version of torch or a companion that goes with a release.

        Of several it is the one with wheels of the very build for the most cells, then the one with
        any wheels for the most, then the newest.
        """
        if package == TORCH:
            return release
        versions = self.facts.companions(release)[package]
        if len(versions) == 1:
            return versions[0]
        if (package, release) not in self._versions:
            # The newest may lack wheels that an older one has, of a build or for an old Python, and
            # one cell without wheels refuses the whole project.
            builds = [build for build in self._wanted if build[2].release == release]

            def wheels(version: str) -> tuple[int, int]:
                packages = [self._package(package, version, *build[1:]) for build in builds]
                having = [item for item in packages if self.answers.python in item.wheels]
                return sum(not item.is_stand_in for item in having), len(having)

            self._versions[package, release] = max(versions, key=wheels)
        return self._versions[package, release]

    @cached_property
    def fallbacks(self) -> tuple[Cell, ...]:
        """The cells that get the CPU build, although nobody asked for it there.

        macOS is left out: everybody expects the CPU build there, which is the one for its GPUs.
        """
        return tuple(
            cell
            for cell in self.all
            if cell.backend == CPU != cell.variant.backend
            and not self.override(cell.variant, cell.platform)
            and not cell.platform.startswith("macos")
        )

    def nearest(self, cell: Cell) -> str:
        """Return the nearest build of a family that has everything on a platform, or nothing."""
        alike = self.alike(cell.variant)
        others = (self.with_build(cell.variant, cell.platform, backend) for backend in alike)
        optional = self.answers.optional
        return next((cell.backend for cell in others if cell.lacking.keys() <= optional), "")

    def alike(self, variant: Variant) -> list[str]:
        """Return the other backends of the release that are of the same family, nearest first."""
        facts, family = self.facts, family_of(variant.backend)
        of_family = [name for name in facts.backends(variant.release) if family_of(name) == family]
        return nearest(variant.backend, of_family, facts.all_backends)

    def override(self, variant: Variant, platform: str) -> WantedBuild | None:
        """Return what the answer `platforms` demands here, None if it demands nothing.

        `linux-aarch64=cu128`, which names no variant, is not meant for a CPU variant: there is one
        to have the CPU build everywhere. `macos-x86_64=2.2.2+cpu` is meant for it too.
        """
        overrides = self.answers.overrides
        general = overrides.get((platform, ""))
        is_switch = self.answers.layout != MARKERS and variant.backend == CPU
        if general and is_switch and general.backend != CPU:
            general = None
        return overrides.get((platform, variant.name), general)

    def exists(self, release: str, backend: str, platform: str) -> bool:
        """Tell whether torch has, or very likely has, a wheel for the chosen Python there."""
        torch = self._package(TORCH, release, platform, WantedBuild(release, backend))
        return self.answers.python in torch.wheels

    def _why_missing(self, package: Package, platform: str, build: str) -> str:
        """Return why torch or a companion cannot be had with a build of torch, empty if it can."""
        name = f"{package.name} {package.version}".strip()
        place = "on PyPI" if package.origin == PYPI else f"on the {package.origin} index"
        if not package.wheels:
            return f"there is no {name} {place} for"
        if self.answers.python not in package.wheels:
            span = self.facts.span(package.wheels)
            return f"{name} {place} has wheels for Python {span} on"
        if package.name != TORCH and package.origin == PYPI:
            # Only one version of a companion is on PyPI for several releases of torch, and it was
            # built for the first of them.
            other = self.facts.pypi_build(package.name, package.version, platform)
            if other not in ("", build):
                return f"PyPI's {name} is a {other} build, and its torch a {build} build, for"
        return ""

    @cached_property
    def pythons(self) -> tuple[str, ...]:
        """The Pythons from the chosen one to before the first that lacks a wheel: without gaps."""
        packages = [package for cell in self.all for package in cell.packages]
        wheels = [package.wheels for package in packages if package.pythons is None]
        if self.guarded:
            wheels.append(self.facts.numpy(1).pythons)
        order, end = self.facts.all_pythons, self.answers.python_end
        until = order.index(end) + 1 if end in order else len(order)
        newer = dropwhile(lambda python: python != self.answers.python, order[:until])
        return tuple(takewhile(lambda python: all(python in have for have in wheels), newer))

    @cached_property
    def guarded(self) -> tuple[str, ...]:
        """The chosen platforms that get `numpy<2`."""
        platforms, old = self.answers.platforms, self.facts.numpy_1_platforms
        if self.answers.numpy_guard != "auto":
            return platforms if self.answers.numpy_guard == "always" else ()
        compiled = {cell.platform for cell in self.all if cell.platform in old(cell.release)}
        return tuple(platform for platform in platforms if platform in compiled)


# Choices that are tried one after another, as for a refusal, have most packages in common.
@lru_cache(maxsize=4096)
def _package(
    facts: Facts,
    is_known: bool,
    python: str,
    name: str,
    version: str,
    platform: str,
    wanted: WantedBuild,
) -> Package:
    """Return torch or a companion, from PyTorch's index or one that nobody knows."""
    index = _index(platform, wanted)
    if wanted.url:
        wheels = facts.pythons_of(version, name) or facts.all_pythons
        return Package(name, version, index, wheels, is_likely=True)
    if name != TORCH:
        index = facts.companion_index(name, version, wanted.backend, platform, python)
    wheels = facts.pythons(name, version, index, platform)
    is_likely = facts.is_likely(name, version, index, platform)
    # Somebody else's index may have builds that PyTorch does not publish, but none has CUDA, ROCm
    # or XPU for macOS.
    may_be_there = index == CPU or not (index == PYPI or platform.startswith("macos"))
    is_open = not is_known or facts.may_have(wanted.release, wanted.backend)
    if not wheels and may_be_there and is_open:
        wheels, is_likely = facts.pythons_of(version, name) or facts.all_pythons, True
    label = facts.label(name, version, index, platform)
    is_stand_in = index != wanted.backend != CPU
    return Package(name, version, index, wheels, label, is_likely, is_stand_in)


def _index(platform: str, wanted: WantedBuild) -> str:
    """Return the name of the index of a build; one of the platform's own has the platform in it."""
    return f"{wanted.backend}-{platform}" if wanted.url else wanted.backend
