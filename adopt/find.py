"""What is wrong with a project, whom it hurts, and the smallest edit that mends it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, combinations
from typing import Any, NamedTuple

from packaging.markers import Marker
from packaging.utils import canonicalize_name

from adopt import edit
from adopt.edit import Edit
from adopt.measure import NO_DATE, Cell, Got, Place, Table, is_unsolvable
from adopt.parse import (
    BASE,
    INDEXES,
    KINDS,
    UV,
    Line,
    Option,
    Project,
    Source,
    build_of_url,
    conflicts,
    holds,
    value_at,
)
from torch_plan.answers.records import DEFAULT_PLATFORMS
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.catalog.versions import CPU, PYPI, TORCH, version_key
from torch_plan.project.markers import environment
from torch_plan.text import listed

BROKEN = "broken"
"""Somebody cannot install, or gets another build than the file asks for."""
DRIFTS = "drifts"
"""Platforms, or days, can lock different releases."""
ADVICE = "advice"
"""It works, and does not say what it seems to say."""
LEVELS = (BROKEN, DRIFTS, ADVICE)

_ARM = "linux-aarch64"
_EXTRA = r"\s*(?:\band\b)?\s*extra\s*==\s*['\"]([\w.-]+)['\"]\s*(?:\band\b)?\s*"
_X86_64 = r"platform_machine\s*==\s*(['\"])x86_64\1"
_OTHER_RELEASE = "Take another release or build: torch_version=… torch_backend=…"

Key = tuple[Any, ...]
Pairs = Iterator[tuple[Key, Place]]
"""What is wrong, in the parts of its sentence, and a cell in which it is."""


class Finding(NamedTuple):
    """One thing that is wrong."""

    level: str
    text: str
    """What is wrong, and for whom."""
    places: tuple[Place, ...] = ()
    """The cells that may change when it is mended."""
    edits: tuple[Edit, ...] = ()
    way: str = ""
    """What a person can do, where there is no edit."""


class Seen(NamedTuple):
    """A cell with torch."""

    place: Place
    cell: Cell
    torch: Got
    build: str
    """The build of torch, empty where nobody knows."""


class View:
    """A project and what was measured of it; `names_arm` says whether its owner named that."""

    def __init__(self, project: Project, table: Table, facts: Facts, *, names_arm: bool) -> None:
        self.project, self.table, self.facts = project, table, facts
        self.names_arm = names_arm
        self.family = {TORCH, *facts.all_companions, *facts.all_tritons}
        self.cells = {
            place: cell
            for place, cell in table.cells.items()
            if place.option in project.options and cell.is_locked
        }
        self.platforms = platforms_in(self.cells)
        self.oldest = min((place.python for place in self.cells), key=version_key, default="")
        self.seen = [
            Seen(
                place, cell, cell.packages[TORCH], self.build(cell.packages[TORCH], place.platform)
            )
            for place, cell in self.cells.items()
            if TORCH in cell.packages
        ]
        self.known = [seen for seen in self.seen if seen.torch.public in facts.releases]
        """The cells whose torch the facts know; what they do not know is not denied."""

    def build(self, got: Got, platform: str) -> str:
        """Return the build of a package of torch's family, empty where nobody knows."""
        if got.label in self.facts.all_backends:
            return got.label
        if build := build_of_url(got.registry, self.facts):
            return build.removeprefix("nightly/")
        known = is_pypi(got) and got.public in self.facts.releases
        return self.facts.build(got.public, PYPI, platform) if known else ""

    def demanded(self, name: str, got: Got, platform: str) -> str:
        """Return the build of torch that a package was compiled for, empty for any."""
        on_pypi = self.facts.pypi_build(name, got.public, platform)
        is_companion = name in self.facts.all_companions
        return (
            on_pypi if is_companion and (is_pypi(got) or not on_pypi) else self.build(got, platform)
        )

    def has_wheel(self, name: str, version: str, build: str, platform: str) -> bool:
        """Tell whether an index has a version of a package for a platform."""
        return bool(self.facts.pythons(name, version, build, platform))

    def essence(self, place: Place) -> Any:
        """Return what a cell is to somebody: releases and builds, wherever they come from."""
        cell = self.table.cells.get(place)
        if cell is None or cell.missing:
            return cell is not None
        packages = [
            (name, got.public, self.demanded(name, got, place.platform) or got.label)
            for name, got in sorted(cell.packages.items())
            if name in {*self.family, "numpy"}
        ]
        return packages, cell.is_locked

    def is_variant(self, option: Option) -> bool:
        """Tell whether an extra or a group chooses a build: torch has a source for it."""
        return any(option.kind in one.entry for one in self.project.sources_of(TORCH, option))

    def sources_at(self, name: str, place: Place) -> list[Source]:
        """Return the sources of a package that hold in a cell."""
        sources = self.project.sources_of(name, place.option)
        return [source for source in sources if holds(source.marker, *place[1:])]

    def lines_at(self, name: str, place: Place) -> list[Line]:
        """Return the requirements of a package that hold in a cell."""
        lines = [line for line in self.project.required(place.option) if line.name == name]
        return [line for line in lines if holds(line.requirement.marker, *place[1:])]

    def build_of(self, source: Source) -> str:
        """Return the build of the index of a source, empty for one that is not PyTorch's."""
        index = self.project.index_named(source.entry.get("index", ""))
        return build_of_url(index.url, self.facts) if index else ""

    def alike(self, source: Source, marker: str) -> list[Edit]:
        """Give another marker to a source, and to those of torch's family with the same one."""
        return [
            edit.change_source(one, marker=marker)
            for one in self.project.sources
            if one.name in self.family and one.entry.get("marker") == source.entry.get("marker")
        ]

    def victims(self, places: Iterable[Place]) -> str:
        """Return whom places are: platforms, and options and Pythons where they are not all."""
        options = {place.option: None for place in places}
        pythons = [*dict.fromkeys(place.python for place in places)]
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


