"""PEP 508 markers that tell the platforms of a project apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import combinations, product
from typing import NamedTuple

from torch_plan.catalog.platforms import PLATFORMS

_SystemAndMachine = tuple[str, str]
"""A system and a machine, as `sys_platform` and `platform_machine` name them."""

_PAIRS: dict[str, _SystemAndMachine] = {
    name: (entry.sys_platform, entry.platform_machine) for name, entry in PLATFORMS.items()
}
_SYSTEMS, _MACHINES = (
    tuple(dict.fromkeys(values)) for values in zip(*_PAIRS.values(), strict=True)
)
_NAMES = {"linux": ("Linux", "posix"), "darwin": ("Darwin", "posix"), "win32": ("Windows", "nt")}
"""`sys_platform` -> what `platform_system` and `os_name` call the same system."""
_OTHER = "other"
"""Stands for every system or machine that no project names."""
_EVERYWHERE = frozenset(product((*_SYSTEMS, _OTHER), (*_MACHINES, _OTHER)))


class _Term(NamedTuple):
    """A marker, and every (system, machine) on which it holds.

    Texts are joined without brackets, so an `or` must not become a part of an `and`.
    """

    text: str
    holds: frozenset[_SystemAndMachine]

    def __or__(self, other: _Term) -> _Term:
        return _Term(f"{self.text} or {other.text}", self.holds | other.holds)

    def __and__(self, other: _Term) -> _Term:
        return _Term(f"{self.text} and {other.text}", self.holds & other.holds)


def environment(platform: str) -> str:
    """Return the exact marker of one platform, as `required-environments` lists it."""
    return _exact(platform).text


def compared(platform: str, python: str) -> dict[str, str]:
    """Return what markers compare on a platform with a Python (`3.12`): variable -> value."""
    system, machine = _PAIRS[platform]
    platform_system, os_name = _NAMES[system]
    return {
        "sys_platform": system,
        "platform_system": platform_system,
        "os_name": os_name,
        "platform_machine": machine,
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }


def split(groups: Iterable[Iterable[str]], among: Iterable[str]) -> list[str]:
    """Return one marker for each group of platforms.

    Each holds on its group and on no other platform of `among`, is as short as it can be, and no
    two hold at once on any machine at all: uv demands that of the sources of a package. A group of
    all the platforms needs no marker and gets an empty one.
    """
    return list(_split(tuple(frozenset(group) for group in groups), frozenset(among)))


def marked(texts: Iterable[tuple[str, str]], among: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each text once with the marker of its platforms, from pairs of text and platform."""
    groups: dict[str, list[str]] = {}
    for text, platform in texts:
        groups.setdefault(text, []).append(platform)
    return zip(groups, split(groups.values(), among), strict=True)


@cache
def _split(groups: Sequence[frozenset[str]], among: frozenset[str]) -> tuple[str, ...]:
    if groups == (among,):
        return ("",)
    terms = [_plain(group, among) for group in groups]
    for position, group in enumerate(groups):
        others = [term for other, term in enumerate(terms) if other != position]
        candidates = [
            term
            for term in _candidates(group, among)
            if not any(term.holds & other.holds for other in others)
        ]
        terms[position] = min([*candidates, terms[position]], key=lambda term: len(term.text))
    return tuple(term.text for term in terms)


def _plain(group: frozenset[str], among: frozenset[str]) -> _Term:
    """Name whole systems by the system, and other platforms exactly: no two groups overlap."""
    term = None
    for system in _SYSTEMS:
        here = [name for name in PLATFORMS if name in among and _PAIRS[name][0] == system]
        ours = [name for name in here if name in group]
        whole = bool(ours) and ours == here
        parts = [_compare(0, system)] if whole else [_exact(name) for name in ours]
        for part in parts:
            term = term | part if term else part
    if term is None:
        raise ValueError("a marker is for one platform at least")
    return term


def _candidates(group: frozenset[str], among: frozenset[str]) -> list[_Term]:
    """Return every comparison, conjunction, and pair of them that is right among the platforms."""
    known = frozenset(_PAIRS[name] for name in among)
    wanted = frozenset(_PAIRS[name] for name in group)
    terms = [term for term in _terms() if term.holds & known]
    single = [term for term in terms if term.holds & known == wanted]
    if single:
        return single
    parts = [term for term in terms if term.holds & known <= wanted]
    # Pairs are enough: three at once would be shorter for 10 of the 602 groups that some of the six
    # platforms can form, and where no pair is right (4 of them), the plain marker is taken.
    pairs = (first | second for first, second in combinations(parts, 2))
    return [pair for pair in pairs if pair.holds & known == wanted]


@cache
def _terms() -> tuple[_Term, ...]:
    """Return every comparison of a system, of a machine, and of one of each."""
    systems, machines = (
        [_compare(position, value, operator) for value in values for operator in ("==", "!=")]
        for position, values in enumerate((_SYSTEMS, _MACHINES))
    )
    return (*systems, *machines, *(first & second for first, second in product(systems, machines)))


def _compare(position: int, value: str, operator: str = "==") -> _Term:
    variable = ("sys_platform", "platform_machine")[position]
    equal = frozenset(pair for pair in _EVERYWHERE if pair[position] == value)
    holds = equal if operator == "==" else _EVERYWHERE - equal
    return _Term(f"{variable} {operator} '{value}'", holds)


def _exact(platform: str) -> _Term:
    system, machine = _PAIRS[platform]
    return _compare(0, system) & _compare(1, machine)
