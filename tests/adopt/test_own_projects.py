"""Projects of the template: nothing is wrong with them, and another answer is an update."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from tests.adopt.helpers import Shop
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
        )
    )
]
OPTIONAL = pytest.param(
    {"torch_backend": "cu126", "companions": "torchvision? torchcodec?"}, id="optional"
)


def place(shop: Shop, project: BakedProject) -> None:
    """Let the command look at a rendered project."""
    shop.folder = project.path
    shop.choose_python(project.read("pyproject.toml"))


@pytest.mark.parametrize("answers", [*LAYOUTS, *LIBRARIES, OPTIONAL])
def test_nothing_is_wrong(answers: dict[str, str], bake: Bake, shop: Shop) -> None:
    project = bake(**{**OLD, **answers})
    place(shop, project)
    said = shop.run("--check", "--strict")
    assert (said.status, said.findings, said.data["unmeasured"]) == (0, [], {})
    got = [cell["packages"]["torch"] for cell in said.data["today"] if "torch" in cell["packages"]]
    planned = {cell.torch.full_version for cell in project.plan.cells}
    assert {torch["version"] for torch in got} == planned


@pytest.mark.parametrize("answers", LAYOUTS[:7])
def test_another_release_is_an_update(answers: dict[str, str], bake: Bake, shop: Shop) -> None:
    project = bake(**{**OLD, **answers})
    newer = {
        "torch_version": "2.9.1",
        "torch_backend": answers["torch_backend"].replace("rocm6.3", "rocm6.4"),
    }
    fresh = bake(**{**OLD, **answers, **newer, "project_slug": "newer"})
    place(shop, project)
    asked = {key: newer[key] for key in newer if newer[key] != answers.get(key)}
    said = shop.run("--write", *(f"{key}={value}" for key, value in asked.items()))
    assert said.status == 0, said
    assert comparable(tomllib.loads(project.read("pyproject.toml"))) == comparable(fresh.pyproject)


def comparable(data: dict[str, Any]) -> dict[str, Any]:
    """Return what a file says, but for the project's name."""
    ours = ("requires-python", "dependencies", "optional-dependencies")
    tool = dict(data["tool"]["uv"])
    indexes = sorted(tool.pop("index", []), key=lambda index: index["name"])
    data["project"]["dependencies"].sort()
    return {
        **{key: data["project"].get(key) for key in ours},
        "groups": data["dependency-groups"],
        "index": indexes,
        **tool,
    }