Mend = Callable[[View, Key, Sequence[Place]], Iterable[Edit]]
RULES: list[Callable[[View], Iterator[Finding]]] = []
"""What finds something wrong; the order is that of the report, within a level."""


def rule(
    level: str, text: str, mend: Mend = lambda *_: (), way: str = "", *, everywhere: bool = False
) -> Callable[[Callable[[View], Pairs]], None]:
    """Make a rule of a function that yields cells with what is wrong in them.

    Cells of one key make one finding. Its parts are named in the text by their numbers. A mend
    may change all cells of its platforms, or of all platforms.
    """

    def find(pairs: Callable[[View], Pairs], view: View) -> Iterator[Finding]:
        for key, places in grouped(pairs(view)).items():
            words = {
                "victims": view.victims(places),
                "platforms": listed(platforms_in(places)),
                "pythons": listed(sorted({one.python for one in places}, key=version_key)),
            }
            edits = tuple(mend(view, key, places))
            mended = tuple(view.cells) if everywhere else view.beside(places)
            way_out = way.format(*key, **words)
            yield Finding(level, text.format(*key, **words), mended, edits, way_out)

    return lambda pairs: RULES.append(partial(find, pairs))


def find(view: View) -> list[Finding]:
    """Return everything that is wrong with a project, the worst first."""
    findings = [finding for rule in RULES for finding in rule(view)]
    is_broken = any(one.level == BROKEN for one in findings)
    if is_unsolvable(view.table.why_nothing) and not is_broken:
        text = "Nobody can lock: uv finds no solution, for the reason above."
        findings.append(Finding(BROKEN, text, way="Change the requirements that uv names."))
    return sorted(findings, key=lambda finding: LEVELS.index(finding.level))


# --- Nobody can lock ------------------------------------------------------------------------------


