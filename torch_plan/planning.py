"""From the cells to a plan: requirements, sources, indexes, and what each build needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from torch_plan.answers import EXTRAS, GROUPS, MARKERS, PackageIndex, Variant
from torch_plan.cells import Cell, Cells, Package
from torch_plan.check import examine
from torch_plan.facts import CPU, PYPI, Facts, capability, family_of, load_facts
from torch_plan.markers import split
from torch_plan.plan import Demand, Index, Option, Plan, Source, next_minor
from torch_plan.problems import Refused
from torch_plan.slugs import package_name


def make_plan(raw: Mapping[str, str], facts: Facts | None = None) -> Plan:
    """Plan a project from the answers as text, under the keys of cookiecutter.json.

    Raises `Refused` with every problem at once if the answers cannot be served.
    """
    cells, problems = examine(raw, facts or load_facts())
    if problems:
        raise Refused(problems)
    return _Planner(cells).plan()


def switched(raw: Mapping[str, str], facts: Facts | None = None) -> Plan | None:
    """Return the plan of the same project with another build, to show what a switch changes.

    That is the newest CUDA build that can be had and gives some platform another one, else the CPU
    build. None where there is none, and in the layouts that hold several builds already.
    """
    facts = facts or load_facts()
    plan = make_plan(raw, facts)
    if plan.selector:
        return None
    cuda = [backend for backend in facts.backends(plan.release) if family_of(backend) == "cu"]
    for backend in (*reversed(cuda), CPU):
        cells, problems = examine({**raw, "torch_backend": backend}, facts)
        if not problems and _backends(cells.all) != _backends(plan.default.cells):
            return _Planner(cells).plan()
    return None


def _backends(cells: Iterable[Cell]) -> list[str]:
    return [cell.backend for cell in cells]


class _Planner:
    """Writes the cells down as requirements, sources and indexes."""

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        self.answers, self.facts = cells.answers, cells.facts

    def plan(self) -> Plan:
        answers = self.answers
        options = tuple(map(self.option, answers.variants))
        shared = options[0].requirements if answers.layout == MARKERS else ()
        return Plan(
            release=answers.release,
            python=answers.python,
            pythons=self.cells.pythons,
            layout=answers.layout,
            platforms=answers.platforms,
            dependencies=(*shared, *self.numpy_requirements()),
            options=options,
            sources=self.sources(),
            indexes=(*self.pytorch_indexes(), *_package_indexes(answers.package_index)),
            companions={name: self.cells.versions[name] for name in answers.companions},
            guarded_platforms=self.cells.guarded,
            hosts=answers.pytorch_index.hosts if self.backends else (),
            local_pins=answers.torch_pin == "local",
            package=package_name(answers.project_slug),
            smoke_command=f"{answers.project_slug}-smoke",
            demands=tuple(sorted(self.demands(options), key=lambda demand: demand.build == CPU)),
            fallbacks=tuple(fallback.sentence for fallback in self.cells.fallbacks),
        )

    def option(self, variant: Variant) -> Option:
        cells = self.cells.of(variant)
        return Option(
            name=variant.name,
            requirements=tuple(self.requirements(cells)),
            cells=cells,
            needs={cell.platform: (*self.needs(cell), *self.lacks(cell)) for cell in cells},
            sync=self.sync_options(variant),
        )

    def requirements(self, cells: Sequence[Cell]) -> Iterator[str]:
        """Yield the requirements of a variant: each package as its cells pin it."""
        for packages in self.by_package(cells).values():
            pins: dict[str, list[str]] = {}
            for platform, package in packages:
                pins.setdefault(self.pin(package), []).append(platform)
            yield from self.by_marker(pins, self.python_marker(packages[0][1]))

    def pin(self, package: Package) -> str:
        version = package.full_version if self.answers.torch_pin == "local" else package.version
        return f"{package.name}=={version}" if version else package.name

    def numpy_requirements(self) -> Iterator[str]:
        guarded = self.cells.guarded
        free = [platform for platform in self.answers.platforms if platform not in guarded]
        yield from self.by_marker({"numpy": free, "numpy<2": list(guarded)})

    def by_marker(self, pins: Mapping[str, list[str]], also: str = "") -> Iterator[str]:
        """Yield the requirements of one package, from pin -> the platforms that it holds on.

        `also` is a marker that holds for all of them.
        """
        used = {pin: platforms for pin, platforms in pins.items() if platforms}
        markers = split(used.values(), self.answers.platforms)
        for pin, marker in zip(used, markers, strict=True):
            bracketed = f"({marker})" if also and " or " in marker else marker
            both = " and ".join(filter(None, (also, bracketed)))
            yield f"{pin} ; {both}" if both else pin

    def python_marker(self, package: Package) -> str:
        """Return the marker of the Pythons that require a package, empty for all of them.

        A package that some do without has no wheels yet for the newest of them.
        """
        if package.pythons is None or set(self.cells.pythons) <= set(package.pythons):
            return ""
        return f"python_version < '{next_minor(package.pythons[-1])}'"

    def by_package(self, cells: Iterable[Cell]) -> dict[str, list[tuple[str, Package]]]:
        """Return package -> (platform, package) for each platform that gets it on some Python."""
        packages: dict[str, list[tuple[str, Package]]] = {}
        for cell in cells:
            for package in cell.packages:
                required = package.pythons is None or set(package.pythons) & set(self.cells.pythons)
                if required:
                    packages.setdefault(package.name, []).append((cell.platform, package))
        return packages

    def sync_options(self, variant: Variant) -> tuple[str, ...]:
        first = self.answers.variants[0]
        if self.answers.layout == EXTRAS:
            return "--extra", variant.name
        if self.answers.layout == GROUPS and variant != first:
            return "--no-group", first.name, "--group", variant.name
        return ()

    def sources(self) -> dict[str, tuple[Source, ...]]:
        """Return package -> its sources, none for what comes from PyPI everywhere."""
        sources: dict[str, list[Source]] = {}
        for variant in self.answers.variants:
            for name, packages in self.by_package(self.cells.of(variant)).items():
                sources.setdefault(name, []).extend(self.source_entries(variant, packages))
        return {name: tuple(entries) for name, entries in sources.items() if entries}

    def source_entries(
        self, variant: Variant, packages: Iterable[tuple[str, Package]]
    ) -> Iterator[Source]:
        backends: dict[str, list[str]] = {}
        for platform, package in packages:
            backends.setdefault(package.backend, []).append(platform)
        markers = split(backends.values(), self.answers.platforms)
        for backend, marker in zip(backends, markers, strict=True):
            if backend != PYPI:
                yield Source(
                    index_name=_index_name(backend),
                    marker=marker,
                    extra=variant.name if self.answers.layout == EXTRAS else "",
                    group=variant.name if self.answers.layout == GROUPS else "",
                )

    @cached_property
    def backends(self) -> list[str]:
        """The backends that come from an index of PyTorch, in the order of their first use."""
        used = dict.fromkeys(cell.backend for cell in self.cells.all)
        return [backend for backend in used if backend != PYPI]

    def pytorch_indexes(self) -> Iterator[Index]:
        mirror = self.answers.pytorch_index
        # The links of a flat listing are relative to its URL, which therefore ends with a slash.
        end = "/" if mirror.flat else ""
        for backend in self.backends:
            url = f"{mirror.url}/{backend}{end}"
            yield Index(_index_name(backend), url, flat=mirror.flat)

    def demands(self, options: Iterable[Option]) -> Iterator[Demand]:
        """Yield what each build of an option needs, once for all platforms that need the same.

        One option is enough for a platform's CPU build.
        """
        have_cpu: set[str] = set()
        for option in options:
            platforms: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
            for cell in option.cells:
                if cell.build != CPU or cell.platform not in have_cpu:
                    driver = self.facts.min_driver(cell.build, cell.platform)
                    key = (cell.build, driver, self.runs_on(cell))
                    platforms.setdefault(key, []).append(cell.platform)
            have_cpu.update(cell.platform for cell in option.cells if cell.build == CPU)
            for (build, driver, gpus), names in platforms.items():
                yield Demand(option, build, driver, gpus, tuple(names))

    def runs_on(self, cell: Cell) -> tuple[str, ...]:
        """Return patterns of the GPUs that a build runs on, empty where nobody knows."""
        family = family_of(cell.build)
        if family == "cu":
            return _cards(self.gpus(cell))
        return self.gpus(cell) if family == "rocm" else ("*",)

    def gpus(self, cell: Cell) -> tuple[str, ...]:
        """Return the GPUs that a build is compiled for: `9.0` or `gfx90a`."""
        if family_of(cell.build) == "rocm":
            return self.facts.amd_architectures(cell.release, cell.build)
        return tuple(
            map(capability, self.facts.architectures(cell.release, cell.build, cell.platform))
        )

    def lacks(self, cell: Cell) -> Iterator[str]:
        """Yield why a cell got the CPU build, if nobody asked for it."""
        for fallback in self.cells.fallbacks:
            if fallback.cell == cell:
                yield f"there is no {cell.variant.backend} build for it"
                if fallback.nearest:
                    yield f"the nearest that there is: {fallback.nearest}"

    def needs(self, cell: Cell) -> Iterator[str]:
        """Yield what a build asks of the machine: driver and card, glibc or macOS."""
        facts = self.facts
        driver = facts.min_driver(cell.build, cell.platform)
        if driver:
            yield f"NVIDIA driver {driver} or newer"
        gpus = ", ".join(self.gpus(cell))
        if family_of(cell.build) == "rocm":
            yield f"a driver for ROCm {cell.build.removeprefix('rocm')}"
            yield f"AMD GPU {gpus}"
        elif gpus:
            yield f"GPU of compute capability {gpus}"
        if cell.build == "xpu":
            yield "Intel GPU with its driver"
        tags = [
            tag
            for name, version in self.cells.versions.items()
            for tag in facts.platform_tags(
                name, version, cell.backend, cell.platform, self.cells.pythons
            )
        ]
        yield from _system_floor(tags, "macosx", "macOS")
        yield from _system_floor(tags, "manylinux", "glibc")


def _package_indexes(index: PackageIndex | None) -> Iterator[Index]:
    if index:
        yield Index(index.name, index.url, default=True)


def _system_floor(platform_tags: Iterable[str], prefix: str, system: str) -> Iterator[str]:
    """Yield the oldest version of a system that some wheel of each package is content with.

    A compressed set of tags is content with the oldest version in it.
    """
    floors = []
    for tag in platform_tags:
        versions = re.findall(rf"{prefix}_(\d+)_(\d+)_", tag)
        if versions:
            floors.append(min((int(major), int(minor)) for major, minor in versions))
    if floors:
        major, minor = max(floors)
        yield f"{system} {major}.{minor} or newer"


def _cards(compiled: Iterable[str]) -> tuple[str, ...]:
    """Return patterns of the compute capabilities that code for some of them runs on.

    Each runs on its major version from its minor one on, as `default_backend.runs_on` has it.
    """
    least: dict[str, str] = {}
    for name in compiled:
        major, minor = name.split(".")
        least[major] = min(minor, least.get(major, minor))
    return tuple(
        f"{major}.?" if minor == "0" else f"{major}.[{minor}-9]" for major, minor in least.items()
    )


def _index_name(backend: str) -> str:
    return f"pytorch-{backend}"
