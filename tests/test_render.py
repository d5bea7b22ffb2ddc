"""What is rendered: nothing of Jinja left, nothing to reformat, no file that is not wanted."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile

import pytest
import yaml

from tests.conftest import Bake, BakedProject, git
from tests.helpers.answers import SPREAD


def files(project: BakedProject) -> dict[str, str]:
    return {
        path.relative_to(project.path).as_posix(): path.read_bytes().decode()
        for path in sorted(project.path.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("answers", SPREAD)
def test_only_the_files_that_are_wanted_are_there(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    wanted = {
        ".gitignore",
        ".python-version",
        "README.md",
        "pyproject.toml",
        f"src/{project.plan.package}/__init__.py",
        f"src/{project.plan.package}/py.typed",
        f"src/{project.plan.package}/smoke.py",
        "tests/test_smoke.py",
    }
    if answers.get("github_actions") != "no":
        wanted |= {".github/workflows/ci.yml", ".github/dependabot.yml"}
    if answers.get("dockerfile") == "yes":
        wanted |= {"Dockerfile", ".dockerignore"}
    if project.plan.conflicts:
        wanted.add("sync.py")
    for key, name in (("pre_commit", ".pre-commit-config.yaml"), ("agents", "AGENTS.md")):
        if answers.get(key) == "yes":
            wanted.add(name)
    if "license" in answers:
        wanted.add("LICENSE")
    if answers.get("distributed") == "yes":
        wanted.add(f"src/{project.plan.package}/smoke_distributed.py")
    assert set(files(project)) == wanted
    assert ("torchrun" in project.read("README.md")) == ("distributed" in answers)


@pytest.mark.parametrize("answers", SPREAD)
def test_a_template_leaves_no_tag_and_no_stray_space(bake: Bake, answers: dict[str, str]) -> None:
    for name, text in files(bake(**answers)).items():
        assert not re.search(r"cookiecutter\.|{{|{%", text.replace("${{", "")), name
        assert "\r" not in text, name
        assert not re.search(r"[ \t]$|\S## ", text, re.MULTILINE), name
        assert name.endswith(".py") or "\n\n\n" not in text, name
        assert text == "" or (text.endswith("\n") and not text.endswith("\n\n")), name


@pytest.mark.parametrize("answers", SPREAD)
def test_ruff_finds_nothing_to_change(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    check(project, "ruff", "check")
    check(project, "ruff", "format", "--diff")


def check(project: BakedProject, *command: str) -> None:
    """Run a tool as the project's owner would, and demand that it finds nothing."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=project.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("answers", SPREAD)
