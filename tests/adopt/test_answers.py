"""Answers are a change that somebody asks for; and the ways from other tools to a plan."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest

from adopt.parse import base_of
from tests.adopt.helpers import ARM, LINUX, MAC, OFFICIAL, WINDOWS, Shop
from tests.helpers.interpreters import interpreter
from tests.helpers.shells import printed_words
from tools.lib.lock import run_uv
from torch_plan.addresses import ADOPT
from torch_plan.catalog.facts import load_facts

HEAD = '[project]\nname = "sample"\nversion = "0"\nrequires-python = ">=3.11,<3.14"\n'
USUAL = (LINUX, ARM, MAC, WINDOWS)


def index(build: str) -> str:
    """Return the table of an index of PyTorch."""
    url = f"{OFFICIAL}/{build}"
    return f'[[tool.uv.index]]\nname = "pytorch-{build}"\nurl = "{url}"\nexplicit = true\n'


EXTRAS = (
    HEAD
    + """dependencies = ["lightning"]
[project.optional-dependencies]
cpu = ["torch==2.9.1"]
gpu = ["torch==2.9.1"]
[tool.uv]
conflicts = [[{ extra = "cpu" }, { extra = "gpu" }]]
[tool.uv.sources]
torch = [{ index = "pytorch-cpu", extra = "cpu" }, { index = "pytorch-cu128", extra = "gpu" }]
"""
    + index("cpu")
    + index("cu128")
)


def uv_settings(shop: Shop) -> dict[str, Any]:
    settings: dict[str, Any] = shop.read()["tool"]["uv"]
    return settings


def test_torch_is_added_with_the_newest_release_that_has_the_build(shop: Shop) -> None:
    shop.put(HEAD.replace(">=3.11,<3.14", ">=3.13") + 'dependencies = ["rich"]\n')
    said = shop.run("torch_backend=cu128", "--write")
    assert said.status == 0
    assert said.builds(LINUX, when="after", python="3.13") == "2.11.0+cu128"
    assert said.builds(MAC, when="after", python="3.13") == "2.11.0+cpu"
    project = shop.read()["project"]
    assert project["dependencies"] == ["rich", "torch==2.11.0"]
    assert project["requires-python"] == ">=3.13", "its oldest Python stays"
    assert "environments" not in uv_settings(shop)


def test_a_release_alone_changes_the_pin_alone(shop: Shop) -> None:
    marker = "sys_platform == 'linux' or sys_platform == 'win32'"
    text = (
        HEAD
        + 'dependencies = ["torch==2.8.0", "torchvision==0.23.0"]\n[tool.uv.sources]\n'
        + f'torch = {{ index = "pytorch-cu128", marker = "{marker}" }}  # the cluster\n'
        + f'torchvision = {{ index = "pytorch-cu128", marker = "{marker}" }}\n'
        + index("cu128")
    )
    path = shop.put(text)
    before = path.read_text(encoding="utf-8")
    said = shop.run("torch_version=2.9.1", "--write")
    assert said.builds(WINDOWS, when="after") == "2.9.1+cu128"
    after = path.read_text(encoding="utf-8")
    assert after == before.replace("2.8.0", "2.9.1").replace("0.23.0", "0.24.1")


def test_a_pin_that_goes_with_the_release_stays(shop: Shop) -> None:
    """Version 0.8.0 of torchcodec goes with torch 2.9.0 and 2.9.1, and stays on PyPI."""
    marker = "sys_platform != 'darwin'"
    shop.put(
        HEAD
        + 'dependencies = ["torch==2.9.0", "torchcodec==0.8.0 ; platform_machine != \'aarch64\'"]\n'
        + f'[tool.uv.sources]\ntorch = {{ index = "pytorch-cu128", marker = "{marker}" }}\n'
        + index("cu128")
    )
    before = shop.read()
    said = shop.run("torch_version=2.9.1", "--write")
    assert said.builds(WINDOWS, when="after") == "2.9.1+cu128"
    before["project"]["dependencies"][0] = "torch==2.9.1"
    assert shop.read() == before


def test_an_index_for_all_packages_becomes_a_source(shop: Shop) -> None:
    shop.put(
        HEAD.replace("<3.14", "<3.13")
        + f'dependencies = ["torch==2.5.1"]\n[tool.uv]\nextra-index-url = ["{OFFICIAL}/cu121"]\n'
    )
    today = shop.run("--check")
    assert (today.status, today.builds(MAC)) == (1, "!torch")
    said = shop.run("torch_backend=cu121", "--write")
    assert [said.builds(one, when="after") for one in USUAL] == [
        "2.5.1+cu121",
        "2.5.1+cpu",
        "2.5.1+cpu",
        "2.5.1+cu121",
    ]


@pytest.mark.parametrize(
    ("bound", "after"),
    [
        (">=2.6,<3", ">=2.6,<3"),
        (">=2.6,<2.8", ">=2.9.1,<2.10"),
        ("~=2.6.0", ">=2.9.1,<2.10"),
        (">=2.10", ">=2.9.1"),
    ],
)
def test_a_bound_stays_one_and_the_lock_gets_the_release(
    bound: str, after: str, shop: Shop
) -> None:
    shop.put(HEAD + f'dependencies = ["torch{bound}"]\n')
    said = shop.run("torch_version=2.9.1", "--write")
    assert said.builds(LINUX, when="after") == "2.9.1+cu128"
    assert shop.read()["project"]["dependencies"] == [f"torch{after}"]
    assert uv_settings(shop)["constraint-dependencies"] == ["torch==2.9.1"]


def test_a_release_of_one_platform_stays(shop: Shop) -> None:
    intel = "sys_platform == 'darwin' and platform_machine == 'x86_64'"
    others = "sys_platform != 'darwin' or platform_machine != 'x86_64'"
    shop.put(
        HEAD.replace("<3.14", "<3.12")
        + f'dependencies = ["torch==2.2.2 ; {intel}", "torch==2.8.0 ; {others}", "numpy<2"]\n'
    )
    said = shop.run("torch_version=2.9.1", "--write")
    assert said.error == ""
    assert said.builds("macos-x86_64") == "2.2.2+cpu"
    assert said.builds("macos-x86_64", when="after") == "2.2.2+cpu"
    assert said.builds(LINUX, when="after") == "2.9.1+cu128"


def test_companions_platforms_and_a_python(shop: Shop) -> None:
    shop.put(HEAD + 'dependencies = ["torch==2.9.1"]\n')
    shop.patch.setenv("UV_PYTHON", interpreter("3.12"))
    words = ("companions=torchvision", "torch_backend=cu128", "python_version=3.12")
    said = shop.run(*words, f"platforms={LINUX} {WINDOWS}", "--write")
    assert said.status == 0
    project, uv = shop.read()["project"], uv_settings(shop)
    assert project["dependencies"] == ["torch==2.9.1", "torchvision==0.24.1"]
    assert project["requires-python"] == ">=3.12,<3.15"
    assert len(uv["environments"]) == len(uv["required-environments"]) == 2
    assert shop.run("--check", "--strict").findings == []


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://download.pytorch.org/whl/cu128", "https://download.pytorch.org/whl"),
        ("https://host.example/mirror/whl/cpu/", "https://host.example/mirror/whl"),
        (
            "https://host.example/pytorch-cu126/simple",
            "https://host.example/pytorch-{build}/simple",
        ),
        ("https://host.example/simple", ""),
        ("https://download.pytorch.org/whl", ""),
    ],
)
def test_the_index_that_a_url_belongs_to(url: str, base: str) -> None:
    assert base_of(url, load_facts()) == base


@pytest.mark.parametrize("pin", ["torch==2.9.1", "torch>=2.9,<2.10"])
def test_extras_that_become_groups(pin: str, shop: Shop) -> None:
    """Another package requires torch: with extras a bare sync gets PyPI's, a group is a default."""
    shop.put(EXTRAS.replace("torch==2.9.1", pin))
    today = shop.run("--check")
    assert today.status == 1
    assert today.findings[0][1].startswith("Another package or extra brings PyPI's torch to")
    assert "layout=groups" in today.data["findings"][0]["way"]
    said = shop.run("layout=groups", "--write")
    assert [said.builds(one, when="after") for one in USUAL] == ["2.9.1+cpu"] * 4
    assert said.builds(WINDOWS, "uv sync --no-group cpu --group gpu", "after") == "2.9.1+cu128"
    assert "optional-dependencies" not in shop.read()["project"]
    assert shop.run("--check").status == 0


