"""The benchmark's arithmetic, its tables, and the projects of uv's guide; nothing here is timed."""

from __future__ import annotations

import re
import shutil
from itertools import product
from pathlib import Path

import pytest
import tomli_w

from tests.conftest import Bake
from tests.helpers.proof import indexes_of_torch
from tools.bench import PAGE, ROOT, counted, in_turn, render, seconds, timed, warm
from tools.lib.guide import CHOICES, COMMON, Choice, guide_project
from tools.lib.lock import run_uv
from torch_plan.catalog.platforms import PLATFORMS

URL = "https://index.example/whl"
FEW = {"requests": 6, "bytes": 512_000}


def test_the_median_of_ratios_is_no_ratio_of_medians() -> None:
    assert timed("it", [(1.0, 1.0), (4.0, 2.0), (9.0, 3.0)], 2.0) == [
        *("it", "4,000.0 ms", "2,000.0 ms", "2.00 (1.00 to 3.00)", "3", "2.00", "met")
    ]


def test_noise_excuses_no_missed_target() -> None:
    assert timed("it", [(1.98, 1.0), (2.02, 1.0), (2.06, 1.0)], 2.0)[-1] == "missed"
    assert timed("it", [(1.90, 1.0), (2.00, 1.0), (9.99, 1.0)], 2.0)[-1] == "met"


@pytest.mark.parametrize("what", FEW)
def test_no_count_may_be_more_than_the_guides(what: str) -> None:
    more = {**FEW, what: FEW[what] + 1}
    assert counted("CPU", more, FEW)[-1] == "missed"
    assert counted("CPU", FEW, more)[-1] == "met"
    assert counted("CPU", FEW, FEW) == ["CPU", "6 / 6", "512,000 / 512,000", "met"]


def test_the_page_has_a_place_for_every_part() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert set(re.findall("<!-- (.*) -->", text)) == {"day", "times", "guide", "page", "end"}


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
    theirs = guide_project(project.pyproject, choice, URL)
    assert "environments" not in theirs["tool"]["uv"]
    for option, platform in product(project.plan.options, project.plan.platforms):
        where = option.name, PLATFORMS[platform]._asdict()
        assert indexes_of_torch(theirs, *where) == indexes_of_torch(project.pyproject, *where)
    (tmp_path / "guide").mkdir()
    (tmp_path / "guide/pyproject.toml").write_text(tomli_w.dumps(theirs), encoding="utf-8")
    # uv reads its settings; the index is not asked.
    run_uv(tmp_path / "guide", "workspace", "dir", "--offline")
