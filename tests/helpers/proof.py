"""Hold a project's lock against its plan: what uv gives each platform, from where, for whom."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.specifiers import SpecifierSet

from tests.conftest import BakedProject
from tests.helpers.locks import read_lock
from tools.lib.wheel_names import WheelName, parse_wheel_name
from torch_plan.catalog.platforms import platform_of
from torch_plan.catalog.versions import PYPI
from torch_plan.resolution.cells import Cell


def prove(project: BakedProject) -> float:
    """Lock a project, check what the plan promises about torch, return the seconds it took to lock.

    For each option and platform: the build, the companions' and the triton package's versions by
    uv's own dry run, and wheels of torch and companions for every Python of `requires-python`.
    """
    plan = project.plan
    start = time.perf_counter()
    project.lock()
    seconds = time.perf_counter() - start
    urls = {index.name: index.url for index in plan.indexes}
    assert registries(project) == {
        "PyPI" if origin == PYPI else urls[f"pytorch-{origin}"]
        for origin in {cell.torch.origin for cell in plan.cells}
    }
    for option in plan.options:
        for cell in option.cells:
            got = project.installed(cell.platform, *option.sync)
            where = f"{option.name} on {cell.platform}"
            assert got["torch"] == cell.torch.full_version, where
            for package in cell.packages:
                required = package.pythons is None or plan.python in package.pythons
                assert (package.name in got) == required, where
                if package.label:
                    assert got[package.name] == package.full_version, where
                elif package.version and required:
                    assert SpecifierSet(f"=={package.version}").contains(got[package.name]), where
                if package.pythons is None:
                    check_pythons(project, cell, package.name, got[package.name])
    return seconds


def check_locked(project: Path, read: Callable[[Path], str] = Path.read_text) -> None:
    """Check that a project has a lock of its own, and all of it: torch 2.13.0 from its indexes.

    `read` returns the text of a file that this process does not see.
    """
    indexes = tomllib.loads(read(project / "pyproject.toml"))["tool"]["uv"]["index"]
    packages = tomllib.loads(read(project / "uv.lock"))["package"]
    torch = {entry["version"]: entry for entry in packages if entry["name"] == "torch"}
    assert {version.partition("+")[0] for version in torch} == {"2.13.0"}
    assert {"2.13.0", "2.13.0+cpu"} <= {*torch}
    registries = {entry["source"]["registry"] for entry in torch.values()}
    assert registries <= {index["url"] for index in indexes}
    wheels = torch["2.13.0+cpu"]["wheels"]
    names = [parse_wheel_name(wheel["url"].rpartition("/")[2]) for wheel in wheels]
    assert {platform_of(name.platform_tag) for name in names} == {
        *("linux-x86_64", "linux-aarch64", "windows-x86_64")
    }
    assert all(wheel["hash"].strip("sha256:0") for wheel in wheels)
    assert "pytest" in {entry["name"] for entry in packages}


def indexes_of_torch(pyproject: dict[str, Any], option: str, here: Mapping[str, str]) -> list[str]:
    """Return the indexes that torch comes from, for an extra or group, where markers say `here`."""
    sources = pyproject["tool"]["uv"]["sources"]["torch"]
    return [
        source["index"]
        for source in (sources if isinstance(sources, list) else [sources])
        if source.get("extra", source.get("group", option)) == option
        and ("marker" not in source or Marker(source["marker"]).evaluate(here))
    ]


def registries(project: BakedProject) -> set[str]:
    """Return the indexes that torch is locked from; PyPI by its name."""
    local = project.answers["pytorch_index"]
    found = {
        entry["source"]["registry"] for entry in read_lock(project.path) if entry["name"] == "torch"
    }
    return {url if url.startswith(local) else "PyPI" for url in found}


def check_pythons(project: BakedProject, cell: Cell, package: str, version: str) -> None:
    """Check that the lock holds a wheel of this version for every Python, on this platform."""
    tags = {wheel.python for wheel in locked_wheels(project.path, package, version, cell.platform)}
    wanted = {f"cp{python.replace('.', '')}" for python in project.plan.pythons}
    assert "py3" in tags or wanted <= tags, (package, version, cell.platform, tags)


def locked_wheels(project: Path, package: str, version: str, platform: str) -> list[WheelName]:
    """Return the wheels of a locked version that fit a platform, whatever the Python."""
    names = [
        parse_wheel_name(wheel["url"].rpartition("/")[2])
        for entry in read_lock(project)
        if (entry["name"], entry["version"]) == (package, version)
        for wheel in entry.get("wheels", [])
    ]
    return [name for name in names if name.platform == platform]