def test_a_release_for_torch_that_another_package_brings(shop: Shop) -> None:
    shop.put(HEAD + 'dependencies = ["sentence-transformers>=3"]\n')
    said = shop.run("torch_version=2.9.1", "--write")
    assert said.builds(LINUX, when="after") == "2.9.1+cu128"
    assert shop.read()["project"]["dependencies"] == ["sentence-transformers>=3", "torch==2.9.1"]


def test_an_extra_that_another_one_names_keeps_its_torch(shop: Shop) -> None:
    """An extra alone has torch: another build for it takes nothing away."""
    shop.put(
        HEAD
        + "dependencies = []\n[project.optional-dependencies]\n"
        + 'cpu = ["torch==2.9.1"]\nall = ["sample[cpu]"]\n'
        + '[tool.uv.sources]\ntorch = { index = "pytorch-cpu", extra = "cpu" }\n'
        + index("cpu")
    )
    said = shop.run("torch_backend=cu128", "--write")
    assert said.builds(LINUX, "uv sync --extra all", "after") == "2.9.1+cu128"
    assert shop.read()["project"]["optional-dependencies"]["cpu"] == ["torch==2.9.1"]


def test_an_extra_that_names_another_one_is_told_of_its_torch(shop: Shop) -> None:
    """Uv heeds the source of an extra only where that is named itself."""
    shop.put(EXTRAS.replace("gpu = [", 'all = ["sample[gpu]"]\ngpu = [').replace('"lightning"', ""))
    said = shop.run("--check")
    assert said.builds(LINUX, "uv sync --extra gpu") == "2.9.1+cu128"
    assert said.builds(WINDOWS, "uv sync --extra all") == "2.9.1+cpu"
    ((level, text),) = said.findings
    assert level == "broken"
    assert text.startswith("Another package or extra brings PyPI's torch to linux-x86_64")
    assert "(`uv sync --extra all`)" in text


