"""Where a project is generated, from which copy of the template, and by which command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import yaml

from tests.conftest import PYTHON, RELEASE, ROOT, Bake, empty_config, git
from tests.helpers.answers import ANSWERS
from tests.helpers.elsewhere import (
    HERE,
    answers,
    contents,
    copy_template,
    run,
    tracked_files,
)
from tests.helpers.hook import uv_toml
from tests.helpers.interpreters import install
from tests.helpers.proof import check_locked
from tools.lib.lock import find_uv
from tools.lib.replica import Replica
from torch_plan.catalog.facts import load_facts
from torch_plan.catalog.versions import version_key

PROJECT = "my-ml-project"

PYTHONS = [
    python for python in load_facts().all_pythons if version_key(python) >= version_key("3.10")
]
"""The Pythons that cookiecutter may run on."""


@pytest.fixture
def expected(bake: Bake) -> dict[str, bytes]:
    """What the template renders in this process, where nothing is odd."""
    return contents(bake(**{**ANSWERS, "after_generation": "nothing"}).path)


def generate(
    command: tuple[str | Path, ...], template: str | Path, cwd: Path, replica: Replica
) -> Path:
    """Generate the project in a folder with a command, and return where it lies."""
    run([*command, template, "--no-input", *answers(replica)], cwd)
    return cwd / PROJECT


def workplace(tmp_path: Path, name: str = "work") -> Path:
    """Return a new folder to generate in."""
    folder = tmp_path / name
    folder.mkdir(parents=True)
    return folder


# From which copy of the template


@pytest.mark.parametrize("name", ["größe & 模板", "it's 100% $HOME", "[a-z]* #?"])
def test_awkward_paths_of_template_and_project(
    tmp_path: Path, replica: Replica, expected: dict[str, bytes], name: str
) -> None:
    template = copy_template(tmp_path / name / "template")
    project = generate(HERE, template, workplace(tmp_path, f"{name}/work"), replica)
    assert contents(project) == expected
    check_locked(project)


@pytest.mark.parametrize("relative", [".", "../template", "vendor/template"])
def test_relative_template_path(
    tmp_path: Path, replica: Replica, expected: dict[str, bytes], relative: str
) -> None:
    work = workplace(tmp_path)
    copy_template(work / relative)
    project = generate(HERE, relative, work, replica)
    assert contents(project) == expected
    check_locked(project)


def test_zip(tmp_path: Path, replica: Replica, expected: dict[str, bytes]) -> None:
    copy_template(tmp_path / "uv-torch-template-main")
    archive = shutil.make_archive(
        str(tmp_path / "template"), "zip", tmp_path, "uv-torch-template-main"
    )
    project = generate(HERE, archive, workplace(tmp_path), replica)
    assert contents(project) == expected
    check_locked(project)


@pytest.mark.slow
def test_git_clone_and_tag(tmp_path: Path, replica: Replica, expected: dict[str, bytes]) -> None:
    template = copy_template(tmp_path / "template")
    git(template, "init", "--quiet", "--initial-branch=main")
    git(template, "add", "--all")
    git(template, "commit", "--quiet", "--message=one")
    git(template, "tag", "v1")
    readme = template / "{{cookiecutter.project_slug}}/README.md"
    readme.write_text("later\n", encoding="utf-8")
    git(template, "commit", "--quiet", "--all", "--message=two")
    url = f"git+{template.as_uri()}"
    tagged = generate((*HERE, "--checkout", "v1"), url, workplace(tmp_path, "tag"), replica)
    assert contents(tagged) == expected
    check_locked(tagged)
    newest = generate(HERE, url, workplace(tmp_path, "newest"), replica)
    assert contents(newest) == {**expected, "README.md": b"later\n"}
    check_locked(newest)


def test_what_a_clone_has_is_enough() -> None:
    """The template works from what is tracked: nothing that it imports is ignored by git."""
    tracked = {name.as_posix() for name in tracked_files()}
    for folder in ("torch_plan", "hooks", "templates", "{{cookiecutter.project_slug}}"):
        there = {
            path.relative_to(ROOT).as_posix()
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert there <= tracked


# In which environment


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return name -> content of every file in a folder."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_inside_an_active_environment_of_another_project(
    tmp_path: Path, replica: Replica, expected: dict[str, bytes]
) -> None:
    other = workplace(tmp_path, "other")
    (other / "pyproject.toml").write_text('[project]\nname = "other"\nversion = "1"\n')
    environment = other / ".venv"
    venv.create(environment, symlinks=sys.platform != "win32")
    before = snapshot(other)
    work = workplace(environment, "share/work")
    command = [*HERE, ROOT, "--no-input", *answers(replica)]
    run(command, work, VIRTUAL_ENV=str(environment), UV_PROJECT_ENVIRONMENT=str(environment))
    project = work / PROJECT
    assert contents(project) == expected
    check_locked(project)
    assert {name: text for name, text in snapshot(other).items() if str(work) not in name} == before


@pytest.mark.slow
def test_install_spares_the_active_environment(
    tmp_path: Path,
    bake: Bake,
    stub_replica: Replica,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = tmp_path / "other/.venv"
    venv.create(other, symlinks=sys.platform != "win32")
    before = snapshot(other)
    monkeypatch.setenv("VIRTUAL_ENV", str(other))
    monkeypatch.setenv("UV_PROJECT_ENVIRONMENT", str(other))
    smoke = {"after_generation": "smoke", "pytorch_index": stub_replica.url}
    project = bake(**{**ANSWERS, **smoke, "torch_version": RELEASE, "python_version": PYTHON})
    assert list((project.path / ".venv").rglob("torch/__init__.py"))
    assert snapshot(other) == before


@pytest.mark.parametrize(
    ("variables", "settings"),
    [
        pytest.param({"UV_PYTHON": "3.9", "UV_PYTHON_DOWNLOADS": "never"}, "", id="python"),
        pytest.param({"UV_TORCH_BACKEND": "cu118", "UV_SYSTEM_PYTHON": "1"}, "", id="backend"),
        pytest.param({"UV_CONSTRAINT": "/nowhere", "UV_NO_GROUP": "dev"}, "", id="requirements"),
        pytest.param({"UV_NO_SYNC": "1", "UV_ISOLATED": "1", "UV_NO_PROJECT": "1"}, "", id="run"),
        pytest.param({}, '[pip]\ntorch-backend = "cu118"\n', id="toml-backend"),
        pytest.param(
            {},
            '[[index]]\nname = "pytorch-cpu"\nurl = "http://127.0.0.1:9/"\nexplicit = true\n',
            id="toml-index-of-the-same-name",
        ),
        pytest.param({"UV_NO_SOURCES_PACKAGE": "torch"}, "", id="no-sources-package"),
    ],
)
def test_settings_of_the_user(
    tmp_path: Path,
    bake: Bake,
    replica: Replica,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    settings: str,
) -> None:
    """The lock is the planned one, whatever uv is told elsewhere."""
    uv_toml(tmp_path, monkeypatch, settings)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    check_locked(bake(**ANSWERS).path)


@pytest.mark.parametrize(
    "variables",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"UV_NO_CONFIG": "1"}, id="no-config"),
        pytest.param({"UV_CONFIG_FILE": "uv.toml"}, id="config-file"),
    ],
)
def test_the_index_of_the_project_is_not_dropped(
    tmp_path: Path, bake: Bake, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    """Where a mirror takes PyPI's place, and lacks everything, there is no lock from PyPI."""
    (tmp_path / "uv.toml").touch()
    for name, value in variables.items():
        monkeypatch.setenv(name, str(tmp_path / value) if value == "uv.toml" else value)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    project = bake(**ANSWERS, package_index="http://127.0.0.1:9/simple")
    assert not (project.path / "uv.lock").exists()