def test_mypy_finds_nothing(bake: Bake, answers: dict[str, str]) -> None:
    """With the package where an installed one is, as the project's own tests import it."""
    project = bake(**answers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MYPYPATH", "src")
        check(project, "mypy", "--explicit-package-bases")


def test_mypy_finds_what_is_wrong(bake: Bake) -> None:
    project = bake()
    (project.path / "tests/test_wrong.py").write_text("def test_wrong():\n    return 1 + 'a'\n")
    with pytest.raises(AssertionError, match="no-untyped-def"):
        check(project, "mypy")


@pytest.mark.parametrize("name", ["MIT", "Apache-2.0", "BSD-3-Clause"])
def test_license_is_said_and_there(bake: Bake, name: str) -> None:
    project = bake(license=name, author_name="Ada Lovelace <ada@example.org>")
    assert project.pyproject["project"]["license"] == name
    text = project.read("LICENSE")
    assert (name == "Apache-2.0") == ("Copyright (c) Ada Lovelace\n" not in text)
    project.uv("build", "--quiet", "--wheel")
    (wheel,) = (project.path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (licence,) = [it for it in archive.namelist() if it.endswith("/licenses/LICENSE")]
        assert archive.read(licence).decode() == text
        (metadata,) = [it for it in archive.namelist() if it.endswith("/METADATA")]
        assert f"License-Expression: {name}\n" in archive.read(metadata).decode()


def test_license_of_nobody(bake: Bake) -> None:
    assert "license" not in bake().pyproject["project"]
    project = bake(license="MIT", project_name="One  two", project_slug="two")
    assert "Copyright (c) the authors of One two\n" in project.read("LICENSE")


@pytest.mark.parametrize(
    ("answers", "added", "smoke"),
    [
        ({}, "`uv add NAME`", "my-ml-project-smoke"),
        ({"layout": "groups", "torch_backend": "cpu cu128"}, "`uv add NAME`", "-smoke"),
        ({"layout": "extras", "torch_backend": "cpu cu128"}, "`--optional`", "-smoke"),
        ({"torch_pin": "minimum"}, "`uv add NAME`", "python -m my_ml_project.smoke"),
    ],
)
def test_agents_are_told_what_this_project_needs(
    bake: Bake, answers: dict[str, str], added: str, smoke: str
) -> None:
    text = bake(torch_version="2.9.1", agents="yes", **answers).read("AGENTS.md")
    assert len(text.splitlines()) <= 16
    assert "Never run `pip install torch`" in text
    assert added in text
    assert f"{smoke} --expect cpu" in text
    assert ("uv sync --extra cpu" in text) == (answers.get("layout") == "extras")


def test_git_ignores_data_and_no_module_of_that_name(bake: Bake) -> None:
    project = bake()
    git(project.path, "init", "--quiet")
    names = {
        *("data/a.csv", "checkpoints/a", "logs/a", "wandb/a", ".env", "a/.ipynb_checkpoints/b"),
        *("runs/a", "model.ckpt", "model.pt", "model.safetensors", ".mypy_cache/a"),
    }
    kept = {"src/my_ml_project/data/a.py", "src/my_ml_project/logs/a.py", "src/a/build/a.py"}
    listed = subprocess.run(
        ["git", "check-ignore", *sorted(names | kept)],
        cwd=project.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert {*listed.stdout.splitlines()} == names


def test_pyproject_of_a_careful_person(bake: Bake) -> None:
    project = bake(
        torch_version="2.9.1",
        python_version="3.11",
        torch_backend="cu128",
        project_name="Caption Model",
        author_name='Ada "the first" Lovelace',
        description='Says "what"\nis in a picture \\ 1',
    )
    meta = project.pyproject["project"]
    assert meta["name"] == "caption-model"
    assert meta["authors"] == [{"name": 'Ada "the first" Lovelace'}]
    assert meta["description"] == 'Says "what"\nis in a picture \\ 1'
    assert meta["requires-python"] == ">=3.11,<3.15"
    assert meta["scripts"] == {"caption-model-smoke": "caption_model.smoke:main"}
    sources = project.pyproject["tool"]["uv"]["sources"]
    assert sources["torch"] == sources["torchvision"]
    assert sources["torch"] == [
        {"index": "pytorch-cu128", "marker": "sys_platform != 'darwin'"},
        {"index": "pytorch-cpu", "marker": "sys_platform == 'darwin'"},
    ]


@pytest.mark.parametrize(
    ("text", "authors"),
    [
        ("Ada Lovelace <ada@example.org>", [{"name": "Ada Lovelace", "email": "ada@example.org"}]),
        (
            "  Zoë  <z.o+e@mail.example.co.uk> ",
            [{"name": "Zoë", "email": "z.o+e@mail.example.co.uk"}],
        ),
        (
            'Ada "the first", PhD <ada@example.org>',
            [{"name": 'Ada "the first", PhD', "email": "ada@example.org"}],
        ),
        *(
            (text, [{"name": text}])
            for text in (
                "Ada Lovelace",
                "<>",
                "Ada <>",
                "ada@example.org",
                "<ada@example.org>",
                " <ada@example.org>",
                "Ada <ada@example.org>, Bob <bob@example.org>",
                "Ada <ada@example.org> <bob@example.org>",
                "bob@example.org <ada@example.org>",
                "Ada <ada@localhost>",
                "Ada <ada..l@example.org>",
                "Ada <ada@exa mple.org>",
                'Ada <"ada"@example.org>',
                "Ada <ada@example.org",
                "Ada\nLovelace <ada@example.org>",
                "Ada <https://example.org>",
                'Ada <a@b.c> }]\n[tool.uv]\nno-index = true # "',
            )
        ),
    ],
)
def test_author(bake: Bake, text: str, authors: list[dict[str, str]]) -> None:
    assert bake(author_name=text).pyproject["project"]["authors"] == authors


def test_without_author_there_is_no_authors_key(bake: Bake) -> None:
    assert "authors" not in bake().pyproject["project"]


def test_numpy_guard_is_a_marker_where_only_windows_needs_it(bake: Bake) -> None:
    project = bake(torch_version="2.3.1", python_version="3.10")
    assert {"numpy>=2 ; sys_platform != 'win32'", "numpy<2 ; sys_platform == 'win32'"} <= set(
        project.pyproject["project"]["dependencies"]
    )
    assert project.pyproject["project"]["requires-python"] == ">=3.10,<3.13"
    elsewhere = bake(
        project_slug="elsewhere",
        torch_version="2.3.1",
        python_version="3.10",
        platforms="macos-arm64",
    )
    assert "numpy" in elsewhere.pyproject["project"]["dependencies"]


@pytest.mark.parametrize(
    ("answers", "builds"),
    [
        ({}, {"linux": "cpu", "macos": "cpu", "windows": "cpu"}),
        ({"torch_backend": "cu128"}, {"linux": "cu128", "macos": "cpu"}),
        ({"torch_backend": "cu128", "platforms": "linux-x86_64"}, {"linux": "cu128"}),
        ({"torch_backend": "rocm6.4"}, {"linux": "cpu", "macos": "cpu", "windows": "cpu"}),
        ({"torch_backend": "cu128", "platforms": "windows-x86_64"}, {"windows": "cu128"}),
        ({"platforms": "macos-arm64"}, {"macos": "cpu"}),
    ],
)
def test_workflow_runs_on_linux_and_where_the_cpu_build_is_locked(
    bake: Bake, answers: dict[str, str], builds: dict[str, str]
) -> None:
    project = bake(torch_version="2.9.1", **answers)
    workflow = yaml.safe_load(project.read(".github/workflows/ci.yml"))
    assert workflow["env"] == {"UV_HTTP_TIMEOUT": "300", "UV_CONCURRENT_DOWNLOADS": "4"}
    (job,) = workflow["jobs"].values()
    (setup,) = [step for step in job["steps"] if "setup-uv" in step.get("uses", "")]
    assert setup["with"] == {"prune-cache": "${{ matrix.build != 'cpu' }}"}
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands[0] == "uv sync --locked ${{ matrix.options }}"
    (smoke,) = [command for command in commands if "-smoke --expect" in command]
    assert smoke.endswith("--expect ${{ matrix.build }}")
    entries = job["strategy"]["matrix"]["include"]
    assert {entry["name"]: entry["build"] for entry in entries} == builds
    runners = {"linux": "ubuntu", "macos": "macos", "windows": "windows"}
    assert all(entry["runner"].startswith(runners[entry["name"]]) for entry in entries)


def test_readme_names_what_each_platform_needs(bake: Bake) -> None:
    readme = bake(torch_version="2.13.0", torch_backend="cu126").read("README.md")
    rows = {
        cells[1].strip(): [cell.strip() for cell in cells[2:5]]
        for cells in (line.split("|") for line in readme.splitlines() if line.startswith("| "))
    }
    assert rows["linux-x86_64"] == [
        "2.13.0+cu126",
        "cu126",
        "NVIDIA driver 525.60.13 or newer; "
        "GPU of compute capability 5.0 (GTX 750) to 9.0 (H100, H200); "
        "glibc 2.28 or newer",
    ]
    assert rows["windows-x86_64"][2].startswith("NVIDIA driver 528.33 or newer")
    assert rows["macos-arm64"] == ["2.13.0", "cpu", "macOS 14.0 or newer"]
