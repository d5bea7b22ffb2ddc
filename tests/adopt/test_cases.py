"""Small files of the kinds that people have: what is installed today, what is wrong, the mend."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.adopt.helpers import ARM, LINUX, MAC, WINDOWS, Said, Shop
from tests.adopt.test_answers import EXTRAS, HEAD, index
from tests.conftest import PYTHON
from tools.lib.lock import run_uv
from tools.lib.replica import Replica

CASES = Path(__file__).with_name("cases")


def put(shop: Shop, name: str) -> None:
    """Put the files of a case into the shop."""
    for path in sorted((CASES / name).rglob("pyproject.toml")):
        shop.put(path.read_text(encoding="utf-8"), str(path.relative_to(CASES / name)))


def row(said: Said, option: str = "uv sync", when: str = "today", python: str = "") -> list[str]:
    """Return what the usual platforms get."""
    return [said.builds(platform, option, when, python) for platform in (LINUX, ARM, MAC, WINDOWS)]


PYPI_2_9_1 = ["2.9.1+cu128", "2.9.1+cpu", "2.9.1+cpu", "2.9.1+cpu"]

RIGHT = {
    "d": ["2.8.0+cu128", "2.8.0+cpu", "2.8.0+cpu", "2.8.0+cpu"],
    "f3": ["2.11.0+cu130", "2.11.0+cu130", "2.11.0+cpu", "2.11.0+cpu"],
    "f3b": ["2.11.0+cu130", "2.11.0+cu130", "2.11.0+cpu", "2.11.0+cpu"],
    "f7": ["2.3.0+cu121", "2.3.0+cpu", "2.3.0+cpu", "2.3.0+cpu"],
    "f11": ["2.9.1+cu128", "-", "-", "-"],
    "f12": ["2.9.1+cu128", "-", "-", "2.9.1+cu128"],
    "f16": ["2.9.1+cu128", "2.9.1+cu128", "-", "-"],
    "f17": ["2.3.0+cu121", "!jaxlib", "2.3.0+cpu", "2.3.0+cpu"],
}
"""Files without a fault -> what they install."""


@pytest.mark.parametrize("name", RIGHT)
def test_a_file_without_a_fault(name: str, shop: Shop) -> None:
    put(shop, name)
    said = shop.run("--check", "--strict")
    assert row(said) == RIGHT[name]
    assert (said.findings, said.status) == ([], 0)


def test_a_platform_that_the_lock_is_not_for_is_told_apart(shop: Shop) -> None:
    put(shop, "f12")
    status, text = shop.print("--check")
    assert status == 0
    assert "    macos-arm64     not in the lock" in text.splitlines()


def test_a_release_for_each_python(shop: Shop) -> None:
    """Two requirements that no one release satisfies are two that no one Python has."""
    put(shop, "f6")
    said = shop.run("--check", "--strict")
    assert (said.findings, said.status) == ([], 0)
    got = {
        cell["python"]: cell["packages"]["torch"]["version"]
        for cell in said.data["today"]
        if cell["platform"] == LINUX
    }
    assert {python for python in got if got[python] == "2.6.0"} == {"3.10", "3.11", "3.12", "3.13"}
    assert len({*got.values()}) == 2


def mended(shop: Shop, name: str, *words: str) -> Said:
    """Mend a case; a second time there is nothing to do."""
    put(shop, name)
    said = shop.run("--write", *words)
    assert said.status == 0
    again = shop.run("--check")
    assert (again.status, again.levels.count("broken")) == (0, 0)
    return said


def sources(shop: Shop) -> Any:
    return shop.read()["tool"]["uv"]["sources"]


def test_a_companion_stays_where_it_has_a_wheel(shop: Shop) -> None:
    said = mended(shop, "f1")
    assert row(said) == ["2.8.0+cu128", "!torch", "!torch", "2.8.0+cu128"]
    assert row(said, when="after") == ["2.8.0+cu128", "2.8.0+cpu", "2.8.0+cpu", "2.8.0+cu128"]
    assert shop.read()["project"]["dependencies"][1] == (
        "torchcodec==0.7.0; platform_machine != 'aarch64'"
    )
    codec = {
        cell["platform"]: cell["packages"].get("torchcodec", {}).get("version")
        for cell in said.data["after"]
    }
    assert codec == {LINUX: "0.7.0", ARM: None, MAC: "0.7.0", WINDOWS: "0.7.0"}


@pytest.mark.parametrize("name", ["f2", "f2n"])
def test_the_build_of_torch_does_not_follow_a_companion(name: str, shop: Shop) -> None:
    said = mended(shop, name, "--advice")
    assert row(said) == ["2.9.0+cu128", "!torchcodec", "2.9.0+cpu", "2.9.0+cu128"]
    assert row(said, when="after") == ["2.9.0+cu128", "2.9.0+cu128", "2.9.0+cpu", "2.9.0+cu128"]
    assert shop.read()["project"]["dependencies"] == [
        "torch==2.9.0",
        "torchcodec==0.8.0 ; platform_machine != 'aarch64'",
    ]
    assert len(shop.read()["tool"]["uv"]["index"]) == 1


def test_torch_stays_in_the_dependencies_of_a_library(shop: Shop) -> None:
    put(shop, "f4")
    before = shop.read()
    said = shop.run("--write")
    assert row(said) == ["2.15.0+cu132", "2.15.0+cu132", "2.15.0+cpu", "2.15.0+cpu"]
    assert row(said, "uv sync --extra cpu") == ["2.15.0+cpu"] * 4
    cuda = row(said, "uv sync --extra cuda")
    assert cuda == ["2.13.0+cu129", "2.13.0+cu129", "!torch", "!torch"]
    # Who has a Mac takes the other extra, as in the example of uv's guide.
    assert said.findings == []
    assert shop.read() == before


def test_exact_pins_stay_exact(shop: Shop) -> None:
    said = mended(shop, "f5", "torch_version=2.9.1", "torch_backend=cu128")
    runtime = row(said, "uv sync --extra runtime", "after")
    assert runtime == ["2.9.1+cu128", "2.9.1+cu128", "2.9.1+cpu", "2.9.1+cu128"]
    extras = shop.read()["project"]["optional-dependencies"]
    assert all("==2.9.1" in line for line in extras["runtime"])
    assert extras["light"] == ["torch>=2.4"]


def test_windows_calls_its_machine_by_another_name(shop: Shop) -> None:
    said = mended(shop, "f8")
    assert row(said) == PYPI_2_9_1
    assert said.findings[0][1].startswith("The CPU build of torch is installed on windows-x86_64")
    assert row(said, when="after") == ["2.9.1+cu128", "2.9.1+cpu", "2.9.1+cpu", "2.9.1+cu128"]


GPU, OTHERS = "platform_machine == 'x86_64'", "platform_machine != 'x86_64'"


@pytest.mark.parametrize(
    ("marker", "other"),
    [
        (GPU, OTHERS),
        (f"{GPU} and sys_platform != 'darwin'", f"{OTHERS} or sys_platform == 'darwin'"),
        ("'x86_64' == platform_machine", ""),
        ("platform_machine in 'x86_64' and sys_platform != 'darwin'", ""),
    ],
)
def test_windows_is_left_out_by_a_spelling(marker: str, other: str, shop: Shop) -> None:
    """Where another source holds, the way is told."""
    cpu = f'{{ index = "pytorch-cpu", marker = "{other}" }}' if other else ""
    torch = f'torch = [{{ index = "pytorch-cu128", marker = "{marker}" }}, {cpu}]\n'
    sources = f"[tool.uv.sources]\n{torch}{index('cpu')}{index('cu128')}"
    path = shop.put(f'{HEAD}dependencies = ["torch==2.9.1"]\n{sources}')
    before = path.read_bytes()
    said = shop.run("--write")
    assert row(said) == PYPI_2_9_1
    (finding,) = said.data["findings"]
    assert finding["text"].startswith("The CPU build of torch is installed on windows-x86_64")
    assert "`platform_machine == 'AMD64'` too" in finding["way"]
    assert (finding["level"], path.read_bytes() == before) == ("broken", bool(other))
    assert other or said.builds(WINDOWS, when="after") == "2.9.1+cu128"


def test_windows_is_left_out_in_words(shop: Shop) -> None:
    """The file says Linux: that is told, and not changed unless somebody asks."""
    put(shop, "f8b")
    said = shop.run("--check")
    assert (said.status, said.levels) == (0, ["advice"])
    assert row(said) == ["2.9.1+cu128", "2.9.1+cu128", "2.9.1+cpu", "2.9.1+cpu"]
    assert shop.run("--check", "--strict").status == 1
    before = shop.read()
    assert shop.run("--write").status == 0
    assert shop.read() == before
    assert shop.run("--write", "--advice").status == 0
    assert shop.run("--check", "--strict").findings == []


def test_torch_that_another_package_brings(shop: Shop) -> None:
    said = mended(shop, "f9")
    assert row(said)[0].endswith("+cu132")
    assert {one.partition("+")[2] for one in row(said, when="after")} == {"cpu"}
    assert shop.read()["project"]["dependencies"] == ["sentence-transformers>=3", "torch"]


TRITON = "pytorch-triton-rocm==3.5.1 ; sys_platform == 'linux' and platform_machine == 'x86_64'"


def test_a_companion_that_another_package_brings_is_required_with_torch(shop: Shop) -> None:
    shop.put(CPU.replace('"torch==2.9.1", "torchvision==0.24.1"', '"timm>=1.0"'))
    said = shop.run("--write")
    assert said.levels == ["broken"]
    assert shop.read()["project"]["dependencies"] == ["timm>=1.0", "torch", "torchvision"]
    assert shop.run("--check").status == 0


def test_a_marker_may_leave_out_a_platform_of_a_torch_that_another_package_brings(
    shop: Shop,
) -> None:
    workspace = '[tool.uv.workspace]\nmembers = ["core"]\n[tool.uv.sources]\n'
    core = 'core = { workspace = true }\ntorch = { index = "pytorch-cu128", marker = '
    shop.put(f"""{HEAD}dependencies = ["core"]
{workspace}{core}"sys_platform != 'darwin'" }}\n{index("cu128")}""")
    member = HEAD.replace("sample", "core") + 'dependencies = ["torch==2.9.1"]\n'
    shop.put(member, "core/pyproject.toml")
    assert shop.run("--check", "--strict").findings == []


def test_an_extra_in_a_marker(shop: Shop) -> None:
    said = mended(shop, "f10")
    nvidia = row(said, "uv sync --extra nvidia", "after")
    assert nvidia[0] == "2.9.1+cu128"
    amd = row(said, "uv sync --extra amd", "after")
    assert amd == ["2.9.1+rocm6.4", "!pytorch-triton-rocm,torch", "2.9.1+cpu", "!torch"]
    assert shop.read()["project"]["optional-dependencies"] == {
        "amd": ["torch==2.9.1", TRITON],
        "nvidia": ["torch==2.9.1"],
    }
    text = (shop.folder / "pyproject.toml").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines()]
    assert 'index = "rocm"' in lines[lines.index("# AMD cards") + 1]
    assert 'index = "cuda"' in lines[lines.index("# NVIDIA cards") + 1]
    assert lines[lines.index("# the AMD index") + 2] == 'name = "rocm"'
    assert lines[lines.index("# the NVIDIA index") + 2] == 'name = "cuda"'


def test_a_locked_release_that_is_known_not_to_work(shop: Shop) -> None:
    put(shop, "f13")
    text = (shop.folder / "pyproject.toml").read_text(encoding="utf-8")
    shop.put(text.replace("torch>=2.6", "torch>=2.6,<2.7"))
    run_uv(shop.folder, "lock")
    shop.put(text)
    said = shop.run("--check")
    assert said.status == 1
    assert said.builds(LINUX) == "2.6.0+cu126"
    assert any(line.startswith("torch 2.6.0+cu126 on linux-x86_64: ") for _, line in said.findings)


def test_the_newest_of_any_index(shop: Shop) -> None:
    """`unsafe-best-match` takes the newest: not that of the index which the file names."""
    put(shop, "f14")
    text = (shop.folder / "pyproject.toml").read_text(encoding="utf-8")
    said = shop.run("--check")
    if said.data["unmeasured"]:  # the replica refuses what it lacks
        pytest.fail(str(said.data["unmeasured"]))
    assert said.builds(WINDOWS).endswith("+cpu")
    assert any(line.startswith("`index-url` names the build cu121") for _, line in said.findings)
    assert shop.read() == tomllib.loads(text)


@pytest.mark.parametrize("path", ["", "a"])
def test_a_workspace_is_read_from_its_root_and_from_a_member(path: str, shop: Shop) -> None:
    put(shop, "f15")
    said = shop.run("--check", "--strict", path=path)
    assert (said.status, said.findings) == (0, [])
    packages = {cell["package"] for cell in said.data["today"]}
    assert packages == ({"a"} if path else {"root", "a"})
    assert all(cell["packages"]["torch"]["version"] == "2.15.0" for cell in said.data["today"])


def test_a_copy_of_the_index(shop: Shop) -> None:
    """The other spelling of a mirror is one entry, and its build is known."""
    said = mended(shop, "nju")
    after = row(said, when="after", python="3.12")
    assert after == ["2.6.0+cu124", "!torch,torchvision", "2.6.0+cpu", "2.6.0+cu124"]
    assert [level for level in said.levels if level == "broken"] == ["broken", "broken"]
    assert [one["name"] for one in shop.read()["tool"]["uv"]["index"]] == [
        "pypi-cn",
        "pytorch-cu124",
    ]


def test_a_wheel_of_another_platform(shop: Shop) -> None:
    """One index has a label for each platform, and uv takes one version where it can."""
    shop.put(CPU)
    said = shop.run("--write")
    assert said.builds(WINDOWS, python="3.13") == "!torchvision"
    assert any("is a wheel of other platforms" in line for _, line in said.findings)
    assert [said.builds(one, when="after") for one in (LINUX, WINDOWS)] == ["2.9.1+cpu"] * 2
    assert len(shop.read()["tool"]["uv"]["environments"]) == 4


@pytest.mark.parametrize("pythons", [">=3.12,<3.14", ">=3.12"])
def test_an_extra_that_another_one_does_not_replace(pythons: str, shop: Shop) -> None:
    """A GPU extra has nothing for a Mac, and the newest Python no torch: that alone is no fault."""
    text = EXTRAS.replace('"torch==2.9.1"', '"torch==2.9.1", "torchvision==0.24.1"')
    line = next(line for line in text.splitlines() if line.startswith("torch = "))
    text = text.replace(line, f"{line}\n{line.replace('torch', 'torchvision', 1)}")
    shop.put(text.replace(">=3.11,<3.14", pythons).replace('"lightning"', ""))
    said = shop.run("--write")
    broken = [line for level, line in said.findings if level == "broken"]
    assert [line.partition(" (")[0] for line in broken] == [
        "uv locked torchvision 0.24.1 for linux-x86_64",
        "uv locked torchvision 0.24.1+d801a34 for windows-x86_64",
    ]
    assert row(said, "uv sync --extra cpu", "after", "3.12") == ["2.9.1+cpu"] * 4
    gpu = row(said, "uv sync --extra gpu", "after", "3.12")
    assert gpu == ["2.9.1+cu128", "2.9.1+cu128", "2.9.1+cpu", "2.9.1+cu128"]
    assert "broken" not in shop.run("--check").levels


def test_a_companion_is_not_given_another_build_than_its_torch(shop: Shop) -> None:
    """CUDA 12.9 has no torchvision for Windows, and PyPI has one for the CPU."""
    text = CPU.replace("2.9.1", "2.9.0").replace("0.24.1", "0.24.0").replace("cpu", "cu129")
    text = text.replace('" }', '", marker = "sys_platform != \'darwin\'" }')
    path = shop.put(text)
    before = path.read_bytes()
    said = shop.run("--write")
    assert said.findings == [
        ("broken", "torchvision 0.24.0+cu129 has no wheel for windows-x86_64.")
    ]
    assert (said.status, path.read_bytes()) == (0, before)


def test_what_nobody_asked_for_is_not_required(shop: Shop) -> None:
    """The environments are those of a project of the template; nothing else of it is one."""
    put(shop, "f12")
    assert shop.run("torch_version=2.8.0", "--write").status == 0
    assert {*shop.read()["tool"]["uv"]} == {"package", "environments", "sources", "index"}


COOLDOWN = """\
[project]
name = "p"
version = "0"
requires-python = ">=3.11,<3.14"
dependencies = ["torch==2.9.1"]
[tool.uv]
exclude-newer = "2026-06-01T00:00:00Z"
[tool.uv.sources]
torch = { index = "pytorch-cpu" }
[[tool.uv.index]]
name = "pytorch-cpu"
url = "https://download.pytorch.org/whl/cpu"
explicit = true
"""


CPU = """\
[project]
name = "p"
version = "0"
requires-python = ">=3.11,<3.14"
dependencies = ["torch==2.9.1", "torchvision==0.24.1"]
[tool.uv.sources]
torch = { index = "pytorch-cpu" }
torchvision = { index = "pytorch-cpu" }
[[tool.uv.index]]
name = "pytorch-cpu"
url = "https://download.pytorch.org/whl/cpu"
explicit = true
"""


def test_a_cooldown_refuses_an_index_without_dates(shop: Shop) -> None:
    """As a mirror is."""
    shop.patch.setattr("tools.lib.replica.uploaded", lambda *_: "")
    with Replica() as mirror:
        shop.replica = mirror
        shop.put(COOLDOWN)
        said = shop.run("--write")
    assert said.data["unmeasured"][""].count("upload date") == 1
    assert row(said, when="after") == ["2.9.1+cpu"] * 4
    assert shop.read()["tool"]["uv"]["exclude-newer-package"] == {"torch": False}


def test_a_cooldown_that_is_older_than_the_dates_of_the_index(shop: Shop) -> None:
    """Of an exact pin uv says nothing about dates then."""
    shop.put(COOLDOWN.replace("2026-06-01", "2026-01-01"))
    said = shop.run("--write")
    assert "upload date" not in said.data["unmeasured"][""]
    assert row(said, when="after") == ["2.9.1+cpu"] * 4
    assert shop.read()["tool"]["uv"]["exclude-newer-package"] == {"torch": False}


def test_an_override_makes_uv_forget_what_a_companion_is_for(shop: Shop) -> None:
    pins = 'dependencies = ["torch==2.9.1", "torchvision==0.22.0"]\n'
    shop.put(HEAD + pins + '[tool.uv]\noverride-dependencies = ["torch==2.9.1"]\n')
    said = shop.run("--check")
    assert said.status == 1
    assert said.findings[0][1].startswith("torchvision 0.22.0 does not go with torch 2.9.1")


def test_a_comment_names_no_platform(shop: Shop) -> None:
    marker = "sys_platform != 'darwin'"
    text = (
        HEAD
        + 'dependencies = ["torch==2.8.0"]\n[tool.uv.sources]\n'
        + f'torch = {{ index = "pytorch-cu128", marker = "{marker}" }}\n'
        + index("cu128")
    )
    shop.put(text)
    said = shop.run("--check")
    assert (said.status, said.levels) == (0, ["advice"])
    shop.put(f"# nobody here has aarch64\n{text}")
    assert shop.run("--check").findings == said.findings


def test_a_project_that_names_no_python(shop: Shop) -> None:
    """Uv takes the Python that locks for the oldest."""
    shop.put('[project]\nname = "p"\nversion = "0"\ndependencies = ["torch"]\n')
    said = shop.run("--check")
    assert (said.status, said.findings) == (0, [])
    assert min(cell["python"] for cell in said.data["today"]) == PYTHON


def test_what_a_mend_leaves_alone(shop: Shop) -> None:
    """Dependencies that users get and the rest of a marker."""
    marker = "sys_platform == 'linux'"
    cpu = f'[tool.uv.sources]\ntorch = {{ index = "pytorch-cpu", marker = "{marker}" }}\n'
    vision = '[project.optional-dependencies]\nvision = ["timm"]\n'
    shop.put(f'{HEAD}dependencies = ["torch==2.9.1"]\n{vision}{cpu}{index("cpu")}')
    assert shop.run("--write").status == 0
    assert shop.read()["project"]["dependencies"] == ["torch==2.9.1"]
    assert "torchvision>=0.24.1" in shop.read()["tool"]["uv"]["constraint-dependencies"]
    marker = "platform_machine == 'x86_64' and python_version < '3.13'"
    source = f'[tool.uv.sources]\ntorch = {{ index = "pytorch-cu128", marker = "{marker}" }}\n'
    shop.put(f'{HEAD}dependencies = ["torch==2.9.1"]\n{source}{index("cu128")}')
    said = shop.run("--write")
    assert said.builds(WINDOWS, when="after", python="3.12") == "2.9.1+cu128"
    assert said.builds(WINDOWS, when="after", python="3.13") == "2.9.1+cpu"


def test_a_mend_of_one_package_of_a_workspace(shop: Shop) -> None:
    extras = '[project.optional-dependencies]\ncpu = ["torch==2.9.1"]\ngpu = ["torch==2.9.1"]\n'
    sources = '{ index = "pytorch-cpu", extra = "cpu" }, { index = "pytorch-cu128", extra = "gpu" }'
    rest = f"[tool.uv.sources]\ntorch = [{sources}]\n{index('cpu')}{index('cu128')}"
    named = HEAD.replace("sample", "{}") + "dependencies = []\n"
    shop.put(f"{named.format('one')}{extras}{rest}", "one/pyproject.toml")
    shop.put(named.format("two"), "two/pyproject.toml")
    shop.put(named.format("root") + '[tool.uv.workspace]\nmembers = ["one", "two"]\n')
    assert shop.run("--write").status == 0
    (conflict,) = shop.read()["tool"]["uv"]["conflicts"]
    assert {(one["package"], one["extra"]) for one in conflict} == {("one", "cpu"), ("one", "gpu")}
