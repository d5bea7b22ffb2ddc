"""What is wrong with a project, whom it hurts, and the smallest edit that mends it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from packaging.markers import Marker

from adopt import edit
from adopt.edit import Edit
from adopt.measure import USUAL, Cell, Got, Place, Table, is_unsolvable
from adopt.parse import (
    BASE,
    KINDS,
    UV,
    Index,
    Line,
    Option,
    Project,
    Source,
    build_of_url,
    conflicts,
    family,
    holds,
    normal,
    unique,
    value_at,
)
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.catalog.versions import CPU, PYPI, TORCH, version_key
from torch_plan.project.markers import environment, split
from torch_plan.text import listed

BROKEN = "broken"
"""Somebody cannot install, or gets another build than the file asks for."""
DRIFTS = "drifts"
"""Platforms, or days, can lock different releases."""
ADVICE = "advice"
"""It works, and does not say what it seems to say."""
LEVELS = (BROKEN, DRIFTS, ADVICE)

_EXTRA = r"\s*(?:\band\b)?\s*extra\s*==\s*['\"]([\w.-]+)['\"]\s*(?:\band\b)?\s*"


class Finding(NamedTuple):
    """One thing that is wrong."""

    level: str
    text: str
    """What is wrong, and for whom."""
    places: tuple[Place, ...] = ()
    """The cells that it is about; only they may change when it is mended."""
    edits: tuple[Edit, ...] = ()
    way: str = ""
    """What a person can do, where there is no edit."""


class Seen(NamedTuple):
    """A cell, with the torch that it gets."""

    place: Place
    cell: Cell
    torch: Got | None
    build: str
    """The build of torch; empty for none, and where nobody knows."""


class View:
    """A project and what was measured of it; `names_arm` says whether its owner named that."""

    def __init__(self, project: Project, table: Table, facts: Facts, *, names_arm: bool) -> None:
        self.project, self.table, self.facts = project, table, facts
        self.names_arm = names_arm
        self.family = family(facts)
        own = {*project.options}
        self.cells = {
            place: cell
            for place, cell in table.cells.items()
            if place.option in own and cell.is_locked
        }
        self.platforms = platforms_in(self.cells)
        self.seen = [self.look(place, cell) for place, cell in self.cells.items()]

    def look(self, place: Place, cell: Cell) -> Seen:
        """Return a cell with its torch."""
        torch = cell.packages.get(TORCH)
        return Seen(place, cell, torch, self.build(torch, place.platform) if torch else "")

    def build(self, got: Got, platform: str) -> str:
        """Return the build of a package of torch's family, empty where nobody knows."""
        if got.label in self.facts.all_backends:
            return got.label
        if build := build_of_url(got.registry, self.facts):
            return build.removeprefix("nightly/")
        known = is_pypi(got) and got.public in self.facts.releases
        return self.facts.build(got.public, PYPI, platform) if known else ""

    def has_wheel(self, name: str, version: str, build: str, platform: str) -> bool:
        """Tell whether an index has a version of a package for a platform."""
        return bool(self.facts.pythons(name, version, build, platform))

    def essence(self, place: Place) -> Any:
        """Return what a cell is to somebody: releases and builds, wherever they come from."""
        cell = self.table.cells.get(place)
        if cell is None or cell.missing:
            return cell is not None
        packages = [
            (name, got.public, demanded_build(self, name, got, place.platform) or got.label)
            for name, got in sorted(cell.packages.items())
            if name in self.family or name == "numpy"
        ]
        return packages, cell.is_locked

    def exists(self, name: str, got: Got, place: Place) -> bool:
        """Tell whether the index of a package has a wheel for a cell that got none."""
        build = build_of_url(got.registry, self.facts)
        pythons = self.facts.pythons(name, got.public, build, place.platform) if build else ()
        return place.python in pythons

    def has_arm(self, got: Got) -> bool:
        """Tell whether a build is of a family that Linux on ARM has wheels of, in any release."""
        build = got.label or build_of_url(got.registry, self.facts)
        return not build.startswith(("rocm", "xpu"))

    def is_variant(self, option: Option) -> bool:
        """Tell whether an extra or a group chooses a build: torch has a source for it."""
        sources = self.project.sources_of(TORCH, option)
        return any(option.kind in source.entry for source in sources)

    def sources_at(self, name: str, place: Place) -> list[Source]:
        """Return the sources of a package that hold in a cell."""
        sources = self.project.sources_of(name, place.option)
        return [source for source in sources if holds(source.marker, *place[1:])]

    def lines_at(self, name: str, place: Place) -> list[Line]:
        """Return the requirements of a package that hold in a cell."""
        lines = self.project.required(place.option)
        return [
            line
            for line in lines
            if line.name == name and holds(line.requirement.marker, *place[1:])
        ]

    def build_of(self, source: Source) -> str:
        """Return the build of the index of a source, empty for one that is not PyTorch's."""
        index = self.project.index_named(source.entry.get("index", ""))
        return build_of_url(index.url, self.facts) if index else ""

    def open_indexes(self) -> list[tuple[Index, str]]:
        """Return the indexes of PyTorch that serve any package, and their builds."""
        indexes = [index for index in self.project.indexes if not index.explicit]
        return [(one, build) for one in indexes if (build := build_of_url(one.url, self.facts))]

    def alike(self, source: Source) -> list[Source]:
        """Return the sources of torch's family with the same marker."""
        return [
            other
            for other in self.project.sources
            if other.name in self.family and other.entry.get("marker") == source.entry.get("marker")
        ]

    def victims(self, places: Sequence[Place]) -> str:
        """Return whom places are: platforms, and options and Pythons where they are not all."""
        options = unique(place.option for place in places)
        pythons = unique(place.python for place in places)
        text = listed(platforms_in(places))
        if len(self.project.options) > len(options):
            text += f" ({', '.join(f'`{option}`' for option in options)})"
        if len(pythons) < len({place.python for place in self.cells}):
            text += f" with Python {listed(pythons)}"
        return text

    def beside(self, places: Iterable[Place]) -> tuple[Place, ...]:
        """Return all cells of the platforms of some places."""
        platforms = platforms_in(places)
        return tuple(place for place in self.cells if place.platform in platforms)


