"""What is known since the autumn of 2026, and what is not known yet, and uv's word on it."""

from __future__ import annotations

import copy
import re

import pytest

from tests.conftest import Bake
from tests.helpers.proof import prove
from tests.helpers.refusals import FACTS
from tests.helpers.worlds import FULL, world_with_2_16
from tools.lib.lock import UvError
from tools.lib.replica import Replica
from torch_plan.catalog.facts import Facts
from torch_plan.project.plan import Plan, make_plan
from torch_plan.resolution.check import find_problems
from torch_plan.resolution.defaults import complete


def plan(**answers: str) -> Plan:
    """Plan on a machine without a GPU, for Python 3.12."""
    return make_plan(complete({"python_version": "3.12", **answers}, FACTS))


@pytest.mark.parametrize("layout", ["markers", "extras"])
@pytest.mark.parametrize("pin", ["public", "minimum"])
def test_rocm_7_14_takes_amds_packages_from_its_index(bake: Bake, layout: str, pin: str) -> None:
    project = bake(
        torch_version="2.14.1",
        torch_backend="rocm7.14",
        python_version="3.12",
        layout=layout,
        torch_pin=pin,
    )
    prove(project)
    sources = project.pyproject["tool"]["uv"]["sources"]
    assert len([name for name in sources if name.startswith("rocm")]) == 28
    options = ("--extra", "rocm7.14") if layout == "extras" else ()
    got = project.installed("linux-x86_64", *options)
    assert got["torch"] == "2.14.1+rocm7.14"
    assert got["torchvision"] == "0.29.1+rocm7.14"
    assert got["triton-rocm"] == "3.8.0"
    assert got["rocm"] == got["rocm-sdk-device-gfx1250"] == "7.14.0"
    elsewhere = project.installed("macos-arm64", *options)
    assert not [name for name in elsewhere if name.startswith("rocm")]


@pytest.mark.parametrize("backend", ["cpu", "cu132", "rocm7.2", "xpu"])
def test_python_3_15_of_2_14_is_on_pytorchs_index(bake: Bake, backend: str) -> None:
    prove(bake(torch_version="2.14.0", torch_backend=backend, python_version="3.15"))


def test_a_cooldown_may_hold_for_torch_too(bake: Bake) -> None:
    """As the recipe has it; wheels that are older than the dates of the index carry those."""
    project = bake(torch_version="2.13.0", torch_backend="cpu", python_version="3.12")
    manifest = project.path / "pyproject.toml"
    text = project.read("pyproject.toml")
    manifest.write_text(re.sub(r"exclude-newer-package = .*\n", "", text), encoding="utf-8")
    project.uv("lock", "--python", project.python, UV_EXCLUDE_NEWER="2026-11-01")
    assert 'upload-time = "2026-07-08T12:00:00Z"' in project.read("uv.lock")
    (project.path / "uv.lock").unlink()
    with pytest.raises(UvError, match="exclude-newer"):
        project.uv("lock", "--python", project.python, UV_EXCLUDE_NEWER="2026-07-01")


# --- What is not known is not denied --------------------------------------------------------------


@pytest.mark.parametrize("backend", ["cu134", "rocm10.1"])
def test_uv_finds_a_build_that_the_facts_do_not_know(bake: Bake, backend: str) -> None:
    """The index has a 2.16.0; the facts end before it."""
    world = world_with_2_16()
    # Torchvision 0.29 has the stable ABI.
    world["releases"]["2.16.0"]["companions"]["torchvision"] = "0.29.2"
    known = world["wheels"]["torchvision"]["0.29.2"]
    known[backend] = {"manylinux_2_28_x86_64": "py3"}
    with Replica(Facts(world)) as index:
        project = bake(
            torch_version="2.16.0",
            torch_backend=backend,
            python_version="3.12",
            pytorch_index=index.url,
        )
        assert any("and not these builds" in note.text for note in project.plan.notes)
        prove(project)
        got = project.installed("linux-x86_64")
    assert got["torch"] == f"2.16.0+{backend}"
    assert got["torchvision"] == f"0.29.2+{backend}"


def test_a_new_major_leaves_its_companions_open() -> None:
    made = plan(torch_version="3.0.0", torch_backend="cu134", companions="torchvision torchaudio")
    assert {"torchvision", "torchaudio"} <= {*made.dependencies}
    assert "torchvision>=0.29" in plan(torch_version="2.16.0", torch_pin="minimum").dependencies


# --- Indexes of somebody else --------------------------------------------------------------------