def test_a_label_stays_where_its_marker_holds(shop: Shop) -> None:
    """Nobody asks for torch on another system by asking for another build."""
    pins = ("torch==2.9.1+cu128", "torchvision==0.24.1+cu128")
    dependencies = [f"{pin} ; sys_platform == 'linux'" for pin in pins]
    shop.put(
        f"{HEAD}dependencies = {json.dumps(dependencies)}\n"
        '[tool.uv.sources]\ntorch = { index = "pytorch-cu128" }\n'
        'torchvision = { index = "pytorch-cu128" }\n' + index("cu128")
    )
    said = shop.run("torch_backend=cu126", "--write")
    assert said.status == 0
    builds = [said.builds(one, when="after") for one in USUAL]
    assert builds == ["2.9.1+cu126", "2.9.1+cu126", "-", "-"]
    assert shop.read()["project"]["dependencies"] == [
        "torch==2.9.1+cu126 ; sys_platform == 'linux'",
        "torchvision==0.24.1+cu126 ; platform_machine == 'x86_64'",
        "torchvision==0.24.1 ; platform_machine == 'aarch64'",
    ]


@pytest.mark.parametrize("words", [["torch_backend=cu128", "layout=groups"], ["layout=extras"]])
def test_one_build_conflicts_with_nothing(words: list[str], shop: Shop) -> None:
    path = shop.put(HEAD + 'dependencies = ["torch==2.9.1"]\n')
    assert shop.run(*words, "--write").status == 0
    assert "conflicts" not in path.read_text(encoding="utf-8")


def test_a_conflict_goes_with_the_extras_that_it_is_between(shop: Shop) -> None:
    shop.put(EXTRAS.replace('gpu = ["torch==2.9.1"]', 'gpu = ["torch==2.9.1", "rich"]'))
    said = shop.run("torch_backend=cu128", "layout=markers", "--write")
    assert said.status == 0
    assert shop.read()["project"]["optional-dependencies"] == {"gpu": ["rich"]}
    assert "conflicts" not in uv_settings(shop)


def test_a_release_that_nobody_asked_for_is_not_missed(shop: Shop) -> None:
    shop.put(HEAD + 'dependencies = ["torch>=2.6"]\n')
    said = shop.run("torch_backend=cpu")
    assert not any("Not as asked" in note for note in said.data["notes"])


def test_one_build_for_a_project_with_several(shop: Shop) -> None:
    shop.put(EXTRAS)
    before = shop.read()
    said = shop.run("torch_backend=cu126", "--write")
    assert said.status == 2
    assert "torch_backend='cpu gpu=cu128'" in said.error
    assert shop.read() == before


