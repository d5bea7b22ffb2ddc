"""The support table says what the facts say, and can be read."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from tools import support
from tools.lib.written import with_parts
from torch_plan.facts import load_facts
from torch_plan.platforms import PLATFORMS

FACTS = load_facts()
PAGE = support.PAGE.read_text(encoding="utf-8")


def test_the_page_is_as_new_as_the_facts() -> None:
    assert support.main(["--check"]) == 0, "run: uv run -m tools.support"


def test_check_fails_on_a_stale_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "support.md"
    monkeypatch.setattr(support, "PAGE", copy)
    copy.write_text(PAGE.replace("cu128", "cu129"), encoding="utf-8")
    assert support.main(["--check"]) == 1
    said = "docs/support.md is older than the facts: uv run -m tools.support\n"
    assert capsys.readouterr().err == said
    assert support.main([]) == 0
    assert copy.read_text(encoding="utf-8") == PAGE


def test_a_page_must_have_a_place_for_each_part() -> None:
    page = "# Page\n<!-- one -->\nold\n<!-- end -->\nText.\n"
    new = "# Page\n<!-- one -->\n\nnew\n\n<!-- end -->\nText.\n"
    assert with_parts(page, {"one": "new"}) == with_parts(new, {"one": "new"}) == new
    with pytest.raises(KeyError, match="no place for other"):
        with_parts(page, {"other": "new"})


def row(release: str, backend: str) -> list[str]:
    """Return the cells of a backend in the table of a release."""
    section = PAGE.partition(f"### torch {release}\n")[2].partition("\n#")[0]
    line = next(line for line in section.splitlines() if line.startswith(f"| `{backend}` |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("release", FACTS.releases)
def test_every_backend_of_every_release_is_there(release: str) -> None:
    for backend in FACTS.backends(release):
        cells = row(release, backend)
        assert len(cells) == 7
        for platform in FACTS.platforms("torch", release, backend):
            assert support.machine_of(platform) in cells[1]
    assert f"[{release}](#torch-{release.replace('.', '')})" in PAGE


def test_every_table_has_as_many_cells_as_its_head() -> None:
    tables = re.findall(r"(?:^\|.*\n)+", PAGE, flags=re.MULTILINE)
    assert len(tables) == len(FACTS.releases) + 3
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1


@pytest.mark.parametrize(
    ("release", "backend", "cells"),
    [
        pytest.param(
            "2.11.0",
            "cu126",
            [
                "Linux x86_64/aarch64, Windows x86_64",
                "3.10\N{EN DASH}3.14",
                "torchvision, torchaudio, torchcodec",
                "glibc 2.28",
                "Linux x86_64/aarch64: 525.60.13<br>Windows x86_64: 528.33",
                "Linux x86_64, Windows x86_64: Maxwell, Pascal, Volta, Turing, Ampere, Ada, Hopper"
                " (5.0 6.0 7.0 7.5 8.0 8.6 9.0)<br>Linux aarch64: Ampere, Ada, Hopper (8.0 9.0)",
            ],
            id="cuda",
        ),
        pytest.param(
            "2.15.0",
            "cpu",
            [
                "Linux x86_64/aarch64, macOS arm64, Windows x86_64",
                "3.11\N{EN DASH}3.15",
                "torchvision, torchaudio (not for 3.15), torchcodec (not for 3.15)",
                "Linux x86_64/aarch64: glibc 2.28<br>macOS arm64: macOS 14.0",
                "",
                "",
            ],
            id="companion-lacks-a-python",
        ),
        pytest.param(
            "2.9.1",
            "cpu",
            [
                "Linux x86_64/aarch64, macOS arm64, Windows x86_64/arm64",
                "Linux x86_64/aarch64, macOS arm64, Windows x86_64: 3.10\N{EN DASH}3.14"
                "<br>Windows arm64: 3.11\N{EN DASH}3.13",
                "torchvision (not for 3.11\N{EN DASH}3.12 on Windows arm64)"
                ", torchaudio (not on Windows arm64)"
                ", torchcodec (not on Linux aarch64, Windows arm64)",
                "Linux x86_64/aarch64: glibc 2.28<br>macOS arm64: macOS 11.0",
                "",
                "",
            ],
            id="companion-lacks-a-platform",
        ),
        pytest.param(
            "2.14.0",
            "rocm7.14",
            [
                *("~~Linux x86_64~~", "3.10\N{EN DASH}3.14", "torchvision", "glibc 2.28", ""),
                "gfx900 gfx906 gfx908 gfx90a gfx942 gfx950 gfx1030 gfx1100 gfx1101 gfx1102 "
                "gfx1103 gfx1150 gfx1151 gfx1200 gfx1201",
            ],
            id="broken",
        ),
    ],
)
def test_what_a_row_says(release: str, backend: str, cells: list[str]) -> None:
    assert row(release, backend)[1:] == cells


def test_cu128_lost_volta() -> None:
    """pytorch/pytorch#175253."""
    assert "Volta" in row("2.10.0", "cu128")[6]
    assert "Volta" not in row("2.11.0", "cu128")[6]
    assert "Linux aarch64: not known" in row("2.11.0", "cu128")[6]


