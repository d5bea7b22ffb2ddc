"""Which versions of a companion go with which releases of torch, by what PyPI says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC

from packaging.requirements import Requirement

from tools.lib.pages import Listing, Repository, exact, sample
from torch_plan.facts import TORCH, version_key


class Pairs:
    """The pairs; `pages` are PyPI's own, package -> listing."""

    def __init__(self, pypi: Repository, pages: Mapping[str, Listing]) -> None:
        self.pypi, self.pages = pypi, pages

    def versions(self, package: str) -> list[str]:
        """Return the versions that PyPI has, the newest first."""
        return sorted(self.pages.get(package, {}), key=version_key, reverse=True)

    def day(self, package: str, version: str) -> str:
        """Return the day on which a version came to PyPI, empty where it does not say."""
        wheels = self.pages.get(package, {}).get(version, [])
        times = [it.package.upload_time for it in wheels if it.package.upload_time]
        return min(times).astimezone(UTC).date().isoformat() if times else ""

    def needed_torch(self, companion: str, version: str) -> list[Requirement] | None:
        """Return what a version requires of torch, by its METADATA or by the table of pairs.

        None where its METADATA cannot be read.
        """
        wheel = sample(self.pages.get(companion, {}).get(version, []))
        requirements = self.pypi.requirements(wheel) if wheel else None
        if requirements is None:
            return None
        return [it for it in requirements if it.name == TORCH] or [
            Requirement(f"{TORCH}{torch}")
            for minor, torch in self.table(companion).items()
            if f"{version}.".startswith(f"{minor}.")
        ]

    def table(self, companion: str) -> dict[str, str]:
        """Return minor version -> torch (`>=2.11`), of a companion whose METADATA names none."""
        newest = next(iter(self.versions(companion)), "")
        wheel = sample(self.pages[companion][newest]) if newest else None
        metadata = self.pypi.metadata(wheel) if wheel else None
        if metadata is None or any(it.name == TORCH for it in metadata.requires_dist or ()):
            return {}
        return pairs_in(metadata.description or "", companion)

    def newest(self, companion: str, release: str, since: str, until: str) -> str:
        """Return the version of a companion for a release, empty where there is none.

        `since` is the oldest version to look at; `until` is the day of the torch that comes next.
        """
        admitted = ""
        for version in self.versions(companion):
            if version_key(version) < version_key(since):
                break
            needed = self.needed_torch(companion, version)
            if needed is None:
                return ""
            if release in map(exact, needed):
                return version
            is_early = self.day(companion, version) < until
            if not admitted and admits(needed, release) and is_early:
                admitted = version
        return admitted

    def of_table(self, companion: str, release: str) -> list[str]:
        """Return the versions that the table pairs with a release, none without a table."""
        rows = {
            version: self.needed_torch(companion, version) for version in self.versions(companion)
        }
        has_table = bool(self.table(companion))
        return [
            it for it, needed in rows.items() if has_table and needed and admits(needed, release)
        ]

    def newer_than_table(self, companion: str) -> list[str]:
        """Return the versions that the table does not name yet."""
        newest = max(map(version_key, self.table(companion)), default=(9999,))
        return [
            version
            for version in self.versions(companion)
            if version_key(version) > newest and self.needed_torch(companion, version) == []
        ]


def admits(requirements: Iterable[Requirement], release: str) -> bool:
    """Tell whether requirements of torch allow a release."""
    return all(requirement.specifier.contains(release) for requirement in requirements)


def pairs_in(readme: str, companion: str) -> dict[str, str]:
    """Return minor version -> torch (`>=2.11`, `==2.10.*`) of the tables of pairs in a README."""
    pairs, is_table = {}, False
    for line in readme.splitlines():
        cells = [cell.strip(" `") for cell in line.strip().strip("|").split("|")][:2]
        if cells == [companion, TORCH]:
            is_table = True
        elif "|" not in line:
            is_table = False
        elif is_table and (row := re.fullmatch(r"([\d.]+)\|(>=)?([\d.]+)", "|".join(cells))):
            minor, at_least, torch = row.groups()
            pairs[minor] = f">={torch}" if at_least else f"=={torch}.*"
    return pairs
