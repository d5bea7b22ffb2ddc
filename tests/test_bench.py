"""The benchmark's arithmetic, and the project of uv's guide; nothing here is timed."""

from __future__ import annotations

import tomllib

from tests.conftest import Bake
from tests.helpers.proof import indexes_of_torch
from tools.bench import GUIDE_ANSWERS, guide_project, row
from torch_plan.catalog.platforms import PLATFORMS


def test_the_median_of_ratios_meets_a_target_or_misses_it() -> None:
    """The first round does not count."""

    def cells(target: float) -> list[str]:
        ours, theirs = iter([99.0, *[1.0, 4.0, 9.0] * 3]), iter([1.0, *[1.0, 2.0, 3.0] * 3])
        return row("lock", target, ours.__next__, theirs.__next__)

    assert cells(2.0) == ["lock", "4 ms", "2 ms", "2.00 (1.00 to 3.00)", "2.00", "met"]
    assert cells(1.99)[-1] == "missed"


def test_the_guide_makes_the_same_choice(bake: Bake) -> None:
    project = bake(**GUIDE_ANSWERS)
    text = guide_project(project.read("pyproject.toml"), "https://index.example/whl")
    for platform in project.plan.platforms:
        where = "", PLATFORMS[platform]._asdict()
        ours = indexes_of_torch(project.pyproject, *where)
        assert indexes_of_torch(tomllib.loads(text), *where) == ours
