"""What grows is added by one edit and one command: on a copy, as CONTRIBUTING says."""

from __future__ import annotations

import json
import shlex
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PYTHON, ROOT
from tests.helpers.elsewhere import HERE, copy_template, run
from tests.helpers.locks import read_lock
from tests.helpers.worlds import with_companion
from tools.lib.replica import Replica
from torch_plan.catalog.facts import Facts, load_facts

Edit = Callable[[dict[str, Any]], Any]

FACTS = load_facts()
NEWEST = FACTS.releases[-1]
RELEASE = FACTS.expected_releases[1]
BUILD = "cu199"

COMMAND = "uv run -m tools.docs"


class Copy:
    """A copy of the template, which somebody adds to."""

    def __init__(self, folder: Path) -> None:
        self.path = copy_template(folder / "template")
        self.out = folder / "out"
        self.out.mkdir()

    def edit(self, name: str, edit: Edit) -> dict[str, Any]:
        """Change a JSON file, as by hand, and run the command; return what is in the file."""
        path = self.path / name
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        edit(data)
        path.write_text(json.dumps(data, indent=4), encoding="utf-8")
        run([sys.executable, *shlex.split(COMMAND)[2:]], self.path)
        return data

    def facts(self, edit: Edit) -> Facts:
        """Change the facts, and return them."""
        return Facts(self.edit("torch_plan/catalog/builds.json", edit))

    def project(self, index: str, *words: str, status: int = 0) -> Path:
        """Render and lock a project of the CPU build, with answers of its own."""
        command = [*HERE, self.path, "--no-input", "--output-dir", self.out, "companions=none"]
        common = (f"python_version={PYTHON}", "torch_backend=cpu", f"pytorch_index={index}")
        run([*command, *common, *words], self.path.parent, status=status)
        return self.out / "my-ml-project"

    def page(self, name: str) -> str:
        return (self.path / "docs" / name).read_text(encoding="utf-8")


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def locked(project: Path, package: str) -> set[str]:
    return {entry["version"] for entry in read_lock(project) if entry["name"] == package}


def add_release(facts: dict[str, Any]) -> None:
    facts["releases"][RELEASE] = {**facts["releases"][NEWEST], "companions": {}}
    facts["wheels"]["torch"][RELEASE] = facts["wheels"]["torch"][NEWEST]


def add_index(facts: dict[str, Any]) -> None:
    facts["wheels"]["torch"][NEWEST][BUILD] = {
        "manylinux_2_28_x86_64": f"cp{PYTHON.replace('.', '')}"
    }
    facts["cuda"]["min_driver"]["linux"]["19"] = "999"
    facts["cuda"]["architectures"][BUILD] = {NEWEST: {"x86_64": "90 120"}}


def add_companion(facts: dict[str, Any]) -> None:
    facts.update(with_companion(facts, "torchnew", {NEWEST: "3.0"}))


def test_contributing_says_so() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert COMMAND in text
    for key in ("releases", "wheels", "min_driver", "architectures", "labelled_since", "indexes"):
        assert f"`{key}`" in text


@pytest.mark.slow
def test_a_release(copy: Copy) -> None:
    with Replica(copy.facts(add_release)) as replica:
        project = copy.project(replica.url)
        assert locked(project, "torch") == {RELEASE, f"{RELEASE}+cpu"}
    assert RELEASE in copy.page("support.md")


@pytest.mark.slow
def test_an_index(copy: Copy) -> None:
    with Replica(copy.facts(add_index)) as replica:
        words = f"torch_backend={BUILD}", f"torch_version={NEWEST}", "platforms=linux-x86_64"
        project = copy.project(replica.url, *words)
        assert locked(project, "torch") == {f"{NEWEST}+{BUILD}"}
    assert "999" in (project / "README.md").read_text(encoding="utf-8")
    assert BUILD in copy.page("support.md")


@pytest.mark.slow
def test_a_companion(copy: Copy) -> None:
    with Replica(copy.facts(add_companion)) as replica:
        words = "companions=torchnew", f"torch_version={NEWEST}", "platforms=linux-x86_64"
        project = copy.project(replica.url, *words)
        assert locked(project, "torchnew") == {"3.0+cpu"}


@pytest.mark.slow
def test_a_mirror(copy: Copy, replica: Replica) -> None:
    mirror = {"url": replica.url, "hosts": "127.0.0.1"}
    copy.edit(
        "torch_plan/catalog/builds.json",
        lambda facts: facts["indexes"]["pytorch"].update(near=mirror),
    )
    project = copy.project("near", "torch_version=2.13.0")
    pyproject = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    assert [index["url"] for index in pyproject["tool"]["uv"]["index"]] == [f"{replica.url}/cpu"]
    assert locked(project, "torch") == {"2.13.0", "2.13.0+cpu"}


@pytest.mark.slow
def test_an_answer(copy: Copy) -> None:
    copy.edit("cookiecutter.json", lambda file: file["_unasked"].update(citation="no"))
    rendered = copy.path / "{{cookiecutter.project_slug}}"
    (rendered / "{% if is_yes(cookiecutter.citation) %}CITATION.cff{% endif %}").touch()
    words = "torch_version=2.13.0", "after_generation=nothing"
    assert not (copy.project("official", *words) / "CITATION.cff").exists()
    project = copy.project("official", *words, "citation=yes", "project_slug=two").parent / "two"
    assert (project / "CITATION.cff").exists()
    recorded = (project / "README.md").read_text(encoding="utf-8")
    assert "citation=yes" in recorded
    copy.project("official", *words, "citation=maybe", "project_slug=three", status=1)
