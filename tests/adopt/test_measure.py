"""The measure agrees with uv's own dry sync, and a mend changes nothing that it is not for."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.adopt.helpers import ARM, LINUX, MAC, WINDOWS, Said, Shop
from tests.adopt.test_answers import HEAD, index
from tests.helpers.interpreters import interpreter
from tools.lib.lock import UvError, installed, run_uv
from torch_plan.catalog.facts import load_facts

FACTS = load_facts()
EXAMPLES = int(os.environ.get("COMBINATIONS", "15"))
USUAL = (LINUX, ARM, MAC, WINDOWS)

MIXED = (
    HEAD
    + """dependencies = ["numpy"]
[project.optional-dependencies]
cpu = ["torch==2.9.1", "torchvision==0.24.1"]
cu126 = ["torch==2.6.0", "torchvision==0.21.0"]
[tool.uv]
conflicts = [[{ extra = "cpu" }, { extra = "cu126" }]]
[tool.uv.sources]
torch = [{ index = "pytorch-cpu", extra = "cpu" }, { index = "pytorch-cu126", extra = "cu126" }]
[[tool.uv.sources.torchvision]]
index = "pytorch-cpu"
extra = "cpu"
[[tool.uv.sources.torchvision]]
index = "pytorch-cu126"
extra = "cu126"
"""
    + index("cpu")
    + index("cu126")
)


@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_a_dry_sync_says_the_same(python: str, shop: Shop) -> None:
    """Missing wheels are seen too: one index holds a label for each platform."""
    shop.put(MIXED)
    run_uv(shop.folder, "lock")
    said = shop.run("--check")
    for extra, platform in ((extra, one) for extra in ("cpu", "cu126") for one in USUAL):
        (cell,) = [
            cell
            for cell in said.data["today"]
            if (cell["option"], cell["platform"], cell["python"])
            == (f"uv sync --extra {extra}", platform, python)
        ]
        try:
            words = ("--python", interpreter(python), "--extra", extra)
            got = installed(shop.folder, platform, *words)
        except UvError:
            assert cell["missing"], (extra, platform)
            continue
        assert not cell["missing"], (extra, platform)
        versions = {name: one["version"] for name, one in cell["packages"].items()}
        assert versions == {name: got[name] for name in versions}
        assert {"torch", "torchvision"} == {*versions}


def test_the_oldest_uv_says_the_same(shop: Shop, oldest_uv: str) -> None:
    shop.put(MIXED)
    newest = shop.run("--check")
    shop.patch.setenv("UV", oldest_uv)
    oldest = shop.run("--check")
    assert (oldest.data["unmeasured"], oldest.findings) == ({}, newest.findings)
    assert oldest.data["today"] == newest.data["today"]


# --- uv's guide -----------------------------------------------------------------------------------

NOT_MAC = "sys_platform == 'linux' or sys_platform == 'win32'"


def sources(*entries: str, packages: tuple[str, ...] = ("torch", "torchvision")) -> str:
    """Return the table of sources, the same for each package."""
    lines = [f"{package} = [{', '.join(entries)}]\n" for package in packages]
    return "[tool.uv.sources]\n" + "".join(lines)


def entry(build: str, more: str = "") -> str:
    return f'{{ index = "pytorch-{build}"{more} }}'


BOTH = 'dependencies = ["torch>=2.9.1", "torchvision>=0.24.1"]\n'
TRITON = ("torch", "torchvision", "triton-rocm")
GUIDE = {
    "PyPI": BOTH,
    "CPU": BOTH + sources(entry("cpu")) + index("cpu"),
    "CUDA": BOTH + sources(entry("cu130", f', marker = "{NOT_MAC}"')) + index("cu130"),
    "CPU but on Linux": BOTH
    + sources(
        entry("cpu", ", marker = \"sys_platform != 'linux'\""),
        entry("cu130", ", marker = \"sys_platform == 'linux'\""),
    )
    + index("cpu")
    + index("cu130"),
    "ROCm": 'dependencies = ["torch==2.10.0", "torchvision==0.25.0", '
    "\"triton-rocm==3.6.0 ; sys_platform == 'linux'\"]\n"
    + sources(entry("rocm7.1", ", marker = \"sys_platform == 'linux'\""), packages=TRITON)
    + index("rocm7.1"),
    "extras": "dependencies = []\n[project.optional-dependencies]\n"
    + "".join(f'{it} = ["torch>=2.9.1", "torchvision>=0.24.1"]\n' for it in ("cpu", "cu130"))
    + '[tool.uv]\nconflicts = [[{ extra = "cpu" }, { extra = "cu130" }]]\n'
    + sources(entry("cpu", ', extra = "cpu"'), entry("cu130", ', extra = "cu130"'))
    + index("cpu")
    + index("cu130"),
}
"""The examples of uv's guide, in words of our own, with builds that the newest release has."""


@pytest.mark.parametrize("name", GUIDE)
def test_examples_of_uvs_guide_have_no_fault(name: str, shop: Shop) -> None:
    shop.put(HEAD + GUIDE[name])
    said = shop.run("--check", "--strict")
    assert (said.findings, said.status, said.data["unmeasured"]) == ([], 0, {})