def find(view: View) -> list[Finding]:
    """Return everything that is wrong with a project, the worst first."""
    rules = (
        find_missing_conflicts,
        find_labels_without_index,
        find_missing_triton,
        find_extra_in_marker,
        find_no_wheel,
        find_amd64,
        find_newest_of_any_index,
        find_through_others,
        find_unfit_pairs,
        find_other_builds,
        find_numpy,
        find_known_faults,
        find_different_releases,
        find_narrow_sources,
        find_torch_backend,
        find_settings_of_others,
    )
    found = [finding for rule in rules for finding in rule(view)]
    found = (
        found if any(one.level == BROKEN for one in found) else [*found, *find_no_solution(view)]
    )
    return sorted(found, key=lambda finding: LEVELS.index(finding.level))


# --- Somebody cannot install ----------------------------------------------------------------------


def find_missing_conflicts(view: View) -> Iterator[Finding]:
    """Find extras and groups that name different indexes and do not exclude each other."""
    if "conflicting indexes" not in str(view.table.unmeasured):
        return
    chosen = {
        (kind, source.entry[kind]): source.entry.get("index")
        for source in view.project.sources_of(TORCH)
        for kind in KINDS
        if kind in source.entry
    }
    excluded = conflicts(view.project)
    pairs = [
        pair
        for pair in combinations(chosen, 2)
        if chosen[pair[0]] != chosen[pair[1]]
        and not any({(kind, normal(name)) for kind, name in pair} <= one for one in excluded)
    ]
    names = unique(one for pair in pairs for one in pair)
    if names:
        yield Finding(
            BROKEN,
            f"Nobody can lock: {listed([name for _, name in names])} take torch from different "
            "indexes, and nothing says that they exclude each other.",
            edits=(edit.exclude_each_other(view.project, names),),
        )


