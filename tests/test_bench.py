"""The benchmark's arithmetic, and the project of uv's guide; nothing here is timed."""

from __future__ import annotations

from itertools import count

from tests.conftest import Bake
from tests.helpers.proof import indexes_of_torch
from tools.bench import GUIDE_ANSWERS, guide_project, in_turn, row
from torch_plan.catalog.platforms import PLATFORMS


def test_the_median_of_ratios_meets_a_target_or_misses_it() -> None:
    pairs = [(1.0, 1.0), (4.0, 2.0), (9.0, 3.0)]
    cells = ["lock", "4 ms", "2 ms", "2.00 (1.00 to 3.00)", "2.00", "met"]
    assert row("lock", pairs, 2.0) == cells
    assert row("lock", pairs, 1.99)[-1] == "missed"


def test_the_first_round_does_not_count() -> None:
    assert in_turn(count().__next__, count().__next__)[0] == (1, 1)


def test_the_guide_makes_the_same_choice(bake: Bake) -> None:
    project = bake(**GUIDE_ANSWERS)
    guide = guide_project(project.pyproject, "https://index.example/whl")
    for platform in project.plan.platforms:
        where = "", PLATFORMS[platform]._asdict()
        assert indexes_of_torch(guide, *where) == indexes_of_torch(project.pyproject, *where)
