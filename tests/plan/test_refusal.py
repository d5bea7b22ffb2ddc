"""What cannot be served is refused: why, what works instead, and a command that then works."""

from __future__ import annotations

import pytest

from tests.helpers.refusals import FACTS, REFUSED, refused, rerun_answers
from torch_plan.addresses import TEMPLATE
from torch_plan.resolution.check import find_problems
from torch_plan.resolution.defaults import complete


@pytest.mark.parametrize(("answers", "reason", "way"), REFUSED)
def test_a_refusal_names_reason_and_way_and_a_command_that_works(
    answers: dict[str, str], reason: str, way: str
) -> None:
    text = refused(answers)
    assert reason in text
    offered = [line for line in text.splitlines() if "What works:" in line]
    assert any(way in line.replace('"', "") for line in offered), text
    assert find_problems(rerun_answers(text), FACTS) == []


def test_a_password_is_not_repeated() -> None:
    assert "secret" not in refused({"pytorch_index": "https://me:secret@example.com/whl"})


def test_all_problems_are_told_at_once() -> None:
    answers = {
        "project_slug": "Torch",
        "torch_version": "2.9.9",
        "python_version": "3.99",
        "torch_backend": "cuda",
        "companions": "torchaudo",
        "platforms": "plan9",
        "pytorch_index": "nowhere",
        "package_index": "nowhere",
    }
    problems = find_problems(complete(answers, FACTS), FACTS)
    assert {problem.key[0] for problem in problems} == set(answers)


def test_outside_a_command_line_the_template_is_named_by_its_home() -> None:
    assert f" {TEMPLATE} --no-input" in refused({"torch_version": "1.0"})
