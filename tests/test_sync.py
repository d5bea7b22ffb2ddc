"""`sync.py` of a project with several builds: the first that a machine can run, and why."""

from __future__ import annotations

import os
import platform
import runpy
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from tests.conftest import PYTHON, Bake, BakedProject
from tests.helpers.machines import ENUMERATOR, fake_host, posix, program
from tools.lib.lock import find_uv
from torch_plan.catalog.facts import load_facts
from torch_plan.machine.detection import detect
from torch_plan.machine.gpus import find_gpu
from torch_plan.machine.host import Host

RELEASE = "2.9.1"
"""It has CUDA, ROCm and XPU."""

Files = Mapping[str, str]


def nvidia(driver: str, *capabilities: str) -> dict[str, str]:
    """Return what nvidia-smi prints for `sync.py`, and for the detection of the template."""
    rows = [f"{driver}, {capability}" for capability in capabilities]
    return {
        "nvidia-smi --format=csv,noheader --query-gpu=driver_version": f"{driver}\n"
        * (len(rows) or 1),
        "nvidia-smi --format=csv,noheader --query-gpu=compute_cap": "\n".join(capabilities),
        "nvidia-smi --query-gpu=driver_version,compute_cap --format=csv,noheader": "\n".join(rows),
        "nvidia-smi --query-gpu=driver_version --format=csv,noheader": driver,
    }


MACHINES = {"win32": "AMD64", "darwin": "arm64"}


class Ran(NamedTuple):
    """What a run of `sync.py` did: the command that it started, and what it said."""

    command: list[str] | None
    out: str
    err: str
    status: object


Sync = Callable[..., Ran]


@pytest.fixture
def sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Sync:
    """Run the `sync.py` of a project on a stand-in of a machine."""

    def start(project: BakedProject, host: Host, *words: str, pci: Files | None = None) -> Ran:
        started: list[list[str]] = []

        def answer(command: tuple[str, ...], **_: Any) -> SimpleNamespace:
            printed = "uv 0.0.0" if command[0] == "uv" else host.run(command)
            if not printed:
                raise FileNotFoundError(command[0])
            return SimpleNamespace(stdout=printed.encode())

        def call(command: list[str], cwd: Path) -> int:
            assert cwd == project.path
            started.append(command)
            return 7

        devices = tmp_path / "devices/0000:00:02.0"
        for name, text in (pci or {}).items():
            devices.mkdir(parents=True, exist_ok=True)
            (devices / name).write_text(text, encoding="utf-8")
        script = project.path / "sync.py"
        text = script.read_text(encoding="utf-8")
        script.write_text(text.replace("/sys/bus/pci/devices", devices.parent.as_posix()))
        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "run", answer)
            patch.setattr(subprocess, "call", call)
            patch.setattr(sys, "platform", host.sys_platform)
            patch.setattr(platform, "machine", lambda: MACHINES.get(host.sys_platform, "x86_64"))
            patch.setattr(sys, "argv", ["sync.py", *words])
            for name in ("UV_CUDA_DRIVER_VERSION", "UV_AMD_GPU_ARCHITECTURE"):
                patch.delenv(name, raising=False)
            for name, value in host.environ.items():
                patch.setenv(name, value)
            patch.setenv("PATH", os.environ["PATH"])
            try:
                runpy.run_path(str(script), run_name="__main__")
                status: object = 0
            except SystemExit as ended:
                status = ended.code
        out, err = capsys.readouterr()
        return Ran(started[0] if started else None, out, err, status)

    return start


@pytest.fixture
def cuda(bake: Bake) -> BakedProject:
    """A project with the CPU build and two of CUDA, as extras."""
    return bake(torch_version=RELEASE, torch_backend="cpu cu126 cu130", layout="extras")


@pytest.fixture
def others(bake: Bake) -> BakedProject:
    """A project with the builds of AMD and Intel, as groups."""
    return bake(torch_version=RELEASE, torch_backend="cpu amd=rocm6.4 xpu", layout="groups")


