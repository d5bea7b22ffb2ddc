"""The hook: what it runs, what it says when that fails, and that it keeps the project."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import tomllib
import types
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner
from cookiecutter.cli import main as cookiecutter_cli
from cookiecutter.generate import generate_files
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from tests.conftest import PYTHON, ROOT, Bake, BakedProject, empty_config, git
from tests.helpers.answers import ANSWERS
from tests.helpers.elsewhere import generate
from tests.helpers.hook import next_step, said, take, uv_toml
from tests.helpers.proof import check_locked
from tools.lib.lock import find_uv, read_lock
from tools.lib.replica import Replica
from tools.lib.server import Response, Server
from torch_plan.facts import Mirror, load_facts

HTML = "application/vnd.pypi.simple.v1+html"

HARMFUL = {
    "VIRTUAL_ENV": "/nowhere",
    "UV_FROZEN": "1",
    "UV_LOCKED": "1",
    "UV_NO_SOURCES": "1",
    "UV_PROJECT": "/nowhere",
    "UV_WORKING_DIR": "/nowhere",
    "UV_PROJECT_ENVIRONMENT": "/nowhere",
}


class OldIndex(Replica):
    """An index that has no torch 2.13.0."""

    def answer(self, path: str) -> Response:
        response = super().answer(path)
        if not path.endswith("/torch/") or isinstance(response.body, Path):
            return response
        lines = response.body.splitlines(keepends=True)
        return replace(response, body=b"".join(line for line in lines if b"2.13.0" not in line))


class CompanyIndex(Server):
    """An index with PyPI's packages, whose files lie where PyPI's do."""

    def answer(self, path: str) -> Response:
        page = f"{PYPI_SIMPLE_ENDPOINT}{path.split('/')[2]}/"
        came = requests.get(page, headers={"Accept": HTML}, timeout=30)
        return Response(came.status_code, "text/html", came.content)


FakeUv = Callable[..., Path]


@pytest.fixture(autouse=True)
def one_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Leave uv and the running Python to the hook, without downloads; return their folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "uv").symlink_to(find_uv())
    (folder / "python3").symlink_to(Path(sys.executable).resolve())
    (folder / "mv").symlink_to(str(shutil.which("mv")))
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "pythons"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("NO_COLOR", "1")
    return folder


@pytest.fixture
def fake_uv(one_python: Path, tmp_path: Path) -> FakeUv:
    """Put a program in the place of uv: it notes its arguments and environment, then runs code."""

    def install(
        code: str, workspace: str = "print(os.getcwd()); sys.exit()", version: str = "99.0.0"
    ) -> Path:
        record = tmp_path / "calls"
        record.touch()
        (one_python / "uv").unlink()
        (one_python / "uv").write_text(
            f"#!{sys.executable}\n"
            "import json, os, pathlib, sys, time\n"
            "arguments = sys.argv[1:]\n"
            f"if arguments == ['workspace', 'dir']:\n    {workspace}\n"
            f"if arguments == ['--version']:\n    print('uv {version} (x)')\n    sys.exit()\n"
            f"with open({str(record)!r}, 'a') as record:\n"
            "    print(json.dumps([arguments, dict(os.environ)]), file=record)\n" + code
        )
        (one_python / "uv").chmod(0o755)
        return record

    return install


LOCKS = """\
if arguments[0] == 'lock' and '--check' not in arguments:
    pathlib.Path('uv.lock').write_bytes(pathlib.Path('pyproject.toml').read_bytes())
"""
"""What a fake uv does to lock: its file names the indexes of the project, as a lock does."""


def fails(message: str, status: int = 2) -> str:
    """Return what a fake uv does to fail with a message."""
    return f"print({message!r}, file=sys.stderr); sys.exit({status})\n"


def calls(record: Path) -> list[list[str]]:
    """Return the arguments of each call of a fake uv; `workspace dir` and checks left out."""
    every = [json.loads(line)[0] for line in record.read_text().splitlines()]
    return [arguments for arguments in every if "--check" not in arguments]


def lock_step(project: BakedProject) -> list[str]:
    """Return the command that locks a project, whichever Python is there."""
    requires = project.pyproject["project"]["requires-python"]
    return ["uv", "--directory", str(project.path), "lock", "--python", requires]


@pytest.fixture
def refused() -> Iterator[str]:
    """The host and port of a server that refuses every connection."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


# What it does


def test_nothing(bake: Bake, fake_uv: FakeUv, capfd: pytest.CaptureFixture[str]) -> None:
    record = fake_uv("")
    bake(**{**ANSWERS, "after_generation": "nothing"})
    assert calls(record) == []
    assert "That makes uv.lock. Commit it: CI fails without it." in said(capfd)


@pytest.mark.parametrize("wanted", ["yes", "no"])
def test_github_folder(bake: Bake, wanted: str) -> None:
    project = bake(after_generation="nothing", github_actions=wanted)
    assert (project.path / ".github").exists() == (wanted == "yes")


@pytest.fixture
def with_git(one_python: Path) -> None:
    """Leave git to the hook too."""
    (one_python / "git").symlink_to(str(shutil.which("git", path=os.defpath)))


