"""What uv locks before and after: the same release and build on every platform, or the reason."""

from __future__ import annotations

import os
from itertools import count, product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from adopt.__main__ import Adoption, adopt
from tests.adopt.shapes import OFFICIAL, SHAPES, head, index
from tests.helpers.interpreters import interpreter
from tools.lib.lock import UvError, installed, run_uv
from tools.lib.replica import Replica
from torch_plan.catalog.facts import load_facts

Got = dict[tuple[str, str], str]
"""An option and a platform -> the version of torch that uv installs there."""

FACTS = load_facts()
EXAMPLES = int(os.environ.get("COMBINATIONS", "12"))


def locked(folder: Path, found: Adoption) -> Got:
    """Lock a project, and return what each option and platform gets; nothing where uv fails."""
    python = interpreter(found.plan.python)
    try:
        run_uv(folder, "lock", "--python", python)
    except UvError:
        return {}
    groups = "[dependency-groups]" in found.new
    got: Got = {}
    for option, platform in product(found.plan.options, found.plan.platforms):
        kind = "--group" if groups and option.name == "gpu" else "--extra"
        every = ("--all-extras", "--all-groups")
        chosen = (kind, option.name) if found.plan.selector else every
        try:
            got[option.name, platform] = installed(folder, platform, "--python", python, *chosen)[
                "torch"
            ]
        except UvError:
            continue
    return got


def before_and_after(folder: Path, text: str, replica: Replica) -> tuple[Got, Got, Adoption]:
    """Lock a text, adopt it, and lock what came out; each option and platform gets a torch."""
    path = folder / "pyproject.toml"
    path.write_bytes(text.replace(OFFICIAL, replica.url).encode())
    found = adopt(path, {"pytorch_index": replica.url})
    before = locked(folder, found)
    (folder / "uv.lock").unlink(missing_ok=True)
    path.write_bytes(found.new.encode())
    after = locked(folder, found)
    cells = [cell for option in found.plan.options for cell in option.cells]
    assert after == {(it.variant.name, it.platform): it.torch.full_version for it in cells}
    return before, after, found


def check_kept(before: Got, after: Got, found: Adoption) -> None:
    """Check that nothing was locked otherwise before, or that the reason says so."""
    changed = {cell for cell in before if before[cell] != after[cell]}
    if changed:
        assert any("lets platforms lock different releases" in line for line in found.reasons)
        labels = [{got.partition("+")[2] for got in (before[it], after[it])} for it in changed]
        assert all(len(label) == 1 for label in labels), "a build changed, and not only a release"


UNREACHABLE = ("wheels", "extra_index_url")
"""Shapes that name files or indexes which are not served here."""


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SHAPES if name not in UNREACHABLE])
def test_every_shape_locks_as_before(name: str, tmp_path: Path, replica: Replica) -> None:
    check_kept(*before_and_after(tmp_path, SHAPES[name], replica))


def test_extras_without_conflicts_lock_at_last(tmp_path: Path, replica: Replica) -> None:
    before, after, _ = before_and_after(tmp_path, SHAPES["extras"], replica)
    assert before == {}
    assert after["gpu", "linux-x86_64"] == "2.6.0+cu124"


def test_a_companion_gets_the_build_of_torch(tmp_path: Path, replica: Replica) -> None:
    before, after, found = before_and_after(tmp_path, SHAPES["companion_without_source"], replica)
    check_kept(before, after, found)
    assert installed(tmp_path, "linux-x86_64")["torchvision"] == "0.24.1+cu128"


def test_a_project_of_uv_init_and_uv_add(tmp_path: Path, replica: Replica) -> None:
    python = interpreter("3.11")
    run_uv(tmp_path, "init", "--quiet", "--name", "fresh", "--python", python, "--no-workspace")
    (tmp_path / ".python-version").unlink()
    run_uv(tmp_path, "add", "--no-sync", "--python", python, "torch", "numpy")
    text = (tmp_path / "pyproject.toml").read_text(encoding="utf-8")
    found = adopt(tmp_path, {"torch_backend": "cu130", "pytorch_index": replica.url})
    assert found.plan.releases[0] in FACTS.releases
    (tmp_path / "pyproject.toml").write_text(found.new, encoding="utf-8")
    got = locked(tmp_path, found)
    assert got["cu130", "linux-x86_64"] == f"{found.plan.releases[0]}+cu130"
    assert got["cu130", "macos-arm64"] == found.plan.releases[0]
    assert next(line for line in text.splitlines() if "numpy" in line) in found.new


