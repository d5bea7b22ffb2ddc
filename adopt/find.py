"""What is wrong with a project, whom it hurts, and the smallest edit that mends it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, product, starmap
from typing import Any, NamedTuple

from adopt import edit, parse
from adopt.edit import Edit
from adopt.measure import NO_DATE, Cell, Got, Place, Table
from adopt.parse import BASE, KINDS, UV, Line, Option, Project, Source, build_of_url, holds
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

_X86_64 = r"platform_machine\s*==\s*(['\"])x86_64\1"
_EXTRA = r"\s*(?:\band\b)?\s*extra\s*==\s*['\"]([\w.-]+)['\"]\s*(?:\band\b)?\s*"


class Finding(NamedTuple):
    """One thing that is wrong."""

    level: str
    text: str
    """What is wrong, and for whom."""
    way: str = ""
    """What a person can do, where there is no edit."""
    platforms: Sequence[str] = ()
    """The platforms whose cells may change when it is mended."""
    edits: Sequence[Edit] = ()


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
        self.unnamed = "" if names_arm else "linux-aarch64"
        """A platform that nobody has to have in mind."""
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
        self.from_pypi = [seen for seen in self.seen if is_pypi(seen.torch)]

    @property
    def lacking(self) -> list[Place]:
        """The cells whose torch has no wheel."""
        return [place for place, cell in self.cells.items() if TORCH in cell.missing]

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

    def essence(self, place: Place) -> Any:
        """Return what a cell is to somebody: releases and builds, wherever they come from."""
        cell = self.table.cells.get(place)
        if cell is None or cell.missing:
            return cell is not None
        return cell.is_locked, [
            (name, got.public, self.demanded(name, got, place.platform) or got.label)
            for name, got in sorted(cell.packages.items())
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

    def admits(self, place: Place, *releases: str) -> bool:
        """Tell whether the requirements and constraints of a cell admit releases of torch."""
        settings = [line for line in self.project.of(TORCH) if line.is_setting]
        held = [line for line in settings if holds(line.requirement.marker, *place[1:])]
        lines = [line.public for line in [*self.lines_at(TORCH, place), *held]]
        return all(line.contains(release) for line in lines for release in releases)

    def build_of(self, source: Source) -> str:
        """Return the build of the index of a source; empty for one that is not PyTorch's."""
        index = self.project.index_named(source.entry.get("index", ""))
        return build_of_url(index.url, self.facts) if index else ""

    def is_unheard(self, name: str, places: Iterable[Place]) -> bool:
        """Tell whether a package has a source somewhere that uv does not heed: nothing names it."""
        brought = [place for place in places if name in self.cells[place].packages]
        return any(self.sources_at(name, one) and not self.lines_at(name, one) for one in brought)

    def victims(self, places: Iterable[Place]) -> str:
        """Return whom places are: platforms, and options and Pythons where they are not all."""
        options = {f"`{place.option}`": None for place in places}
        pythons = sorted({place.python for place in places}, key=version_key)
        text = listed(platforms_in(places))
        if len(self.project.options) > len(options):
            text += f" ({', '.join(options)})"
        if len(pythons) < len({place.python for place in self.cells}):
            text += f" with Python {listed(pythons)}"
        return text

    def constrain(self, name: str, bounds: str, release: str, places: list[Place]) -> list[Edit]:
        """Return the constraint on what stands beside a release of torch, if one can help."""
        platforms = platforms_in(places)
        releases = {one.torch.public for one in self.seen if one.place.platform in platforms}
        is_pinned = any(line.is_exact for line in self.project.of(name))
        # uv's constraints know platforms, and no extras or groups.
        if not bounds or is_pinned or releases != {release}:
            return []
        others = {one.place.platform for one in self.seen} - {*platforms}
        limit = edit.without(others, self.platforms)
        return [edit.constrain(self.project, f"{name}{bounds}{limit and f' ; {limit}'}")]


Fault = tuple[str, str, str, Callable[[list[Place]], list[Edit]]]
"""What is wrong in a cell: level, text with `HERE` for those whom it hurts, way, mend."""