@RULES.append
def _missing_conflicts(view: View) -> Iterator[Finding]:
    chosen = {
        (kind, canonicalize_name(source.entry[kind])): source.entry.get("index")
        for source in view.project.sources_of(TORCH)
        for kind in KINDS & source.entry.keys()
    }
    pairs = [
        pair
        for pair in combinations(chosen, 2)
        if chosen[pair[0]] != chosen[pair[1]]
        and not any({*pair} <= one for one in conflicts(view.project))
    ]
    if pairs and "conflicting indexes" in str(view.table.unmeasured):
        names = [*dict.fromkeys(chain(*pairs))]
        yield Finding(
            BROKEN,
            f"Nobody can lock: {listed([name for _, name in names])} take torch from different "
            "indexes, and nothing says that they exclude each other.",
            edits=(edit.exclude_each_other(view.project, names),),
        )


@RULES.append
def _labels_without_index(view: View) -> Iterator[Finding]:
    lines = [line for line in view.project.lines if line.label and line.name in view.family]
    torch = next((line for line in lines if line.name == TORCH), None)
    label, *others = dict.fromkeys(line.label for line in lines) or [""]
    why = view.table.why_nothing
    is_why = "no version of" in why and f"+{label}" in why
    if torch is None or others or not is_why:
        return
    release = torch.public.__str__().removeprefix("==")
    served = [one for one in DEFAULT_PLATFORMS if view.has_wheel(TORCH, release, label, one)]
    if served and label not in [build_of_url(one.url, view.facts) for one in view.project.indexes]:
        yield Finding(
            BROKEN,
            f"Nobody can lock: {torch.text} is in PyTorch's index of {label} alone, and "
            "no index is named.",
            edits=(*name_index(view, lines, label, served), *without_labels(lines)),
        )


def name_index(
    view: View, lines: Iterable[Line], build: str, platforms: Sequence[str]
) -> Iterator[Edit]:
    """Yield the edits that say by an index what labels said, on the platforms that have it."""
    others = [one for one in DEFAULT_PLATFORMS if one not in platforms]
    marker = edit.without(others, DEFAULT_PLATFORMS) if others else ""
    name, official = f"pytorch-{build}", view.facts.pytorch_mirrors["official"]
    index = {"name": name, "url": official.url_of(build), "explicit": True}
    yield Edit(view.project.root.path, INDEXES, None, index)
    for package in dict.fromkeys(line.name for line in lines):
        entry = {"index": name} | ({"marker": marker} if marker else {})
        yield from edit.add_sources(view.project, package, [entry])


def without_labels(lines: Iterable[Line]) -> Iterator[Edit]:
    """Yield the edits that leave the choice of the build to the index; the release stays."""
    for line in lines:
        if line.label:
            bare = re.sub(r"\+[\w.]+", "", line.text, count=1)
            yield Edit(line.path, line.keys, line.text, bare)


@RULES.append
def _missing_triton(view: View) -> Iterator[Finding]:
    """Find the triton package that torch requires, and PyTorch's index alone has.

    uv names it: `no version of pytorch-triton-rocm{sys_platform == 'linux'}==3.5.1`.
    """
    why = str(view.table.unmeasured)
    named = dict(re.findall(r"no versions? of ([\w-]+)(?:\{[^}]*\})?(==[\w.]+)", why))
    named |= dict.fromkeys(re.findall(r"([\w-]+) was not found in the", why), "")
    for name in [one for one in named if one in view.facts.all_tritons]:
        if not view.project.sources_of(name):
            yield Finding(
                BROKEN,
                f"Nobody can lock: torch requires {name}, which PyTorch's index alone has, and a "
                "source holds only for what is required by name.",
                edits=tuple(require_triton(view, name, named[name])),
            )