def test_a_build_that_ended_lets_platforms_drift(shop: Shop) -> None:
    """The same example with CUDA 12.8, which ended: Linux and macOS lock different releases."""
    shop.put(HEAD + GUIDE["CUDA"].replace("cu130", "cu128"))
    said = shop.run("--check")
    assert (said.status, said.levels) == (0, ["drifts"])
    assert shop.run("--check", "--strict").status == 1
    said = shop.run("--write", "--drifts")
    assert [said.builds(one, when="after").partition("+")[0] for one in USUAL] == ["2.11.0"] * 4


def test_the_metadata_of_a_companion_is_believed(shop: Shop) -> None:
    """What was made for 2.15.0 requires torch>=2.14.0, and goes with 2.14.1 for Python 3.10."""
    shop.put(HEAD.replace(">=3.11", ">=3.10") + BOTH)
    said = shop.run("--check", "--strict")
    old = [cell for cell in said.data["today"] if cell["python"] == "3.10"]
    assert {cell["packages"]["torch"]["version"] for cell in old} == {"2.14.1"}
    assert said.findings == []


# --- Files that nobody lists ----------------------------------------------------------------------


@st.composite
def drawn_projects(draw: DrawFn) -> str:
    """Draw a project: release, builds, markers, companions, and how it is written."""
    release = draw(st.sampled_from(FACTS.releases[-14:-4]))
    builds = [one for one in FACTS.backends(release) if one.startswith(("cpu", "cu"))]
    build, other = draw(st.sampled_from(builds)), draw(st.sampled_from(builds))
    pin = draw(st.sampled_from(["torch=={}", "torch~={}", "torch>={}", "torch=={}+{build}"]))
    vision = FACTS.companions(release)["torchvision"][0]
    companion = draw(st.sampled_from(["", f"torchvision=={vision}", "torchvision", "torchaudio"]))
    lines = [pin.format(release, build=build), *filter(None, [companion])]
    required = ", ".join(f'"{line}"' for line in lines)
    markers = ["", "sys_platform != 'darwin'", "sys_platform == 'linux'", MACHINE, NOT_MAC]
    marker = draw(st.sampled_from(markers))
    when = f', marker = "{marker}"' if marker else ""
    packages = ("torch", *filter(None, [draw(st.sampled_from(["", "torchvision"]))]))
    tables = "".join(map(index, dict.fromkeys([build, other])))
    if draw(st.booleans()) or build == other:
        table = sources(entry(build, when), packages=packages)
        return HEAD + f"dependencies = [{required}]\n" + table + tables
    extras = f"a = [{required}]\nb = [{required}]\n"
    conflict = '[tool.uv]\nconflicts = [[{ extra = "a" }, { extra = "b" }]]\n'
    entries = (entry(build, f', extra = "a"{when}'), entry(other, ', extra = "b"'))
    return (
        HEAD
        + f"dependencies = []\n[project.optional-dependencies]\n{extras}"
        + draw(st.sampled_from(["", conflict]))
        + sources(*entries, packages=packages)
        + tables
    )


MACHINE = "platform_machine == 'x86_64' and sys_platform != 'darwin'"

_numbers = count()


def text_of(said: Said, when: str) -> dict[tuple[str, str, str], str]:
    """Return option, platform and Python -> torch with its build, `!` where it cannot be had."""
    return {
        (cell["option"], cell["platform"], cell["python"]): "!"
        if cell["missing"]
        else str(cell["packages"].get("torch"))
        for cell in said.data[when]
    }


def check_mend(shop: Shop, text: str) -> bool:
    """Mend a text: no torch changes but where a finding says that it is broken."""
    shop.folder = shop.folder.parent / f"project-{next(_numbers)}"
    path = shop.put(text)
    written = path.read_bytes()
    said = shop.run("--write")
    if said.status:
        # What cannot be locked, or changes more than it is for, is not written.
        reasons = ("Error: uv would not lock this", "Error: The mend would ")
        assert said.error.startswith(reasons) or said.data["unmeasured"][""], (text, said)
        assert path.read_bytes() == written
        return False
    if "after" not in said.data:
        return False
    before, after = text_of(said, "today"), text_of(said, "after")
    broken = " ".join(line for level, line in said.findings if level == "broken")
    for cell in before:
        assert before[cell] == after[cell] or cell[1] in broken, (text, cell)
        assert before[cell] == "!" or after[cell] != "!", (text, cell)
    again = shop.run("--check")
    assert again.levels.count("broken") <= said.levels.count("broken"), (text, again)
    return True


@pytest.mark.slow
def test_a_mend_changes_no_cell_that_it_is_not_for(shop: Shop) -> None:
    mended = hypothesis_examples(lambda text: check_mend(shop, text))
    assert mended > 0


def hypothesis_examples(check: Callable[[str], bool]) -> int:
    """Return for how many drawn projects a check found something to mend."""
    results: list[bool] = []

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(drawn_projects())
    def run(text: str) -> None:
        results.append(check(text))

    run()
    return sum(results)
