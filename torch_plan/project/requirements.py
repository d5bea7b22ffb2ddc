"""Cells as requirements, line by line: exact ones, least ones, bounds, NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import product

from torch_plan.answers.records import LOCAL, MARKERS, MINIMUM
from torch_plan.project.markers import marked
from torch_plan.resolution.cells import Cell, Cells, Package


class Requirements:
    """Writes cells down as requirements."""

    def __init__(self, cells: Cells) -> None:
        self.cells, self.answers, self.facts = cells, cells.answers, cells.facts
        self.is_library = cells.answers.torch_pin == MINIMUM

    def of(self, cells: Iterable[Cell], pin: Callable[[Package], str]) -> tuple[str, ...]:
        """Return the requirements of cells, one for each platform: each package as `pin` says it.

        It says nothing of a package that needs no requirement.
        """
        lines: list[str] = []
        for packages in self.by_package(cells).values():
            pins = [(pin(package), platform) for platform, package in packages if pin(package)]
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
        is_labelled = self.answers.torch_pin == LOCAL
        version = package.full_version if is_labelled else package.version
        return f"{package.name}=={version}" if version else package.name

    def constraints(self) -> Iterator[str]:
        """Yield what the requirements leave open: a library's exact release, and companions.

        One that some platform does without may come there with another package, in a version for
        another torch. uv has one bound for all extras and groups: where theirs differ, it has none.
        """
        if self.is_library:
            first = {cell.platform: cell for cell in reversed(self.cells.all)}
            in_order = (first[platform] for platform in self.answers.platforms)
            yield from self.of(in_order, self.exact)
        for name, platforms in self.bounds.items():
            if name not in self.apart and not all(cell.package(name) for cell in self.cells.all):
                yield from self.by_marker(
                    (f"{name}{bound}", platform)
                    for platform, (bound,) in platforms.items()
                    if bound
                )

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
            pin = f"{name}{self.facts.pair_bounds(name, release) if release else ''}"
            platforms = self.answers.platforms
            yield from self.by_marker((pin, one) for one in platforms if one not in without)

    def numpy(self) -> Iterator[str]:
        """Yield the requirements of NumPy."""
        guarded = self.cells.guarded
        # uv locks one version for all where it can, and that would be NumPy 1. It has to be NumPy 1
        # if a companion may require that, also one that is added later: uv reads one wheel of a
        # version, and takes what that requires for all of them.
        apart = (
            guarded
            and set(self.cells.pythons) <= set(self.facts.numpy(2).pythons)
            and not any(self.facts.requires_numpy_1(cell.release) for cell in self.cells.all)
        )
        pins = ("numpy>=2" if apart else "numpy", "numpy<2")
        guarded_last = sorted(self.answers.platforms, key=guarded.__contains__)
        yield from self.by_marker((pins[one in guarded], one) for one in guarded_last)

    def by_marker(self, pins: Iterable[tuple[str, str]], also: str = "") -> Iterator[str]:
        """Yield the requirements of one package, from each pin and a platform that it holds on.

        `also` is a marker that holds for all of them.
        """
        for pin, marker in marked(pins, self.answers.platforms):
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


def next_minor(python: str) -> str:
    """Return `3.15` for `3.14`."""
    major, minor = python.split(".")
    return f"{major}.{int(minor) + 1}"
