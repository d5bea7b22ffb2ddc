"""Which build each platform gets from each variant: answers held against facts."""

from functools import cached_property, lru_cache
from itertools import dropwhile, takewhile
from typing import NamedTuple

from torch_plan.answers.records import MAIN_PLATFORM, MARKERS, Answers, Variant, WantedBuild
from torch_plan.answers.suggest import nearest
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.platforms import PLATFORMS
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
    """Torch first, then the companions, then what ROCm and XPU require of the index.

    A companion that the release does not have is left out; one that lacks wheels here has none.
    """
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
        self._versions: dict[tuple[str, str], str] = {}
        self._cells: dict[tuple[Variant, str, WantedBuild], Cell] = {}

    @cached_property
    def all(self) -> tuple[Cell, ...]:
        """Every cell, variant by variant."""
        return tuple(cell for variant in self.answers.variants for cell in self.of(variant))

    def of(self, variant: Variant) -> tuple[Cell, ...]:
        """Return the cells of a variant, one for each platform."""
        return tuple(self.cell(variant, platform) for platform in self.answers.platforms)

    def cell(self, variant: Variant, platform: str) -> Cell:
        """Return the cell with the override, else the variant's backend if it exists, else CPU."""
        return self._cell(variant, platform, self._wanted(variant, platform))

    def with_build(self, variant: Variant, platform: str, backend: str, release: str = "") -> Cell:
        """Return the cell that a platform would have with a backend, or a release too."""
        return self._cell(variant, platform, WantedBuild(release or variant.release, backend))

    def _wanted(self, variant: Variant, platform: str) -> WantedBuild:
        """Return what a cell gets, its release filled in."""
        override = self.override(variant, platform)
        if override:
            return override._replace(release=override.release or variant.release)
        release, backend = variant.release, variant.backend
        # An index of others has no more than PyTorch's, but for one platform, or where it is said.
        is_main = platform == MAIN_PLATFORM or MAIN_PLATFORM not in self.answers.platforms
        may_be = is_main or self.facts.pythons(TORCH, release, backend, platform)
        exists = may_be and self.exists(release, backend, platform)
        return WantedBuild(release, backend if exists else CPU)

    def _cell(self, variant: Variant, platform: str, wanted: WantedBuild) -> Cell:
        asked = variant, platform, wanted
        if asked not in self._cells:
            self._cells[asked] = self._fill(*asked)
        return self._cells[asked]

    def _fill(self, variant: Variant, platform: str, wanted: WantedBuild) -> Cell:
        """Return a cell with its packages: torch, the companions as answered, then triton.

        The requirements and sources of a project keep this order. An optional companion is taken
        out last, since it is held against the build of the whole cell.
        """
        facts, release, backend = self.facts, wanted.release, wanted.backend
        pairs = facts.companions(release)
        names = [TORCH, *(name for name in self.answers.companions if name in pairs)]
        packages = [
            self._package(name, self.version(name, release), platform, wanted) for name in names
        ]
        for triton in facts.requires(release, backend):
            if platform in triton.platforms:
                version = "" if wanted.url else triton.version
                index, pythons = _index(platform, wanted), triton.pythons
                packages.append(Package(triton.name, version, index, pythons, pythons=pythons))
        build = facts.build(release, backend, platform)
        cell = Cell(variant, platform, release, backend, build, tuple(packages), wanted.url)
        optional = [package for package in packages if package.name in self.answers.optional]
        missing = [package for package in optional if self.why_missing(package, cell)]
        return cell._replace(packages=tuple(item for item in packages if item not in missing))

    def spare(self, cell: Cell) -> dict[str, Package]:
        """Return the companions that were not chosen, but exist for a cell."""
        packages = {}
        for name in self.facts.companions(cell.release):
            package = self.companion(name, cell)
            pythons = self.facts.pythons(name, package.version, package.origin, cell.platform)
            is_there = (cell.url or pythons) and not self.why_missing(package, cell)
            if is_there and name not in self.answers.companions:
                packages[name] = package
        return packages

    def companion(self, name: str, cell: Cell) -> Package:
        """Return a companion of a cell's release as the cell would get it."""
        wanted = WantedBuild(cell.release, cell.backend, cell.url)
        return self._package(name, self.version(name, cell.release), cell.platform, wanted)

    def lacks(self, cell: Cell) -> tuple[str, ...]:
        """Return the companions that were chosen and that a cell cannot get."""
        return tuple(name for name in self.answers.companions if self.why_lacking(name, cell))

    def missing(self, name: str) -> tuple[Cell, ...]:
        """Return the cells without a companion that was chosen."""
        return tuple(cell for cell in self.all if name in self.lacks(cell))

    def why_lacking(self, name: str, cell: Cell) -> str:
        """Return why a companion cannot be had in a cell, empty if it can."""
        if name not in self.facts.companions(cell.release):
            return f"there is no {name} for torch {cell.release} on"
        return self.why_missing(self.companion(name, cell), cell)

    def version(self, package: str, release: str) -> str:
        """Return the version of torch or a companion that goes with a release.

        If several do, it is the one with wheels of the very build for the most cells, of those the
        one with any wheels for the most, and the newest of those.
        """
        if package == TORCH:
            return release
        versions = self.facts.companions(release)[package]
        if len(versions) == 1:
            return versions[0]
        if (package, release) not in self._versions:
            # The newest may lack wheels that an older one has, of a build or for an old Python, and
            # one cell without wheels refuses the whole project.
            cells = [
                (platform, wanted)
                for variant in self.answers.variants
                for platform in self.answers.platforms
                if (wanted := self._wanted(variant, platform)).release == release
            ]

            def wheels(version: str) -> tuple[int, int]:
                packages = [self._package(package, version, *cell) for cell in cells]
                having = [item for item in packages if self.answers.python in item.wheels]
                return sum(not item.is_stand_in for item in having), len(having)

            self._versions[package, release] = max(versions, key=wheels)
        return self._versions[package, release]

    def _package(self, name: str, version: str, platform: str, wanted: WantedBuild) -> Package:
        """Return torch or a companion as a platform gets it, with the wheels that there are."""
        answers = self.answers
        known, python = answers.pytorch_index.known, answers.python
        return _package(self.facts, name, version, platform, wanted, known, python)

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
            and PLATFORMS[cell.platform].sys_platform != "darwin"
        )

    def nearest(self, cell: Cell) -> str:
        """Return the nearest build of a family that has everything on a platform, or nothing."""
        for backend in self.alike(cell.variant):
            if self.is_served(self.with_build(cell.variant, cell.platform, backend)):
                return backend
        return ""

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

    def is_served(self, cell: Cell) -> bool:
        """Tell whether torch and the companions have wheels for a cell."""
        return not any(self.why_missing(package, cell) for package in cell.packages)

    def why_missing(self, package: Package, cell: Cell) -> str:
        """Return why torch or a companion cannot be had in a cell, empty if it can.

        A list of platforms ends the sentence.
        """
        name = f"{package.name} {package.version}".strip()
        place = "on PyPI" if package.origin == PYPI else f"on the {package.origin} index"
        if not package.wheels:
            return f"there is no {name} {place} for"
        if package.pythons is None and self.answers.python not in package.wheels:
            span = self.facts.span(package.wheels)
            return f"{name} {place} has wheels for Python {span} on"
        foreign = self._foreign_build(package, cell.platform, cell.build)
        if foreign:
            return f"PyPI's {name} is a {foreign} build, and its torch a {cell.build} build, for"
        return ""

    def _foreign_build(self, package: Package, platform: str, build: str) -> str:
        """Return the build of PyPI's wheel of a companion where it is not that of its torch.

        Only one version of a companion is on PyPI for several releases of torch, and it was built
        for the first of them.
        """
        if package.name == TORCH or package.origin != PYPI:
            return ""
        other = self.facts.pypi_build(package.name, package.version, platform)
        return other if other != build else ""

    @cached_property
    def pythons(self) -> tuple[str, ...]:
        """The Pythons from the chosen one on that have every wheel on every platform.

        They end before the first one that lacks a wheel: `requires-python` has no gaps.
        """
        common = set(self.facts.all_pythons)
        for package in (package for cell in self.all for package in cell.packages):
            if package.pythons is None:
                common.intersection_update(package.wheels)
        if self.guarded:
            common.intersection_update(self.facts.numpy_1.pythons)
        order, end = self.facts.all_pythons, self.answers.python_end
        until = order.index(end) + 1 if end in order else len(order)
        newer = dropwhile(lambda python: python != self.answers.python, order[:until])
        return tuple(takewhile(common.__contains__, newer))

    @cached_property
    def guarded(self) -> tuple[str, ...]:
        """The chosen platforms that get `numpy<2`."""
        if self.answers.numpy_guard == "never":
            return ()
        if self.answers.numpy_guard == "always":
            return self.answers.platforms
        compiled = {
            cell.platform
            for cell in self.all
            if cell.platform in self.facts.numpy_1_platforms(cell.release)
        }
        return tuple(platform for platform in self.answers.platforms if platform in compiled)


