"""The lock is held against the plan: no setting of the machine puts another torch into it."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from tests.conftest import PYTHON, Bake, BakedProject, empty_config
from tests.helpers.answers import SPREAD
from tests.helpers.elsewhere import generate
from tests.helpers.hook import next_step
from tests.helpers.locks import read_lock
from tools.lib.replica import Replica
from torch_plan.catalog.facts import Mirror, load_facts
from torch_plan.dialogue.hook_settings import hook_settings
from torch_plan.dialogue.session import Session

PYPI = PYPI_SIMPLE_ENDPOINT.rstrip("/")
INDEX = "https://index.example/whl/cpu"

Generated = tuple[Path, str]
OnMachine = Callable[..., Generated]

PRIVATE_ETC = """\
cp -a /etc/. "$0" 2>/dev/null
mkdir -p "$0/uv" && cp "$1" "$0/uv/uv.toml" && mount --bind "$0" /etc || exit 99
shift
exec "$@"
"""


@pytest.fixture
def on_machine(tmp_path: Path, replica: Replica) -> OnMachine:
    """Generate a project on a machine with settings in /etc/uv/uv.toml; return what is said."""
    namespace = ["unshare", "--user", "--map-root-user", "--mount"]
    path = f"{os.environ['PATH']}{os.pathsep}{os.defpath}"

    def start(settings: str, *options: object, **answers: str) -> Generated:
        toml, etc = tmp_path / "machine.toml", tmp_path / "etc"
        toml.write_text(settings, encoding="utf-8")
        etc.mkdir()
        program = shutil.which(namespace[0], path=path)
        if not program:
            pytest.skip("an /etc of the test's own is mounted by unshare, which is Linux's")
        chosen = {"python_version": PYTHON, "companions": "torchvision", **answers}
        command = generate(replica, f"--output-dir={tmp_path}", *options, **chosen)
        done = subprocess.run(
            [program, *namespace[1:], "sh", "-c", PRIVATE_ETC, str(etc), str(toml), *command],
            env={
                **os.environ,
                "PATH": path,
                "COOKIECUTTER_CONFIG": str(empty_config(tmp_path)),
                "NO_COLOR": "1",
            },
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode in (1, 99) and not (tmp_path / "my-ml-project").exists():
            pytest.skip("this machine does not let a user mount a file system in a namespace")
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        return tmp_path / "my-ml-project", done.stderr

    return start


@pytest.mark.parametrize(
    ("setting", "strays"),
    [
        ("no-sources = true", ("torch 2.13.0", "torchvision 0.28.0")),
        ('no-sources-package = ["torch"]', ("torch 2.13.0",)),
        ('no-sources-package = ["torchvision"]', ("torchvision 0.28.0",)),
    ],
)
def test_a_machine_that_leaves_sources_out(
    on_machine: OnMachine, setting: str, strays: tuple[str, ...]
) -> None:
    project, printed = on_machine(setting)
    named = " and ".join(f"{stray} from {PYPI}" for stray in strays)
    assert f"\nuv locked {named}, which is not what this project asks for" in printed
    assert "of this machine. That lock is not kept." in printed
    assert "The project is in" not in printed
    assert next_step(printed)[3] == "lock"
    assert not (project / "uv.lock").exists()


def test_the_lock_from_before_comes_back(on_machine: OnMachine, tmp_path: Path) -> None:
    lock = tmp_path / "my-ml-project/uv.lock"
    lock.parent.mkdir()
    before = b'version = 1\r\nrequires-python = ">=3.10"\n# kept as it is\n'
    lock.write_bytes(before)
    _, printed = on_machine("no-sources = true", "--overwrite-if-exists")
    assert "That lock is not kept." in printed, printed
    assert lock.read_bytes() == before


@pytest.mark.parametrize(
    ("setting", "fact"),
    [
        ('fork-strategy = "fewest"', 'fork-strategy = "fewest"'),
        ('prerelease = "allow"', 'prerelease = "allow"'),
        ('exclude-newer = "2026-10-01"', 'exclude-newer = "2026-10-'),
        (
            "dependency-metadata = "
            '[{ name = "torch", version = "2.13.0+cpu", requires-dist = [] }]',
            "dependency-metadata",
        ),
    ],
)
def test_what_a_machine_leaves_in_the_lock_is_said(
    on_machine: OnMachine, setting: str, fact: str
) -> None:
    project, printed = on_machine(setting)
    assert f"uv.lock depends on your own settings of uv ({fact}" in printed
    assert "The project is in" in printed
    check_registries(project)


@pytest.mark.parametrize(
    "setting",
    [
        "",
        '[[index]]\nname = "pytorch-cpu"\nurl = "{url}/cu130"\nexplicit = true',
        'index-strategy = "unsafe-best-match"',
        'override-dependencies = ["torch==2.12.0"]',
        'constraint-dependencies = ["torch==2.12.0"]',
        'torch-backend = "cu130"',
        'find-links = ["{url}/cu130/torch/"]',
        'exclude-newer-package = {{ torch = "2026-01-01" }}',
    ],
)
def test_what_a_machine_cannot_do(on_machine: OnMachine, replica: Replica, setting: str) -> None:
    project, printed = on_machine(setting.format(url=replica.url))
    assert "The project is in" in printed
    assert "uv.lock" not in printed
    check_registries(project)


def check_registries(project: Path) -> None:
    """Check that torch and torchvision come from the index of CPU builds."""
    ours = [entry for entry in read_lock(project) if entry["name"] in ("torch", "torchvision")]
    assert len(ours) == 4
    assert {entry["source"]["registry"].rpartition("/")[2] for entry in ours} == {"cpu"}


# What is compared


def strays(hook: Any, project: BakedProject, lock: str | None = None) -> list[str]:
    """Return what a project's lock has against its plan."""
    settings = ast.literal_eval(hook_settings(Session(load_facts()), project.answers))
    found: list[str] = hook.find_strays(lock or project.read("uv.lock"), settings["sources"])
    return found


