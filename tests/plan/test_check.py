"""Every refusal is about the answers that cause it, and offers every change that may help."""

from __future__ import annotations

import pytest

from tests.helpers.refusals import FACTS
from torch_plan.answers.problems import Problem, Way
from torch_plan.resolution.check import find_problems
from torch_plan.resolution.defaults import complete


def problems(given: dict[str, str]) -> list[Problem]:
    return find_problems(complete(given, FACTS), FACTS)


def words(way: Way) -> str:
    return ", ".join(f"{key}={value}" for key, value in way.items())


OF_LINUX = {"torch_version": "2.9.1", "python_version": "3.12", "companions": "none"}


@pytest.mark.parametrize(
    ("given", "key", "heading", "ways"),
    [
        pytest.param(
            {"torch_version": "2.1.0", "python_version": "3.12"},
            ("python_version",),
            "python_version=3.12 with torch_version=2.1.0",
            "python_version=3.11; python_version=3.10; torch_version=2.2.0; torch_version=2.2.1",
            id="python-of-the-release",
        ),
        pytest.param(
            {**OF_LINUX, "torch_backend": "cpu old=2.0.1+cu118", "layout": "extras"},
            ("python_version", "2.0.1"),
            "python_version=3.12 with torch 2.0.1",
            "python_version=3.11; python_version=3.10; torch_backend=cpu old=2.2.0+cu118; "
            "torch_backend=cpu old=2.2.1+cu118",
            id="python-of-a-variant",
        ),
        pytest.param(
            {**OF_LINUX, "platforms": "linux-x86_64 linux-aarch64=2.0.1+cpu"},
            ("python_version", "2.0.1"),
            "python_version=3.12 with torch 2.0.1",
            "python_version=3.11; python_version=3.10; "
            "platforms=linux-x86_64 linux-aarch64=2.2.0+cpu; "
            "platforms=linux-x86_64 linux-aarch64=2.2.1+cpu",
            id="python-of-a-platform",
        ),
        pytest.param(
            {"torch_version": "2.15.0", "torch_backend": "cu128"},
            ("torch_backend", "0", "release"),
            "torch_backend=cu128 with torch_version=2.15.0",
            "torch_version=2.11.0; torch_backend=cu130; torch_backend=cu132; "
            "torch_version=2.11.0; torch_version=2.10.0; torch_backend=cpu; "
            "torch_version=2.15.0+cu130",
            id="backend-of-the-release",
        ),
        pytest.param(
            {"torch_version": "2.9.1", "torch_backend": "cu128", "platforms": "macos-arm64"},
            ("torch_backend", "0", "platforms"),
            "torch_backend=cu128 for platforms=macos-arm64 "
            "with torch_version=2.9.1 and python_version=3.11",
            "torch_backend=cu126; torch_backend=cu129; torch_backend=cu130; torch_backend=cpu; "
            "platforms=linux-x86_64 macos-arm64; platforms=linux-aarch64 macos-arm64; "
            "platforms=windows-x86_64 macos-arm64; torch_version=2.9.1+cu126",
            id="backend-of-the-platforms",
        ),
        pytest.param(
            {"torch_version": "2.9.1", "platforms": "linux-x86_64 macos-x86_64"},
            ("platforms", "macos-x86_64", "0"),
            "torch_backend=cpu for platforms=macos-x86_64 "
            "with torch_version=2.9.1 and python_version=3.11",
            "python_version=3.10; python_version=3.12; "
            "platforms=linux-x86_64 macos-x86_64=2.2.2+cpu; torch_version=2.2.2; "
            "torch_version=2.2.1; platforms=linux-x86_64",
            id="torch",
        ),
        pytest.param(
            {"torch_version": "2.6.0", "torch_backend": "cu126"},
            ("platforms", "linux-x86_64", "0"),
            "torch_backend=cu126 for platforms=linux-x86_64 "
            "with torch_version=2.6.0 and python_version=3.11",
            "torch_backend=cu124; torch_backend=cu118; torch_version=2.7.0; torch_version=2.7.1; "
            "torch_backend=cpu; "
            "platforms=linux-aarch64 macos-arm64 windows-x86_64 linux-x86_64=cpu; "
            "platforms=linux-aarch64 macos-arm64 windows-x86_64",
            id="broken",
        ),
        pytest.param(
            {
                "torch_version": "2.13.0",
                "torch_backend": "cu132",
                "companions": "torchaudio",
                "platforms": "linux-x86_64 windows-x86_64",
            },
            ("companions", "torchaudio", "0"),
            "companions=torchaudio and torch_backend=cu132 for platforms=linux-x86_64 "
            "windows-x86_64 with torch_version=2.13.0 and python_version=3.11",
            "torch_backend=cu130; companions=torchaudio?; companions=none; "
            "python_version=3.10; python_version=3.12; torch_backend=cu129; torch_backend=cu126; "
            "torch_version=2.12.1; torch_version=2.14.0; torch_backend=cpu; "
            "platforms=linux-x86_64=cpu windows-x86_64=cpu; "
            "torch_version=2.12.1; torch_version=2.14.0",
            id="companion-of-an-index",
        ),
        pytest.param(
            {
                "torch_version": "2.15.0",
                "torch_backend": "pypi",
                "companions": "torchaudio",
                "platforms": "linux-x86_64 windows-x86_64",
            },
            ("companions", "torchaudio", "0"),
            "companions=torchaudio and torch_backend=pypi for platforms=linux-x86_64 "
            "with torch_version=2.15.0 and python_version=3.11",
            "platforms=windows-x86_64 linux-x86_64=cpu; companions=torchaudio?; companions=none; "
            "python_version=3.10; python_version=3.12; torch_version=2.14.1; "
            "torch_version=2.14.0; torch_backend=cpu; torch_version=2.14.1; "
            "torch_version=2.14.0; platforms=windows-x86_64",
            id="companion-of-a-platform",
        ),
        pytest.param(
            {**OF_LINUX, "numpy_guard": "always", "python_version": "3.13"}
            | {"platforms": "linux-x86_64"},
            ("numpy_guard",),
            "numpy_guard=always with python_version=3.13 for platforms=linux-x86_64",
            "python_version=3.12; python_version=3.11; numpy_guard=auto; numpy_guard=never",
            id="numpy-of-a-python",
        ),
        pytest.param(
            {**OF_LINUX, "numpy_guard": "always", "platforms": "linux-x86_64 windows-arm64"},
            ("numpy_guard",),
            "numpy_guard=always with python_version=3.12 for platforms=linux-x86_64 windows-arm64",
            "numpy_guard=auto; numpy_guard=never; platforms=linux-x86_64",
            id="numpy-of-a-platform",
        ),
        pytest.param(
            {
                "torch_pin": "minimum",
                "layout": "extras",
                "torch_backend": "a=2.7.1+cu128 cpu=2.6.0+cpu",
                "python_version": "3.11",
                "platforms": "linux-x86_64",
            },
            ("torch_pin", "linux-x86_64"),
            "torch_pin=minimum for platforms=linux-x86_64",
            "torch_pin=public",
            id="minimum",
        ),
        pytest.param(
            {"dockerfile": "yes", "platforms": "macos-arm64"},
            ("dockerfile",),
            "dockerfile=yes for platforms=macos-arm64",
            "dockerfile=no; platforms=linux-x86_64 macos-arm64",
            id="dockerfile",
        ),
    ],
)
def test_what_cannot_be_had_and_what_may_help(
    given: dict[str, str], key: tuple[str, ...], heading: str, ways: str
) -> None:
    (problem,) = problems(given)
    assert (problem.key, problem.heading) == (key, heading)
    assert "; ".join(map(words, filter(None, problem.ways))) == ways
    assert problem.reason.endswith(".")


