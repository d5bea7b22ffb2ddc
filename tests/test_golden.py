"""Cases that people ask for by name: the parsed project, and what uv gives each platform."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Bake
from tests.helpers.interpreters import interpreter
from tools.lib.lock import UvError, installed
from torch_plan.catalog.facts import load_facts
from torch_plan.project.markers import environment


def requirements(pyproject: dict[str, Any]) -> set[str]:
    return set(pyproject["project"]["dependencies"])


def explicit_indexes(pyproject: dict[str, Any]) -> dict[str, str]:
    indexes = pyproject["tool"]["uv"]["index"]
    assert all(index["explicit"] for index in indexes)
    return {index["name"]: index["url"] for index in indexes}


@pytest.mark.parametrize(("python", "gets_triton"), [("3.10", True), ("3.12", False)])
def test_rocm_takes_no_triton_where_there_is_none(
    bake: Bake, python: str, gets_triton: bool
) -> None:
    """Torch 2.3.1 for ROCm has wheels for Python 3.12, its triton package has none."""
    project = bake(
        torch_version="2.3.1",
        torch_backend="rocm6.0",
        python_version="3.10",
        numpy_guard="never",
        platforms="linux-x86_64",
    )
    pin = "pytorch-triton-rocm==2.3.1 ; python_version < '3.12'"
    assert pin in requirements(project.pyproject)
    project.lock()
    got = installed(project.path, "linux-x86_64", "--python", interpreter(python))
    assert got["torch"] == "2.3.1+rocm6.0"
    assert ("pytorch-triton-rocm" in got) == gets_triton


def test_rocm_of_old_takes_triton_from_its_index(bake: Bake) -> None:
    project = bake(torch_version="2.0.1", torch_backend="rocm5.4.2", platforms="linux-x86_64")
    assert project.pyproject["tool"]["uv"]["sources"]["pytorch-triton-rocm"] == {
        "index": "pytorch-rocm5.4.2"
    }


CAPTIONS = {
    "torch_version": "2.1.0",
    "python_version": "3.10",
    "torch_backend": "cpu",
    "companions": "torchaudio",
}


def test_captions(bake: Bake) -> None:
    project = bake(**CAPTIONS)
    base = project.answers["pytorch_index"]
    assert requirements(project.pyproject) == {"numpy<2", "torch==2.1.0", "torchaudio==2.1.0"}
    assert explicit_indexes(project.pyproject) == {"pytorch-cpu": f"{base}/cpu"}
    assert project.pyproject["tool"]["uv"]["sources"] == {
        "torch": {"index": "pytorch-cpu"},
        "torchaudio": {"index": "pytorch-cpu"},
        "torchvision": {"index": "pytorch-cpu"},
    }
    assert project.pyproject["project"]["requires-python"] == ">=3.10,<3.12"
    project.lock()
    linux = project.installed("linux-x86_64")
    assert (linux["torch"], linux["torchaudio"]) == ("2.1.0+cpu", "2.1.0+cpu")
    assert linux["numpy"].startswith("1.26.")
    assert project.installed("macos-arm64")["torch"] == "2.1.0"


def test_captions_from_a_mirror(bake: Bake) -> None:
    project = bake(**CAPTIONS, pytorch_index="nju")
    assert explicit_indexes(project.pyproject) == {
        "pytorch-cpu": "https://mirror.nju.edu.cn/pytorch/whl/cpu"
    }


@pytest.mark.parametrize(
    ("release", "companions", "expected"),
    [
        pytest.param("2.5.0", "none", {}, id="torch-alone"),
        pytest.param("2.4.0", "torchvision", {"torchvision": "0.19.0"}, id="with-torchvision"),
    ],
)
def test_two_machines(bake: Bake, release: str, companions: str, expected: dict[str, str]) -> None:
    project = bake(
        torch_version=release,
        python_version="3.10",
        torch_backend="cu124",
        torch_pin="local",
        companions=companions,
        platforms="linux-x86_64 linux-aarch64=cpu macos-arm64",
    )
    base = project.answers["pytorch_index"]
    packages = {"torch": release, **expected}
    pins = {pin for pin in requirements(project.pyproject) if not pin.startswith("numpy")}
    assert {pin.split(" ; ")[0] for pin in pins} == {
        *(f"{name}=={version}+cu124" for name, version in packages.items()),
        *(f"{name}=={version}" for name, version in packages.items()),
    }
    assert explicit_indexes(project.pyproject) == {
        "pytorch-cu124": f"{base}/cu124",
        "pytorch-cpu": f"{base}/cpu",
    }
    assert {entry["index"] for entry in project.pyproject["tool"]["uv"]["sources"]["torch"]} == {
        "pytorch-cu124",
        "pytorch-cpu",
    }
    project.lock()
    for name, version in packages.items():
        assert project.installed("linux-x86_64")[name] == f"{version}+cu124"
        assert project.installed("linux-aarch64")[name] == version
        assert project.installed("macos-arm64")[name] == version


GUIDE = [
    pytest.param(
        {"torch_backend": "cpu"},
        {
            "linux-x86_64": "2.9.1+cpu",
            "linux-aarch64": "2.9.1+cpu",
            "macos-arm64": "2.9.1",
            "windows-x86_64": "2.9.1+cpu",
        },
        id="cpu-everywhere",
    ),
    pytest.param(
        {"torch_backend": "cu128", "platforms": "linux-x86_64 macos-arm64 windows-x86_64=cpu"},
        {
            "linux-x86_64": "2.9.1+cu128",
            "macos-arm64": "2.9.1",
            "windows-x86_64": "2.9.1+cpu",
        },
        id="cuda-on-linux",
    ),
    pytest.param(
        {"torch_backend": "rocm6.4"},
        {
            "linux-x86_64": "2.9.1+rocm6.4",
            "linux-aarch64": "2.9.1+cpu",
            "macos-arm64": "2.9.1",
            "windows-x86_64": "2.9.1+cpu",
        },
        id="rocm",
    ),
    pytest.param(
        {"torch_backend": "xpu"},
        {
            "linux-x86_64": "2.9.1+xpu",
            "linux-aarch64": "2.9.1+cpu",
            "macos-arm64": "2.9.1",
            "windows-x86_64": "2.9.1+xpu",
        },
        id="xpu",
    ),
]


@pytest.mark.parametrize(("answers", "expected"), GUIDE)
def test_examples_of_uvs_guide(
    bake: Bake, answers: dict[str, str], expected: dict[str, str]
) -> None:
    project = bake(torch_version="2.9.1", python_version="3.10", **answers)
    pyproject = project.pyproject
    assert {"torch==2.9.1", "torchvision==0.24.1"} <= requirements(pyproject)
    explicit_indexes(pyproject)
    exact = [environment(platform) for platform in expected]
    assert pyproject["tool"]["uv"]["environments"] == exact
    assert pyproject["tool"]["uv"]["required-environments"] == exact
    project.lock()
    triton = load_facts().triton("2.9.1", answers["torch_backend"])
    for platform, version in expected.items():
        got = project.installed(platform)
        assert got["torch"] == version
        if triton:
            assert got.get(triton.name) == (
                triton.version if platform in triton.platforms else None
            )


def test_pypi_is_left_to_pypi(bake: Bake) -> None:
    project = bake(
        torch_version="2.11.0", python_version="3.10", torch_backend="pypi", companions="none"
    )
    uv = project.pyproject["tool"]["uv"]
    assert "sources" not in uv
    assert "index" not in uv
    project.lock()
    linux, mac = project.installed("linux-x86_64"), project.installed("macos-arm64")
    assert linux["torch"] == mac["torch"] == "2.11.0"
    assert "triton" in linux
    assert "triton" not in mac


def test_a_package_mirror_takes_the_place_of_pypi(bake: Bake) -> None:
    project = bake(package_index="tuna", torch_version="2.9.1", python_version="3.10")
    (default,) = [
        index for index in project.pyproject["tool"]["uv"]["index"] if index.get("default")
    ]
    assert default["name"] == "tuna"
    assert "explicit" not in default


def test_aliyun_is_a_flat_listing(bake: Bake) -> None:
    project = bake(pytorch_index="aliyun", torch_version="2.9.1", python_version="3.10")
    (index,) = project.pyproject["tool"]["uv"]["index"]
    assert index["format"] == "flat"
    assert index["url"] == "https://mirrors.aliyun.com/pytorch-wheels/cpu/"


def test_a_lock_names_the_platform_that_lacks_a_wheel(bake: Bake) -> None:
    """All platforms are one environment to uv, and still its error says for which it failed."""
    project = bake(torch_version="2.9.1", python_version="3.11", companions="none")
    text = project.read("pyproject.toml")
    windows = environment("windows-x86_64")
    added = text.replace(windows, environment("windows-arm64"))
    (project.path / "pyproject.toml").write_text(added, encoding="utf-8")
    project.lock()
    project.uv("add", "--frozen", "--python", project.python, "torchvision==0.24.1")
    with pytest.raises(UvError) as refused:
        project.lock()
    error, _, _ = " ".join(str(refused.value).split()).partition(" cause: ")
    split = error.partition("No solution found when resolving dependencies for split ")[2]
    assert "platform_machine == 'ARM64' and sys_platform == 'win32'" in split
    assert "linux" not in split
    assert "darwin" not in split
