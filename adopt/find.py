"""What is wrong with a project, whom it hurts, and the smallest edit that mends it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, combinations, product
from typing import Any, NamedTuple

from packaging.utils import canonicalize_name

from adopt import edit, parse
from adopt.edit import Edit
from adopt.measure import NO_DATE, Cell, Got, Place, Table, is_unsolvable
from adopt.parse import BASE, KINDS, UV, Index, Line, Option, Project, Source, build_of_url, holds
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
    way: str = ""
    """What a person can do, where there is no edit."""
    platforms: Sequence[str] = ()
    """The platforms whose cells may change when it is mended."""
    edits: tuple[Edit, ...] = ()


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
        cells = [(place, cell) for place, cell in table.cells.items() if cell.is_locked]
        self.cells = {place: cell for place, cell in cells if place.option in project.options}
        self.platforms = platforms_in(self.cells)
        self.oldest = min((place.python for place in self.cells), key=version_key, default="")
        self.seen = [
            Seen(place, cell, torch, self.build(torch, place.platform))
            for place, cell in self.cells.items()
            if (torch := cell.packages.get(TORCH))
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
        is_general = name in self.facts.all_companions and (is_pypi(got) or not on_pypi)
        return on_pypi if is_general else self.build(got, platform)

    def indexes_with(self, name: str, version: str, *platforms: str) -> list[str]:
        """Return the indexes that have a version of a package, once for each platform."""
        pairs = product(self.facts.indexes(name, version), platforms)
        return [index for index, at in pairs if self.facts.pythons(name, version, index, at)]

    def essence(self, place: Place) -> Any:
        """Return what a cell is to somebody: releases and builds, wherever they come from."""
        cell = self.table.cells.get(place)
        if cell is None or cell.missing:
            return cell is not None
        packages = sorted(cell.packages.items())
        return cell.is_locked, [
            (name, got.public, self.demanded(name, got, place.platform) or got.label)
            for name, got in packages
            if name in {*self.family, "numpy"}
        ]

    @property
    def is_measured(self) -> bool:
        """Whether all was measured that names torch or what comes with it."""
        options = [one for one in self.project.options if str(one) in self.table.unmeasured]
        named = {line.name for option in options for line in self.project.required(option)}
        return not self.table.why_nothing and self.family.isdisjoint(named)

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

    def build_of(self, index: Index | Source) -> str:
        """Return the build of an index, or of that of a source; empty for one not PyTorch's."""
        if isinstance(index, Source):
            named = self.project.index_named(index.entry.get("index", ""))
            return self.build_of(named) if named else ""
        return build_of_url(index.url, self.facts)

    def alike(self, source: Source, marker: str) -> list[Edit]:
        """Give another marker to a source, and to those of torch's family with the same one."""
        sources = [one for one in self.project.sources if one.name in self.family]
        old = source.entry.get("marker")
        alike = [one for one in sources if one.entry.get("marker") == old]
        return [edit.change_source(one, marker=marker) for one in alike]

    def victims(self, places: Iterable[Place]) -> str:
        """Return whom places are: platforms, and options and Pythons where they are not all."""
        options = {f"`{place.option}`": None for place in places}
        pythons = [*dict.fromkeys(place.python for place in places)]
        text = listed(platforms_in(places))
        if len(self.project.options) > len(options):
            text += f" ({', '.join(options)})"
        if len(pythons) < len({place.python for place in self.cells}):
            text += f" with Python {listed(pythons)}"
        return text


Mend = Callable[[View, Key, Sequence[Place]], Iterable[Edit]]
_RULES: list[Callable[[View], Iterator[Finding]]] = []
"""What finds something wrong; the order is that of the report, within a level."""


