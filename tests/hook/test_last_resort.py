"""Nothing takes for ever, and nothing that nobody foresaw costs the project."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Bake, empty_config
from tests.helpers.answers import ANSWERS
from tests.helpers.elsewhere import HERE, answers, copy_template
from tests.helpers.hook import LOCKS, FakeUv, lock_step, next_step, said
from tests.helpers.machines import python_program
from tools.lib.replica import Replica
from tools.lib.server import Response, Server

SLEEPS = "time.sleep(300)\n"


@pytest.fixture
def hasty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The template with a hook whose minutes are short: a step may take 3 seconds."""
    with monkeypatch.context() as shell:
        shell.setenv("PATH", os.defpath)  # the hook finds no git, but the copy needs one
        template = copy_template(tmp_path / "template")
    hook = template / "hooks/post_gen_project.py"
    text = hook.read_text(encoding="utf-8")
    text, limits = re.subn(r"(?m)^MINUTES = .*", "MINUTES = dict(lock=1, sync=1, run=1)", text)
    text, units = re.subn(r"timeout=60 \* minutes", "timeout=3 * minutes", text)
    assert (limits, units) == (1, 1)
    hook.write_text(text, encoding="utf-8")
    return template


def start(template: Path, tmp_path: Path, replica: Replica | None = None, **more: str) -> str:
    """Generate a project in good time, and return what is printed; the project is there."""
    work = tmp_path / "work"
    work.mkdir()
    began = time.monotonic()
    done = subprocess.run(
        [*HERE, str(template), "--no-input", *answers(replica, **more)],
        cwd=work,
        env={**os.environ, "COOKIECUTTER_CONFIG": str(empty_config(tmp_path))},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert time.monotonic() - began < 60
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert (work / "my-ml-project/pyproject.toml").exists()
    return done.stderr


@pytest.mark.parametrize("step", ["lock", "sync", "run"])
def test_a_uv_that_hangs(hasty: Path, fake_uv: FakeUv, tmp_path: Path, step: str) -> None:
    fake_uv(LOCKS + f"if arguments[0] == {step!r} and '--check' not in arguments: {SLEEPS}")
    printed = start(hasty, tmp_path, after_generation="smoke")
    assert (
        f"\n`uv {step}` took longer than 1 min, so it was stopped. The project is kept" in printed
    )
    assert next_step(printed)[3] == "run"


@pytest.mark.parametrize("asked", ["--version", "workspace", "check"])
def test_a_uv_that_hangs_where_it_is_asked(
    hasty: Path, fake_uv: FakeUv, tmp_path: Path, asked: str
) -> None:
    version = "99'); time.sleep(300); print('" if asked == "--version" else "99.0.0"
    workspace = SLEEPS if asked == "workspace" else "sys.exit()"
    fake_uv(LOCKS + f"if '--{asked}' in arguments: {SLEEPS}", workspace, version)
    step = "lock" if asked == "check" else asked
    assert f"\n`uv {step}` took longer than 1 min" in start(hasty, tmp_path)


def test_a_git_that_hangs(hasty: Path, fake_uv: FakeUv, one_python: Path, tmp_path: Path) -> None:
    fake_uv(LOCKS)
    python_program(one_python / "git", f"import time\n{SLEEPS}")
    printed = start(hasty, tmp_path, git="yes")
    assert "`git init` took longer than 1 min, so it was stopped.\n\nThe project is in" in printed


class _Drips(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        while self.server.open:  # type: ignore[attr-defined]
            try:
                self.wfile.write(b" ")
            except OSError:
                return
            time.sleep(0.2)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def dripping() -> Iterator[str]:
    """An index that sends a byte now and then, for ever."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Drips) as server:
        server.open = True  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/whl"
        server.open = False  # type: ignore[attr-defined]
        server.shutdown()


def test_an_index_that_drips(hasty: Path, tmp_path: Path, dripping: str) -> None:
    printed = start(hasty, tmp_path, pytorch_index=dripping)
    assert "\n`uv lock` took longer than 1 min, so it was stopped. The project is kept." in printed
    assert next_step(printed)[3] == "lock"


def test_the_limits_are_generous(hook: Any) -> None:
    """A lock of many packages takes a minute or two; 5 GB may come at a megabyte a second."""
    assert hook.MINUTES["lock"] >= 10
    assert hook.MINUTES["sync"] >= 90
    assert hook.MINUTES["run"] >= 10


# What nobody foresaw


def test_a_lock_that_is_no_text(
    bake: Bake, fake_uv: FakeUv, capfd: pytest.CaptureFixture[str]
) -> None:
    fake_uv("pathlib.Path('uv.lock').write_bytes(b'\\xff\\xfe')\n")
    project = bake(**ANSWERS)
    printed = said(capfd)
    assert "\nSomething unforeseen happened (UnicodeDecodeError: " in printed
    assert next_step(printed) == lock_step(project)


@pytest.mark.parametrize("step", ["start_repository", "complete"])
@pytest.mark.parametrize("after", ["nothing", "lock"])
@pytest.mark.parametrize(
    "error", [ValueError("odd"), OSError("odd"), KeyError("odd"), MemoryError()]
)
def test_any_error_keeps_the_project(
    hook: Any,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    step: str,
    after: str,
    error: Exception,
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hook, step, fail)
    settings = {
        "is_cruft": False,
        "git": step == "start_repository",
        "github_actions": True,
        "after_generation": after,
        "requires_python": ">=3.10",
        "project": "p",
        "torch": "torch",
        "sync": [],
        "ways_on": {},
    }
    monkeypatch.setattr(hook, "SETTINGS", settings)
    hook.main()
    printed = said(capfd)
    assert f"Something unforeseen happened ({type(error).__name__}: " in printed
    assert next_step(printed)[3] == "lock"


def held(*_: object) -> None:
    raise PermissionError("held")


@pytest.mark.parametrize("is_held", [False, True])
@pytest.mark.parametrize("own", [False, True])
def test_only_a_folder_without_files_goes_and_none_stops_the_hook(
    hook: Any,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    is_held: bool,
    own: bool,
) -> None:
    """On Windows a program may hold it; with `-f` it may have a file of its owner."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".github/workflows").mkdir(parents=True)
    if own:
        (tmp_path / ".github/workflows/own.yml").touch()
    settings = {
        "is_cruft": False,
        "git": False,
        "github_actions": False,
        "after_generation": "nothing",
        "project": "p",
        "torch": "torch",
        "sync": [],
    }
    monkeypatch.setattr(hook, "SETTINGS", settings)
    with monkeypatch.context() as patch:
        if is_held:
            patch.setattr(os, "rmdir", held)
        hook.main()
    assert "The next step" in said(capfd)
    assert (tmp_path / ".github").exists() == (is_held or own)
    assert (tmp_path / ".github/workflows/own.yml").exists() == own


# Whose variables


GIT = {
    "GIT_DIR": "{elsewhere}/.git",
    "GIT_WORK_TREE": "{elsewhere}",
    "GIT_INDEX_FILE": "{elsewhere}/index",
    "GIT_OBJECT_DIRECTORY": "{elsewhere}/objects",
    "GIT_COMMON_DIR": "{elsewhere}/.git",
    "GIT_CONFIG": "{elsewhere}/config",
}


@pytest.mark.usefixtures("with_git")
@pytest.mark.parametrize("names", [*([name] for name in GIT), list(GIT)], ids="+".join)
def test_git_of_another_repository(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    """As within a git hook, which has variables about its own repository."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in names:
        monkeypatch.setenv(name, GIT[name].format(elsewhere=elsewhere))
    project = bake(git="yes")
    assert (project.path / ".git/objects").is_dir()
    assert not [*elsewhere.iterdir()]


@pytest.mark.usefixtures("with_git")
def test_what_a_user_tells_git_is_heeded(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/mark").touch()
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(tmp_path / "templates"))
    assert (bake(git="yes").path / ".git/mark").exists()


@pytest.mark.parametrize("name", ["UV_INDEX_URL", "UV_INDEX_STRATEGY"])
def test_what_is_not_recorded_is_not_said_to_be(
    bake: Bake, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    """PyPI is in every lock, and a strategy in none."""
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    value = PYPI_SIMPLE_ENDPOINT.rstrip("/") if name == "UV_INDEX_URL" else "first-index"
    monkeypatch.setenv(name, value)
    bake(**ANSWERS)
    printed = said(capfd)
    assert f"Your environment sets {name}: uv uses it here.\n" in printed
    assert "uv.lock" not in printed


# Logins


class Locked(Server):
    """An index that answers nobody: with a status, or only where a file is asked for."""

    status = 401
    torch = b""

    def answer(self, path: str) -> Response:
        if self.torch and path.endswith("/torch/"):
            return Response(200, "text/html", self.torch)
        return Response(self.status, "text/plain", b"")


@pytest.fixture(params=["newest", "oldest"])
def each_uv(request: pytest.FixtureRequest, one_python: Path) -> None:
    """Put the newest and the oldest uv in the hook's way: their words are not the same."""
    if request.param == "oldest":
        oldest = request.getfixturevalue("oldest_uv")
        (one_python / "uv").unlink()
        (one_python / "uv").symlink_to(oldest)


@pytest.mark.usefixtures("each_uv")
@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("where", ["index", "likely", "platform", "package"])
def test_an_index_that_wants_a_login(
    bake: Bake,
    replica: Replica,
    capfd: pytest.CaptureFixture[str],
    status: int,
    where: str,
) -> None:
    with Locked() as locked:
        locked.status = status
        url = f"http://{locked.host}/private"
        chosen = {
            "index": {"pytorch_index": url},
            "likely": {"torch_version": "2.15.0", "torch_backend": "cu130", "pytorch_index": url},
            "platform": {"platforms": f"linux-x86_64 linux-aarch64=2.13.0+cu130@{url}"},
            "package": {"package_index": url, "companions": "torchvision"},
        }[where]
        project = bake(**{**ANSWERS, "python_version": "3.11", **chosen})
        printed = said(capfd)
        phrase = {401: "401 Unauthorized", 403: "403 Forbidden"}[status]
        assert f"\n{locked.host} answers {phrase}: it needs a login, in UV_INDEX_" in printed
    assert next_step(printed) == lock_step(project)
