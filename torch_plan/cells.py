"""Which build each platform gets from each variant: answers held against facts."""

from functools import cached_property
from itertools import dropwhile, takewhile
from typing import NamedTuple

from torch_plan.answers import MARKERS, Answers, Variant
from torch_plan.facts import CPU, PYPI, TORCH, Facts, family_of, labelled
from torch_plan.platforms import PLATFORMS
from torch_plan.suggest import nearest
from torch_plan.words import PlatformWord


class Package(NamedTuple):
    """One package of a cell that comes in step with torch, or torch itself."""

    name: str
    version: str
    """The public version; empty where nothing but torch's own requirement says it."""
    backend: str
    """The backend whose index it comes from."""
    label: str = ""
    """The label that the version of its wheel carries, empty for none."""
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
    """Torch first, then the companions, then the triton package of ROCm and XPU."""

    @property
    def torch(self) -> Package:
        """The package that all others come with."""
        return self.packages[0]


class Fallback(NamedTuple):
    """A cell that got the CPU build, although its variant is for a GPU."""

    cell: Cell
    nearest: str
    """The build of the same family that its platform could have instead, empty for none."""
    override: str
    """The word of the answer `platforms` that gives it that build."""

    @property
    def sentence(self) -> str:
        """What people read: which platform it is about, why, and what would help."""
        cell = self.cell
        reason = f"torch {cell.release} has no {cell.variant.backend} build for it"
        way = f"; `{self.override}` among the platforms gives it {self.nearest}"
        return f"{cell.platform} gets cpu: {reason}{way if self.nearest else ''}."