def _rule(
    level: str, text: str, mend: Mend = lambda *_: (), way: str = "", *, everywhere: bool = False
) -> Callable[[Callable[[View], Pairs]], None]:
    """Make a rule of a function that yields what is wrong, and cells in which it is.

    Cells of one key make one finding; its level, text and way name the parts of the key by their
    numbers. A mend may change all cells of its platforms, or of all platforms.
    """

    def find(pairs: Callable[[View], Pairs], view: View) -> Iterator[Finding]:
        for key, places in grouped(pairs(view)).items():
            pythons = sorted({one.python for one in places}, key=version_key)
            words = {"victims": view.victims(places), "pythons": listed(pythons)}
            words["platforms"] = listed(platforms_in(places))
            grade, told, way_out = (part.format(*key, **words) for part in (level, text, way))
            mended = view.platforms if everywhere else platforms_in(places)
            yield Finding(grade, told, way_out, mended, tuple(mend(view, key, places)))

    return lambda pairs: _RULES.append(partial(find, pairs))


def find(view: View) -> list[Finding]:
    """Return everything that is wrong with a project, the worst first."""
    findings = [finding for rule in _RULES for finding in rule(view)]
    is_broken = any(one.level == BROKEN for one in findings)
    if is_unsolvable(view.table.why_nothing) and not is_broken:
        text = "Nobody can lock: uv finds no solution, for the reason above."
        findings.append(Finding(BROKEN, text, "Change the requirements that uv names."))
    return sorted(findings, key=lambda finding: LEVELS.index(finding.level))


# --- Nobody can lock ------------------------------------------------------------------------------


@_RULES.append
def _missing_conflicts(view: View) -> Iterator[Finding]:
    chosen = {
        (kind, canonicalize_name(source.entry[kind])): source.entry.get("index")
        for source in view.project.sources_of(TORCH)
        for kind in KINDS & source.entry.keys()
    }
    pairs = [pair for pair in combinations(chosen, 2) if chosen[pair[0]] != chosen[pair[1]]]
    known = parse.conflicts(view.project)
    left = [pair for pair in pairs if not any({*pair} <= one for one in known)]
    if left and "conflicting indexes" in str(view.table.unmeasured):
        options = dict.fromkeys(chain(*left))
        text = f"{listed([name for _, name in options])} take torch from different indexes"
        mend = edit.exclude_each_other(view.project, options)
        text = f"Nobody can lock: {text}, and nothing says that they exclude each other."
        yield Finding(BROKEN, text, edits=(mend,))


@_RULES.append
def _labels_without_index(view: View) -> Iterator[Finding]:
    lines = [one for one in view.project.lines if one.label and one.name in view.family]
    torch, labels = [one for one in lines if one.name == TORCH], {one.label for one in lines}
    label, release = (torch[0].label, str(torch[0].public)[2:]) if torch else ("", "")
    said = re.search(rf"no version of \S*\+{label}", view.table.why_nothing)
    left = labels - {*map(view.build_of, view.project.indexes)}
    if said and labels == left == {label} <= {*view.facts.backends(release)}:
        where = f"{torch[0].text} is in PyTorch's index of {label} alone, and no index is named."
        mends = (*_name_index(view, label, release, lines), *map(edit.without_label, lines))
        yield Finding(BROKEN, f"Nobody can lock: {where}", edits=mends)


def _name_index(view: View, build: str, release: str, lines: Iterable[Line]) -> Iterator[Edit]:
    """Yield the edits that say by an index what labels said, on the platforms that have it."""
    names, url = DEFAULT_PLATFORMS, view.facts.pytorch_mirrors["official"].url_of(build)
    others = [one for one in names if not view.facts.pythons(TORCH, release, build, one)]
    marker = edit.without(others, names)
    entry = {"index": f"pytorch-{build}"} | ({"marker": marker} if marker else {})
    index = {"name": entry["index"], "url": url, "explicit": True}
    yield Edit(view.project.root.path, parse.INDEXES, None, index)
    for package in dict.fromkeys(line.name for line in lines):
        yield from edit.add_sources(view.project, package, [entry])


@_RULES.append
def _missing_triton(view: View) -> Iterator[Finding]:
    # uv says: no version of pytorch-triton-rocm{sys_platform == 'linux'}==3.5.1
    why = str(view.table.unmeasured)
    named = dict(re.findall(r"no versions? of ([\w-]+)(?:\{[^}]*\})?(==[\w.]+)", why))
    named |= dict.fromkeys(re.findall(r"([\w-]+) was not found in the", why), "")
    for name in sorted(view.facts.all_tritons & named.keys()):
        if not view.project.sources_of(name):
            yield Finding(
                BROKEN,
                f"Nobody can lock: torch requires {name}, which PyTorch's index alone has, and a "
                "source holds only for what is required by name.",
                edits=tuple(_require_triton(view, name, named[name])),
            )


