"""What a platform gets when a project is more than one release, and facts are not all."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.metadata import parse_email

from tests.conftest import Bake
from tests.helpers.interpreters import interpreter
from tests.helpers.locks import read_lock
from tests.helpers.proof import prove
from tools.lib.lock import UvError, installed
from tools.lib.replica import Replica
from torch_plan.catalog.facts import Facts, Mirror, load_facts

FACTS = load_facts()


def requirements(pyproject: dict[str, Any]) -> list[str]:
    found: list[str] = pyproject["project"]["dependencies"]
    return found


def test_an_intel_mac_has_a_release_of_its_own(bake: Bake) -> None:
    project = bake(
        torch_version="2.8.0",
        python_version="3.11",
        torch_backend="cpu",
        platforms="linux-x86_64 macos-arm64 macos-x86_64=2.2.2+cpu",
    )
    prove(project)
    assert project.pyproject["project"]["requires-python"] == ">=3.11,<3.13"
    mac, linux = project.installed("macos-x86_64"), project.installed("linux-x86_64")
    assert (mac["torch"], mac["torchvision"]) == ("2.2.2", "0.17.2")
    assert (linux["torch"], linux["torchvision"]) == ("2.8.0+cpu", "0.23.0+cpu")
    assert mac["numpy"].startswith("1.26.")
    assert linux["numpy"].startswith("2.")


@pytest.mark.parametrize("layout", ["extras", "groups"])
def test_each_build_has_a_release_of_its_own(bake: Bake, layout: str) -> None:
    project = bake(
        torch_backend="cuda=2.7.1+cu128 rocm=2.6.0+rocm6.2.4",
        python_version="3.11",
        layout=layout,
    )
    prove(project)
    cuda, rocm = project.plan.options
    assert project.installed("linux-x86_64", *cuda.sync)["torch"] == "2.7.1+cu128"
    got = project.installed("linux-x86_64", *rocm.sync)
    assert (got["torch"], got["torchvision"]) == ("2.6.0+rocm6.2.4", "0.21.0+rocm6.2.4")
    assert got["pytorch-triton-rocm"] == "3.2.0"
    assert project.installed("macos-arm64", *rocm.sync)["torch"] == "2.6.0"


def test_numpy_is_free_where_it_may_be(bake: Bake) -> None:
    """Torch 2.3.0 was compiled against NumPy 1 on Windows alone."""
    project = bake(torch_version="2.3.0", torch_backend="cpu", python_version="3.11")
    project.lock()
    assert project.installed("windows-x86_64")["numpy"].startswith("1.26.")
    assert project.installed("linux-x86_64")["numpy"].startswith("2.")
    assert project.installed("macos-arm64")["numpy"].startswith("2.")


@pytest.mark.parametrize("companions", ["torchvision", "none"])
def test_numpy_is_what_one_wheel_of_a_companion_requires(bake: Bake, companions: str) -> None:
    """Torchvision 0.19.0 for Windows requires `numpy<2`, which uv takes for all its wheels.

    Also when it is added later.
    """
    project = bake(
        torch_version="2.4.0",
        torch_backend="pypi",
        python_version="3.11",
        companions=companions,
        platforms="linux-x86_64 windows-x86_64",
    )
    project.lock()
    if companions == "none":
        project.uv("add", "--no-sync", "--python", project.python, "torchvision==0.19.0")
    for platform in project.plan.platforms:
        assert project.installed(platform)["numpy"].startswith("1.26.")


LIKELY = {"torch_version": "2.15.0", "python_version": "3.11", "torch_backend": "cu130"}


def test_a_likely_build_is_planned_and_locked_where_it_exists(bake: Bake) -> None:
    project = bake(**LIKELY)
    prove(project)
    got = project.installed("linux-aarch64")
    assert (got["torch"], got["torchvision"]) == ("2.15.0+cu130", "0.29.2+cu130")
    assert project.plan.notes[0].text == (
        "These builds very likely exist, but nobody has seen them yet: cu130 of torch 2.15.0 for "
        "linux-aarch64. uv finds out when it locks."
    )


def test_a_likely_build_that_does_not_exist_fails_at_the_lock(
    bake: Bake, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Replica() as published:
        serve(published, monkeypatch)
        project = bake(**LIKELY, pytorch_index=published.url)
        with pytest.raises(UvError, match="platform_machine == 'aarch64'"):
            project.lock()
        without = bake(
            **LIKELY,
            pytorch_index=published.url,
            project_slug="without",
            platforms="linux-x86_64 linux-aarch64=cpu macos-arm64 windows-x86_64",
        )
        prove(without)


def serve(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the template take a replica for one of PyTorch's mirrors."""
    mirror = Mirror(replica.url, flat=False, hosts=("127.0.0.1",))
    monkeypatch.setitem(FACTS.pytorch_mirrors, "another", mirror)


