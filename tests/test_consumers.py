"""What others get who install a rendered project: from git, as a dependency, as a wheel."""

from __future__ import annotations

import subprocess
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import tomli_w

from tests.conftest import PYTHON, Bake, BakedProject, git
from tests.helpers.locks import read_lock
from tests.helpers.proof import prove
from tools.lib.lock import UvError, find_uv, run_uv

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


@pytest.fixture(params=["newest", "oldest"])
def each_uv(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tests run with the uv that is here, and with the oldest that a project takes."""
    if request.param == "oldest":
        monkeypatch.setenv("UV", request.getfixturevalue("oldest_uv"))


LIBRARY = {
    "project_slug": "lib",
    "torch_version": RELEASE,
    "python_version": PYTHON,
    "torch_backend": "cu128",
    "torch_pin": "minimum",
}


def use(project: BakedProject, source: str) -> str:
    """Let a project require the library, and return its new pyproject.toml."""
    text = project.read("pyproject.toml")
    text = text.replace("dependencies = [\n", 'dependencies = [\n    "lib",\n', 1)
    text = text.replace("[tool.uv.sources]\n", f"[tool.uv.sources]\nlib = {source}\n")
    (project.path / "pyproject.toml").write_text(text, encoding="utf-8")
    return text


@pytest.mark.usefixtures("each_uv")
@pytest.mark.parametrize("place", ["git", "path"])
def test_library_binds_nobody_to_its_cuda(bake: Bake, place: str) -> None:
    library = bake(**LIBRARY)
    library.lock()
    for options in ((), ("--no-default-groups",)):
        assert library.installed("linux-x86_64", *options)["torch"] == f"{RELEASE}+cu128"
    app = bake(torch_version="2.13.0", python_version=PYTHON, torch_backend="cu130")
    url = in_git(library).removeprefix("git+")
    use(app, f'{{ git = "{url}" }}' if place == "git" else '{ path = "../lib" }')
    app.lock()
    got = app.installed("linux-x86_64")
    assert (got["torch"], got["torchvision"]) == ("2.13.0+cu130", "0.28.0+cu130")


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param({}, id="cuda"),
        pytest.param({"torch_backend": "rocm6.4"}, id="triton"),
        pytest.param({"torch_backend": "pypi"}, id="pypi"),
        pytest.param(
            {"torch_backend": "cu126", "platforms": "linux-x86_64 windows-x86_64=pypi"}, id="part"
        ),
    ],
)
def test_library_has_the_planned_builds_itself(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**{**LIBRARY, **answers})
    prove(project)
    uv = project.pyproject["tool"]["uv"]
    assert ("torch" in uv.get("default-groups", [])) == bool(uv.get("sources"))


def test_library_of_a_workspace_has_the_torch_of_its_root(bake: Bake) -> None:
    """One lock has one torch for a platform, so the README says what to leave out."""
    library = bake(**LIBRARY)
    assert "A uv workspace has one lock" in library.read("README.md")
    app = bake(torch_version="2.13.0", python_version=PYTHON, torch_backend="cu130")
    manifest = app.path / "pyproject.toml"
    manifest.write_text(
        f'{use(app, "{ workspace = true }")}\n[tool.uv.workspace]\nmembers = ["lib"]\n'
    )
    member = library.path.rename(app.path / "lib") / "pyproject.toml"
    with pytest.raises(UvError, match="conflicting indexes"):
        app.lock()
    document = tomllib.loads(member.read_text(encoding="utf-8"))
    del document["dependency-groups"]["torch"]
    del document["tool"]["uv"]["default-groups"], document["tool"]["uv"]["sources"]
    member.write_text(tomli_w.dumps(document), encoding="utf-8")
    app.lock()
    for package in ("my-ml-project", "lib"):
        got = app.installed("linux-x86_64", "--package", package)
        assert (got["torch"], got["torchvision"]) == ("2.13.0+cu130", "0.28.0+cu130")


@pytest.mark.parametrize("pin", ["public", "minimum"])
def test_smoke_test_is_in_the_wheel_of_no_library(bake: Bake, pin: str) -> None:
    project = bake(torch_version=RELEASE, torch_pin=pin, distributed="yes")
    project.uv("build", "--quiet", "--wheel")
    (wheel,) = (project.path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert any("smoke" in name for name in names) == (pin == "public")
    assert any(name.endswith("/entry_points.txt") for name in names) == (pin == "public")
    assert any(name.endswith("/py.typed") for name in names)


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