@pytest.mark.parametrize(
    ("host", "build", "said"),
    [
        pytest.param(fake_host(), "cpu", "Found no GPU: the build is cpu.", id="nothing"),
        pytest.param(
            fake_host({}, nvidia("535.54.03", "8.9")),
            "cu126",
            "Found NVIDIA driver 535.54.03 8.9: the build is cu126. "
            "cu130 needs NVIDIA driver 580.\n",
            id="older-driver",
        ),
        pytest.param(
            fake_host({}, nvidia("580.65.06", "9.0", "9.0")),
            "cu126",
            "Found NVIDIA driver 580.65.06 9.0: the build is cu126.\n",
            id="the-first-of-those-that-run",
        ),
        pytest.param(
            fake_host({}, nvidia("580.65.06", "12.0")),
            "cu130",
            "cu126 is not compiled for 12.0.",
            id="newer-card",
        ),
        pytest.param(fake_host({}, nvidia("580.65.06", "6.1")), "cu126", "", id="later-minor"),
        pytest.param(
            fake_host({}, nvidia("580.65.06", "3.7")),
            "cpu",
            "cu126 is not compiled for 3.7. cu130 is not compiled for 3.7.",
            id="too-old-a-card",
        ),
        pytest.param(
            fake_host({}, nvidia("580.65.06", "7.5", "12.0")), "cu130", "", id="runs-on-both"
        ),
        pytest.param(
            fake_host({}, nvidia("470.82.01", "8.0")),
            "cpu",
            "cu126 needs NVIDIA driver 525.60.13.",
            id="too-old-a-driver",
        ),
        pytest.param(fake_host({}, nvidia("580.65.06", "[N/A]")), "cu126", "", id="card-unknown"),
        pytest.param(
            fake_host(
                {}, {"nvidia-smi --format=csv,noheader --query-gpu=driver_version": "530.1\n"}
            ),
            "cu126",
            "",
            id="nvidia-smi-too-old-for-compute-cap",
        ),
        pytest.param(
            fake_host({}, nvidia("580.65.06", "9.0"), UV_CUDA_DRIVER_VERSION="450.1"),
            "cpu",
            "Found NVIDIA driver 450.1 9.0: the build is cpu.",
            id="driver-override",
        ),
        pytest.param(
            fake_host({}, nvidia("528.02", "8.9"), "win32"),
            "cpu",
            "needs NVIDIA driver 528.33",
            id="windows-has-drivers-of-its-own",
        ),
        pytest.param(fake_host({}, nvidia("528.33", "8.9"), "win32"), "cu126", "", id="windows"),
        pytest.param(fake_host({}, {}, "darwin"), "cpu", "", id="macos"),
        pytest.param(
            fake_host({}, {ENUMERATOR: "gfx000\ngfx90a\n"}),
            "cpu",
            "cu126 is for another GPU. cu130 is for another GPU.",
            id="amd",
        ),
    ],
)
def test_builds_for_nvidia(
    cuda: BakedProject, sync: Sync, host: Host, build: str, said: str
) -> None:
    ran = sync(cuda, host)
    assert ran.command == ["uv", "sync", "--extra", build]
    assert said in ran.err
    assert ran.status == 7


