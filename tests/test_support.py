"""The support table says what the facts say, and can be read."""

from __future__ import annotations

import pytest

from tools.docs import HEAD, LETTERS, SUPPORT, support
from torch_plan.catalog.facts import load_facts
from torch_plan.catalog.versions import PYPI

FACTS = load_facts()
TEXT = SUPPORT.read_text(encoding="utf-8")


def row(release: str) -> dict[str, str]:
    """Return the cells of a release, by the heads of their columns; no-break spaces as spaces."""
    line = next(it for it in TEXT.splitlines() if it.startswith(f"| **{release}**"))
    cells = [cell.strip() for cell in line.replace("\N{NO-BREAK SPACE}", " ").strip("|").split("|")]
    return dict(zip(HEAD, cells, strict=True))


def test_the_page_is_as_new_as_the_facts() -> None:
    assert support(TEXT, FACTS) == TEXT, "run: uv run -m tools.docs"


def test_a_page_must_have_a_place_for_each_part() -> None:
    with pytest.raises(KeyError, match="no place for broken"):
        support(TEXT.replace("<!-- broken -->", ""), FACTS)


@pytest.mark.parametrize("release", FACTS.releases)
def test_every_build_of_every_release_is_there(release: str) -> None:
    told = " ".join(row(release).values())
    for backend in FACTS.backends(release):
        assert backend in ("cpu", "xpu", PYPI) or f"`{backend}` " in told
    for name, versions in FACTS.companions(release).items():
        assert f"{name} {versions[-1]}" in told
        assert versions[0] in told


@pytest.mark.parametrize(
    ("release", "column", "cell"),
    [
        pytest.param("2.15.0", "CUDA", "`cu130` LA?W<br>`cu132` LAW", id="likely"),
        pytest.param("2.6.0", "CUDA", "`cu118` LW<br>`cu124` LW<br>`cu126` ~~L~~AW", id="broken"),
        pytest.param("2.15.0", "on PyPI", "`cu132` LA<br>`cpu` MW", id="pypi"),
        pytest.param("2.2.2", "CPU", "LAMmW", id="intel-macs"),
        pytest.param("2.15.0", "needs", "glibc 2.28 LA<br>macOS 14.0 M", id="systems"),
        pytest.param("2.4.1", "needs", "glibc 2.17 A<br>macOS 11.0 M", id="no-promise"),
        pytest.param("2.8.0", "Python", "3.9\N{EN DASH}3.13", id="pythons"),
        pytest.param("2.9.1", "ROCm", "`rocm6.3` L<br>`rocm6.4` L", id="rocm"),
        pytest.param("2.13.0", "XPU", "LW", id="xpu"),
        pytest.param(
            "2.9.1",
            "goes with",
            "torchvision 0.24.1<br>torchaudio 2.9.1<br>torchcodec 0.8.0\N{EN DASH}0.9.1",
            id="companions",
        ),
    ],
)
def test_what_a_row_says(release: str, column: str, cell: str) -> None:
    assert row(release)[column] == cell


def test_the_page_explains_its_letters_and_what_is_broken() -> None:
    for letter in LETTERS.values():
        assert f"**{letter}** " in TEXT
    for release in FACTS.releases:
        for backend in FACTS.backends(release):
            for platform in LETTERS:
                assert FACTS.hardware.why_broken(release, backend, platform) in TEXT
