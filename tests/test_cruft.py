"""cruft: a project follows the template through changed facts, code and answers."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import empty_config, git
from tests.helpers.elsewhere import copy_template
from tools.lib.lock import find_uv, run_uv
from tools.lib.replica import Replica

pytestmark = pytest.mark.slow

ANSWERS = {
    "torch_version": "2.13.0",
    "python_version": "3.11",
    "companions": "none",
    "numpy_guard": "auto",
}
"""The Python is old enough for `numpy<2`, and any that runs the tests can lock for it."""


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", f"--message={message}")


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, (path, old)
    path.write_text(text.replace(old, new), encoding="utf-8")


def second_version(template: Path) -> None:
    """Change facts, code, templates and answers as a later version would."""
    builds = json.loads((template / "torch_plan/catalog/builds.json").read_text(encoding="utf-8"))
    builds["releases"]["2.13.0"]["numpy_1"] = "linux-x86_64"
    (template / "torch_plan/catalog/builds.json").write_text(json.dumps(builds), encoding="utf-8")
    extension = template / "torch_plan/extension.py"
    replace(extension, "toml=toml,", "toml=toml, shout=lambda text: str(text).upper(),")
    skeleton = template / "{{cookiecutter.project_slug}}"
    replace(
        skeleton / ".gitignore",
        "dist/",
        "dist/\n{{ cookiecutter.team | shout }}/{{ cookiecutter.shelf }}",
    )
    questions = template / "cookiecutter.json"
    replace(questions, '"torch_version":', '"team": "vision",\n  "torch_version":')
    replace(questions, '"numpy_guard": "auto",', '"numpy_guard": "auto",\n    "shelf": "three",')


class Cruft:
    """Runs cruft on one project, with a uv that writes down what it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = folder / "my-ml-project"
        self.log = folder / "uv.log"
        uv = folder / "bin" / "uv"
        uv.parent.mkdir()
        uv.write_text(f'#!/bin/sh\necho "$PWD $*" >> "{self.log}"\nexec "{find_uv()}" "$@"\n')
        uv.chmod(0o755)
        identity = {
            f"GIT_{who}_{what}": "test@example.com"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        self.environment = {
            **os.environ,
            **identity,
            "COOKIECUTTER_CONFIG": str(empty_config(folder)),
            "UV": str(uv),
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        where = self.project if self.project.exists() else self.folder
        return subprocess.run(
            [sys.executable, "-m", "cruft", *arguments],
            cwd=where,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    def asked_uv(self) -> list[str]:
        """Return what uv was asked for since the last time."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return lines


@pytest.fixture
def cruft(tmp_path: Path, replica: Replica) -> Cruft:
    """Create a project with cruft, locked, and committed."""
    template = copy_template(tmp_path / "template")
    git(template, "init", "--quiet", "--initial-branch=main")
    commit(template, "first version")
    runner = Cruft(tmp_path)
    context = {**ANSWERS, "pytorch_index": replica.url}
    done = runner.run("create", str(template), "--no-input", "--extra-context", json.dumps(context))
    assert done.returncode == 0, done.stderr
    assert (runner.project / "uv.lock").is_file(), done.stderr
    assert any(" lock " in line for line in runner.asked_uv())
    commit(runner.project, "start")
    return runner


def test_a_new_project_is_up_to_date(cruft: Cruft) -> None:
    for command in ("check", "diff"):
        done = cruft.run(command)
        assert done.returncode == 0, done.stdout + done.stderr
    assert cruft.asked_uv() == []


OWN = (
    *("einops", "rich", "tqdm", "pandas", "pyyaml"),
    *("scikit-learn", "timm", "transformers", "tensorboard", "wandb"),
)


def test_a_newer_torch_merges_with_what_the_owner_added(cruft: Cruft) -> None:
    """Pins come first and numpy last, so that a changed pin has no line of the owner beside it."""
    run_uv(cruft.project, "add", "--frozen", *OWN)
    commit(cruft.project, "own dependencies")
    new = {"torch_version": "2.14.0", "after_generation": "nothing"}
    done = cruft.run("update", "--skip-apply-ask", "--variables-to-update", json.dumps(new))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "conflict" not in (done.stdout + done.stderr).lower()
    assert list(cruft.project.rglob("*.rej")) == []
    text = (cruft.project / "pyproject.toml").read_text(encoding="utf-8")
    dependencies = tomllib.loads(text)["project"]["dependencies"]
    assert "torch==2.14.0" in dependencies
    assert set(OWN) <= set(dependencies)


def test_what_is_not_asked_is_recorded_and_can_be_changed(cruft: Cruft, tmp_path: Path) -> None:
    def recorded() -> dict[str, str]:
        text = (cruft.project / ".cruft.json").read_text(encoding="utf-8")
        return json.loads(text)["context"]["cookiecutter"]  # type: ignore[no-any-return]

    assert recorded()["pytorch_index"].startswith("http://127.0.0.1:")
    assert recorded()["dockerfile"] == "no"
    new = {"dockerfile": True, "numpy_guard": "always"}
    done = cruft.run("update", "--skip-apply-ask", "--variables-to-update", json.dumps(new))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (cruft.project / "Dockerfile").is_file()
    assert (recorded()["dockerfile"], recorded()["numpy_guard"]) == ("yes", "always")
    commit(cruft.project, "a Dockerfile")
    replace(tmp_path / "template/{{cookiecutter.project_slug}}/.gitignore", "dist/", "dist/\nout/")
    commit(tmp_path / "template", "second version")
    done = cruft.run("update", "--skip-apply-ask")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "out/" in (cruft.project / ".gitignore").read_text(encoding="utf-8")
    assert (cruft.project / "Dockerfile").is_file()
    assert '"numpy<2"' in (cruft.project / "pyproject.toml").read_text(encoding="utf-8")
    assert (recorded()["dockerfile"], recorded()["numpy_guard"]) == ("yes", "always")
    assert recorded()["pytorch_index"].startswith("http://127.0.0.1:")


def test_a_refused_update_names_the_command_that_works(cruft: Cruft) -> None:
    """Cruft has a click of its own: the message must not come as a traceback."""
    new = {"torch_version": "2.15.0", "torch_backend": "cuda"}
    done = cruft.run("update", "--skip-apply-ask", "--variables-to-update", json.dumps(new))
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    words = shlex.split(done.stderr.splitlines()[-1])
    assert words[-4:-1] == ["cruft", "update", "--variables-to-update"]
    again = cruft.run("update", "--skip-apply-ask", "--variables-to-update", words[-1])
    assert again.returncode == 0, again.stderr
    text = (cruft.project / "pyproject.toml").read_text(encoding="utf-8")
    assert "torch==2.15.0" in tomllib.loads(text)["project"]["dependencies"]
    assert "/cu132" in text


def test_update_to_a_version_with_other_facts_code_and_answers(
    cruft: Cruft, tmp_path: Path
) -> None:
    locked = (cruft.project / "uv.lock").read_bytes()
    second_version(tmp_path / "template")
    commit(tmp_path / "template", "second version")
    assert cruft.run("check").returncode == 1
    done = cruft.run("update", "--skip-apply-ask")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "VISION/three" in (cruft.project / ".gitignore").read_text(encoding="utf-8")
    assert '"numpy<2 ; ' in (cruft.project / "pyproject.toml").read_text(encoding="utf-8")
    assert (cruft.project / "uv.lock").read_bytes() == locked
    assert list(cruft.project.rglob("*.rej")) == []
    assert cruft.asked_uv() == []
    commit(cruft.project, "update")
    assert cruft.run("check").returncode == 0
