"""The benchmark's arithmetic, its tables, and the projects of uv's guide; nothing here is timed."""

from __future__ import annotations

import re
import shutil
import tomllib
from itertools import product
from pathlib import Path

import pytest
import tomli_w

from tests.conftest import Bake
from tests.helpers.proof import indexes_of_torch
from tools.bench import PAGE, ROOT, compared, in_turn, render, seconds, timed, verdict, warm
from tools.lib.guide import CHOICES, COMMON, Choice, guide_project
from tools.lib.lock import run_uv
from torch_plan.platforms import PLATFORMS

URL = "https://index.example/whl"
FEW = {"requests": 6, "bytes": 512_000}
SAME, OTHER = CHOICES[0], CHOICES[-1]


def test_the_median_of_ratios_is_no_ratio_of_medians() -> None:
    assert timed("it", [(1.0, 1.0), (4.0, 2.0), (9.0, 3.0)], 2.0) == [
        *("it", "4,000.0 ms", "2,000.0 ms", "2.00 (1.00 to 3.00)", "3", "2.00", "met")
    ]


def test_noise_excuses_no_missed_target() -> None:
    assert verdict([(1.98, 1.0), (2.02, 1.0), (2.06, 1.0)], 2.0) == "missed"
    assert verdict([(1.90, 1.0), (2.00, 1.0), (9.99, 1.0)], 2.0) == "met"


@pytest.mark.parametrize("counted", FEW)
def test_no_count_may_be_more_than_the_guides(counted: str) -> None:
    more = {**FEW, counted: FEW[counted] + 1}
    assert compared(SAME, more, FEW, [])[-1] == "missed"
    assert compared(SAME, FEW, more, [])[-1] == "met"
    assert (OTHER.is_same, compared(OTHER, more, FEW, [])[-1]) == (False, "")


def test_time_counts_where_it_was_taken() -> None:
    slow = [(1.1, 1.0)] * 3
    name, *counts, time, met = compared(SAME, FEW, FEW, slow)
    assert counts == ["6 / 6", "512,000 / 512,000"]
    assert (name, time, met) == (SAME.name, "1.10 (1.10 to 1.10)", "missed")
    assert compared(SAME, FEW, FEW, [])[-2:] == ["", "met"]


def test_the_page_has_a_place_for_every_part() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert set(re.findall("<!-- (.*) -->", text)) == {"day", "on its own", "guide", "page", "end"}


def test_both_sides_run_in_turn() -> None:
    calls: list[str] = []

    def side(name: str, value: float) -> float:
        calls.append(name)
        return value

    pairs = in_turn(lambda: side("a", 1.0), lambda: side("b", 2.0), 3)
    assert pairs == [(1.0, 2.0)] * 3
    assert "".join(calls) == "ab" + "ab" + "ba" + "ab"


@pytest.mark.slow
def test_compiled_templates_follow_their_source(tmp_path: Path) -> None:
    """What the bytecode cache keeps is neither the answers nor an older template."""
    copy = tmp_path / "template"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "tests", "docs", "__pycache__"))
    readme = copy / "{{cookiecutter.project_slug}}/README.md"
    for name, tail in (("One", ""), ("Two", ""), ("Two", "{{ cookiecutter.project_slug }}!\n")):
        readme.write_text(readme.read_text(encoding="utf-8") + tail, encoding="utf-8")
        answers = {"project_name": name, "after_generation": "nothing"}
        seconds(render(copy, tmp_path, answers), warm(tmp_path), tmp_path)
        text = (tmp_path / name.lower() / "README.md").read_text(encoding="utf-8")
        assert text.startswith(f"# {name}\n")
        assert text.endswith("two!\n") == bool(tail)
    assert list((tmp_path / "bytecode").rglob("__jinja2_*"))


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.name)
def test_the_guide_makes_the_same_choice(choice: Choice, bake: Bake, tmp_path: Path) -> None:
    project = bake(**COMMON, **choice.answers)
    ours, theirs = project.pyproject, guide_project(project.pyproject, choice.sources, URL)
    assert "environments" not in theirs["tool"]["uv"]
    every = product(project.plan.options, project.plan.platforms)
    same = [
        indexes_of_torch(theirs, option.name, PLATFORMS[platform]._asdict())
        == indexes_of_torch(ours, option.name, PLATFORMS[platform]._asdict())
        for option, platform in every
    ]
    assert all(same) is choice.is_same
    (tmp_path / "guide").mkdir()
    (tmp_path / "guide/pyproject.toml").write_text(tomli_w.dumps(theirs), encoding="utf-8")
    # uv reads its settings; the index is not asked.
    run_uv(tmp_path / "guide", "workspace", "dir", "--offline")


def test_a_triton_is_required_where_its_source_holds(bake: Bake) -> None:
    choice = next(choice for choice in CHOICES if choice.name == "ROCm, else PyPI")
    theirs = guide_project(bake(**COMMON, **choice.answers).pyproject, choice.sources, URL)
    (triton,) = theirs["tool"]["uv"]["sources"]["pytorch-triton-rocm"]
    assert triton == {"index": "pytorch-rocm6.4", "marker": "sys_platform == 'linux'"}
    wanted = f"pytorch-triton-rocm==3.5.1 ; {triton['marker']}"
    assert wanted in theirs["project"]["dependencies"]
    assert tomllib.loads(tomli_w.dumps(theirs)) == theirs