HERE = "{victims}"


def find(view: View) -> list[Finding]:
    """Return everything that is wrong with a project, the worst first."""
    rules = (
        _extra_in_marker,
        _nobody_can_lock,
        _no_wheel,
        _named_in_vain,
        _through_others,
        _in_cells,
        _different_releases,
    )
    findings = [finding for rule in rules for finding in rule(view)]
    return sorted(findings, key=lambda finding: LEVELS.index(finding.level))


def _extra_in_marker(view: View) -> Iterator[Finding]:
    for source in [one for one in view.project.sources if one.name in view.family]:
        name, marker = source.name, source.entry.get("marker", "")
        if extra := re.search(_EXTRA, marker):
            where = f"the source {source.entry.get('index')} of {name}"
            text = f"uv drops `extra == '{extra[1]}'`: {where} would hold for everybody."
            rest = re.sub(_EXTRA, " ", marker, count=1).strip()
            mend = edit.change_source(source, extra=extra[1], marker=rest)
            way = f'Write extra = "{extra[1]}" beside the marker.'
            yield Finding(BROKEN, text, way, view.platforms, [] if " or " in marker else [mend])


def _exclude_each_other(view: View, *_: str) -> Iterator[Edit]:
    """Let the extras and groups that choose a torch exclude each other."""
    named = [(one.kind, one.name) for one in view.project.options if view.is_variant(one)]
    if len(named) > 1:
        yield edit.conflict(view.project, None, named)


def _require_triton(view: View, name: str, pin: str) -> Iterator[Edit]:
    """Require triton beside the torch of ROCm or XPU, from its index."""
    torch = [
        one
        for one in view.project.sources_of(TORCH)
        if view.build_of(one).startswith(("rocm", "xpu"))
    ]
    systems = ["linux-x86_64", "windows-x86_64"] if "xpu" in name else ["linux-x86_64"]
    text = f"{name}{pin} ; {' or '.join(map(environment, systems))}"
    for line in view.project.of(TORCH):
        is_built = any(one.entry.get("extra", line.keys[-1]) == line.keys[-1] for one in torch)
        if is_built and not line.is_setting:
            yield Edit(line.path, line.keys, None, text)
    yield from edit.add_sources(view.project, name, [one.entry for one in torch])


def _exempt(view: View, *_: str) -> Iterator[Edit]:
    """Exempt what comes from PyTorch's index from a cooldown, if there is one."""
    keys, has_cooldown = (*UV, "exclude-newer-package"), "exclude-newer" in view.project.root.uv
    sources = view.project.sources if has_cooldown else ()
    for name in {one.name: None for one in sources if one.name in view.family}:
        yield Edit(view.project.root.path, (*keys, name), None, new=False, whole=True)


_CAUSES: dict[str, tuple[str, str, Callable[..., Iterable[Edit]]]] = {
    r"conflicting indexes for package `([\w-]+)`": (
        "extras or groups take {0} from different indexes, and do not exclude each other",
        "Name them in conflicts = [[{{ extra = … }}, {{ extra = … }}]] of [tool.uv].",
        _exclude_each_other,
    ),
    r"no version of torch==([\w.]+)\+(\w+)": (
        "torch {0}+{1} is in no index that it may come from",
        "Name it: torch_version={0} torch_backend={1}",
        lambda *_: (),
    ),
    # With a cooldown uv says of a triton, too, that it finds no version.
    NO_DATE: (
        "`exclude-newer` refuses an index without dates, as PyTorch's is",
        "Write exclude-newer-package = {{ torch = false }} into [tool.uv].",
        _exempt,
    ),
    # As in: no version of pytorch-triton-rocm{sys_platform == 'linux'}==3.5.1
    r"(?:no version of|was not found in the package registry and \S+ depends on) "
    r"((?:pytorch-)?triton-\w+)(?:\{[^}]*\})?(==[\w.]+)": (
        "torch requires {0}{1}, which is in no index that it may come from",
        "Require {0}{1} by name on the platforms of that build, with the sources of torch.",
        _require_triton,
    ),
    # An index that could not be asked may have one.
    r"(?s)\A(?!.*(?:40[13] |offline|network)).*No solution found": (
        "uv finds no solution, for the reason above",
        "Change the requirements that uv names.",
        # Of a wheel that is older than the dates of PyTorch's index, uv says nothing.
        _exempt,
    ),
}
"""What uv says where nobody can lock -> the cause, what a person can do, and the mend."""