def require_triton(view: View, name: str, pin: str) -> Iterator[Edit]:
    """Yield the edits that require triton beside the torch of ROCm or XPU, from its index."""
    torch = view.project.sources_of(TORCH)
    sources = [one.entry for one in torch if view.build_of(one).startswith(("rocm", "xpu"))]
    systems = ["linux-x86_64", *["windows-x86_64"] * ("xpu" in name)]
    text = f"{name}{pin} ; {' or '.join(map(environment, systems))}"
    for line in view.project.of(TORCH):
        is_built = any(one.get("extra", line.keys[-1]) == line.keys[-1] for one in sources)
        if is_built and not line.is_setting:
            yield Edit(line.path, line.keys, None, text)
    yield from edit.add_sources(view.project, name, sources)


@RULES.append
def _cooldown(view: View) -> Iterator[Finding]:
    root, keys = view.project.root, (*UV, "exclude-newer-package")
    if NO_DATE in view.table.why_nothing and root.uv.get("exclude-newer"):
        names = [
            *dict.fromkeys(one.name for one in view.project.sources if one.name in view.family)
        ]
        spared = {**root.uv.get(keys[-1], {}), **dict.fromkeys(names, False)}
        yield Finding(
            BROKEN,
            "Nobody can lock: PyTorch's index gives no upload dates, so `exclude-newer` refuses "
            f"every file of {listed(names)}.",
            edits=(Edit(root.path, keys, None, spared, whole=True),),
        )


@RULES.append
def _extra_in_marker(view: View) -> Iterator[Finding]:
    for source in view.project.sources:
        marker = source.entry.get("marker", "")
        extra = re.search(_EXTRA, marker)
        if extra and source.name in view.family:
            rest = re.sub(_EXTRA, " ", marker, count=1).strip()
            mend = edit.change_source(source, extra=extra[1], marker=rest)
            yield Finding(
                BROKEN,
                f"uv drops `extra == '{extra[1]}'` from a marker: the source "
                f"{source.entry.get('index')} of {source.name} would hold for everybody.",
                tuple(view.cells),
                () if " or " in marker else (mend,),
                f'Write extra = "{extra[1]}" beside the marker.',
            )


# --- Somebody cannot install ----------------------------------------------------------------------


def lacking(view: View, why: str) -> Pairs:
    """Yield what of torch's family has no wheel for one reason, and where."""
    for place, cell in view.cells.items():
        # What cannot be installed for other reasons is not PyTorch's matter.
        if cell.missing.keys() <= view.family and not is_served_otherwise(view, place):
            for key in cell.missing.items():
                if why_lacking(view, *key, place) == why:
                    yield key, place


def is_served_otherwise(view: View, place: Place) -> bool:
    """Tell whether a platform that an extra or a group is not for gets torch with another one."""
    others = [
        seen.place.option
        for seen in view.seen
        if seen.place[1:] == place[1:] and not seen.cell.missing
    ]
    return view.is_variant(place.option) and any(map(view.is_variant, others))


def why_lacking(view: View, name: str, got: Got, place: Place) -> str:
    """Return why a package has no wheel in a cell."""
    build = build_of_url(got.registry, view.facts)
    lacks = [one for one, cell in view.cells.items() if cell.missing.get(name) == got]
    mixed = [
        one
        for one in lacks
        if one.python in view.facts.pythons(name, got.public, build, one.platform)
    ]
    partly = [one for one in lacks if not is_everywhere(view, one, name)]
    if mixed:
        return "label" if place in mixed else ""
    if place in partly:
        return "oldest" if view.oldest in {one.python for one in partly} else "python"
    if place.platform != _ARM or view.names_arm:
        return "platform"
    # No release of ROCm or XPU has anything for Linux on ARM.
    return "" if (got.label or build).startswith(("rocm", "xpu")) else "arm"


def is_everywhere(view: View, place: Place, name: str) -> bool:
    """Tell whether a package lacks a wheel for all Pythons of an option on a platform."""
    others = [cell for other, cell in view.cells.items() if other[:2] == place[:2]]
    return all(name in cell.missing for cell in others)


def name_environments(view: View, *_: Any) -> list[Edit]:
    """Name each platform exactly, so that uv looks for a wheel of each."""
    exact, root = [*map(environment, view.platforms)], view.project.root
    known = root.uv.get("environments")
    return [] if known else [Edit(root.path, (*UV, "environments"), None, exact, whole=True)]


