"""Markers hold where they should, nowhere else, and never two at once."""

from __future__ import annotations

from functools import cache
from itertools import combinations, product

import pytest
from packaging.markers import Marker

from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.project.markers import compared, environment, split

SYSTEMS = {platform.sys_platform for platform in PLATFORMS.values()} | {"freebsd"}
MACHINES = {platform.platform_machine for platform in PLATFORMS.values()} | {"riscv64"}
SETS = [names for size in range(1, len(PLATFORMS) + 1) for names in combinations(PLATFORMS, size)]


@cache
def holds(marker: str, system: str, machine: str) -> bool:
    return not marker or Marker(marker).evaluate(
        {"sys_platform": system, "platform_machine": machine}
    )


def on(marker: str, name: str) -> bool:
    return holds(marker, PLATFORMS[name].sys_platform, PLATFORMS[name].platform_machine)


def partitions(names: tuple[str, ...]) -> list[list[list[str]]]:
    """Return every way to give these platforms to one, two or three indexes."""
    found = []
    for owners in product(range(3), repeat=len(names)):
        groups = [
            [name for name, mine in zip(names, owners, strict=True) if mine == owner]
            for owner in range(3)
        ]
        used = [group for group in groups if group]
        if used not in found:
            found.append(used)
    return found


@pytest.mark.parametrize("among", SETS, ids=" ".join)
def test_every_partition(among: tuple[str, ...]) -> None:
    for groups in partitions(among):
        markers = split(groups, among)
        for group, marker in zip(groups, markers, strict=True):
            assert [name for name in among if on(marker, name)] == sorted(
                group, key=list(PLATFORMS).index
            ), (groups, marker)
        for first, second in combinations(markers, 2):
            both = [
                (system, machine)
                for system, machine in product(SYSTEMS, MACHINES)
                if holds(first, system, machine) and holds(second, system, machine)
            ]
            assert both == [], (groups, first, second)


def test_markers_are_as_short_as_they_can_be() -> None:
    usual = ["linux-x86_64", "linux-aarch64", "macos-arm64", "windows-x86_64"]
    assert split([usual], usual) == [""]
    assert split([usual[:2], usual[2:]], usual) == [
        "sys_platform == 'linux'",
        "sys_platform != 'linux'",
    ]
    assert split([usual[:1], usual[1:2]], usual[:2]) == [
        "platform_machine == 'x86_64'",
        "platform_machine != 'x86_64'",
    ]


@pytest.mark.parametrize(
    ("group", "rest", "marker"),
    [
        (
            ("linux-x86_64", "linux-aarch64", "macos-arm64"),
            ("macos-x86_64",),
            "sys_platform == 'linux' or platform_machine == 'arm64'",
        ),
        (
            ("linux-x86_64", "macos-x86_64", "windows-x86_64"),
            ("linux-aarch64", "macos-arm64", "windows-arm64"),
            "platform_machine == 'x86_64' or platform_machine == 'AMD64'",
        ),
    ],
)
def test_two_comparisons_are_shorter_than_a_list(
    group: tuple[str, ...], rest: tuple[str, ...], marker: str
) -> None:
    assert split([group, rest], [*group, *rest])[0] == marker


def test_where_no_two_comparisons_do_the_platforms_are_listed() -> None:
    group = ("linux-x86_64", "macos-arm64", "windows-arm64")
    rest = [name for name in PLATFORMS if name not in group]
    listed = " or ".join(map(environment, group))
    assert split([group, rest], PLATFORMS) == [listed, " or ".join(map(environment, rest))]


@pytest.mark.parametrize("others", [("macos-arm64", "windows-x86_64"), ("macos-x86_64",)])
def test_whole_systems_are_named_by_the_system_and_others_by_both(others: tuple[str, ...]) -> None:
    groups = [["linux-x86_64"], ["linux-aarch64"], others]
    assert split(groups, ["linux-x86_64", "linux-aarch64", *others]) == [
        "sys_platform == 'linux' and platform_machine == 'x86_64'",
        "sys_platform == 'linux' and platform_machine != 'x86_64'",
        "sys_platform != 'linux'",
    ]


def test_a_group_without_platforms_has_no_marker() -> None:
    with pytest.raises(ValueError, match="one platform at least"):
        split([[], ["linux-x86_64"]], ["linux-x86_64", "macos-arm64"])


def test_markers_compare_what_python_says_of_a_platform() -> None:
    assert compared("windows-arm64", "3.12") == {
        "sys_platform": "win32",
        "platform_system": "Windows",
        "os_name": "nt",
        "platform_machine": "ARM64",
        "python_version": "3.12",
        "python_full_version": "3.12.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }


def test_environments_are_exact() -> None:
    for name in PLATFORMS:
        assert [other for other in PLATFORMS if on(environment(name), other)] == [name]
