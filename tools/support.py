"""Write the tables of `docs/support.md` from `builds.json`: `uv run -m tools.support`.

With `--check` it writes nothing, and exits 1 if the page is older than the facts.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tools.lib.grouping import grouped
from tools.lib.written import DOCS, with_parts
from torch_plan.default_backend import runs_on
from torch_plan.facts import CPU, TORCH, Facts, capability, family_of, load_facts
from torch_plan.platforms import PLATFORMS, platform_of
from torch_plan.text import listed

PAGE = DOCS / "support.md"

LETTERS = {
    "linux-x86_64": "L",
    "linux-aarch64": "A",
    "macos-arm64": "M",
    "macos-x86_64": "m",
    "windows-x86_64": "W",
    "windows-arm64": "w",
}
"""How an overview writes a platform: a small letter for an architecture that few builds serve."""

GENERATIONS = {
    "Kepler": (37,),
    "Maxwell": (50, 52, 53),
    "Pascal": (60, 61, 62),
    "Volta": (70, 72),
    "Turing": (75,),
    "Ampere": (80, 86, 87),
    "Ada": (89,),
    "Hopper": (90,),
    "Blackwell": (100, 103, 110, 120, 121),
}
"""GPU generation -> compute capabilities of its cards (90 for 9.0), oldest first.

