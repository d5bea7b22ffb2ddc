"""What people are told of a project: what it lacks of the answers, what is likely, what hurts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import NamedTuple

from torch_plan.answers.meaning import ProperAnswers
from torch_plan.answers.problems import Note, Way, with_changes
from torch_plan.answers.records import DEFAULT_PLATFORMS, NO_COMPANIONS, OPTIONAL
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.versions import CPU, TORCH
from torch_plan.resolution.cells import Cell, Cells
from torch_plan.resolution.check import Examination, default_platforms, examine, settled
from torch_plan.resolution.search import OFFERED
from torch_plan.resolution.ways import Ways
from torch_plan.text import listed


class _Lack(NamedTuple):
    text: str
    ways: Iterable[Way]
    """What may help; each is tried before it is offered."""
    missed: Callable[[Cells], int] | None = None
    """What a way has to lessen, if not any other cells will do."""


def notes(examination: Examination, raw: ProperAnswers) -> Iterator[Note]:
    """Yield what the answers do not get: platforms, builds, companions, Pythons.

    Nobody misses a companion that was asked for with `?`. Platforms that a way names are refused
    for a companion that others lack, so it is tried with that left out of them as well.
    """
    cells, facts = examination.cells, examination.cells.facts
    less = {"companions": settled(raw, facts)["companions"]}

    def helps(way: Way, missed: Callable[[Cells], int] | None) -> bool:
        seen = examine(ProperAnswers(with_changes(raw, way)), facts)
        is_other = seen.cells.all != cells.all
        return not seen.problems and (missed(seen.cells) < missed(cells) if missed else is_other)

    for text, ways, missed in _lacks(examination, raw):
        options: Iterable[list[Way]] = ([way, {**less, **way}] for way in ways)
        helping = (next((way for way in pair if helps(way, missed)), None) for pair in options)
        offered = islice(filter(None, helping), OFFERED)
        yield Note(text, tuple({repr(way): way for way in offered}.values()))


def _lacks(examination: Examination, raw: ProperAnswers) -> Iterator[_Lack]:
    cells, named = examination.cells, raw["platforms"].split()
    ways, answers = Ways(cells, raw), cells.answers
    if {*named} == {*default_platforms(raw, cells.facts)}:
        for platform in [name for name in DEFAULT_PLATFORMS if name not in named]:
            there = [cells.with_build(variant, platform, CPU) for variant in answers.variants]
            cell = next(cell for cell in there if TORCH in cell.lacking)
            more = {"platforms": " ".join([*named, platform])}
            others: list[Way] = [{**more, **way} for way in ways.other_cells(cell)]
            yield _Lack(f"{platform} is left out: {cell.lacking[TORCH]} it.", others)
    if answers.release not in {variant.release for variant in answers.variants}:
        text = f"No build is of torch {answers.release}: each names a release of its own."
        yield _Lack(text, ())
    for cell in cells.fallbacks:
        torch, backend = f"torch {cell.release}", cell.variant.backend
        others = [ways.with_override([cell], nearest)] if (nearest := cells.nearest(cell)) else []
        reason = f"{torch} has no {backend} build for it"
        if cells.facts.is_expected(cell.release):
            reason = f"it is not known whether {torch} has {backend} for it"
            others.insert(0, ways.with_override([cell], backend))
        yield _Lack(f"{cell.platform} gets cpu: {reason}.", others)
    for problem in examination.told:
        name = problem.key[1]
        text = f"Some platforms go without {name}: {problem.reason}"
        yield _Lack(text, problem.ways, partial(_missed, name, False))
    for name in answers.companions:
        on_cpu = _stand_ins(name, cells)
        if on_cpu and name in raw["companions"].split():
            platforms = listed([*dict.fromkeys(cell.platform for cell in on_cpu)])
            builds = listed([*dict.fromkeys(cell.backend for cell in on_cpu)])
            version = cells.version(name, on_cpu[0].release)
            reason = f"{version} has no wheel for {builds} and Python {answers.python}"
            others = [ways.with_override(on_cpu, CPU), *ways.other_backends(on_cpu[0].variant)]
            text = f"{name} is for the CPU on {platforms}: {reason}."
            others.append(ways.with_companion(name))
            yield _Lack(text, others, partial(_missed, name, True))
    yield from _pythons(cells, ways)


def _stand_ins(name: str, cells: Cells) -> list[Cell]:
    """Return the cells with a companion for the CPU beside another build of torch."""
    return [cell for cell in cells.all if (held := cell.package(name)) and held.is_stand_in]


def _missed(name: str, on_cpu: bool, cells: Cells) -> int:
    """Return how many platforms go without a companion, or get that for the CPU."""
    stand_ins = _stand_ins(name, cells) if on_cpu else []
    lacking = [cell for cell in cells.all if name in cell.lacking]
    return len({cell.platform for cell in (*lacking, *stand_ins)})


def _pythons(cells: Cells, ways: Ways) -> Iterator[_Lack]:
    """Yield what ends `requires-python` before torch does."""
    alone = cells.answers._replace(companions=(), numpy_guard="never")
    of_torch = Cells(alone, cells.facts).pythons
    if (end := cells.answers.python_end) and end not in of_torch:
        reason = f"some platform has no torch for Python {end}"
        yield _Lack(f"requires-python ends after {of_torch[-1]}: {reason}.", ())
    for end in of_torch[len(cells.pythons) :][:1]:
        names = [
            name
            for name in cells.answers.companions
            if any(end not in held.wheels for cell in cells.all if (held := cell.package(name)))
        ]
        guard = ["NumPy 1"] if cells.guarded and end not in cells.facts.numpy(1).pythons else []
        lacking = listed([*names, *guard], "or")
        text = f"requires-python ends before {end}: there is no {lacking} for it."
        words = ways.raw["companions"].split()
        kept = [word for word in words if word.removesuffix(OPTIONAL) not in names]
        others: list[Way] = [
            {"companions": " ".join(kept) or NO_COMPANIONS},
            {"numpy_guard": "auto"},
        ]
        yield _Lack(text, others, lambda cells: -len(cells.pythons))


def likely_notes(cells: Cells) -> tuple[str, ...]:
    """Return a sentence for each reason why builds are only likely, and which builds these are."""
    groups: dict[str, dict[str, dict[str, None]]] = {}
    for cell in cells.all:
        if cell.is_likely:
            builds = groups.setdefault(_reason(cell, cells.facts), {})
            platforms = builds.setdefault(f"{cell.backend} of torch {cell.release}", {})
            platforms[cell.platform] = None
    sentences = []
    for reason, builds in groups.items():
        parts = (f"{build} for {listed([*platforms])}" for build, platforms in builds.items())
        sentences.append(f"{reason}: {'; '.join(parts)}. uv finds out when it locks.")
    return tuple(sentences)


def _reason(cell: Cell, facts: Facts) -> str:
    is_invented = not facts.pythons(TORCH, cell.release, cell.backend, cell.platform)
    if cell.url:
        return f"This template does not know what {cell.url} has"
    if facts.is_expected(cell.release):
        newest = facts.releases[-1]
        rest = "not these builds" if is_invented else "plans newer ones like it"
        return f"This template knows releases up to torch {newest}, and {rest}"
    if is_invented:
        return "PyTorch does not publish these builds, so your index has to have them"
    return "These builds very likely exist, but nobody has seen them yet"


def known_to_hurt(cells: Cells) -> tuple[str, ...]:
    """Return a sentence for each report of a build, and one for the advisories of each release.

    `docs/support.md` has their sources.
    """
    hardware, sentences = cells.facts.hardware, dict[str, None]()
    for cell in cells.all:
        asked = cell.release, cell.build, cell.platform, cells.pythons
        for row in [] if cell.url else hardware.reported(*asked):
            build = f"{cell.build} of " if "builds" in row else ""
            mended = f"; torch {row['fixed']} mends it" if row["fixed"] else ""
            sentences[f"Reported of {build}torch {cell.release}: {row['what']}{mended}."] = None
    for release in dict.fromkeys(cell.release for cell in cells.all):
        if rows := hardware.advisories(release):
            named = listed([f"{row['id']} ({row['what']})" for row in rows])
            mended = f"torch {rows[-1]['fixed']} mends what is known"
            sentences[f"torch {release} has known vulnerabilities: {named}; {mended}."] = None
    return tuple(sentences)