@pytest.mark.usefixtures("with_git")
def test_a_repository_of_its_own(bake: Bake, capfd: pytest.CaptureFixture[str]) -> None:
    project = bake(git="yes")
    told = {
        question: subprocess.check_output(
            ["git", *question.split()], cwd=project.path, encoding="utf-8"
        ).strip()
        for question in ("rev-parse --show-toplevel", "branch --show-current", "ls-files --cached")
    }
    assert list(told.values()) == [str(project.path), "main", ""]
    assert "git makes no" not in said(capfd)


@pytest.mark.usefixtures("with_git")
@pytest.mark.parametrize("kind", ["repository", "worktree"])
def test_no_repository_within_another(bake: Bake, tmp_path: Path, kind: str) -> None:
    if kind == "repository":
        git(tmp_path, "init", "--quiet")
    else:
        (tmp_path / ".git").write_text("gitdir: elsewhere\n", encoding="utf-8")
    assert not (bake(git="yes").path / ".git").exists()


@pytest.mark.usefixtures("with_git")
def test_no_repository_where_none_is_wanted(bake: Bake) -> None:
    assert not (bake(git="no").path / ".git").exists()


def test_no_repository_without_git(bake: Bake, capfd: pytest.CaptureFixture[str]) -> None:
    assert not (bake(git="yes").path / ".git").exists()
    assert "git makes no" not in said(capfd)