def find_labels_without_index(view: View) -> Iterator[Finding]:
    """Find pins such as `2.9.1+cu128` where no index has such a version."""
    facts, project, why = view.facts, view.project, view.table.why_nothing
    lines = [line for line in project.lines if line.label and line.name in view.family]
    torch = next((line for line in lines if line.name == TORCH), None)
    declared = {build_of_url(index.url, facts) for index in project.indexes}
    if torch and {line.label for line in lines} == {torch.label} and torch.label not in declared:
        platforms = [one for one in USUAL if view.has_wheel(TORCH, torch.release, torch.label, one)]
        if "no version of" in why and f"+{torch.label}" in why and platforms:
            yield Finding(
                BROKEN,
                f"Nobody can lock: {torch.text} is in PyTorch's index of {torch.label} alone, and "
                "no index is named.",
                edits=tuple(name_index(view, lines, torch.label, platforms)),
            )


def name_index(
    view: View, lines: Sequence[Line], build: str, platforms: Sequence[str]
) -> Iterator[Edit]:
    """Yield the edits that say by an index what labels said, on the platforms that have it."""
    name, edits = edit.add_index(view.project, build, view.facts)
    others = [one for one in USUAL if one not in platforms]
    marker = split([platforms, others], USUAL)[0] if others else ""
    entry = {"index": name, "marker": marker} if marker else {"index": name}
    yield from edits
    for package in unique(line.name for line in lines):
        yield from edit.add_sources(view.project, package, [entry])
    yield from edit.without_labels(lines)


def find_missing_triton(view: View) -> Iterator[Finding]:
    """Find the triton package of ROCm and XPU where only PyTorch's index has it, and none is named.

    uv names it: `no version of pytorch-triton-rocm{sys_platform == 'linux'}==3.5.1`.
    """
    project, why = view.project, str(view.table.unmeasured)
    named = re.findall(r"no versions? of ([\w-]+)(?:\{[^}]*\})?==([\w.]+)", why)
    named += [(name, "") for name in re.findall(r"([\w-]+) was not found in the", why)]
    for name, version in unique(named):
        if name in view.facts.all_tritons and not project.sources_of(name):
            sources = [
                source
                for source in project.sources_of(TORCH)
                if view.build_of(source).startswith(("rocm", "xpu"))
            ]
            systems = ["linux-x86_64", *(["windows-x86_64"] if "xpu" in name else [])]
            marker = " or ".join(map(environment, systems))
            text = f"{name}{'==' if version else ''}{version} ; {marker}"
            lists = [
                line
                for line in project.of(TORCH)
                if line.keys[0] != "tool"
                and any(
                    source.entry.get("extra", line.keys[-1]) == line.keys[-1] for source in sources
                )
            ]
            edits = [Edit(line.path, line.keys, None, text) for line in lists]
            edits += edit.add_sources(project, name, [source.entry for source in sources])
            yield Finding(
                BROKEN,
                f"Nobody can lock: torch requires {name}, which PyTorch's index alone has, and a "
                "source holds only for what is required by name.",
                edits=tuple(edits) if sources else (),
            )


def find_no_solution(view: View) -> Iterator[Finding]:
    """Find requirements that no lock can meet, as far as all indexes answered."""
    if is_unsolvable(view.table.why_nothing):
        text = "Nobody can lock: uv finds no solution, for the reason above."
        yield Finding(BROKEN, text, way="Change the requirements that uv names.")


def find_extra_in_marker(view: View) -> Iterator[Finding]:
    """Find sources with `extra == …` in their marker, which uv drops."""
    for source in view.project.sources:
        marker = source.entry.get("marker", "")
        extra = re.search(_EXTRA, marker)
        if extra and source.name in view.family:
            rest = re.sub(_EXTRA, " ", marker, count=1).strip()
            entry = {key: value for key, value in source.entry.items() if key != "marker"}
            entry |= {"extra": extra[1]} | ({"marker": rest} if rest else {})
            yield Finding(
                BROKEN,
                f"uv drops `extra == '{extra[1]}'` from a marker: the source {entry.get('index')} "
                f"of {source.name} would hold for everybody.",
                tuple(view.cells),
                () if " or " in marker else (edit.source_edit(source, entry),),
                f'Write extra = "{extra[1]}" beside the marker.',
            )