def test_pypi_says_which_build_it_is() -> None:
    assert row("2.15.0", "pypi")[1] == (
        "Linux x86_64/aarch64: `cu132`<br>macOS arm64, Windows x86_64: `cpu`"
    )


def test_likely_builds_are_marked() -> None:
    assert row("2.15.0", "cu130")[1] == "Linux x86_64, Windows x86_64<br>Linux aarch64 (likely)"
    lines = [line for line in PAGE.splitlines() if line.startswith("| [2.15.0]")]
    assert " LA?W | LAW | L?W? |" in lines[0]
    for release, backend in product(FACTS.releases, FACTS.all_backends):
        likely = [
            platform
            for platform in PLATFORMS
            if FACTS.is_likely("torch", release, backend, platform)
        ]
        if likely:
            assert f"{support.platform_names(likely)} (likely)" in row(release, backend)[1]


def test_several_versions_of_a_companion_are_a_span() -> None:
    assert "torchaudio 2.11.0 and torchcodec 0.12.0\N{EN DASH}0.17.0." in PAGE
    assert "torchaudio 2.10.0 and torchcodec 0.10.0." in PAGE


@pytest.mark.parametrize(
    ("tag", "floor"),
    [
        ("manylinux1_x86_64", "glibc 2.5"),
        ("manylinux_2_17_aarch64.manylinux2014_aarch64", "glibc 2.17"),
        ("manylinux_2_27_x86_64.manylinux_2_28_x86_64", "glibc 2.27"),
        ("macosx_10_9_x86_64", "macOS 10.9"),
        ("linux_x86_64", ""),
        ("win_amd64", ""),
    ],
)
def test_floor_of_a_tag(tag: str, floor: str) -> None:
    assert support.floor_of(tag) == floor


def test_old_systems_find_their_last_release() -> None:
    assert "| Linux aarch64 | glibc 2.17 | [2.5.1](#torch-251) |" in PAGE
    assert "| macOS arm64 | macOS 11.0 | [2.11.0](#torch-2110) |" in PAGE
    assert row("2.10.0", "cpu")[4].endswith("macOS arm64: macOS 11.0, for 3.14 macOS 14.0")
    assert row("2.4.1", "cpu")[4] == "Linux aarch64: glibc 2.17<br>macOS arm64: macOS 11.0"


def test_broken_builds_are_struck_out_and_explained() -> None:
    assert "~~L~~AW" in next(line for line in PAGE.splitlines() if line.startswith("| [2.6.0]"))
    for release in FACTS.releases:
        for backend, platform in product(FACTS.backends(release), PLATFORMS):
            assert FACTS.why_broken(release, backend, platform) in PAGE


@pytest.mark.parametrize(
    ("architectures", "names"),
    [
        ((37,), ("Kepler",)),
        ((50, 60, 70), ("Maxwell", "Pascal", "Volta", "Turing")),
        ((75, 86), ("Turing", "Ampere", "Ada")),
        ((89,), ("Ada",)),
        ((90, 120), ("Hopper", "Blackwell")),
        ((), ()),
    ],
)
def test_generations(architectures: tuple[int, ...], names: tuple[str, ...]) -> None:
    assert support.generations(architectures) == names


def test_every_compiled_capability_has_a_generation() -> None:
    known = {card for cards in support.GENERATIONS.values() for card in cards}
    for release in FACTS.releases:
        for build, platform in product(FACTS.backends(release), PLATFORMS):
            assert set(FACTS.architectures(build, release, platform)) <= known
