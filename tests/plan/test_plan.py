"""What a plan says, without a lock: cells, requirements, sources, needs, and its errors."""

from __future__ import annotations

from fnmatch import fnmatch

import pytest

from tests.refusals import FACTS
from torch_plan.check import examine
from torch_plan.default_backend import runs_on
from torch_plan.defaults import complete
from torch_plan.facts import capability
from torch_plan.generation import old_system_notes
from torch_plan.plan import Plan, Source
from torch_plan.planning import make_plan
from torch_plan.problems import Refused


def plan(**given: str) -> Plan:
    return make_plan(complete({"torch_version": "2.9.1", "python_version": "3.11", **given}, FACTS))


def test_a_cell_holds_torch_its_companions_and_triton() -> None:
    cells, problems = examine(
        complete({"torch_version": "2.9.1", "torch_backend": "rocm6.4"}, FACTS), FACTS
    )
    assert problems == []
    linux, aarch64, *_ = cells.all
    assert (linux.platform, linux.backend, linux.build) == ("linux-x86_64", "rocm6.4", "rocm6.4")
    assert [(package.name, package.full_version) for package in linux.packages] == [
        ("torch", "2.9.1+rocm6.4"),
        ("torchvision", "0.24.1+rocm6.4"),
        ("pytorch-triton-rocm", "3.5.1"),
    ]
    assert (aarch64.backend, len(aarch64.packages)) == ("cpu", 2)


def test_pins_come_first_and_numpy_last() -> None:
    assert plan(torch_backend="cpu").dependencies == (
        "torch==2.9.1",
        "torchvision==0.24.1",
        "numpy",
    )


def test_labels_stand_only_where_the_wheels_carry_them() -> None:
    pins = plan(
        torch_backend="cu128",
        torch_pin="local",
        companions="none",
        platforms="linux-x86_64 macos-arm64",
    ).dependencies
    assert pins[:2] == (
        "torch==2.9.1+cu128 ; sys_platform == 'linux'",
        "torch==2.9.1 ; sys_platform != 'linux'",
    )


@pytest.mark.parametrize(
    ("layout", "sync", "source"),
    [
        ("extras", ("--extra", "gpu"), Source("pytorch-cu128", "", extra="gpu")),
        (
            "groups",
            ("--no-group", "cpu", "--group", "gpu"),
            Source("pytorch-cu128", "", group="gpu"),
        ),
    ],
)
def test_options_are_words(layout: str, sync: tuple[str, ...], source: Source) -> None:
    made = plan(layout=layout, torch_backend="cpu gpu=cu128", platforms="linux-x86_64")
    assert made.options[1].sync == sync
    assert made.sources["torch"][1] == source
    assert (len(made.extras), len(made.groups)) == ((2, 0) if layout == "extras" else (0, 2))
    assert made.docker_options[-2:] == (f"--{made.selector}", '"$BACKEND"')


def test_needs_list_the_cards() -> None:
    needs = plan(torch_backend="cu128").default.needs["linux-x86_64"]
    assert "GPU of compute capability 7.0, 7.5, 8.0, 8.6, 9.0, 10.0, 12.0" in needs


@pytest.mark.parametrize(
    ("release", "build", "platform"),
    [
        ("2.0.0", "cu117", "linux-x86_64"),
        ("2.7.1", "cu118", "windows-x86_64"),
        ("2.9.1", "cu128", "linux-x86_64"),
        ("2.9.1", "cu130", "linux-aarch64"),
        ("2.9.1", "cu129", "linux-x86_64"),
    ],
)
def test_patterns_of_cards_say_what_a_build_runs_on(
    release: str, build: str, platform: str
) -> None:
    """For every card, also those that nobody has made yet, and where nothing is known."""
    answers = {"torch_version": release, "torch_backend": build, "platforms": platform}
    (demand,) = plan(**answers, python_version="3.10", companions="none").demands
    compiled = FACTS.architectures(release, build, platform)
    for card in range(30, 140):
        found = any(fnmatch(capability(card), pattern) for pattern in demand.gpus)
        assert found == any(runs_on(binary, card) for binary in compiled)


def test_every_problem_is_raised_at_once() -> None:
    with pytest.raises(Refused, match="torch_version=9") as refused:
        plan(torch_version="9", layout="rows", project_slug="torch")
    assert {problem.key[0] for problem in refused.value.problems} == {
        "torch_version",
        "layout",
        "project_slug",
    }


@pytest.mark.parametrize(
    ("given", "sentences"),
    [
        pytest.param(
            {"torch_version": "2.8.0", "torch_backend": "cu128"},
            (
                "linux-aarch64 gets cpu: torch 2.8.0 has no cu128 build for it; "
                "`linux-aarch64=cu129` among the platforms gives it cu129.",
            ),
            id="another-cuda",
        ),
        pytest.param(
            {"torch_version": "2.8.0", "torch_backend": "cpu gpu=cu128", "layout": "groups"},
            (
                "linux-aarch64 gets cpu: torch 2.8.0 has no cu128 build for it; "
                "`linux-aarch64=gpu:cu129` among the platforms gives it cu129.",
            ),
            id="in-one-group",
        ),
        pytest.param(
            {"torch_backend": "rocm6.4", "platforms": "linux-x86_64 windows-x86_64 macos-arm64"},
            ("windows-x86_64 gets cpu: torch 2.9.1 has no rocm6.4 build for it.",),
            id="none-of-the-family",
        ),
        pytest.param(
            {"torch_version": "2.8.0", "torch_backend": "cu128", "platforms": "linux-x86_64"},
            (),
            id="nothing-to-say",
        ),
        pytest.param(
            {
                "torch_version": "2.8.0",
                "torch_backend": "cu128",
                "platforms": "linux-x86_64 linux-aarch64=cpu",
            },
            (),
            id="asked-for",
        ),
    ],
)
def test_no_platform_gets_the_cpu_build_in_silence(
    given: dict[str, str], sentences: tuple[str, ...]
) -> None:
    made = plan(**given)
    assert made.notes == sentences
    for sentence in sentences:
        platform = sentence.partition(" ")[0]
        needs = made.options[-1].needs[platform]
        assert any("there is no" in need for need in needs)


def test_the_way_to_a_build_is_accepted() -> None:
    made = plan(
        torch_version="2.8.0",
        torch_backend="cu128",
        platforms="linux-x86_64 linux-aarch64=cu129 macos-arm64",
    )
    assert made.default.build_on("linux-aarch64") == "cu129"
    assert made.notes == ()


@pytest.mark.parametrize(
    ("platform", "system", "said"),
    [
        ("linux-x86_64", ("glibc", (2, 27)), "This machine has glibc 2.27, and cpu of torch 2.9.1"),
        ("linux-x86_64", ("glibc", (2, 28)), ""),
        ("linux-x86_64", None, ""),
        ("macos-arm64", ("macOS", (11, 7)), "This machine has macOS 11.7, and cpu of torch 2.9.1"),
        ("windows-x86_64", None, ""),
        ("macos-x86_64", ("macOS", (10, 13)), ""),
    ],
)
def test_an_old_system_is_told(
    platform: str, system: tuple[str, tuple[int, ...]] | None, said: str
) -> None:
    notes = [*old_system_notes(plan(torch_backend="cpu"), platform, system)]
    assert [note.startswith(said) for note in notes] == ([True] if said else [])