class Cells:
    """The cells that the answers lead to. Nothing here refuses; `check` does."""

    def __init__(self, answers: Answers, facts: Facts) -> None:
        self.answers, self.facts = answers, facts

    @cached_property
    def versions(self) -> dict[str, str]:
        """Torch and the chosen companions that this release has, each with its version."""
        paired = self.facts.companions(self.answers.release)
        chosen = {name: paired[name] for name in self.answers.companions if name in paired}
        return {TORCH: self.answers.release, **chosen}

    @cached_property
    def all(self) -> tuple[Cell, ...]:
        """Every cell, variant by variant."""
        return tuple(cell for variant in self.answers.variants for cell in self.of(variant))

    def of(self, variant: Variant) -> tuple[Cell, ...]:
        """Return the cells of a variant, one for each platform."""
        return tuple(self.cell(variant, platform) for platform in self.answers.platforms)

    def cell(self, variant: Variant, platform: str) -> Cell:
        """Return the cell with the override, else the variant's backend if published, else CPU."""
        backend = self.override(variant, platform)
        if not backend:
            backend = variant.backend if self.is_published(variant.backend, platform) else CPU
        return self.with_backend(variant, platform, backend)

    def with_backend(self, variant: Variant, platform: str, backend: str) -> Cell:
        """Return the cell that a platform would have with a backend."""
        facts, release = self.facts, self.answers.release
        packages = [
            Package(name, version, backend, facts.label(name, version, backend, platform))
            for name, version in self.versions.items()
        ]
        triton = facts.triton(release, backend)
        if triton and platform in triton.platforms:
            packages.append(Package(triton.name, triton.version, backend, pythons=triton.pythons))
        build = facts.build(release, backend, platform)
        return Cell(variant, platform, release, backend, build, tuple(packages))

    @cached_property
    def fallbacks(self) -> tuple[Fallback, ...]:
        """The cells that get the CPU build, although nobody asked for it there.

        macOS is left out: everybody expects the CPU build there, which is the one for its GPUs.
        """
        return tuple(
            self._fallback(cell)
            for cell in self.all
            if cell.backend == CPU != cell.variant.backend
            and not self.override(cell.variant, cell.platform)
            and PLATFORMS[cell.platform].sys_platform != "darwin"
        )

    def _fallback(self, cell: Cell) -> Fallback:
        """Find the build of the same family that is nearest, and that has everything there."""
        for backend in self.alike(cell.variant.backend):
            if self.is_served(self.with_backend(cell.variant, cell.platform, backend)):
                variant = None if self.answers.layout == MARKERS else cell.variant.name
                return Fallback(cell, backend, str(PlatformWord(cell.platform, variant, backend)))
        return Fallback(cell, "", "")

    def alike(self, backend: str) -> list[str]:
        """Return the other backends of the release that are of the same family, nearest first."""
        facts, family = self.facts, family_of(backend)
        of_family = [it for it in facts.backends(self.answers.release) if family_of(it) == family]
        return nearest(backend, of_family, facts.all_backends)

    def override(self, variant: Variant, platform: str) -> str:
        """Return the backend that the answer `platforms` demands here, empty if it demands none.

        `linux-aarch64=cu128`, which names no variant, is not meant for a CPU variant: there is one
        to have the CPU build everywhere.
        """
        overrides = self.answers.overrides
        general = overrides.get((platform, ""), "")
        if self.answers.layout != MARKERS and variant.backend == CPU:
            general = ""
        return overrides.get((platform, variant.name), general)

    def is_published(self, backend: str, platform: str) -> bool:
        """Tell whether torch has a wheel of this backend for the platform and the chosen Python."""
        pythons = self.facts.pythons(TORCH, self.answers.release, backend, platform)
        return self.answers.python in pythons

    def is_served(self, cell: Cell) -> bool:
        """Tell whether torch and the companions have wheels for a cell."""
        return not any(self.why_missing(name, cell) for name in self.versions)

    def why_missing(self, package: str, cell: Cell) -> str:
        """Return why torch or a companion cannot be had in a cell, empty if it can."""
        version, backend, platform = self.versions[package], cell.backend, cell.platform
        name = f"{package} {version}"
        place = "on PyPI" if backend == PYPI else f"on the {backend} index"
        pythons = self.facts.pythons(package, version, backend, platform)
        if not pythons:
            return f"there is no {name} {place} for {platform}."
        if self.answers.python not in pythons:
            return f"{name} {place} has wheels for Python {self.facts.span(pythons)} on {platform}."
        other_build = self._other_build(package, cell)
        if other_build:
            return (
                f"PyPI's {name} is a {other_build} build for {platform}, "
                f"its torch a {cell.build} build."
            )
        return ""

    def _other_build(self, package: str, cell: Cell) -> str:
        """Return the build of PyPI's wheel of a companion where it is not that of its torch.

        Only one version of a companion is on PyPI for several releases of torch, and it was built
        for the first of them.
        """
        if package == TORCH or cell.backend != PYPI:
            return ""
        made_for = self.facts.made_for(package, self.versions[package])
        build = self.facts.build(made_for, PYPI, cell.platform)
        return build if build != cell.build else ""

    @cached_property
    def pythons(self) -> tuple[str, ...]:
        """The Pythons from the chosen one on that have every wheel on every platform.

        They end before the first one that lacks a wheel: `requires-python` has no gaps.
        """
        common = set(self.facts.all_pythons)
        for cell in self.all:
            for name, version in self.versions.items():
                wheels = self.facts.pythons(name, version, cell.backend, cell.platform)
                common.intersection_update(wheels)
        if self.guarded:
            common.intersection_update(self.facts.numpy_1.pythons)
        newer = dropwhile(lambda python: python != self.answers.python, self.facts.all_pythons)
        return tuple(takewhile(common.__contains__, newer))

    @cached_property
    def guarded(self) -> tuple[str, ...]:
        """The chosen platforms that get `numpy<2`."""
        if self.answers.numpy_guard == "never":
            return ()
        if self.answers.numpy_guard == "always":
            return self.answers.platforms
        compiled = self.facts.numpy_1_platforms(self.answers.release)
        return tuple(platform for platform in self.answers.platforms if platform in compiled)