@pytest.mark.parametrize(
    ("given", "count"),
    [
        pytest.param({"torch_version": "2.15.0", "torch_backend": "pypi"}, 0, id="same-build"),
        pytest.param(
            {"torch_version": "2.9.1", "torch_backend": "cu128", "platforms": "macos-arm64"}
            | {"companions": "torchvision torchaudio"},
            1,
            id="a-backend-that-is-refused-hides-its-companions",
        ),
        pytest.param(
            {"torch_version": "2.9.1", "companions": "torchvision torchaudio"}
            | {"platforms": "linux-x86_64 macos-x86_64"},
            1,
            id="a-torch-that-is-missing-hides-its-companions",
        ),
        pytest.param(
            {"torch_version": "2.15.0", "torch_backend": "cu128 rocm7.2", "layout": "extras"}
            | {"dockerfile": "yes", "platforms": "macos-arm64"},
            3,
            id="each-variant-is-looked-at",
        ),
        pytest.param({"platforms": "linux-aarch64", "dockerfile": "yes"}, 0, id="any-linux"),
        pytest.param(
            {"torch_version": "2.9.1", "torch_backend": "cu128"}
            | {"platforms": "macos-arm64 linux-aarch64=cpu"},
            0,
            id="an-override-takes-the-place-of-a-backend",
        ),
    ],
)
def test_each_problem_is_told_once(given: dict[str, str], count: int) -> None:
    assert len(problems(given)) == count


def test_a_problem_of_a_name_leaves_the_cells_to_be_looked_at() -> None:
    given = {"project_slug": "torch", "torch_version": "2.6.0", "torch_backend": "cu126"}
    assert [problem.key[0] for problem in problems(given)] == ["project_slug", "platforms"]


def test_a_companion_that_the_index_has_for_others_is_missing_on_a_platform() -> None:
    given = {"torch_version": "2.9.1", "torch_backend": "cu128", "companions": "torchcodec"}
    (problem,) = problems({**given, "platforms": "linux-aarch64"})
    assert problem.key == ("companions", "torchcodec", "0")


def test_where_a_backend_has_wheels_is_said_with_their_pythons() -> None:
    given = {"torch_version": "2.9.1", "torch_backend": "cu128", "platforms": "macos-arm64"}
    (problem,) = problems(given)
    assert "linux-aarch64 (Python 3.10 to 3.14); windows" in problem.reason
