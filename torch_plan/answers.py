"""The answers, taken apart."""

from collections.abc import Mapping
from typing import NamedTuple

from torch_plan.facts import Mirror

MARKERS, EXTRAS, GROUPS = "markers", "extras", "groups"

FREE_TEXT = ("project_name", "description", "author_name")

DEFAULT_PLATFORMS = ("linux-x86_64", "linux-aarch64", "macos-arm64", "windows-x86_64")
MAIN_PLATFORM = DEFAULT_PLATFORMS[0]
"""What cannot be had there is refused, and not left out by default."""

NO_COMPANIONS = "none"


class Variant(NamedTuple):
    """One of the builds that a project can switch between: the name of its option, its backend."""

    name: str
    backend: str


class PackageIndex(NamedTuple):
    """An index in the place of PyPI."""

    name: str
    url: str


class Answers(NamedTuple):
    """The answers, taken apart."""

    project_slug: str
    release: str
    python: str
    variants: tuple[Variant, ...]
    layout: str
    companions: tuple[str, ...]
    platforms: tuple[str, ...]
    overrides: Mapping[tuple[str, str], str]
    """(platform, name of a variant or nothing for all of them) -> the backend it gets there."""
    numpy_guard: str
    torch_pin: str
    pytorch_index: Mirror
    package_index: PackageIndex | None
    """None for PyPI itself."""
    dockerfile: bool
