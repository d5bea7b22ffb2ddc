"""The replica as its clients see it: over plain HTTP, and in the locks that uv makes of it."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urljoin
from urllib.request import urlopen

import pytest

from tests.helpers.interpreters import interpreter
from tests.helpers.worlds import FULL, with_companion, world_with_2_16
from tools.lib.replica import Replica
from torch_plan.catalog.facts import Facts


@pytest.fixture(scope="module")
def replica() -> Iterator[Replica]:
    with Replica() as running:
        yield running


def get(url: str) -> bytes:
    with urlopen(url, timeout=10) as response:
        content: bytes = response.read()
        return content


def status(url: str) -> int:
    try:
        with urlopen(url, timeout=10) as response:
            return int(response.status)
    except HTTPError as error:
        return error.code


def links(url: str) -> dict[str, dict[str, str]]:
    """Return file name -> attributes of its link, with `url` and `sha256` out of `href`."""
    found = {}
    for attributes, text in re.findall(r"<a ([^>]*)>([^<]*)</a>", get(url).decode()):
        values = dict(re.findall(r'([\w-]+)="([^"]*)"', attributes))
        path, _, values["sha256"] = values["href"].partition("#sha256=")
        values["url"] = urljoin(url, path)
        found[text] = values
    return found


def requires(link: dict[str, str]) -> list[str]:
    text = get(link["url"] + ".metadata").decode()
    return [line.removeprefix("Requires-Dist: ") for line in text.splitlines() if "Dist" in line]


def uv(*arguments: str, cwd: Path) -> str:
    """Run uv and return what it said."""
    done = subprocess.run(
        ["uv", *arguments],
        cwd=cwd,
        env=os.environ | {"UV_PYTHON_DOWNLOADS": "never"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def lock(
    folder: Path,
    url: str,
    dependencies: list[str],
    machines: list[str],
    python: str = "3.10",
    *,
    flat: bool = False,
) -> dict[str, dict[str, Any]]:
    """Lock a project for Linux whose dependencies all come from one index; package -> entry."""
    environments = [f"sys_platform == 'linux' and platform_machine == '{m}'" for m in machines]
    names = [dependency.partition("==")[0] for dependency in dependencies]
    sources = "\n".join(f'{name} = {{ index = "pytorch" }}' for name in names)
    (folder / "pyproject.toml").write_text(
        f"""
[project]
name = "tiny"
version = "0"
requires-python = ">={python},<3.15"
dependencies = {json.dumps(dependencies)}

[tool.uv]
environments = {json.dumps(environments)}
required-environments = {json.dumps(environments)}

[[tool.uv.index]]
name = "pytorch"
url = "{url}"
explicit = true
{'format = "flat"' if flat else ""}