def find_no_wheel(view: View) -> Iterator[Finding]:
    """Find platforms and Pythons on which torch, or what comes with it, cannot be installed."""
    for (name, got), places in grouped(lacking(view)):
        if mixed := [place for place in places if view.exists(name, got, place)]:
            yield find_wrong_wheel(view, name, got, mixed)
        else:
            whole = [place for place in places if is_everywhere(view, place, name)]
            yield from find_platforms(view, name, got, whole)
            yield from find_pythons(view, name, got, [one for one in places if one not in whole])


def lacking(view: View) -> Iterator[tuple[tuple[str, Got], Place]]:
    """Yield what of torch's family has no wheel, and where."""
    for place, cell in view.cells.items():
        # What cannot be installed for other reasons is not PyTorch's matter.
        if cell.missing.keys() <= view.family and not is_served_otherwise(view, place):
            yield from ((one, place) for one in cell.missing.items())


def find_platforms(view: View, name: str, got: Got, places: Sequence[Place]) -> Iterator[Finding]:
    """Find platforms without a wheel. Linux on ARM is told, and left alone if nobody named it."""
    named = [one for one in places if one.platform != "linux-aarch64" or view.names_arm]
    others = [one for one in places if one not in named and view.has_arm(got)]
    for level, own in ((BROKEN, named), (ADVICE, others)):
        if own:
            yield Finding(
                level,
                f"{name} {got.version} has no wheel for {view.victims(own)}.",
                view.beside(own),
                tuple(mend_no_wheel(view, name, got, own)),
                "Take another release or build: torch_version=… torch_backend=…",
            )


def find_pythons(view: View, name: str, got: Got, places: Sequence[Place]) -> Iterator[Finding]:
    """Find Pythons without a wheel: broken is the oldest, others may be left out."""
    pythons = sorted({place.python for place in places}, key=version_key)
    oldest = min((place.python for place in view.cells), key=version_key)
    if places:
        yield Finding(
            BROKEN if oldest in pythons else ADVICE,
            f"requires-python admits Python {listed(pythons)}, for which {name} {got.version} "
            f"has no wheel on {listed(platforms_in(places))}.",
            tuple(places),
            way="Leave it out of requires-python, or take another release: torch_version=…",
        )


def find_wrong_wheel(view: View, name: str, got: Got, places: Sequence[Place]) -> Finding:
    """Say that uv locked a version that other platforms have: one index holds several labels."""
    root = view.project.root
    exact = [environment(platform) for platform in view.platforms]
    keys = (*UV, "environments")
    return Finding(
        BROKEN,
        f"uv locked {name} {got.version} for {view.victims(places)}, which is a wheel of other "
        f"platforms: {name} {got.public} exists there.",
        tuple(view.cells),
        () if root.uv.get("environments") else (Edit(root.path, keys, None, exact, whole=True),),
        "Name each platform exactly in `environments`.",
    )


def is_served_otherwise(view: View, place: Place) -> bool:
    """Tell whether a platform that an extra or a group is not for gets torch with another one."""
    others = [
        seen.place.option
        for seen in view.seen
        if seen.torch and seen.place[1:] == place[1:] and not seen.cell.missing
    ]
    return view.is_variant(place.option) and any(map(view.is_variant, others))


def is_everywhere(view: View, place: Place, name: str) -> bool:
    """Tell whether a package lacks a wheel for all Pythons of an option on a platform."""
    others = [cell for other, cell in view.cells.items() if other[:2] == place[:2]]
    return all(name in cell.missing for cell in others)


