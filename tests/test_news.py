"""What is known since the autumn of 2026, and what is not known yet, and uv's word on it."""

from __future__ import annotations

import re

import pytest

from tests.conftest import Bake
from tests.helpers.proof import prove
from tools.lib.lock import UvError


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
