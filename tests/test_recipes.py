"""The recipes, taken from the page and done to a project."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomlrt

from tests.conftest import ROOT, Bake, BakedProject
from tools.lib.lock import read_lock, run_uv
from tools.lib.replica import Replica
from torch_plan.catalog.facts import load_facts

PAGE = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")


def blocks(heading: str, language: str) -> list[str]:
    """Return the blocks of one language beneath a heading of the page."""
    section = PAGE.partition(f"\n## {heading}")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def add(project: BakedProject, block: str) -> None:
    """Put the lines of a recipe into `pyproject.toml`, as a person would."""
    manifest = project.path / "pyproject.toml"
    document = tomlrt.loads(manifest.read_text(encoding="utf-8"))
    merge(document, tomllib.loads(block))
    manifest.write_text(tomlrt.dumps(document), encoding="utf-8")


def merge(table: Any, added: dict[str, Any]) -> None:
    for key, value in added.items():
        if isinstance(value, dict) and key in table:
            merge(table[key], value)
        elif isinstance(value, list) and key in table:
            table[key].extend(value)
        else:
            table[key] = value


def test_a_package_without_metadata_is_locked_unbuilt(bake: Bake) -> None:
    """torch-scatter imports torch where it is only asked what it needs."""
    project = bake(torch_version="2.8.0", torch_backend="cpu", python_version="3.11")
    *_, built = blocks("flash-attn, deepspeed", "toml")
    add(project, built)
    project.lock()
    locked = {entry["name"]: entry for entry in read_lock(project.path)}
    assert locked["torch-scatter"]["version"] == "2.1.2"
    assert "wheels" not in locked["torch-scatter"]
    assert project.installed("linux-x86_64")["torch"] == "2.8.0+cpu"


def test_pip_alone_gets_the_index_too(bake: Bake, replica: Replica) -> None:
    project = bake(torch_version="2.9.1", torch_backend="cu128", python_version="3.11")
    project.lock()
    (command,) = blocks("A machine that knows only pip", "console")
    project.uv(*shlex.split(command)[1:], "--python", project.python)
    lines = [line.strip() for line in project.read("requirements.txt").splitlines()]
    said = [line for line in lines if not line.startswith("#")]
    assert any(line.startswith("--") and f"{replica.url}/cu128" in line for line in said)
    assert any(line.startswith("torch==2.9.1+cu128 ;") for line in said)
    assert not any("my-ml-project" in line for line in said)


def test_a_script_is_locked_with_the_build_of_each_platform(
    replica: Replica, tmp_path: Path
) -> None:
    (script,) = blocks("A script of one file", "python")
    official = load_facts().pytorch_mirrors["official"].url
    (tmp_path / "train.py").write_text(script.replace(official, replica.url), encoding="utf-8")
    run_uv(tmp_path, "lock", "--script", "train.py", f"--python={sys.executable}")
    lock = tomllib.loads((tmp_path / "train.py.lock").read_text(encoding="utf-8"))
    builds = {entry["version"] for entry in lock["package"] if entry["name"] == "torch"}
    assert builds == {"2.9.1+cu128", "2.9.1"}


@pytest.mark.parametrize("position", [0, 1])
def test_indexes_of_compiled_packages_are_explicit(bake: Bake, position: int) -> None:
    """Nothing else comes from there: torch's own sources stay as they are."""
    project = bake(torch_version="2.8.0", torch_backend="cpu", python_version="3.11")
    before = project.pyproject["tool"]["uv"]["sources"]["torch"]
    add(project, blocks("flash-attn, deepspeed", "toml")[position])
    after = tomllib.loads(project.read("pyproject.toml"))["tool"]["uv"]
    assert all(index["explicit"] for index in after["index"])
    assert after["sources"]["torch"] == before