def _nobody_can_lock(view: View) -> Iterator[Finding]:
    for words, (cause, way, mend) in _CAUSES.items():
        said = re.finditer(words, view.table.why_nothing)
        if causes := dict.fromkeys(match.groups() for match in said):
            for parts in causes:
                text = f"Nobody can lock: {cause.format(*parts)}."
                yield Finding(BROKEN, text, way.format(*parts), edits=[*mend(view, *parts)])
            return


def _no_wheel(view: View) -> Iterator[Finding]:
    lacks = [
        ((name, got), place)
        for place, cell in view.cells.items()
        # What cannot be installed for other reasons is not PyTorch's matter.
        if cell.missing.keys() <= view.family and not _is_served_otherwise(view, place)
        for name, got in cell.missing.items()
    ]
    for (name, got), places in grouped(lacks).items():
        build = build_of_url(got.registry, view.facts)
        wheels = {one: view.facts.pythons(name, got.public, build, one) for one in view.platforms}
        if having := [one for one in places if one.python in wheels[one.platform]]:
            wrong = f"uv locked {name} {got.version} for {view.victims(having)}"
            text = f"{wrong}, which is a wheel of other platforms; there is one for these."
            way = "Name each platform exactly in `environments`."
            yield Finding(BROKEN, text, way, view.platforms, [*_name_platforms(view)])
        else:
            yield from _nobody_has(view, name, got, places)


def _nobody_has(view: View, name: str, got: Got, places: list[Place]) -> Iterator[Finding]:
    kinds = ((_kind_of_lack(view, name, place), place) for place in places)
    for (level, is_whole), victims in grouped(kinds).items():
        text = f"{name} {got.version} has no wheel for {view.victims(victims)}."
        take = "Take" if is_whole else "Leave that Python out of requires-python, or take"
        way = f"{take} another release or build: torch_version=… torch_backend=…"
        edits = _mend_no_wheel(view, name, got, victims) if is_whole else []
        yield Finding(level, text, way, platforms_in(victims), edits)


def _kind_of_lack(view: View, name: str, place: Place) -> tuple[str, bool]:
    """Return how bad it is that a cell lacks a package, and whether all its Pythons lack it."""
    others = [cell for other, cell in view.cells.items() if other[:2] == place[:2]]
    is_whole = all(name in cell.missing for cell in others)
    is_broken = is_whole or place.python == view.oldest
    return BROKEN if is_broken and place.platform != view.unnamed else ADVICE, is_whole


def _is_served_otherwise(view: View, place: Place) -> bool:
    """Tell whether a platform is not one that a build is for: nobody expects torch there."""
    torch = view.cells[place].missing.get(TORCH)
    if not torch:
        return False
    build = build_of_url(torch.registry, view.facts)
    # No release of ROCm or XPU has anything for Linux on ARM.
    if place.platform == view.unnamed and build.startswith(("rocm", "xpu")):
        return True
    others = [one for one in view.seen if one.place.platform == place.platform]
    options = [one.place.option for one in others if not one.cell.missing]
    is_served = view.is_variant(place.option) and any(map(view.is_variant, options))
    return is_served and not view.facts.pythons(TORCH, torch.public, build, place.platform)


