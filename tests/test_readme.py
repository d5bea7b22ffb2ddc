"""The README's commands, word for word, for somebody who has a clone, Python, and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from tests.conftest import ROOT
from tests.helpers.elsewhere import copy_template
from tests.helpers.markdown import BLOCK

README = (ROOT / "README.md").read_text(encoding="utf-8")

STATUS = "--- status: "

INSTALL = "pip install uv"


def commands(heading: str) -> list[str]:
    """Return the console commands of a section of the README."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    texts = [text for language, text in BLOCK.findall(section) if language == "console"]
    return [line for text in texts for line in text.splitlines()]


def system_python() -> str:
    """Return the system's Python if it fits this repository and can make environments, or ours."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    fits = SpecifierSet(project["requires-python"])
    ask = "import ensurepip, platform; print(platform.python_version())"
    try:
        said = subprocess.check_output(["/usr/bin/python3", "-c", ask], encoding="utf-8")
    except (OSError, subprocess.CalledProcessError):
        return sys.executable
    return "/usr/bin/python3" if said.strip() in fits else sys.executable


class Stranger:
    """Somebody with an empty home, and no program but Python and what uv's scripts call."""

    def __init__(self, folder: Path, **variables: str) -> None:
        for name in ("home", "bin"):
            (folder / name).mkdir()
        (folder / "bin/python3").symlink_to(Path(system_python()).resolve())
        for program in ("dirname", "realpath"):
            (folder / "bin" / program).symlink_to(str(shutil.which(program)))
        network = {
            name: value
            for name, value in os.environ.items()
            if name.startswith(("PIP_", "SSL_")) or name.lower().endswith("_proxy")
        }
        self.environment = {
            **network,
            "HOME": str(folder / "home"),
            "PATH": str(folder / "bin"),
            "TMPDIR": os.environ["TMPDIR"],
            **variables,
        }

    def types(self, commands: list[str], cwd: Path) -> list[tuple[int, str]]:
        """Run commands in one shell, with Enter for every question; return status and output."""
        script = "\n".join(f'{command}\necho "{STATUS}$?"' for command in commands)
        done = subprocess.run(
            ["/bin/sh", "-c", script],
            cwd=cwd,
            env=self.environment,
            input="\n" * 40,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=True,
        )
        found = re.findall(rf"(.*?)^{STATUS}(\d+)\n", done.stdout, re.MULTILINE | re.DOTALL)
        assert len(found) == len(commands), done.stdout
        return [(int(status), printed) for printed, status in found]


@pytest.mark.slow
def test_a_first_hour(tmp_path: Path) -> None:
    """Start a project, see the demo, collect the tests: to run them is what already goes on.

    The index of PyTorch is out of reach, wherever this runs: a configuration of cookiecutter says
    so, and also that `gh:org/…` is the clone. pip works in an environment, as the README advises.
    """
    clone = copy_template(tmp_path / "org/uv-torch-template")
    config = tmp_path / "cookiecutter.yaml"
    config.write_text(
        f'abbreviations: {{gh: "{tmp_path}/{{0}}"}}\n'
        'default_context: {pytorch_index: "http://127.0.0.1:9"}\n',
        encoding="utf-8",
    )
    stranger = Stranger(tmp_path, COOKIECUTTER_CONFIG=str(config))
    (enter,) = re.findall(r"`(python3 -m venv [^`]+)`", README)
    before = sorted(clone.iterdir())
    (workplace := tmp_path / "workplace").mkdir()

    *start, cruft = commands("Start a project")
    assert cruft.startswith("uvx cruft create https://")  # the one command that wants GitHub
    *entered, plain, project, elsewhere = stranger.types([enter, INSTALL, *start], workplace)
    assert [status for status, _ in [*entered, plain, elsewhere]] == [0, 0, 0, 0], entered
    for _, printed in (plain, elsewhere):
        assert "Traceback" not in printed
        assert "from 127.0.0.1:9, as it says above. The project is kept. To complete it" in printed
        assert "uv run --only-group demo -m tools.demo" in printed
    assert project[0] != 0
    assert "127.0.0.1:9" in project[1]
    assert (workplace / "my-ml-project/pyproject.toml").is_file()
    assert sorted(clone.iterdir()) == before

    demo, test = commands("Try it")
    _, (status, printed) = stranger.types([enter, demo], clone)
    assert status == 0, printed
    assert "pytest==" not in printed.partition("does not answer")[0]
    last = printed.splitlines()[-1]
    if "Nothing was installed" not in last:
        _, (status, printed) = stranger.types([enter, last], tmp_path)
        assert status == 0, printed

    assert test.endswith("uv run pytest")
    _, (status, printed) = stranger.types([enter, f"{test} --collect-only --quiet"], clone)
    assert status == 0, printed
