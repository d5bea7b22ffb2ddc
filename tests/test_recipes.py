"""The recipes, taken from the page and done to a project."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import tomlrt
import yaml
from packaging.version import Version

from tests.conftest import PYTHON, RELEASE, ROOT, Bake, BakedProject, git
from tests.helpers.command_line import Run
from tests.helpers.locks import read_lock
from tools.lib.lock import run_uv
from tools.lib.replica import Replica
from torch_plan.catalog.facts import load_facts
from torch_plan.machine.host import host_platform
from torch_plan.project.plan import make_plan
from torch_plan.resolution.defaults import complete

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
    built = blocks("flash-attn, deepspeed", "toml")[2]
    add(project, built)
    project.lock()
    locked = {entry["name"]: entry for entry in read_lock(project.path)}
    assert locked["torch-scatter"]["version"] == "2.1.2"
    assert "wheels" not in locked["torch-scatter"]
    assert project.installed("linux-x86_64")["torch"] == "2.8.0+cpu"


COMPILED = """\
import pathlib, torch
pathlib.Path("src/my_ml_project/built.py").write_text(f"torch = '{torch.__version__}'")
__import__("setuptools").setup()
"""


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["markers", "extras", "groups"])
@pytest.mark.parametrize("is_oldest", [False, True])
def test_a_project_is_compiled_against_its_own_torch(
    bake: Bake,
    stub_replica: Replica,
    oldest_uv: str,
    monkeypatch: pytest.MonkeyPatch,
    layout: str,
    is_oldest: bool,
) -> None:
    if is_oldest:
        monkeypatch.setenv("UV", oldest_uv)
    project = bake(
        torch_version=RELEASE,
        python_version=PYTHON,
        torch_backend="cpu" if layout == "markers" else "cpu cu130",
        layout=layout,
        companions="none",
        pytorch_index=stub_replica.url,
    )
    text = project.read("pyproject.toml").replace("hatchling.build", "setuptools.build_meta")
    text = text.replace('"hatchling"', '"setuptools"')
    (project.path / "pyproject.toml").write_text(text, encoding="utf-8")
    (project.path / "setup.py").write_text(COMPILED, encoding="utf-8")
    add(project, blocks("flash-attn, deepspeed", "toml")[-1])
    project.lock()
    project.uv("sync", "--python", project.python, *project.plan.default.sync)
    assert project.read("src/my_ml_project/built.py") == f"torch = '{RELEASE}+cpu'"


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


def change(project: BakedProject, heading: str) -> dict[str, str]:
    """Do the `uv add` of a recipe, and return what each platform gets of that package."""
    command, *_ = (block for block in blocks(heading, "console") if block.startswith("uv add"))
    words = shlex.split(command)[1:]
    project.uv(*words, "--no-sync", "--python", project.python)
    name = re.match(r"[\w-]+", words[-1])
    assert name
    got = {platform: project.installed(platform) for platform in project.plan.platforms}
    for platform, packages in got.items():
        assert packages["torch"].startswith("2.9.1"), platform
    return {platform: it[name[0]] for platform, it in got.items() if name[0] in it}


@pytest.fixture
def cuda(bake: Bake) -> BakedProject:
    """A locked project with a build for CUDA 12."""
    project = bake(torch_version="2.9.1", torch_backend="cu128", python_version="3.12")
    project.lock()
    return project


@pytest.mark.slow
@pytest.mark.parametrize(
    ("heading", "platforms", "version"),
    [
        ("torch.compile", {"windows-x86_64"}, "3.5."),
        ("Neighbours with a CUDA", {"linux-x86_64", "linux-aarch64"}, ""),
    ],
)
def test_a_package_for_some_platforms(
    cuda: BakedProject, heading: str, platforms: set[str], version: str
) -> None:
    got = change(cuda, heading)
    assert got.keys() == platforms
    assert all(it.startswith(version) for it in got.values())


@pytest.mark.slow
def test_a_package_that_lacks_the_newest_python(cuda: BakedProject) -> None:
    _, command = blocks("A package that lacks a platform", "console")
    words = [*shlex.split(command)[1:], "--no-sync", "--python", cuda.python]
    cuda.uv(*words)
    assert "tensorflow" in cuda.installed("linux-x86_64")
    locked = {entry["name"]: entry for entry in read_lock(cuda.path)}
    assert not Version(locked["tensorflow"]["version"]).is_prerelease
    assert not any("cp314" in wheel["url"] for wheel in locked["tensorflow"]["wheels"])


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table beneath a heading, its head left out."""
    section = PAGE.partition(f"\n## {heading}")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.slow
@pytest.mark.parametrize(("row", "build"), [(0, "cu128"), (1, "cu130")])
def test_neighbours_have_the_major_version_of_the_build(
    bake: Bake, tmp_path: Path, row: int, build: str
) -> None:
    """As they say it themselves: by the names of the packages of NVIDIA that they bring."""
    said, *names = rows("Neighbours with a CUDA")[row]
    major = build[2:4]
    assert f"CUDA {major}" in said
    project = bake(
        torch_version="2.9.1", torch_backend=build, python_version="3.12", platforms="linux-x86_64"
    )
    project.uv("add", "--no-sync", "--python", project.python, *names)
    got = project.installed("linux-x86_64")
    assert got["torch"] == f"2.9.1+{build}"
    nvidia = " ".join(name for name in got if re.search(r"cuda|nvidia", name))
    assert f"cu{major}" in nvidia or f"cuda{major}" in nvidia
    other = "13" if major == "12" else "12"
    assert f"cu{other}" not in nvidia
    assert f"cuda{other}" not in nvidia


