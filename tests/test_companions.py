"""Companions that come in through a package which the owner adds, and a newer torch."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.markers import Marker

from tests.conftest import Bake, BakedProject
from tests.helpers.locks import read_lock
from tools.lib.replica import Replica
from torch_plan.catalog.platforms import PLATFORMS


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
    add_as_its_readme_says(project, needing(tmp_path, "torchvision", "torchaudio", "torchcodec"))
    assert {it.partition("+")[0] for it in locked(project, "torchcodec")} <= {*RELEASES["2.9.1"]}
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


def add_as_its_readme_says(project: BakedProject, package: Path) -> str:
    """Add torchcodec, and a package that requires it, with the marker of the README; return it."""
    (requirement,) = re.findall(r'`uv add "(torchcodec[^"]*)"`', project.read("README.md"))
    marker = requirement.partition(";")[2]
    project.uv(
        "add", "--no-sync", "--python", project.python, f"needing @ {package.as_uri()} ;{marker}"
    )
    return str(marker)


RELEASES = {"2.8.0": ("0.6.0", "0.7.0"), "2.9.1": ("0.8.0", "0.8.1", "0.9.0", "0.9.1")}
"""torch -> the torchcodecs that were made for it."""


@pytest.mark.parametrize("index", ["{}", "own:{}"])
@pytest.mark.parametrize("layout", BUILDS)
@pytest.mark.parametrize("release", RELEASES)
def test_a_bound_holds_on_every_platform(
    bake: Bake, tmp_path: Path, replica: Replica, release: str, layout: str, index: str
) -> None:
    project = bake(
        torch_version=release,
        torch_backend=BUILDS[layout][0],
        layout=layout,
        companions="none",
        python_version="3.11",
        pytorch_index=index.format(replica.url),
    )
    project.lock()
    marker = add_as_its_readme_says(project, needing(tmp_path, "torchcodec"))
    for platform in project.plan.platforms:
        got = project.installed(platform, *BUILDS[layout][1])
        assert got["torch"].startswith(release)
        has_one = Marker(marker).evaluate(environment_of(platform))
        assert ("torchcodec" in got) == has_one
        assert not has_one or got["torchcodec"].partition("+")[0] in RELEASES[release]


def environment_of(platform: str) -> dict[str, str]:
    """Return what markers are held against on a platform."""
    entry = PLATFORMS[platform]
    return {"sys_platform": entry.sys_platform, "platform_machine": entry.platform_machine}


@pytest.mark.parametrize("layout", ["extras", "groups"])
def test_releases_of_one_platform_get_no_bound_but_lines_of_their_own(
    bake: Bake, tmp_path: Path, layout: str
) -> None:
    project = bake(
        torch_version="2.13.0",
        torch_backend="cpu=2.13.0+cpu old=2.8.0+cu126",
        layout=layout,
        companions="none",
        python_version="3.11",
    )
    names = [re.split("[<>=]", line)[0] for line in project.plan.constraints]
    assert not {"torchcodec", "torchaudio"}.intersection(names)
    lines = re.findall(r"(?m)^- `(cpu|old)`: `(.+)`$", project.read("README.md"))
    kind, option = ("--optional", "--extra") if layout == "extras" else ("--group", "--group")
    for name, line in lines:
        project.uv("add", "--frozen", kind, name, line)
    project.lock()
    others = {"cpu": ("--no-group", "old"), "old": ("--no-group", "cpu")}
    for name, release, audio in (("cpu", "2.13.0", "2.11"), ("old", "2.8.0", "2.8.0")):
        deselect = others[name] if layout == "groups" else ()
        got = project.installed("linux-x86_64", option, name, *deselect)
        assert got["torch"].startswith(release)
        # PyPI may have a newer patch than the facts.
        assert got["torchaudio"].startswith(audio)
        assert (got["torchcodec"].partition("+")[0] in RELEASES["2.8.0"]) == (name == "old")
