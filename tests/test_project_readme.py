"""The README of a rendered project, taken literally."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl

import pytest
import tomli_w
from packaging.requirements import Requirement
from packaging.version import Version

from page import choices
from tests.conftest import PYTHON, ROOT, Bake, BakedProject
from tests.helpers.elsewhere import contents
from tests.helpers.locks import read_lock
from torch_plan.addresses import DOCS, PAGE, TEMPLATE, VERSION
from torch_plan.catalog.facts import load_facts
from torch_plan.project.plan import make_plan
from torch_plan.resolution.defaults import complete

SPREAD = [
    pytest.param({}, id="default"),
    pytest.param({"torch_backend": "cu128", "dockerfile": "yes"}, id="cuda"),
    pytest.param(
        {"torch_backend": "cpu cu128 rocm6.4", "layout": "extras", "dockerfile": "yes"}, id="extras"
    ),
    pytest.param({"torch_backend": "cpu gpu=cu130", "layout": "groups"}, id="groups"),
    pytest.param({"torch_backend": "pypi"}, id="pypi"),
    pytest.param(
        {
            "torch_version": "2.3.1",
            "torch_backend": "cu121",
            "torch_pin": "local",
            "companions": "torchvision torchaudio",
            "dockerfile": "yes",
        },
        id="everything",
    ),
]


@pytest.mark.parametrize("answers", SPREAD)
def test_it_is_short(bake: Bake, answers: dict[str, str]) -> None:
    readme = bake(**{"torch_version": "2.9.1", "python_version": "3.11", **answers}).read(
        "README.md"
    )
    # On the advisories of 2.9.1, and on its torchcodec for some platforms: two lines of them.
    assert len(readme.splitlines()) < 108


@pytest.mark.parametrize("answers", SPREAD)
def test_its_links_lead_to_a_heading(bake: Bake, answers: dict[str, str]) -> None:
    readme = bake(**{"torch_version": "2.9.1", "python_version": "3.11", **answers}).read(
        "README.md"
    )
    found = re.findall(rf"\]\({re.escape(DOCS)}/([^)]+)\)", readme)
    assert found
    for page, _, anchor in (link.partition("#") for link in found):
        headings = re.findall(r"(?m)^#+ (.+)$", (ROOT / "docs" / page).read_text(encoding="utf-8"))
        anchors = [re.sub(r"[^\w -]", "", it.lower()).replace(" ", "-") for it in headings]
        assert not anchor or anchor in anchors


# Switch the build


def linked(project: BakedProject) -> dict[str, str]:
    """Return the answers that the section's link hands to the page."""
    (link,) = re.findall(rf"{re.escape(PAGE)}#(\S+)\)", project.read("README.md"))
    return dict(parse_qsl(link, strict_parsing=True))


def switch(project: BakedProject, build: str) -> None:
    """Do what the section says: choose a build on the page, and take over its tables."""
    answers = choices.answers_of({**linked(project), "torch_backend": build})
    new = tomllib.loads(choices.pyproject_of(answers, make_plan(answers)))
    old = project.pyproject
    own = [
        pin
        for pin in old["project"]["dependencies"]
        if Requirement(pin).name not in {*old["tool"]["uv"].get("sources", {}), "numpy", "torch"}
        and not Requirement(pin).name.startswith("torch")
    ]
    old["project"]["dependencies"] = [*new["project"]["dependencies"], *own]
    old["tool"]["uv"] = new["tool"]["uv"]
    (project.path / "pyproject.toml").write_text(tomli_w.dumps(old), encoding="utf-8")


