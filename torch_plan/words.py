"""The words of the answers `torch_backend` and `platforms`."""

from __future__ import annotations

import re
from typing import NamedTuple

_NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"


class BackendWord(NamedTuple):
    """`cu128`, or `gpu=cu128` for a variant with a name of its own."""

    name: str | None
    """None where the word gives no name; the backend is the name then."""
    backend: str

    @classmethod
    def parse(cls, word: str) -> BackendWord:
        """Take a word apart; nothing is refused here."""
        name, separator, backend = word.rpartition("=")
        return cls(name if separator else None, backend)

    def __str__(self) -> str:
        return self.backend if self.name is None else f"{self.name}={self.backend}"


class PlatformWord(NamedTuple):
    """`linux-aarch64`, with `=cpu` or `=gpu:cpu` to override its backend, for one variant."""

    platform: str
    variant: str | None = None
    """None where the override is for every variant."""
    backend: str | None = None
    """None where the word overrides nothing."""

    @classmethod
    def parse(cls, word: str) -> PlatformWord:
        """Take a word apart; nothing is refused here."""
        platform, overrides, override = word.partition("=")
        variant, names_variant, backend = override.rpartition(":")
        return cls(platform, variant if names_variant else None, backend if overrides else None)

    def __str__(self) -> str:
        if self.backend is None:
            return self.platform
        variant = "" if self.variant is None else f"{self.variant}:"
        return f"{self.platform}={variant}{self.backend}"


def normalized(name: str) -> str:
    """Return the form in which uv compares the names of extras and groups."""
    return re.sub(r"[-_.]+", "-", name).lower()


def is_option_name(name: str) -> bool:
    """Tell whether an extra or a dependency group may have this name."""
    return re.fullmatch(_NAME, name) is not None
