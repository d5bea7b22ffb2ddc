"""Windows, as far as it can be told from elsewhere: names, line ends, commands, markers, paths."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import types
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from packaging.markers import Marker

from tests.conftest import ROOT, Bake
from tests.helpers.answers import ANSWERS, SPREAD
from tests.helpers.elsewhere import HERE, answers, contents, copy_template, run, tracked_files
from tests.helpers.proof import indexes_of_torch
from tests.helpers.shells import cmd_words
from tools.lib.replica import Replica
from torch_plan.catalog.facts import load_facts
from torch_plan.dialogue.hook_settings import hook_settings
from torch_plan.dialogue.session import Session
from torch_plan.machine.host import host_platform

DEVICES = {"con", "prn", "aux", "nul"} | {
    f"{port}{n}" for port in ("com", "lpt") for n in range(10)
}
MACHINES = {"windows-x86_64": "AMD64", "windows-arm64": "ARM64"}
"""What Python says of itself on Windows, `platform.machine()`."""


def check_names(paths: Iterable[PurePosixPath]) -> None:
    """Check that Windows takes each name, and no two for the same one."""
    seen = set()
    for path in paths:
        for name in path.parts:
            assert not re.search(r'[<>:"\\|?*\x00-\x1f]|[. ]$', name), path
            assert name.partition(".")[0].lower() not in DEVICES, path
        assert str(path).lower() not in seen, path
        seen.add(str(path).lower())


def test_names_of_the_template() -> None:
    """`{% if %}` in a file name is fine, but not with double quotes or a comparison."""
    check_names([PurePosixPath(name.as_posix()) for name in tracked_files()])


@pytest.mark.parametrize("chosen", SPREAD)
def test_names_of_a_project(bake: Bake, chosen: dict[str, str]) -> None:
    check_names([PurePosixPath(name) for name in contents(bake(**chosen).path)])


@pytest.mark.parametrize("slug", ["con", "NUL", "com1", "lpt9.x", "a.", "a:b", "a\\b", "../a"])
def test_a_slug_that_windows_refuses_is_refused(
    tmp_path: Path, replica: Replica, slug: str
) -> None:
    wrong = answers(replica, project_slug=slug, after_generation="nothing")
    printed = run([*HERE, ROOT, "--no-input", *wrong], tmp_path, status=1)
    assert f"project_slug={slug}" in printed
    assert "Traceback" not in printed


def test_line_ends_of_a_checkout_on_windows(tmp_path: Path, replica: Replica, bake: Bake) -> None:
    """Git for Windows checks out CRLF by default; what is rendered has LF all the same."""
    template, work = copy_template(tmp_path / "template"), tmp_path / "work"
    work.mkdir()
    for path in template.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    chosen = {"dockerfile": "yes", "after_generation": "lock"}
    run([*HERE, template, "--no-input", *answers(replica, **chosen)], work)
    rendered = contents(work / "my-ml-project")
    assert not [name for name, content in rendered.items() if b"\r" in content]
    assert rendered == contents(bake(**{**ANSWERS, **chosen, "after_generation": "nothing"}).path)
    assert (work / "my-ml-project/uv.lock").is_file()


def test_line_ends_in_answers(tmp_path: Path, replica: Replica) -> None:
    typed = {
        "description": "one\r\ntwo\rthree",
        "author_name": "A\r\nB",
        "project_name": "My\r\nML",
    }
    wrong = answers(replica, **typed, project_slug="here", after_generation="nothing")
    run([*HERE, ROOT, "--no-input", *wrong], tmp_path)
    assert not [name for name, text in contents(tmp_path / "here").items() if b"\r" in text]


@pytest.mark.parametrize("encoding", ["cp437", "cp1252", "cp932"])
def test_questions_on_an_old_code_page(tmp_path: Path, replica: Replica, encoding: str) -> None:
    """Where output is redirected, Python writes in the code page of the system."""
    given = answers(replica, after_generation="nothing", project_name="Łódź → 模", project_slug="x")
    run([*HERE, ROOT, *given], tmp_path, typed="\n" * 40, PYTHONIOENCODING=encoding)
    assert "Łódź → 模" in (tmp_path / "x/README.md").read_text(encoding="utf-8")


# Commands


def commands(markdown: str) -> list[str]:
    """Return the lines of the console blocks, and of the commands within a text."""
    blocks = re.findall(r"```console\n(.*?)```", markdown, re.DOTALL)
    inline = re.findall(r"`((?:uv|uvx|docker|python) [^`]+)`", markdown)
    return [line for block in blocks for line in block.splitlines()] + inline


def check_command(line: str) -> None:
    """Check that a command means the same to sh, cmd and PowerShell."""
    outside = re.sub(r'"[^"]*"', "", line)
    assert not re.search(r"[$'\\;|&*?~!%^(){}<>]", outside), line
    # For a shell with a history `!=` is no word of it.
    assert not re.search(r"[$`%\\]|!(?!=)", "".join(re.findall(r'"[^"]*"', line))), line
    program = line.split(maxsplit=1)[0]
    programs = {"uv", "uvx", "pip", "docker", "cookiecutter", "cruft", "git", "cd", "python"}
    assert program in programs, line


@pytest.mark.parametrize("chosen", SPREAD)
def test_commands_of_the_rendered_readme(bake: Bake, chosen: dict[str, str]) -> None:
    found = commands(bake(**chosen).read("README.md"))
    assert found
    for line in found:
        check_command(line)


def test_commands_of_this_readme() -> None:
    found = commands((ROOT / "README.md").read_text(encoding="utf-8"))
    for line in found:
        for command in line.split(" && "):  # sh, cmd and PowerShell 7
            check_command(command)


def test_the_hook_starts_programs_and_no_shell() -> None:
    source = (ROOT / "hooks/post_gen_project.py").read_text(encoding="utf-8")
    assert not re.search(
        r"shell\s*=|os\.system|popen|/bin/|/dev/|chmod|fork|fcntl|os\.kill", source
    )


# Markers and machines


@pytest.mark.parametrize(
    "chosen",
    [
        {"torch_backend": "cu130"},
        {"torch_backend": "cpu", "platforms": "linux-x86_64=cu130 windows-x86_64 windows-arm64"},
        {"torch_backend": "cpu gpu=cu130", "layout": "extras"},
        {"torch_backend": "rocm7.2 cpu", "layout": "groups"},
    ],
    ids=["cuda", "both-machines", "extras", "groups"],
)
def test_markers_hold_on_windows(bake: Bake, chosen: dict[str, str]) -> None:
    """For what Windows says of itself, there is one environment and one index for each build."""
    project = bake(torch_version="2.13.0", companions="none", python_version="3.11", **chosen)
    uv = project.pyproject["tool"]["uv"]
    for platform in [name for name in project.plan.platforms if name in MACHINES]:
        here = {"sys_platform": "win32", "platform_machine": MACHINES[platform]}
        for key in ("environments", "required-environments"):
            assert len([text for text in uv[key] if Marker(text).evaluate(here)]) == 1
        for option in project.plan.options:
            (cell,) = [cell for cell in option.cells if cell.platform == platform]
            index = f"pytorch-{cell.backend}"
            assert indexes_of_torch(project.pyproject, option.name, here) == [index]


@pytest.mark.parametrize("platform", MACHINES)
def test_this_machine_is_known(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setattr("platform.machine", lambda: MACHINES[platform])
    assert host_platform() == platform


# The hook


@pytest.fixture
def settings(bake: Bake) -> dict[str, Any]:
    """What the hook is told of a project with a CUDA build on Windows."""
    project = bake(torch_version="2.13.0", torch_backend="cu130", python_version="3.11")
    loaded: dict[str, Any] = ast.literal_eval(hook_settings(Session(load_facts()), project.answers))
    return loaded


def test_hook_expects_the_build_of_windows(
    hook: Any, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook.sys, "platform", "win32")
    monkeypatch.setattr("platform.machine", lambda: "AMD64")
    assert hook.smoke_command(settings) == ["my-ml-project-smoke", "--expect", "cu130"]


def test_the_next_command_can_be_pasted(
    hook: Any, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is quoted for Windows means the same to each of its shells."""
    monkeypatch.setattr(hook, "os", types.SimpleNamespace(name="nt"))
    for after in ("lock", "smoke"):
        words = hook.next_command({**settings, "after_generation": after})
        line = " ".join(hook.quote(word) for word in words)
        assert cmd_words(line) == words
        check_command(line)
    assert hook.quote(r"C:\my work\größe") == r'"C:\my work\größe"'


# Paths and encodings


def test_paths_are_pathlib_and_files_are_utf8(bake: Bake) -> None:
    """Neither a path that is put together by hand, nor a file in the code page of the system."""
    rendered = bake(layout="extras", torch_backend="cpu xpu", torch_version="2.9.1").path
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ruff", "check", "--isolated", "--preview", "--no-cache"),
            *("--select=PTH,PLW1514", "--target-version=py310"),
            *(ROOT / "torch_plan", ROOT / "hooks", rendered),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sources = [*(ROOT / "torch_plan").rglob("*.py"), *(ROOT / "hooks").glob("*.py")]
    for source in [*sources, *rendered.rglob("*.py")]:
        assert not re.search(
            r"os\.(path\.join|sep)\b|\.split\(.[/\\].\)", source.read_text("utf-8")
        )


def test_paths_in_the_rendered_project_are_short(bake: Bake) -> None:
    """Windows allows 260 characters for a whole path, a person's folders among them."""
    project = bake(project_slug="a" * 64)
    assert max(len(name) for name in contents(project.path)) < 110