def test_the_index_of_one_platform_may_have_any_build(bake: Bake) -> None:
    """As NVIDIA has for Windows on Arm."""
    data = copy.deepcopy(FULL)
    for package, version in (("torch", "2.14.0"), ("torchvision", "0.29.0")):
        data["wheels"][package][version]["cu134"] = {"win_arm64": "cp313"}
    with Replica(Facts(data)) as index:
        project = bake(
            torch_version="2.14.0",
            torch_backend="cpu",
            python_version="3.13",
            platforms=f"linux-x86_64 windows-arm64=cu134@{index.url}/cu134",
        )
        project.lock()
        assert project.installed("windows-arm64")["torch"] == "2.14.0+cu134"
        assert project.installed("linux-x86_64")["torch"] == "2.14.0+cpu"


@pytest.mark.parametrize("word", ["gaudi@", "pypi@", "2.99.0+cu134@"])
def test_no_way_out_names_a_build_of_an_index_that_nobody_has_read(word: str) -> None:
    answers = complete({"platforms": f"windows-arm64={word}https://host/x"}, FACTS)
    ways = [str(way) for problem in find_problems(answers, FACTS) for way in problem.ways]
    assert ways
    assert not [way for way in ways if "@" in way]


@pytest.mark.parametrize("url", ["https://host/whl", "https://mirrors.nju.edu.cn/pytorch/whl"])
def test_a_url_is_a_mirror_that_the_facts_bind(url: str) -> None:
    given = {"torch_version": "2.11.0", "torch_backend": "cu128", "companions": "torchcodec"}
    mirror, nju = (plan(**given, torch_pin="local", pytorch_index=it) for it in (url, "nju"))
    assert mirror.dependencies == nju.dependencies
    assert any(it.startswith("torchcodec==0.11.1+cu128") for it in mirror.dependencies)
    assert mirror.notes == nju.notes
    own = plan(**{**given, "torch_backend": "cu131"}, pytorch_index=f"own:{url}")
    assert own.indexes[0].url == f"{url}/cu131"
    assert any("your index has to have them" in note.text for note in own.notes)


def test_mirrors_nju_is_nju() -> None:
    hosts = plan(pytorch_index="https://mirrors.nju.edu.cn/pytorch/whl", torch_backend="cpu").hosts
    assert hosts == plan(pytorch_index="nju", torch_backend="cpu").hosts


# --- Known to hurt -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"torch_version": "2.14.1", "torch_backend": "xpu"}, ["it computes wrong numbers"]),
        ({"torch_version": "2.13.0", "torch_backend": "xpu"}, []),
        ({"torch_version": "2.13.0", "torch_backend": "rocm7.2"}, ["torch.compile fails"]),
        (
            {"torch_version": "2.14.0", "torch_backend": "rocm7.14"},
            ["it crashes at its first kernel", "some 25 GB"],
        ),
        (
            {"torch_version": "2.14.1", "torch_backend": "cpu", "python_version": "3.15"},
            ["torch.compile raises RuntimeError on Python 3.15"],
        ),
        ({"torch_version": "2.15.0", "torch_backend": "cu132"}, []),
    ],
)
def test_what_was_reported_is_told(bake: Bake, given: dict[str, str], told: list[str]) -> None:
    project = bake(**{"python_version": "3.12", "platforms": "linux-x86_64", **given})
    warnings = [
        it for it in project.plan.warnings if "Python 3.15" not in it or "3.15" in str(given)
    ]
    assert len(warnings) == len(told)
    for warning, part in zip(warnings, told, strict=True):
        assert part in warning
        assert warning in map(str, project.plan.notes)
        assert f"\n{warning}\n" in project.read("README.md")


@pytest.mark.parametrize(
    ("release", "advisories"),
    [("2.5.1", 3), ("2.6.0", 2), ("2.9.1", 2), ("2.10.0", 1), ("2.12.1", 1), ("2.13.0", 0)],
)
def test_advisories_are_told_in_one_line(bake: Bake, release: str, advisories: int) -> None:
    project = bake(torch_version=release, torch_backend="cpu", python_version="3.12")
    told = [warning for warning in project.plan.warnings if "CVE" in warning]
    assert sum(warning.count("CVE-") for warning in told) == advisories
    assert len(told) == bool(advisories)
    assert all(warning in project.read("README.md") for warning in told)
    readme = " ".join(project.read("README.md").split())
    assert "A security update by Dependabot raises torch alone" in readme


def test_the_last_release_of_a_build_is_a_fact_of_the_plan() -> None:
    made = plan(torch_version="2.11.0", torch_backend="cu128")
    assert made.last_releases["cu128"] == "2.11.0"
    assert "cpu" not in made.last_releases