# By which command


@pytest.mark.slow
@pytest.mark.parametrize("python", PYTHONS)
def test_each_python(
    tmp_path: Path, replica: Replica, expected: dict[str, bytes], python: str
) -> None:
    """What `pip install cookiecutter` gives each Python; those that are not here are skipped."""
    interpreter = find_python(python)
    if interpreter is None:
        pytest.skip(f"Python {python} is not installed here, and the tests download none")
    installed = install(tmp_path / "venv", interpreter, "cookiecutter")
    project = generate((installed, "-m", "cookiecutter"), ROOT, workplace(tmp_path), replica)
    assert contents(project) == expected
    check_locked(project)


def find_python(python: str) -> str | None:
    """Return an interpreter of a minor version that really runs: from PATH, uv's or pyenv's."""
    uvs = subprocess.run([find_uv(), "python", "dir"], capture_output=True, text=True, check=True)
    places = [Path(uvs.stdout.strip()), Path(os.environ.get("PYENV_ROOT", "/")) / "versions"]
    found = [shutil.which(f"python{python}")]
    found += [str(path) for place in places for path in place.glob(f"*/bin/python{python}")]
    for path in filter(None, found):
        done = subprocess.run([path, "-c", "pass"], capture_output=True, check=False)
        if done.returncode == 0:
            return path
    return None


def test_uvx(tmp_path: Path, replica: Replica, expected: dict[str, bytes]) -> None:
    command = (find_uv(), "tool", "run", "--python", PYTHON, "cookiecutter")
    project = generate(command, ROOT, workplace(tmp_path), replica)
    assert contents(project) == expected
    check_locked(project)


