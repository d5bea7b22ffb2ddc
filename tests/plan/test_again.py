"""A question that is asked again: when, why, and what it offers."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.helpers.refusals import FACTS
from tests.helpers.strategies import MISTAKES, misspelt
from torch_plan.answers.problems import Problem
from torch_plan.answers.questions import in_order, questions
from torch_plan.dialogue.again import Again, question_again
from torch_plan.dialogue.invocation import Invocation
from torch_plan.dialogue.session import Session
from torch_plan.resolution.check import find_problems
from torch_plan.resolution.defaults import complete, understand


def problems_of(answers: Mapping[str, str]) -> list[Problem]:
    return find_problems(complete(answers, FACTS), FACTS)


def again(answers: Mapping[str, str]) -> Again | None:
    """Return what comes after the last of these answers."""
    key = [*answers][-1]
    others = {name: answer for name, answer in answers.items() if name != key}
    return question_again(key, answers, complete(others, FACTS)[key], problems_of, FACTS)


@pytest.mark.parametrize(
    ("answers", "default", "said"),
    [
        pytest.param(
            {"project_slug": "torch"},
            "torch-project",
            "the name of a package that the project depends on",
            id="slug",
        ),
        pytest.param(
            {"torch_version": "2.9.7"}, "2.9.1", "this template knows no such release", id="release"
        ),
        pytest.param(
            {"torch_version": "2.1.0", "python_version": "3.12"},
            "3.11",
            "torch 2.1.0 has wheels for Python 3.8 to 3.11.",
            id="python-of-the-release",
        ),
        pytest.param(
            {"torch_backend": "cu128", "torch_version": "2.15.0"},
            "2.11.0",
            "What works: 2.11.0, or 2.10.0, or 2.15.0+cu130",
            id="release-without-the-build",
        ),
        # Another Python is asked for later, and would solve only what hides this.
        pytest.param(
            {"python_version": "3.15", "torch_backend": "cu128", "torch_version": "2.2.2"},
            "2.11.0",
            "torch_backend=cu128 with torch_version=2.2.2",
            id="what-hides-behind-something-else",
        ),
        pytest.param(
            {"platforms": "linuxx windwos"},
            "linux-x86_64 windows-x86_64",
            "linuxx in platforms=linuxx windwos",
            id="two-slips",
        ),
        pytest.param(
            {"torch_backend": "cpu cu118 cu132"},
            "cpu",
            "What works: cpu 2.7.1+cu118 cu132, or ",
            id="builds-that-no-release-has-all",
        ),
        pytest.param(
            {"torch_backend": "cu126", "torch_version": "2.6.0"},
            "2.14.1",
            "publishes this build, but it does not work",
            id="broken-on-the-main-platform",
        ),
        pytest.param({"torch_version": "3.12"}, "2.15.0", "no such release", id="nothing-near"),
        pytest.param(
            {"companions": "numpy"},
            "torchvision",
            "the companions of torch",
            id="no-companion-near",
        ),
        pytest.param(
            {"torch_backend": "cu1288"},
            "cu128",
            "this is not the name of a build",
            id="a-digit-too-many",
        ),
        pytest.param(
            {"torch_backend": "cu130 linux"}, "cpu", "linux is a system.", id="a-system-as-a-build"
        ),
        pytest.param(
            {"torch_version": "2.9.1", "python_version": "pythn 3.12"},
            "3.12",
            "PyTorch has wheels for Python 3.8 to 3.15.",
            id="a-version-in-a-misspelt-text",
        ),
        pytest.param(
            {"torch_version": "torhc 2.9.1"}, "2.9.1", "no such release", id="a-release-in-one"
        ),
        pytest.param(
            {"torch_backend": "cpu cu130", "layout": "markers"},
            "groups",
            "several backends in one project need extras or groups",
            id="layout-for-several-builds",
        ),
        pytest.param(
            {"torch_backend": "cpu dev=cu130", "layout": "groups"},
            "extras",
            "the group `dev` already holds the",
            id="layout-for-a-name",
        ),
        pytest.param(
            {"companions": "torchvison"}, "torchvision", "the companions of torch", id="companion"
        ),
        pytest.param(
            {"platforms": "linux-x86_64 windows-x8664 macos-arm64"},
            "linux-x86_64 windows-x86_64 macos-arm64",
            "windows-x8664 in platforms=",
            id="one-word-of-three",
        ),
        pytest.param(
            {"dockerfile": "yes", "platforms": "macos-arm64"},
            "linux-x86_64 linux-aarch64 macos-arm64 windows-x86_64",
            "a container runs Linux",
            id="what-was-given-without-a-question",
        ),
        pytest.param({"github_actions": "maybe"}, "yes", "the answer is yes or no", id="yes-or-no"),
    ],
)
def test_a_mistake_is_told_with_the_nearest_answer(
    answers: dict[str, str], default: str, said: str
) -> None:
    found = again(answers)
    assert found
    assert found.default == default
    assert said in found.text
    assert "layout=extras" not in found.text
    assert "Ctrl-C" not in found.text
    assert again({**answers, [*answers][-1]: default}) is None


TYPED = {
    "torch_backend": {
        "12.8": "cu128",
        "cuda 12.8": "cu128",
        "CUDA": "? cu132",
        "nvidia": "? cu132",
        "H100": "cu132",
        "RTX 4090": "cu132",
        "RTX 5090, driver 570": "cu128",
        "GTX 1080 Ti": "cu126",
        "driver 535": "cu126",
        "driver 550": "cu126",
        "driver 390": "cpu",
        "MI300X": "rocm7.2",
        "MI250": "rocm7.2",
        "Arc B580": "xpu",
        "intel": "xpu",
        "amd": "rocm7.2",
        "cu-130": "cu130",
        "13": "? cu132",
        "cu 13O": "? cu130",
        "2.9": "? cpu",
        "H100 cu128": "? cpu",
        "driver 525": "cu126",
        "none": "? cpu",
        "mps": "cpu",
        "cpu, cu130": "cpu cu130",
        "cu130 on linux cpu on mac": "? cpu",
        "linux": "? cpu",
        "cu128": "cu128",
        "2.11.0+cu128": "2.11.0+cu128",
    },
    "torch_version": {
        "2.1O": "2.10.0",
        "2,11": "2.11.0",
        "v2.9": "2.9.1",
        "2.9.7": "? 2.9.1",
        "3.12": "? 2.15.0",
        "1.13": "? 2.15.0",
        "newest": "2.15.0",
    },
    "companions": {
        "vision": "torchvision",
        "torchvision, torchaudio": "torchvision torchaudio",
        "torchvision and torchaudio": "torchvision torchaudio",
        "both": "torchvision torchaudio",
        "audio": "torchaudio",
        "no": "none",
        "n": "none",
        "-": "none",
        "torchvison": "? torchvision",
        "transformers": "? torchvision",
    },
    "platforms": {
        "linux": "linux-x86_64",
        "linux and mac": "linux-x86_64 macos-arm64",
        "mac m1": "macos-arm64",
        "ubuntu": "linux-x86_64",
        "wsl": "linux-x86_64",
        "linux/amd64": "linux-x86_64",
        "arm": "? linux-x86_64 linux-aarch64 macos-arm64 windows-x86_64",
        "raspberry pi": "? linux-x86_64 linux-aarch64 macos-arm64 windows-x86_64",
    },
    "layout": {"extra": "extras", "group": "groups"},
    "python_version": {"Python 3.12": "3.12", "3,12": "3.12", "3.l2": "3.12", "py312": "3.12"},
}
"""What people type for a question -> what it is taken for; `?` where it is asked again, with the
default of the second question."""


@pytest.mark.parametrize(
    ("key", "typed", "taken"),
    [(key, text, taken) for key, texts in TYPED.items() for text, taken in texts.items()],
)
def test_what_a_typed_word_is_taken_for(key: str, typed: str, taken: str) -> None:
    found = again({key: typed})
    got = f"? {found.default}" if found else understand({key: typed}, FACTS).answers[key]
    assert got == taken


@pytest.mark.parametrize("typed", ["4", "system", "three"])
def test_a_python_that_is_none_leaves_the_default(typed: str) -> None:
    found = again({"python_version": typed})
    assert found
    assert found.default == complete({}, FACTS)["python_version"]


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param({"project_name": "Torch"}, id="the-slug-comes-next"),
        pytest.param(
            {"layout": "markers", "torch_backend": "cpu cu130"}, id="the-layout-comes-later"
        ),
        pytest.param({"torch_version": "2.15.0", "torch_backend": "cu128"}, id="so-does-a-release"),
        pytest.param({"torch_version": "2.5.1", "python_version": "3.13"}, id="no-companion"),
        pytest.param({"platforms": "foo", "torch_backend": "cpu"}, id="platforms-will-be-asked"),
        pytest.param({"numpy_guard": "foo", "torch_version": "2.9.1"}, id="another-answer"),
    ],
)
def test_what_another_answer_decides_is_not_asked_again(answers: dict[str, str]) -> None:
    assert problems_of(answers)
    assert again(answers) is None


def test_platforms_of_the_command_are_the_default_of_their_question() -> None:
    build = {"torch_backend": "cu126", "torch_version": "2.6.0"}
    assert again(build)
    assert again({"platforms": "windows-x86_64", **build}) is None


@st.composite
def sessions(draw: DrawFn) -> dict[str, str | None]:
    """Draw what a person types for each question, None for Enter, and what the command gives."""
    typed: dict[str, str | None] = {}
    for key in draw(st.lists(st.sampled_from(("numpy_guard", "dockerfile")), max_size=1)):
        typed[key] = draw(
            st.sampled_from({"numpy_guard": ("always",), "dockerfile": ("yes",)}[key])
        )
    layouts = ("marker", "extras", "groups", "markers")
    names = ("cpu gpu=cu130", "cpu dev=cu130", "gpu=cu130", "cpu cu130 rocm7.2")
    more = {"project_name": ("Torch",), "layout": layouts, "torch_backend": names}
    for key in in_order():
        mistakes = [*MISTAKES.get(key, ()), *more.get(key, ())]
        slip = misspelt(complete({}, FACTS)[key])
        typed[key] = draw(
            st.one_of(
                st.none(), st.none(), slip, *([st.sampled_from(mistakes)] if mistakes else [])
            )
        )
    return typed


@pytest.mark.parametrize("examples", [40, pytest.param(400, marks=pytest.mark.slow)])
def test_whoever_takes_what_is_offered_gets_a_project(examples: int) -> None:
    @settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(sessions())
    def holds(typed: dict[str, str | None]) -> None:
        answers: dict[str, str] = {}
        for key, text in typed.items():
            answers = {**answers, key: complete(answers, FACTS)[key] if text is None else text}
            found = again(answers) if key in in_order() else None
            if found:
                answers[key] = found.default
                assert again(answers) is None
        assert problems_of(answers) == []

    holds()


class Terminal:
    """Answers questions as a person at a terminal, and writes down which came."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *typed: str, **invocation: Any) -> None:
        self.typed = [*typed]
        self.asked: list[tuple[str, str]] = []
        known = Invocation("", {}, {}, prompts=True)._replace(**invocation)
        self.session = Session(FACTS, known)
        monkeypatch.setattr("cookiecutter.prompt.read_user_variable", self.read)
        monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))

    def read(self, key: str, default: str, prompts: Mapping[str, str], prefix: str) -> str:
        self.asked.append((f"{prefix}{prompts[key]}", default))
        return self.typed.pop(0) or default


