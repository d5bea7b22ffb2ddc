"""Fixtures: the replica of the PyTorch index, and projects baked against it."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2
import pytest
from click.testing import CliRunner, Result
from cookiecutter.cli import main
from cookiecutter.main import cookiecutter
from filelock import FileLock
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from tests.helpers.command_line import Run
from tests.helpers.interpreters import install, interpreter
from tests.helpers.missing import missing
from tests.helpers.stub_wheel import stub_wheel
from tools.lib import template
from tools.lib.lock import installed, run_uv
from tools.lib.replica import Replica, real_cpu_wheel
from torch_plan.catalog.facts import Facts, Mirror, load_facts
from torch_plan.catalog.hardware import Gpu
from torch_plan.machine.detection import Detected, detect
from torch_plan.machine.host import host_platform
from torch_plan.project.plan import REQUIRED_UV, Plan, make_plan
from torch_plan.resolution.defaults import complete

ROOT, PYTHON, empty_config = template.ROOT, template.PYTHON, template.empty_config


ACCESS = r"UV_(CACHE_DIR|CONCURRENT_.*|HTTP_.*|INSECURE_HOST|LINK_MODE|NATIVE_TLS|SYSTEM_CERTS)"
PYTHONS = r"UV_PYTHON_(DOWNLOADS|INSTALL_DIR|INSTALL_MIRROR)"
"""Variables of uv that say how this machine reaches what uv needs."""


def pytest_configure() -> None:
    """Let no variable of uv decide about the projects of the tests, such as `UV_PYTHON` in CI.

    And let Python keep what it compiles, whatever the environment says: most of the time that a
    cookiecutter takes to start is compiling, and the tests start many.
    """
    for name in [*os.environ]:
        if name.startswith("UV_") and not re.fullmatch(f"{ACCESS}|{PYTHONS}", name):
            del os.environ[name]
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


def pytest_xdist_auto_num_workers() -> int:
    """Run three tests at once on two processors: a third of the time a test waits for a program."""
    return max(1, (os.cpu_count() or 1) * 3 // 2)


@dataclass(frozen=True)
class BakedProject:
    """A rendered project, and the answers it was rendered from."""

    path: Path
    answers: dict[str, str]

    @cached_property
    def plan(self) -> Plan:
        """What the answers lead to."""
        return make_plan(complete(self.answers, load_facts()))

    @property
    def python(self) -> str:
        """An interpreter of the oldest Python that the project supports, maybe a stand-in."""
        return interpreter(self.plan.python)

    def read(self, name: str) -> str:
        """Return the text of a file."""
        return (self.path / name).read_text(encoding="utf-8")

    @property
    def pyproject(self) -> dict[str, Any]:
        """The parsed pyproject.toml."""
        return tomllib.loads(self.read("pyproject.toml"))

    def uv(self, *arguments: str, **environment: str) -> str:
        """Run uv in the project; a failure, or a setting uv cannot read, fails the test."""
        return run_uv(self.path, *arguments, **environment)

    def lock(self) -> None:
        """Lock with the project's oldest Python."""
        self.uv("lock", "--python", self.python)

    def installed(self, platform: str, *options: str) -> dict[str, str]:
        """Return package -> version that uv would install on a platform, for the oldest Python."""
        return installed(self.path, platform, "--python", self.python, *options)


RELEASE = "2.13.0"
"""The release of which a real CPU wheel is looked for."""

Bake = Callable[..., BakedProject]
MadeOnce = Callable[[str, Callable[[Path], object]], Path]

UV_TOML = f"""\
[[index]]
url = "{PYPI_SIMPLE_ENDPOINT.rstrip("/")}"
default = true
cache-control = {{ api = "max-age=3600", files = "max-age=3600" }}
"""
"""The usual index, and answers of it that stay good for an hour."""


@pytest.fixture(scope="session", autouse=True)
def own_places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Touch nothing outside pytest's own folder.

    uv and cookiecutter leave files in the temporary folder. A uv.toml of the tests takes the place
    of the user's: locks spend most of their time asking PyPI whether anything is new.
    """
    folder = str(tmp_path_factory.mktemp("temporary"))
    config = tmp_path_factory.mktemp("config")
    (config / "uv").mkdir()
    (config / "uv/uv.toml").write_text(UV_TOML, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TMPDIR", "TEMP", "TMP"):
            patch.setenv(name, folder)
        for name in ("XDG_CONFIG_HOME", "APPDATA"):
            patch.setenv(name, str(config))
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(scope="session", autouse=True)
def compiled_once() -> Iterator[None]:
    """Compile each text of a template once in a process: a third of a rendering is that."""
    compile_anew: Callable[..., Any] = jinja2.Environment.compile
    known: dict[object, Any] = {}

    def compile_once(self: jinja2.Environment, source: Any, *rest: Any, **options: Any) -> Any:
        if not isinstance(source, str):
            return compile_anew(self, source, *rest, **options)
        # Whether the extension leaves a text alone depends on the answers.
        text = (self.preprocess(source), rest, *options.items(), *self.extensions)
        if text not in known:
            known[text] = compile_anew(self, source, *rest, **options)
        return known[text]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jinja2.Environment, "compile", compile_once)
        yield


@pytest.fixture(scope="session", autouse=True)
def ctrl_c() -> Iterator[None]:
    """Let Ctrl-C reach what the tests start: `nohup` and some runners ignore it for all of it."""
    inherited = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, inherited)


@pytest.fixture(scope="session")
def replica() -> Iterator[Replica]:
    """Serve what PyTorch publishes, or very likely does; the template takes it for a mirror."""
    with Replica(load_facts()) as running:
        load_facts().pytorch_mirrors["replica"] = Mirror(
            running.url, flat=False, hosts=("127.0.0.1",)
        )
        yield running


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """Fill a folder that takes long to fill, once for all processes that run the tests."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def folder_of(name: str, fill: Callable[[Path], object]) -> Path:
        folder, part = shared / name, shared / f"{name}.part"
        with FileLock(shared / f"{name}.lock"):
            if not folder.exists():
                fill(part)
                part.rename(folder)
        return folder

    return folder_of


