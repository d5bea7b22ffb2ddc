"""Combinations that nobody lists: refused with a way out that works, or locked as planned."""

from __future__ import annotations

import os
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings

from tests.conftest import Bake
from tests.helpers.proof import prove
from tests.helpers.refusals import refused, rerun_answers
from tests.helpers.strategies import drawn_answers
from torch_plan.answers.records import EXTRAS, GROUPS, MARKERS
from torch_plan.catalog.facts import load_facts
from torch_plan.resolution.check import find_problems
from torch_plan.resolution.defaults import complete

pytestmark = pytest.mark.slow

FACTS = load_facts()
EXAMPLES = int(os.environ.get("COMBINATIONS", "12"))
"""Examples for each layout; a larger `COMBINATIONS` in the environment draws more."""

_slugs = count()


@pytest.mark.parametrize("layout", [MARKERS, EXTRAS, GROUPS])
def test_refused_with_a_way_out_or_locked_as_planned(layout: str, bake: Bake) -> None:
    outcomes = {"refused": 0, "locked": 0}

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(drawn_answers(layout))
    def holds(drawn: dict[str, str]) -> None:
        if find_problems(complete(drawn, FACTS), FACTS):
            outcomes["refused"] += 1
            assert find_problems(rerun_answers(refused(drawn)), FACTS) == []
        else:
            outcomes["locked"] += 1
            prove(bake(**drawn, project_slug=f"project-{next(_slugs)}"))

    holds()
    assert min(outcomes.values()) > 0, outcomes