# Choices that are tried one after another, as for a refusal, have most packages in common.
@lru_cache(maxsize=4096)
def _package(
    facts: Facts,
    name: str,
    version: str,
    platform: str,
    wanted: WantedBuild,
    is_known: bool,
    python: str,
) -> Package:
    """Return a package from PyTorch's index, one that mirrors it, or one that nobody knows."""
    index = _index(platform, wanted)
    if wanted.url:
        wheels = facts.pythons_anywhere(name, version, platform)
        return Package(name, version, index, wheels, is_likely=True)
    if name != TORCH:
        index = facts.companion_index(name, version, wanted.backend, platform, python)
    wheels = facts.pythons(name, version, index, platform)
    label = facts.label(name, version, index, platform)
    is_likely = facts.is_likely(name, version, index, platform)
    may_be_there = not is_known or facts.may_have(wanted.release, wanted.backend)
    if not wheels and may_be_there and _may_exist(index, platform):
        wheels, is_likely = facts.pythons_anywhere(name, version, platform), True
    is_stand_in = index != wanted.backend != CPU
    return Package(name, version, index, wheels, label, is_likely, is_stand_in)


def _may_exist(index: str, platform: str) -> bool:
    """Tell whether somebody else's index may have builds that PyTorch does not publish.

    There is no CUDA, ROCm or XPU on macOS.
    """
    is_macos = PLATFORMS[platform].sys_platform == "darwin"
    return index != PYPI and (index == CPU or not is_macos)


def _index(platform: str, wanted: WantedBuild) -> str:
    """Return the name of the index of a build; one of the platform's own has the platform in it."""
    return f"{wanted.backend}-{platform}" if wanted.url else wanted.backend