[tool.uv.sources]
{sources}
"""
    )
    uv("lock", "--python", interpreter(python), cwd=folder)
    packages = tomllib.loads((folder / "uv.lock").read_text())["package"]
    return {package["name"]: package for package in packages}


def write_wheel(folder: Path, filename: str) -> Path:
    """Write a wheel that can be installed, with one module and no dependency."""
    package, version = filename.split("-")[:2]
    info = f"{package}-{version}.dist-info"
    path = folder / filename
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{package}.py", f"version = {version!r}\n")
        archive.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\nSummary: real\n",
        )
        archive.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: false\n"
            f"Tag: {'-'.join(path.stem.split('-')[2:])}\n",
        )
        archive.writestr(f"{info}/RECORD", f"{package}.py,,\n")
    return path


def test_lock_takes_the_build_of_the_index(replica: Replica, tmp_path: Path) -> None:
    packages = lock(tmp_path, f"{replica.url}/cu128", ["torch==2.9.1"], ["x86_64"])
    assert packages["torch"]["version"] == "2.9.1+cu128"
    assert packages["torch"]["source"] == {"registry": f"{replica.url}/cu128"}
    assert f"{replica.url}/cu128/torch-2.9.1%2Bcu128-cp311-cp311-manylinux_2_28_x86_64.whl" in {
        wheel["url"] for wheel in packages["torch"]["wheels"]
    }
    assert "filelock" in packages


def test_lock_takes_triton_from_the_index(replica: Replica, tmp_path: Path) -> None:
    dependencies = ["torch==2.9.1", "pytorch-triton-rocm==3.5.1"]
    packages = lock(tmp_path, f"{replica.url}/rocm6.4", dependencies, ["x86_64"])
    assert packages["torch"]["version"] == "2.9.1+rocm6.4"
    (wheel,) = (w for w in packages["pytorch-triton-rocm"]["wheels"] if "-cp311-" in w["url"])
    name = "pytorch_triton_rocm-3.5.1-cp311-cp311-manylinux_2_28_x86_64.whl"
    assert wheel["url"] == f"{replica.url}/rocm6.4/{name}"


def test_lock_reads_the_flat_view(replica: Replica, tmp_path: Path) -> None:
    dependencies = ["torch==2.9.1", "torchvision==0.24.1"]
    packages = lock(
        tmp_path, f"http://{replica.host}/flat/cpu", dependencies, ["x86_64", "aarch64"], flat=True
    )
    assert packages["torch"]["version"] == "2.9.1+cpu"
    assert "pillow" in packages


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/cu999/",
        "/pypi/",
        "/cpu/numpy/",
        "/cu128/torch-2.9.1%2Bcu999-cp311-cp311-manylinux_2_28_x86_64.whl.metadata",
        "/cu128/torch.whl",
        pytest.param(
            "/cu128/torch-2.9.1%2Bcu128-cp311-cp311-manylinux_2_28_x86_64.whl", id="no-content"
        ),
    ],
)
def test_403_for_what_is_not_there(replica: Replica, path: str) -> None:
    assert status(replica.url + path) == 403


def test_index_page_lists_its_packages(replica: Replica) -> None:
    assert links(f"{replica.url}/cu128/").keys() >= {"torch", "torchvision"}
    assert links(f"{replica.url}/rocm7.2/").keys() >= {"torch", "torchvision", "triton-rocm"}
    assert "torchaudio" in links(f"{replica.url}/cu128/")
    assert "torchaudio" not in links(f"{replica.url}/cu132/")


def test_every_link_has_its_metadata(replica: Replica) -> None:
    found = links(f"{replica.url}/xpu/torch/")
    for link in found.values():
        sha256 = hashlib.sha256(get(link["url"] + ".metadata")).hexdigest()
        assert link["data-core-metadata"] == link["data-dist-info-metadata"] == f"sha256={sha256}"
    assert len({link["sha256"] for link in found.values()}) == len(found)


def test_metadata_of_a_build(replica: Replica) -> None:
    link = links(f"{replica.url}/rocm6.4/torch/")[
        "torch-2.9.1+rocm6.4-cp313-cp313t-manylinux_2_28_x86_64.whl"
    ]
    assert get(link["url"] + ".metadata").decode().splitlines() == [
        "Metadata-Version: 2.1",
        "Name: torch",
        "Version: 2.9.1+rocm6.4",
        "Requires-Python: >=3.10",
        *(
            f"Requires-Dist: {name}"
            for name in (
                *("filelock", "typing-extensions", "sympy", "networkx", "jinja2", "fsspec"),
                'pytorch-triton-rocm==3.5.1 ; platform_system == "Linux"',
            )
        ),
    ]


@pytest.mark.parametrize(
    ("index", "filename", "expected"),
    [
        ("xpu", "torch-2.9.1+xpu-cp311-cp311-win_amd64.whl", "pytorch-triton-xpu==3.5.0"),
        (
            "rocm5.7",
            "torch-2.3.0+rocm5.7-cp311-cp311-linux_x86_64.whl",
            'pytorch-triton-rocm==2.3.0 ; platform_system == "Linux" and python_version < "3.12"',
        ),
        ("cpu", "torchvision-0.19.0+cpu-cp311-cp311-win_amd64.whl", "numpy<2"),
        ("cpu", "torchvision-0.19.0+cpu-cp311-cp311-linux_x86_64.whl", "numpy"),
        ("cpu", "torchvision-0.24.1-cp313-cp313-macosx_12_0_arm64.whl", "torch==2.9.1"),
        ("cpu", "torchvision-0.24.1+d801a34-cp313-cp313-win_arm64.whl", "torch==2.9.1"),
        ("cpu", "torchvision-0.29.2+cpu-py3-none-win_amd64.whl", "torch>=2.14.0"),
        ("cpu", "torchaudio-2.9.1-cp311-cp311-manylinux_2_28_aarch64.whl", "torch==2.9.1"),
    ],
)
def test_quirks(replica: Replica, index: str, filename: str, expected: str) -> None:
    package = filename.partition("-")[0]
    assert expected in requires(links(f"{replica.url}/{index}/{package}/")[filename])


@pytest.mark.parametrize(
    "filename",
    [
        pytest.param(
            "torchaudio-2.11.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl", id="torchaudio"
        ),
        pytest.param(
            "torchcodec-0.16.0+cpu-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
            id="torchcodec",
        ),
    ],
)
def test_what_goes_with_several_releases_requires_none(replica: Replica, filename: str) -> None:
    package = filename.partition("-")[0]
    assert requires(links(f"{replica.url}/cpu/{package}/")[filename]) == []


def test_macos_wheels_have_no_label(replica: Replica) -> None:
    names = links(f"{replica.url}/cpu/torch/")
    assert "torch-2.9.1-cp313-cp313-macosx_11_0_arm64.whl" in names
    assert "torch-2.9.1-cp313-cp313t-macosx_11_0_arm64.whl" in names
    assert not [name for name in names if "macosx" in name and "+" in name]


def test_facts_may_be_others() -> None:
    data = copy.deepcopy(FULL)
    data["wheels"]["torch"]["2.9.1"]["cu999"] = {"win_amd64": "cp311"}
    with Replica(Facts(data)) as replica:
        assert "torch-2.9.1+cu999-cp311-cp311-win_amd64.whl" in links(f"{replica.url}/cu999/torch/")


@pytest.mark.parametrize(("facts", "likely"), [(None, False), (Facts(FULL), True)])
def test_likely_wheels_are_served_on_demand(facts: Facts | None, likely: bool) -> None:
    names = {
        "torch": "torch-2.15.0+xpu-cp311-cp311-win_amd64.whl",
        "torchvision": "torchvision-0.29.2+xpu-py3-none-win_amd64.whl",
    }
    with Replica(facts) as replica:
        for package, name in names.items():
            assert (name in links(f"{replica.url}/xpu/{package}/")) is likely


def test_lock_takes_a_release_that_the_facts_do_not_know(tmp_path: Path) -> None:
    dependencies = ["torch==2.16.0", "torchvision"]
    with Replica(Facts(world_with_2_16())) as replica:
        packages = lock(tmp_path, f"{replica.url}/cu134", dependencies, ["x86_64"], "3.12")
    assert packages["torch"]["version"] == "2.16.0+cu134"
    assert packages["torchvision"]["version"] == "0.30.0+cu134"


def test_lock_takes_a_companion_that_only_the_facts_know(tmp_path: Path) -> None:
    world = with_companion(FULL, "torch-novelty", {"2.9.0": "7.0", "2.9.1": "7.1"})
    dependencies = ["torch==2.9.1", "torch-novelty"]
    with Replica(Facts(world)) as replica:
        packages = lock(tmp_path, f"{replica.url}/cu128", dependencies, ["x86_64", "aarch64"])
        name = "torch_novelty-7.1+cu128-cp311-cp311-manylinux_2_28_x86_64.whl"
        link = links(f"{replica.url}/cu128/torch-novelty/")[name]
        assert requires(link) == ["torch==2.9.1"]
    assert packages["torch-novelty"]["version"] == "7.1+cu128"


def test_a_real_wheel_may_have_its_name_in_another_form(tmp_path: Path) -> None:
    path = write_wheel(tmp_path, "TorchVision-0.24.1%2Bcpu-cp311-cp311-linux_x86_64.whl")
    with Replica(wheels=[path]) as replica:
        link = links(f"{replica.url}/cpu/torchvision/")[path.name.replace("%2B", "+")]
        assert get(link["url"]) == path.read_bytes()


def test_real_wheel_takes_the_place_of_the_invented_one(tmp_path: Path) -> None:
    path = write_wheel(tmp_path, "torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl")
    with Replica(wheels=[path]) as replica:
        found = links(f"{replica.url}/cpu/torch/")
        assert "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl" not in found
        assert "torch-2.13.0+cpu-cp312-cp312-manylinux_2_28_x86_64.whl" in found
        link = found[path.name]
        assert link["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert get(link["url"]) == path.read_bytes()
        text = get(link["url"] + ".metadata")
        assert b"Summary: real" in text
        assert link["data-core-metadata"] == f"sha256={hashlib.sha256(text).hexdigest()}"


def test_real_wheel_is_installed(tmp_path: Path) -> None:
    path = write_wheel(tmp_path, "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl")
    with Replica(wheels=[path]) as replica:
        uv(
            *("pip", "install", "torch==2.13.0", "--target", "site", "--python", sys.executable),
            *("--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28"),
            *("--default-index", f"{replica.url}/cpu"),
            cwd=tmp_path,
        )
    assert (tmp_path / "site" / "torch.py").read_text() == "version = '2.13.0+cpu'\n"


def test_requests_are_recorded() -> None:
    with Replica() as replica:
        assert status(f"{replica.url}/cu132/torch/") == 200
        assert status(f"{replica.url}/cu999/") == 403
        assert replica.requests == ["/whl/cu132/torch/", "/whl/cu999/"]
