"""Projects of the template: nothing is to be mended in them, and another answer is an update."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from adopt.__main__ import adopt
from tests.adopt.helpers import adopted
from tests.conftest import Bake, BakedProject

OLD = {"python_version": "3.11", "torch_version": "2.7.1", "companions": "torchvision torchaudio"}
LAYOUTS = [
    pytest.param({"layout": "markers", "torch_backend": "cu128"}, id="markers"),
    pytest.param({"layout": "markers", "torch_backend": "rocm6.3"}, id="rocm"),
    pytest.param({"layout": "markers", "torch_backend": "cu126", "torch_pin": "local"}, id="local"),
    pytest.param({"layout": "extras", "torch_backend": "cpu gpu=cu126 cu128"}, id="extras"),
    pytest.param({"layout": "groups", "torch_backend": "cpu cu128 rocm6.3"}, id="groups"),
    pytest.param({"torch_backend": "pypi", "companions": "none"}, id="pypi"),
    pytest.param(
        {"torch_backend": "cu128", "platforms": "linux-x86_64 windows-x86_64=cpu macos-arm64"},
        id="overrides",
    ),
    pytest.param(
        {"torch_backend": "cu126", "platforms": "linux-x86_64 macos-x86_64=2.2.2+cpu"},
        id="release of a platform",
    ),
    pytest.param(
        {"layout": "extras", "torch_backend": "cpu old=2.6.0+cu124"}, id="release of an extra"
    ),
]
LIBRARIES = [
    pytest.param({**answers, "torch_pin": "minimum"}, id=f"library {number}")
    for number, answers in enumerate(
        (
            {"torch_backend": "cu128"},
            {"torch_backend": "rocm6.3"},
            {"torch_backend": "pypi", "companions": "none"},
            {"layout": "groups", "torch_backend": "cpu cu128 rocm6.3"},
            {"layout": "extras", "torch_backend": "cpu cu128"},
            {"torch_backend": "cu126", "platforms": "linux-x86_64 macos-x86_64=2.2.2+cpu"},
        )
    )
]
OPTIONAL = pytest.param(
    {"torch_backend": "cu126", "companions": "torchvision? torchcodec?"}, id="optional"
)
JETSON = "linux-x86_64 linux-aarch64={word}@https://host.example/jp6/cu126 macos-arm64"
OWN_INDEX = [
    pytest.param(
        {"torch_backend": "cpu", "platforms": JETSON.format(word="cu126")}, id="own index"
    ),
    pytest.param(
        {
            "layout": "extras",
            "torch_backend": "cpu gpu=cu128",
            "platforms": JETSON.format(word="gpu:2.8.0+cu126"),
        },
        id="own index of an extra",
    ),
]


def mirror(project: BakedProject) -> dict[str, str]:
    """Return the answer that names the index of a project."""
    return {"pytorch_index": project.answers["pytorch_index"]}


@pytest.mark.parametrize("answers", [*LAYOUTS, *LIBRARIES, OPTIONAL, *OWN_INDEX])
def test_nothing_is_to_be_mended(answers: dict[str, str], bake: Bake) -> None:
    project = bake(**{**OLD, **answers})
    assert adopt(project.path, mirror(project)).reasons == []


@pytest.mark.parametrize("answers", LAYOUTS[:7])
def test_another_release_is_an_update(answers: dict[str, str], bake: Bake) -> None:
    project = bake(**{**OLD, **answers})
    newer = {
        "torch_version": "2.9.1",
        "torch_backend": answers["torch_backend"].replace("rocm6.3", "rocm6.4"),
        "python_version": "3.11",
    }
    fresh = bake(**{**OLD, **answers, **newer, "project_slug": "newer"})
    found = adopted(project.path, project.read("pyproject.toml"), **newer, **mirror(project))
    assert comparable(tomllib.loads(found.new)) == comparable(fresh.pyproject)


def comparable(data: dict[str, Any]) -> dict[str, Any]:
    """Return what a file says, but for the project's name."""
    ours = ("requires-python", "dependencies", "optional-dependencies")
    tool = dict(data["tool"]["uv"])
    indexes = sorted(tool.pop("index", []), key=lambda index: index["name"])
    return {
        **{key: data["project"].get(key) for key in ours},
        "groups": data["dependency-groups"],
        "index": indexes,
        **tool,
    }