def _require_triton(view: View, name: str, pin: str) -> Iterator[Edit]:
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


@_RULES.append
def _cooldown(view: View) -> Iterator[Finding]:
    root, keys = view.project.root, (*UV, "exclude-newer-package")
    if NO_DATE in view.table.why_nothing and root.uv.get("exclude-newer"):
        sources = [one for one in view.project.sources if one.name in view.family]
        names = dict.fromkeys((one.name for one in sources), False)
        yield Finding(
            BROKEN,
            "Nobody can lock: PyTorch's index gives no upload dates, so `exclude-newer` refuses "
            f"every file of {listed([*names])}.",
            edits=(Edit(root.path, keys, None, root.uv.get(keys[-1], {}) | names, whole=True),),
        )


@_RULES.append
def _extra_in_marker(view: View) -> Iterator[Finding]:
    for source in view.project.sources:
        marker = source.entry.get("marker", "")
        extra = re.search(_EXTRA, marker)
        if extra and source.name in view.family:
            rest = re.sub(_EXTRA, " ", marker, count=1).strip()
            mend = edit.change_source(source, extra=extra[1], marker=rest)
            text = (
                f"the source {source.entry.get('index')} of {source.name} would hold for everybody"
            )
            yield Finding(
                BROKEN,
                f"uv drops `extra == '{extra[1]}'` from a marker: {text}.",
                f'Write extra = "{extra[1]}" beside the marker.',
                view.platforms,
                () if " or " in marker else (mend,),
            )


# --- Somebody cannot install ----------------------------------------------------------------------


def _all_lacking(view: View) -> Iterator[tuple[str, Got, Place]]:
    """Yield what of torch's family has no wheel, and where."""
    for place, cell in view.cells.items():
        # What cannot be installed for other reasons is not PyTorch's matter.
        if cell.missing.keys() <= view.family and not _is_served_otherwise(view, place):
            yield from ((name, got, place) for name, got in cell.missing.items())


def _lacking(view: View) -> list[tuple[str, Got, Place]]:
    """Return what has no wheel, but for what has one of another label."""
    others = [one[:2] for one in _all_lacking(view) if _exists(view, *one)]
    return [one for one in _all_lacking(view) if one[:2] not in others]


def _exists(view: View, name: str, got: Got, place: Place) -> bool:
    build = build_of_url(got.registry, view.facts)
    return place.python in view.facts.pythons(name, got.public, build, place.platform)


def _is_served_otherwise(view: View, place: Place) -> bool:
    """Tell whether a platform that the build of an extra or a group is not made for has another."""
    torch = view.cells[place].missing.get(TORCH)
    if not torch or not view.is_variant(place.option):
        return False
    others = [one for one in view.seen if one.place.platform == place.platform]
    is_served = any(view.is_variant(one.place.option) for one in others if not one.cell.missing)
    build = build_of_url(torch.registry, view.facts)
    return is_served and not view.facts.pythons(TORCH, torch.public, build, place.platform)


def _is_everywhere(view: View, place: Place, name: str) -> bool:
    """Tell whether a package lacks a wheel for all Pythons of an option on a platform."""
    others = [cell for other, cell in view.cells.items() if other[:2] == place[:2]]
    return all(name in cell.missing for cell in others)


