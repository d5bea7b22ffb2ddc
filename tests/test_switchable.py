"""Several builds in one project: extras and groups, and what each platform gets of them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.conftest import Bake, BakedProject
from tests.helpers.proof import prove

LINUX = "linux-x86_64"


def option_requirements(project: BakedProject) -> dict[str, list[str]]:
    """Return extra or group -> its requirements; `dev` left out."""
    pyproject = project.pyproject
    tables = {
        "extras": pyproject["project"].get("optional-dependencies", {}),
        "groups": pyproject["dependency-groups"],
    }
    return {
        name: requirements
        for name, requirements in tables[project.answers["layout"]].items()
        if name != "dev"
    }


def ci_options(project: BakedProject) -> str:
    """Return the options of `uv sync` with which CI installs on Linux."""
    workflow: dict[str, Any] = yaml.safe_load(project.read(".github/workflows/ci.yml"))
    job = workflow["jobs"]["test"]
    assert {"run": "uv sync --locked ${{ matrix.options }}"} in job["steps"]
    (linux,) = (row for row in job["strategy"]["matrix"]["include"] if row["name"] == "linux")
    return str(linux["options"])


BUILDS = {"torch_version": "2.9.1", "python_version": "3.11", "torch_backend": "cpu cu128"}


def test_extras(bake: Bake) -> None:
    project = bake(**BUILDS, layout="extras")
    uv = project.pyproject["tool"]["uv"]
    assert project.pyproject["project"]["dependencies"] == ["numpy"]
    assert option_requirements(project) == {
        "cpu": ["torch==2.9.1", "torchvision==0.24.1"],
        "cu128": ["torch==2.9.1", "torchvision==0.24.1"],
    }
    assert uv["conflicts"] == [[{"extra": "cpu"}, {"extra": "cu128"}]]
    assert "default-groups" not in uv
    assert uv["sources"]["torch"] == [
        {"index": "pytorch-cpu", "extra": "cpu"},
        {"index": "pytorch-cu128", "extra": "cu128", "marker": "sys_platform != 'darwin'"},
        {"index": "pytorch-cpu", "extra": "cu128", "marker": "sys_platform == 'darwin'"},
    ]
    prove(project)
    assert project.installed("macos-arm64", "--extra", "cu128")["torch"] == "2.9.1"
    assert "torch" not in project.installed(LINUX)
    assert ci_options(project) == "--extra cpu"


def test_groups(bake: Bake) -> None:
    project = bake(**BUILDS, layout="groups", dockerfile="yes")
    uv = project.pyproject["tool"]["uv"]
    assert project.pyproject["project"]["dependencies"] == ["numpy"]
    assert uv["default-groups"] == ["dev", "cpu"]
    assert uv["conflicts"] == [[{"group": "cpu"}, {"group": "cu128"}]]
    prove(project)
    assert project.installed(LINUX)["torch"] == "2.9.1+cpu"
    assert (
        project.installed(LINUX, "--no-group", "cpu", "--group", "cu128")["torch"] == "2.9.1+cu128"
    )
    without_defaults = project.installed(LINUX, "--no-default-groups", "--group", "cu128")
    assert without_defaults["torch"] == "2.9.1+cu128"
    assert "pytest" not in without_defaults
    assert 'uv sync --locked --no-default-groups --group "$BACKEND"' in project.read("Dockerfile")
    assert ci_options(project) == ""
    readme = project.read("README.md")
    assert "uv sync --no-group cpu --group cu128" in readme
    assert "A bare `uv sync`, `uv run` or `uv add` installs cpu" in readme


@pytest.mark.parametrize("layout", ["extras", "groups"])
def test_builds_named_by_use_with_an_override_for_one(bake: Bake, layout: str) -> None:
    project = bake(
        torch_version="2.10.0",
        python_version="3.11",
        torch_backend="cpu gpu=cu126 gpu-cu128=cu128",
        platforms="linux-x86_64 linux-aarch64=gpu:cu129 macos-arm64 windows-x86_64=cpu",
        layout=layout,
        torch_pin="local",
    )
    assert set(option_requirements(project)) == {"cpu", "gpu", "gpu-cu128"}
    expected = {
        "cpu": {"linux-aarch64": "2.10.0+cpu", "windows-x86_64": "2.10.0+cpu"},
        "gpu": {
            LINUX: "2.10.0+cu126",
            "linux-aarch64": "2.10.0+cu129",
            "windows-x86_64": "2.10.0+cpu",
        },
        "gpu-cu128": {"linux-aarch64": "2.10.0+cu128", "windows-x86_64": "2.10.0+cpu"},
    }
    planned = {
        option.name: {cell.platform: cell.torch.full_version for cell in option.cells}
        for option in project.plan.options
    }
    for name, builds in expected.items():
        assert builds.items() <= planned[name].items()
    prove(project)


@pytest.mark.parametrize("layout", ["extras", "groups"])
def test_pypi_may_be_one_of_them(bake: Bake, layout: str) -> None:
    project = bake(
        torch_version="2.13.0", python_version="3.11", torch_backend="cpu pypi", layout=layout
    )
    assert project.pyproject["tool"]["uv"]["sources"]["torch"] == {
        "index": "pytorch-cpu",
        layout.removesuffix("s"): "cpu",
    }
    prove(project)
    select = project.plan.options[1].sync
    assert project.installed(LINUX, *select)["torch"] == "2.13.0"
    assert "nvidia-cudnn-cu13" in project.installed(LINUX, *select)
    assert "nvidia-cudnn-cu13" not in project.installed("windows-x86_64", *select)


def test_a_single_extra_conflicts_with_nothing(bake: Bake) -> None:
    project = bake(**{**BUILDS, "torch_backend": "gpu=cu128"}, layout="extras")
    assert "conflicts" not in project.pyproject["tool"]["uv"]
    prove(project)


def test_a_backend_with_a_dot_is_a_name_too(bake: Bake) -> None:
    project = bake(**{**BUILDS, "torch_backend": "cpu rocm6.4"}, layout="groups")
    prove(project)
    assert project.installed(LINUX, "--no-group", "cpu", "--group", "rocm6.4")["torch"] == (
        "2.9.1+rocm6.4"
    )