def test_a_question_comes_until_its_answer_can_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(monkeypatch, "?", "cu1288", "")
    context = {"torch_backend": "cuda"}
    assert terminal.session.ask_again(context, "torch_backend") == ""
    assert context["torch_backend"] == "cu128"
    question = f"  [dim][5/10][/] {questions()['__prompts__']['torch_backend']}"
    assert terminal.asked == [(question, "cu132"), (question, "cpu"), (question, "cu128")]


def test_a_build_beside_the_release_takes_the_place_of_the_one_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal(monkeypatch, "2.9.1+cu130")
    context = {"torch_backend": "cu132", "torch_version": "2.9.1"}
    terminal.session.ask_again(context, "torch_version")
    assert context["torch_backend"] == "cu130"
    assert terminal.asked[0][1] == "2.15.0"
    said = capsys.readouterr().err
    assert "What works: 2.12.0, or 2.12.1, or 2.9.1+cu130" in said
    assert "is taken for 2.9.1, with torch_backend=cu130." in said


@pytest.mark.parametrize(
    ("backend", "torch_pin", "typed", "asked_with", "layout"),
    [
        ("cu130", "public", [], [], "markers"),
        ("cpu cu130", "public", [""], ["groups"], "groups"),
        ("cpu cu130", "public", ["extra"], ["groups"], "extras"),
        ("cpu cu130", "minimum", [""], ["extras"], "extras"),
        ("cpu cu130", "public", ["markers", ""], ["groups", "groups"], "groups"),
    ],
)
def test_the_layout_is_asked_where_several_builds_are_named(
    monkeypatch: pytest.MonkeyPatch,
    backend: str,
    torch_pin: str,
    typed: list[str],
    asked_with: list[str],
    layout: str,
) -> None:
    terminal = Terminal(monkeypatch, *typed)
    context = {"torch_backend": backend, "torch_pin": torch_pin}
    terminal.session.ask_again(context, "layout")
    assert [default for _, default in terminal.asked] == asked_with
    assert all("[5/10]" in question for question, _ in terminal.asked)
    assert complete(context, FACTS)["layout"] == layout


