"""What people type, and what is understood."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers.refusals import FACTS, refused
from tests.helpers.strategies import MISTAKES, with_slips
from torch_plan.catalog.facts import Facts
from torch_plan.machine.detection import Detected
from torch_plan.project.plan import make_plan
from torch_plan.resolution.check import find_problems
from torch_plan.resolution.defaults import complete, understand


@pytest.mark.parametrize(
    ("key", "typed", "proper"),
    [
        ("torch_version", "v2.9.1", "2.9.1"),
        ("torch_version", "torch==2.9.1", "2.9.1"),
        ("torch_version", "2.9", "2.9.1"),
        ("torch_version", "2.16", "2.16.0"),
        ("torch_version", "latest", FACTS.releases[-1]),
        ("python_version", "3.12.4", "3.12"),
        ("python_version", "Python 3.12", "3.12"),
        ("python_version", "py312", "3.12"),
        ("torch_backend", "CU130", "cu130"),
        ("torch_backend", "cuda12.8", "cu128"),
        ("torch_backend", "12.8", "cu128"),
        ("torch_backend", "cu12.8", "cu128"),
        ("torch_backend", "CUDA 12.8", "cu128"),
        ("torch_backend", "6.4", "rocm6.4"),
        ("torch_backend", "CUDA 12.8, ROCm 6.4", "cu128 rocm6.4"),
        ("torch_backend", "cpu;gpu=2.9+CUDA 12.8", "cpu gpu=2.9.1+cu128"),
        ("torch_backend", "mps", "cpu"),
        ("torch_backend", "Metal", "cpu"),
        ("companions", "vision,  audio", "torchvision torchaudio"),
        ("companions", "TorchCodec?", "torchcodec?"),
        ("companions", "all", "torchvision? torchaudio? torchcodec?"),
        ("platforms", "Linux", "linux-x86_64"),
        ("platforms", "ubuntu, Win, mac", "linux-x86_64 windows-x86_64 macos-arm64"),
        ("platforms", "WSL2", "linux-x86_64"),
        ("platforms", "linux/amd64 linux-arm64", "linux-x86_64 linux-aarch64"),
        ("platforms", "osx-arm64;win_x64", "macos-arm64 windows-x86_64"),
        ("platforms", "linux-aarch64=CUDA 12.9", "linux-aarch64=cu129"),
        (
            "platforms",
            "linux, linux-arm64=cu126@https://host/a,b",
            "linux-x86_64 linux-aarch64=cu126@https://host/a,b",
        ),
        ("layout", "Extra", "extras"),
        ("pytorch_index", "NJU", "nju"),
    ],
)
def test_what_can_mean_one_thing_is_taken(key: str, typed: str, proper: str) -> None:
    understood = understand({key: typed}, FACTS)
    assert understood.answers == {key: proper}
    (note,) = understood.notes
    assert note.startswith(f"{key}={typed} is taken for {proper}")
    assert understand(understood.answers, FACTS) == (understood.answers, ())


@pytest.mark.parametrize(
    ("key", "typed"),
    [
        ("torch_version", "2.1"),
        ("torch_version", "2"),
        ("torch_version", "2.99"),
        ("python_version", "3.1"),
        ("python_version", "3.13t"),
        ("torch_backend", "cuda"),
        ("torch_backend", "gpu"),
        ("torch_backend", "13"),
        ("torch_backend", "cu131"),
        ("platforms", "arm64"),
        ("platforms", "linux-s390x"),
        ("companions", "torch"),
    ],
)
def test_what_can_mean_two_things_is_left_to_be_refused(key: str, typed: str) -> None:
    assert understand({key: typed}, FACTS) == ({key: typed}, ())
    assert key in {
        problem.key[0] for problem in find_problems(complete({key: typed}, FACTS), FACTS)
    }


def test_a_release_with_two_macs_has_no_mac() -> None:
    given = {"torch_version": "2.2.2", "platforms": "mac"}
    assert understand(given, FACTS).answers == given


@pytest.mark.parametrize(
    ("typed", "found", "proper"),
    [
        ("cuda", "cu130", "cu130"),
        ("gpu", "cu130", "cu130"),
        ("NVIDIA", "cu130", "cu130"),
        ("gpu", "rocm7.2", "rocm7.2"),
        ("rocm", "rocm7.2", "rocm7.2"),
        ("cuda", "rocm7.2", "cuda"),
        ("gpu", "cpu", "gpu"),
    ],
)
def test_the_gpu_of_this_machine_decides(
    typed: str, found: str, proper: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def detect(release: str, facts: Facts) -> Detected:
        return Detected(release, found, "Found it.")

    monkeypatch.setattr("torch_plan.machine.detection.detect_here", detect)
    understood = understand({"torch_backend": typed}, FACTS)
    assert understood.answers == {"torch_backend": proper}
    if proper != typed:
        assert "which this machine can run" in understood.notes[0]


@pytest.mark.parametrize(
    ("typed", "proper"),
    [("CUDA 13.4", "cu134"), ("rocm-10.1", "rocm10.1"), ("13.4", "13.4"), ("CUDA 12.9", "cu129")],
)
def test_a_toolkit_of_tomorrow(typed: str, proper: str) -> None:
    answers = {"torch_version": "2.16", "torch_backend": typed}
    assert understand(answers, FACTS).answers == {
        "torch_version": "2.16.0",
        "torch_backend": proper,
    }


def test_a_build_with_the_name_of_a_system_is_told_from_a_platform() -> None:
    (note,) = understand({"torch_backend": "cpu linux=cu130"}, FACTS).notes
    assert note.endswith("; platforms=linux=cu130 would give it to that platform alone.")
    assert understand({"torch_backend": "cpu gpu=cu130"}, FACTS).notes == ()


def test_the_only_build_of_a_toolkit_is_meant() -> None:
    one = understand({"torch_version": "2.14.1", "torch_backend": "ROCm"}, FACTS)
    assert one.answers["torch_backend"] == "rocm7.2"
    (note,) = one.notes
    assert note.endswith("the only one of torch 2.14.1 that is not reported to hurt.")
    two = {"torch_version": "2.9.1", "torch_backend": "cpu gpu=rocm"}
    assert understand(two, FACTS).answers == two
    older = {**two, "torch_backend": "cpu gpu=2.14.1+rocm", "layout": "extras"}
    assert understand(older, FACTS).answers["torch_backend"] == "cpu gpu=2.14.1+rocm7.2"


def test_the_label_of_a_release_names_the_build() -> None:
    answers = complete({"torch_version": "2.9.1+cu128"}, FACTS)
    assert (answers["torch_version"], answers["torch_backend"]) == ("2.9.1", "cu128")
    several = {"torch_version": "2.9.1+cu128", "torch_backend": "cpu cu128", "layout": "extras"}
    assert complete(several, FACTS)["torch_backend"] == "cpu cu128"
    other = complete({"torch_version": "2.9.1+cu128", "torch_backend": "cu130"}, FACTS)
    assert {problem.key for problem in find_problems(other, FACTS)} == {
        ("torch_version", "torch_backend")
    }


def test_all_platforms_wait_for_the_other_answers() -> None:
    answers = {
        "torch_version": "2.9.1",
        "python_version": "3.12",
        "torch_backend": "cu128 rocm6.4",
        "companions": "torchvision",
        "platforms": "all",
    }
    proper, typed = (
        understand({**answers, "layout": layout}, FACTS).answers for layout in ("extras", "Extras")
    )
    assert typed == proper


def test_all_platforms_are_those_that_the_release_serves() -> None:
    answers = {"torch_version": "2.9.1", "torch_backend": "cu128", "python_version": "3.11"}
    assert complete({**answers, "companions": "none", "platforms": "all"}, FACTS)["platforms"] == (
        "linux-x86_64 linux-aarch64 macos-arm64 windows-x86_64 windows-arm64"
    )
    with_torchvision = complete({**answers, "platforms": "All"}, FACTS)
    assert "windows-arm64" in with_torchvision["platforms"].split()
    assert any("go without torchvision" in note.text for note in make_plan(with_torchvision).notes)


ODD = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30)


@st.composite
def typed_answers(draw: st.DrawFn) -> dict[str, str]:
    """Draw answers with slips, and any text at all in some of them."""
    answers = draw(with_slips())
    for key in draw(st.lists(st.sampled_from([*MISTAKES]), max_size=2, unique=True)):
        answers[key] = draw(ODD)
    return answers


@pytest.mark.parametrize("examples", [60, pytest.param(150, marks=pytest.mark.slow)])
def test_what_is_understood_is_a_fixed_point(examples: int) -> None:
    """The recorded answers give the same project again, and no text ends in a traceback."""

    @settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(typed_answers())
    def holds(typed: dict[str, str]) -> None:
        recorded = complete(typed, FACTS)
        assert complete(recorded, FACTS) == recorded
        assert understand(recorded, FACTS) == (recorded, ())
        if find_problems(recorded, FACTS):
            assert "Nothing was written." in refused(typed)
        else:
            again, first = make_plan(complete(typed | recorded, FACTS)), make_plan(recorded)
            assert (again.cells, again.requires_python) == (first.cells, first.requires_python)
            assert (again.dependencies, again.indexes) == (first.dependencies, first.indexes)

    holds()