@pytest.mark.parametrize(
    ("host", "pci", "group"),
    [
        (fake_host({}, {ENUMERATOR: "gfx000\ngfx1100\n"}), {}, "amd"),
        (fake_host({}, {ENUMERATOR: "gfx000\ngfx803\n"}), {}, "cpu"),
        (fake_host({}, {ENUMERATOR: "gfx000\n"}), {}, "cpu"),
        (fake_host(UV_AMD_GPU_ARCHITECTURE="gfx90a"), {}, "amd"),
        (fake_host({}, nvidia("580.65", "9.0"), UV_AMD_GPU_ARCHITECTURE="gfx90a"), {}, "amd"),
        (fake_host({}, nvidia("580.65", "9.0")), {}, "cpu"),
        (fake_host(), {"vendor": "0x8086\n", "class": "0x030000\n"}, "xpu"),
        (fake_host(), {"vendor": "0x8086\n", "class": "0x020000\n"}, "cpu"),
        (fake_host(), {"vendor": "0x1a03\n", "class": "0x030000\n"}, "cpu"),
    ],
)
def test_builds_for_amd_and_intel(
    others: BakedProject, sync: Sync, host: Host, pci: Files, group: str
) -> None:
    """A bare `uv sync` is the default group's, and only the others have to be kept."""
    ran = sync(others, host, pci=pci)
    selected = [] if group == "cpu" else ["--no-group", "cpu", "--group", group]
    assert ran.command == ["uv", "sync", *selected]
    assert ("`uv run --no-sync` keeps it" in ran.err) == (group != "cpu")


def test_what_else_is_typed_goes_to_uv(cuda: BakedProject, sync: Sync) -> None:
    ran = sync(cuda, fake_host(), "--locked", "--no-dev")
    assert ran.command == ["uv", "sync", "--extra", "cpu", "--locked", "--no-dev"]


def test_print_shows_the_command_alone(cuda: BakedProject, sync: Sync) -> None:
    ran = sync(cuda, fake_host({}, nvidia("580.65.06", "9.0")), "--print", "--locked")
    assert (ran.command, ran.status) == (None, 0)
    assert ran.out == "uv sync --extra cu126 --locked\n"


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        (fake_host({}, nvidia("470.82.01", "8.0")), "cu126 needs NVIDIA driver 525.60.13."),
        (fake_host(), "Found no GPU. No build of this project runs on linux-x86_64."),
        (fake_host({}, {}, "aix"), "No build of this project runs on aix-x86_64."),
    ],
)
def test_no_build_that_runs_is_an_error(bake: Bake, sync: Sync, host: Host, reason: str) -> None:
    project = bake(
        torch_version=RELEASE,
        torch_backend="cu126 cu130",
        layout="extras",
        platforms="linux-x86_64",
    )
    ran = sync(project, host)
    assert ran.command is None
    assert reason in str(ran.status)


HOSTS = [
    *(
        fake_host({}, nvidia(driver, *cards))
        for driver in ("450.80.02", "525.60.13", "570.86.16", "580.65.06")
        for cards in (["5.0"], ["6.1"], ["7.5"], ["8.6"], ["9.0"], ["12.1"], ["6.1", "12.0"], [])
    ),
    *(
        fake_host({}, nvidia(driver, "9.0"))
        for driver in (
            *("No devices were found", "NVIDIA-SMI has failed because", "[N/A]", "ERR!"),
            *("570", "99999.1", "525.999999", "1570.10", "driver 570.10", "v570.10", "9" * 6),
        )
    ),
    *(
        fake_host({}, nvidia("580.65.06", card))
        for card in ("8,6", "9.0 (x)", "ERR!", "[Not Supported]", "9", "12.x", "6.1 ", "1e1")
    ),
    *(
        fake_host({}, nvidia("580.65.06", "9.0"), UV_CUDA_DRIVER_VERSION=driver)
        for driver in ("garbage", "", "570", " 535.54.03 ", "535.54.03 or so", "0")
    ),
]
"""Machines, and what programs and people say of them that is no driver or card."""


def test_it_chooses_as_the_template_does(bake: Bake, sync: Sync) -> None:
    """With every CUDA build in the project, the newest first, both come to the same one."""
    facts = load_facts()
    builds = [build for build in facts.backends(RELEASE) if build.startswith("cu")][::-1]
    project = bake(
        torch_version=RELEASE,
        torch_backend=" ".join([*builds, "cpu"]),
        layout="extras",
        platforms="linux-x86_64",
    )
    for host in HOSTS:
        expected = detect(RELEASE, facts, find_gpu(host), "linux-x86_64").backend
        ran = sync(project, host)
        assert ran.command == ["uv", "sync", "--extra", expected], ran.err