def test_torch_of_a_container_is_left_alone(bake: Bake) -> None:
    """And so is what only torch requires: with a CUDA build that is 3 GB."""
    project = bake(torch_version="2.9.1", torch_backend="cu128")
    before = project.uv("sync", "--dry-run", "--python", project.python)
    add(project, blocks("The torch of a container", "toml")[0])
    _, sync = blocks("The torch of a container", "console")[0].splitlines()
    project.uv("venv", "--quiet", "--system-site-packages", "--python", project.python)
    printed = project.uv(*shlex.split(sync)[1:], "--dry-run", "--python", project.python)
    assert " + pytest==" in printed
    for name in ("torch==", "torchvision==", "sympy=="):
        assert f" + {name}" in before
        assert f" + {name}" not in printed


def test_update_without_cruft(run: Run, replica: Replica, tmp_path: Path) -> None:
    (command,) = blocks("Update without cruft", "console")
    _, _, _, *words = shlex.split(command)
    words += ["after_generation=nothing", f"pytorch_index={replica.url}"]
    older = [word.replace("2.10.0", "2.9.1") for word in words if not word.startswith("--over")]
    run(str(ROOT), *older)
    project = tmp_path / "my-ml-project"
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message=start")
    (project / "train.py").write_text("mine\n")
    run(str(ROOT), *words)
    changed = subprocess.check_output(["git", "diff", "--name-only"], cwd=project, encoding="utf-8")
    assert set(changed.split()) == {"README.md", "pyproject.toml"}
    assert (project / "train.py").read_text() == "mine\n"


def test_jetpack_takes_the_wheel_of_pytorch() -> None:
    command = blocks("A platform with an index of its own", "console")[-1]
    answers = dict(word.split("=", 1) for word in shlex.split(command) if "=" in word)
    plan = make_plan(complete(answers, load_facts()))
    builds = {cell.platform: cell.torch.full_version for cell in plan.default.cells}
    assert builds["linux-aarch64"] == "2.14.0+cu132"


# --- Beyond one machine --------------------------------------------------------------------------

SKYPILOT, MODAL = "skypilot==0.14.1", "modal==1.6.4"
SUBMITIT = "submitit==1.5.4"


@pytest.mark.slow
def test_skypilot_reads_its_task(bake: Bake) -> None:
    project = bake(distributed="yes")
    (task,) = blocks("Beyond one machine", "yaml")
    (project.path / "task.yaml").write_text(task, encoding="utf-8")
    code = (
        "import sky; t = sky.Task.from_yaml('task.yaml');"
        "print(t.num_nodes, [*t.resources][0].accelerators, t.run)"
    )
    printed = project.uv(*without_project(SKYPILOT), "python", "-c", code)
    assert "2 {'L4': 1}" in printed
    assert "-m my_ml_project.smoke_distributed" in printed
    for script in (yaml.safe_load(task)["setup"], yaml.safe_load(task)["run"]):
        subprocess.run(["sh", "-n", "-c", script], check=True)


def without_project(*requirements: str) -> list[str]:
    """Return the options of uv that run a tool in an environment of its own."""
    words = [word for requirement in requirements for word in ("--with", requirement)]
    return ["run", "--no-project", "--quiet", f"--python={PYTHON}", *words]


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["markers", "extras", "groups"])
def test_modal_builds_its_app(bake: Bake, layout: str) -> None:
    answers = {} if layout == "markers" else {"torch_backend": "cpu cu128", "layout": layout}
    project = bake(torch_version="2.9.1", python_version=PYTHON, **answers)
    project.lock()
    text = blocks("Beyond one machine", "python")[-1]
    said = PAGE.partition("**[Modal]")[2].partition("```")[0]
    added = {
        "extras": re.findall(r"`(extras=[^`]+)`", said)[0],
        "groups": re.findall(r"`(groups=[^`]+)`", said)[0],
    }
    text = text.replace('uv_sync(".")', f'uv_sync(".", {added.get(layout, "")})')
    (project.path / "modal_app.py").write_text(text, encoding="utf-8")
    code = "import modal_app; print([*modal_app.app.registered_functions])"
    printed = project.uv(*without_project(MODAL), "python", "-c", code, PYTHONPATH="src")
    assert "['check']" in printed


@pytest.fixture
def installable(bake: Bake, stub_replica: Replica) -> BakedProject:
    """A locked project with a torch that installs at once."""
    project = bake(
        torch_version=RELEASE,
        torch_backend="cpu",
        python_version=PYTHON,
        companions="none",
        platforms=host_platform(),
        pytorch_index=stub_replica.url,
    )
    project.lock()
    return project


@pytest.mark.slow
def test_submitit_runs_a_function_elsewhere(installable: BakedProject) -> None:
    installable.uv("add", "--no-sync", "--python", PYTHON, SUBMITIT)
    installable.uv("sync", "--locked", "--python", PYTHON)
    script = blocks("Beyond one machine", "python")[0]
    (installable.path / "submit.py").write_text(script, encoding="utf-8")
    assert "exit status 0\n" in installable.uv("run", "--no-sync", "python", "submit.py")
    assert any((installable.path / "logs/submitit").iterdir())


@pytest.mark.slow
def test_ray_gives_two_workers_the_environment(installable: BakedProject) -> None:
    requirement = re.findall(r'`uv add "(ray ; [^`]+)"`', PAGE)[0]
    installable.uv("add", "--no-sync", "--python", PYTHON, requirement)
    script = blocks("Beyond one machine", "python")[1]
    (installable.path / "ray_job.py").write_text(script, encoding="utf-8")
    variables = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    with TemporaryDirectory(prefix="ray", dir="/tmp") as short:  # The names of sockets are.
        printed = installable.uv("run", "--locked", "ray_job.py", **variables, RAY_TMPDIR=short)
    assert "exit statuses [0, 0]\n" in printed