def mend_no_wheel(view: View, key: Key, places: Sequence[Place]) -> list[Edit]:
    """Let a package come from PyPI where its index has no wheel; or not at all if nobody has.

    torch is never left out. What has the same index goes with it.
    """
    name, version, platforms = key[0], key[1].public, platforms_in(places)
    limit = edit.without(platforms, view.platforms)
    sources = {source: None for place in places for source in view.sources_at(name, place)}
    lines = {line: None for place in places for line in view.lines_at(name, place)}
    if not limit:
        return []
    if sources and all(view.has_wheel(name, version, PYPI, one) for one in platforms):
        sources |= dict.fromkeys(with_same_index(view, sources, places) if name == TORCH else ())
        return [*(edit.limit_source(one, limit) for one in sources), *without_labels(lines)]
    builds = view.facts.indexes(name, version)
    is_known = any(view.has_wheel(name, version, one, at) for one in builds for at in platforms)
    return [] if is_known or name == TORCH else [edit.limit_line(one, limit) for one in lines]


def with_same_index(
    view: View, sources: Iterable[Source], places: Sequence[Place]
) -> Iterator[Source]:
    """Yield the sources of torch's family that name one of the same indexes somewhere."""
    indexes = [source.entry.get("index") for source in sources]
    for source in view.project.sources:
        at = [source in view.sources_at(source.name, place) for place in places]
        if source.name in view.family and source.entry.get("index") in indexes and any(at):
            yield source


_LACKING: Mapping[str, tuple[Any, ...]] = {
    "label": (
        BROKEN,
        "uv locked {0} {1.version} for {victims}, which is a wheel of other platforms: {0} "
        "{1.public} exists there.",
        name_environments,
        "Name each platform exactly in `environments`.",
    ),
    "platform": (
        BROKEN,
        "{0} {1.version} has no wheel for {victims}.",
        mend_no_wheel,
        _OTHER_RELEASE,
    ),
    "arm": (ADVICE, "{0} {1.version} has no wheel for {victims}.", mend_no_wheel, _OTHER_RELEASE),
    **{
        why: (
            level,
            "requires-python admits Python {pythons}, for which {0} {1.version} has no wheel on "
            "{platforms}.",
            lambda *_: (),
            "Leave it out of requires-python, or take another release: torch_version=…",
        )
        for why, level in (("oldest", BROKEN), ("python", ADVICE))
    },
}
for _why, _words in _LACKING.items():
    rule(*_words, everywhere=_why == "label")(partial(lacking, why=_why))


# --- Another build than the file asks for ---------------------------------------------------------


def cpu_of_pypi(view: View) -> Iterator[tuple[Source, Place]]:
    """Yield cells with PyPI's CPU build, and the sources that name one for GPUs which they lack."""
    for seen in view.seen:
        if seen.build == CPU and is_pypi(seen.torch):
            for source in view.project.sources_of(TORCH, seen.place.option):
                build, platform = view.build_of(source), seen.place.platform
                is_gpu = build not in ("", CPU)
                if is_gpu and view.has_wheel(TORCH, seen.torch.public, build, platform):
                    yield source, seen.place


def also_amd64(marker: str) -> str:
    """Return a marker that holds on Windows too where it asks for `x86_64`; Windows says AMD64."""
    either = "platform_machine == 'x86_64' or platform_machine == 'AMD64'"
    is_all = re.fullmatch(_X86_64, marker.strip())
    return either if is_all else re.sub(_X86_64, f"({either})", marker)


@rule(
    BROKEN,
    "PyPI's CPU build of torch is installed on {victims}, and not that of the index "
    "{0.entry[index]}: Windows says AMD64, and the source x86_64.",
    lambda view, key, _: view.alike(key[0], also_amd64(key[0].entry["marker"])),
)
def _amd64(view: View) -> Pairs:
    for source, place in cpu_of_pypi(view):
        marker = source.entry.get("marker") or "os_name == ''"
        if holds(Marker(also_amd64(marker)), *place[1:]):
            yield (source,), place


