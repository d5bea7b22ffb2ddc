"""From what a project has to the answers that give it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings

from tests.helpers.strategies import drawn_answers
from torch_plan.answers.grammar import read_answers
from torch_plan.answers.records import EXTRAS, GROUPS, MARKERS
from torch_plan.catalog.facts import load_facts
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.inverse import Inverse, Place, Present, index_backend
from torch_plan.project.planning import make_plan
from torch_plan.resolution.cells import Cells
from torch_plan.resolution.check import find_problems
from torch_plan.resolution.defaults import complete

FACTS = load_facts()
USUAL = ("linux-x86_64", "linux-aarch64", "macos-arm64", "windows-x86_64")


def anything(package: str, version: str, place: Place) -> bool:
    """Admit every version."""
    return True


def exactly(*releases: str) -> Callable[[str, str, Place], bool]:
    """Admit these releases of torch, and every companion."""
    return lambda package, version, _: package != "torch" or version in releases


def answers(
    backends: dict[Place, str],
    admits: Callable[[str, str, Place], bool] = anything,
    *,
    locked: str = "",
    demanded: tuple[str, ...] = (),
    given: dict[str, str] | None = None,
) -> dict[str, str]:
    """Return the answers for a project for Python 3.11 and 3.12 with these backends."""
    layout = EXTRAS if any(variant for variant, _ in backends) else MARKERS
    read = {"layout": layout, "companions": "none"}
    present = Present(backends, admits, ("3.11", "3.12"), (locked,), demanded)
    return Inverse(present, given or {}, FACTS).answers(read)


def everywhere(backend: str, **others: str) -> dict[Place, str]:
    """Return one backend on the usual platforms, another where it is named with `_` for `-`."""
    named = {key.replace("_", "-", 1): value for key, value in others.items()}
    return {("", platform): named.get(platform, backend) for platform in USUAL}


@pytest.mark.slow
@settings(max_examples=80, derandomize=True, deadline=None)
@given(drawn_answers(MARKERS) | drawn_answers(EXTRAS) | drawn_answers(GROUPS))
def test_the_way_back_leads_to_the_same_cells(drawn: dict[str, str]) -> None:
    raw = complete(drawn, FACTS)
    assume(not find_problems(raw, FACTS))
    cells = Cells(read_answers(raw, FACTS)[0], FACTS)
    named = raw["layout"] != MARKERS
    places = {(it.variant.name if named else "", it.platform): it for it in cells.all}
    backends = {place: cell.backend for place, cell in places.items()}

    def admits(package: str, version: str, place: Place) -> bool:
        its = places[place].package(package)
        return its is None or its.version == version

    present = Present(backends, admits, cells.pythons, (), [platform for _, platform in backends])
    read = {key: raw[key] for key in ("layout", "companions", "numpy_guard", "torch_pin")}
    found = Inverse(present, {}, FACTS).answers(read)
    plan = make_plan(complete(found, FACTS), FACTS)
    again = [cell for option in plan.options for cell in option.cells]
    assert [it[1:] for it in again] == [it[1:] for it in cells.all]
    assert not named or [it.variant.name for it in again] == [it.variant.name for it in cells.all]


def test_the_newest_release_that_has_the_builds() -> None:
    assert answers(everywhere("cu128"))["torch_version"] == "2.11.0"
    assert answers(everywhere("cpu"))["torch_version"] == FACTS.releases[-1]


def test_a_locked_release_comes_first_if_it_is_admitted() -> None:
    assert answers(everywhere("cpu"), locked="2.8.0")["torch_version"] == "2.8.0"
    bound = exactly("2.9.0", "2.9.1")
    assert answers(everywhere("cpu"), bound, locked="2.8.0")["torch_version"] == "2.9.1"


def test_companions_decide_before_other_releases_do() -> None:
    def admits(package: str, version: str, place: Place) -> bool:
        return (package, version) != ("torchvision", version) or version == "0.23.0"

    assert answers(everywhere("cpu"), admits)["torch_version"] == "2.8.0"


def test_no_release_is_admitted() -> None:
    assert answers(everywhere("cpu"), exactly()) == {}


def test_what_was_given_stays() -> None:
    found = answers(
        everywhere("cu124", windows_x86_64="cpu", linux_aarch64="cu126"),
        exactly("2.6.0"),
        given={"torch_version": "2.9.1", "torch_backend": "cu128"},
    )
    assert (found["torch_version"], found["torch_backend"]) == ("2.9.1", "cu128")
    words = ["linux-x86_64", "linux-aarch64", "macos-arm64", "windows-x86_64=cpu"]
    assert found["platforms"].split() == words


def test_only_what_the_plan_would_not_do_is_overridden() -> None:
    found = answers(everywhere("cu128", windows_x86_64="cpu"), exactly("2.9.1"))
    words = ["linux-x86_64", "linux-aarch64", "macos-arm64", "windows-x86_64=cpu"]
    assert found["platforms"].split() == words


def test_platforms_that_are_demanded_are_not_left_out() -> None:
    usual = answers({("", it): "cpu" for it in USUAL}, exactly("2.2.2"))
    assert "macos-x86_64" not in usual["platforms"]
    every = {("", it): "cpu" for it in PLATFORMS if it != "windows-arm64"}
    found = answers(every, exactly("2.2.2"), demanded=("macos-x86_64",))
    assert "macos-x86_64" in found["platforms"].split()


def test_a_build_of_another_release_carries_it() -> None:
    """What the words are; whether the plan takes a release for one platform is its own affair."""

    def admits(package: str, version: str, place: Place) -> bool:
        return package != "torch" or version == ("2.2.2" if "macos-x86_64" in place else "2.7.1")

    cells = {("", platform): "cpu" for platform in (*USUAL, "macos-x86_64")}
    present = Present(cells, admits, ("3.11",), (), ())
    _, overrides = Inverse(present, {}, FACTS).words("2.7.1")
    assert overrides["macos-x86_64"] == ["macos-x86_64=2.2.2+cpu"]
    variants = {("cuda", "linux-x86_64"): "cu128", ("rocm", "linux-x86_64"): "rocm6.2.4"}
    of_its_own = Present(
        variants,
        lambda package, version, place: version == ("2.6.0" if "rocm" in place else "2.7.1"),
        ("3.11",),
        (),
        (),
    )
    words, _ = Inverse(of_its_own, {}, FACTS).words("2.7.1")
    assert words == ["cuda=cu128", "rocm=2.6.0+rocm6.2.4"]


OFFICIAL = "https://download.pytorch.org/whl"


@pytest.mark.parametrize(
    ("url", "backend"),
    [
        (f"{OFFICIAL}/cu128", "cu128"),
        (f"{OFFICIAL}/cu128/", "cu128"),
        ("HTTPS://download.pytorch.org/whl/cpu", "cpu"),
        (f"{OFFICIAL}/nightly/cu128", "nightly/cu128"),
        (OFFICIAL, ""),
        (f"{OFFICIAL}/torch_stable.html", ""),
        ("https://mirror.sjtu.edu.cn/pytorch-wheels/cu126", "cu126"),
        ("https://mirror.sjtu.edu.cn/pytorch-wheels-2/cu126", None),
        ("https://example.com/whl/cu128", None),
        ("", None),
    ],
)
def test_which_build_an_index_has(url: str, backend: str | None) -> None:
    assert index_backend(url, [it.url for it in FACTS.pytorch_mirrors.values()]) == backend
