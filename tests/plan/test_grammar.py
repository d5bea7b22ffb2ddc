"""What single answers may be: slugs, URLs, text, words."""

from __future__ import annotations

import pytest

from tests.helpers.refusals import FACTS, command_answers, refused
from torch_plan.answers.grammar import is_yes
from torch_plan.answers.indexes import mirror_of
from torch_plan.answers.problems import Problem
from torch_plan.answers.slugs import slug_problem
from torch_plan.answers.words import BackendWord, PlatformWord
from torch_plan.catalog.facts import Facts, Mirror
from torch_plan.project.plan import make_plan
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
    assert urls == ["https://host.example/whl/cpu", "http://host.example"]


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
            ("torch_backend", "cu130=cpu", "name"),
        ),
        ({"platforms": " "}, ("platforms",)),
        (
            {"layout": "extras", "torch_backend": "-x=cpu"},
            ("torch_backend", "-x=cpu", "name"),
        ),
        ({"platforms": "linux-x86_64=gpu:cpu"}, ("platforms", "linux-x86_64=gpu:cpu", "variant")),
        (
            {"platforms": "linux-x86_64=cpu linux-x86_64=cu130"},
            ("platforms", "linux-x86_64=cu130", "twice"),
        ),
        ({"companions": "torchvision,foo"}, ("companions", "foo", "name")),
        (
            {"torch_version": "2.6.0", "torch_backend": "cu126"},
            ("platforms", "linux-x86_64", "0"),
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
    assert problem.key == ("companions", "torchaudio", "0")
    assert problem.reason.startswith(f"there is no torchaudio for torch {newest} on linux-x86_64,")
    assert {"companions": "none"} in problem.ways


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
        ("https://host.example/pytorch/simple", "https://host.example/pytorch/{build}/simple"),
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


HOST = "https://host.example"


@pytest.mark.parametrize(
    ("given", "key", "ways"),
    [
        ({"project_name": "\udcff!"}, "project_name", "project_name=!"),
        (
            {"project_name": "My Net", "project_slug": ""},
            "project_slug",
            "project_slug=my-net; project_slug=my-net-project",
        ),
        ({"dockerfile": "maybe"}, "dockerfile", "dockerfile=no; dockerfile=yes"),
        ({"torch_pin": "x"}, "torch_pin", "torch_pin=public; torch_pin=local; torch_pin=minimum"),
        ({"python_version": "3.13t"}, "python_version", "python_version=3.13; "),
        ({"python_version": "3.1"}, "python_version", "python_version=3.10; "),
        (
            {"torch_backend": "cpu cu130", "layout": "markers"},
            "torch_backend layout",
            "layout=groups; layout=extras",
        ),
        (
            {"torch_backend": "gpu=cu130", "layout": "markers"},
            "torch_backend layout",
            "layout=groups; layout=extras",
        ),
        (
            {"layout": "extras", "torch_backend": "cpu -x=cu130"},
            "torch_backend -x=cu130 name",
            "torch_backend=cpu cu130",
        ),
        (
            {"layout": "extras", "torch_backend": "rocm7-2=cpu"},
            "torch_backend rocm7-2=cpu name",
            "torch_backend=cpu",
        ),
        (
            {"layout": "groups", "torch_backend": "cpu Dev=cu130"},
            "torch_backend Dev=cu130 name",
            "torch_backend=cpu cu130",
        ),
        (
            {"layout": "extras", "torch_backend": "a-b=cpu A.B=cu130"},
            "torch_backend A.B=cu130 name",
            "torch_backend=a-b=cpu cu130; torch_backend=a-b=cpu A.B-2=cu130",
        ),
        (
            {"layout": "extras", "torch_backend": "cpu cpu"},
            "torch_backend cpu name",
            "torch_backend=cpu; torch_backend=cpu-2=cpu",
        ),
        (
            {"layout": "extras", "torch_backend": "gpu=cu128 gpu=cu128"},
            "torch_backend gpu=cu128 name",
            "torch_backend=gpu=cu128; torch_backend=gpu-2=cu128",
        ),
        (
            {"layout": "extras", "torch_backend": "cpu x=2.9.9+cu128"},
            "torch_backend x=2.9.9+cu128 release",
            "torch_backend=cpu x=2.9.1+cu128; torch_backend=cpu x=2.9.0+cu128; ",
        ),
        (
            {"platforms": "linux-x8664=cu13 plan9"},
            "platforms linux-x8664=cu13 platform",
            "platforms=linux-x86_64=cu13 plan9; platforms=linux-aarch64=cu13 plan9",
        ),
        (
            {"platforms": "linux-x8664=cu13 plan9"},
            "platforms plan9 platform",
            "platforms=linux-x8664=cu13",
        ),
        (
            {"platforms": "linux-x86_64=gpu:cpu"},
            "platforms linux-x86_64=gpu:cpu variant",
            "platforms=linux-x86_64=cpu",
        ),
        (
            {
                "layout": "extras",
                "torch_backend": "cpu gpu=cu130",
                "platforms": "linux-x86_64=x:cpu",
            },
            "platforms linux-x86_64=x:cpu variant",
            "platforms=linux-x86_64=gpu:cpu; platforms=linux-x86_64",
        ),
        (
            {"platforms": "linux-x86_64 linux-aarch64=cu126@ftp://host"},
            "platforms linux-aarch64=cu126@ftp://host url",
            "platforms=linux-x86_64 linux-aarch64=cu126",
        ),
        (
            {"platforms": "linux-x86_64 linux-aarch64=pypi@https://host/x"},
            "platforms linux-aarch64=pypi@https://host/x url",
            "platforms=linux-x86_64 linux-aarch64=pypi",
        ),
        (
            {"platforms": "linux-x86_64=cpu linux-x86_64=cu130"},
            "platforms linux-x86_64=cu130 twice",
            "platforms=linux-x86_64=cpu linux-x86_64",
        ),
        (
            {"companions": "vison"},
            "companions vison name",
            "companions=torchvision; companions=none",
        ),
        (
            {"companions": "torchvision torchtext"},
            "companions torchtext name",
            "companions=torchvision",
        ),
        ({"companions": "torchao"}, "companions torchao name", "companions=none"),
        ({"companions": "foo"}, "companions foo name", "companions=none"),
        ({"companions": "foo foo"}, "companions foo name", "companions=none"),
        ({"companions": "foo torchaudio"}, "companions foo name", "companions=torchaudio"),
        (
            {"torch_version": "2.9.1+cu128", "torch_backend": "cpu"},
            "torch_version torch_backend",
            "torch_version=2.9.1; torch_version=2.9.1, torch_backend=cu128",
        ),
        (
            {"torch_version": "1.13"},
            "torch_version",
            f"torch_version=2.0.0; torch_version={FACTS.releases[-1]}",
        ),
        ({"torch_version": "2.9.7+cu128"}, "torch_version", "torch_version=2.9.1; "),
        (
            {"torch_version": "2.1"},
            "torch_version",
            "torch_version=2.1.2; torch_version=2.10.0; torch_version=2.9.1; torch_version=2.7.1; ",
        ),
        ({"torch_backend": "auto"}, "torch_backend auto backend", "torch_backend=cpu"),
        (
            {
                "torch_backend": "cu1311",
                "pytorch_index": "https://host.example/whl",
                "torch_version": "2.9.1",
            },
            "torch_backend cu1311 backend",
            "torch_backend=cu132; torch_backend=cu130; ",
        ),
        (
            {"pytorch_index": "https://host.example/whl/cu128/"},
            "pytorch_index",
            "pytorch_index=https://host.example/whl",
        ),
        (
            {"pytorch_index": "https://host.example/cu128/a-cu126"},
            "pytorch_index",
            "pytorch_index=https://host.example/{build}/a-{build}",
        ),
        (
            {"pytorch_index": "https://host.example/cu128/simple"},
            "pytorch_index",
            "pytorch_index=https://host.example/{build}/simple",
        ),
        (
            {"pytorch_index": "https://host.example/torch/simple"},
            "pytorch_index",
            "pytorch_index=https://host.example/torch/{build}/simple",
        ),
        (
            {"pytorch_index": "https://host.example/whl/nightly/cu128"},
            "pytorch_index",
            "pytorch_index=https://host.example/whl",
        ),
        ({"torch_backend": "rocm."}, "torch_backend rocm. backend", "torch_backend=rocm7.14; "),
        (
            {"pytorch_index": "https://host.example/nightly"},
            "pytorch_index",
            "pytorch_index=https://host.example",
        ),
        ({"pytorch_index": "tuna"}, "pytorch_index", "pytorch_index=official; pytorch_index=nju; "),
        ({"package_index": "nowhere"}, "package_index", "package_index=pypi; package_index=tuna; "),
    ],
)
def test_a_word_that_is_refused_is_named_with_what_may_have_been_meant(
    given: dict[str, str], key: str, ways: str
) -> None:
    """Of many changes that are offered the first ones are named here."""
    problems = {
        " ".join(problem.key): problem for problem in find_problems(complete(given, FACTS), FACTS)
    }
    problem = problems[key]
    offered = [
        ", ".join(f"{name}={value}" for name, value in way.items())
        for way in problem.ways
        # An index with builds of its own is offered for each URL.
        if not str(way.get("pytorch_index")).startswith("own:")
    ]
    assert "; ".join(offered).startswith(ways)
    assert ways.endswith("; ") or "; ".join(offered) == ways
    assert problem.reason.endswith(".")
    assert "None" not in problem.heading + problem.reason
    assert problem.heading.startswith(problem.key[0]) or problem.key[1] in problem.heading


def problems_of(**given: str) -> dict[str, Problem]:
    """Return what is wrong with answers, by what it is about."""
    found = find_problems(complete(given, FACTS), FACTS)
    return {" ".join(problem.key): problem for problem in found}


def test_an_index_of_its_own_may_have_a_build_that_nobody_knows() -> None:
    build, url = "linux-aarch64=cu136", "https://host.example/jp6"
    given = {"torch_backend": "cu126", "torch_version": "2.9.1", "companions": "none"}
    assert problems_of(**given, platforms=f"linux-x86_64 {build}@{url}") == {}
    about = f"platforms {build} backend"
    assert [*problems_of(**given, platforms=f"linux-x86_64 {build}")] == [about]
    own = {"torch_backend": "cu136", "torch_version": "2.9.1", "companions": "none"}
    assert problems_of(**own, pytorch_index=f"own:{url}") == {}
    assert mirror_of(f"own:{url}/", FACTS) == Mirror(url, False, ("host.example",), known=False)
    # What is refused is no index of its own, so that its builds are refused as well.
    assert [*problems_of(**own, pytorch_index="own:nowhere")] == [
        "pytorch_index",
        "torch_backend cu136 backend",
    ]
    problem = problems_of(pytorch_index=f"own:{url}/cu128")["pytorch_index"]
    assert problem.ways[0] == {"pytorch_index": f"own:{url}"}


def test_one_slip_is_one_problem() -> None:
    assert [*problems_of(torch_backend="cu-")] == ["torch_backend cu- backend"]
    for key in ("torch_backend", "torch_version", "python_version"):
        assert {name.split()[0] for name in problems_of(**{key: "9" * 5000})} == {key}


def test_a_platform_among_the_builds_is_told_where_it_belongs() -> None:
    for word in ("linux", "linux-x86_64", "Windows"):
        (problem,) = problems_of(torch_backend=word).values()
        assert problem.reason.startswith(f"{word} is a system.")


def test_no_index_on_another_host_is_offered() -> None:
    (problem,) = find_problems(complete({"pytorch_index": f"{HOST}/simple"}, FACTS), FACTS)
    offered = [str(way["pytorch_index"]).removeprefix("own:") for way in problem.ways]
    assert offered
    assert all(url.startswith(f"{HOST}/") for url in offered)


def test_the_build_in_the_url_of_an_index_need_not_come_last() -> None:
    given = {"pytorch_index": f"{HOST}/{{build}}/simple", "package_index": f"{HOST}/simple"}
    assert find_problems(complete(given, FACTS), FACTS) == []


@pytest.mark.parametrize(
    ("given", "name", "url"),
    [
        ({"package_index": "tuna"}, "tuna", FACTS.package_mirrors["tuna"]),
        ({"package_index": f"{HOST}/s/"}, "packages", f"{HOST}/s"),
        ({"pytorch_index": "nju"}, "pytorch-cpu", f"{FACTS.pytorch_mirrors['nju'].url}/cpu"),
    ],
)
def test_an_index_has_a_name_and_a_url(given: dict[str, str], name: str, url: str) -> None:
    made = make_plan(complete(given, FACTS))
    assert made.indexes[-1][:2] == (name, url)
    assert made.indexes[-1].default == ("package_index" in given)


def test_the_url_of_a_mirror_is_that_mirror_and_any_other_serves_its_own_files() -> None:
    mirror = FACTS.pytorch_mirrors["aliyun"]
    named, typed = (
        make_plan(complete({"pytorch_index": answer}, FACTS)) for answer in ("aliyun", mirror.url)
    )
    assert named.indexes == typed.indexes
    assert named.hosts == typed.hosts == mirror.hosts
    other = make_plan(complete({"pytorch_index": f"{HOST}/whl"}, FACTS))
    assert other.hosts == ("host.example",)
    assert [index.flat for index in other.indexes] == [False]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"package_index": "nowhere"}, "it has to be one of pypi, tuna, aliyun, or a URL"),
        ({"torch_version": "2.0.0x"}, "this template knows no such release"),
    ],
)
def test_the_reason_fits_what_was_given(given: dict[str, str], reason: str) -> None:
    assert find_problems(complete(given, FACTS), FACTS)[0].reason.startswith(reason)


def test_the_heading_names_both_answers_that_contradict_each_other() -> None:
    answers = {"torch_backend": "cpu cu130", "layout": "markers"}
    (problem,) = find_problems(complete(answers, FACTS), FACTS)
    assert problem.heading == "torch_backend=cpu cu130 with layout=markers"


def test_yes_is_said_in_many_ways() -> None:
    assert all(map(is_yes, ("yes", " Y ", True)))
    assert not any(map(is_yes, ("no", "", False)))
