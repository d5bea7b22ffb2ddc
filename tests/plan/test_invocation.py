"""What the extension reads from the functions that run it, and the command that it prints."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click import ClickException

from torch_plan.addresses import SUPPORT
from torch_plan.answers.questions import as_text
from torch_plan.catalog.facts import load_facts
from torch_plan.dialogue import session
from torch_plan.dialogue.invocation import Invocation, find_invocation
from torch_plan.dialogue.messages import builds_note
from torch_plan.dialogue.session import Session
from torch_plan.resolution.defaults import complete
from torch_plan.text import shell_line

CREATE = """
def create(template_git_url, output_dir=".", checkout=None, extra_context=None, no_input=True):
    return generate_cookiecutter_context(extra_context)

def generate_cookiecutter_context(extra_context):
    config_dict = {"default_context": {"torch_backend": "cpu"}}
    return prompt_for_config(True)

def prompt_for_config(no_input):
    key = "platforms"
    return call()
"""
UPDATE = """
def update(project_dir=".", extra_context=None):
    return generate_cookiecutter_context({"torch_version": "2.9.1", "gone": "1"})

def generate_cookiecutter_context(extra_context):
    return call()
"""

FACTS = load_facts()


def run(module: str, code: str, call: Callable[[], Any], *arguments: Any, **named: Any) -> Any:
    """Run a function of a module that is written like one of cruft, as its command line does."""
    namespace: dict[str, Any] = {"__name__": f"cruft._commands.{module}", "call": call}
    exec(code, namespace)
    outer: dict[str, Any] = {"__name__": "cruft._cli", "run": namespace[module]}
    exec(f"def {module}(*given, **named): return run(*given, **named)", outer)
    return outer[module](*arguments, **named)


def test_cruft_creates() -> None:
    given = {"torch_version": "2.9.1"}
    found: Invocation = run(
        "create", CREATE, find_invocation, "https://host/t.git", checkout="v1", extra_context=given
    )
    assert (found.cruft_command, found.prompts) == ("create", False)
    assert (found.given, found.is_update) == (given, False)
    assert found.config_defaults == {"torch_backend": "cpu"}
    words = found.command({"torch_version": "2.9.0"})
    words = words[words.index("cruft") :]
    assert words[:-1] == [
        *("cruft", "create", "https://host/t.git", "--checkout", "v1"),
        *("--no-input", "--extra-context"),
    ]
    assert json.loads(words[-1]) == {"torch_version": "2.9.0"}


def test_cruft_updates_with_what_changed() -> None:
    given = {"torch_version": "2.15.0"}
    found: Invocation = run("update", UPDATE, find_invocation, extra_context=given)
    assert found.is_update
    words = found.command({"torch_backend": "cu130"})
    words = words[words.index("cruft") :]
    assert words[:3] == ["cruft", "update", "--variables-to-update"]
    assert json.loads(words[-1]) == {"torch_version": "2.15.0", "torch_backend": "cu130"}


def test_a_refusal_under_cruft_is_no_exception_of_click(capsys: pytest.CaptureFixture[str]) -> None:
    """Cruft brings a click of its own, which does not catch that of cookiecutter."""
    refuse = {"torch_version": "2.9.9"}
    with pytest.raises(SystemExit) as ended:
        run("create", CREATE, lambda: Session(FACTS).refuse(refuse), "t")
    assert ended.value.code == 1
    printed = capsys.readouterr().err
    assert printed.startswith("Error: This cannot be done:")
    assert "cruft create t --no-input --extra-context" in printed


def test_an_update_refuses_no_answer_that_is_gone() -> None:
    assert run("update", UPDATE, lambda: Session(FACTS).begin({})) == ""


def test_nothing_is_known_of_a_plain_call() -> None:
    assert find_invocation() == Invocation("", {}, {}, prompts=False)


@pytest.mark.parametrize(("value", "text"), [(True, "yes"), (False, "no"), ("cpu", "cpu")])
def test_answers_are_text(value: object, text: str) -> None:
    assert as_text(value) == text


def test_a_command_is_quoted_for_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["cookiecutter", "platforms=linux-x86_64 macos-arm64"]
    assert shell_line(words) == 'cookiecutter platforms="linux-x86_64 macos-arm64"'


def test_the_builds_of_a_release_are_told() -> None:
    assert builds_note("2.9.1", FACTS).splitlines() == [
        "",
        "The builds: pypi (whatever PyPI ships), cpu, cu126, cu128, cu129, cu130, rocm6.3, rocm6.4 "
        "and xpu (Intel GPUs): torch 2.9.1.",
        "A platform without the build that you choose gets the CPU build, as every Mac does. You "
        "need not answer anything else for that.",
    ]
    any_release = builds_note("", FACTS)
    assert "cu132, cu130, cpu and pypi (whatever PyPI ships): torch 2.15.0; " in any_release
    assert "; cu128: torch 2.11.0; " in any_release
    assert f"; older ones: {SUPPORT}.\n" in any_release


def test_a_cookiecutter_that_is_too_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "version", lambda _: "2.6.0")
    with pytest.raises(ClickException, match=r"cookiecutter 2\.6\.0 is too old"):
        Session(FACTS).begin({})


def test_a_replay_of_refused_answers_ends_in_the_same_message() -> None:
    """Cookiecutter renders no check then; the first template asks for the plan."""
    raw = complete({"torch_version": "2.9.9"}, FACTS)
    with pytest.raises(ClickException, match="this template knows no such release"):
        Session(FACTS).plan_of(raw)