Source: NVIDIA's list of CUDA GPUs, and the one of legacy GPUs that it links. Of Kepler only what a
build in the facts was compiled for.
"""


def generations(architectures: Sequence[int]) -> tuple[str, ...]:
    """Return the GPU generations with a card that code for these capabilities runs on."""
    return tuple(
        name
        for name, cards in GENERATIONS.items()
        if any(runs_on(binary, card) for binary in architectures for card in cards)
    )


def system_of(platform: str) -> str:
    """Return `Linux` for `linux-x86_64`."""
    return PLATFORMS[platform].system


def machine_of(platform: str) -> str:
    """Return `x86_64` for `linux-x86_64`."""
    return platform.partition("-")[2]


def platform_names(platforms: Iterable[str]) -> str:
    """Return `Linux x86_64/aarch64, macOS arm64` for the names of these three platforms."""
    machines = grouped(platforms, system_of)
    return ", ".join(
        f"{system} {'/'.join(machine_of(name) for name in names)}"
        for system, names in machines.items()
    )


@dataclass(frozen=True)
class Build:
    """One backend of a release: a row of its table, and a cell of the overview."""

    facts: Facts
    release: str
    backend: str

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platforms that it has wheels for."""
        return self.facts.platforms(TORCH, self.release, self.backend)

    def is_broken(self, platform: str) -> bool:
        """Tell whether it is published, and does not work."""
        return bool(self.facts.why_broken(self.release, self.backend, platform))

    def is_likely(self, platform: str) -> bool:
        """Tell whether nobody has seen it."""
        return self.facts.is_likely(TORCH, self.release, self.backend, platform)

    def build_on(self, platform: str) -> str:
        """Return the build: PyPI's differs by platform."""
        return self.facts.build(self.release, self.backend, platform)

    def pythons_on(self, platform: str) -> tuple[str, ...]:
        """Return the Pythons that torch has wheels for."""
        return self.facts.pythons(TORCH, self.release, self.backend, platform)

    def letters(self) -> str:
        """Return the platforms as the overview writes them."""
        letters = {
            name: f"{LETTERS[name]}{'?' if self.is_likely(name) else ''}" for name in self.platforms
        }
        return "".join(
            f"~~{text}~~" if self.is_broken(name) else text for name, text in letters.items()
        )

    def cells(self) -> list[str]:
        """Return the row of the table."""
        return [
            f"`{self.backend}`",
            self.named_platforms(),
            self.by_platform(lambda name: _pythons(self.facts, self.pythons_on(name))),
            ", ".join(self.companions()),
            self.by_platform(self.floor_on),
            self.by_platform(lambda name: self.facts.min_driver(self.build_on(name), name)),
            self.by_platform(self.gpus_on),
        ]

    def by_platform(self, text_on: Callable[[str], str]) -> str:
        """Return a value that holds everywhere alone, else a line for each, with its platforms."""
        groups = grouped(self.platforms, text_on)
        groups.pop("", None)
        if len(groups) == 1:
            return next(iter(groups))
        return "<br>".join(f"{platform_names(names)}: {text}" for text, names in groups.items())

    def named_platforms(self) -> str:
        """Name the platforms; for `pypi`, with the build that each gets."""
        broken = [name for name in self.platforms if self.is_broken(name)]
        likely = [name for name in self.platforms if self.is_likely(name)]
        sound = [name for name in self.platforms if name not in (*broken, *likely)]
        lines = [
            platform_names(names) + (f": `{build}`" if build != self.backend else "")
            for build, names in grouped(sound, self.build_on).items()
        ]
        lines += [f"{platform_names(names)} (likely)" for names in [likely] if names]
        lines += [f"~~{platform_names(names)}~~" for names in [broken] if names]
        return "<br>".join(lines)

    def companions(self) -> Iterator[str]:
        """Yield the companions that go with it, each with what it lacks beside torch."""
        for companion, versions in self.facts.companions(self.release).items():
            has = {it: self.companion_pythons(companion, versions, it) for it in self.platforms}
            absent = [name for name, pythons in has.items() if not pythons]
            lacks = [f"not on {platform_names(absent)}"] if absent else []
            missing = {
                name: tuple(it for it in self.pythons_on(name) if it not in pythons)
                for name, pythons in has.items()
                if pythons
            }
            for pythons, names in grouped(missing, missing.__getitem__).items():
                where = f" on {platform_names(names)}" if len(names) < len(has) else ""
                lacks += [f"not for {_pythons(self.facts, pythons)}{where}"] if pythons else []
            if missing:
                yield f"{companion} ({', '.join(lacks)})" if lacks else companion

    def companion_pythons(self, companion: str, versions: Iterable[str], platform: str) -> set[str]:
        """Return the Pythons that any of these versions has wheels for, beside this build."""
        return {
            python
            for it in versions
            for index in [self.facts.companion_index(companion, it, self.backend, platform)]
            for python in self.facts.pythons(companion, it, index, platform)
        }

    def floor_on(self, platform: str) -> str:
        """Return `macOS 11.0, for 3.14 macOS 14.0`: the floor of most Pythons, and of others."""
        (first, _), *others = self.floors_on(platform).items()
        return ", ".join(
            [first, *(f"for {_pythons(self.facts, pythons)} {floor}" for floor, pythons in others)]
        )

    def floors_on(self, platform: str) -> dict[str, tuple[str, ...]]:
        """Return the oldest system -> the Pythons whose wheels allow it, the most of them first."""
        wheels = self.facts.wheels(TORCH, self.release, self.backend).items()
        tags = {tag: self.facts.minors(its) for tag, its in wheels if platform_of(tag) == platform}
        most_first = sorted(tags.items(), key=lambda item: -len(item[1]))
        return {floor_of(tag): pythons for tag, pythons in most_first if pythons}

    def gpus_on(self, platform: str) -> str:
        """Return the GPUs that it runs on."""
        build = self.build_on(platform)
        if family_of(build) == "rocm":
            return " ".join(self.facts.amd_architectures(self.release, build))
        if family_of(build) != "cu":
            return ""
        compiled = self.facts.architectures(self.release, build, platform)
        names = ", ".join(generations(compiled))
        return f"{names} ({_capabilities(compiled)})" if compiled else "not known"


def _capabilities(numbers: Iterable[int]) -> str:
    return " ".join(map(capability, numbers))


def _pythons(facts: Facts, pythons: Iterable[str]) -> str:
    return facts.span(pythons, to="\N{EN DASH}")