GUIDE = {
    "cpu everywhere": (
        'dependencies = ["torch>=2.7.0", "torchvision>=0.22.0"]\n\n[tool.uv.sources]\n'
        'torch = [{ index = "pytorch-cpu" }]\ntorchvision = [{ index = "pytorch-cpu" }]\n',
        ("cpu",),
    ),
    "CUDA on Linux and Windows": (
        'dependencies = ["torch==2.7.1", "torchvision==0.22.1"]\n\n[tool.uv.sources]\n'
        'torch = [{ index = "pytorch-cu128", marker = "sys_platform == \'linux\' or '
        'sys_platform == \'win32\'" }]\ntorchvision = [{ index = "pytorch-cu128", '
        "marker = \"sys_platform == 'linux' or sys_platform == 'win32'\" }]\n",
        ("cu128",),
    ),
    "ROCm on Linux": (
        'dependencies = [\n  "torch==2.7.1",\n  "torchvision==0.22.1",\n'
        "  \"pytorch-triton-rocm==3.3.1 ; sys_platform == 'linux'\",\n]\n\n[tool.uv.sources]\n"
        + "".join(
            f'{name} = [{{ index = "pytorch-rocm", marker = "sys_platform == \'linux\'" }}]\n'
            for name in ("torch", "torchvision", "pytorch-triton-rocm")
        ),
        ("rocm6.3",),
    ),
    "XPU": (
        'dependencies = ["torch==2.9.1", "pytorch-triton-xpu==3.5.0 ; sys_platform != \'darwin\'"]'
        "\n\n[tool.uv.sources]\n"
        + "".join(
            f'{name} = [{{ index = "pytorch-xpu", marker = "sys_platform == \'win32\' or '
            "sys_platform == 'linux'\" }]\n"
            for name in ("torch", "pytorch-triton-xpu")
        ),
        ("xpu",),
    ),
}
"""The examples of uv's guide, in words of our own, that are not among the shapes."""


@pytest.mark.slow
@pytest.mark.parametrize("name", GUIDE)
def test_examples_of_uvs_guide(name: str, tmp_path: Path, replica: Replica) -> None:
    text, backends = GUIDE[name]
    names = {"rocm6.3": "pytorch-rocm"}
    tables = [index(backend, names.get(backend, "")) for backend in backends]
    before, after, found = before_and_after(tmp_path, head() + text + "".join(tables), replica)
    check_kept(before, after, found)
    assert after


@st.composite
def drawn_projects(draw: DrawFn) -> str:
    """Draw a project whose lock works, as far as one can tell: release, builds, way of writing."""
    release = draw(st.sampled_from(FACTS.releases[-14:]))
    likely = [it for it in FACTS.backends(release) if it in ("cpu", "cu118", "cu126", "cu128")]
    # One of them is published and does not work, and is refused.
    backends = [it for it in likely if not FACTS.hardware.why_broken(release, it, "linux-x86_64")]
    pin = draw(st.sampled_from(["torch=={}", "torch == {}", "torch~={}", "torch (=={})"]))
    pin = pin.format(release)
    companion = FACTS.companions(release)["torchvision"][0]
    vision = draw(st.sampled_from(["", f"torchvision=={companion}", "torchvision"]))
    pins = str([pin, *([vision] if vision else [])]).replace("'", '"')
    layout = draw(st.sampled_from(["one", "one", "extras", "none"]))
    tables = "".join(map(index, backends))
    if layout == "none":
        return head() + f"dependencies = {pins}\n"
    if layout == "one":
        backend = draw(st.sampled_from(backends))
        marker = draw(st.sampled_from(["", "linux", "linux' or sys_platform == 'win32"]))
        when = f", marker = \"sys_platform == '{marker}'\"" if marker else ""
        source = f'{{ index = "pytorch-{backend}"{when} }}'
        text = f"dependencies = {pins}\n\n[tool.uv.sources]\ntorch = {source}\n"
        return head() + text + (f"torchvision = [{source}]\n" if vision else "") + tables
    extras = "".join(f"{it} = {pins}\n" for it in backends)
    sources = ", ".join(f'{{ index = "pytorch-{it}", extra = "{it}" }}' for it in backends)
    conflicts = ", ".join(f'{{ extra = "{it}" }}' for it in backends)
    return (
        head()
        + f"dependencies = []\n\n[project.optional-dependencies]\n{extras}\n"
        + f"[tool.uv]\nconflicts = [[{conflicts}]]\n\n[tool.uv.sources]\ntorch = [{sources}]\n"
        + (f"torchvision = [{sources}]\n" if vision else "")
        + tables
    )


_numbers = count()


@pytest.mark.slow
def test_projects_that_nobody_lists_lock_as_before(tmp_path: Path, replica: Replica) -> None:
    kept = {True: 0, False: 0}

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(drawn_projects())
    def holds(text: str) -> None:
        folder = tmp_path / f"project-{next(_numbers)}"
        folder.mkdir()
        before, after, found = before_and_after(folder, text, replica)
        check_kept(before, after, found)
        kept[bool(before)] += 1

    holds()
    assert kept[True] > 0, kept
