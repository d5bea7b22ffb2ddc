"""What builds need of a machine: drivers, cards; and what is known to be broken or to hurt."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from torch_plan.catalog.versions import family_of, version_key
from torch_plan.text import listed


def runs_on(code: str, card: str) -> bool:
    """Return whether what was compiled for one GPU runs on another: `8.6` on 8.9, 9.0 not on 10.0.

    On NVIDIA's it does on the same major version and the same or a later minor one (CUDA C++
    Programming Guide, "Binary Compatibility"). The smoke test of a project has a rule of its own:
    it knows what its torch was compiled for more exactly, PTX included.
    """
    major, dot, minor = code.partition(".")
    return code == card or (card.startswith(f"{major}{dot}") and bool(dot) and minor <= card[-1])


def cards_text(cards: Sequence[str]) -> str:
    """Return `compute capability 9.0`, `compute capabilities 7.5 and 9.0`, or `gfx90a`."""
    if cards[0].startswith("gfx"):
        return listed(cards)
    return f"compute capabilit{'y' if len(cards) == 1 else 'ies'} {listed(cards)}"


class Gpu(NamedTuple):
    """What a machine has: the family of builds made for it, and what they depend on."""

    family: str
    """`cu`, `rocm`, `xpu`; empty for no GPU that has builds of its own."""
    description: str
    driver: str = ""
    cards: tuple[str, ...] = ()
    """The compute capability (`9.0`) or AMD's name (`gfx90a`) of each kind; empty if not known."""


class Hardware:
    """What the builds of torch need of a machine. Arguments come in the order of `Facts`."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data
        self.all_reports: Sequence[Mapping[str, Any]] = data["reported"]
        self.all_advisories: Sequence[Mapping[str, str]] = data["advisories"]
        """Security advisories, the one that was mended first before the others."""

    def why_broken(self, release: str, backend: str, platform: str) -> str:
        """Return why a published build does not work, empty if nothing is known against it."""
        asked = {"release": release, "backend": backend, "platform": platform}
        rows = (row for row in self._data["broken"] if asked.items() <= row.items())
        return next((f"{row['reason']} ({row['source']})" for row in rows), "")

    def reported(
        self, release: str, build: str, platform: str, pythons: Collection[str] = ()
    ) -> list[Mapping[str, Any]]:
        """Return the rows of what people reported of a build, for projects of these Pythons."""
        asked = {"releases": release, "builds": build, "platforms": platform}
        return [
            row
            for row in self.all_reports
            if all(value in row[key].split() for key, value in asked.items() if key in row)
            and ("pythons" not in row or {*pythons} & {*row["pythons"].split()})
        ]

    def why_avoided(self, release: str, build: str) -> str:
        """Return why a build is no default where another accelerated one serves, else nothing."""
        for row in (row for row in self.all_reports if "avoided" in row):
            if release in row["releases"].split() and build in row["builds"].split():
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
        return str(self._data["cuda"]["min_driver"].get(system, {}).get(major, ""))

    def compiled_for(self, release: str, build: str, platform: str) -> tuple[str, ...]:
        """Return the GPUs that a build holds code for: `9.0`, `gfx90a`; empty if not known.

        Those of CUDA change with a release and hold until the next entry.
        """
        if family_of(build) == "rocm":
            names = " ".join(
                entry["added"]
                for entry in self._data["rocm"]["architectures"]
                if version_key(entry["since"]) <= version_key(release)
                if version_key(entry.get("from", "")) <= version_key(build)
            )
            return tuple(sorted(names.split(), key=lambda name: (len(name), name)))
        entries = self._data["cuda"]["architectures"].get(build, {})
        since = [first for first in entries if version_key(first) <= version_key(release)]
        machines = entries[max(since, key=version_key)] if since else {}
        numbers = machines.get(_machine(platform), "").split()
        return tuple(f"{number[:-1]}.{number[-1]}" for number in numbers)

    def cards(self, platform: str) -> dict[str, str]:
        """Return `9.0` or `gfx90a` -> the cards that have it, on this kind of machine."""
        rows = {**self._data["cuda"]["cards"][_machine(platform)], **self._data["rocm"]["cards"]}
        return {name: cards for name, cards in rows.items() if name != "source"}


def _machine(platform: str) -> str:
    return "aarch64" if platform == "linux-aarch64" else "x86_64"