def floor_of(platform_tag: str) -> str:
    """Return the oldest system that a platform tag allows (`glibc 2.28`), empty for any.

    The old names of manylinux are those of PEP 600. Of a compressed set the oldest counts.
    """
    for name, version in {"1": "2_5", "2010": "2_12", "2014": "2_17"}.items():
        platform_tag = platform_tag.replace(f"manylinux{name}_", f"manylinux_{version}_")
    found = re.findall(r"(manylinux|macosx)_(\d+)_(\d+)_", platform_tag)
    floors = [(system, int(major), int(minor)) for system, major, minor in found]
    if not floors:
        return ""
    system, major, minor = min(floors)
    return f"{'glibc' if system == 'manylinux' else 'macOS'} {major}.{minor}"


def parts(facts: Facts) -> dict[str, str]:
    """Return the parts of the page that follow from the facts."""
    newest_first = tuple(reversed(facts.releases))
    rocm = [name for name in facts.all_backends if family_of(name) == "rocm"]
    others = [name for name in facts.all_backends if name not in rocm]
    cards = (f"{name} {_capabilities(numbers)}" for name, numbers in GENERATIONS.items())
    return {
        "letters": ", ".join(f"**{it}** {platform_names([name])}" for name, it in LETTERS.items()),
        "overview": _overview(facts, newest_first, others),
        "rocm": _overview(facts, newest_first, rocm),
        "old systems": _old_systems(facts, newest_first),
        "generations": ", ".join(cards),
        "releases": "\n\n".join(_release(facts, release) for release in newest_first),
        "broken": "\n".join(_broken_builds(facts, newest_first)),
    }


def _overview(facts: Facts, releases: Iterable[str], backends: Sequence[str]) -> str:
    rows = [
        [_link(release), *cells]
        for release in releases
        if any(cells := [Build(facts, release, backend).letters() for backend in backends])
    ]
    # The version alone for ROCm: with whole names its table would be too wide.
    heads = [it.removeprefix("rocm") if it.startswith("rocm") else f"`{it}`" for it in backends]
    return _table(["", *heads], rows)


def _old_systems(facts: Facts, releases: Iterable[str]) -> str:
    """Return a table of the newest release for each floor of a system."""
    last: dict[tuple[str, str], str] = {}
    for build in (Build(facts, release, CPU) for release in releases):
        for platform in build.platforms:
            floor = next(iter(build.floors_on(platform)))
            last.setdefault((platform, floor), build.release)
    rows = [
        [platform_names([platform]), floor or "any glibc", _link(release)]
        for (platform, floor), release in sorted(last.items(), key=lambda item: item[0][0])
        if system_of(platform) != "Windows"
    ]
    return _table(["platform", "needs", "up to"], rows)


def _link(release: str) -> str:
    return f"[{release}](#torch-{release.replace('.', '')})"


def _release(facts: Facts, release: str) -> str:
    """Return heading, line and table of one release."""
    companions = [f"{name} {_span(its)}" for name, its in facts.companions(release).items()]
    head = ["backend", "platforms", "Pythons", "companions", "system", "driver", "GPUs"]
    rows = [Build(facts, release, backend).cells() for backend in facts.backends(release)]
    day = f"{facts.released(release)}, with {listed(companions)}."
    return f"### torch {release}\n\n{day}\n\n{_table(head, rows)}"


def _span(versions: Sequence[str]) -> str:
    """Return the oldest and the newest of versions, of which the newest is the first."""
    return "\N{EN DASH}".join(dict.fromkeys((versions[-1], versions[0])))


def _broken_builds(facts: Facts, releases: Iterable[str]) -> Iterator[str]:
    """Yield one line for every published build that does not work."""
    for release in releases:
        for backend in facts.backends(release):
            for platform in facts.platforms(TORCH, release, backend):
                if reason := facts.why_broken(release, backend, platform):
                    where = platform_names([platform])
                    yield f"- torch {release}, `{backend}`, {where}: {reason}."


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page, or check it. Returns 1 if `--check` finds that it is stale."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if stale")
    is_check = parser.parse_args(arguments).check
    before = PAGE.read_text(encoding="utf-8")
    after = with_parts(before, parts(load_facts()))
    if is_check and after != before:
        message = "docs/support.md is older than the facts: uv run -m tools.support"
        print(message, file=sys.stderr)
        return 1
    PAGE.write_text(after, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
