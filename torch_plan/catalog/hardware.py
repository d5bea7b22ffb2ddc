"""What builds need of a machine: drivers, cards; and what is known to be broken or to hurt."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from torch_plan.catalog.versions import family_of, version_key


def capability(number: int) -> str:
    """Return a compute capability as NVIDIA writes it: `9.0` for 90."""
    return f"{number // 10}.{number % 10}"


def runs_on(binary: int, card: int) -> bool:
    """Return whether code for one compute capability runs on a card of another.

    It does on the same major version and the same or a later minor one (CUDA C++ Programming
    Guide, "Binary Compatibility"): 8.6 on 8.9, 9.0 not on 10.0. The smoke test of a project has a
    rule of its own: it knows what its torch was compiled for more exactly, PTX included.
    """
    return binary // 10 == card // 10 and binary % 10 <= card % 10


class Gpu(NamedTuple):
    """What a machine has: the family of builds made for it, and what they depend on."""

    family: str
    """`cu`, `rocm`, `xpu`; empty for no GPU that has builds of its own."""
    description: str
    driver: str = ""
    capabilities: tuple[int, ...] = ()
    """The compute capability of each kind of NVIDIA card (90 for 9.0), empty if not known."""
    architectures: tuple[str, ...] = ()
    """AMD's name of each kind of its GPUs (`gfx90a`), empty if not known."""


class Hardware:
    """What the builds of torch need of a machine. Arguments come in the order of `Facts`."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data
        self.all_reports: Sequence[Mapping[str, Any]] = data["reported"]
        self.all_advisories: Sequence[Mapping[str, str]] = data["advisories"]
        """Security advisories, the one that was mended first before the others."""

    def why_broken(self, release: str, backend: str, platform: str) -> str:
        """Return why a published build does not work, empty if nothing is known against it."""
        wanted = (release, backend, platform)
        for entry in self._data["broken"]:
            if (entry["release"], entry["backend"], entry["platform"]) == wanted:
                return f"{entry['reason']} ({entry['source']})"
        return ""

    def reported(
        self, release: str, build: str, platform: str, pythons: Collection[str] = ()
    ) -> list[Mapping[str, Any]]:
        """Return the rows of what people reported of a build, for projects of these Pythons."""
        asked = {
            "releases": {release},
            "builds": {build},
            "platforms": {platform},
            "pythons": {*pythons},
        }
        return [
            row
            for row in self.all_reports
            if all(
                not values.isdisjoint(row[key].split())
                for key, values in asked.items()
                if key in row
            )
        ]

    def why_avoided(self, release: str, build: str) -> str:
        """Return why a build is no default where another accelerated one serves, else nothing."""
        for row in self.all_reports:
            is_here = release in row["releases"].split() and build in row.get("builds", "").split()
            if is_here and "avoided" in row:
                return f"it is reported that {row['what']}"
        return ""

    def advisories(self, release: str) -> list[Mapping[str, str]]:
        """Return the security advisories that hold for a release."""
        key = version_key(release)
        return [row for row in self.all_advisories if key < version_key(row["fixed"])]

    def min_driver(self, build: str, platform: str) -> str:
        """Return the least NVIDIA driver for a CUDA build (`525.60.13`), else nothing."""
        system = platform.partition("-")[0]
        major = build[2:4] if family_of(build) == "cu" else ""
        driver: str = self._data["cuda"]["min_driver"].get(system, {}).get(major, "")
        return driver

    def architectures(self, release: str, build: str, platform: str) -> tuple[int, ...]:
        """Return the compute capabilities (90 for 9.0) that a CUDA build was compiled for.

        Empty where the facts do not say. They change with a release and hold until the next entry.
        They do not differ between systems, only between machines.
        """
        entries = self._data["cuda"]["architectures"].get(build, {})
        reached = [first for first in entries if version_key(first) <= version_key(release)]
        if not reached:
            return ()
        machines = entries[max(reached, key=version_key)]
        machine = "aarch64" if platform == "linux-aarch64" else "x86_64"
        return tuple(int(number) for number in machines.get(machine, "").split())

    def cards(self, platform: str) -> dict[int, str]:
        """Return compute capability -> the NVIDIA cards that have it, on this kind of machine."""
        machine = "aarch64" if platform == "linux-aarch64" else "x86_64"
        names = self._data["cuda"]["cards"][machine]
        return {int(number.replace(".", "")): cards for number, cards in names.items()}

    @property
    def amd_cards(self) -> Mapping[str, str]:
        """AMD's name of a GPU -> the cards that have it."""
        cards: Mapping[str, str] = self._data["rocm"]["cards"]
        return cards

    def amd_architectures(self, release: str, build: str) -> tuple[str, ...]:
        """Return AMD's names of the GPUs that a ROCm build holds kernels for: `gfx90a`."""
        architectures: list[str] = []
        for entry in self._data["rocm"]["architectures"]:
            reached = version_key(entry["since"]) <= version_key(release)
            if reached and version_key(entry.get("from", "")) <= version_key(build):
                architectures += entry["added"].split()
        return tuple(sorted(architectures, key=lambda name: (len(name), name)))
