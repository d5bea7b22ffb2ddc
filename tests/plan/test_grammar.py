"""What single answers may be: slugs, URLs, text, words."""

from __future__ import annotations

import pytest

from tests.helpers.refusals import FACTS, command_answers, refused
from torch_plan.answers.slugs import slug_problem
from torch_plan.answers.words import BackendWord, PlatformWord
from torch_plan.catalog.facts import Facts
from torch_plan.project.planning import make_plan
from torch_plan.resolution.check import find_problems
from torch_plan.resolution.defaults import complete
from torch_plan.urls import masked


@pytest.mark.parametrize("text", ["cu128", "gpu=cu128", "=cu128"])
def test_a_backend_is_written_as_it_was_read(text: str) -> None:
    assert str(BackendWord.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["linux-x86_64", "linux-x86_64=cpu", "linux-x86_64=gpu:cpu", "x=", "x=:", "=cpu"]
)
def test_a_platform_is_written_as_it_was_read(text: str) -> None:
    assert str(PlatformWord.parse(text)) == text


@pytest.mark.parametrize(
    "url",
    [
        "https://me:secret@host.example/whl",
        "https://me:sec/ret@host.example/whl",
        "https://me:sec?re#t@host.example",
        "https://host.example/simple?token=secret",
        "me:secret@host.example/simple",
        "host.example/simple#secret",
    ],
)
def test_no_secret_of_a_url_is_shown(url: str) -> None:
    assert "host.example" in masked(url)
    assert "sec" not in masked(url)
    assert "sec" not in refused({"pytorch_index": url, "package_index": url}).split("What works")[0]


def test_a_url_is_written_as_uv_takes_it() -> None:
    given = {"pytorch_index": "HTTPS://Host.example/whl/", "package_index": "Http://host.example/"}
    urls = [index.url for index in make_plan(complete(given, FACTS)).indexes]
    assert urls == ["https://Host.example/whl/cpu", "http://host.example"]


@pytest.mark.parametrize(
    ("slug", "replacement"),
    [
        ("a" * 65, "a" * 64),
        ("x-" * 32 + "y", ("x-" * 32)[:-1]),
        ("lpt1", "lpt1-project"),
        ("", "my-project"),
        ("2d", "project-2d"),
    ],
)
def test_slugs_that_are_refused(slug: str, replacement: str) -> None:
    problem = slug_problem(slug, "", FACTS)
    assert problem
    assert replacement in problem.replacements
    assert slug_problem(replacement, "", FACTS) is None


@pytest.mark.parametrize("slug", ["test", "imp", "compression", "profiling", "distutils"])
def test_a_module_of_any_standard_library_is_no_slug(slug: str) -> None:
    problem = slug_problem(slug, "", FACTS)
    assert problem
    assert "standard library" in problem.reason
    assert problem.replacements == (f"{slug}-project",)


@pytest.mark.parametrize("slug", ["functorch", "torchgen", "py", "isympy", "pkg-resources", "pil"])
def test_a_module_that_every_project_gets_is_no_slug(slug: str) -> None:
    problem = slug_problem(slug, "", FACTS)
    assert problem
    assert "hide each other" in problem.reason


@pytest.mark.parametrize(
    ("answers", "key"),
    [
        ({"description": "\udcff"}, ("description",)),
        ({"torch_backend": ""}, ("torch_backend",)),
        (
            {"layout": "extras", "torch_backend": "cu130=cpu"},
            ("torch_backend", "cu130=cpu", "misleading"),
        ),
        ({"platforms": " "}, ("platforms",)),
        (
            {"layout": "extras", "torch_backend": "-x=cpu"},
            ("torch_backend", "-x=cpu", "characters"),
        ),
        ({"platforms": "linux-x86_64=gpu:cpu"}, ("platforms", "linux-x86_64=gpu:cpu", "variant")),
        (
            {"platforms": "linux-x86_64=cpu linux-x86_64=cu130"},
            ("platforms", "linux-x86_64=cu130", "twice"),
        ),
        ({"companions": "torchvision,foo"}, ("companions", "foo", "name")),
        (
            {"torch_version": "2.6.0", "torch_backend": "cu126"},
            ("broken", "linux-x86_64", "0"),
        ),
    ],
)
def test_a_problem_has_a_key(answers: dict[str, str], key: tuple[str, ...]) -> None:
    problems = find_problems(complete(answers, FACTS), FACTS)
    assert [problem.key for problem in problems] == [key]


def test_a_companion_that_ended_is_refused_for_the_release() -> None:
    data = {**FACTS._data, "releases": {**FACTS._data["releases"]}}
    newest = FACTS.releases[-1]
    entry = data["releases"][newest]
    (pair,) = FACTS.companions(newest)["torchvision"]
    data["releases"][newest] = {**entry, "companions": {"torchvision": pair}}
    facts = Facts(data)
    (problem,) = find_problems(complete({"companions": "torchaudio"}, facts), facts)
    assert problem.key == ("companions", "torchaudio")
    assert problem.ways[0] == {"companions": "none"}


def test_the_build_may_stand_anywhere_in_the_url_of_an_index() -> None:
    given = {
        "torch_version": "2.9.1",
        "python_version": "3.11",
        "torch_backend": "cu128",
        "pytorch_index": "https://host.example/repository/pytorch-{build}/simple",
    }
    assert [index.url for index in make_plan(complete(given, FACTS)).indexes] == [
        "https://host.example/repository/pytorch-cu128/simple",
        "https://host.example/repository/pytorch-cpu/simple",
    ]


@pytest.mark.parametrize(
    ("url", "way"),
    [
        ("https://host.example/pytorch/simple", "https://host.example/pytorch-{build}/simple"),
        (
            "https://host.example/pytorch-cu128/simple",
            "https://host.example/pytorch-{build}/simple",
        ),
        ("https://host.example/whl/cu128", "https://host.example/whl"),
    ],
)
def test_an_index_of_one_build_is_refused_with_its_general_form(url: str, way: str) -> None:
    rerun = command_answers(refused({"pytorch_index": url}))
    assert rerun["pytorch_index"] == way
