"""The answers, taken apart."""

from collections.abc import Mapping
from typing import NamedTuple

from torch_plan.catalog.facts import Mirror

MARKERS, EXTRAS, GROUPS = "markers", "extras", "groups"

PUBLIC, LOCAL, MINIMUM = "public", "local", "minimum"

FREE_TEXT = ("project_name", "description", "author_name")

NAMED = ("torch_version", "python_version", "torch_backend")
"""The answers that every command and link names: their defaults differ by day or machine."""

DEFAULT_PLATFORMS = ("linux-x86_64", "linux-aarch64", "macos-arm64", "windows-x86_64")
MAIN_PLATFORM = DEFAULT_PLATFORMS[0]
"""What cannot be had there is refused, and not left out by default."""

NO_COMPANIONS = "none"
OPTIONAL = "?"
"""Ends the name of a companion that a platform may do without."""


class Variant(NamedTuple):
    """One of the builds that a project can switch between."""

    name: str
    release: str
    backend: str


class WantedBuild(NamedTuple):
    """What a platform is to get, whether its variant or an override says so."""

    release: str
    """Empty for the release of the variant."""
    backend: str
    url: str = ""
    """An index of the platform's own, empty for that of PyTorch."""


class PackageIndex(NamedTuple):
    """An index in the place of PyPI."""

    name: str
    url: str


class Answers(NamedTuple):
    """The answers, taken apart."""

    project_slug: str
    release: str
    """The release of all that names none of its own."""
    python: str
    python_end: str
    """The newest Python to support, empty for the newest that there is."""
    variants: tuple[Variant, ...]
    layout: str
    companions: tuple[str, ...]
    optional: frozenset[str]
    """The companions that a platform may do without."""
    platforms: tuple[str, ...]
    overrides: Mapping[tuple[str, str], WantedBuild]
    """(platform, name of a variant or nothing for all of them) -> what it gets there."""
    numpy_guard: str
    torch_pin: str
    pytorch_index: Mirror
    package_index: PackageIndex | None
    """None for PyPI itself."""
    dockerfile: bool
