"""The platforms that PyTorch publishes wheels for, and what each is called elsewhere."""

from functools import cache
from typing import NamedTuple


class Platform(NamedTuple):
    """One platform under all of its names."""

    name: str
    sys_platform: str
    """As the PEP 508 marker of this name, and `sys.platform`."""
    platform_machine: str
    """As the PEP 508 marker of this name, and `platform.machine()`."""
    system: str
    """The operating system as people write it."""
    tag_starts: tuple[str, ...]
    """How the platform tags of its wheels begin; they end with `tag_end`."""
    tag_end: str
    uv_name: str
    """uv's name for it (`uv sync --help`, `--python-platform`)."""
    runner: str
    """The runner that GitHub has for it."""


PLATFORMS = {
    entry.name: entry
    for entry in (
        Platform(
            name="linux-x86_64",
            sys_platform="linux",
            platform_machine="x86_64",
            system="Linux",
            tag_starts=("manylinux", "linux_"),
            tag_end="_x86_64",
            uv_name="x86_64-unknown-linux-gnu",
            runner="ubuntu-latest",
        ),
        Platform(
            name="linux-aarch64",
            sys_platform="linux",
            platform_machine="aarch64",
            system="Linux",
            tag_starts=("manylinux", "linux_"),
            tag_end="_aarch64",
            uv_name="aarch64-unknown-linux-gnu",
            runner="ubuntu-24.04-arm",
        ),
        Platform(
            name="macos-arm64",
            sys_platform="darwin",
            platform_machine="arm64",
            system="macOS",
            tag_starts=("macosx_",),
            tag_end="_arm64",
            uv_name="aarch64-apple-darwin",
            runner="macos-latest",
        ),
        Platform(
            name="macos-x86_64",
            sys_platform="darwin",
            platform_machine="x86_64",
            system="macOS",
            tag_starts=("macosx_",),
            tag_end="_x86_64",
            uv_name="x86_64-apple-darwin",
            runner="macos-15-intel",
        ),
        Platform(
            name="windows-x86_64",
            sys_platform="win32",
            platform_machine="AMD64",
            system="Windows",
            tag_starts=("win_",),
            tag_end="_amd64",
            uv_name="x86_64-pc-windows-msvc",
            runner="windows-latest",
        ),
        Platform(
            name="windows-arm64",
            sys_platform="win32",
            platform_machine="ARM64",
            system="Windows",
            tag_starts=("win_",),
            tag_end="_arm64",
            uv_name="aarch64-pc-windows-msvc",
            runner="windows-11-arm",
        ),
    )
}
"""Every platform by name, in the order in which lists name them."""


@cache
def platform_of(platform_tag: str) -> str:
    """Return the platform that a wheel's platform tag is for (`win_amd64`: `windows-x86_64`).

    A compressed set (`manylinux_2_17_x86_64.manylinux2014_x86_64`) counts as its last tag. Empty
    for a platform that the template does not name, such as s390x.
    """
    tag = platform_tag.rpartition(".")[2]
    for name, entry in PLATFORMS.items():
        if tag.startswith(entry.tag_starts) and tag.endswith(entry.tag_end):
            return name
    return ""


def platform_named(sys_platform: str, machine: str) -> str:
    """Return the platform of `linux` and `x86_64`, empty if PyTorch has no wheels for it."""
    for name, entry in PLATFORMS.items():
        if (entry.sys_platform, entry.platform_machine) == (sys_platform, machine):
            return name
    return ""
