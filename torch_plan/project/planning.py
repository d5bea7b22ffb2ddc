"""From the cells to a plan: requirements, sources, indexes, and what each build needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import product

from torch_plan.answers.meaning import ProperAnswers
from torch_plan.answers.problems import Note, Refused
from torch_plan.answers.records import EXTRAS, GROUPS, LOCAL, MARKERS, MINIMUM, Variant
from torch_plan.answers.slugs import package_name
from torch_plan.catalog.facts import Facts, load_facts
from torch_plan.catalog.versions import PYPI, TORCH
from torch_plan.project.markers import split
from torch_plan.project.needs import demands, floor, needs
from torch_plan.project.notes import known_to_hurt, notes
from torch_plan.project.plan import Index, Option, Plan, Source, next_minor
from torch_plan.resolution.cells import Cell, Cells, Package
from torch_plan.resolution.check import examine
from torch_plan.resolution.likely import likely_notes
from torch_plan.urls import host_of


def make_plan(answers: ProperAnswers, facts: Facts | None = None) -> Plan:
    """Plan a project from all answers, as text under the keys of cookiecutter.json.

    Raises `Refused` with every problem at once if the answers cannot be served.
    """
    return _made_plan(tuple(answers.items()), facts or load_facts())


# The check, each of the templates and the hook ask for the plan of the same answers.
@lru_cache(maxsize=8)
def _made_plan(items: tuple[tuple[str, str], ...], facts: Facts) -> Plan:
    answers = ProperAnswers(dict(items))
    examination = examine(answers, facts)
    if examination.problems:
        raise Refused(examination.problems)
    return _Planner(examination.cells).plan(notes(examination, answers))


class _Planner:
    """Writes the cells down as requirements, sources and indexes."""

    def __init__(self, cells: Cells) -> None:
        self.cells, self.answers, self.facts = cells, cells.answers, cells.facts
        self.is_library = cells.answers.torch_pin == MINIMUM

    def plan(self, lacks: Iterable[Note]) -> Plan:
        answers, cells = self.answers, self.cells
        options = tuple(map(self.option, answers.variants))
        shared = options[0].requirements if answers.layout == MARKERS else ()
        spare = self.spare(self.facts.all_companions, cells.all)
        package, hurts = package_name(answers.project_slug), known_to_hurt(cells)
        own_command = f"{answers.project_slug}-smoke"
        got = {package.name for cell in cells.all for package in cell.packages}
        return Plan(
            python=answers.python,
            python_end=answers.python_end,
            pythons=cells.pythons,
            layout=answers.layout,
            platforms=answers.platforms,
            dependencies=(*shared, *self.numpy_requirements()),
            constraints=tuple(self.constraints()),
            partial=tuple(line for line in spare if ";" in line),
            gate=self.gate,
            options=options,
            sources=self.sources(),
            indexes=tuple(self.indexes()),
            companions=tuple(name for name in answers.companions if name in got),
            guarded_platforms=cells.guarded,
            hosts=self.hosts(),
            torch_pin=answers.torch_pin,
            package=package,
            smoke_command=f"python -m {package}.smoke" if self.is_library else own_command,
            demands=demands(((option.sync, option.cells) for option in options), cells),
            notes=(*lacks, *map(Note, (*likely_notes(cells), *hurts))),
            warnings=hurts,
            tied=self.facts.tied,
            last_releases=self.last_releases(),
        )

    @cached_property
    def gate(self) -> tuple[str, ...]:
        """What a library requires in a default group, for whose sake alone its sources hold.

        uv takes the sources of a library from git or a path as its user's own, and refuses a user
        with another CUDA. Of a library's groups it takes none, and so none of their sources.
        """
        if not self.is_library or self.answers.layout != MARKERS:
            return ()
        return self.requirements(
            self.cells.all, lambda package: package.name if package.origin != PYPI else ""
        )

    def option(self, variant: Variant) -> Option:
        cells, first = self.cells.of(variant), self.answers.variants[0]
        sync: tuple[str, ...] = ()
        if self.answers.layout == EXTRAS:
            sync = ("--extra", variant.name)
        elif self.answers.layout == GROUPS and variant != first:
            sync = ("--no-group", first.name, "--group", variant.name)
        floors = {cell.platform: floor(cell, self.cells) for cell in cells}
        return Option(
            name=variant.name,
            requirements=self.requirements(cells, self.requirement),
            labelled=self.requirements(cells, lambda package: _pin(package, LOCAL)),
            cells=cells,
            needs={cell.platform: tuple(needs(cell, self.cells)) for cell in cells},
            bounds=tuple(self.spare(self.apart, cells, variant.release)),
            floors={platform: oldest for platform, oldest in floors.items() if oldest},
            sync=sync,
        )

    def requirements(self, cells: Iterable[Cell], pin: Callable[[Package], str]) -> tuple[str, ...]:
        """Return the requirements of cells, one for each platform: each package as `pin` says it.

        It says nothing of a package that needs no requirement.
        """
        lines: list[str] = []
        for packages in self.by_package(cells).values():
            pins: dict[str, list[str]] = {}
            for platform, package in packages:
                pins.setdefault(pin(package), []).append(platform)
            pins.pop("", None)
            lines += self.by_marker(pins, self.python_marker(packages[0][1]))
        return tuple(lines)

    def requirement(self, package: Package) -> str:
        """Return how a project requires a package."""
        if not self.is_library:
            return self.exact(package)
        if package.pythons is None:
            oldest = package.version.removesuffix(".*")
            return f"{package.name}>={oldest}" if oldest else package.name
        # A library says nothing of what its own torch requires, unless a source needs it said.
        return "" if self.answers.layout == MARKERS else package.name

    def exact(self, package: Package) -> str:
        """Return the requirement of exactly this version."""
        return _pin(package, self.answers.torch_pin)

    def constraints(self) -> Iterator[str]:
        """Yield what the requirements leave open: a library's exact release, and companions.

        One that some platform does without may come there with another package, in a version for
        another torch. uv has one bound for all extras and groups: where theirs differ, it has none.
        """
        if self.is_library:
            first = {cell.platform: cell for cell in reversed(self.cells.all)}
            in_order = (first[platform] for platform in self.answers.platforms)
            yield from self.requirements(in_order, self.exact)
        for name, platforms in self.bounds.items():
            if name not in self.apart and not all(cell.package(name) for cell in self.cells.all):
                pins: dict[str, list[str]] = {}
                for platform, (bound,) in platforms.items():
                    pins.setdefault(f"{name}{bound}", []).append(platform)
                pins.pop(name, None)
                yield from self.by_marker(pins)

    @cached_property
    def bounds(self) -> dict[str, dict[str, set[str]]]:
        """Companion -> platform -> the bounds that keep it beside its releases there."""
        bounds: dict[str, dict[str, set[str]]] = {name: {} for name in self.facts.all_companions}
        for name, cell in product(bounds, self.cells.all):
            pair = self.facts.pair_bounds(name, cell.release)
            bounds[name].setdefault(cell.platform, set()).add(pair)
        return bounds

    @cached_property
    def apart(self) -> tuple[str, ...]:
        """The companions whose bounds differ between the releases of one platform."""
        return tuple(
            name
            for name, platforms in self.bounds.items()
            if any(len(bounds) > 1 for bounds in platforms.values())
        )

    def spare(
        self, names: Iterable[str], cells: Sequence[Cell], release: str = ""
    ) -> Iterator[str]:
        """Yield unchosen companions for the platforms that have them, bound to a release if any."""
        for name in names:
            without = {cell.platform for cell in cells if name not in self.cells.spare(cell)}
            served = [platform for platform in self.answers.platforms if platform not in without]
            bounds = self.facts.pair_bounds(name, release) if release else ""
            yield from self.by_marker({f"{name}{bounds}": served})

    def numpy_requirements(self) -> Iterator[str]:
        guarded = self.cells.guarded
        free = [platform for platform in self.answers.platforms if platform not in guarded]
        # uv locks one version for all where it can, and that would be NumPy 1. It has to be NumPy 1
        # if a companion may require that, also one that is added later: uv reads one wheel of a
        # version, and takes what that requires for all of them.
        apart = (
            guarded
            and set(self.cells.pythons) <= set(self.facts.numpy_2.pythons)
            and not any(self.facts.requires_numpy_1(cell.release) for cell in self.cells.all)
        )
        yield from self.by_marker({"numpy>=2" if apart else "numpy": free, "numpy<2": [*guarded]})

    def by_marker(self, pins: Mapping[str, list[str]], also: str = "") -> Iterator[str]:
        """Yield the requirements of one package, from pin -> the platforms that it holds on.

        `also` is a marker that holds for all of them.
        """
        used = {pin: platforms for pin, platforms in pins.items() if platforms}
        markers = split(used.values(), self.answers.platforms)
        for pin, marker in zip(used, markers, strict=True):
            bracketed = f"({marker})" if also and " or " in marker else marker
            condition = " and ".join(filter(None, (also, bracketed)))
            yield f"{pin} ; {condition}" if condition else pin

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

    def sources(self) -> dict[str, tuple[Source, ...]]:
        """Return package -> its sources, none for what comes from PyPI everywhere.

        With one build per platform they hold for companions too that only others require. uv takes
        no source of an extra or a group for a package that this does not name.
        """
        layout, gated = self.answers.layout, {line.split()[0] for line in self.gate}
        sources: dict[str, tuple[Source, ...]] = {}
        for variant in self.answers.variants:
            for name, packages in self.by_package(self.sourced(variant)).items():
                origins: dict[str, list[str]] = {}
                for platform, package in packages:
                    origins.setdefault(package.origin, []).append(platform)
                markers = split(origins.values(), self.answers.platforms)
                extra = variant.name if layout == EXTRAS else ""
                group = variant.name if layout == GROUPS else TORCH * (name in gated)
                entries = tuple(
                    Source(_index_name(origin), marker, extra, group)
                    for origin, marker in zip(origins, markers, strict=True)
                    if origin != PYPI
                )
                if entries:
                    sources[name] = sources.get(name, ()) + entries
        return sources

    def sourced(self, variant: Variant) -> tuple[Cell, ...]:
        """Return the cells of a variant with all packages that a source may serve there."""
        cells = self.cells.of(variant)
        if self.answers.layout != MARKERS:
            return cells
        return tuple(
            cell._replace(packages=(*cell.packages, *self.cells.spare(cell).values()))
            for cell in cells
        )

    def indexes(self) -> Iterator[Index]:
        """Yield the indexes of PyTorch, and what takes PyPI's place."""
        mirror, seen = self.answers.pytorch_index, {PYPI}
        for variant in self.answers.variants:
            for cell in self.sourced(variant):
                for package in cell.packages:
                    if package.origin not in seen:
                        seen.add(package.origin)
                        url = cell.url or mirror.url_of(package.origin)
                        yield Index(_index_name(package.origin), url, mirror.flat and not cell.url)
        if index := self.answers.package_index:
            yield Index(index.name, index.url, default=True)

    def last_releases(self) -> dict[str, str]:
        """Return build -> the last release with it, of builds that newer releases do not have."""
        builds = dict.fromkeys(cell.backend for cell in self.cells.all if not cell.url)
        last_releases = {build: self.facts.last_release(build) for build in builds}
        unended = ("", self.facts.releases[-1])
        return {build: last for build, last in last_releases.items() if last not in unended}

    def hosts(self) -> tuple[str, ...]:
        """Return the hosts that the packages of PyTorch's indexes come from, PyPI left out."""
        hosts: dict[str, None] = {}
        for cell in self.cells.all:
            if cell.url:
                hosts[host_of(cell.url)] = None
            elif any(package.origin != PYPI for package in cell.packages):
                hosts.update(dict.fromkeys(self.answers.pytorch_index.hosts))
                hosts.update(dict.fromkeys(self.facts.hosts_of(cell.backend)))
        return tuple(hosts)


def _pin(package: Package, torch_pin: str) -> str:
    version = package.full_version if torch_pin == LOCAL else package.version
    return f"{package.name}=={version}" if version else package.name


def _index_name(index: str) -> str:
    return f"pytorch-{index}"