def test_what_the_command_gives_counts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"numpy_guard": "always"}
    terminal = Terminal(monkeypatch, "", parameters={"extra_context": given})
    context: dict[str, Any] = {}
    terminal.session.begin(context)
    context.update(torch_version="2.9.1", python_version="3.13")
    terminal.session.ask_again(context, "python_version")
    assert len(terminal.asked) == 1
    assert context["python_version"] == terminal.asked[0][1] != "3.13"


@pytest.mark.parametrize("silent", ["no-input", "replay", "pipe"])
def test_nobody_is_asked_again_where_nobody_is_there(
    monkeypatch: pytest.MonkeyPatch, silent: str
) -> None:
    terminal = Terminal(
        monkeypatch,
        prompts=silent != "no-input",
        parameters={"replay": True} if silent == "replay" else {},
    )
    if silent == "pipe":
        monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    context = {"torch_backend": "cuda"}
    terminal.session.ask_again(context, "torch_backend")
    assert (context, terminal.asked) == ({"torch_backend": "cuda"}, [])


def test_each_question_is_followed_by_its_check() -> None:
    keys = [*questions()]
    for key in in_order():
        before = {"layout": "__asked_torch_backend"}.get(key, key)
        assert keys[keys.index(before) + 1] == f"__asked_{key}"
        assert questions()[f"__asked_{key}"] == (
            # A replay of an older version renders what is new without the template's extension.
            f"{{{{ ask_again(cookiecutter, '{key}') if ask_again is defined else '' }}}}"
        )
