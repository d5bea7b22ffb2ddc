"""What is rendered: nothing of Jinja left, nothing to reformat, no file that is not wanted."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import yaml

from tests.conftest import Bake, BakedProject
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
    for check in (["check"], ["format", "--diff"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *check],
            cwd=project.path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


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
    expected = {}
    for name, job in workflow["jobs"].items():
        commands = [step["run"] for step in job["steps"] if "run" in step]
        assert commands[0] == "uv sync --locked"
        (smoke,) = [command for command in commands if "-smoke --expect" in command]
        expected[name] = smoke.split()[-1]
        (setup,) = [step for step in job["steps"] if "setup-uv" in step.get("uses", "")]
        pruned = setup.get("with", {}).get("prune-cache", False)
        assert pruned == (expected[name] != "cpu")
    assert expected == builds
    runners = {"linux": "ubuntu", "macos": "macos", "windows": "windows"}
    assert all(job["runs-on"].startswith(runners[name]) for name, job in workflow["jobs"].items())


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