@pytest.mark.parametrize(
    ("answers", "build"),
    [
        pytest.param({"torch_backend": "cpu"}, "cu130", id="cpu"),
        pytest.param({"torch_backend": "cu130"}, "cu129", id="cuda"),
        pytest.param(
            {
                "torch_backend": "cu128",
                "torch_pin": "local",
                "companions": "torchvision torchaudio",
            },
            "cu130",
            id="labels",
        ),
        pytest.param({"torch_backend": "rocm6.4"}, "cu130", id="triton"),
        pytest.param({"torch_backend": "pypi"}, "cu130", id="pypi"),
        pytest.param(
            {"torch_backend": "cpu", "platforms": "linux-x86_64 linux-aarch64=cpu windows-x86_64"},
            "cu130",
            id="override",
        ),
        pytest.param(
            {"torch_version": "2.0.1", "torch_backend": "cu118", "platforms": "linux-x86_64"},
            "cu117",
            id="oldest",
        ),
    ],
)
def test_the_build_is_switched(bake: Bake, answers: dict[str, str], build: str) -> None:
    """After a lock with the first build: uv gives every platform what a new project would get."""
    project = bake(**{"torch_version": "2.9.1", "python_version": "3.10", **answers})
    project.uv("add", "--frozen", "--python", project.python, "einops")
    project.lock()
    switch(project, build)
    project.lock()
    wanted = make_plan(complete({**project.answers, "torch_backend": build}, load_facts()))
    assert any(cell.build == build for cell in wanted.default.cells)
    for cell in wanted.default.cells:
        got = project.installed(cell.platform)
        assert got["torch"] == cell.torch.full_version, cell.platform
        for package in cell.packages[1:]:
            assert got[package.name] == package.full_version, cell.platform
        assert "einops" in got
        assert "triton-rocm" not in " ".join(got)


def test_the_command_for_a_newer_torch_names_packages_alone(bake: Bake) -> None:
    (words,) = re.findall(r"(?m)^uv add --no-sync (torch==.+)$", bake().read("README.md"))
    names = [Requirement(word.replace("X.Y.Z", "1.0.0")).name for word in words.split()]
    assert names == ["torch", "torchvision"]


def test_a_build_that_newer_releases_lack_is_named(bake: Bake) -> None:
    old = bake(torch_version="2.9.1", torch_backend="cu128").read("README.md")
    assert "The last release with cu128 is 2.11.0." in old
    new = bake(torch_backend="cpu", project_slug="new").read("README.md")
    assert "The last release" not in new


def test_there_is_nothing_to_switch_where_all_have_one_build(bake: Bake) -> None:
    assert "## Switch" not in bake(platforms="macos-arm64").read("README.md")


# Add a package

PACKAGES = (
    *("accelerate", "einops", "lightning", "peft", "safetensors"),
    *("sentence-transformers", "tensorboard", "timm", "torchmetrics", "transformers"),
)
"""What owners add most; all but three need torch, timm torchvision too."""


def add(project: BakedProject, *packages: str) -> None:
    """Run the commands of the section, each for all packages."""
    section = project.read("README.md").partition("## Add a package")[2].partition("\n## ")[0]
    commands = [line for line in section.splitlines() if line.startswith("uv add")]
    for command in commands or re.findall(r"`(uv add NAME)`", section):
        words = shlex.split(command.replace("NAME", " ".join(packages)))[1:]
        project.uv(*words, *["--no-sync"] * ("--no-sync" not in words), "--python", project.python)


@pytest.mark.slow
@pytest.mark.parametrize(
    "answers",
    [
        pytest.param({"torch_backend": "cu128"}, id="markers"),
        pytest.param({"torch_backend": "cu128", "torch_pin": "minimum"}, id="library"),
        pytest.param({"torch_backend": "cpu gpu=cu128", "layout": "extras"}, id="extras"),
        pytest.param({"torch_backend": "cpu gpu=cu128", "layout": "groups"}, id="groups"),
    ],
)
def test_packages_that_need_torch_get_its_build(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**{"torch_version": "2.9.1", "python_version": PYTHON, **answers})
    add(project, *PACKAGES)
    for option in project.plan.options:
        for cell in option.cells:
            got = project.installed(cell.platform, *option.sync)
            for package in cell.packages:
                assert got[package.name] == package.full_version, (option.name, cell.platform)
            assert {*PACKAGES} <= {*got}
    for cell in project.plan.default.cells:
        bare = project.installed(cell.platform)
        if project.plan.extras:
            assert not {"torch", *PACKAGES} & {*bare}
        else:
            assert bare["torch"] == cell.torch.full_version


def test_an_extra_for_what_needs_torch(bake: Bake) -> None:
    """Why the README says so: in `dependencies` it brings PyPI's torch to a bare `uv sync`."""
    answers = {"torch_version": "2.9.1", "python_version": PYTHON, "layout": "extras"}
    project = bake(**answers, torch_backend="cpu gpu=cu128", platforms="linux-x86_64")
    readme = project.read("README.md")
    assert "[`layout=groups`]" in readme
    assert "uv add --no-sync --optional gpu NAME" in readme
    project.uv("add", "--no-sync", "--python", PYTHON, "torchmetrics")
    bare = project.installed("linux-x86_64")
    assert "+" not in bare["torch"]
    assert any(name.startswith("nvidia-") for name in bare)
    # The extras have theirs all the same.
    assert project.installed("linux-x86_64", "--extra", "gpu")["torch"] == "2.9.1+cu128"


