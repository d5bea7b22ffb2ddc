"""Projects in a folder, measured against the replica, and what the command says of them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from packaging.specifiers import SpecifierSet
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from adopt.__main__ import main
from tests.conftest import PYTHON
from tests.helpers.interpreters import interpreter
from tools.lib.replica import Replica

OFFICIAL = "https://download.pytorch.org/whl"
_COPIES = (OFFICIAL, "https://mirrors.nju.edu.cn/pytorch/whl")
_PYTHONS = (PYTHON, "3.11", "3.12", "3.13", "3.14")

LINUX, ARM, MAC, WINDOWS = "linux-x86_64", "linux-aarch64", "macos-arm64", "windows-x86_64"


class Said(NamedTuple):
    """What a run of the command said, and what the files hold now."""

    status: int
    data: dict[str, Any]
    error: str

    def builds(
        self, platform: str, option: str = "uv sync", when: str = "today", python: str = ""
    ) -> str:
        """Return what a platform gets with a Python, or with all, which is the same: `2.9.1+cu128`.

        The build stands behind the version whatever the label. `-` is for nothing, and a `!`
        before a version for one that cannot be installed.
        """
        texts = [
            text(cell)
            for cell in self.data[when]
            if (cell["platform"], cell["option"]) == (platform, option)
            if python in ("", cell["python"])
        ]
        (only,) = {*texts} or {"-"}
        return only

    @property
    def findings(self) -> list[tuple[str, str]]:
        """Level and text of what was found."""
        return [(one["level"], one["text"]) for one in self.data["findings"]]

    @property
    def levels(self) -> list[str]:
        """The levels of what was found."""
        return [level for level, _ in self.findings]


def text(cell: Mapping[str, Any]) -> str:
    """Return the torch of a cell in a word."""
    torch = cell["packages"].get("torch")
    if cell["missing"]:
        return "!" + ",".join(sorted(cell["missing"]))
    return f"{torch['version'].partition('+')[0]}+{torch['build']}" if torch else "-"


class Shop:
    """A place for one project, whose PyTorch is the replica's."""

    def __init__(
        self,
        folder: Path,
        replica: Replica,
        patch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.folder, self.replica, self.patch, self.capsys = folder, replica, patch, capsys

    def put(self, text: str, name: str = "pyproject.toml") -> Path:
        """Write a file, with the replica in the place of PyTorch's index and its copies."""
        for base in _COPIES:
            text = text.replace(base, self.replica.url)
        text = text.replace("https://PYPI/simple/", PYPI_SIMPLE_ENDPOINT)
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.replace("https://PYPI/simple", PYPI_SIMPLE_ENDPOINT).encode())
        if name.endswith("pyproject.toml"):
            self.choose_python(text)
        return path

    def choose_python(self, text: str) -> None:
        """Let uv lock with a Python that the project is for."""
        try:
            project = tomllib.loads(text.removeprefix("\ufeff")).get("project", {})
            admitted = SpecifierSet(project.get("requires-python", ""))
        except (ValueError, RecursionError):
            return
        python = next((one for one in _PYTHONS if admitted.contains(f"{one}.1")), PYTHON)
        self.patch.setenv("UV_PYTHON", interpreter(python))

    def read(self, name: str = "pyproject.toml") -> dict[str, Any]:
        """Return what a file holds."""
        return tomllib.loads((self.folder / name).read_text(encoding="utf-8"))

    def run(self, *words: str, path: str = "") -> Said:
        """Run the command with `--json`."""
        status = main([str(self.folder / path), *words, "--json"])
        out = self.capsys.readouterr()
        return Said(status, json.loads(out.out), out.err)

    def print(self, *words: str, path: str = "") -> tuple[int, str]:
        """Run the command, and return what people read."""
        status = main([str(self.folder / path), *words])
        out = self.capsys.readouterr()
        return status, out.out + out.err
