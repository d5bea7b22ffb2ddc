"""From the cells to a plan: requirements, sources, indexes, and what each build needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import chain

from torch_plan.answers.meaning import ProperAnswers
from torch_plan.answers.problems import Note, Refused
from torch_plan.answers.records import EXTRAS, GROUPS, LOCAL, MARKERS, MINIMUM, Variant
from torch_plan.answers.slugs import package_name
from torch_plan.catalog.facts import Facts, load_facts
from torch_plan.catalog.versions import CPU, PYPI, TORCH
from torch_plan.project.markers import split
from torch_plan.project.needs import Needs
from torch_plan.project.notes import notes
from torch_plan.project.plan import Index, Option, Plan, Source, next_minor
from torch_plan.project.warnings import warnings
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
    return _Planner(examination.cells, tuple(notes(examination, answers))).plan()


class _Planner:
    """Writes the cells down as requirements, sources and indexes."""

    def __init__(self, cells: Cells, notes: tuple[Note, ...]) -> None:
        self.cells, self.notes = cells, notes
        self.answers, self.facts = cells.answers, cells.facts
        self.needs = Needs(cells.facts, cells.pythons)

    def plan(self) -> Plan:
        answers = self.answers
        options = tuple(map(self.option, answers.variants))
        demands = self.needs.demands((option.sync, option.cells) for option in options)
        shared = options[0].requirements if answers.layout == MARKERS else ()
        known_to_hurt = tuple(warnings(self.cells))
        return Plan(
            python=answers.python,
            python_end=answers.python_end,
            pythons=self.cells.pythons,
            layout=answers.layout,
            platforms=answers.platforms,
            dependencies=(*shared, *self.numpy_requirements()),
            constraints=tuple(self.constraints()),
            partial=tuple(
                line
                for line in self.spare(self.facts.all_companions, self.cells.all)
                if ";" in line
            ),
            gate=self.gate,
            options=options,
            sources=self.sources(),
            indexes=(*self.pytorch_indexes(), *self.package_indexes()),
            companions=self.companions,
            guarded_platforms=self.cells.guarded,
            hosts=self.hosts(),
            torch_pin=answers.torch_pin,
            package=package_name(answers.project_slug),
            smoke_command=(
                f"python -m {package_name(answers.project_slug)}.smoke"
                if answers.torch_pin == MINIMUM
                else f"{answers.project_slug}-smoke"
            ),
            demands=tuple(sorted(demands, key=lambda demand: demand.build == CPU)),
            notes=(
                *self.notes,
                *map(Note, (*likely_notes(self.cells), *known_to_hurt)),
            ),
            warnings=known_to_hurt,
            tied=self.facts.tied,
            last_releases=self.last_releases(),
        )

    @cached_property
    def gate(self) -> tuple[str, ...]:
        """What a library requires in a default group, for whose sake alone its sources hold.

        uv takes the sources of a library from git or a path as its user's own, and refuses a user
        with another CUDA. Of a library's groups it takes none, and so none of their sources.
        """
        if self.answers.torch_pin != MINIMUM or self.answers.layout != MARKERS:
            return ()
        return tuple(
            self.requirements(
                self.cells.all, lambda package: package.name if package.origin != PYPI else ""
            )
        )

    def group_of(self, variant: Variant, package: str) -> str:
        """Return the group that the sources of a package are for, empty for all of the project."""
        if self.answers.layout == GROUPS:
            return variant.name
        return TORCH if package in {line.split()[0] for line in self.gate} else ""

    @cached_property
    def companions(self) -> tuple[str, ...]:
        """The companions that some platform gets."""
        names = {package.name for cell in self.cells.all for package in cell.packages}
        return tuple(name for name in self.answers.companions if name in names)

    def option(self, variant: Variant) -> Option:
        cells = self.cells.of(variant)
        return Option(
            name=variant.name,
            requirements=tuple(self.requirements(cells, self.requirement)),
            labelled=tuple(self.requirements(cells, lambda package: _pin(package, LOCAL))),
            cells=cells,
            needs={
                cell.platform: (*self.needs.sentences(cell), *self.lacks(cell)) for cell in cells
            },
            bounds=tuple(self.spare(self.apart, cells, variant.release)),
            floors={cell.platform: floor for cell in cells if (floor := self.needs.floor(cell))},
            sync=self.sync_options(variant),
        )

    def requirements(self, cells: Sequence[Cell], pin: Callable[[Package], str]) -> Iterator[str]:
        """Yield the requirements of cells, one for each platform: each package as `pin` says it.

        It says nothing of a package that needs no requirement.
        """
        for packages in self.by_package(cells).values():
            pins: dict[str, list[str]] = {}
            for platform, package in packages:
                pins.setdefault(pin(package), []).append(platform)
            pins.pop("", None)
            if pins:
                yield from self.by_marker(pins, self.python_marker(packages[0][1]))

    def requirement(self, package: Package) -> str:
        """Return how a project requires a package."""
        if self.answers.torch_pin != MINIMUM:
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
        if self.answers.torch_pin == MINIMUM:
            first = {cell.platform: cell for cell in reversed(self.cells.all)}
            cells = [first[platform] for platform in self.answers.platforms]
            yield from self.requirements(cells, self.exact)
        for name in self.facts.all_companions:
            if name not in self.apart and not all(cell.package(name) for cell in self.cells.all):
                pins: dict[str, list[str]] = {}
                for platform, bounds in self.bounds(name).items():
                    pins.setdefault(f"{name}{bounds.pop()}", []).append(platform)
                pins.pop(name, None)
                yield from self.by_marker(pins)

    def bounds(self, name: str) -> dict[str, set[str]]:
        """Return platform -> the bounds that keep a companion beside its releases there."""
        bounds: dict[str, set[str]] = {}
        for cell in self.cells.all:
            pair = self.facts.pair_bounds(name, cell.release)
            bounds.setdefault(cell.platform, set()).add(pair)
        return bounds

    @cached_property
    def apart(self) -> tuple[str, ...]:
        """The companions whose bounds differ between the releases of one platform."""
        names = self.facts.all_companions
        return tuple(
            name for name in names if any(len(pairs) > 1 for pairs in self.bounds(name).values())
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
            and set(self.cells.pythons) <= set(self.facts.numpy(2).pythons)
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

    def sync_options(self, variant: Variant) -> tuple[str, ...]:
        first = self.answers.variants[0]
        if self.answers.layout == EXTRAS:
            return "--extra", variant.name
        if self.answers.layout == GROUPS and variant != first:
            return "--no-group", first.name, "--group", variant.name
        return ()

    def sources(self) -> dict[str, tuple[Source, ...]]:
        """Return package -> its sources, none for what comes from PyPI everywhere.

        With one build per platform they hold for companions too that only others require. uv takes
        no source of an extra or a group for a package that this does not name.
        """
        sources: dict[str, list[Source]] = {}
        for variant in self.answers.variants:
            for name, packages in self.by_package(self.sourced(variant)).items():
                sources.setdefault(name, []).extend(self.source_entries(variant, name, packages))
        return {name: tuple(entries) for name, entries in sources.items() if entries}

    def sourced(self, variant: Variant) -> tuple[Cell, ...]:
        """Return the cells of a variant with all packages that a source may serve there."""
        cells = self.cells.of(variant)
        if self.answers.layout != MARKERS:
            return cells
        return tuple(
            cell._replace(packages=(*cell.packages, *self.cells.spare(cell).values()))
            for cell in cells
        )

    def source_entries(
        self, variant: Variant, name: str, packages: Iterable[tuple[str, Package]]
    ) -> Iterator[Source]:
        indexes: dict[str, list[str]] = {}
        for platform, package in packages:
            indexes.setdefault(package.origin, []).append(platform)
        markers = split(indexes.values(), self.answers.platforms)
        for index, marker in zip(indexes, markers, strict=True):
            if index != PYPI:
                yield Source(
                    index_name=_index_name(index),
                    marker=marker,
                    extra=variant.name if self.answers.layout == EXTRAS else "",
                    group=self.group_of(variant, name),
                )

    def pytorch_indexes(self) -> Iterator[Index]:
        mirror, seen = self.answers.pytorch_index, {PYPI}
        for cell in chain.from_iterable(map(self.sourced, self.answers.variants)):
            for package in cell.packages:
                if package.origin not in seen:
                    seen.add(package.origin)
                    url = cell.url or mirror.url_of(package.origin)
                    yield Index(_index_name(package.origin), url, flat=mirror.flat and not cell.url)

    def package_indexes(self) -> Iterator[Index]:
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

    def lacks(self, cell: Cell) -> Iterator[str]:
        """Yield what of the answers a cell does not get: its build, a companion."""
        if cell in self.cells.fallbacks:
            yield f"there is no {cell.variant.backend} build for it"
            if nearest := self.cells.nearest(cell):
                yield f"the nearest build is {nearest}"
        yield from (f"there is no {name} for it" for name in cell.lacking)


def _pin(package: Package, torch_pin: str) -> str:
    version = package.full_version if torch_pin == LOCAL else package.version
    return f"{package.name}=={version}" if version else package.name


def _index_name(index: str) -> str:
    return f"pytorch-{index}"