@pytest.fixture(scope="session")
def real_torch_wheel(made_once: MadeOnce) -> Path:
    """A CPU wheel of torch, as PyTorch publishes it."""

    def download(folder: Path) -> None:
        if not real_cpu_wheel(folder, RELEASE):
            missing(f"neither pip's own places nor PyTorch's index give a torch {RELEASE}")

    (wheel,) = made_once("wheels", download).glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def real_replica(real_torch_wheel: Path) -> Iterator[Replica]:
    """Serve it; what uv keeps of it is no use to a later run, whose replica has another address."""
    cache = str(real_torch_wheel.parent.with_name("cache"))
    with pytest.MonkeyPatch.context() as patch, Replica(wheels=[real_torch_wheel]) as replica:
        patch.setenv("UV_CACHE_DIR", cache)
        yield replica


@pytest.fixture(scope="session")
def stub_torch_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of a torch that installs at once, where the test is about uv and the project."""
    wheel = stub_wheel(tmp_path_factory.mktemp("stub"), PYTHON)
    if wheel is None:
        missing(f"PyTorch has no CPU wheel of torch {RELEASE} for Python {PYTHON} on this platform")
    return wheel


@pytest.fixture(scope="session")
def stub_replica(stub_torch_wheel: Path) -> Iterator[Replica]:
    with Replica(wheels=[stub_torch_wheel]) as replica:
        yield replica


@pytest.fixture(scope="session")
def oldest_uv(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The oldest uv that a rendered project takes, from PyPI."""
    folder = tmp_path_factory.mktemp("uv") / "venv"
    version = REQUIRED_UV.removeprefix(">=")
    return str(install(folder, PYTHON, f"uv=={version}").with_name("uv"))


@pytest.fixture
def hook() -> Any:
    """The hook as a module, its settings not rendered."""
    path = ROOT / "hooks/post_gen_project.py"
    spec = importlib.util.spec_from_file_location("post_gen_project", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def machine_without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test depend on the graphics card of the machine that runs it."""
    monkeypatch.setattr("torch_plan.machine.detection.detect_here", no_gpu_here)


def no_gpu_here(release: str, facts: Facts) -> Detected:
    """Detect nothing."""
    return detect(release, facts, Gpu("", "no GPU"), host_platform())


@pytest.fixture
def bake(tmp_path: Path, replica: Replica, monkeypatch: pytest.MonkeyPatch) -> Bake:
    """Render a project: unless the answers say otherwise, against the replica and without the hook.

    To start the hook for nothing would take a third of the time.
    """
    monkeypatch.setenv("COOKIECUTTER_CONFIG", str(empty_config(tmp_path)))

    def render(**answers: str) -> BakedProject:
        given = {
            "pytorch_index": replica.url,
            "after_generation": "nothing",
            "git": "no",
            **answers,
        }
        path = cookiecutter(
            str(ROOT),
            no_input=True,
            extra_context=given,
            output_dir=tmp_path,
            accept_hooks=bool({"after_generation", "git"} & {*answers}),
        )
        return BakedProject(Path(path), complete(given, load_facts()))

    return render


def git(folder: Path, *arguments: str) -> None:
    """Run git with an identity of its own."""
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many cells of the matrix were tried, and at what rate."""
    properties = [
        dict(report.user_properties)
        for report in terminalreporter.getreports("passed")
        if report.when == "call"
    ]
    cells = [entry for entry in properties if "lock_seconds" in entry]
    if cells:
        seconds = sum(float(str(entry["lock_seconds"])) for entry in cells)
        platforms = sum(int(str(entry["platforms"])) for entry in cells)
        terminalreporter.write_line(
            f"matrix: {len(cells)} cells locked, {platforms} platforms asked, "
            f"{len(cells) / seconds:.1f} locks per second and process"
        )


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run cookiecutter's command line in a folder, without the configuration of a user."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("COOKIECUTTER_CONFIG", str(empty_config(tmp_path)))

    def invoke(*words: str, status: int = 0) -> Result:
        result = CliRunner().invoke(main, words)
        assert result.exit_code == status, result.output
        return result

    return invoke
