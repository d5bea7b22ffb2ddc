"""For every build the defaults that cookiecutter collects are accepted."""

from __future__ import annotations

import re

import pytest
from cookiecutter.generate import generate_context
from cookiecutter.prompt import prompt_for_config

from tests.conftest import ROOT
from tests.helpers.refusals import FACTS
from torch_plan.answers.meaning import ProperAnswers
from torch_plan.dialogue.session import Session
from torch_plan.resolution.check import find_problems
from torch_plan.resolution.defaults import complete

BUILDS = [
    {"torch_version": release, "torch_backend": backend}
    for release in FACTS.releases
    for backend in FACTS.backends(release)
]


def collected(given: dict[str, str]) -> ProperAnswers:
    """Return the answers that cookiecutter collects, given some and asking for none."""
    context = generate_context(str(ROOT / "cookiecutter.json"), extra_context=given)
    # `check` would refuse what is tested here; it is left out, and nothing after it is asked.
    questions = {**context["cookiecutter"], "__check": ""}
    # What is not always asked stands in the command line, which is not there here.
    context["cookiecutter"] = {
        **{key: given[key] for key in given.keys() - questions.keys()},
        **questions,
    }
    return Session(FACTS).answers_of(prompt_for_config(context, no_input=True))


REAL_REASONS = re.compile("publishes this build, but it does not work")
"""Why a build is refused with every default: its wheels are broken."""


def check_defaults(given: dict[str, str]) -> None:
    answers = collected(given)
    assert answers == complete(given, FACTS)
    for problem in find_problems(answers, FACTS):
        assert REAL_REASONS.search(problem.reason), problem


@pytest.mark.parametrize("given", BUILDS, ids=lambda given: "-".join(given.values()))
def test_the_defaults_of_every_build_are_accepted(given: dict[str, str]) -> None:
    check_defaults(given)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["markers", "extras", "groups"])
@pytest.mark.parametrize("companions", ["torchaudio", "torchvision torchaudio", "none"])
def test_the_defaults_of_every_layout_are_accepted(layout: str, companions: str) -> None:
    for build in BUILDS:
        backend = build["torch_backend"]
        several = backend if layout == "markers" else f"cpu gpu={backend}"
        check_defaults(
            {**build, "torch_backend": several, "layout": layout, "companions": companions}
        )
