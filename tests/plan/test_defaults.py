"""The defaults that follow from earlier answers: accepted, and nothing dropped in silence."""

from __future__ import annotations

import shlex

import pytest

from tests.helpers.refusals import command_answers, refused
from tests.helpers.worlds import until
from torch_plan.answers.meaning import ProperAnswers
from torch_plan.answers.records import DEFAULT_PLATFORMS
from torch_plan.answers.slugs import default_slug
from torch_plan.catalog.facts import load_facts
from torch_plan.catalog.hardware import Gpu
from torch_plan.catalog.versions import CPU
from torch_plan.machine.detection import detect
from torch_plan.project.plan import make_plan
from torch_plan.project.readme import made_with
from torch_plan.resolution.check import find_problems
from torch_plan.resolution.defaults import (
    complete,
    default_python,
    default_release,
    newest_notes,
)

FACTS = load_facts()


@pytest.mark.parametrize("release", FACTS.releases)
def test_defaults_of_every_release_are_accepted(release: str) -> None:
    answers = complete({"torch_version": release}, FACTS)
    assert find_problems(answers, FACTS) == []
    published = FACTS.platforms("torch", release, CPU)
    usual = tuple(platform for platform in DEFAULT_PLATFORMS if platform in published)
    assert make_plan(answers).platforms == usual
    assert usual == DEFAULT_PLATFORMS


@pytest.mark.parametrize(
    ("backends", "release"),
    [
        ("cpu", "2.15.0"),
        ("pypi", "2.15.0"),
        ("cu128", "2.11.0"),
        ("cpu cu129", "2.13.0"),
        ("cu118 cu128", "2.7.1"),
        ("cpu gpu=2.9.1+cu128", "2.15.0"),
        ("gpu=2.9.1+cu128", "2.9.1"),
        pytest.param("xpu", "2.13.0", id="a-newer-one-is-reported-to-hurt"),
        pytest.param("rocm7.14", "2.14.1", id="every-one-is-reported-to-hurt"),
        pytest.param("cu118 cu132", "2.15.0", id="no-release-has-both"),
        pytest.param("cuda", "2.15.0", id="no-build"),
    ],
)
def test_the_default_release_is_the_newest_with_all_builds(backends: str, release: str) -> None:
    assert default_release(backends, FACTS) == release
    assert complete({"torch_backend": backends}, FACTS)["torch_version"] == release


def test_the_default_release_rests_on_no_likely_build() -> None:
    """As it would be if 2.14.1 were the newest: nobody has seen its cu126 for Linux on Arm."""
    assert default_release("cu126", until("2.14.1")) == "2.14.1"
    assert default_release("xpu", FACTS) < FACTS.last_release("xpu")
    gpu = Gpu("cu", "a GPU", "550.54", ("9.0",))
    assert detect("", FACTS, gpu, "linux-x86_64")[:2] == ("2.14.1", "cu126")
    assert detect("", FACTS, gpu, "linux-aarch64")[:2] == ("2.13.0", "cu126")


@pytest.mark.parametrize(
    ("backends", "said"),
    [
        ("cpu", ""),
        (
            "cu128",
            "torch 2.11.0 is the newest release with cu128; torch 2.15.0 is published for cpu",
        ),
        (
            "xpu",
            "You get torch 2.13.0: torch 2.14.1 has xpu too, but it is reported that it computes",
        ),
        ("cpu gpu=2.9.1+cu128", ""),
    ],
)
def test_a_release_that_is_not_the_newest_of_all_is_told(backends: str, said: str) -> None:
    notes = [*newest_notes(default_release(backends, FACTS), backends, FACTS)]
    assert said in "".join(map(str, notes))
    assert bool(notes) == bool(said)


def test_several_builds_are_groups_and_in_a_library_extras() -> None:
    several, named = {"torch_backend": "cpu, cu130"}, {"torch_backend": "gpu=cu130"}
    assert complete({}, FACTS)["layout"] == "markers"
    assert complete(several, FACTS)["layout"] == complete(named, FACTS)["layout"] == "groups"
    assert complete({**several, "torch_pin": "minimum"}, FACTS)["layout"] == "extras"


GPUS = {
    "none": Gpu("", "no GPU"),
    "old": Gpu("cu", "an old one", "550.54", ("6.1",)),
    "middle": Gpu("cu", "another", "570.86", ("12.0",)),
    "new": Gpu("cu", "a new one", "595.10", ("9.0",)),
    "amd": Gpu("rocm", "AMD", cards=("gfx942",)),
    "intel": Gpu("xpu", "Intel"),
}