@pytest.mark.parametrize("chosen", SPREAD)
def test_no_lock_is_suspected_for_nothing(
    bake: Bake, hook: Any, replica: Replica, chosen: dict[str, str]
) -> None:
    """Every way to choose builds; and each notices an index, and a release, that is not its own."""
    project = bake(**{**chosen, "python_version": chosen.get("python_version", "3.11")})
    project.lock()
    lock = project.read("uv.lock")
    assert strays(hook, project) == []
    assert strays(hook, project, lock.replace(replica.url, "https://elsewhere.example"))
    release = project.plan.releases[0]
    assert strays(hook, project, lock.replace(f'"{release}', '"1.0.0'))


def test_a_flat_listing(bake: Bake, hook: Any, replica: Replica) -> None:
    facts = load_facts()
    facts.pytorch_mirrors["flat"] = Mirror(
        f"http://{replica.host}/flat", flat=True, hosts=("127.0.0.1",)
    )
    try:
        project = bake(
            torch_version="2.13.0",
            torch_backend="cpu",
            python_version=PYTHON,
            pytorch_index="flat",
        )
        project.lock()
        assert strays(hook, project) == []
    finally:
        del facts.pytorch_mirrors["flat"]


def entry(version: str, source: str, name: str = "torch") -> str:
    """Return a package as a lock has it."""
    return f'[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {{ {source} }}\n\n'


HERE = f'registry = "{INDEX}"'


@pytest.mark.parametrize(
    ("lock", "indexes", "versions", "found"),
    [
        (entry("2.13.0+cpu", HERE), [INDEX], ["2.13.0"], []),
        (entry("2.13.0", HERE), [INDEX], ["2.13.0"], []),
        (entry("2.13.0", f'registry = "{INDEX}/"'), [INDEX], ["2.13.0"], []),
        (entry("2.13.0", HERE.replace("://", "://me:secret@")), [INDEX], ["2.13.0"], []),
        (entry("2.12.0", HERE), [INDEX], [], []),
        (entry("2.12.0", HERE), [INDEX], ["2.13.0"], [f"torch 2.12.0 from {INDEX}"]),
        (entry("1", 'registry = "a"', "numpy"), [INDEX], ["2.13.0"], []),
        ("", [INDEX], ["2.13.0"], []),
        (
            entry("2.13.0", HERE) + entry("2.13.0", f'registry = "{PYPI}"'),
            [INDEX],
            ["2.13.0"],
            [f"torch 2.13.0 from {PYPI}"],
        ),
        (
            entry("2.13.0", HERE) + entry("2.13.0", f'registry = "{PYPI}"'),
            ["", INDEX],
            ["2.13.0"],
            [],
        ),
        (
            entry("2.13.0", f'registry = "{PYPI}"'),
            ["", INDEX],
            ["2.13.0"],
            [f"torch 2.13.0 from {PYPI}"],
        ),
        (entry("2.13.0", f'registry = "{PYPI}"'), ["", INDEX], [], []),
        (entry("2.13.0", 'path = "../t.whl"'), [INDEX], [], ["torch 2.13.0 from ../t.whl"]),
        (
            entry("2.13.0", 'registry = "https://me:secret@x.example/s?token=secret"'),
            [INDEX],
            [],
            ["torch 2.13.0 from https://x.example/s"],
        ),
    ],
)
def test_strays(
    hook: Any, lock: str, indexes: list[str], versions: list[str], found: list[str]
) -> None:
    assert hook.find_strays(lock, {"torch": (indexes, versions)}) == found


@pytest.mark.parametrize(
    ("backend", "expected"),
    [
        ("pypi", {}),
        ("cpu", {"torch": (["/cpu"], ["2.9.1"])}),
        ("cpu cu128 pypi", {"torch": (["", "/cpu", "/cu128"], ["2.9.1"])}),
    ],
)
def test_what_the_hook_is_told(
    bake: Bake, replica: Replica, backend: str, expected: dict[str, tuple[list[str], list[str]]]
) -> None:
    project = bake(
        torch_version="2.9.1",
        torch_backend=backend,
        layout="extras" if " " in backend else "markers",
        companions="none",
        platforms="linux-x86_64",
    )
    told = ast.literal_eval(hook_settings(Session(load_facts()), project.answers))["sources"]
    assert {
        name: ([index.removeprefix(replica.url) for index in indexes], versions)
        for name, (indexes, versions) in told.items()
        if name == "torch"
    } == expected
