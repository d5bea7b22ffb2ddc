"""The defaults that follow from earlier answers: accepted, and nothing dropped in silence."""

from __future__ import annotations

import pytest

from tests.helpers.worlds import until
from torch_plan.answers.records import DEFAULT_PLATFORMS
from torch_plan.answers.slugs import default_slug
from torch_plan.catalog.facts import load_facts
from torch_plan.catalog.versions import CPU
from torch_plan.machine.detection import detect
from torch_plan.machine.gpus import Gpu
from torch_plan.project.planning import make_plan
from torch_plan.resolution.check import find_problems
from torch_plan.resolution.defaults import complete, default_python, default_release

FACTS = load_facts()


@pytest.mark.parametrize("release", FACTS.releases)
def test_defaults_of_every_release_are_accepted(release: str) -> None:
    answers = complete({"torch_version": release}, FACTS)
    assert find_problems(answers, FACTS) == []
    published = FACTS.platforms("torch", release, CPU)
    usual = tuple(platform for platform in DEFAULT_PLATFORMS if platform in published)
    assert make_plan(answers).platforms == usual
    assert usual == DEFAULT_PLATFORMS


@pytest.mark.parametrize("platform", ["linux-x86_64", "windows-arm64", "macos-x86_64"])
def test_the_default_release_is_the_newest(platform: str) -> None:
    assert default_release(FACTS, platform) == FACTS.releases[-1]


def test_the_default_release_rests_on_no_likely_build() -> None:
    """As it would be if 2.14.1 were the newest: nobody has seen its CPU build for Linux on Arm."""
    before = until("2.14.1")
    assert default_release(before, "linux-x86_64") == "2.14.1"
    assert default_release(before, "linux-aarch64") == "2.14.0"


def test_an_index_of_others_gets_the_cpu_build_where_pytorch_has_no_other() -> None:
    """A copy of PyTorch's index has no more than that; whoever has more names the platform."""
    given = {"torch_version": "2.8.0", "torch_backend": "cu128", "python_version": "3.11"}
    answers = complete({**given, "pytorch_index": "own:https://host/whl"}, FACTS)
    assert answers["platforms"] == " ".join(DEFAULT_PLATFORMS)
    assert make_plan(answers).default.build_on("linux-aarch64") == CPU
    assert make_plan(answers).notes[0].text.startswith("linux-aarch64 gets cpu")
    named = complete({**answers, "platforms": "linux-x86_64 linux-aarch64=cu128"}, FACTS)
    assert make_plan(named).default.build_on("linux-aarch64") == "cu128"


@pytest.mark.parametrize("capability", [61, 70, 86, 89, 90, 120])
@pytest.mark.parametrize("release", FACTS.releases)
def test_what_is_detected_is_accepted(
    release: str, capability: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = Gpu("cu", "NVIDIA driver 595.10", driver="595.10", capabilities=(capability,))
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
