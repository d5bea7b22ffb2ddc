"""The words of `torch_backend` and `platforms`, and those that people have for what is in them."""

from __future__ import annotations

import re
from typing import NamedTuple

from torch_plan.catalog.versions import CPU

NUMBERED = ("cu", "rocm")
"""The families whose builds have the version of a toolkit in their name."""

_FAMILIES = {
    ("cu",): "cu cuda nvidia",
    ("rocm",): "rocm hip amd",
    ("xpu",): "intel",
    (CPU,): "cpu-only cpuonly mps metal",  # Metal is in the CPU build of macOS
    (*NUMBERED, "xpu"): "gpu",
}
FAMILY_WORDS = {word: names for names, words in _FAMILIES.items() for word in words.split()}
"""What people call a toolkit, a maker or its hardware -> its families of builds."""

_SYSTEMS = {
    "linux": "linux ubuntu wsl wsl2",
    "macos": "mac macos osx darwin",
    "windows": "win win32 windows",
}
SYSTEM_WORDS = {word: name for name, words in _SYSTEMS.items() for word in words.split()}
"""What people call a system -> what the names of platforms begin with."""

_MACHINES = {"x86_64": "x64 amd64 intel", "arm": "arm64 aarch64"}
MACHINE_WORDS = {word: name for name, words in _MACHINES.items() for word in words.split()}
"""What people call a processor -> `x86_64` or `arm`."""

YES_WORDS = ("yes", "y", "true", "t", "on", "1")
NO_WORDS = ("no", "n", "false", "f", "off", "0")
"""How cookiecutter lets people say yes and no, in any case."""


class BackendWord(NamedTuple):
    """`cu128`, or `gpu=2.9.1+cu128` for a variant with a name and a release of its own."""

    name: str | None
    """None where it is that of the backend."""
    backend: str
    release: str | None = None
    """None where `torch_version` says it."""

    @classmethod
    def parse(cls, word: str) -> BackendWord:
        """Take a word apart; nothing is refused here."""
        name, equals, build = word.rpartition("=")
        release, plus, backend = build.rpartition("+")
        return cls(name if equals else None, backend, release if plus else None)

    @property
    def option(self) -> str:
        """The name of its extra or group."""
        return self.backend if self.name is None else self.name

    def __str__(self) -> str:
        name = "" if self.name is None else f"{self.name}="
        return f"{name}{_build(self.release, self.backend)}"


class PlatformWord(NamedTuple):
    """`linux-aarch64`, with `=[name:][release+]backend[@url]` for what it gets instead."""

    platform: str
    variant: str | None = None
    """None where the override is for every variant."""
    backend: str | None = None
    """None where the word overrides nothing."""
    release: str | None = None
    """None where the variant says it."""
    url: str | None = None
    """None where the build comes from PyTorch's index."""

    @classmethod
    def parse(cls, word: str) -> PlatformWord:
        """Take a word apart; nothing is refused here."""
        build = r"(?:([^@]*):)?(?:([^@]*)\+)?([^@]*)"
        match = re.fullmatch(rf"([^=]*)(?:={build}(?:@(.*))?)?", word, re.DOTALL)
        platform, variant, release, backend, url = match.groups()  # type: ignore[union-attr]
        return cls(platform, variant, backend, release, url)

    def __str__(self) -> str:
        if self.backend is None:
            return self.platform
        variant = "" if self.variant is None else f"{self.variant}:"
        url = "" if self.url is None else f"@{self.url}"
        return f"{self.platform}={variant}{_build(self.release, self.backend)}{url}"


def _build(release: str | None, backend: str) -> str:
    return backend if release is None else f"{release}+{backend}"


def normalized(name: str) -> str:
    """Return the form in which uv compares the names of extras and groups."""
    return re.sub(r"[-_.]+", "-", name).lower()