def _mend_no_wheel(view: View, key: Key, places: Sequence[Place]) -> Iterable[Edit]:
    """Let a package come from PyPI where its index has no wheel; or not at all if nobody has.

    torch is never left out.
    """
    (name, got, _), platforms = key, platforms_in(places)
    limit = edit.without(platforms, view.platforms)
    known = view.indexes_with(name, got.public, *platforms)
    lines = dict.fromkeys(chain(*(view.lines_at(name, place) for place in places)))
    if not limit:
        return []
    seen, on_pypi = view.seen, partial(view.facts.pypi_build, name, got.public)
    built = [(on_pypi(one.place.platform), one.build) for one in seen if one.place in places]
    is_like_torch = all(pypi in ("", build) for pypi, build in built)
    if known.count(PYPI) == len(platforms) and is_like_torch:
        limited = [edit.limit_source(one, limit) for one in _sources_of(view, name, places)]
        return [*limited, *map(edit.without_label, lines if limited else ())]
    is_left_out = not known and name != TORCH
    return [edit.limit_line(line, limit) for line in lines if is_left_out]


def _sources_of(view: View, name: str, places: Sequence[Place]) -> list[Source]:
    """Return the sources of a package that hold in some cells; what has torch's goes with it."""
    names = view.family if name == TORCH else {name}
    held = {one: None for place in places for key in names for one in view.sources_at(key, place)}
    indexes = {one.entry.get("index") for one in held if one.name == name}
    return [source for source in held if source.entry.get("index") in indexes]


def _name_platforms(view: View, *_: Any) -> Iterator[Edit]:
    root, exact = view.project.root, [*map(environment, view.platforms)]
    if not root.uv.get("environments"):
        yield Edit(root.path, (*UV, "environments"), None, exact, whole=True)
        # uv locks a named platform only where each extra and group has something for it.
        served = [place for place in view.cells if _is_served_otherwise(view, place)]
        torches = grouped((view.cells[place].missing[TORCH], place) for place in served)
        for got, places in torches.items():
            yield from _mend_no_wheel(view, (TORCH, got, BROKEN), places)


@_rule(
    BROKEN,
    "uv locked {0} {1.version} for {victims}, which is a wheel of other platforms: {0} {1.public} "
    "exists there.",
    _name_platforms,
    "Name each platform exactly in `environments`.",
    everywhere=True,
)
def _wrong_wheel(view: View) -> Pairs:
    lacks = [one for one in _all_lacking(view) if _exists(view, *one)]
    yield from (((name, got), place) for name, got, place in lacks)


@_rule("{2}", "{0} {1.version} has no wheel for {victims}.", _mend_no_wheel, _OTHER_RELEASE)
def _no_wheel(view: View) -> Pairs:
    for name, got, place in _lacking(view):
        build = got.label or build_of_url(got.registry, view.facts)
        is_arm = place.platform == "linux-aarch64" and not view.names_arm
        # No release of ROCm or XPU has anything for Linux on ARM.
        is_never = is_arm and build.startswith(("rocm", "xpu"))
        if _is_everywhere(view, place, name) and not is_never:
            yield (name, got, ADVICE if is_arm else BROKEN), place


@_rule(
    "{2}",
    "requires-python admits Python {pythons}, for which {0} {1.version} has no wheel on "
    "{platforms}.",
    way="Leave it out of requires-python, or take another release: torch_version=…",
)
def _no_wheel_for_a_python(view: View) -> Pairs:
    partly = [one for one in _lacking(view) if not _is_everywhere(view, one[2], one[0])]
    for name, got, place in partly:
        pythons = {one.python for *key, one in partly if key == [name, got]}
        yield (name, got, BROKEN if view.oldest in pythons else ADVICE), place


# --- Another build than the file asks for ---------------------------------------------------------


def _passed_over(view: View) -> Iterator[tuple[Source, Place]]:
    """Yield cells with a CPU build, and the sources that name one for GPUs which they lack."""
    for place, _, torch, _ in (one for one in view.seen if one.build == CPU):
        for source in view.project.sources_of(TORCH, place.option):
            build = view.build_of(source)
            if build != CPU and build in view.indexes_with(TORCH, torch.public, place.platform):
                yield source, place


def _also_amd64(view: View, key: Key, places: Sequence[Place]) -> list[Edit]:
    """Let a marker that asks for `x86_64` hold on Windows too, where no other source does."""
    marker = key[0].entry["marker"].strip()
    if not re.search(_X86_64, marker) or any(view.sources_at(TORCH, place) for place in places):
        return []
    either = "platform_machine == 'x86_64' or platform_machine == 'AMD64'"
    is_all = re.fullmatch(_X86_64, marker)
    return view.alike(key[0], either if is_all else re.sub(_X86_64, f"({either})", marker))