def test_what_cannot_be_had_ends_with_a_command_that_works(shop: Shop) -> None:
    shop.put(HEAD + 'dependencies = ["torch==2.9.1"]\n')
    status, text = shop.print("torch_backend=cu128", "torch_version=2.15.0")
    assert status == 2
    assert "torch 2.15.0 has: pypi cpu cu130 cu132" in text
    words = printed_words(text.strip().splitlines()[-1])
    assert words[:4] == [*ADOPT]
    assert shop.run(*words[5:]).status == 0


def test_an_extra_of_another_release_in_a_project_that_cannot_be_locked(shop: Shop) -> None:
    shop.put(
        HEAD
        + 'dependencies = ["torch==2.7.1"]\n[dependency-groups]\nxpu = ["torch==2.11.0+xpu"]\n'
        + '[tool.uv.sources]\ntorch = [{ index = "pytorch-xpu", group = "xpu" }]\n'
        + index("xpu")
    )
    assert shop.run("--check").levels == ["broken"]
    words = (
        "torch_version=2.7.1",
        "layout=groups",
        "torch_backend=cuda=2.7.1+cu126 xpu=2.11.0+xpu",
    )
    said = shop.run(*words, "--write")
    assert said.status == 0
    assert said.builds(LINUX, when="after") == "2.7.1+cu126"
    assert said.builds(LINUX, "uv sync --no-group cuda --group xpu", "after") == "2.11.0+xpu"


def test_where_nothing_is_measured_both_answers_are_asked_for(shop: Shop) -> None:
    shop.put(HEAD + 'dependencies = ["torch==0.0.0.1"]\n')
    said = shop.run("torch_backend=cu128")
    assert said.status == 2
    assert "say torch_version=… and torch_backend=… both" in said.error


# --- From other tools -----------------------------------------------------------------------------


def requirements(shop: Shop, text: str) -> None:
    """Bring a requirements.txt into a pyproject.toml, as docs/adopt.md says it."""
    shop.put(text, "requirements.txt")
    status, said = shop.print("--check")
    assert status == 2
    assert "`uv init --bare`, then `uv add -r requirements.txt --frozen`" in said
    run_uv(shop.folder, "init", "--bare", "--name", "sample")
    shop.put((shop.folder / "pyproject.toml").read_text(encoding="utf-8"))
    run_uv(shop.folder, "add", "-r", "requirements.txt", "--frozen")


def test_from_requirements_with_labels(shop: Shop) -> None:
    requirements(shop, f"--extra-index-url {OFFICIAL}/cu128\ntorch==2.9.1+cu128\nrich\n")
    way = shop.run("--check").data["findings"][0]["way"]
    said = shop.run(*way.split()[2:], "--write")
    assert said.builds(WINDOWS, when="after", python="3.12") == "2.9.1+cu128"
    assert said.builds(MAC, when="after", python="3.12") == "2.9.1+cpu"


@pytest.mark.parametrize("option", ["--extra-index-url", "--index-url"])
def test_from_requirements_with_an_index(option: str, shop: Shop) -> None:
    """Uv drops the index: that is told, with the answer that brings it back."""
    requirements(shop, f"{option} {OFFICIAL}/cpu\ntorch==2.9.1\n")
    said = shop.run("--check")
    found = [one for one in said.data["findings"] if one["text"].startswith("requirements.txt")]
    assert "names the build cpu" in found[0]["text"]
    way = found[0]["way"]
    assert shop.run(way, "--write").builds(LINUX, when="after", python="3.12") == "2.9.1+cpu"


def test_poetry_of_old(shop: Shop) -> None:
    shop.put('[tool.poetry]\nname = "sample"\n[tool.poetry.dependencies]\ntorch = "^2.6"\n')
    status, said = shop.print()
    assert status == 2
    assert "`uvx migrate-to-uv`" in said


def test_poetry_of_today(shop: Shop) -> None:
    shop.put(
        HEAD
        + 'dependencies = ["torch==2.6.0"]\n[[tool.poetry.source]]\nname = "torch"\n'
        + f'url = "{OFFICIAL}/cu124"\n'
    )
    said = shop.run("--check", "--strict")
    assert said.levels == ["advice"]
    assert "[tool.poetry] names the build cu124" in said.findings[0][1]


def test_setup_py(shop: Shop) -> None:
    shop.put("from setuptools import setup\nsetup(install_requires=['torch'])\n", "setup.py")
    status, said = shop.print()
    assert status == 2
    assert "setup.py is Python" in said
    assert "requirements.txt" not in said