@pytest.mark.parametrize("layout", ["markers", "extras", "groups"])
def test_the_table_is_for_the_first_day_and_a_command_for_today(bake: Bake, layout: str) -> None:
    builds = "cu128" if layout == "markers" else "cpu cu128"
    project = bake(
        torch_version="2.9.1", python_version=PYTHON, torch_backend=builds, layout=layout
    )
    (command,) = re.findall(r"`(uv tree [^`]+)`", project.read("README.md"))
    newer = (
        project.read("pyproject.toml").replace("==2.9.1", "==2.10.0").replace("0.24.1", "0.25.0")
    )
    (project.path / "pyproject.toml").write_text(newer, encoding="utf-8")
    project.lock()
    printed = project.uv(*shlex.split(command)[1:], "--python", PYTHON)
    assert "torch v2.10.0" in printed
    assert "2.9.1" not in printed


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["extras", "groups"])
def test_a_kernel_for_notebooks(bake: Bake, layout: str) -> None:
    project = bake(
        torch_version="2.9.1", python_version=PYTHON, torch_backend="cpu cu128", layout=layout
    )
    command, sync = re.findall(
        r"`(uv [^`]+)` and `(uv sync[^`]*)`, then", project.read("README.md")
    )[0]
    project.uv(*shlex.split(command)[1:], "--python", PYTHON)
    got = project.installed("linux-x86_64", *shlex.split(sync)[2:])
    assert {"ipykernel", "torch"} <= {*got}
    assert got["torch"] == "2.9.1+cpu"


# A package that lacks a platform


def marked(project: BakedProject, package: str) -> list[str]:
    """Return the command for a package of Linux alone; README and pyproject.toml say the same."""
    command = re.compile(r'uv add "NAME ; [^"]+"')
    (first,) = command.findall(project.read("README.md"))
    assert command.findall(project.read("pyproject.toml")) == [first]
    return shlex.split(first.replace("NAME", package))[1:]


@pytest.mark.parametrize(
    ("platforms", "marker"),
    [
        ("linux-x86_64 linux-aarch64 macos-arm64 windows-x86_64", "sys_platform == 'linux'"),
        ("linux-x86_64 linux-aarch64", "platform_machine == 'x86_64'"),
        ("macos-arm64 windows-x86_64", "sys_platform != 'win32'"),
    ],
)
def test_the_marker_is_for_a_part_of_the_platforms(bake: Bake, platforms: str, marker: str) -> None:
    assert marked(bake(platforms=platforms), "vllm") == ["add", f"vllm ; {marker}"]


def test_one_platform_needs_no_marker(bake: Bake) -> None:
    project = bake(platforms="linux-x86_64")
    assert "NAME ;" not in project.read("README.md") + project.read("pyproject.toml")


@pytest.mark.slow
def test_packages_of_linux_alone_are_added(bake: Bake) -> None:
    """To a project that is locked: there uv prefers what the lock has, and takes vllm 0.2.5."""
    project = bake(torch_version="2.9.1", python_version=PYTHON, torch_backend="cpu")
    project.lock()
    for package in ("triton", "vllm"):
        project.uv(*marked(project, package), "--no-sync", "--python", PYTHON)
    linux = project.installed("linux-x86_64")
    assert linux["torch"] == "2.9.1+cpu"
    assert Version(linux["vllm"]) > Version("0.10")
    assert "triton" in linux
    for platform in ("macos-arm64", "windows-x86_64"):
        got = project.installed(platform)
        assert got["torch"].startswith("2.9.1")
        assert not {"triton", "vllm"} & set(got)
    (vllm,) = [entry for entry in read_lock(project.path) if entry["name"] == "vllm"]
    assert any("x86_64" in wheel["url"] for wheel in vllm["wheels"])


# The command that the project was made with


def made_with(project: BakedProject) -> dict[str, str]:
    """Return the answers of the command in the last line."""
    last = project.read("README.md").splitlines()[-1]
    found = re.fullmatch(
        rf"Made with uv-torch-template {re.escape(VERSION)}: (`+) ?(.+?) ?\1", last
    )
    assert found, last
    words = shlex.split(found[2])
    assert words[:4] == ["uvx", "cookiecutter", TEMPLATE, "--no-input"]
    return dict(word.split("=", 1) for word in words[4:])