@rule(
    BROKEN,
    "The file names the index of {0} ({1}), and PyPI's CPU build of torch is installed on "
    "{victims}: uv took the newest of any index.",
    way="Say which build it is: torch_backend={0}",
)
def _newest_of_any_index(view: View) -> Pairs:
    for index in view.project.indexes:
        build = build_of_url(index.url, view.facts) if index.is_open else ""
        for seen in view.seen if build not in ("", CPU) else ():
            is_cpu = seen.build == CPU and not seen.place.platform.startswith("macos")
            if is_pypi(seen.torch) and is_cpu:
                yield (build, index.setting), seen.place


def brought(view: View) -> list[Place]:
    """Return the cells whose torch another package brings, from PyPI, and a source is named."""
    return [
        seen.place
        for seen in view.seen
        if is_pypi(seen.torch) and view.project.sources_of(TORCH)
        if not view.lines_at(TORCH, seen.place)
    ]


@rule(
    BROKEN,
    "Another package brings torch, from PyPI and not from the index of the file, on {victims}: a "
    "source holds only where torch is required by name.",
    lambda view, *_: [Edit(view.project.manifest.path, BASE, None, TORCH)],
    everywhere=True,
)
def _through_others(view: View) -> Pairs:
    for place in brought(view):
        if view.sources_at(TORCH, place):
            yield (place.option,), place


@rule(
    BROKEN,
    "`{0}` installs PyPI's torch on {platforms}: another package requires it; the builds of the "
    "file come with extras or groups alone.",
    way="A group can be the default, an extra cannot: layout=groups",
)
def _through_others_alone(view: View) -> Pairs:
    bare = [place for place in brought(view) if not place.option.kind]
    if not any(view.sources_at(TORCH, place) for place in bare):
        yield from (((place.option,), place) for place in bare)


# --- Pairs that do not work -----------------------------------------------------------------------


def companions(view: View) -> Iterator[tuple[Seen, str, str, Got]]:
    """Yield the known companions beside a known torch: cell, release, name, companion."""
    for seen in view.known:
        for name in view.facts.all_companions:
            got = seen.cell.packages.get(name)
            if got and view.facts.indexes(name, got.public):
                yield seen, seen.torch.public, name, got


@rule(
    BROKEN,
    "{0} {1} was not made for torch {2}, and is installed beside it on {victims}; {3} was.",
    lambda view, key, _: bound(view, key[0], key[2]) if key[3] != "no version" else (),
    "{4}",
)
def _unfit_pairs(view: View) -> Pairs:
    for seen, release, name, got in companions(view):
        fitting = view.facts.companions(release).get(name, ())
        # Where the metadata of a companion names a torch, uv has kept to it.
        is_newer = fitting and version_key(got.public) > version_key(fitting[0])
        is_unfit = (
            "<" in view.facts.pair_bounds(name, release)
            if is_newer
            else not view.facts.pypi_build(name, got.public, seen.place.platform)
        )
        if is_unfit and got.public not in fitting:
            bounds = fitting and f"Require {name}{view.facts.pair_bounds(name, release)}."
            way = bounds or f"Take a newer torch, or leave {name} out."
            yield (
                (name, got.public, release, listed(fitting, "or") or "no version", way),
                seen.place,
            )


def bound(view: View, name: str, release: str) -> list[Edit]:
    """Return the constraint that keeps a companion beside a release of torch.

    It holds where that release is; uv's constraints know platforms, and no extras or groups.
    """
    others = [seen.place for seen in view.seen if seen.torch.public != release]
    limit = edit.without(platforms_in(others), view.platforms) if others else ""
    is_pinned = any(line.is_exact for line in view.project.of(name))
    if is_pinned or bool(limit) != bool(others):
        return []
    text = f"{name}{view.facts.pair_bounds(name, release)}"
    return [edit.constrain(view.project, f"{text} ; {limit}" if limit else text)]