@_rule(
    BROKEN,
    "The CPU build of torch is installed on {victims}, and not that of the index "
    "{0.entry[index]}: Windows says AMD64, and the source x86_64.",
    _also_amd64,
    "Let that marker hold for `platform_machine == 'AMD64'` too, and the marker of the CPU not.",
)
def _amd64(view: View) -> Pairs:
    for source, place in _passed_over(view):
        would_hold = holds(source.marker, *place[1:], platform_machine="x86_64")
        if place.platform == "windows-x86_64" and would_hold > holds(source.marker, *place[1:]):
            yield (source,), place


@_rule(
    BROKEN,
    "The file names the index of {0} ({1}), and PyPI's CPU build of torch is installed on "
    "{victims}: uv took the newest of any index.",
    way="Say which build it is: torch_backend={0}",
)
def _newest_of_any_index(view: View) -> Pairs:
    for index in (one for one in view.project.indexes if one.is_open):
        build = view.build_of(index)
        for seen in view.seen if build not in ("", CPU) else ():
            is_cpu = seen.build == CPU and not seen.place.platform.startswith("macos")
            if is_cpu and is_pypi(seen.torch):
                yield (build, index.setting), seen.place


def _brought(view: View) -> list[Place]:
    """Return the cells whose torch another package brings, from PyPI, and a source is named."""
    seen = [one for one in view.seen if is_pypi(one.torch) and view.project.sources_of(TORCH)]
    return [one.place for one in seen if not view.lines_at(TORCH, one.place)]


def _require_by_name(view: View, _: Key, places: Sequence[Place]) -> Iterator[Edit]:
    """Require what other packages bring, and the file has a source for."""
    for name in sorted(view.family):
        brought = [place for place in places if name in view.cells[place].packages]
        if any(view.sources_at(name, one) and not view.lines_at(name, one) for one in brought):
            yield Edit(view.project.manifest.path, BASE, None, name)


@_rule(
    BROKEN,
    "Another package brings torch, from PyPI and not from the index of the file, on {victims}: a "
    "source holds only where torch is required by name.",
    _require_by_name,
    everywhere=True,
)
def _through_others(view: View) -> Pairs:
    for place in _brought(view):
        if view.sources_at(TORCH, place):
            yield (place.option,), place


@_rule(
    BROKEN,
    "`{0}` installs PyPI's torch on {platforms}: another package requires it; the builds of the "
    "file come with extras or groups alone.",
    way="A group can be the default, an extra cannot: layout=groups",
)
def _through_others_alone(view: View) -> Pairs:
    if all(KINDS & source.entry.keys() for source in view.project.sources_of(TORCH)):
        bare = [place for place in _brought(view) if not place.option.kind]
        yield from (((place.option,), place) for place in bare)


# --- Pairs that do not work -----------------------------------------------------------------------


def _companions(view: View) -> Iterator[tuple[Seen, str, str, Got]]:
    """Yield the known companions beside a known torch: cell, release, name, companion."""
    for seen in view.known:
        for name in view.facts.all_companions:
            got = seen.cell.packages.get(name)
            if got and view.facts.indexes(name, got.public):
                yield seen, seen.torch.public, name, got


def _bound(view: View, key: Key, _: Any) -> list[Edit]:
    """Return the constraint that keeps a companion beside a release of torch.

    It holds where that release is; uv's constraints know platforms, and no extras or groups.
    """
    name, _, release, _, bounds, _ = key
    others = [one.place for one in view.seen if one.torch.public != release]
    limit = edit.without(platforms_in(others), view.platforms)
    is_pinned = any(line.is_exact for line in view.project.of(name))
    if is_pinned or not bounds or bool(limit) != bool(others):
        return []
    return [edit.constrain(view.project, f"{name}{bounds}{limit and f' ; {limit}'}")]


