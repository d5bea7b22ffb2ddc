"""Combinations that nobody lists: refused with a way out that works, or locked as planned."""

from __future__ import annotations

import os
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.conftest import Bake
from tests.proof import prove
from tests.refusals import refused, rerun_answers
from torch_plan.answers import EXTRAS, GROUPS, MARKERS
from torch_plan.check import find_problems
from torch_plan.defaults import complete
from torch_plan.facts import load_facts
from torch_plan.platforms import PLATFORMS

FACTS = load_facts()
NAMES = ("gpu", "gpu-old", "intel", "Workstation", "a.b_c")
EXAMPLES = int(os.environ.get("COMBINATIONS", "12"))
"""Examples for each layout; a larger `COMBINATIONS` in the environment draws more."""

_slugs = count()


@st.composite
def answers(draw: DrawFn, layout: str) -> dict[str, str]:
    """Draw answers from the facts: mostly of one release, with now and then one of another."""
    release = draw(st.sampled_from(FACTS.releases))
    likely = FACTS.backends(release)
    backend = st.one_of(st.sampled_from(likely), st.sampled_from(likely + FACTS.all_backends))
    backends = draw(st.lists(backend, min_size=1, max_size=1 if layout == MARKERS else 3))
    names = [draw(st.sampled_from(("", *NAMES))) if layout != MARKERS else "" for _ in backends]
    pythons = FACTS.pythons("torch", release, "cpu", "linux-x86_64")
    python = draw(st.one_of(st.sampled_from(pythons), st.sampled_from(pythons + FACTS.all_pythons)))
    platforms = draw(
        st.one_of(
            st.just(complete({"torch_version": release}, FACTS)["platforms"].split()),
            st.lists(st.sampled_from(list(PLATFORMS)), min_size=1, unique=True),
        )
    )
    if draw(st.integers(0, 3)) == 0:
        position = draw(st.integers(0, len(platforms) - 1))
        known = [name or other for name, other in zip(names, backends, strict=True)]
        name = draw(st.sampled_from(["", *(f"{item}:" for item in known)]))
        named = name if layout != MARKERS else ""
        platforms[position] += f"={named}{draw(st.sampled_from(likely))}"
    companions = st.sampled_from(("torchvision", "torchaudio", "torchvision torchaudio", "none"))
    return {
        "torch_version": release,
        "python_version": python,
        "torch_backend": " ".join(
            f"{name}={item}" if name else item for name, item in zip(names, backends, strict=True)
        ),
        "layout": layout,
        "companions": draw(companions),
        "platforms": " ".join(platforms),
        "numpy_guard": draw(st.sampled_from(("auto", "auto", "always", "never"))),
        "torch_pin": draw(st.sampled_from(("public", "local"))),
    }


@pytest.mark.parametrize("layout", [MARKERS, EXTRAS, GROUPS])
def test_refused_with_a_way_out_or_locked_as_planned(layout: str, bake: Bake) -> None:
    outcomes = {"refused": 0, "locked": 0}

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(answers(layout))
    def holds(drawn: dict[str, str]) -> None:
        if find_problems(complete(drawn, FACTS), FACTS):
            outcomes["refused"] += 1
            assert find_problems(rerun_answers(refused(drawn)), FACTS) == []
        else:
            outcomes["locked"] += 1
            prove(bake(**drawn, project_slug=f"project-{next(_slugs)}"))

    holds()
    assert min(outcomes.values()) > 0, outcomes