def _mend_no_wheel(view: View, name: str, got: Got, places: Sequence[Place]) -> list[Edit]:
    """Take from PyPI what its index lacks, and leave out what nobody has, unless it is torch."""
    facts, platforms = view.facts, platforms_in(places)
    limit = edit.without(platforms, view.platforms)
    if not limit:
        return []
    has = partial(facts.pythons, name, got.public)
    is_on_pypi = all(has(PYPI, platform) for platform in platforms)
    is_somewhere = any(starmap(has, product(facts.indexes(name, got.public), platforms)))
    is_like_torch = all(
        facts.pypi_build(name, got.public, one.place.platform) in ("", one.build)
        for one in view.seen
        if one.place in places
    )
    if is_on_pypi and is_like_torch:
        return _take_from_pypi(view, name, places, limit)
    if name == TORCH or is_somewhere:
        return []
    lines = [view.lines_at(name, place) for place in places]
    return [edit.limit_line(line, limit) for line in dict.fromkeys(chain(*lines))]


def _take_from_pypi(view: View, name: str, places: Sequence[Place], limit: str) -> list[Edit]:
    """Let no source hold in places, for what comes with torch too; the index names no build."""
    names = view.family if name == TORCH else {name}
    sources = [view.sources_at(one, place) for place in places for one in names]
    edits = []
    for one in dict.fromkeys(chain(*sources)):
        marker = edit.joined(one.entry.get("marker", ""), limit)
        edits.append(edit.change_source(one, marker=marker))
    for line in dict.fromkeys(chain(*(view.lines_at(name, place) for place in places))):
        # The release stays exact.
        text = re.sub(r"\+[\w.]+", "", line.text, count=1)
        edits += [Edit(line.path, line.keys, line.text, text)] if edits else []
    return edits


def _name_platforms(view: View) -> Iterator[Edit]:
    root, exact = view.project.root, [*map(environment, view.platforms)]
    if not root.uv.get("environments"):
        yield Edit(root.path, (*UV, "environments"), None, exact, whole=True)
        # uv locks a named platform only where each extra and group has something for it.
        served = [place for place in view.cells if _is_served_otherwise(view, place)]
        torches = grouped((view.cells[place].missing[TORCH], place) for place in served)
        for got, places in torches.items():
            yield from _mend_no_wheel(view, TORCH, got, places)


def _passed_over(view: View, seen: Seen) -> Iterator[Fault]:
    """A source for GPUs leaves out a cell that could have its build, and has that for the CPU."""
    place, torch = seen.place, seen.torch
    for source in view.project.sources_of(TORCH, place.option) if seen.build == CPU else ():
        build = view.build_of(source)
        if build == CPU or not view.facts.pythons(TORCH, torch.public, build, place.platform):
            continue
        name, mend = source.entry["index"], partial(_widen, view, source)
        would_hold = holds(source.marker, *place[1:], platform_machine="x86_64")
        if place.platform == "windows-x86_64" and would_hold > holds(source.marker, *place[1:]):
            why = "Windows says AMD64, and the source x86_64"
            text = f"The CPU build of torch is installed on {HERE}, and not that of {name}: {why}."
            way = "Let it hold for `platform_machine == 'AMD64'` too, and that of the CPU not."
            yield BROKEN, text, way, mend
        # Who names machines, or PyPI's build in words, has thought of the others.
        elif is_pypi(torch) and "machine" not in source.entry.get("marker", "machine"):
            why = f"{name} has one for GPUs there, and its marker leaves it out"
            yield ADVICE, f"PyPI's CPU build of torch is installed on {HERE}; {why}.", "", mend


def _widen(view: View, source: Source, places: Sequence[Place]) -> list[Edit]:
    """Let a marker hold in more cells, where no other source does; and all of torch's like it."""
    if any(view.sources_at(TORCH, place) for place in places):
        return []
    old = source.entry["marker"]
    new = re.sub(_X86_64, r"(\g<0> or platform_machine == 'AMD64')", old)
    if new == old and "python" in old:
        return []
    if new == old:
        new = " or ".join([old, *map(environment, platforms_in(places))])
    family = [one for one in view.project.sources if one.name in view.family]
    return [edit.change_source(one, marker=new) for one in family if one.entry.get("marker") == old]