NEWER = FACTS.expected_releases[1]


def newer_facts() -> Facts:
    """Return facts that have a release which the template does not know."""
    data = dict(FACTS._data)  # made from the very data of the template
    newest = FACTS.releases[-1]
    pair = FACTS.companions(newest)["torchvision"][0]
    data["releases"] = {
        **data["releases"],
        NEWER: {**data["releases"][newest], "companions": {"torchvision": "0.29.9"}},
    }
    data["wheels"] = {
        **data["wheels"],
        "torch": {**data["wheels"]["torch"], NEWER: data["wheels"]["torch"][newest]},
        "torchvision": {
            **data["wheels"]["torchvision"],
            "0.29.9": data["wheels"]["torchvision"][pair],
        },
    }
    return Facts(data)


def test_a_release_newer_than_the_facts_is_planned_like_the_newest(
    bake: Bake, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Replica(newer_facts()) as newer:
        serve(newer, monkeypatch)
        project = bake(
            torch_version=NEWER,
            python_version="3.12",
            torch_backend="cu132",
            pytorch_index=newer.url,
        )
        pins = [f"torch=={NEWER}", "torchvision==0.29.*", "numpy"]
        assert requirements(project.pyproject) == pins
        prove(project)
        got = project.installed("linux-aarch64")
        assert (got["torch"], got["torchvision"]) == (f"{NEWER}+cu132", "0.29.9+cu132")
        assert project.installed("macos-arm64")["torchvision"] == "0.29.9"
    assert f"knows releases up to torch {FACTS.releases[-1]}" in project.plan.notes[0].text


@pytest.mark.parametrize(
    ("layout", "backends", "gets"),
    [
        pytest.param("markers", "cu128", ("2.9.1+cu128", "0.24.1+cu128"), id="markers"),
        pytest.param("extras", "cpu gpu=cu128", ("2.9.1+cpu", "0.24.1+cpu"), id="extras"),
        pytest.param("groups", "cpu gpu=cu128", ("2.9.1+cpu", "0.24.1+cpu"), id="groups"),
    ],
)
def test_a_library_is_exact_in_its_lock_alone(
    bake: Bake, layout: str, backends: str, gets: tuple[str, str]
) -> None:
    project = bake(
        torch_version="2.9.1",
        python_version="3.11",
        torch_backend=backends,
        layout=layout,
        torch_pin="minimum",
    )
    prove(project)
    got = project.installed("linux-x86_64", *project.plan.default.sync)
    assert (got["torch"], got["torchvision"]) == gets
    locked = {entry["version"] for entry in read_lock(project.path) if entry["name"] == "torch"}
    assert {version.partition("+")[0] for version in locked} == {"2.9.1"}
    metadata = wheel_metadata(project.path, project.uv)
    assert metadata["requires_python"] == ">=3.11"
    names = {entry.partition(";")[0].strip() for entry in metadata["requires_dist"]}
    in_groups = layout == "groups"
    assert names == {"numpy", *([] if in_groups else ["torch>=2.9.1", "torchvision>=0.24.1"])}


def wheel_metadata(project: Path, uv: Any) -> dict[str, Any]:
    """Return the METADATA of the wheel that uv builds of a project."""
    uv("build", "--wheel", "--quiet")
    (wheel,) = (project / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        return dict(parse_email(archive.read(name))[0])


def test_a_library_of_rocm_says_nothing_of_triton(bake: Bake) -> None:
    project = bake(
        torch_version="2.9.1",
        python_version="3.11",
        torch_backend="rocm6.4",
        torch_pin="minimum",
        platforms="linux-x86_64",
    )
    prove(project)
    assert requirements(project.pyproject) == ["torch>=2.9.1", "torchvision>=0.24.1", "numpy"]
    assert project.installed("linux-x86_64")["pytorch-triton-rocm"] == "3.5.1"


@pytest.mark.parametrize(
    ("answers", "linux", "mac"),
    [
        pytest.param(
            {"torch_version": "2.9.1", "torch_backend": "cpu"}, "0.9.1", "0.9.1", id="cpu-of-pypi"
        ),
        pytest.param(
            {"torch_version": "2.9.1", "torch_backend": "cu128"}, "0.9.1+cu128", "0.9.1", id="cuda"
        ),
        pytest.param(
            {"torch_version": "2.13.0", "torch_backend": "cpu"}, "0.16.0+cpu", "0.16.0", id="index"
        ),
        pytest.param(
            {"torch_version": "2.8.0", "torch_backend": "cpu"}, "0.7.0", "0.7.0", id="newest-pair"
        ),
    ],
)
def test_torchcodec_is_paired(bake: Bake, answers: dict[str, str], linux: str, mac: str) -> None:
    project = bake(
        **answers,
        python_version="3.11",
        companions="torchvision torchcodec",
        platforms="linux-x86_64 macos-arm64",
    )
    prove(project)
    assert project.installed("linux-x86_64")["torchcodec"] == linux
    assert project.installed("macos-arm64")["torchcodec"] == mac


@pytest.mark.parametrize("layout", ["markers", "extras", "groups"])
def test_a_companion_is_taken_where_it_has_wheels(bake: Bake, layout: str) -> None:
    project = bake(
        torch_version="2.9.1",
        python_version="3.11",
        torch_backend="cu128",
        layout=layout,
        companions="torchvision torchcodec?",
    )
    prove(project)
    option = project.plan.default.sync
    assert project.installed("linux-x86_64", *option)["torchcodec"] == "0.9.1+cu128"
    assert project.installed("windows-x86_64", *option)["torchcodec"] == "0.9.1"
    assert "torchcodec" not in project.installed("linux-aarch64", *option)


@pytest.mark.parametrize("layout", ["markers", "extras", "groups"])
def test_a_cpu_build_of_a_companion_serves_builds_without_their_own(
    bake: Bake, layout: str
) -> None:
    """From the CPU's index, which no other package of these platforms comes from."""
    project = bake(
        torch_version="2.14.1",
        python_version="3.11",
        torch_backend="cu132" if layout == "markers" else "gpu=cu132 cu130",
        layout=layout,
        companions="torchcodec",
        platforms="linux-x86_64 windows-x86_64",
    )
    prove(project)
    option = project.plan.default.sync
    for platform in project.plan.platforms:
        assert project.installed(platform, *option)["torch"] == "2.14.1+cu132"
        assert project.installed(platform, *option)["torchcodec"] == "0.16.0+cpu"


def test_a_platform_has_an_index_of_its_own(bake: Bake, replica: Replica) -> None:
    """The index of Jetson and its like: complete, unlabelled, and nothing of it is known."""
    project = bake(
        torch_version="2.8.0",
        python_version="3.11",
        torch_backend="cu128",
        companions="none",
        platforms=f"linux-x86_64 linux-aarch64=cu129@{replica.url}/cu129",
    )
    indexes = {entry["name"]: entry for entry in project.pyproject["tool"]["uv"]["index"]}
    assert indexes["pytorch-cu129-linux-aarch64"] == {
        "name": "pytorch-cu129-linux-aarch64",
        "url": f"{replica.url}/cu129",
        "explicit": True,
    }
    project.lock()
    assert project.installed("linux-aarch64")["torch"].startswith("2.8.0")
    assert project.installed("linux-x86_64")["torch"] == "2.8.0+cu128"


def test_an_index_of_others_may_have_what_pytorch_does_not_publish(bake: Bake) -> None:
    project = bake(
        torch_version="2.9.1",
        torch_backend="cu131",
        python_version="3.11",
        platforms="linux-x86_64 macos-arm64",
        pytorch_index="own:https://example.com/whl",
    )
    linux, mac = project.plan.default.cells
    assert (linux.build, mac.build) == ("cu131", "cpu")
    note, *_ = project.plan.notes
    assert note.text.startswith("PyTorch does not publish these builds")


def test_the_next_companion_is_data_alone(bake: Bake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A companion that nobody has heard of, in the facts and nowhere else."""
    tables = FACTS._data["wheels"]["torchvision"]["0.24.1"]  # a copy of real data
    releases = FACTS._data["releases"]
    data = {
        **FACTS._data,
        "releases": {
            **releases,
            "2.9.1": {
                **releases["2.9.1"],
                "companions": {"torchvision": "0.24.1", "torchsmell": "0.3.0"},
            },
        },
        "wheels": {**FACTS._data["wheels"], "torchsmell": {"0.3.0": tables}},
        "labelled_since": {
            **FACTS._data["labelled_since"],
            "torchsmell": {"linux-x86_64": "0.1.0", "windows-x86_64": "0.1.0"},
        },
    }
    more = Facts(data)
    with Replica(more) as smelling:
        more.pytorch_mirrors["smelling"] = Mirror(smelling.url, flat=False, hosts=("127.0.0.1",))
        for module in ("extension", "project.plan"):
            monkeypatch.setattr(f"torch_plan.{module}.load_facts", lambda: more)
        monkeypatch.setattr("tests.conftest.load_facts", lambda: more)
        project = bake(
            torch_version="2.9.1",
            python_version="3.11",
            torch_backend="cu128",
            companions="torchsmell",
            pytorch_index=smelling.url,
        )
        prove(project)
        assert project.installed("linux-x86_64")["torchsmell"] == "0.3.0+cu128"
        assert project.installed("linux-aarch64")["torchsmell"] == "0.3.0"


def test_likely_builds_have_the_pythons_of_others(bake: Bake) -> None:
    project = bake(**LIKELY)
    project.lock()
    newest = project.plan.pythons[-1]
    got = installed(project.path, "linux-aarch64", "--python", interpreter(newest))
    assert got["torch"] == "2.15.0+cu130"


def likely_cells() -> list[object]:
    return [
        pytest.param(entry["release"], entry["index"], platform, marks=pytest.mark.slow)
        for entry in FACTS._data["likely"]
        for platform in entry["platforms"].split()
    ]


@pytest.fixture(scope="module")
def published() -> Iterator[Replica]:
    with Replica() as running:
        yield running


@pytest.mark.parametrize(("release", "backend", "platform"), likely_cells())
def test_every_likely_build_is_served_or_fails_at_the_lock(
    bake: Bake,
    published: Replica,
    monkeypatch: pytest.MonkeyPatch,
    release: str,
    backend: str,
    platform: str,
) -> None:
    serve(published, monkeypatch)
    answers = {
        "torch_version": release,
        "torch_backend": backend,
        "python_version": FACTS.pythons("torch", release, backend, platform)[0],
        "companions": "none",
        "platforms": platform,
    }
    prove(bake(**answers))
    missing = bake(**answers, pytorch_index=published.url, project_slug="missing")
    assert any(cell.is_likely for cell in missing.plan.cells)
    with pytest.raises(UvError, match="No solution found"):
        missing.lock()
