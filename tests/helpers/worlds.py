"""Facts as they might be: of few releases, with a release or a companion nobody knows yet."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from torch_plan.catalog.facts import BUILDS_PATH, Facts
from torch_plan.catalog.versions import version_key

Data = dict[str, Any]

FULL: Data = json.loads(BUILDS_PATH.read_text(encoding="utf-8"))


def facts_of(data: Data, keep: Callable[[str], bool]) -> Data:
    """Return the facts of some releases only, and nothing likely."""
    kept = copy.deepcopy(data) | {"likely": []}
    kept["releases"] = {name: entry for name, entry in kept["releases"].items() if keep(name)}
    versions = {"torch": set(kept["releases"])}
    for entry in kept["releases"].values():
        for companion, text in entry["companions"].items():
            versions.setdefault(companion, set()).update(text.split())
    for package, tables in kept["wheels"].items():
        kept["wheels"][package] = {
            version: tables[version] for version in tables if version in versions.get(package, ())
        }
    return kept


def until(last: str) -> Facts:
    """Return the template's facts up to a release, with what is likely of it."""
    known = FULL["releases"].items()
    kept = {name: entry for name, entry in known if version_key(name) <= version_key(last)}
    return Facts({**FULL, "releases": kept})


def recent(last: str) -> Data:
    """Return the facts from 2.14.0 to a release, without torchcodec: pages quickly read."""
    kept = facts_of(FULL, lambda name: (2, 14) <= version_key(name) <= version_key(last))
    del kept["wheels"]["torchcodec"]
    for entry in kept["releases"].values():
        del entry["companions"]["torchcodec"]
    return kept


def world_with_2_16() -> Data:
    """Return the facts with a release, indexes and tags that nobody has seen yet."""
    world = recent("2.15.0")
    world["releases"]["2.16.0"] = {
        "released": "2026-12-09",
        "companions": {"torchvision": "0.30.0", "torchaudio": "2.11.0"},
        "numpy_1": "",
        "pypi": {
            "linux-x86_64": "cu134",
            "linux-aarch64": "cu134",
            "macos-arm64": "cpu",
            "windows-x86_64": "cpu",
        },
        "triton": {
            "rocm": {"requirement": "triton-rocm==3.10.0", "platforms": "linux-x86_64"},
            "xpu": {
                "requirement": "triton-xpu==3.10.0",
                "platforms": "linux-x86_64 windows-x86_64",
            },
        },
    }
    everywhere = "manylinux_2_28_x86_64 manylinux_2_28_aarch64 macosx_14_0_arm64 win_amd64"
    pythons = "cp312 cp313 cp314 cp315 cp316 cp315t"
    world["wheels"]["torch"]["2.16.0"] = {
        "pypi cpu": {everywhere: pythons},
        "cu132 cu134 xpu": {"manylinux_2_28_x86_64 win_amd64": pythons},
        "rocm10.1": {"manylinux_2_28_x86_64": pythons},
    }
    world["wheels"]["torchvision"]["0.30.0"] = {
        "pypi cpu": {everywhere: "py3"},
        "cu132 cu134 xpu": {"manylinux_2_28_x86_64 win_amd64": "py3"},
        "rocm10.1": {"manylinux_2_28_x86_64": "py3"},
    }
    return world


def with_companion(data: Data, name: str, versions: dict[str, str]) -> Data:
    """Return facts in which releases have one more companion, with torch's own wheels."""
    world = copy.deepcopy(data)
    world["wheels"][name] = {}
    world["labelled_since"][name] = world["labelled_since"]["torch"]
    for release, version in versions.items():
        world["releases"][release]["companions"][name] = version
        world["wheels"][name][version] = world["wheels"]["torch"][release]
    return world