def give_sources(view: View, key: Key, places: Sequence[Place]) -> list[Edit]:
    """Give a companion the sources of torch, where it has none.

    A source holds for what is required by name, or constrained by a version.
    """
    name, sources = key[0], [source.entry for source in view.project.sources_of(TORCH)]
    releases = {got.public for got in (view.cells[one].packages[TORCH] for one in places)}
    if view.project.sources_of(name):
        return []
    edits = edit.add_sources(view.project, name, sources)
    if all(view.lines_at(name, place) for place in places):
        return edits
    is_chosen = any(KINDS & entry.keys() for entry in sources)
    if not edits or is_chosen or len(releases) > 1:
        return []
    bounds = view.facts.pair_bounds(name, *releases)
    return [*edits, edit.constrain(view.project, f"{name}{bounds}")]


@rule(
    BROKEN,
    "{0} {1} was compiled for the {2} build of torch, and is installed beside the {3} build on "
    "{victims}.",
    give_sources,
    "Give {0} the sources of torch.",
)
def _other_builds(view: View) -> Pairs:
    for seen, release, name, got in companions(view):
        demanded = view.demanded(name, got, seen.place.platform)
        is_other = demanded and seen.build and demanded != seen.build
        if is_other and got.public in view.facts.companions(release).get(name, ()):
            yield (name, got.version, demanded, seen.build), seen.place


@rule(
    BROKEN,
    "torch {0} was compiled against NumPy 1, and NumPy 2 is installed beside it on {victims}.",
    lambda view, _, places: [edit.constrain(view.project, f"numpy<2{systems_of(view, places)}")],
    "Require numpy<2, or take a newer torch.",
)
def _numpy(view: View) -> Pairs:
    for seen in view.known:
        numpy = seen.cell.packages.get("numpy")
        is_old = seen.place.platform in view.facts.numpy_1_platforms(seen.torch.public)
        if numpy and is_old and version_key(numpy.version)[:1] >= (2,):
            yield (seen.torch.public,), seen.place


def systems_of(view: View, places: Sequence[Place]) -> str:
    """Return the end of a requirement that is for the one system of some places, if it is one."""
    here, everywhere = (
        {PLATFORMS[name].sys_platform for name in names}
        for names in (platforms_in(places), view.platforms)
    )
    return f" ; sys_platform == '{min(here)}'" if len(here) == 1 and here != everywhere else ""


@rule(BROKEN, "torch {0} on {platforms}: {1}.", way="Take another release: torch_version=…")
def _known_faults(view: View) -> Pairs:
    for seen in view.known:
        platform = seen.place.platform
        reason = view.facts.hardware.why_broken(seen.torch.public, seen.build, platform)
        if reason:
            yield (seen.torch.version, reason), seen.place


# --- Platforms, or days, can lock different releases ----------------------------------------------


@RULES.append
def _different_releases(view: View) -> Iterator[Finding]:
    told: set[tuple[str, ...]] = set()
    for option in view.project.options:
        locked = {
            seen.place: seen.torch.public
            for seen in view.seen
            if (seen.place.option, seen.place.python) == (option, view.oldest)
        }
        releases = tuple(sorted({*locked.values()}, key=version_key))
        if len(releases) > 1 and releases not in told and all_admit(view, locked):
            told.add(releases)
            groups = grouped((release, place) for place, release in locked.items())
            parts = [f"{one} on {listed(platforms_in(groups[one]))}" for one in releases]
            yield Finding(
                DRIFTS,
                f"The requirements let platforms lock different releases: torch {listed(parts)}.",
                tuple(view.cells),
                (edit.constrain(view.project, f"{TORCH}=={releases[0]}"),),
                f"One for all: --drifts, or torch_version={releases[0]}",
            )


