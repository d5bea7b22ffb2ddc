"""A platform is known by its tags, by its machine, and by what its system says of itself."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from torch_plan.catalog.platforms import platform_of
from torch_plan.machine.system import host_platform, host_system


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


@pytest.mark.parametrize(
    ("system", "libc", "said"),
    [
        ("linux", "glibc 2.31", ("glibc", (2, 31))),
        ("linux", None, None),
        ("darwin", None, ("macOS", (14, 5))),
        ("win32", "", None),
    ],
)
def test_the_version_of_a_system_is_its_own_word(
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    libc: str | None,
    said: tuple[str, tuple[int, ...]] | None,
) -> None:
    monkeypatch.setattr("sys.platform", system)
    # Windows has no such function, and musl no such name.
    monkeypatch.setattr("os.confstr", lambda name: libc, raising=False)
    monkeypatch.setattr("platform.mac_ver", lambda: ("14.5.1", ("", "", ""), ""))
    assert host_system() == said
