"""Every refusal ends with a command that works and changes only what a problem is about."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, assume, given, settings

from tests.helpers.refusals import FACTS, command_answers, refused
from tests.helpers.strategies import with_slips
from torch_plan.answers.problems import Problem
from torch_plan.resolution.check import find_problems
from torch_plan.resolution.defaults import complete, understand
from torch_plan.resolution.search import refusal_text


def named_answers(text: str) -> set[str]:
    """Return the answers that the headings and reasons of a refusal name."""
    lines = [line for line in text.splitlines() if not line.startswith("    What works:")]
    problems = "\n".join(lines).partition("\n\nNothing was written.")[0]
    return set(re.findall(r"\b([a-z_]+)=", problems))


@pytest.mark.parametrize("examples", [30, pytest.param(300, marks=pytest.mark.slow)])
def test_the_command_works_and_changes_only_what_is_wrong(examples: int) -> None:
    @settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(with_slips())
    def holds(answers: dict[str, str]) -> None:
        assume(find_problems(complete(answers, FACTS), FACTS))
        text = refused(answers)
        assert "What works:" in text
        rerun = command_answers(text)
        assert find_problems(complete(rerun, FACTS), FACTS) == []
        proper = understand(answers, FACTS).answers
        changed = {
            key for key, value in proper.items() if rerun.get(key) not in (value, answers.get(key))
        }
        assert changed <= named_answers(text)

    holds()


@pytest.mark.parametrize(
    ("key", "asked", "kept"),
    [
        pytest.param(
            "platforms", "linux=cuda mac=cpu", {"linux-x86_64", "macos-arm64"}, id="two-words"
        ),
        pytest.param("platforms", "linux,mac", {"linux-x86_64", "macos-arm64"}, id="a-comma"),
        pytest.param("platforms", "linux-x86_64 foo", {"linux-x86_64"}, id="one-of-two"),
        pytest.param("torch_backend", "cpu,cu130", {"cpu", "cu130"}, id="two-backends"),
        pytest.param("companions", "torchvision,audio", {"torchvision", "torchaudio"}, id="both"),
    ],
)
def test_what_was_understood_is_kept(key: str, asked: str, kept: set[str]) -> None:
    rerun = command_answers(refused({key: asked}))
    assert {re.split("=", word)[0] for word in rerun[key].split()} == kept
    assert rerun.keys() <= {key, "layout", "torch_version", "python_version", "torch_backend"}


def test_an_override_for_other_variants_stays() -> None:
    """Only `new` cannot have its build there; `old` goes on having the one without a name."""
    given = {
        "torch_version": "2.9.1",
        "layout": "extras",
        "torch_backend": "cpu old=cu128 new=cu130",
        "platforms": "linux-x86_64 windows-x86_64=cu126 windows-x86_64=new:cu129",
    }
    rerun = command_answers(refused(given))
    assert {"linux-x86_64", "windows-x86_64=cu126"} <= set(rerun["platforms"].split())
    assert "windows-x86_64=new:cu129" not in rerun["platforms"].split()


@pytest.mark.parametrize("asked", ["foo", "all", "*"])
def test_where_nothing_comes_near_the_default_takes_its_place(asked: str) -> None:
    rerun = command_answers(refused({"platforms": asked}))
    assert rerun["platforms"] == complete({}, FACTS)["platforms"]
    assert "companions" not in rerun


def test_many_mistakes_are_answered_after_a_bounded_number_of_trials() -> None:
    wrong = " ".join(f"x{number}=cu9{number}" for number in range(32))
    trials = []

    def find(answers: Mapping[str, str]) -> list[Problem]:
        trials.append(answers)
        return find_problems(complete(answers, FACTS), FACTS)

    given = {"layout": "extras", "torch_backend": wrong, "platforms": "linux-x86_64"}
    text = refusal_text(given, find, str)
    assert text.startswith("32 problems:")
    assert len(trials) <= 121  # one more without the answer that no way leads out of
