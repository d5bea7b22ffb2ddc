"""The benchmark's arithmetic, its hand-written projects, and its page; nothing here is timed."""

from __future__ import annotations

import shutil
import tomllib
import xml.etree.ElementTree as ET
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PYTHON, Bake
from tests.proof import indexes_of_torch
from tools.bench import (
    BACKENDS,
    CHOICES,
    COMMON,
    MEASURES,
    NAMES,
    PICTURED,
    PLATFORMS,
    ROOT,
    Choice,
    Cost,
    Growth,
    Written,
    amount,
    best_wheel,
    compiled,
    counted,
    download_note,
    growth_picture,
    growth_table,
    guide_pyproject,
    in_turn,
    linux_tags,
    lock_table,
    median_interval,
    on_cuda,
    plan_of,
    render,
    seconds,
    size_of,
    table,
    timed,
)
from tools.lib.lock import run_uv
from torch_plan import platforms

URL = "https://index.example/whl"


def guide(choice: Choice) -> dict[str, Any]:
    """Return the parsed project that uv's guide leads to."""
    plan = plan_of({**COMMON, **choice.answers})
    return tomllib.loads(guide_pyproject(plan, choice.guide, URL))


def test_the_median_of_ratios_is_no_ratio_of_medians() -> None:
    row = timed("it", [(1.0, 1.0), (4.0, 2.0), (9.0, 3.0)], 2.0)
    assert (row.ours, row.theirs, row.ratio, row.rounds) == (4.0, 2.0, 2.0, 3)
    assert row.verdict == "met"
    assert timed("it", [(2.02, 1.0)], 2.0).verdict == "missed"
    assert timed("it", [(2.02, 1.0)], None).verdict == ""


def test_noise_excuses_no_missed_target() -> None:
    noisy = timed("it", [(1.98, 1.0), (2.02, 1.0), (2.06, 1.0)], 2.0)
    assert (noisy.interval, noisy.verdict) == ((1.98, 2.06), "missed")


@pytest.mark.parametrize(("count", "ends"), [(5, (1, 5)), (6, (1, 6)), (9, (2, 8)), (20, (6, 15))])
def test_interval_of_a_median(count: int, ends: tuple[int, int]) -> None:
    """The ranks are those of the tables for the sign test: 95 % from 6 values on."""
    assert median_interval(list(range(count, 0, -1))) == ends


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [(0, 0, "met"), (1, 0, "missed"), (3, 3, "met"), (4, 3, "missed"), (2, 3, "met")],
)
def test_counts_are_never_more(ours: int, theirs: int, verdict: str) -> None:
    assert counted("it", "", ours, theirs, 1.0).verdict == verdict


def test_both_sides_run_in_turn() -> None:
    calls: list[str] = []

    def side(name: str, value: float) -> float:
        calls.append(name)
        return value

    pairs = in_turn(lambda: side("a", 1.0), lambda: side("b", 2.0), 3)
    assert pairs == [(1.0, 2.0)] * 3
    assert "".join(calls) == "ab" + "ab" + "ba" + "ab"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0042, "s", "4.2 ms"),
        (1.234, "s", "1,234 ms"),
        (512_101, "B", "512 kB"),
        (191_794_682, "B", "191.8 MB"),
        (1234, "", "1,234"),
    ],
)
def test_amounts(value: float, unit: str, text: str) -> None:
    assert amount(value, unit) == text


def test_table_has_a_cell_for_every_column() -> None:
    rows = [counted("few", "", 1, 2, 1.0), counted("many", "B", 5_000_000, 4, None)]
    lines = table(rows).splitlines()
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
    assert {line.count("|") for line in lines} == {9}


def test_comparisons_are_a_line_each() -> None:
    good = [counted("few", "B", 5_000, 5_000, 1.0), timed("time", [(1.0, 1.0)] * 5, 1.0)]
    bad = [counted("few", "B", 6_000, 5_000, 1.0), timed("time", [(1.0, 2.0)] * 5, 1.0)]
    head, _, *lines = lock_table({"one": good, "other": bad}).splitlines()
    assert [cell.strip() for cell in head.split("|")[2:4]] == ["few", "time"]
    assert [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines] == [
        ["one", "5 kB / 5 kB", "1.00 (1.00 to 1.00)", "met"],
        ["other", "6 kB / 5 kB", "0.50 (0.50 to 0.50)", "missed"],
    ]