def test_a_git_that_fails_costs_no_more_than_the_repository(
    bake: Bake, one_python: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    old = (
        f"#!{sys.executable}\nimport sys\nsys.exit('error: unknown option `initial-branch=main')\n"
    )
    (one_python / "git").write_text(old)
    (one_python / "git").chmod(0o755)
    check_locked(bake(**ANSWERS, git="yes").path)
    printed = said(capfd)
    assert "git could not make the project a repository: error: unknown option" in printed
    assert "The project is kept" not in printed


def test_lock_with_another_python_than_the_pinned(
    bake: Bake, capfd: pytest.CaptureFixture[str]
) -> None:
    project = bake(**ANSWERS)
    assert project.read(".python-version").strip() == ANSWERS["python_version"] != PYTHON
    check_locked(project.path)
    printed = said(capfd)
    assert "Resolved" in printed  # uv's own progress
    assert "The project is kept" not in printed
    assert not (project.path / ".venv").exists()


def test_lock_is_not_disturbed_by_the_environment(
    bake: Bake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in HARMFUL.items():
        monkeypatch.setenv(name, value)
    check_locked(bake(**ANSWERS).path)


@pytest.mark.parametrize("name", HARMFUL)
def test_variables_of_another_project_never_reach_uv(
    bake: Bake, fake_uv: FakeUv, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    record = fake_uv(LOCKS)
    monkeypatch.setenv(name, HARMFUL[name])
    bake(**{**ANSWERS, "after_generation": "smoke"})
    environments = [json.loads(line)[1] for line in record.read_text().splitlines()]
    assert len(environments) == 4
    assert not any(name in environment for environment in environments)


def test_uv_variable_comes_before_path(
    bake: Bake, one_python: Path, fake_uv: FakeUv, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = str((one_python / "uv").resolve())
    record = fake_uv("")
    monkeypatch.setenv("UV", real)
    check_locked(bake(**ANSWERS).path)
    assert calls(record) == []


def test_stale_uv_variable(bake: Bake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV", "/nowhere/uv")
    check_locked(bake(**ANSWERS).path)


def test_inherited_indexes_are_named_without_their_values(
    bake: Bake, refused: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UV_INDEX", f"http://someone:hunter2@{refused}/simple")
    monkeypatch.setenv("UV_INDEX_OURS_PASSWORD", "hunter2")
    bake(**ANSWERS)
    printed = said(capfd)
    assert "Your environment sets UV_INDEX:" in printed
    assert f"\n{refused} cannot be reached." in printed
    assert "someone" not in printed
    assert "hunter2" not in printed


def test_smoke_locks_installs_and_runs(
    bake: Bake, fake_uv: FakeUv, capfd: pytest.CaptureFixture[str]
) -> None:
    record = fake_uv(LOCKS)
    project = bake(**{**ANSWERS, "after_generation": "smoke"})
    requires = project.pyproject["project"]["requires-python"]
    assert calls(record) == [
        ["lock", "--python", requires],
        ["sync", "--frozen"],
        ["run", "--no-sync", "my-ml-project-smoke", "--expect", "cpu"],
    ]
    assert next_step(said(capfd))[3:] == ["uv", "run", "my-ml-project-smoke"]


def test_smoke_of_an_extra(bake: Bake, fake_uv: FakeUv) -> None:
    record = fake_uv(LOCKS)
    bake(
        torch_version="2.9.1",
        python_version="3.10",
        torch_backend="cu128 cpu",
        layout="extras",
        after_generation="smoke",
        platforms="linux-x86_64 linux-aarch64=cpu macos-arm64 windows-x86_64",
    )
    assert calls(record)[1] == ["sync", "--frozen", "--extra", "cu128"]
    assert calls(record)[2][:4] == ["run", "--no-sync", "my-ml-project-smoke", "--expect"]


def test_a_failing_installation_stops_before_the_smoke_test(
    bake: Bake, fake_uv: FakeUv, capfd: pytest.CaptureFixture[str]
) -> None:
    message = "error: Failed to download `torch`\n  cause: No space left on device (os error 28)"
    record = fake_uv(LOCKS + f"if arguments[0] == 'sync': {fails(message)}")
    project = bake(**{**ANSWERS, "after_generation": "smoke"})
    assert [arguments[0] for arguments in calls(record)] == ["lock", "sync", "sync"]
    printed = said(capfd)
    assert "\nThe disk is full. The project is kept." in printed
    assert next_step(printed) == [
        *("uv", "--directory", str(project.path), "run", "my-ml-project-smoke", "--expect", "cpu")
    ]


def test_a_failing_smoke_test(
    bake: Bake, fake_uv: FakeUv, capfd: pytest.CaptureFixture[str]
) -> None:
    record = fake_uv(LOCKS + f"if arguments[0] == 'run': {fails('torch: wrong build', 1)}")
    bake(**{**ANSWERS, "after_generation": "smoke"})
    printed = said(capfd)
    assert len(calls(record)) == 3
    assert printed.count("torch: wrong build") == 1
    assert "\nThe smoke test found a problem, which it names above." in printed
    assert next_step(printed)[3:] == ["run", "my-ml-project-smoke", "--expect", "cpu"]


def test_a_smoke_test_that_does_not_start(
    bake: Bake, fake_uv: FakeUv, capfd: pytest.CaptureFixture[str]
) -> None:
    fake_uv(LOCKS + f"if arguments[0] == 'run': {fails('error: Failed to spawn', 2)}")
    bake(**{**ANSWERS, "after_generation": "smoke"})
    assert "\nThe smoke test did not run to its end (exit status 2)." in said(capfd)


# What it says when all is well


@pytest.mark.parametrize(
    ("after", "step"),
    [
        ("nothing", ["uv", "sync", "--extra", "cu128"]),
        ("lock", ["uv", "sync", "--extra", "cu128"]),
        ("smoke", ["uv", "run", "--extra", "cu128", "my-ml-project-smoke"]),
    ],
)
@pytest.mark.parametrize("folder", [".", "a folder/deep"])
def test_last_words(
    fake_uv: FakeUv, replica: Replica, tmp_path: Path, after: str, step: list[str], folder: str
) -> None:
    """Where the project is, its torch, and what to type next: from where the user is."""
    record = fake_uv(LOCKS)
    chosen = {"layout": "extras", "torch_backend": "cu128 cpu", "torch_version": "2.9.1"}
    done = subprocess.run(
        generate(replica, f"--output-dir={folder}", **chosen, after_generation=after),
        cwd=tmp_path,
        env={**os.environ, "COOKIECUTTER_CONFIG": str(empty_config(tmp_path))},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    project = f"{folder}/my-ml-project".removeprefix("./")
    said_of_it = f"The project is in {project}, with torch 2.9.1 (cu128, cpu). The next step:"
    assert said_of_it in done.stderr.splitlines()
    assert next_step(done.stderr) == ["cd", project, "&&", *step]
    assert ("Commit it: CI fails without it." in done.stderr) == (after == "nothing")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("    cd ")]
    record.write_text("")
    subprocess.run(line, shell=True, check=True, cwd=tmp_path)
    assert calls(record) == [step[1:]]


def test_nothing_is_said_of_ci_where_there_is_none(
    bake: Bake, capfd: pytest.CaptureFixture[str]
) -> None:
    bake(**{**ANSWERS, "after_generation": "nothing", "github_actions": "no"})
    assert "CI" not in said(capfd)


# Nothing of this shell in the lock


TORN_BY = {
    "UV_PRERELEASE": "allow",
    "UV_FORK_STRATEGY": "fewest",
    "UV_RESOLUTION": "lowest",
    "UV_PREVIEW": "1",
    "UV_FIND_LINKS": "{wheels}",
    "UV_NO_SOURCES_PACKAGE": "torch",
    "UV_NO_BINARY": "1",
    "UV_WORKING_DIR": "{wheels}",
    "UV_WORKING_DIRECTORY": "{wheels}",
    "UV_CONFIG_FILE": "{wheels}/uv.toml",
}
"""Variables that would spoil the lock, with a value each."""

OVERRULING = [
    'prerelease = "allow"',
    'fork-strategy = "fewest"',
    "preview = true",
    'find-links = ["{wheels}"]',
    "no-sources = true",
    'no-sources-package = ["torch"]',
    'dependency-metadata = [{{ name = "sympy", version = "1.14.0", requires-dist = [] }}]',
]
"""Settings in a user's uv.toml that would spoil the lock."""

EXTRAS = {
    "companions": "torchvision",
    "layout": "extras",
    "torch_backend": "cpu cu130",
    "python_version": PYTHON,
}


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with a wheel of a package that the project needs."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / "uv.toml").touch()
    name = "mpmath-1.3.0"
    files = {
        "METADATA": "Metadata-Version: 2.1\nName: mpmath\nVersion: 1.3.0\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as wheel:
        for file, text in files.items():
            wheel.writestr(f"{name}.dist-info/{file}", text)
    return folder


def check_for_others(project: BakedProject) -> None:
    """Check that the lock serves somebody else: in a clean shell, without a uv.toml."""
    kept = ("UV_CACHE_DIR", "UV_PYTHON_DOWNLOADS")
    clean = {
        name: value
        for name, value in os.environ.items()
        if name in kept or not name.startswith(("UV_", "XDG_"))
    }
    text = project.read("uv.lock")
    subprocess.run(
        ["uv", "sync", "--locked", "--dry-run", "--quiet", *project.plan.default.sync],
        cwd=project.path,
        env={**clean, "XDG_CONFIG_HOME": str(project.path.parent / "nowhere")},
        check=True,
    )
    assert project.read("uv.lock") == text
    assert str(project.path.parent) not in text


def check_next_step(project: BakedProject, printed: str) -> None:
    """Check that the command installs what is locked and leaves the lock as it is."""
    text = project.read("uv.lock")
    take([*next_step(printed), "--dry-run", "--quiet"])
    assert project.read("uv.lock") == text


@pytest.mark.parametrize("name", TORN_BY)
def test_variables_are_set_aside(
    bake: Bake,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    wheels: Path,
    name: str,
) -> None:
    with monkeypatch.context() as shell:
        shell.setenv(name, TORN_BY[name].format(wheels=wheels))
        project = bake(**{**ANSWERS, **EXTRAS})
    check_locked(project.path)
    check_for_others(project)
    printed = said(capfd)
    assert f"Your environment sets {name}: uv ignores it here, so that" in printed
    assert next_step(printed)[3:] == ["uv", "sync", "--frozen", "--extra", "cpu"]
    if name != "UV_NO_BINARY" and "_WORKING_DIR" not in name:  # with these uv cannot install
        monkeypatch.setenv(name, TORN_BY[name].format(wheels=wheels))
    check_next_step(project, printed)


@pytest.mark.parametrize("setting", OVERRULING)
def test_settings_of_the_user_are_kept_out(
    bake: Bake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    wheels: Path,
    setting: str,
) -> None:
    uv_toml(tmp_path, monkeypatch, setting.format(wheels=wheels))
    project = bake(**{**ANSWERS, **EXTRAS})
    check_locked(project.path)
    check_for_others(project)
    printed = said(capfd)
    assert "A uv.toml of yours changes uv.lock" in printed
    assert next_step(printed)[3:5] == ["uv", "sync"]
    check_next_step(project, printed)


@pytest.mark.parametrize("where", ["variable", "uv.toml"])
def test_an_index_of_the_user_is_heeded_and_said(
    bake: Bake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    where: str,
) -> None:
    with CompanyIndex() as company:
        url = f"http://someone:hunter2@{company.host}/simple?token=hunter2"
        if where == "variable":
            monkeypatch.setenv("UV_DEFAULT_INDEX", url)
        else:
            index = f'[[index]]\nname = "company"\nurl = "{url}"\ndefault = true'
            uv_toml(tmp_path, monkeypatch, index)
        project = bake(**{**ANSWERS, "python_version": PYTHON})
        printed = said(capfd)
        check_next_step(project, printed)
    check_locked(project.path)
    assert (
        f"uv.lock depends on your own settings of uv (http://{company.host}/simple): `uv sync"
        in printed
    )
    assert "hunter2" not in printed
    others = {entry["source"].get("registry") for entry in read_lock(project.path)}
    assert any(company.host in str(registry) for registry in others)


def test_a_cooldown_is_heeded_and_said(
    bake: Bake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    uv_toml(tmp_path, monkeypatch, 'exclude-newer-package = { numpy = "2026-01-01" }')
    project = bake(**{**ANSWERS, "python_version": PYTHON})
    printed = said(capfd)
    check_locked(project.path)
    assert 'uv.lock depends on your own settings of uv (numpy = "2026-01-' in printed
    check_next_step(project, printed)


def test_an_old_uv_is_told_before_it_locks(
    bake: Bake, fake_uv: FakeUv, capfd: pytest.CaptureFixture[str]
) -> None:
    """Uv before 0.9.25 drops settings that it does not know, and `required-version` with them."""
    record = fake_uv(LOCKS, version="0.9.20")
    project = bake(**ANSWERS)
    assert "This is uv 0.9.20, and the project needs 0.10.0 or newer; update it." in said(capfd)
    assert calls(record) == []
    assert not (project.path / "uv.lock").exists()


def test_what_to_do_where_a_likely_build_does_not_exist(
    bake: Bake, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    facts = load_facts()
    with Replica() as published:
        mirror = Mirror(published.url, flat=False, hosts=("127.0.0.1",))
        monkeypatch.setitem(facts.pytorch_mirrors, "published", mirror)
        bake(
            torch_version="2.15.0",
            torch_backend="cu130",
            python_version=PYTHON,
            pytorch_index=published.url,
            after_generation="lock",
        )
        printed = said(capfd)
        assert "linux-aarch64 was to get a build that very likely exists" in printed
        words = next(shlex.split(it) for it in printed.splitlines() if " cookiecutter " in f" {it}")
        assert "--overwrite-if-exists" in words
        given = dict(word.split("=", 1) for word in words if "=" in word)
        assert given["platforms"] == "linux-x86_64 macos-arm64 windows-x86_64 linux-aarch64=cpu"
        main = words[words.index("cookiecutter") + 1 :]
        assert CliRunner().invoke(cookiecutter_cli, main).exit_code == 0
        assert "The next step:" in said(capfd)


@pytest.mark.parametrize("where", ["variable", "uv.toml"])
def test_a_cooldown_does_not_hide_torch(
    bake: Bake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    where: str,
) -> None:
    """PyTorch's index tells no upload dates, so a cooldown would refuse all that it has."""
    if where == "variable":
        monkeypatch.setenv("UV_EXCLUDE_NEWER", "2026-01-01")
    else:
        uv_toml(tmp_path, monkeypatch, 'exclude-newer = "2026-01-01"')
    project = bake(**{**ANSWERS, "python_version": PYTHON, "companions": "torchvision"})
    printed = said(capfd)
    check_locked(project.path)
    assert "uv.lock records your cooldown: `uv sync --locked` fails wherever" in printed
    advice = re.search(r"put `(exclude-newer = \"[^`]+)`\s+under \[tool.uv\]", printed)
    assert advice
    monkeypatch.delenv("UV_EXCLUDE_NEWER", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    manifest = project.path / "pyproject.toml"
    text = project.read("pyproject.toml")
    manifest.write_text(
        text.replace("[tool.uv]\n", f"[tool.uv]\n{advice[1]}\n", 1), encoding="utf-8"
    )
    project.lock()
    check_for_others(project)


@pytest.mark.parametrize("host", ["127.1", "LOCALHOST", "0x7f.1"])
def test_a_url_that_uv_writes_otherwise(
    bake: Bake, replica: Replica, capfd: pytest.CaptureFixture[str], host: str
) -> None:
    url = f"http://{host}:{replica.server_port}/whl"
    project = bake(**{**ANSWERS, "python_version": PYTHON}, pytorch_index=url)
    assert "The project is in" in said(capfd)
    check_for_others(project)
    torch = [entry for entry in read_lock(project.path) if entry["name"] == "torch"]
    path = f":{replica.server_port}/whl/cpu"
    assert all(entry["source"]["registry"].endswith(path) for entry in torch)


@pytest.mark.parametrize("old", [None, b"version = 1\r\n# kept as it is\n"])
def test_a_lock_that_cannot_be_made_without_the_user_s_settings(
    bake: Bake,
    fake_uv: FakeUv,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    old: bytes | None,
) -> None:
    stale = fails("DEBUG Resolving despite existing lockfile due to change in pre-release mode", 1)
    mine = "'XDG_CONFIG_HOME' not in os.environ"
    fake_uv(
        f"if '--check' in arguments: {stale}"
        f"if {mine}: pathlib.Path('uv.lock').write_text('[options]\\na = 1\\n')\n"
        f"else: {fails('cause: Connection refused')}"
    )
    lock = tmp_path / "my-ml-project/uv.lock"
    if old is not None:
        lock.parent.mkdir()
        lock.write_bytes(old)
    command = generate(None, f"--output-dir={tmp_path}", "--overwrite-if-exists")
    environment = {**os.environ, "COOKIECUTTER_CONFIG": str(empty_config(tmp_path))}
    environment.pop("XDG_CONFIG_HOME", None)
    subprocess.run(command, env=environment, check=True)
    printed = said(capfd)
    assert "A uv.toml of yours changes uv.lock, and without it uv cannot lock: A server" in printed
    assert (lock.read_bytes() if lock.exists() else None) == old


# What it says when it cannot


def test_uv_missing(
    bake: Bake,
    one_python: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    uv = one_python / "uv"
    uv.rename(one_python / "later")
    project = bake(**ANSWERS)
    printed = said(capfd)
    assert "\nuv is not installed" in printed
    assert next_step(printed) == lock_step(project)
    (one_python / "later").rename(uv)
    take(next_step(printed))
    check_locked(project.path)


def test_uv_too_old(
    bake: Bake, one_python: Path, fake_uv: FakeUv, capfd: pytest.CaptureFixture[str]
) -> None:
    newer = (one_python / "uv").resolve()
    fake_uv(fails("error: Required uv version `>=0.8` does not match the running version `0.7.0`."))
    project = bake(**ANSWERS)
    printed = said(capfd)
    assert "\nThis uv is not >=0.8, as pyproject.toml or a uv.toml of yours demands;" in printed
    assert not (project.path / "uv.lock").exists()
    (one_python / "uv").unlink()
    (one_python / "uv").symlink_to(newer)
    take(next_step(printed))
    check_locked(project.path)


def test_uv_that_does_not_start(
    bake: Bake, one_python: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (one_python / "uv").unlink()
    (one_python / "uv").write_text("#!/nowhere/python\n")
    (one_python / "uv").chmod(0o755)
    project = bake(**ANSWERS)
    printed = said(capfd)
    assert "\nuv cannot be run (" in printed
    assert next_step(printed) == lock_step(project)


def test_the_second_attempt_is_brief(
    bake: Bake, fake_uv: FakeUv, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = fake_uv(fails("error: Request failed"))
    for name in ("UV_HTTP_RETRIES", "UV_HTTP_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    bake(**ANSWERS)
    first, second = (json.loads(line)[1] for line in record.read_text().splitlines())
    assert "UV_HTTP_RETRIES" not in first
    assert "UV_HTTP_TIMEOUT" not in first
    assert (second["UV_HTTP_RETRIES"], second["UV_HTTP_TIMEOUT"]) == ("0", "10")


def test_the_second_attempt_may_succeed(
    bake: Bake, fake_uv: FakeUv, capfd: pytest.CaptureFixture[str]
) -> None:
    fake_uv("if 'UV_HTTP_TIMEOUT' not in os.environ: sys.exit(2)\n" + LOCKS)
    project = bake(**ANSWERS)
    assert (project.path / "uv.lock").exists()
    assert "The project is kept" not in said(capfd)


def test_index_without_the_version(bake: Bake, capfd: pytest.CaptureFixture[str]) -> None:
    with OldIndex() as old:
        project = bake(**ANSWERS, pytorch_index=old.url)
    printed = said(capfd)
    assert "\nThe indexes do not have what the requirements ask for" in printed
    assert next_step(printed) == lock_step(project)
    assert not (project.path / "uv.lock").exists()


def test_no_python(bake: Bake, one_python: Path, capfd: pytest.CaptureFixture[str]) -> None:
    python = one_python / "python3"
    python.rename(one_python / "later")
    project = bake(**ANSWERS)
    printed = said(capfd)
    requires = project.pyproject["project"]["requires-python"]
    assert f"\nThere is no Python {requires} here, and uv cannot download one." in printed
    assert not (project.path / "uv.lock").exists()
    (one_python / "later").rename(python)
    take(next_step(printed))
    check_locked(project.path)


@pytest.mark.parametrize(
    ("printed_by_uv", "expected"),
    [
        pytest.param(
            "error: failed to create file `uv.lock`: Permission denied (os error 13)",
            "uv has no permission to write there.",
            id="unwritable",
        ),
        pytest.param(
            "error: failed to create file `uv.lock`: Access is denied. (os error 5)",
            "uv has no permission to write there.",
            id="unwritable-windows",
        ),
        pytest.param(
            'error: Read-only file system (os error 30) at path "/project/.tmp1"',
            "The file system is read-only.",
            id="read-only",
        ),
        pytest.param(
            "error: Failed to fetch: http://a:b@index.org/whl/cpu/torch/\n"
            "  cause: HTTP status server error (503 Service Unavailable) for url"
            " (http://a:b@index.org/whl/cpu/torch/)",
            "index.org answers 503 Service Unavailable.",
            id="server-error",
        ),
        pytest.param(
            "error: No solution found\n"
            "  cause: Because torch was not found in the package registry\n"
            "hint: An index (http://a:b@index.org/whl/cpu) returned a 401 Unauthorized error.",
            "index.org answers 401 Unauthorized: it needs a login, in UV_INDEX_<NAME>_USERNAME and"
            " UV_INDEX_<NAME>_PASSWORD, with the index's name in pyproject.toml.",
            id="login",
        ),
        pytest.param(
            "error: No solution found\n"
            "  cause: Because torch was not found in the package registry\n"
            "hint: An index URL (http://a:b@index.org/whl/cpu) could not be queried due to a lack\n"
            "      of valid authentication credentials (401\n      Unauthorized).",
            "index.org answers 401 Unauthorized: it needs a login, in UV_INDEX_<NAME>_USERNAME and"
            " UV_INDEX_<NAME>_PASSWORD, with the index's name in pyproject.toml.",
            id="login-0.10",
        ),
        pytest.param(
            "error: Failed to fetch: http://index.org/torch.whl\n"
            "  cause: HTTP status client error (401 Unauthorized) for url (http://index.org/t.whl)",
            "index.org answers 401 Unauthorized: it needs a login, in UV_INDEX_<NAME>_USERNAME and"
            " UV_INDEX_<NAME>_PASSWORD, with the index's name in pyproject.toml.",
            id="login-of-a-file",
        ),
        pytest.param(
            "error: No solution found\n"
            "  cause: Because torch was not found in the package registry\n"
            "hint: An index (http://index.org/whl/cpu) returned a 403 Forbidden error. Check that"
            " the index URL is correct and the credentials are valid.",
            "index.org answers 403 Forbidden: it needs a login, or does not have the file.",
            id="forbidden",
        ),
        pytest.param(
            "error: Failed to download `torch==2.13.0+cpu`\n  cause: operation timed out",
            "The server of torch==2.13.0+cpu does not answer in time.",
            id="wheel-times-out",
        ),
        pytest.param(
            "error: Request failed after 3 retries\n"
            "  cause: Failed to fetch: https://index.org/whl/cpu/torch/\n"
            "  cause: Connection reset by peer (os error 104)",
            "index.org breaks off in the middle of an answer.",
            id="reset",
        ),
        pytest.param(
            "error: Failed to fetch: https://index.org/simple/numpy/\n"
            "  cause: invalid peer certificate: UnknownIssuer",
            "The certificate of index.org is not trusted.",
            id="certificate",
        ),
        pytest.param(
            "error: Failed to download `https://github.com/x.tar.gz`\n  cause: dns error",
            "github.com cannot be reached.",
            id="python-download",
        ),
        pytest.param(
            "error: Failed to fetch: `http://index.org/whl/cpu/torch/`\n"
            "  Caused by: Connection refused (os error 111)",
            "index.org cannot be reached.",
            id="uv-0.8",
        ),
        pytest.param(
            "error: No solution found\n  cause: Because six was not found\n"
            "hint: Packages were unavailable because the network was disabled.",
            "uv is told to stay offline, by UV_OFFLINE or `offline` in a uv.toml of yours.",
            id="offline",
        ),
        pytest.param(
            "error: Failed to install: torch.whl\n  cause: failed to rename file from C:\\a to"
            " C:\\b: Access is denied. (os error 5)",
            "Another program, such as a virus scanner, holds a file that uv wants to rename;"
            " try again.",
            id="virus-scanner",
        ),
        pytest.param(
            "error: failed to hardlink file: The cloud operation cannot be performed on a file"
            " with incompatible hardlinks. (os error 396)",
            "A cloud folder cannot hold links; set UV_LINK_MODE=copy.",
            id="cloud",
        ),
        pytest.param(
            "error: Distribution `torch==2.13.0+cpu @ registry+http://a:b@index.org/whl/cpu` can't"
            " be installed because it doesn't have a source distribution or wheel for the current"
            " platform",
            "torch==2.13.0+cpu has no wheel for this machine or its Python; `environments` in"
            " pyproject.toml lists the platforms of the project.",
            id="no-wheel",
        ),
        pytest.param(
            "error: Failed to build `numpy==1.3.0`\n  cause: The build backend returned an error",
            "numpy==1.3.0 cannot be built; `resolution`, `no-binary` or `prerelease` in a uv.toml"
            " of yours can choose such versions.",
            id="lowest",
        ),
        pytest.param(
            "error: No solution found\nhint: A source distribution is required for `torch` because"
            " using pre-built wheels is disabled for all packages (i.e., with `--no-binary`)",
            "torch has wheels only, which `no-binary` in a uv.toml of yours forbids.",
            id="no-binary",
        ),
        pytest.param("error: a riddle", "uv failed, as it says above.", id="unknown"),
    ],
)
def test_causes(
    bake: Bake,
    fake_uv: FakeUv,
    capfd: pytest.CaptureFixture[str],
    printed_by_uv: str,
    expected: str,
) -> None:
    fake_uv(fails(printed_by_uv))
    project = bake(**ANSWERS)
    printed = said(capfd)
    assert printed.startswith(printed_by_uv)
    assert f"\n{expected} The project is kept. To complete it, run:" in printed
    assert next_step(printed) == lock_step(project)
    assert project.pyproject["project"]["name"] == "my-ml-project"


def test_uv_that_leaves_no_lock(
    bake: Bake, fake_uv: FakeUv, capfd: pytest.CaptureFixture[str]
) -> None:
    fake_uv("")
    bake(**ANSWERS)
    assert "left no uv.lock in the project" in said(capfd)


# Where the project lies


@pytest.mark.parametrize("lock", [None, b"version = 1\r\n# kept as it is\n"])
@pytest.mark.parametrize("way", ["leave", "move"])
def test_inside_a_workspace(
    bake: Bake,
    fake_uv: FakeUv,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    lock: bytes | None,
    way: str,
) -> None:
    workspace = '[project]\nname = "above"\nversion = "1"\nrequires-python = ">=3.10,<3.15"\n'
    workspace += '[tool.uv.workspace]\nmembers = ["my-*"]\n'
    (tmp_path / "pyproject.toml").write_text(workspace)
    above = tmp_path / "uv.lock"
    if lock is not None:
        above.write_bytes(lock)
    project = bake(**ANSWERS)
    assert (above.read_bytes() if above.exists() else None) == lock
    printed = said(capfd)
    assert f"The project lies in the uv workspace of {tmp_path}" in printed
    asked = re.search(r"add '(.*)' to `exclude` of\s*\[tool.uv.workspace\]", printed)
    assert asked
    if way == "leave":
        (tmp_path / "pyproject.toml").write_text(f'{workspace}exclude = ["{asked[1]}"]\n')
        subprocess.run(["uv", "lock", *lock_step(project)[4:]], check=True, cwd=project.path)
    else:
        step = next_step(printed)
        assert step[:2] == ["mv", str(project.path)]
        take(step)
        project = BakedProject(Path(step[2]), project.answers)
        assert tmp_path not in project.path.parents
    check_locked(project.path)
    shutil.rmtree(project.path)
    assert (above.read_bytes() if above.exists() else None) == lock


def test_beneath_a_workspace_that_it_is_no_member_of(bake: Bake, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["packages/*"]\n')
    check_locked(bake(**ANSWERS).path)


@pytest.mark.usefixtures("with_git")
def test_cruft_update_leaves_everything_alone(
    fake_uv: FakeUv,
    replica: Replica,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """As cruft does: its own key in the context, for an update in a folder of `tempfile`."""
    from cruft._commands.utils.cookiecutter import generate_cookiecutter_context  # it needs git

    record = fake_uv(LOCKS)
    monkeypatch.syspath_prepend(str(ROOT))
    given = {**ANSWERS, "pytorch_index": replica.url}
    context = generate_cookiecutter_context(
        str(ROOT), "0123456", ROOT, extra_context=given, no_input=True
    )
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(generate_files(str(ROOT), context=context, output_dir=scratch))
        assert (project / "pyproject.toml").exists()
        assert not (project / ".git").exists()
    assert calls(record) == []
    assert said(capfd) == ""
    project = Path(generate_files(str(ROOT), context=context, output_dir=str(tmp_path / "created")))
    assert [arguments[0] for arguments in calls(record)] == ["lock"]
    assert (project / ".git").exists()


@pytest.mark.parametrize("name", ["with space", "it's", "größe", "$HOME;x"])
def test_awkward_folders(fake_uv: FakeUv, replica: Replica, tmp_path: Path, name: str) -> None:
    """The command can be pasted, and a terminal that lacks a letter does no harm."""
    fake_uv(fails("error: a riddle"))
    output = tmp_path / name
    done = subprocess.run(
        generate(replica, f"--output-dir={output}"),
        env={
            **os.environ,
            "COOKIECUTTER_CONFIG": str(empty_config(tmp_path)),
            "PYTHONIOENCODING": "ascii" if name == "größe" else "utf-8",
        },
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert (output / "my-ml-project/pyproject.toml").exists()
    if name != "größe":
        assert next_step(done.stderr)[2] == str(output / "my-ml-project")


# Ctrl-C


@pytest.mark.parametrize("everyone", [True, False], ids=["terminal", "hook-alone"])
def test_interrupt(fake_uv: FakeUv, replica: Replica, tmp_path: Path, everyone: bool) -> None:
    record = fake_uv("print(os.getppid(), file=sys.stderr, flush=True)\ntime.sleep(60)\n")
    running = subprocess.Popen(
        generate(replica, f"--output-dir={tmp_path}"),
        env={**os.environ, "COOKIECUTTER_CONFIG": str(empty_config(tmp_path))},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )
    assert running.stderr
    hook = next(int(line) for line in running.stderr if line.strip().isdigit())
    if everyone:
        os.killpg(running.pid, signal.SIGINT)
    else:
        os.kill(hook, signal.SIGINT)
    _, printed = running.communicate(timeout=10)
    assert "Interrupted. The project is kept." in printed
    if not everyone:
        assert "Traceback" not in printed
        assert running.returncode == 0
    assert next_step(printed)[3] == "lock"
    assert len(calls(record)) == 1
    assert tomllib.loads((tmp_path / "my-ml-project/pyproject.toml").read_text())


# The pure parts


@pytest.mark.parametrize(
    ("name", "announced"),
    [
        ("UV_INDEX", True),
        ("UV_DEFAULT_INDEX", True),
        ("UV_INDEX_URL", True),
        ("UV_EXTRA_INDEX_URL", True),
        ("UV_INDEX_STRATEGY", True),
        ("UV_INDEX_OURS_USERNAME", False),
        ("UV_INDEX_OURS_PASSWORD", False),
        ("UV_HTTP_TIMEOUT", False),
        ("PIP_INDEX_URL", False),
    ],
)
def test_variables_that_end_up_in_the_lock(hook: Any, name: str, announced: bool) -> None:
    assert hook.inherited([name, "HOME"])[0] == ([name] if announced else [])


@pytest.mark.parametrize(
    ("name", "aside"),
    [
        ("UV_FROZEN", True),
        ("UV_ISOLATED", True),
        ("UV_ENV_FILE", True),
        ("UV_PYTHON", True),
        ("UV_NO_INSTALL_PROJECT", True),
        ("UV_A_NEW_ONE", True),
        ("UV", False),
        ("UV_CACHE_DIR", False),
        ("UV_INDEX_OURS_PASSWORD", False),
        ("UV_PYTHON_INSTALL_MIRROR", False),
        ("UV_HTTP_TIMEOUT", False),
        ("UV_INDEX", False),
        ("UV_EXCLUDE_NEWER", False),
        ("VIRTUAL_ENV", False),
    ],
)
def test_variables_that_are_set_aside(hook: Any, name: str, aside: bool) -> None:
    assert hook.inherited([name])[1] == ([name] if aside else [])


@pytest.mark.parametrize(
    ("word", "quoted"),
    [
        ("uv", "uv"),
        (r"C:\work\my-project", r"C:\work\my-project"),
        (r"C:\my work", r'"C:\my work"'),
        (">=3.10,<3.15", '">=3.10,<3.15"'),
    ],
)
def test_quoting_on_windows(
    hook: Any, monkeypatch: pytest.MonkeyPatch, word: str, quoted: str
) -> None:
    windows = types.SimpleNamespace(name="nt")
    monkeypatch.setattr(hook, "os", windows)
    assert hook.quote(word) == quoted