@_rule(
    BROKEN,
    "{0} {1} was not made for torch {2}, and is installed beside it on {victims}; {3} was.",
    _bound,
    "{5}",
)
def _unfit_pairs(view: View) -> Pairs:
    for seen, release, name, got in _companions(view):
        fitting = view.facts.companions(release).get(name, ())
        bounds = view.facts.pair_bounds(name, release) if fitting else ""
        # Where the metadata of a companion names a torch, uv has kept to it.
        is_newer = fitting and version_key(got.public) > version_key(fitting[0])
        on_pypi = view.facts.pypi_build(name, got.public, seen.place.platform)
        if got.public not in fitting and ("<" in bounds if is_newer else not on_pypi):
            versions = listed(fitting, "or") if fitting else "no version"
            way = (
                f"Require {name}{bounds}."
                if bounds
                else f"Take a newer torch, or leave {name} out."
            )
            yield (name, got.public, release, versions, bounds, way), seen.place


def _give_sources(view: View, key: Key, places: Sequence[Place]) -> list[Edit]:
    """Give a companion the sources of torch, where it has none.

    A source holds for what is required by name, or constrained by a version.
    """
    name, sources = key[0], [source.entry for source in view.project.sources_of(TORCH)]
    releases = {view.cells[place].packages[TORCH].public for place in places}
    edits = edit.add_sources(view.project, name, sources)
    if view.project.sources_of(name) or all(view.lines_at(name, place) for place in places):
        return [] if view.project.sources_of(name) else edits
    is_chosen = any(KINDS & entry.keys() for entry in sources)
    if not edits or is_chosen or len(releases) > 1:
        return []
    bounds = view.facts.pair_bounds(name, *releases)
    return [*edits, edit.constrain(view.project, f"{name}{bounds}")]


@_rule(
    BROKEN,
    "{0} {1} was compiled for the {2} build of torch, and is installed beside the {3} build on "
    "{victims}.",
    _give_sources,
    "Give {0} the sources of torch.",
)
def _other_builds(view: View) -> Pairs:
    for seen, release, name, got in _companions(view):
        demanded = view.demanded(name, got, seen.place.platform)
        is_other = demanded and seen.build and demanded != seen.build
        if is_other and got.public in view.facts.companions(release).get(name, ()):
            yield (name, got.version, demanded, seen.build), seen.place


def _keep_numpy_1(view: View, _: Key, places: Sequence[Place]) -> list[Edit]:
    limit = edit.without(
        [one for one in view.platforms if one not in platforms_in(places)], view.platforms
    )
    return [edit.constrain(view.project, f"numpy<2{limit and f' ; {limit}'}")]


@_rule(
    BROKEN,
    "torch {0} was compiled against NumPy 1, and NumPy 2 is installed beside it on {victims}.",
    _keep_numpy_1,
    "Require numpy<2, or take a newer torch.",
)
def _numpy(view: View) -> Pairs:
    for seen in view.known:
        numpy = seen.cell.packages.get("numpy")
        is_old = seen.place.platform in view.facts.numpy_1_platforms(seen.torch.public)
        if numpy and is_old and version_key(numpy.version)[:1] >= (2,):
            yield (seen.torch.public,), seen.place


@_rule(BROKEN, "torch {0} on {platforms}: {1}.", way="Take another release: torch_version=…")
def _known_faults(view: View) -> Pairs:
    for place, _, torch, build in view.known:
        reason = view.facts.hardware.why_broken(torch.public, build, place.platform)
        if reason:
            yield (torch.version, reason), place


# --- Platforms, or days, can lock different releases ----------------------------------------------


@_RULES.append
def _different_releases(view: View) -> Iterator[Finding]:
    seen = [one for one in view.seen if one.place.python == view.oldest]
    for option in view.project.options:
        cells = [(one.torch.public, one.place) for one in seen if one.place.option == option]
        groups = grouped(cells)
        releases = sorted(groups, key=version_key)
        parts = [f"{one} on {listed(platforms_in(groups[one]))}" for one in releases]
        if len(releases) > 1 and _all_admit(view, groups):
            yield Finding(
                DRIFTS,
                f"The requirements let platforms lock different releases: torch {listed(parts)}.",
                f"One for all: --drifts, or torch_version={releases[0]}",
                view.platforms,
                (edit.constrain(view.project, f"{TORCH}=={releases[0]}"),),
            )