def test_python_api(tmp_path: Path, replica: Replica, expected: dict[str, bytes]) -> None:
    """In a process that knows nothing of this repository, twice."""
    code = """if True:
        import json, sys
        from cookiecutter.main import cookiecutter
        template, answers = sys.argv[1], json.loads(sys.argv[2])
        for output in ("one", "two"):
            print(cookiecutter(template, no_input=True, extra_context=answers, output_dir=output))
    """
    work = workplace(tmp_path)
    given = dict(word.split("=", 1) for word in answers(replica))
    run([sys.executable, "-c", code, ROOT, json.dumps(given)], work)
    for output in ("one", "two"):
        assert contents(work / output / PROJECT) == expected
        check_locked(work / output / PROJECT)


def test_questions_answered_with_enter(
    tmp_path: Path, replica: Replica, expected: dict[str, bytes]
) -> None:
    work = workplace(tmp_path)
    printed = run([*HERE, ROOT, *answers(replica)], work, typed="\n" * 40)
    assert "Which" not in printed
    assert contents(work / PROJECT) == expected
    check_locked(work / PROJECT)


# With which options


def test_replay(tmp_path: Path, replica: Replica, expected: dict[str, bytes]) -> None:
    work = workplace(tmp_path)
    generate(HERE, ROOT, work, replica)
    shutil.rmtree(work / PROJECT)
    run([*HERE, ROOT, "--replay"], work)
    assert contents(work / PROJECT) == expected
    check_locked(work / PROJECT)


@pytest.mark.slow
def test_overwrite_keeps_what_it_does_not_render(
    tmp_path: Path, replica: Replica, expected: dict[str, bytes]
) -> None:
    work = workplace(tmp_path)
    project = generate(HERE, ROOT, work, replica)
    (project / "data.bin").write_bytes(b"\r\n\0")
    (project / "README.md").write_text("mine\n", encoding="utf-8")
    (project / "uv.lock").unlink()
    again = [*HERE, ROOT, "--no-input", *answers(replica)]
    assert "already exists" in run(again, work, status=1)
    assert (project / "README.md").read_text(encoding="utf-8") == "mine\n"
    run([*again, "--overwrite-if-exists", "--skip-if-file-exists"], work)
    own = {"data.bin": b"\r\n\0", "README.md": b"mine\n"}
    assert contents(project) == {**expected, **own}
    check_locked(project)
    run([*again, "--overwrite-if-exists"], work)
    assert contents(project) == {**expected, "data.bin": b"\r\n\0"}


def test_a_refusal_leaves_an_old_project_as_it_is(tmp_path: Path, replica: Replica) -> None:
    work = workplace(tmp_path)
    project = generate(HERE, ROOT, work, replica)
    (project / "README.md").write_text("mine\n", encoding="utf-8")
    before = {**contents(project), "uv.lock": (project / "uv.lock").read_bytes()}
    impossible = answers(replica, torch_backend="cuda")
    printed = run([*HERE, ROOT, "--no-input", "-f", *impossible], work, status=1)
    assert "Traceback" not in printed
    assert {**contents(project), "uv.lock": (project / "uv.lock").read_bytes()} == before


def test_without_hooks(tmp_path: Path, replica: Replica, expected: dict[str, bytes]) -> None:
    """The project is complete without the hook; its lock is one command away."""
    work = workplace(tmp_path)
    project = generate((*HERE, "--accept-hooks", "no"), ROOT, work, replica)
    assert not (project / "uv.lock").exists()
    assert contents(project) == expected
    run([find_uv(), "lock", "--python", PYTHON], project)
    check_locked(project)


def test_defaults_of_the_user(tmp_path: Path, bake: Bake, replica: Replica) -> None:
    """What YAML makes of them, booleans and numbers too, among keys of other templates."""
    work = workplace(tmp_path)
    config = yaml.safe_load(empty_config(work).read_text(encoding="utf-8"))
    config["default_context"] = {
        "author_name": "Ada",
        "email": "ada@example.com",
        "python_version": 3.11,
        "layout": "groups",
        "torch_backend": "xpu",
        "github_actions": False,
        "dockerfile": True,
    }
    (work / "cookiecutter.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    given = [word for word in answers(replica) if not word.startswith("python_version")]
    run([*HERE, ROOT, "--no-input", *given], work)
    same = bake(
        torch_version="2.13.0",
        torch_backend="cpu",
        companions="none",
        author_name="Ada",
        python_version="3.11",
        layout="groups",
        github_actions="no",
        dockerfile="yes",
    )
    assert contents(work / PROJECT) == contents(same.path)
    assert not (work / PROJECT / ".github").exists()
    check_locked(work / PROJECT)
