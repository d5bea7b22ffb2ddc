"""A platform is known by its tags and by its machine."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from torch_plan.catalog.platforms import platform_of
from torch_plan.machine.host import host_platform


def test_platforms_are_known_by_their_tags_and_by_their_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert platform_of("manylinux_2_17_x86_64.manylinux2014_x86_64") == "linux-x86_64"
    assert platform_of("manylinux_2_28_s390x") == ""
    monkeypatch.setattr("platform.machine", lambda: "AMD64")
    monkeypatch.setattr("os.uname", lambda: SimpleNamespace(machine="riscv64"), raising=False)
    for system, name in (("win32", "windows-x86_64"), ("linux", "")):
        monkeypatch.setattr("sys.platform", system)
        assert host_platform() == name