@pytest.mark.parametrize("answers", SPREAD)
def test_the_last_line_makes_the_same_project(
    bake: Bake, tmp_path: Path, answers: dict[str, str]
) -> None:
    project = bake(**{"torch_version": "2.9.1", "python_version": "3.11", **answers})
    given = made_with(project)
    assert {"torch_version", "python_version", "torch_backend"} <= set(given)
    moved = project.path.rename(tmp_path / "moved")
    assert contents(bake(**given).path) == contents(moved)


@pytest.mark.parametrize(
    "text",
    ["one\nline", 'Says "what" is in a picture', "$HOME `x` 100%!", "--help", "`", "a|b {{ 1 }}"],
)
def test_the_last_line_keeps_any_text(bake: Bake, text: str) -> None:
    given = made_with(bake(description=text))
    assert given["description"] == " ".join(text.split())


def test_the_last_line_is_the_same_everywhere(
    bake: Bake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = bake().read("README.md")
    (tmp_path / "my-ml-project").rename(tmp_path / "moved")
    monkeypatch.setenv("UV", "elsewhere")
    monkeypatch.setattr("torch_plan.text.os", SimpleNamespace(name="nt"))
    assert str(tmp_path) not in here
    assert bake(after_generation="nothing", git="no").read("README.md") == here


@pytest.mark.parametrize(
    ("layout", "gets", "install"),
    [
        ("markers", "installs this package gets `torch>=2.9.1`", "pip install --torch-backend cpu"),
        ("extras", "installs it with the extra `cpu` gets `torch>=2.9.1`", '"my-ml-project[cpu]"'),
        ("groups", "", ""),
    ],
)
def test_whoever_installs_a_library_is_told_what_they_get(
    bake: Bake, layout: str, gets: str, install: str
) -> None:
    builds = "cpu" if layout == "markers" else "cpu cu128"
    project = bake(torch_pin="minimum", torch_version="2.9.1", torch_backend=builds, layout=layout)
    readme = project.read("README.md")
    assert gets in readme
    assert install in readme
    # It has no command that `uv tool` could install.
    assert "scripts" not in project.pyproject["project"]
    assert "uv tool install" not in readme
    if layout == "groups":
        assert "gets `torch" not in readme
        assert not any("torch" in line for line in project.pyproject["project"]["dependencies"])


@pytest.mark.parametrize(
    ("answers", "way"),
    [
        ({}, "uv add --no-sync torch==X.Y.Z torchvision==X.Y.Z\n"),
        ({"torch_backend": "cpu", "companions": "torchvision torchaudio torchcodec?"}, "Raise the"),
        ({"torch_backend": "cpu", "companions": "torchvision torchcodec"}, "Raise the numbers of"),
    ],
)
def test_a_requirement_with_a_marker_is_raised_by_hand(
    bake: Bake, answers: dict[str, str], way: str
) -> None:
    """As uv would add a second one beside it."""
    project = bake(torch_version="2.9.1", **answers)
    assert any(";" in one for one in project.pyproject["project"]["dependencies"]) == bool(answers)
    section = project.read("README.md").partition("## A newer PyTorch")[2].partition("\n## ")[0]
    assert way in section
    has_bounds = "constraint-dependencies" in project.pyproject["tool"]["uv"]
    assert ("Raise the bounds in `constraint-dependencies` too." in section) == has_bounds
    assert "sync, and run the smoke test" in section


def test_a_label_is_told_only_where_there_is_one(bake: Bake) -> None:
    told = "It requires versions with a label"
    assert told in bake(torch_pin="local", torch_backend="cu130").read("README.md")
    builds = {"torch_version": "2.9.1", "torch_backend": "pypi cu128", "layout": "extras"}
    assert told in bake(torch_pin="local", project_slug="extras", **builds).read("README.md")
    plain = bake(torch_pin="local", torch_backend="pypi", project_slug="plain")
    assert told not in plain.read("README.md")


def test_the_command_that_shows_the_table_shows_every_group(bake: Bake) -> None:
    project = bake(torch_version="2.9.1", torch_backend="cpu cu128", companions="none")
    project.lock()
    (command,) = re.findall(r"`uv (tree [^`]+)`", project.read("README.md"))
    shown = project.uv(*shlex.split(command), "--frozen")
    for version in ("v2.9.1", "v2.9.1+cpu", "v2.9.1+cu128"):
        assert f"torch {version}\n" in shown