def all_admit(view: View, locked: Mapping[Place, str]) -> bool:
    """Tell whether the requirements of each place admit the releases of all others."""
    settings = [line for line in view.project.of(TORCH) if line.is_setting]
    return all(
        line.public.contains(release)
        for place in locked
        for line in [*view.lines_at(TORCH, place), *settings]
        if holds(line.requirement.marker, *place[1:])
        for release in locked.values()
    )


# --- It works, and does not say what it seems to say ----------------------------------------------


@rule(
    ADVICE,
    "PyPI's CPU build of torch is installed on {victims}; the index {0.entry[index]} has one for "
    "GPUs there, and its marker leaves it out.",
    lambda view, key, places: view.alike(key[0], or_systems(key[0].entry["marker"], places)),
)
def _narrow_sources(view: View) -> Pairs:
    for source, place in cpu_of_pypi(view):
        # Who names machines, or PyPI's build in words, has thought of the others.
        if "machine" not in source.entry.get("marker", "machine"):
            yield (source,), place


def or_systems(marker: str, places: Sequence[Place]) -> str:
    """Return a marker that holds on the systems of some places too."""
    systems = {PLATFORMS[name].sys_platform: None for name in platforms_in(places)}
    return " or ".join([marker, *(f"sys_platform == '{system}'" for system in systems)])


@RULES.append
def _torch_backend(view: View) -> Iterator[Finding]:
    keys = (*UV, "pip", "torch-backend")
    asked = value_at(view.project.root.data, keys)
    places = [
        seen.place
        for seen in view.seen
        if seen.build not in ("", asked) and not view.sources_at(TORCH, seen.place)
        if not seen.place.platform.startswith("macos") and (asked != "auto" or seen.build == CPU)
    ]
    if asked:
        hurt = f", and another build is installed on {view.victims(places)}" if places else ""
        yield Finding(
            BROKEN if places else ADVICE,
            f'`torch-backend = "{asked}"` is for `uv pip`: `uv sync` does not read it{hurt}.',
            edits=() if places else (Edit(view.project.root.path, keys, None, None, whole=True),),
            way="`uv sync` reads sources and indexes: torch_backend="
            f"{'cu128' if asked == 'auto' else asked}",
        )


@RULES.append
def _settings_of_others(view: View) -> Iterator[Finding]:
    """Find indexes of PyTorch that other tools read, where uv has none for torch."""
    project = view.project
    declared = [build_of_url(one.url, view.facts) for one in project.indexes if one.is_open]
    if project.sources_of(TORCH) or any(declared) or not view.seen:
        return
    tools = value_at(project.manifest.data, ("tool",)) or {}
    texts = {f"[tool.{name}]": str(table) for name, table in tools.items() if name != "uv"}
    required = project.manifest.path.with_name("requirements.txt")
    if required.is_file():
        texts["requirements.txt"] = required.read_text(encoding="utf-8", errors="replace")
    for where, text in texts.items():
        urls = re.findall(r"\w+://[^\s'\"]+", text)
        if build := next(filter(None, (build_of_url(url, view.facts) for url in urls)), ""):
            told = f"{where} names the index of {build}, which uv does not read: torch is PyPI's."
            yield Finding(ADVICE, told, way=f"torch_backend={build}")


# --- Words ----------------------------------------------------------------------------------------


def is_pypi(got: Got) -> bool:
    """Tell whether a package comes from PyPI, or from a copy of it."""
    return got.registry.rstrip("/").endswith("/simple") and "pytorch" not in got.registry


def platforms_in(places: Iterable[Place]) -> list[str]:
    """Return the platforms of places, in the usual order."""
    named = {place.platform for place in places}
    return [name for name in PLATFORMS if name in named]


def grouped(pairs: Iterable[tuple[Any, Place]]) -> dict[Any, list[Place]]:
    """Return the places of each key."""
    groups: dict[Any, list[Place]] = {}
    for key, place in pairs:
        groups.setdefault(key, []).append(place)
    return groups