def test_compiled_templates_follow_their_source(tmp_path: Path) -> None:
    """What the bytecode cache keeps is neither the answers nor an older template."""
    copy = tmp_path / "template"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "tests", "docs", "__pycache__"))
    readme = copy / "{{cookiecutter.project_slug}}/README.md"
    for name, tail in (("One", ""), ("Two", ""), ("Two", "{{ cookiecutter.project_slug }}!\n")):
        readme.write_text(readme.read_text(encoding="utf-8") + tail, encoding="utf-8")
        answers = {"project_name": name, "after_generation": "nothing"}
        seconds(render(copy, tmp_path, answers), compiled(tmp_path), tmp_path)
        text = (tmp_path / name.lower() / "README.md").read_text(encoding="utf-8")
        assert text.startswith(f"# {name}\n")
        assert text.endswith("two!\n") == bool(tail)
    assert list((tmp_path / "bytecode").rglob("__jinja2_*"))


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.name)
def test_the_guide_makes_the_same_choice(choice: Choice, bake: Bake) -> None:
    ours, theirs = bake(**COMMON, **choice.answers).pyproject, guide(choice)
    uv = theirs["tool"]["uv"]
    assert theirs["project"]["requires-python"] == ours["project"]["requires-python"]
    assert "environments" not in uv
    assert pins(theirs) == pins(ours)
    assert set(uv["sources"]) == set(ours["tool"]["uv"]["sources"])
    assert {index["name"] for index in uv["index"]} <= {
        index["name"] for index in ours["tool"]["uv"]["index"]
    }
    assert uv.get("conflicts") == ours["tool"]["uv"].get("conflicts")
    plan = plan_of({**COMMON, **choice.answers})
    for option, platform in product(plan.options, plan.platforms):
        here = platforms.PLATFORMS[platform]._asdict()
        expected = indexes_of_torch(ours, option.name, here)
        assert indexes_of_torch(theirs, option.name, here) == expected, (option.name, platform)
    assert uv.get("default-groups") == ours["tool"]["uv"].get("default-groups")


def pins(pyproject: dict[str, Any]) -> set[str]:
    """Return the requirements of a project and all its extras and groups, without markers."""
    lists = [
        pyproject["project"]["dependencies"],
        *pyproject["project"].get("optional-dependencies", {}).values(),
        *pyproject["dependency-groups"].values(),
    ]
    return {pin.partition(" ;")[0] for requirements in lists for pin in requirements}


def test_uv_reads_the_hand_written_project(tmp_path: Path) -> None:
    """As far as its settings go: the index cannot be reached, and uv says nothing else."""
    plan = plan_of({**COMMON, **CHOICES[-1].answers})
    text = guide_pyproject(plan, CHOICES[-1].guide, URL)
    (tmp_path / "pyproject.toml").write_text(text)
    run_uv(tmp_path, "workspace", "dir", "--offline")


WHEELS = {
    "wheels": [
        {"url": f"{URL}/it-1-{tag}.whl", "size": size}
        for size, tag in enumerate(
            (
                "py3-none-any",
                "cp311-cp311-macosx_14_0_arm64",
                "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64",
                "cp311-cp311-manylinux_2_28_x86_64",
                "cp312-cp312-manylinux_2_28_x86_64",
            )
        )
    ]
}


def test_best_wheel() -> None:
    best = best_wheel(WHEELS, linux_tags("3.11"))
    assert best is not None
    assert size_of(best) == 3
    older = best_wheel(WHEELS, linux_tags("3.10"))
    assert older is not None
    assert size_of(older) == 0
    assert best_wheel({"wheels": WHEELS["wheels"][1:2]}, linux_tags(PYTHON)) is None
    assert best_wheel({}, linux_tags(PYTHON)) is None


def test_download_note_names_what_comes_in_addition() -> None:
    pypi = {"torch": 5_000_000, "cudnn": 7_000_000, "nccl": 1_000_000}
    note = download_note("2.0.0", {"torch": 2_000_000}, pypi)
    assert "2.0 MB, PyPI's is 5.0 MB and brings 2 packages more (8.0 MB)" in note


def test_every_step_of_the_growth_can_be_planned() -> None:
    for number in range(1, len(BACKENDS) + 1):
        answers = {"torch_backend": " ".join(BACKENDS[:number]), "layout": "extras"}
        plan = plan_of({**COMMON, **answers})
        assert len(plan.options) == number
        sources = [Written(name, option=name) for name in BACKENDS[:number]]
        uv = tomllib.loads(guide_pyproject(plan, sources, URL))["tool"]["uv"]
        assert ("conflicts" in uv) == (number > 1)
    for number in range(1, len(PLATFORMS) + 1):
        plan = plan_of({**COMMON, **on_cuda(PLATFORMS[:number])})
        assert len(plan.platforms) == number


def test_growth_as_table_and_picture() -> None:
    costs = tuple(Cost(number, 1000 * number, 9, 2000, 10, 100) for number in (1, 2, 3))
    half = Growth("platforms", costs, costs)
    lines = growth_table(half).splitlines()
    assert len(lines) == 2 + 2 * len(MEASURES)
    assert {line.count("|") for line in lines} == {5}
    picture = growth_picture([half, half])
    assert picture == growth_picture([half, half])
    words = set(ET.fromstring(picture).itertext())
    assert {"this template", "uv's guide", "platforms", *map(NAMES.get, PICTURED)} <= words