def test_dependencies_of_another_file(shop: Shop) -> None:
    """Uv builds what is dynamic, in the copy: nothing is left in the project."""
    shop.put(
        HEAD
        + 'dynamic = ["dependencies"]\n[build-system]\nrequires = ["setuptools"]\n'
        + 'build-backend = "setuptools.build_meta"\n[tool.setuptools]\npackages = []\n'
        + '[tool.setuptools.dynamic]\ndependencies = { file = ["requirements.txt"] }\n'
    )
    shop.put("torch==2.9.1\n", "requirements.txt")
    said = shop.run("--check", "--strict")
    assert (said.status, said.builds(LINUX)) == (0, "2.9.1+cu128")
    assert {one.name for one in shop.folder.iterdir()} == {"pyproject.toml", "requirements.txt"}


def test_the_torch_of_a_container(shop: Shop) -> None:
    shop.put(
        HEAD
        + 'dependencies = ["torch>=2", "torchvision"]\n[tool.uv]\n'
        + "override-dependencies = [\"torch ; sys_platform == 'never'\"]\n"
    )
    said = shop.run("--check", "--strict")
    assert (said.status, said.findings, said.builds(LINUX)) == (0, [], "-")


def test_a_project_of_uv_init_and_uv_add(shop: Shop) -> None:
    run_uv(shop.folder, "init", "--quiet", "--name", "fresh", "--no-workspace")
    run_uv(shop.folder, "add", "--no-sync", "torch", "numpy")
    assert shop.run("--check").status == 0
    text = (shop.folder / "pyproject.toml").read_text(encoding="utf-8")
    said = shop.run("torch_backend=cu130", "--write")
    assert said.status == 0
    numpy = next(line for line in text.splitlines() if "numpy" in line)
    assert numpy in (shop.folder / "pyproject.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text)["project"]["name"] == "fresh"


def test_a_release_takes_torch_from_no_list_and_no_marker_from_triton(shop: Shop) -> None:
    bound = EXTRAS.replace('"lightning"', '"torch>=2.8"').replace("torch==2.9.1", "torch>=2.8")
    gpu = 'index = "pytorch-cu128", extra = "gpu"'
    shop.put(bound.replace(gpu, f"{gpu}, marker = \"sys_platform == 'linux'\""))
    assert shop.run("torch_version=2.9.1", "--write").status == 0
    assert shop.read()["project"]["dependencies"] == ["torch>=2.8"]
    assert uv_settings(shop)["constraint-dependencies"] == ["torch==2.9.1"]
    triton = "pytorch-triton-rocm>=3.4.0 ; sys_platform == 'linux'"
    source = '{ index = "pytorch-rocm6.4", marker = "sys_platform == \'linux\'" }'
    sources = f"[tool.uv.sources]\ntorch = {source}\npytorch-triton-rocm = {source}\n"
    shop.put(f'{HEAD}dependencies = ["torch>=2.9.0", "{triton}"]\n{sources}{index("rocm6.4")}')
    assert shop.run("torch_version=2.9.1", "--write").status == 0
    assert shop.read()["project"]["dependencies"] == ["torch>=2.9.0", triton]


def test_an_index_keeps_its_own_name_and_settings(shop: Shop) -> None:
    entry = index("cu128").replace("pytorch-", "our-") + "ignore-error-codes = [403] # proxy\n"
    source = (
        '[tool.uv.sources]\ntorch = { index = "our-cu128", marker = "sys_platform == \'linux\'" }\n'
    )
    shop.put(f'{HEAD}dependencies = ["torch==2.9.1"]\n{source}# ours\n{entry}')
    assert shop.run("torch_backend=cu128", "--write").status == 0
    text = (shop.folder / "pyproject.toml").read_text(encoding="utf-8")
    assert "# ours\n[[tool.uv.index]]" in text
    assert "ignore-error-codes = [403] # proxy\n" in text
    assert shop.read()["tool"]["uv"]["sources"]["torch"][0]["index"] == "our-cu128"


def test_extras_that_nobody_can_lock_are_not_made_one(shop: Shop) -> None:
    shop.put(EXTRAS.replace("[tool.uv]\nconflicts =", "[tool.other]\nconflicts ="))
    said = shop.run("torch_version=2.9.1", "torch_backend=cu128", "--write")
    assert said.status == 2
    assert "The project has several builds" in said.error