def _named_in_vain(view: View) -> Iterator[Finding]:
    for where, build, if_hurt, if_not in _named_builds(view):
        wrong = {CPU} if build == "auto" else {*view.facts.all_backends} - {build}
        places = [
            seen.place
            for seen in view.from_pypi
            if seen.build in wrong and "macos" not in seen.place.platform
            if not view.sources_at(TORCH, seen.place)
        ]
        if level := if_hurt if places else if_not:
            hurt = f": PyPI's build is installed on {view.victims(places)}" if places else ""
            text = f"{where} names the build {build}, and `uv sync` takes none from there{hurt}."
            yield Finding(level, text, f"torch_backend={'cu128' if build == 'auto' else build}")


def _named_builds(view: View) -> Iterator[tuple[str, str, str, str]]:
    """Yield where a build is named, and how bad it is if another is installed, and if none is."""
    project = view.project
    opened = [
        (f"`{index.setting}`", build, BROKEN, "")
        for index in project.indexes
        if (build := build_of_url(index.url, view.facts)) and not index.entry.get("explicit")
    ]
    yield from opened
    if asked := parse.value_at(project.root.data, (*UV, "pip", "torch-backend")):
        yield "`torch-backend` of `uv pip`", asked, BROKEN, ADVICE
    if view.seen and not project.sources_of(TORCH) and not opened:
        for where, url in _urls_of_others(project):
            if build := build_of_url(url, view.facts):
                yield where, build, ADVICE, ADVICE


def _urls_of_others(project: Project) -> Iterator[tuple[str, str]]:
    """Yield the URLs that pip and other tools read, and where they stand."""
    tools = parse.value_at(project.manifest.data, ("tool",)) or {}
    texts = {f"[tool.{name}]": str(tools[name]) for name in tools if name != "uv"}
    required = project.manifest.path.with_name("requirements.txt")
    if required.is_file():
        texts[required.name] = required.read_text(encoding="utf-8", errors="replace")
    for where, text in texts.items():
        yield from ((where, url) for url in re.findall(r"\w+://[^\s'\"]+", text))


def _through_others(view: View) -> Iterator[Finding]:
    sources = view.project.sources_of(TORCH)
    is_chosen = all(KINDS & source.entry.keys() for source in sources)
    # A bare sync has no name; an extra may name another one: `all = ["sample[gpu]"]`.
    alone = {"", *(line.keys[-1] for line in view.project.of(view.project.manifest.name))}
    places = [
        one.place
        for one in view.from_pypi
        if sources and not view.lines_at(TORCH, one.place)
        if view.sources_at(TORCH, one.place) or (is_chosen and one.place.option.name in alone)
    ]
    if places:
        why = "a source holds only where torch is required by name"
        text = f"Another package or extra brings PyPI's torch to {view.victims(places)}: {why}."
        way = "A group can be the default, an extra cannot: layout=groups" if is_chosen else ""
        path = view.project.manifest.path
        names = [name for name in sorted(view.family) if view.is_unheard(name, places)]
        mends = [Edit(path, BASE, None, name) for name in names]
        yield Finding(BROKEN, text, way, view.platforms, mends)


def _unfit_pairs(view: View, seen: Seen) -> Iterator[Fault]:
    release, facts = seen.torch.public, view.facts
    for name, got in seen.cell.packages.items():
        fitting = facts.companions(release).get(name, ())
        bounds = facts.pair_bounds(name, release) if fitting else ""
        # Where the metadata of a companion names a torch, uv has kept to it.
        is_newer = fitting and version_key(got.public) > version_key(fitting[0])
        on_pypi = facts.pypi_build(name, got.public, seen.place.platform)
        # An override makes uv forget what any metadata names.
        is_free = any("override" in line.keys[-1] for line in view.project.of(TORCH))
        is_held = not is_free and ("<" not in bounds if is_newer else on_pypi)
        is_known = name in facts.all_companions and facts.indexes(name, got.public)
        if is_known and got.public not in fitting and not is_held:
            wanted = listed(fitting, "or") or "no version"
            text = f"{name} {got.public} does not go with torch {release} on {HERE}"
            way = f"Require {name}{bounds}." if fitting else f"Take a newer torch, or no {name}."
            mend = partial(view.constrain, name, bounds, release)
            yield BROKEN, f"{text}; {wanted} does.", way, mend