def _all_admit(view: View, groups: Mapping[str, Sequence[Place]]) -> bool:
    """Tell whether the requirements of each place admit the releases of all others."""
    settings = [line for line in view.project.of(TORCH) if line.is_setting]
    lines = {
        line
        for place in chain(*groups.values())
        for line in [*view.lines_at(TORCH, place), *settings]
        if holds(line.requirement.marker, *place[1:])
    }
    return all(line.public.contains(release) for line in lines for release in groups)


# --- It works, and does not say what it seems to say ----------------------------------------------


def _widen(view: View, key: Key, places: Sequence[Place]) -> list[Edit]:
    systems = {PLATFORMS[name].sys_platform: None for name in platforms_in(places)}
    parts = [key[0].entry["marker"], *(f"sys_platform == '{system}'" for system in systems)]
    return view.alike(key[0], " or ".join(parts))


@_rule(
    ADVICE,
    "PyPI's CPU build of torch is installed on {victims}; the index {0.entry[index]} has one for "
    "GPUs there, and its marker leaves it out.",
    _widen,
)
def _narrow_sources(view: View) -> Pairs:
    for source, place in _passed_over(view):
        # Who names machines, or PyPI's build in words, has thought of the others.
        is_narrow = "machine" not in source.entry.get("marker", "machine")
        if is_narrow and is_pypi(view.cells[place].packages[TORCH]):
            yield (source,), place


@_RULES.append
def _torch_backend(view: View) -> Iterator[Finding]:
    asked = parse.value_at(view.project.root.data, (*UV, "pip", "torch-backend"))
    wrong = {CPU} if asked == "auto" else {*view.facts.all_backends} - {asked}
    bare = [one for one in view.seen if not view.sources_at(TORCH, one.place)]
    places = [one.place for one in bare if one.build in wrong and "macos" not in one.place[1]]
    hurt = f", and another build is installed on {view.victims(places)}" if places else ""
    backend = "cu128" if asked == "auto" else asked
    if asked:
        text = f'`torch-backend = "{asked}"` is for `uv pip`: `uv sync` does not read it{hurt}.'
        way = f"`uv sync` reads sources and indexes: torch_backend={backend}"
        yield Finding(BROKEN if places else ADVICE, text, way)


@_RULES.append
def _settings_of_others(view: View) -> Iterator[Finding]:
    project = view.project
    declared = [view.build_of(one) for one in project.indexes if one.is_open]
    if view.seen and not project.sources_of(TORCH) and not any(declared):
        for where, text in _texts_of_others(project).items():
            builds = (build_of_url(url, view.facts) for url in re.findall(r"\w+://[^\s'\"]+", text))
            for build in dict.fromkeys(filter(None, builds)):
                told = f"{where} names the index of {build}, which uv does not read"
                yield Finding(ADVICE, f"{told}: torch is PyPI's.", f"torch_backend={build}")


def _texts_of_others(project: Project) -> dict[str, str]:
    tools = parse.value_at(project.manifest.data, ("tool",)) or {}
    texts = {f"[tool.{name}]": str(tools[name]) for name in tools if name != "uv"}
    required = project.manifest.path.with_name("requirements.txt")
    if required.is_file():
        texts["requirements.txt"] = required.read_text(encoding="utf-8", errors="replace")
    return texts


# --- Words ----------------------------------------------------------------------------------------


def is_pypi(got: Got) -> bool:
    """Tell whether a package comes from PyPI, or from a copy of it."""
    return got.registry.rstrip("/").endswith("/simple") and "pytorch" not in got.registry


def platforms_in(places: Iterable[Place]) -> list[str]:
    """Return the platforms of places, in the usual order."""
    named = {place.platform for place in places}
    return [name for name in PLATFORMS if name in named]


def grouped(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, list[Any]]:
    """Return the second parts of pairs by their first ones."""
    groups: dict[Any, list[Any]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups
