"""What is printed: commands that work where they are pasted, and nothing secret."""

from __future__ import annotations

import re
import shutil
from itertools import combinations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.helpers.refusals import FACTS, REFUSED, command_answers, refused
from tests.helpers.shells import cmd_words, powershell_words, sh_words
from tests.helpers.strategies import with_slips
from torch_plan.addresses import TEMPLATE
from torch_plan.answers.problems import with_changes
from torch_plan.answers.questions import fixed_defaults
from torch_plan.dialogue.commands import Commands
from torch_plan.dialogue.invocation import Invocation
from torch_plan.dialogue.messages import say
from torch_plan.project.readme import made_with
from torch_plan.resolution.check import find_problems
from torch_plan.resolution.defaults import complete, understand
from torch_plan.resolution.search import Search, distinct
from torch_plan.text import shell_line
from torch_plan.urls import masked

SECRET = "s3cr3t"
"""What nobody may read."""

SECRETS = [
    f"https://user:{SECRET}@host.example/whl",
    f"https://{SECRET}@host/whl",
    f"HTTPS://user:{SECRET}@host/whl",
    f"https://user:{SECRET}@x@host/whl",
    f"https://user@corp.example:{SECRET}@host/whl",
    f"https://user:{SECRET}/x@host.example/whl",
    f"https://user:{SECRET}?x#y@host.example",
    f"https://user:'{SECRET}\"`$x@host/whl",
    f"https://user:{SECRET}%40host/whl",
    f"https://{SECRET}%40host/whl",
    f"https:/user:{SECRET}@host/whl",
    f"user:{SECRET}@host/whl",
    f"user:{SECRET},{SECRET}@host/whl",
    f"user:{SECRET}%40host/whl",
    f"{SECRET}@host/whl",
    f"https://host/whl?t={SECRET}",
    f"https://host.example/simple#{SECRET}",
    f"host/whl?t={SECRET}",
    f"host.example/simple#{SECRET}",
    f"https://host/?a=1&t='{SECRET}'",
    f"git+https://user:{SECRET}@host/x.git",
    f"https://my.host/a,https://user:{SECRET}@host/whl",
]
"""URLs, and what was meant as one, with a secret."""

PLACES = [*fixed_defaults(), "pytorch_index_url", "package-index", "extra_index_url", "tokens"]
"""The answers that one may be given for, also misspelt."""

FORMS = ["{}", "linux-x86_64 linux-aarch64=cu126@{}", "linux-aarch64=gpu:2.8.0+cu126@{}", "a={}"]
"""Where it may stand in an answer."""


def is_clean(text: str) -> bool:
    return SECRET not in text.lower()


@pytest.mark.parametrize("url", SECRETS)
@pytest.mark.parametrize("key", PLACES)
def test_no_secret_is_printed_whatever_answer_it_stands_in(key: str, url: str) -> None:
    for form in FORMS:
        given = {key: form.format(url), "torch_backend": "nonsense", "layout": "extras"}
        assert is_clean(refused({**given, key: form.format(url)}))
        known = {name: value for name, value in given.items() if name in fixed_defaults()}
        assert all(is_clean(masked(note)) for note in understand(known, FACTS).notes)


@pytest.mark.parametrize("url", SECRETS)
def test_the_command_that_made_a_project_has_no_secret(url: str) -> None:
    free = {"project_name": url, "description": f"See {url}.", "author_name": url}
    command = made_with(complete(free, FACTS), FACTS)
    assert is_clean(command)
    assert "…" in command


@pytest.mark.parametrize("url", [it for it in SECRETS if "'" not in it])
def test_the_login_of_the_template_is_not_printed(url: str) -> None:
    for parameters in ({"template": url}, {"template_git_url": url}):
        program = "" if "template" in parameters else "create"
        invocation = Invocation(program, parameters, {}, prompts=False)
        text = Commands(invocation, FACTS).refusal({"torch_version": "2.9.7"})
        assert is_clean(text)
        assert "…" in text


def test_what_is_said_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    for url in SECRETS:
        say(f"{url} is taken for nothing.")
    assert is_clean(capsys.readouterr().err)


@pytest.mark.parametrize(
    "text",
    [
        "platforms=linux-x86_64 linux-aarch64=gpu:2.8.0+cu126@https://host.example:8080/whl/cu126",
        "pytorch_index=https://host.example/pytorch-{build}/simple",
        "package_index=https://pkgs.dev.azure.com/org/_packaging/feed@Local/pypi/simple",
        "git@github.com:org/template.git and ssh://git@host.example/template.git",
        TEMPLATE,
        "author_name=Ada Lovelace <ada@example.org>",
        "`uvx cookiecutter@latest` runs the newest.",
        "companions=torchvision? torchaudio?",
        r"C:\Users\ada@work\c# C:/Users/ada@work /home/ada@work/c#/x ./what?",
    ],
)
def test_what_holds_no_secret_is_printed_as_it_is(text: str) -> None:
    assert masked(text) == text


@given(st.sampled_from(SECRETS), st.sampled_from(FORMS), st.booleans())
def test_what_is_masked_stays_as_it_is(url: str, form: str, windows: bool) -> None:
    once = masked(form.format(url))
    assert masked(once) == once
    line = shell_line([form.format(url)], windows=windows)
    assert is_clean(line)
    assert masked(line) == line


# Commands

LETTERS = st.sampled_from("ab1 &|<>^()%!$`\"'\\“”„\u2018\u2019;,@#{}[]*?~=…é-:./")
WORDS = st.one_of(
    st.text(LETTERS, min_size=1, max_size=12),
    st.text(LETTERS, max_size=12).map("project_name={}".format),
)
EVERYWHERE = re.compile('[^"“”„$`\\\\%!\x00-\x1f]*')
"""What one writing serves in every shell."""


def is_a_secret(word: str) -> bool:
    return masked(word) != word


@pytest.mark.skipif(not shutil.which("sh"), reason="there is no sh here")
@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(WORDS, min_size=1, max_size=8))
@example(["project_name=R&D", 'description=it\'s $5 \\ `x` "y" !', "~/x", "-a.b"])
def test_a_command_means_the_same_to_sh(words: list[str]) -> None:
    kept = [word for word in words if not is_a_secret(word)]
    if kept:
        assert sh_words(shell_line(kept, windows=False)) == kept


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(WORDS, min_size=1, max_size=8))
@example(["project_name=R&D", "a=100 %", "--output-dir", "C:\\my work\\größe", "-a.b", "a,b"])
def test_a_command_means_the_same_to_the_shells_of_windows(words: list[str]) -> None:
    words = ["cookiecutter", *(word for word in words if not is_a_secret(word))]
    line = shell_line(words, windows=True)
    # A last backslash is doubled, for the quote behind it.
    assert [it.rstrip("\\") for it in powershell_words(line)] == [it.rstrip("\\") for it in words]
    plain = [word for word in words if not re.search('["“”„$`]|%.*%', word)]
    line = shell_line(plain, windows=True)
    assert cmd_words(line) == plain
    if not any(word.endswith("\\") for word in plain):
        assert powershell_words(line, old=True) == plain


@given(st.lists(WORDS.filter(EVERYWHERE.fullmatch), min_size=1))
def test_what_every_shell_takes_is_written_in_one_way(words: list[str]) -> None:
    assert shell_line(words, windows=True) == shell_line(words, windows=False)


def test_the_words_are_those_of_this_system(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["description=$5"]
    for name, windows in (("posix", False), ("nt", True)):
        monkeypatch.setattr("torch_plan.text.os.name", name)
        assert shell_line(words) == shell_line(words, windows=windows)


# What works


WAYS = [
    *(pytest.param(case.values[0], id=case.id) for case in REFUSED),
    pytest.param(
        {
            "torch_version": "2.9.1",
            "python_version": "3.12",
            "torch_backend": "cu128",
            "companions": "torchvision torchcodec",
            "platforms": "linux-x86_64 linux-aarch64=2.8.0+cu129",
        },
        id="way-that-is-the-first-with-more-words",
    ),
    pytest.param({"platforms": "linux-x8664 windwos"}, id="two-slips-in-one-answer"),
    pytest.param(
        {
            "torch_version": "2.5.1",
            "python_version": "3.10",
            "platforms": "linux-x86_64 macos-x86_64 windows-arm64",
        },
        id="two-platforms-that-the-release-lacks",
    ),
    pytest.param(
        {"torch_version": "2.9.1", "platforms": "linux-x86_64 linux-aarch64=2.8.0+cu126"},
        id="release-of-its-own",
    ),
]


@pytest.mark.parametrize("answers", WAYS)
def test_every_way_works_changes_something_and_is_told_once(answers: dict[str, str]) -> None:
    search = Search(answers, lambda it: find_problems(complete(it, FACTS), FACTS))
    way_out = search.way_out()
    assert way_out
    problems = distinct([*search.problems, *way_out.met])
    known = {problem.key for problem in problems}
    for problem in problems:
        ways = search.working_ways(problem, problems, way_out.answers)
        led = [complete(with_changes(answers, way), FACTS) for way in ways]
        assert all(first != second for first, second in combinations(led, 2))
        for way, then in zip(ways, led, strict=True):
            left = {it.key for it in find_problems(then, FACTS)}
            assert left <= known - {problem.key}
            assert not [key for key in left if key[0] in way]
            assert not [key for key, value in way.items() if answers.get(key) == value]


def test_a_way_for_one_platform_keeps_its_release() -> None:
    given = {
        "torch_version": "2.9.1",
        "torch_backend": "cu128",
        "platforms": "linux-x86_64 linux-aarch64=2.8.0+cu126",
    }
    assert "linux-aarch64=2.8.0+cpu" in refused(given)


# All at once


@st.composite
def attacks(draw: st.DrawFn) -> dict[str, str]:
    """Draw answers with slips, and in some of them secrets, long texts, or signs of shells."""
    answers = draw(with_slips())
    odd = st.one_of(
        st.builds(
            lambda form, url: form.format(url), st.sampled_from(FORMS), st.sampled_from(SECRETS)
        ),
        st.integers(65, 5000).map("a".__mul__),
        st.text(LETTERS, max_size=12),
        st.sampled_from(
            ["all all", "all", "+", "=", ":", "@", "?", "none none", "cpu cpu", "../x"]
        ),
    )
    for key in draw(st.lists(st.sampled_from(PLACES), max_size=3, unique=True)):
        answers[key] = draw(odd)
    return answers


@pytest.mark.parametrize("examples", [200, pytest.param(5000, marks=pytest.mark.slow)])
def test_no_answers_end_in_a_traceback_a_dead_end_or_a_secret(examples: int) -> None:
    @settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(attacks())
    @example({"companions": "all all"})
    @example({"platforms": "all all", "torch_version": "2.9.7", "companions": "foo"})
    @example({"layout": "extras", "torch_backend": "cu118 -gpu=rocm7.14"})
    @example({"torch_version": "2.12.0+rocm6.2", "python_version": "3.15"})
    @example({"project_slug": "a" * 256})
    def holds(answers: dict[str, str]) -> None:
        known = {key: value for key, value in answers.items() if key in fixed_defaults()}
        raw = complete(known, FACTS)
        unknown = answers.keys() - known.keys()
        if unknown or find_problems(raw, FACTS):
            text = refused(answers)
            assert is_clean(text)
            rerun = command_answers(text)
            assert find_problems(complete(rerun, FACTS), FACTS) == []
        else:
            command = made_with(raw, FACTS)
            assert is_clean(command)

    holds()


def test_no_release_is_shown_as_it_was_typed() -> None:
    for typed in ("+", "+cu128"):
        assert f"  torch_version={typed}\n" in refused({"torch_version": typed})
