"""What builds need of a machine: drivers, cards, and what is known to be broken."""

from collections.abc import Mapping
from typing import Any

from torch_plan.catalog.versions import family_of, version_key


def capability(number: int) -> str:
    """Return a compute capability as NVIDIA writes it: `9.0` for 90."""
    return f"{number // 10}.{number % 10}"


class Hardware:
    """What the builds of torch need of a machine. Arguments come in the order of `Facts`."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data

    def why_broken(self, release: str, backend: str, platform: str) -> str:
        """Return why a published build does not work, empty if nothing is known against it."""
        wanted = (release, backend, platform)
        for entry in self._data["broken"]:
            if (entry["release"], entry["backend"], entry["platform"]) == wanted:
                return f"{entry['reason']} ({entry['source']})"
        return ""

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

    def amd_architectures(self, release: str, build: str) -> tuple[str, ...]:
        """Return AMD's names of the GPUs that a ROCm build holds kernels for: `gfx90a`."""
        found: list[str] = []
        for entry in self._data["rocm"]["architectures"]:
            reached = version_key(entry["since"]) <= version_key(release)
            if reached and version_key(entry.get("from", "")) <= version_key(build):
                found += entry["added"].split()
        return tuple(sorted(found, key=lambda name: (len(name), name)))
