"""Companions that come in through a package which the owner adds, and a newer torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Bake, BakedProject
from tools.lib.lock import read_lock


def needing(folder: Path, *requirements: str) -> Path:
    """Write a package that requires others, as timm requires torchvision; return its folder."""
    package = folder / "needing"
    package.mkdir()
    required = ", ".join(f'"{requirement}"' for requirement in requirements)
    (package / "pyproject.toml").write_text(
        f'[project]\nname = "needing"\nversion = "1.0"\ndependencies = [{required}]\n'
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n',
        encoding="utf-8",
    )
    (package / "needing.py").touch()
    return package


def locked(project: BakedProject, package: str) -> set[str]:
    """Return the versions of a package in the lock."""
    return {entry["version"] for entry in read_lock(project.path) if entry["name"] == package}


BUILDS = {
    "markers": ("cu128", ()),
    "extras": ("cpu gpu=cu128", ("--extra", "gpu")),
    "groups": ("gpu=cu128 cpu", ()),
}


def project_with_torch_alone(bake: Bake, layout: str) -> BakedProject:
    project = bake(
        torch_version="2.9.1",
        torch_backend=BUILDS[layout][0],
        layout=layout,
        companions="none",
        python_version="3.11",
    )
    project.lock()
    return project


@pytest.mark.parametrize("layout", BUILDS)
def test_a_companion_of_another_package_goes_with_torch(
    bake: Bake, tmp_path: Path, layout: str
) -> None:
    project = project_with_torch_alone(bake, layout)
    assert not locked(project, "torchvision") | locked(project, "torchaudio")
    package = needing(tmp_path, "torchvision", "torchaudio")
    project.uv("add", "--no-sync", "--python", project.python, str(package))
    got = project.installed("linux-x86_64", *BUILDS[layout][1])
    assert got["torch"] == "2.9.1+cu128"
    pair = (got["torchvision"], got["torchaudio"])
    if layout == "markers":
        assert pair == ("0.24.1+cu128", "2.9.1+cu128")
        assert project.installed("macos-arm64")["torchvision"] == "0.24.1"
    else:  # uv takes no source of an extra or a group for a package that this does not name
        assert pair == ("0.24.1", "2.9.1")


@pytest.mark.slow
@pytest.mark.parametrize("layout", BUILDS)
def test_the_oldest_uv_pairs_them_too(
    bake: Bake, tmp_path: Path, oldest_uv: str, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    monkeypatch.setenv("UV", oldest_uv)
    project = project_with_torch_alone(bake, layout)
    package = needing(tmp_path, "torchvision", "torchaudio")
    project.uv("add", "--no-sync", "--python", project.python, str(package))
    versions = {it.partition("+")[0] for it in locked(project, "torchvision")}
    assert versions == {"0.24.1"}
    assert {it.partition("+")[0] for it in locked(project, "torchaudio")} == {"2.9.1"}


@pytest.mark.parametrize("pin", ["public", "minimum"])
def test_a_project_moves_to_a_newer_torch(bake: Bake, pin: str) -> None:
    """By the lines of its README: the companions move along, and no bound stands in the way."""
    project = bake(
        torch_version="2.9.1", torch_backend="cu128", python_version="3.11", torch_pin=pin
    )
    project.lock()
    if pin == "minimum":
        raise_constraints(project)
    else:
        project.uv(
            *("add", "--no-sync", "--python", project.python),
            *("torch==2.10.0", "torchvision==0.25.0"),
        )
    got = project.installed("linux-x86_64")
    assert (got["torch"], got["torchvision"]) == ("2.10.0+cu128", "0.25.0+cu128")
    assert project.installed("macos-arm64")["torch"] == "2.10.0"


def raise_constraints(project: BakedProject) -> None:
    """Do what the README of a library says: change the numbers in `constraint-dependencies`."""
    manifest = project.path / "pyproject.toml"
    text = project.read("pyproject.toml")
    text = text.replace("torch==2.9.1", "torch==2.10.0")
    text = text.replace("torchvision==0.24.1", "torchvision==0.25.0")
    manifest.write_text(text, encoding="utf-8")
    project.lock()


@pytest.mark.parametrize("companion", ["torchvision", "torchaudio"])
def test_what_others_require_moves_along(bake: Bake, tmp_path: Path, companion: str) -> None:
    project = project_with_torch_alone(bake, "markers")
    add = ("add", "--no-sync", "--python", project.python)
    project.uv(*add, str(needing(tmp_path, companion)))
    project.uv(*add, "torch==2.10.0")
    got = project.installed("linux-x86_64")
    assert got["torch"] == "2.10.0+cu128"
    assert got[companion] in ("0.25.0+cu128", "2.10.0+cu128")