@pytest.mark.parametrize(
    "printed",
    [
        "gfx90a:sramecc+:xnack-",
        "\n",
        "Traceback (most recent call last):\n  File x, line 1\nKeyError: gfx90a",
        "gfx000\ngfx000\n",
        "GFX90A",
        "gfx90a gfx1100",
        "gfx000\n  gfx90a  \n",
    ],
)
@pytest.mark.parametrize("variable", [False, True])
def test_what_is_no_card_of_amd(
    others: BakedProject, sync: Sync, printed: str, variable: bool
) -> None:
    if variable:
        host = fake_host(UV_AMD_GPU_ARCHITECTURE=printed)
    else:
        host = fake_host({}, {ENUMERATOR: printed})
    group = ["--no-group", "cpu", "--group", "amd"] if find_gpu(host).family else []
    ran = sync(others, host)
    assert ran.command == ["uv", "sync", *group], ran.err
    assert ("Found AMD" in ran.err) == bool(group)


@posix
@pytest.mark.parametrize(
    ("layout", "driver", "build"),
    [("extras", "580.65.06", "cu128"), ("groups", "580.65.06", "cu128"), ("extras", "", "cpu")],
)
def test_with_programs_and_uv_itself(
    bake: Bake, tmp_path: Path, layout: str, driver: str, build: str
) -> None:
    project = bake(
        torch_version=RELEASE,
        python_version=PYTHON,
        torch_backend="cpu cu128",
        companions="none",
        layout=layout,
        platforms="linux-x86_64 linux-aarch64=cu128",
    )
    project.lock()
    programs = tmp_path / "programs"
    if driver:
        printed = f'case "$*" in *compute_cap*) echo 9.0 ;; *) echo {driver} ;; esac'
        program(programs, "nvidia-smi", printed)
    program(programs, "rocm_agent_enumerator", "sleep 0.1; exit 3")
    path = os.pathsep.join([str(programs), str(Path(find_uv()).parent), "/usr/bin", "/bin"])
    done = subprocess.run(
        [sys.executable, project.path / "sync.py", "--locked", "--dry-run", f"--python={PYTHON}"],
        cwd=tmp_path,
        env={"PATH": path, "HOME": os.environ["HOME"], "UV_CACHE_DIR": cache_of_uv()},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f" + torch=={RELEASE}+{build}\n" in done.stderr


def cache_of_uv() -> str:
    """Return the folder of uv's cache."""
    return subprocess.check_output([find_uv(), "cache", "dir"], encoding="utf-8").strip()


@posix
@pytest.mark.parametrize("path", ["empty", None])
def test_without_uv(cuda: BakedProject, path: str | None) -> None:
    """Python looks in the usual places where there is no PATH at all; uv is in none of them."""
    done = subprocess.run(
        [sys.executable, cuda.path / "sync.py"],
        env={"PATH": path} if path else {},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 1
    assert "uv is not installed" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("layout", ["extras", "groups"])
@pytest.mark.parametrize("builds", ["cpu cu128", "cpu cu126 cu130", "cpu cu130 xpu", "cu128 cpu"])
def test_it_is_short(bake: Bake, layout: str, builds: str) -> None:
    project = bake(torch_version=RELEASE, torch_backend=builds, layout=layout)
    assert len(project.read("sync.py").splitlines()) <= 100


@pytest.mark.parametrize(
    "answers",
    [{}, {"layout": "extras", "torch_backend": "gpu=cu128"}, {"layout": "groups"}],
    ids=["markers", "one-extra", "one-group"],
)
def test_where_nothing_is_to_be_chosen_there_is_none(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(torch_version=RELEASE, **answers)
    assert not (project.path / "sync.py").exists()
    assert "sync.py" not in project.read("README.md")
