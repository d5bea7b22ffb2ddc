"""What others get who install a rendered project: from git, as a dependency, as a wheel."""

from __future__ import annotations

import subprocess
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from tests.conftest import PYTHON, Bake, BakedProject, git
from tools.lib.lock import find_uv, read_lock, run_uv

pytestmark = pytest.mark.slow

RELEASE = "2.9.1"
TWINE = "twine==7.0.0"

CONSUMER = """\
[project]
name = "consumer"
version = "0"
requires-python = ">={python}"
dependencies = ["{requirement}"]

[tool.uv]
environments = ["sys_platform == 'linux' and platform_machine == 'x86_64'"]
"""


def in_git(project: BakedProject) -> str:
    """Commit a project and return the URL it can be installed from."""
    git(project.path, "init", "--quiet")
    git(project.path, "add", "--all")
    git(project.path, "commit", "--quiet", "--message=start")
    return f"git+{project.path.as_uri()}"


@pytest.fixture
def consumer(tmp_path: Path) -> Path:
    folder = tmp_path / "consumer"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("layout", "backend", "extra", "expected"),
    [
        pytest.param("markers", "cu128", "", f"{RELEASE}+cu128", id="markers"),
        pytest.param("extras", "cpu gpu=cu128", "[gpu]", f"{RELEASE}+cu128", id="extra"),
        pytest.param("extras", "cpu gpu=cu128", "[cpu]", f"{RELEASE}+cpu", id="other-extra"),
        pytest.param("groups", "cpu cu128", "", None, id="groups"),
    ],
)
def test_git_dependency_of_another_project(
    layout: str, backend: str, extra: str, expected: str | None, bake: Bake, consumer: Path
) -> None:
    project = bake(
        torch_version=RELEASE, python_version=PYTHON, layout=layout, torch_backend=backend
    )
    requirement = f"my-ml-project{extra} @ {in_git(project)}"
    text = CONSUMER.format(python=PYTHON, requirement=requirement)
    (consumer / "pyproject.toml").write_text(text, encoding="utf-8")
    run_uv(consumer, "lock", "--python", PYTHON)
    versions = {entry["name"]: entry["version"] for entry in read_lock(consumer)}
    assert versions.get("torch") == expected


@pytest.mark.parametrize("command", [("pip", "install", "--dry-run"), ("pip", "compile", "-")])
def test_uv_pip_takes_the_build_of_the_project(
    command: tuple[str, ...], bake: Bake, consumer: Path
) -> None:
    project = bake(torch_version=RELEASE, python_version=PYTHON, torch_backend="cu128")
    requirement = f"my-ml-project @ {in_git(project)}"
    run_uv(consumer, "venv", "--quiet", f"--python={PYTHON}")
    compiles = command[1] == "compile"
    done = subprocess.run(
        [find_uv(), *command, *([] if compiles else [requirement])],
        cwd=consumer,
        input=requirement if compiles else None,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert f"torch=={RELEASE}+cu128" in done.stdout + done.stderr


def test_wheel_knows_no_index(bake: Bake, consumer: Path) -> None:
    project = bake(torch_version=RELEASE, python_version=PYTHON, torch_backend="cu128")
    project.uv("build", "--quiet", "--wheel")
    (wheel,) = (project.path / "dist").glob("*.whl")
    run_uv(consumer, "venv", "--quiet", f"--python={PYTHON}")
    printed = run_uv(consumer, "pip", "install", "--dry-run", str(wheel))
    assert f" + torch=={RELEASE}\n" in printed


@pytest.mark.parametrize("pin", ["public", "local"])
def test_distributions_pass_twine(pin: str, bake: Bake) -> None:
    project = bake(
        torch_version=RELEASE,
        python_version=PYTHON,
        torch_pin=pin,
        torch_backend="cu128",
        description='Says "what"\nis in a picture',
    )
    project.uv("build", "--quiet")
    files = [str(path) for path in (project.path / "dist").glob("my_ml_project-*")]
    assert "PASSED" in run_uv(
        project.path, "tool", "run", "--from", TWINE, "twine", "check", *files
    )
    (wheel,) = [path for path in files if path.endswith(".whl")]
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        requires = Parser().parsestr(archive.read(name).decode()).get_all("Requires-Dist") or []
    labelled = any("+cu128" in requirement for requirement in requires)
    assert labelled == (pin == "local")
    assert labelled == ("versions with a label" in project.read("README.md"))