def on(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a machine have one of these GPUs, and the platform whose name stands before."""
    platform, _, gpu = machine.rpartition(" ")
    monkeypatch.setattr(
        "torch_plan.machine.detection.detect_here",
        lambda release, facts: detect(release, facts, GPUS[gpu], platform or "linux-x86_64"),
    )


@pytest.mark.parametrize("release", FACTS.releases)
def test_every_printed_command_makes_what_it_was_printed_for(
    release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every build, where it can be had and where it cannot, on every machine."""
    printed: dict[tuple[str, ...], ProperAnswers] = {}
    for backend in FACTS.all_backends:
        given = {"torch_version": release, "torch_backend": backend}
        answers = complete(given, FACTS)
        words = shlex.split(made_with(answers, FACTS))[4:]
        if find_problems(answers, FACTS):
            command = command_answers(refused(given))
            answers, words = complete(command, FACTS), [f"{k}={v}" for k, v in command.items()]
            assert find_problems(answers, FACTS) == []
        printed[tuple(words)] = answers
    for machine in [*GPUS, "linux-aarch64 new", "windows-x86_64 old", "linux-aarch64 middle"]:
        on(machine, monkeypatch)
        for command_words, answers in printed.items():
            named = dict(word.split("=", 1) for word in command_words)
            assert complete(named, FACTS) == {**complete({}, FACTS), **answers}


@pytest.mark.parametrize("machine", [*GPUS, "linux-aarch64 middle", "windows-x86_64 old"])
def test_a_build_or_a_release_alone_is_the_same_everywhere(
    machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    builds = {
        backend: complete({"torch_backend": backend}, FACTS) for backend in FACTS.all_backends
    }
    on(machine, monkeypatch)
    for backend, answers in builds.items():
        assert complete({"torch_backend": backend}, FACTS) == answers
        assert find_problems(answers, FACTS) == []
    default = complete({}, FACTS)
    assert find_problems(default, FACTS) == []
    for release in FACTS.releases:
        assert find_problems(complete({"torch_version": release}, FACTS), FACTS) == []


def test_an_index_of_others_gets_the_cpu_build_where_pytorch_has_no_other() -> None:
    """A copy of PyTorch's index has no more than that; whoever has more names the platform."""
    given = {"torch_version": "2.8.0", "torch_backend": "cu128", "python_version": "3.11"}
    answers = complete({**given, "pytorch_index": "own:https://host/whl"}, FACTS)
    assert answers["platforms"] == " ".join(DEFAULT_PLATFORMS)
    builds = [cell.build for cell in make_plan(answers).cells if cell.platform == "linux-aarch64"]
    assert builds == [CPU]
    assert make_plan(answers).notes[0].text.startswith("linux-aarch64 gets cpu")
    named = complete({**answers, "platforms": "linux-x86_64 linux-aarch64=cu128"}, FACTS)
    _, aarch64 = make_plan(named).cells
    assert (aarch64.platform, aarch64.build) == ("linux-aarch64", "cu128")


@pytest.mark.parametrize("card", ["6.1", "7.0", "8.6", "8.9", "9.0", "12.0"])
@pytest.mark.parametrize("release", FACTS.releases)
def test_what_is_detected_is_accepted(
    release: str, card: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = Gpu("cu", "NVIDIA driver 595.10", driver="595.10", cards=(card,))
    found = detect(release, FACTS, gpu, "linux-x86_64")
    monkeypatch.setattr("torch_plan.machine.detection.detect_here", lambda *_: found)
    answers = complete({"torch_version": release}, FACTS)
    assert answers["torch_backend"] == found.backend
    assert find_problems(answers, FACTS) == []


@pytest.mark.parametrize(
    ("release", "running", "expected"),
    [
        pytest.param("2.9.1", (3, 12), "3.12", id="the-running-one"),
        pytest.param("2.1.0", (3, 13), "3.11", id="newest-there-is"),
        pytest.param("2.15.0", (3, 10), "3.15", id="too-old"),
        pytest.param("2.5.1", (3, 13), "3.12", id="torchvision-lacks-it"),
        pytest.param("2.13.0", (3, 15), "3.14", id="linux-only"),
    ],
)
def test_default_python(
    release: str, running: tuple[int, int], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch_plan.resolution.defaults.sys.version_info", running)
    assert default_python(release, FACTS) == expected


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param({}, " ".join(DEFAULT_PLATFORMS), id="all-four"),
        pytest.param(
            {"torch_version": "2.4.1", "torch_backend": "cu124"},
            " ".join(DEFAULT_PLATFORMS),
            id="torchvision-lacks-one-build",
        ),
        pytest.param(
            {"torch_version": "2.4.1", "torch_backend": "cpu gpu=cu124", "layout": "extras"},
            " ".join(DEFAULT_PLATFORMS),
            id="in-one-extra",
        ),
        pytest.param(
            {"torch_version": "2.13.0", "python_version": "3.15", "companions": "none"},
            "linux-x86_64 linux-aarch64",
            id="no-wheels-for-this-python",
        ),
        pytest.param(
            {"torch_version": "2.15.0", "torch_backend": "pypi", "companions": "torchaudio"},
            " ".join(DEFAULT_PLATFORMS),
            id="refused-rather-than-dropped",
        ),
    ],
)
def test_default_platforms(answers: dict[str, str], expected: str) -> None:
    given = {"python_version": "3.11", **answers}
    assert complete(given, FACTS)["platforms"] == expected


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("My ML Project", "my-ml-project"),
        ("  Über: Modell 2! ", "ueber-modell-2"),
        ("Größe", "groesse"),
        ("Gro\u0308ße", "groesse"),
        ("SMØRREBRØD Ångström", "smoerrebroed-aangstroem"),
        ("Zażółć gęślą jaźń", "zazolc-gesla-jazn"),
        ("Čeština №2 🚀", "cestina-no2"),
        ("!", "my-project"),
        ("模型", "模型"),
        ("Größe 東京", "Größe 東京"),
    ],
)
def test_default_slug(name: str, slug: str) -> None:
    assert default_slug(name) == slug