def mend_no_wheel(view: View, name: str, got: Got, places: Sequence[Place]) -> list[Edit]:
    """Let a package come from PyPI where its index has no wheel; or not at all if nobody has.

    torch is never left out. What has the same index goes with it.
    """
    platforms = platforms_in(places)
    sources = unique(source for place in places for source in view.sources_at(name, place))
    lines = unique(line for place in places for line in view.lines_at(name, place))
    if sources and all(view.has_wheel(name, got.public, PYPI, one) for one in platforms):
        if name == TORCH:
            sources = unique([*sources, *with_same_index(view, sources, places)])
        edits = edit.limit_sources(sources, platforms, view.platforms)
        return [*edits, *edit.without_labels(lines)] if edits else []
    builds = view.facts.indexes(name, got.public)
    known = any(view.has_wheel(name, got.public, one, at) for one in builds for at in platforms)
    return [] if known or name == TORCH else edit.limit_lines(lines, platforms, view.platforms)


def with_same_index(
    view: View, sources: Sequence[Source], places: Sequence[Place]
) -> Iterator[Source]:
    """Yield the sources of torch's family that name one of the same indexes somewhere."""
    indexes = [source.entry.get("index") for source in sources]
    for source in view.project.sources:
        at = [source in view.sources_at(source.name, place) for place in places]
        if source.name in view.family and source.entry.get("index") in indexes and any(at):
            yield source


# --- Another build than the file asks for ---------------------------------------------------------


def cpu_of_pypi(view: View) -> Iterator[tuple[Source, Place]]:
    """Yield cells with PyPI's CPU build, and the sources that name one for GPUs which they lack."""
    for seen in view.seen:
        if seen.torch and seen.build == CPU and is_pypi(seen.torch):
            for source in view.project.sources_of(TORCH, seen.place.option):
                build = view.build_of(source)
                is_served = view.has_wheel(TORCH, seen.torch.public, build, seen.place.platform)
                if build not in ("", CPU) and is_served:
                    yield source, seen.place


def find_amd64(view: View) -> Iterator[Finding]:
    """Find sources that leave Windows out by a name of the machine that it does not have."""
    pairs = [
        (source, place)
        for source, place in cpu_of_pypi(view)
        if holds(Marker(edit.also_amd64(source.entry.get("marker") or "os_name == ''")), *place[1:])
    ]
    for source, places in grouped(pairs):
        edits = [
            edit.source_edit(one, {**one.entry, "marker": edit.also_amd64(one.entry["marker"])})
            for one in view.alike(source)
        ]
        yield Finding(
            BROKEN,
            f"PyPI's CPU build of torch is installed on {view.victims(places)}, and not that of "
            f"the index {source.entry['index']}: Windows says AMD64, and the source x86_64.",
            view.beside(places),
            tuple(edits),
        )


def find_narrow_sources(view: View) -> Iterator[Finding]:
    """Find builds for GPUs that exist on a system for which the file does not ask for them."""
    pairs = [
        (source, place)
        for source, place in cpu_of_pypi(view)
        # Who names machines, or PyPI's build in words, has thought of the others.
        if "machine" not in source.entry.get("marker", "machine")
    ]
    for source, places in grouped(pairs):
        systems = unique(PLATFORMS[place.platform].sys_platform for place in places)
        added = " or ".join(f"sys_platform == '{system}'" for system in systems)
        edits = [
            edit.source_edit(one, {**one.entry, "marker": f"{one.entry['marker']} or {added}"})
            for one in view.alike(source)
        ]
        yield Finding(
            ADVICE,
            f"PyPI's CPU build of torch is installed on {view.victims(places)}; the index "
            f"{source.entry['index']} has one for GPUs there, and its marker leaves it out.",
            view.beside(places),
            tuple(edits),
        )


def find_newest_of_any_index(view: View) -> Iterator[Finding]:
    """Find an index for GPUs that all packages may come from, and PyPI's CPU build of torch."""
    for index, build in view.open_indexes():
        places = [
            seen.place
            for seen in view.seen
            if seen.torch and is_pypi(seen.torch) and seen.build == CPU != build
            if not seen.place.platform.startswith("macos")
        ]
        if places:
            yield Finding(
                BROKEN,
                f"The file names the index of {build} ({index.setting}), and PyPI's CPU build of "
                f"torch is installed on {view.victims(places)}: uv took the newest of any index.",
                tuple(places),
                way=f"Say which build it is: torch_backend={build}",
            )


