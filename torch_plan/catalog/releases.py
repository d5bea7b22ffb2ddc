"""The releases of torch, known and expected, and the companions that go with each."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from torch_plan.catalog.versions import TORCH, version_key


class Releases:
    """The releases of torch, and what was released for each.

    A release that is expected next is assumed to be like the newest known one, with the lines of
    its companions (`0.29.*`): torchvision 0.29 has the stable ABI, and goes with torch 2.14 to 2.16
    (release notes of 2.14). An empty version stands for whichever belongs to a new major.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data
        self._companions: dict[str, dict[str, tuple[str, ...]]] = {}

    @cached_property
    def releases(self) -> tuple[str, ...]:
        """Every torch release, oldest first."""
        return tuple(sorted(self._data["releases"], key=version_key))

    @cached_property
    def expected_releases(self) -> tuple[str, ...]:
        """The releases that may come next: a patch, one of three minors, or a major."""
        major, minor, patch = version_key(self.releases[-1])
        # A minor comes every two or three months, so facts half a year old still know what is
        # asked for. A major has no rhythm: 2.0 came after 1.13.
        minors = (f"{major}.{minor + step}.0" for step in (1, 2, 3))
        return (f"{major}.{minor}.{patch + 1}", *minors, f"{major + 1}.0.0")

    def is_expected(self, release: str) -> bool:
        """Tell whether a release is not known yet, but may come next."""
        return release in self.expected_releases

    def _release(self, release: str) -> dict[str, Any]:
        """Return the entry of a release; of an expected one, that of the newest known."""
        known = self.releases[-1] if self.is_expected(release) else release
        entry: dict[str, Any] = self._data["releases"][known]
        return entry

    def released(self, release: str) -> str:
        """Return the day of a known release, as `2026-10-28`."""
        day: str = self._data["releases"][release]["released"]
        return day

    @cached_property
    def all_companions(self) -> tuple[str, ...]:
        """Every package that is released in step with torch."""
        return tuple(package for package in self._data["wheels"] if package != TORCH)

    def companions(self, release: str) -> dict[str, tuple[str, ...]]:
        """Return companion -> the versions that go with a release, the newest first.

        Of an expected release they are not known: it has the lines of the newest known one, and of
        a new major one that is empty.
        """
        if release not in self._companions:
            pairs: dict[str, str] = self._release(release)["companions"]
            self._companions[release] = {
                name: tuple(dict.fromkeys(self._line(version, release) for version in text.split()))
                for name, text in pairs.items()
            }
        return self._companions[release]

    def _line(self, version: str, release: str) -> str:
        """Return a version; of an expected release its line, and nothing for a new major."""
        if not self.is_expected(release):
            return version
        is_major = version_key(release)[0] > version_key(self.releases[-1])[0]
        return "" if is_major else f"{version.rpartition('.')[0]}.*"

    def _made_for(self, companion: str, version: str) -> str:
        for release in self.releases:
            if version in self.companions(release).get(companion, ()):
                return release
        return ""