def _numpy(view: View, seen: Seen) -> Iterator[Fault]:
    release, numpy = seen.torch.public, seen.cell.packages.get("numpy")
    is_old = seen.place.platform in view.facts.numpy_1_platforms(release)
    if is_old and numpy and version_key(numpy.version)[:1] >= (2,):
        text = f"torch {release} was compiled against NumPy 1, and NumPy 2 is installed on {HERE}."
        mend = partial(view.constrain, "numpy", "<2", release)
        yield BROKEN, text, "Require numpy<2, or take a newer torch.", mend


def _other_builds(view: View, seen: Seen) -> Iterator[Fault]:
    fitting = view.facts.companions(seen.torch.public)
    for name, got in seen.cell.packages.items() if seen.build else ():
        demanded = view.demanded(name, got, seen.place.platform)
        if got.public in fitting.get(name, ()) and demanded not in ("", seen.build):
            compiled = f"{name} {got.version} was compiled for the {demanded} build of torch"
            text = f"{compiled}, and is installed beside the {seen.build} build on {HERE}."
            mend = partial(_give_sources, view, name)
            yield BROKEN, text, f"Give {name} the sources of torch.", mend


def _give_sources(view: View, name: str, places: list[Place]) -> list[Edit]:
    """Give a companion the sources of torch, which hold where it is required or constrained."""
    torch = [source.entry for source in view.project.sources_of(TORCH)]
    edits = [] if view.project.sources_of(name) else edit.add_sources(view.project, name, torch)
    if not edits or all(view.lines_at(name, place) for place in places):
        return edits
    releases = {view.cells[place].packages[TORCH].public for place in places}
    if len(releases) > 1 or any(KINDS & entry.keys() for entry in torch):
        return []
    bounds = view.facts.pair_bounds(name, *releases)
    return [*edits, edit.constrain(view.project, f"{name}{bounds}")]


def _known_faults(view: View, seen: Seen) -> Iterator[Fault]:
    release, platform = seen.torch.public, seen.place.platform
    if why := view.facts.hardware.why_broken(release, seen.build, platform):
        text = f"torch {seen.torch.version} on {HERE}: {why}."
        yield BROKEN, text, "Take another release: torch_version=…", lambda _: []


def _in_cells(view: View) -> Iterator[Finding]:
    rules = (_passed_over, _unfit_pairs, _numpy, _other_builds, _known_faults)
    # What the facts do not know is not denied.
    known = [seen for seen in view.seen if seen.torch.public in view.facts.releases]
    faults: dict[str, tuple[Fault, list[Place]]] = {}
    for rule, seen in product(rules, known):
        for fault in rule(view, seen):
            faults.setdefault(fault[1], (fault, []))[1].append(seen.place)
    for (level, text, way, mend), places in faults.values():
        told = text.replace(HERE, view.victims(places))
        yield Finding(level, told, way, platforms_in(places), mend(places))


def _different_releases(view: View) -> Iterator[Finding]:
    for option in view.project.options:
        cells = [one for one in view.seen if one.place[::2] == (option, view.oldest)]
        groups = grouped((one.torch.public, one.place) for one in cells)
        releases = sorted(groups, key=version_key)
        if len(releases) > 1 and all(view.admits(one.place, *releases) for one in cells):
            parts = [f"{one} on {listed(platforms_in(groups[one]))}" for one in releases]
            text = f"The requirements let platforms lock different releases: torch {listed(parts)}."
            way = f"One for all: --drifts, or torch_version={releases[0]}"
            mend = edit.constrain(view.project, f"{TORCH}=={releases[0]}")
            yield Finding(DRIFTS, text, way, view.platforms, [mend])


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