def find_through_others(view: View) -> Iterator[Finding]:
    """Find torch that another package brings, from PyPI, where the file names an index for it."""
    brought = [
        (seen.place.option, seen.place)
        for seen in view.seen
        if seen.torch and is_pypi(seen.torch) and not view.lines_at(TORCH, seen.place)
    ]
    for option, places in grouped(brought if view.project.sources_of(TORCH) else []):
        if held := [place for place in places if view.sources_at(TORCH, place)]:
            yield Finding(
                BROKEN,
                "Another package brings torch, from PyPI and not from the index of the file, "
                f"on {view.victims(held)}: a source holds only where torch is required by name.",
                tuple(view.cells),
                (Edit(view.project.manifest.path, BASE, None, TORCH),),
            )
        elif not option.kind:
            yield Finding(
                BROKEN,
                f"`{option}` installs PyPI's torch on {listed(platforms_in(places))}: another "
                "package requires it; the builds of the file come with extras or groups alone.",
                tuple(places),
                way="A group can be the default, an extra cannot: layout=groups",
            )


# --- Pairs that do not work -----------------------------------------------------------------------


def companions_of(view: View) -> Iterator[tuple[str, Got, Seen, str]]:
    """Yield the companions that are installed beside a known torch: name, version, cell, release.

    What the facts do not know is not denied.
    """
    for seen in view.seen:
        if seen.torch and seen.torch.public in view.facts.releases:
            for name in view.facts.all_companions:
                got = seen.cell.packages.get(name)
                if got and view.facts.indexes(name, got.public):
                    yield name, got, seen, seen.torch.public


def find_unfit_pairs(view: View) -> Iterator[Finding]:
    """Find companions whose version was not made for this torch."""
    facts = view.facts
    groups = grouped(
        ((name, got.public, release), seen.place)
        for name, got, seen, release in companions_of(view)
        if is_unfit(view, name, got, seen)
    )
    for (name, version, release), places in groups:
        fitting = facts.companions(release).get(name, ())
        is_alone = [one for (other, _, one), _ in groups if other == name] == [release]
        yield Finding(
            BROKEN,
            f"{name} {version} was not made for torch {release}, and is installed beside it on "
            f"{view.victims(places)}; {listed(fitting, 'or') if fitting else 'no version'} was.",
            view.beside(places),
            tuple(bound_edits(view, name, release)) if fitting and is_alone else (),
            f"Require {name}{facts.pair_bounds(name, release)}."
            if fitting
            else f"Take a newer torch, or leave {name} out.",
        )


def is_unfit(view: View, name: str, got: Got, seen: Seen) -> bool:
    """Tell whether a companion goes with another torch, though its metadata admits this one.

    Where the metadata names a torch, uv has kept to it.
    """
    release = seen.torch.public if seen.torch else ""
    fitting = view.facts.companions(release).get(name, ())
    if got.public in fitting:
        return False
    if fitting and version_key(got.public) > version_key(fitting[0]):
        return "<" in view.facts.pair_bounds(name, release)
    return not view.facts.pypi_build(name, got.public, seen.place.platform)


def bound_edits(view: View, name: str, release: str) -> Iterator[Edit]:
    """Yield the constraint that keeps a companion beside a release of torch.

    It holds where that release is; uv's constraints know platforms, and no extras or groups.
    """
    others = platforms_in(
        one.place for one in view.seen if one.torch and one.torch.public != release
    )
    limit = edit.without(others, view.platforms) if others else ""
    is_pinned = any(line.is_exact for line in view.project.of(name))
    if not is_pinned and bool(limit) == bool(others):
        bound = f"{name}{view.facts.pair_bounds(name, release)}"
        yield edit.constrain(view.project, f"{bound} ; {limit}" if limit else bound)


def find_other_builds(view: View) -> Iterator[Finding]:
    """Find companions that were compiled for another build than that of their torch."""
    pairs = [
        ((name, got.version, demanded, seen.build), seen.place)
        for name, got, seen, release in companions_of(view)
        if got.public in view.facts.companions(release).get(name, ())
        if (demanded := demanded_build(view, name, got, seen.place.platform))
        if seen.build and demanded != seen.build
    ]
    for (name, version, demanded, build), places in grouped(pairs):
        yield Finding(
            BROKEN,
            f"{name} {version} was compiled for the {demanded} build of torch, and is installed "
            f"beside the {build} build on {view.victims(places)}.",
            view.beside(places),
            tuple(mend_other_build(view, name, places)),
            f"Give {name} the sources of torch.",
        )


def demanded_build(view: View, name: str, got: Got, platform: str) -> str:
    """Return the build of torch that a companion was compiled for, empty for any."""
    if name not in view.facts.all_companions:
        return view.build(got, platform)
    on_pypi = view.facts.pypi_build(name, got.public, platform)
    return on_pypi if is_pypi(got) or not on_pypi else view.build(got, platform)


def mend_other_build(view: View, name: str, places: Sequence[Place]) -> list[Edit]:
    """Give a companion the sources of torch, where it has none.

    A source holds for what is required by name, or constrained by a version.
    """
    sources = [source.entry for source in view.project.sources_of(TORCH)]
    if view.project.sources_of(name) or not sources:
        return []
    edits = edit.add_sources(view.project, name, sources)
    if all(view.lines_at(name, place) for place in places):
        return edits
    releases = {view.cells[place].packages[TORCH].public for place in places}
    if len(releases) > 1 or any(kind in entry for entry in sources for kind in KINDS):
        return []
    bound = view.facts.pair_bounds(name, *releases)
    return [*edits, edit.constrain(view.project, f"{name}{bound}")]


def find_numpy(view: View) -> Iterator[Finding]:
    """Find NumPy 2 beside a torch that was compiled against NumPy 1."""
    pairs = [
        (seen.torch.public, seen.place)
        for seen in view.seen
        if seen.torch and seen.torch.public in view.facts.releases
        if seen.place.platform in view.facts.numpy_1_platforms(seen.torch.public)
        if (numpy := seen.cell.packages.get("numpy")) and version_key(numpy.version)[:1] >= (2,)
    ]
    for release, places in grouped(pairs):
        systems = {PLATFORMS[place.platform].sys_platform for place in places}
        others = {PLATFORMS[name].sys_platform for name in view.platforms} - systems
        marker = f" ; sys_platform == '{min(systems)}'" if len(systems) == 1 and others else ""
        yield Finding(
            BROKEN,
            f"torch {release} was compiled against NumPy 1, and NumPy 2 is installed beside it on "
            f"{view.victims(places)}.",
            view.beside(places),
            (edit.constrain(view.project, f"numpy<2{marker}"),),
            "Require numpy<2, or take a newer torch.",
        )


def find_known_faults(view: View) -> Iterator[Finding]:
    """Find published builds that are known not to work."""
    pairs = [
        (f"torch {seen.torch.version} on {seen.place.platform}: {reason}", seen.place)
        for seen in view.seen
        if seen.torch
        if (
            reason := view.facts.hardware.why_broken(
                seen.torch.public, seen.build, seen.place.platform
            )
        )
    ]
    for reason, places in grouped(pairs):
        way = "Take another release: torch_version=…"
        yield Finding(BROKEN, f"{reason}.", tuple(places), way=way)


# --- Platforms, or days, can lock different releases ----------------------------------------------


def find_different_releases(view: View) -> Iterator[Finding]:
    """Find options whose platforms got different releases, though each admits all of them."""
    told: list[list[str]] = []
    oldest = min((place.python for place in view.cells), key=version_key, default="")
    for option in view.project.options:
        locked = {
            seen.place: seen.torch.public
            for seen in view.seen
            if seen.torch and (seen.place.option, seen.place.python) == (option, oldest)
        }
        releases = sorted({*locked.values()}, key=version_key)
        if len(releases) > 1 and releases not in told and all_admit(view, locked):
            told.append(releases)
            places = [[place for place in locked if locked[place] == one] for one in releases]
            parts = [
                f"{release} on {listed(platforms_in(own))}"
                for release, own in zip(releases, places, strict=True)
            ]
            yield Finding(
                DRIFTS,
                f"The requirements let platforms lock different releases: torch {listed(parts)}.",
                tuple(view.cells),
                (edit.constrain(view.project, f"{TORCH}=={releases[0]}"),),
                f"One for all: --drifts, or torch_version={releases[0]}",
            )


def all_admit(view: View, locked: dict[Place, str]) -> bool:
    """Tell whether the requirements of each place admit the releases of all others."""
    settings = [line for line in view.project.of(TORCH) if line.keys[0] == "tool"]
    return all(
        line.public.contains(release)
        for place in locked
        for line in [*view.lines_at(TORCH, place), *settings]
        if holds(line.requirement.marker, *place[1:])
        for release in locked.values()
    )


# --- It works, and does not say what it seems to say ----------------------------------------------


def find_torch_backend(view: View) -> Iterator[Finding]:
    """Find `torch-backend`, which `uv pip` reads and `uv sync` does not."""
    keys = (*UV, "pip", "torch-backend")
    asked = value_at(view.project.root.data, keys)
    places = [
        seen.place
        for seen in view.seen
        if asked and seen.build not in ("", asked) and not view.sources_at(TORCH, seen.place)
        if not seen.place.platform.startswith("macos")
        if asked != "auto" or seen.build == CPU
    ]
    if asked:
        hurt = f", and another build is installed on {view.victims(places)}" if places else ""
        backend = "cu128" if asked == "auto" else asked
        yield Finding(
            BROKEN if places else ADVICE,
            f'`torch-backend = "{asked}"` is for `uv pip`: `uv sync` does not read it{hurt}.',
            tuple(places),
            () if places else (Edit(view.project.root.path, keys, None, None, whole=True),),
            f"`uv sync` reads sources and indexes: torch_backend={backend}",
        )


def find_settings_of_others(view: View) -> Iterator[Finding]:
    """Find indexes of PyTorch that other tools read, where uv has none for torch."""
    project = view.project
    if project.sources_of(TORCH) or view.open_indexes() or not any(one.torch for one in view.seen):
        return
    tools = value_at(project.manifest.data, ("tool",)) or {}
    words = [(f"[tool.{name}]", text) for name in tools for text in texts_in(tools[name])]
    required = project.manifest.path.with_name("requirements.txt")
    if required.is_file():
        text = required.read_text(encoding="utf-8", errors="replace")
        words += [("requirements.txt", word) for word in text.split()]
    named = {
        where: build
        for where, word in words
        if where != "[tool.uv]" and "://" in word and (build := build_of_url(word, view.facts))
    }
    for where, build in named.items():
        text = f"{where} names the index of {build}, which uv does not read: torch is PyPI's."
        yield Finding(ADVICE, text, way=f"torch_backend={build}")


def texts_in(value: Any) -> Iterator[str]:
    """Yield all texts within a value of TOML."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from texts_in(one)


# --- Words ----------------------------------------------------------------------------------------


def is_pypi(got: Got) -> bool:
    """Tell whether a package comes from PyPI, or from a copy of it."""
    return got.registry.rstrip("/").endswith("/simple") and "pytorch" not in got.registry


def platforms_in(places: Iterable[Place]) -> list[str]:
    """Return the platforms of places, in the usual order."""
    named = {place.platform for place in places}
    return [name for name in PLATFORMS if name in named]


def grouped(pairs: Iterable[tuple[Any, Place]]) -> list[tuple[Any, list[Place]]]:
    """Return the places of each key; keys need not be hashable."""
    groups: list[tuple[Any, list[Place]]] = []
    for key, place in pairs:
        for known, places in groups:
            if known == key:
                places.append(place)
                break
        else:
            groups.append((key, [place]))
    return groups
