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
    uv_name: str
    """uv's name for it (`uv sync --help`, `--python-platform`)."""
    runner: str
    """The runner that GitHub has for it."""


_ROWS = (
    ("linux-x86_64", "linux", "x86_64", "Linux", "x86_64-unknown-linux-gnu", "ubuntu-latest"),
    ("linux-aarch64", "linux", "aarch64", "Linux", "aarch64-unknown-linux-gnu", "ubuntu-24.04-arm"),
    ("macos-arm64", "darwin", "arm64", "macOS", "aarch64-apple-darwin", "macos-latest"),
    ("macos-x86_64", "darwin", "x86_64", "macOS", "x86_64-apple-darwin", "macos-15-intel"),
    ("windows-x86_64", "win32", "AMD64", "Windows", "x86_64-pc-windows-msvc", "windows-latest"),
    ("windows-arm64", "win32", "ARM64", "Windows", "aarch64-pc-windows-msvc", "windows-11-arm"),
)

PLATFORMS = {name: Platform(name, *names) for name, *names in _ROWS}
"""Every platform by name, in the order in which lists name them."""

_TAG_STARTS = {"linux": ("manylinux", "linux_"), "darwin": ("macosx_",), "win32": ("win_",)}
"""How the platform tags of a system's wheels begin; they end with the machine."""


@cache
def platform_of(platform_tag: str) -> str:
    """Return the platform that a wheel's platform tag is for (`win_amd64`: `windows-x86_64`).

    A compressed set counts as its last tag. Empty for one that has no name here, such as s390x.
    """
    tag = platform_tag.rpartition(".")[2]
    for name, entry in PLATFORMS.items():
        starts, end = _TAG_STARTS[entry.sys_platform], f"_{entry.platform_machine.lower()}"
        if tag.startswith(starts) and tag.endswith(end):
            return name
    return ""
