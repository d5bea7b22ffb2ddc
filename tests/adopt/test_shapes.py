"""What comes out of projects as people have them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement

from adopt import Stop
from adopt.__main__ import Adoption, adopt
from tests.adopt import shapes
from tests.adopt.helpers import adopted, indexes, project, reason, uv
from tests.adopt.shapes import REFUSED, SHAPES, head, index

NOT_MAC, MAC = "sys_platform != 'darwin'", "sys_platform == 'darwin'"
CU128 = [
    {"index": "pytorch-cu128", "marker": NOT_MAC},
    {"index": "pytorch-cpu", "marker": MAC},
]
"""The sources of a build that a Mac does not have."""


def held(found: Adoption) -> list[str]:
    """Return the constraints that hold the lock at one version."""
    return [it for it in uv(found).get("constraint-dependencies", []) if "==" in it]


def required_sources(found: Adoption, text: str) -> bool:
    """Tell whether the sources of a text are all there as they were."""
    before = tomllib.loads(text)["tool"]["uv"]["sources"]
    return all(uv(found)["sources"].get(name) == before[name] for name in before)


@pytest.mark.parametrize("name", SHAPES)
def test_each_platform_is_named_and_a_second_time_changes_nothing(
    name: str, tmp_path: Path
) -> None:
    found = adopted(tmp_path, SHAPES[name])
    assert uv(found)["required-environments"] == list(found.plan.environments)
    assert uv(found)["environments"] == list(found.plan.environments)
    assert reason(found, "required-environments: ")


SEVERAL = [name for name in SHAPES if "extra =" in SHAPES[name] or "extra ==" in SHAPES[name]]
"""The shapes with several builds."""


@pytest.mark.parametrize("name", SEVERAL)
@pytest.mark.parametrize(
    "answers",
    [{"torch_backend": "cpu"}, {"torch_backend": "cu130", "torch_version": "2.9.1"}],
    ids=["cpu", "cu130"],
)
def test_one_build_is_left_of_several(name: str, answers: dict[str, str], tmp_path: Path) -> None:
    """The file says all that was asked for: read without the answers it stays as it is."""
    path = tmp_path / "pyproject.toml"
    path.write_text(SHAPES[name], encoding="utf-8")
    found = adopt(tmp_path, answers)
    path.write_text(found.new, encoding="utf-8")
    again = adopt(tmp_path, {})
    assert (again.new, again.reasons) == (found.new, [])
    extras = {*project(found).get("optional-dependencies", {})}
    assert {it["extra"] for it in every_source(found) if "extra" in it} <= extras
    required = {Requirement(it).name for it in project(found)["dependencies"]}
    named = {package for package in required if "extra" in str(uv(found)["sources"].get(package))}
    assert not named, "without the extra it has another index"


def every_source(found: Adoption) -> list[dict[str, str]]:
    """Return every source of a result."""
    values = uv(found).get("sources", {}).values()
    return [it for value in values for it in (value if isinstance(value, list) else [value])]


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_reason(name: str, tmp_path: Path) -> None:
    text, message = REFUSED[name]
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    with pytest.raises(Stop, match=message):
        adopt(tmp_path, {})


def test_a_companion_takes_version_and_source_of_torch(tmp_path: Path) -> None:
    found = adopted(tmp_path, shapes.COMPANION_WITHOUT_SOURCE)
    assert project(found)["dependencies"] == ["rich", "torch==2.9.1", "torchvision==0.24.1"]
    sources = uv(found)["sources"]
    assert sources["torch"] == sources["torchvision"] == sources["torchaudio"] == CU128
    assert indexes(found) == {"pytorch-cu128": "cu128", "pytorch-cpu": "cpu"}
    assert reason(found, "torchvision has no source") == (
        "torchvision has no source: it would not come from the index of its build."
    )
    assert reason(found, "torch comes from the index of its build on each platform.")
    assert "# the logs" in found.new
    assert "# the cluster has CUDA 12.8" in found.new


def test_one_release_where_a_bound_allows_several(tmp_path: Path) -> None:
    """cu128 ends with 2.11.0; the sources are right, and stay as they are written."""
    found = adopted(tmp_path, shapes.CPU_BUT_ON_LINUX)
    assert project(found)["dependencies"] == ["torch==2.11.0", "torchvision==0.26.0"]
    assert required_sources(found, shapes.CPU_BUT_ON_LINUX)
    assert reason(found, "torch>=2.7.0 lets platforms lock different releases: torch==2.11.0.")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (shapes.EXTRAS, "torch comes from the index of its build"),
        (shapes.EXTRA_IN_MARKER, "uv drops `extra`"),
    ],
)
def test_extras_exclude_each_other(text: str, why: str, tmp_path: Path) -> None:
    found = adopted(tmp_path, text)
    assert uv(found)["conflicts"] == [[{"extra": "cpu"}, {"extra": "gpu"}]]
    sources = uv(found)["sources"]["torch"]
    assert sources == uv(found)["sources"]["torchvision"]
    assert sources[0] == {"index": "pytorch-cpu", "extra": "cpu"}
    assert [(source["index"], source["extra"]) for source in sources[1:]] == [
        ("pytorch-cu124", "gpu"),
        ("pytorch-cpu", "gpu"),
    ]
    assert reason(found, "conflicts: ") == (
        "conflicts: extras and groups with different builds exclude each other."
    )
    assert why in reason(found, why)
    assert "polars" in project(found)["optional-dependencies"]["cpu"]


def test_pairs_of_conflicts_stay(tmp_path: Path) -> None:
    before = tomllib.loads(shapes.PAIRED_CONFLICTS)["tool"]["uv"]["conflicts"]
    assert uv(adopted(tmp_path, shapes.PAIRED_CONFLICTS))["conflicts"] == before


def test_extras_of_one_build_can_be_added_up(tmp_path: Path) -> None:
    found = adopted(tmp_path, shapes.SAME_INDEX)
    assert "conflicts" not in uv(found)
    assert uv(found)["sources"] == tomllib.loads(shapes.SAME_INDEX)["tool"]["uv"]["sources"]


def test_an_index_becomes_explicit_and_labels_stand_where_wheels_have_them(tmp_path: Path) -> None:
    found = adopted(tmp_path, shapes.OPEN_INDEX)
    assert indexes(found) == {"torch": "cu124", "pytorch-cpu": "cpu"}
    pins = [text.split(" ; ")[0] for text in project(found)["dependencies"]]
    assert pins == [
        *("torch==2.6.0+cu124", "torch==2.6.0+cpu", "torch==2.6.0"),
        *("torchvision==0.21.0+cu124", "torchvision==0.21.0", "numpy"),
    ]
    assert reason(found, f"The index torch is explicit, at {shapes.OFFICIAL}/cu124.")
    assert reason(found, "torch has no source")


def test_wheels_become_a_version_and_an_index(tmp_path: Path) -> None:
    found = adopted(tmp_path, shapes.WHEELS)
    assert project(found)["dependencies"] == ["torch==2.2.0", "numpy<2"]
    assert uv(found)["sources"]["torch"][0] == {
        "index": "pytorch-cu121",
        "marker": "sys_platform == 'linux' and platform_machine == 'x86_64'",
    }
    assert reason(found, "the URL of a wheel").startswith("For torch 2.2.0: torch==2.2.0, in")
    assert "# one for each Python" in found.new


def test_the_triton_package_of_today(tmp_path: Path) -> None:
    found = adopted(tmp_path, shapes.OBSOLETE_TRITON)
    torch, triton = project(found)["dependencies"]
    assert (torch, triton.split(" ; ")[0]) == ("torch==2.10.0", "triton-rocm==3.6.0")
    sources = uv(found)["sources"]
    assert "pytorch-triton-rocm" not in sources
    assert sources["triton-rocm"]["index"] == sources["torch"][0]["index"] == "amd"
    assert reason(found, "pytorch-triton-rocm leaves") == (
        "pytorch-triton-rocm leaves dependencies: no build of torch 2.10.0 requires it."
    )


def test_a_library_keeps_its_bound(tmp_path: Path) -> None:
    found = adopted(tmp_path, shapes.LIBRARY)
    assert project(found)["dependencies"] == ["torch>=2.6,<2.12"]
    assert held(found) == ["torch==2.11.0"]
    newer = adopted(tmp_path, found.new, torch_version="2.12.0")
    assert project(newer)["dependencies"] == ["torch>=2.12.0"]
    assert held(newer) == ["torch==2.12.0"]


def test_a_library_with_pins_of_its_own(tmp_path: Path) -> None:
    found = adopted(tmp_path, shapes.LIBRARY, torch_pin="public")
    assert project(found)["dependencies"] == ["torch==2.11.0"]
    assert held(found) == []


def test_pins_become_bounds(tmp_path: Path) -> None:
    found = adopted(tmp_path, shapes.COMPANION_WITHOUT_SOURCE, torch_pin="minimum")
    assert project(found)["dependencies"] == ["rich", "torch>=2.9.1", "torchvision"]
    assert held(found) == ["torch==2.9.1", "torchvision==0.24.1"]
    assert project(found)["requires-python"] == ">=3.11"


def test_a_library_keeps_the_bounds_of_its_extras(tmp_path: Path) -> None:
    found = adopted(tmp_path, shapes.LIBRARY_WITH_EXTRAS)
    bounds = ["torch>=2.4", "torchvision>=0.19"]
    extras = project(found)["optional-dependencies"]
    assert extras == {"cpu": [*bounds, "polars"], "gpu": bounds}
    # The newest release that has cu124.
    assert held(found) == ["torch==2.6.0", "torchvision==0.21.0"]


def test_companions_that_nobody_chose_stay_beside_torch(tmp_path: Path) -> None:
    found = adopted(tmp_path, head() + 'dependencies = ["torch==2.9.1"]\n')
    bounds = {it.name: it.specifier for it in map(Requirement, constraints(found))}
    assert "0.24.1" in bounds["torchvision"]
    assert "0.23.0" not in bounds["torchvision"]
    assert reason(found, "where another package requires torchvision").startswith("torchvision>=")
    newer = adopted(tmp_path, found.new, torch_version="2.10.0")
    bounds = {it.name: it.specifier for it in map(Requirement, constraints(newer))}
    assert "0.24.1" not in bounds["torchvision"]


def constraints(found: Adoption) -> list[str]:
    """Return the constraints of what came out."""
    every: list[str] = uv(found)["constraint-dependencies"]
    return every


def test_what_a_cooldown_would_refuse(tmp_path: Path) -> None:
    own = '[tool.uv]\nexclude-newer-package = { rich = "2026-01-01", torchaudio = false }\n'
    found = adopted(tmp_path, shapes.EXTRAS.replace("[tool.uv.sources]", f"{own}[tool.uv.sources]"))
    spared = uv(found)["exclude-newer-package"]
    ours = dict.fromkeys(("torch", "torchvision", "torchaudio"), False)
    assert spared == {"rich": "2026-01-01", **ours}
    assert reason(found, "upload dates")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ">=0.10.0"),
        (">=0.5.3", ">=0.10.0"),
        ("0.9.30", ">=0.10.0"),
        ("<1", ">=0.10.0"),
        ("==0.11.2", "==0.11.2"),
        (">=0.12,<1", ">=0.12,<1"),
    ],
)
def test_the_uv_that_knows_all_of_it(before: str, after: str, tmp_path: Path) -> None:
    setting = f'\n[tool.uv]\nrequired-version = "{before}"\n' if before else ""
    found = adopted(tmp_path, head() + f'dependencies = ["torch==2.9.1"]\n{setting}')
    assert uv(found)["required-version"] == after
    assert any("required-version" in line for line in found.reasons) == (before != after)


def test_one_platform_with_a_release_of_its_own(tmp_path: Path) -> None:
    """The last release for an Intel Mac, beside a newer one for all others."""
    intel = "sys_platform == 'darwin' and platform_machine == 'x86_64'"
    others = "sys_platform != 'darwin' or platform_machine != 'x86_64'"
    text = head(">=3.11,<3.13") + (
        f'dependencies = ["torch==2.2.2 ; {intel}", "torch==2.7.1 ; {others}"]\n'
    )
    found = adopted(tmp_path, text)
    releases = {cell.platform: cell.release for cell in found.plan.default.cells}
    assert releases.pop("macos-x86_64") == "2.2.2"
    assert set(releases.values()) == {"2.7.1"}
    assert project(found)["dependencies"][:2] == tomllib.loads(text)["project"]["dependencies"]
    newer = adopted(tmp_path, text, torch_version="2.9.1", platforms=INTEL_TOO)
    releases = {cell.platform: cell.release for cell in newer.plan.default.cells}
    assert (releases["macos-x86_64"], releases["linux-x86_64"]) == ("2.2.2", "2.9.1")


INTEL_TOO = "linux-x86_64 macos-arm64 macos-x86_64=2.2.2+cpu"


def test_the_pin_goes_where_it_is(tmp_path: Path) -> None:
    constraint = adopted(tmp_path, shapes.CONSTRAINT, torch_version="2.9.1")
    assert project(constraint)["dependencies"] == ["torch"]
    assert held(constraint) == ["torch==2.9.1"]
    assert "rich<20" in uv(constraint)["constraint-dependencies"]
    override = adopted(tmp_path, shapes.OVERRIDE)
    assert project(override)["dependencies"] == ["torch==2.9.1"]
    assert uv(override)["override-dependencies"] == ["torch==2.7.1"]


def test_a_group_keeps_what_it_includes(tmp_path: Path) -> None:
    found = adopted(tmp_path, shapes.GROUP)
    groups = tomllib.loads(found.new)["dependency-groups"]
    assert groups == {"dev": ["pytest", {"include-group": "gpu"}], "gpu": ["torch==2.7.1"]}
    assert uv(found)["sources"]["torch"] == CU128


def test_an_extra_and_a_group_that_exclude_each_other(tmp_path: Path) -> None:
    found = adopted(tmp_path, shapes.EXTRA_AND_GROUP)
    assert uv(found)["conflicts"] == [[{"extra": "cpu"}, {"group": "gpu"}]]
    assert uv(found)["sources"]["torch"] == [
        {"index": "pytorch-cpu", "extra": "cpu"},
        {"index": "pytorch-cu128", "group": "gpu", "marker": NOT_MAC},
        {"index": "pytorch-cpu", "group": "gpu", "marker": MAC},
    ]


def test_the_companion_decides_the_release(tmp_path: Path) -> None:
    found = adopted(tmp_path, shapes.COMPANION_DECIDES)
    assert project(found)["dependencies"] == ["torch==2.8.0", "torchvision==0.23.0"]
    assert "index" not in uv(found)


def test_a_companion_of_another_release(tmp_path: Path) -> None:
    text = head() + 'dependencies = ["torch==2.9.1", "torchvision==0.20.1"]\n'
    found = adopted(tmp_path, text)
    assert project(found)["dependencies"] == ["torch==2.9.1", "torchvision==0.24.1"]
    assert reason(found, "in the place of torchvision==0.20.1") == (
        "For torch 2.9.1: torchvision==0.24.1, in the place of torchvision==0.20.1."
    )


def test_a_default_index_of_pytorch_becomes_one_of_its_own(tmp_path: Path) -> None:
    text = head() + 'dependencies = ["torch==2.6.0", "rich"]\n\n'
    url = f'[tool.uv]\nindex-url = "{shapes.OFFICIAL}/cu124"\n'
    table = index("cu124", explicit=False) + "default = true\n"
    for setting in (url, table):
        found = adopted(tmp_path, text + setting)
        assert indexes(found) == {"pytorch-cu124": "cu124", "pytorch-cpu": "cpu"}
        assert "index-url" not in uv(found)
        assert not [it for it in uv(found)["index"] if "default" in it]


def test_an_index_of_a_company_beside_pypi_does_not_matter(tmp_path: Path) -> None:
    own = '\n[[tool.uv.index]]\nname = "ours"\nurl = "https://packages.example.com/simple"\n'
    found = adopted(tmp_path, head() + 'dependencies = ["torch==2.9.1"]\n' + own)
    assert uv(found)["index"] == [{"name": "ours", "url": "https://packages.example.com/simple"}]
    assert "sources" not in uv(found)


@pytest.mark.parametrize("text", [shapes.EXTRA_INDEX_URL, shapes.FIND_LINKS])
def test_older_settings_become_an_index(text: str, tmp_path: Path) -> None:
    found = adopted(tmp_path, text)
    assert indexes(found) == {"pytorch-cu118": "cu118", "pytorch-cpu": "cpu"}
    assert uv(found).get("extra-index-url", []) in ([], ["https://packages.example.com/simple"])
    assert "find-links" not in uv(found)
    assert reason(found, "any package may come from PyTorch's index")


def test_the_url_of_a_platforms_own_index_names_its_build(tmp_path: Path) -> None:
    text = (
        head()
        + 'dependencies = ["torch==2.8.0"]\n\n[tool.uv.sources]\ntorch = [\n'
        + '  { index = "jetson", marker = "platform_machine == \'aarch64\'" },\n'
        + '  { index = "pytorch-cpu", marker = "platform_machine != \'aarch64\'" },\n]\n'
        + index("cpu")
        + index("jp6/cu126", "jetson", base="https://packages.example.com/pypi")
    )
    found = adopted(tmp_path, text)
    cells = {cell.platform: cell.backend for cell in found.plan.cells}
    assert cells["linux-aarch64"] == "cu126"
    assert {"pytorch-cpu", "jetson"} == {it["name"] for it in uv(found)["index"]}


def test_a_library_keeps_the_pythons_that_it_promises(tmp_path: Path) -> None:
    found = adopted(tmp_path, head(">=3.9", package=True) + 'dependencies = ["torch>=2.1"]\n')
    assert project(found)["requires-python"] == ">=3.9"
    assert project(found)["dependencies"] == ["torch>=2.1"]
    assert "torch==2.8.0" in constraints(found)


def test_new_groups_are_no_default_beside_all_others(tmp_path: Path) -> None:
    groups = '[dependency-groups]\ndev = ["pytest"]\ndocs = ["zensical"]\n'
    text = head() + f'dependencies = []\n\n{groups}\n[tool.uv]\ndefault-groups = "all"\n'
    builds = {"torch_backend": "cpu cu128", "layout": "groups", "torch_version": "2.9.1"}
    found = adopted(tmp_path, text, **builds)
    assert uv(found)["default-groups"] == ["dev", "docs", "cpu"]


def test_an_extra_has_a_release_of_its_own_where_none_has_all_builds(tmp_path: Path) -> None:
    found = adopted(tmp_path, shapes.NO_COMMON_RELEASE)
    assert project(found)["optional-dependencies"] == {
        "cu128": ["torch==2.7.1"],
        "cu124": ["torch==2.6.0"],
        "cu118": ["torch==2.7.1"],
    }


def test_torch_leaves_base_for_extras_with_several_indexes(tmp_path: Path) -> None:
    found = adopted(tmp_path, shapes.BASE_AND_EXTRAS)
    assert project(found)["dependencies"] == []
    pins = ["torch==2.6.0", "torchvision==0.21.0"]
    assert project(found)["optional-dependencies"] == {"cpu": pins, "cuda": pins}
    assert reason(found, "torch>=2.4 leaves") == (
        "torch>=2.4 leaves dependencies: its build is that of cpu or cuda."
    )


def test_torch_stays_in_base_where_each_extra_has_one_index(tmp_path: Path) -> None:
    found = adopted(tmp_path, shapes.BASE_AND_EXTRAS, platforms="linux-x86_64")
    assert project(found)["dependencies"] == ["torch>=2.4", "torchvision"]


def test_what_nothing_uses_goes(tmp_path: Path) -> None:
    found = adopted(tmp_path, shapes.UNUSED)
    assert project(found)["dependencies"] == ["torch==2.6.0"]
    assert {"index", "sources"}.isdisjoint(uv(found))
    assert reason(found, "torchaudio has a source that nothing here needs")
    assert len([line for line in found.reasons if line.startswith("No source uses")]) == 2


def test_an_index_that_others_use_stays(tmp_path: Path) -> None:
    text = (
        head()
        + 'dependencies = ["torch==2.6.0", "xformers"]\n\n[tool.uv.sources]\n'
        + 'xformers = { index = "pytorch-cu124" }\n'
        + index("cu124")
    )
    found = adopted(tmp_path, text)
    assert indexes(found) == {"pytorch-cu124": "cu124"}
    assert uv(found)["sources"] == {"xformers": {"index": "pytorch-cu124"}}


def test_an_index_without_a_name_gets_one(tmp_path: Path) -> None:
    text = (
        head()
        + 'dependencies = ["torch==2.6.0"]\n'
        + index("cpu", explicit=False).replace('name = "pytorch-cpu"\n', "")
    )
    found = adopted(tmp_path, text)
    assert indexes(found) == {"pytorch-cpu": "cpu"}
    assert reason(found, "The index pytorch-cpu is explicit")


def test_numpy_is_held_below_2(tmp_path: Path) -> None:
    found = adopted(tmp_path, shapes.NUMPY_1)
    assert project(found)["dependencies"] == ["torch==2.1.2", "numpy<2"]
    assert project(found)["requires-python"] == ">=3.9,<3.12"
    assert reason(found, "compiled against NumPy 1")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (">=3.11", ">=3.11,<3.15"),
        (">= 3.11, < 3.14", ">= 3.11, < 3.14"),
        (">=3.8", ">=3.10,<3.15"),
        (">=3.8,!=3.12.1,<4", ">=3.10,!=3.12.1,<3.15"),
        ("~=3.12", "~=3.12,<3.15"),
        ("==3.12.*", "==3.12.*"),
        (">=3.11.4", ">=3.11.4,<3.15"),
    ],
)
def test_the_pythons_that_have_wheels(before: str, after: str, tmp_path: Path) -> None:
    found = adopted(tmp_path, head(before) + 'dependencies = ["torch==2.9.1"]\n')
    assert project(found)["requires-python"] == after


def test_a_python_that_was_asked_for(tmp_path: Path) -> None:
    text = head("<3.13,>=3.10") + 'dependencies = ["torch==2.9.1"]\n'
    found = adopted(tmp_path, text, python_version="3.12")
    assert project(found)["requires-python"] == ">=3.12,<3.15"


def test_the_lock_tells_which_release_is_meant(tmp_path: Path) -> None:
    lock = 'version = 1\n[[package]]\nname = "torch"\nversion = "2.8.0+cu128"\n'
    (tmp_path / "uv.lock").write_text(lock, encoding="utf-8")
    found = adopted(tmp_path, shapes.CPU_BUT_ON_LINUX)
    assert project(found)["dependencies"] == ["torch==2.8.0", "torchvision==0.23.0"]


def test_a_new_project_gets_what_is_asked_for(tmp_path: Path) -> None:
    text = head() + 'dependencies = ["rich"]\n'
    asked = {"torch_version": "2.9.1", "torch_backend": "cpu cu128"}
    one = adopted(tmp_path, text, torch_version="2.9.1", torch_backend="cu128")
    assert project(one)["dependencies"] == ["rich", "torch==2.9.1"]
    assert uv(one)["sources"]["torch"] == CU128
    extras = adopted(tmp_path, text, **asked, layout="extras", companions="torchvision")
    pins = ["torch==2.9.1", "torchvision==0.24.1"]
    assert project(extras)["optional-dependencies"] == {"cpu": pins, "cu128": pins}
    groups = adopted(tmp_path, text, **asked, layout="groups")
    assert tomllib.loads(groups.new)["dependency-groups"] == dict.fromkeys(
        ("cpu", "cu128"), pins[:1]
    )
    assert uv(groups)["default-groups"] == ["cpu"]


def test_one_build_becomes_several(tmp_path: Path) -> None:
    text = shapes.COMPANION_WITHOUT_SOURCE
    found = adopted(tmp_path, text, torch_backend="cpu cu128", layout="extras")
    assert project(found)["dependencies"] == ["rich"]
    assert set(project(found)["optional-dependencies"]) == {"cpu", "cu128"}
    assert uv(found)["conflicts"] == [[{"extra": "cpu"}, {"extra": "cu128"}]]


def test_another_build_takes_the_place_of_an_extra(tmp_path: Path) -> None:
    answers = {"torch_version": "2.9.1", "torch_backend": "cpu cu126 cu130"}
    found = adopted(tmp_path, shapes.PAIRED_CONFLICTS, **answers)
    assert set(project(found)["optional-dependencies"]) == {"cpu", "cu126", "cu130"}
    names = [{entry["extra"] for entry in names} for names in uv(found)["conflicts"]]
    assert {"cpu", "cu130"} <= set().union(*names)
    assert all("cu128" not in each for each in names)
    assert "pytorch-cu128" not in indexes(found)


def test_a_mirror_takes_the_place_of_the_index(tmp_path: Path) -> None:
    found = adopted(tmp_path, shapes.CPU_BUT_ON_LINUX, pytorch_index="https://mirror.example/whl/")
    assert indexes(found) == {
        "pytorch-cpu": "https://mirror.example/whl/cpu",
        "pytorch-cu128": "https://mirror.example/whl/cu128",
    }
    flat = adopted(tmp_path, shapes.CPU_BUT_ON_LINUX, pytorch_index="aliyun")
    assert {entry["format"] for entry in uv(flat)["index"]} == {"flat"}


def test_a_mirror_that_the_file_has(tmp_path: Path) -> None:
    mirror = "https://mirror.nju.edu.cn/pytorch/whl"
    text = shapes.CPU_BUT_ON_LINUX.replace(shapes.OFFICIAL, mirror)
    found = adopted(tmp_path, text)
    assert indexes(found) == {
        "pytorch-cpu": f"{mirror}/cpu",
        "pytorch-cu128": f"{mirror}/cu128",
    }


def test_platforms_of_the_file_stay(tmp_path: Path) -> None:
    text = (
        head()
        + 'dependencies = ["torch==2.6.0"]\n\n[tool.uv]\n'
        + "environments = [\"sys_platform == 'linux'\"]\n"
    )
    found = adopted(tmp_path, text)
    assert found.plan.platforms == ("linux-x86_64", "linux-aarch64")
    fewer = adopted(tmp_path, text, platforms="linux-x86_64")
    assert fewer.plan.platforms == ("linux-x86_64",)


@pytest.mark.parametrize(
    ("settings", "platforms"),
    [
        (
            "environments = [\"sys_platform != 'darwin' or platform_machine != 'x86_64'\"]",
            ["linux-x86_64", "linux-aarch64", "macos-arm64", "windows-x86_64"],
        ),
        (
            "required-environments = [\"sys_platform == 'darwin'\"]",
            ["linux-x86_64", "linux-aarch64", "macos-arm64", "macos-x86_64", "windows-x86_64"],
        ),
    ],
)
def test_platforms_that_are_left_out_or_required(
    settings: str, platforms: list[str], tmp_path: Path
) -> None:
    text = head(">=3.10") + f'dependencies = ["torch==2.2.2"]\n\n[tool.uv]\n{settings}\n'
    assert [*adopted(tmp_path, text).plan.platforms] == platforms


def test_pypi_as_an_index_of_its_own(tmp_path: Path) -> None:
    text = (
        shapes.CPU_BUT_ON_LINUX.replace('"pytorch-cpu"', '"pypi"')
        .replace(f"{shapes.OFFICIAL}/cpu", "https://pypi.example/simple")
        .replace(">=2.7.0", "==2.9.1")
    )
    found = adopted(tmp_path, text)
    backends = {cell.platform: cell.backend for cell in found.plan.default.cells}
    assert backends["linux-x86_64"] == "cu128"
    assert backends["windows-x86_64"] == backends["macos-arm64"] == "pypi"
    assert {entry["name"] for entry in uv(found)["index"]} == {"pypi", "pytorch-cu128"}
    assert required_sources(found, text)


def test_platforms_without_torch_can_be_left_out(tmp_path: Path) -> None:
    text, _ = REFUSED["Linux alone"]
    found = adopted(tmp_path, text, platforms="linux-x86_64")
    assert project(found)["dependencies"] == ["torch==2.6.0 ; sys_platform == 'linux'"]


@pytest.mark.parametrize("name", ["torch_version=2.9.1", "torch_backend=cu130 torch_version=2.9.1"])
def test_an_answer_counts_more_than_the_file(name: str, tmp_path: Path) -> None:
    given = dict(word.split("=") for word in name.split())
    found = adopted(tmp_path, shapes.CPU_BUT_ON_LINUX, **given)
    assert project(found)["dependencies"] == ["torch==2.9.1", "torchvision==0.24.1"]
    backends = {cell.platform: cell.backend for cell in found.plan.default.cells}
    assert backends["windows-x86_64"] == backends["macos-arm64"] == "cpu"
    assert backends["linux-x86_64"] == given.get("torch_backend", "cu128")


FOREIGN = (
    "# a remark on {}\n\n",
    "[tool.{}]\nlist = [\n    1,   # one\n\t2,\n]\ntext = '''\n[tool.uv]\n'''\n\n",
    "[[tool.{}]]\nname  =  'torch'\n",
    "[tool.{}.sub]   # of torch\ntorch = {{ index = 'none' }}\n\n\n",
)


@pytest.mark.slow
@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.data())
def test_what_is_not_about_torch_stays_to_the_letter(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Foreign tables and remarks between those of a project change nothing, and do not change."""
    text = data.draw(st.sampled_from(list(SHAPES.values())))
    pieces = re.split(r"^(?=\[)", text.replace("\r\n", "\n"), flags=re.MULTILINE)
    pieces[-1] += "" if pieces[-1].endswith("\n") else "\n"
    foreign: list[str] = []
    whole = pieces[0]
    for piece in pieces[1:]:
        for kind in data.draw(st.lists(st.sampled_from(FOREIGN), max_size=2)):
            foreign.append(kind.format(f"t{len(foreign)}"))
            whole += ("" if whole.endswith("\n\n") or not whole else "\n") + foreign[-1]
        whole += ("" if whole.endswith("\n\n") or not whole else "\n") + piece
    ending = data.draw(st.sampled_from(["\n", "\r\n"]))
    folder = tmp_path_factory.mktemp("project")
    found = adopted(folder, whole.replace("\n", ending))
    assert found.new.count(ending) == found.new.count("\n")
    rest = iter(found.new.replace("\r\n", "\n").splitlines())
    lines = [line for block in foreign for line in block.splitlines() if line]
    assert [line for line in lines if line not in rest] == []
    assert found.reasons == adopted(folder, text).reasons
