"""Write `docs/support.md`, what PyTorch publishes, from `builds.json`: `uv run -m tools.support`.

With `--check` it writes nothing, and exits 1 if the page is older than the facts.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from tools.lib.grouping import grouped
from torch_plan.default_backend import runs_on
from torch_plan.facts import CPU, PYPI, TORCH, Facts, capability, family_of, load_facts
from torch_plan.platforms import PLATFORMS, platform_of
from torch_plan.text import listed

PAGE = Path(__file__).resolve().parent.parent / "docs" / "support.md"

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

GPU_LIST = "developer.nvidia.com/cuda-gpus"


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


def letter(facts: Facts, release: str, backend: str, platform: str) -> str:
    """Return the letter of a platform, with a question mark where the wheels are only likely."""
    mark = "?" if facts.is_likely(TORCH, release, backend, platform) else ""
    return LETTERS[platform] + mark


def support_page(facts: Facts) -> str:
    """Return the text of `docs/support.md`."""
    newest_first = tuple(reversed(facts.releases))
    rocm = [name for name in facts.all_backends if family_of(name) == "rocm"]
    others = [name for name in facts.all_backends if name not in rocm]
    parts = [
        _introduction(),
        "## Overview",
        _legend(),
        _overview(facts, newest_first, others),
        "The same for ROCm: a backend is named `rocm` and the version, as in `rocm6.4`.",
        _overview(facts, newest_first, rocm),
        "## Old systems",
        "The last release that the wheels' names allow, by the CPU build:",
        _old_systems(facts, newest_first),
        "## Release by release",
        _reading_aid(),
        *(part for release in newest_first for part in _release(facts, release)),
        "## Known broken",
        "Published, and refused by the template:",
        "\n".join(_broken_builds(facts)),
    ]
    return "\n\n".join(parts) + "\n"


def _introduction() -> str:
    return """\
# Which PyTorch builds exist

`uv run -m tools.support` writes this page from
[`torch_plan/builds.json`](../torch_plan/builds.json). Edit the facts, not the page: a test fails
when the two differ.

A question mark follows what nobody has seen, but very likely exists: other releases have it, or
PyTorch's plans name it. The template plans such a build and says so; uv finds out when it locks. An
empty cell means that no wheel is known."""


def _legend() -> str:
    letters = ", ".join(f"**{LETTERS[name]}** {platform_names([name])}" for name in LETTERS)
    return (
        f"{letters}. ~~Struck out~~: published, but [broken](#known-broken). **?**: very likely "
        f"there. `{PYPI}` is what PyPI itself carries."
    )


def _overview(facts: Facts, releases: Iterable[str], backends: Sequence[str]) -> str:
    rows = [
        [f"[{release}](#{_anchor(release)})", *cells]
        for release in releases
        if any(cells := [_letters(facts, release, backend) for backend in backends])
    ]
    return _table(["", *(_short(name) for name in backends)], rows)


def _short(backend: str) -> str:
    """Return the version alone for ROCm: with whole names its table would be too wide."""
    return backend.removeprefix("rocm") if family_of(backend) == "rocm" else f"`{backend}`"


def _letters(facts: Facts, release: str, backend: str) -> str:
    return "".join(
        f"~~{LETTERS[platform]}~~"
        if facts.why_broken(release, backend, platform)
        else letter(facts, release, backend, platform)
        for platform in facts.platforms(TORCH, release, backend)
    )


def _old_systems(facts: Facts, releases: Iterable[str]) -> str:
    """Return a table of the newest release for each floor of a system."""
    last: dict[tuple[str, str], str] = {}
    for release in releases:
        for platform in facts.platforms(TORCH, release, CPU):
            if system_of(platform) != "Windows":
                floor = next(iter(_floors(facts, release, CPU, platform)))
                last.setdefault((platform, floor), release)
    rows = [
        [platform_names([platform]), floor or "any glibc", f"[{release}](#{_anchor(release)})"]
        for (platform, floor), release in sorted(last.items(), key=lambda it: it[0][0])
    ]
    return _table(["platform", "needs", "up to"], rows)


def _anchor(release: str) -> str:
    return f"torch-{release.replace('.', '')}"


def _reading_aid() -> str:
    cards = ", ".join(
        f"{name} {' '.join(capability(card) for card in cards)}"
        for name, cards in GENERATIONS.items()
    )
    return f"""\
- **Pythons**: those that torch has wheels for, free-threaded ones left out.
- **Platforms**: (likely) means that nobody has seen these wheels; their Pythons and systems are
  those of another build for the same platform.
- **Companions**: those of the release's companions that the same index carries, or PyPI for the CPU
  build. What a companion lacks, all of its versions lack.
- **System**: the oldest glibc or macOS that the wheels' names allow. Names with `linux_x86_64` or
  `linux_aarch64`, common up to 2.6, allow every one, and promise nothing.
- **Driver**: the least NVIDIA driver. ROCm needs AMD's, XPU Intel's; the facts do not say which.
- **GPUs**: of NVIDIA's, the generations that the build runs on, and the compute capabilities that
  it was compiled for. A binary also serves a higher minor version of the same major one: 8.6 runs
  on 8.9, not on 9.0. PTX is not counted. Of AMD's, those that the build holds kernels for; some
  people run it on a relative of one of them with `HSA_OVERRIDE_GFX_VERSION`, which AMD does not
  support.
- **Generations**, by [NVIDIA's list](https://{GPU_LIST}): {cards}."""


def _release(facts: Facts, release: str) -> Iterator[str]:
    """Yield heading, line and table of one release."""
    companions = [f"{name} {_span(its)}" for name, its in facts.companions(release).items()]
    yield f"### torch {release}"
    yield f"{facts.released(release)}, with {listed(companions)}."
    yield _table(
        ["backend", "platforms", "Pythons", "companions", "system", "driver", "GPUs"],
        [
            [
                f"`{backend}`",
                _platforms(facts, release, backend),
                _pythons(facts, release, backend),
                ", ".join(_companions(facts, release, backend)),
                "<br>".join(_systems(facts, release, backend)),
                _drivers(facts, release, backend),
                _gpus(facts, release, backend),
            ]
            for backend in facts.backends(release)
        ],
    )


def _span(versions: Sequence[str]) -> str:
    """Return the oldest and the newest of versions, of which the newest is the first."""
    return "\N{EN DASH}".join(dict.fromkeys((versions[-1], versions[0])))


def _platforms(facts: Facts, release: str, backend: str) -> str:
    """Name the platforms; for `pypi`, with the build that each gets."""
    platforms = facts.platforms(TORCH, release, backend)
    broken = [name for name in platforms if facts.why_broken(release, backend, name)]
    likely = [name for name in platforms if facts.is_likely(TORCH, release, backend, name)]
    sound = [name for name in platforms if name not in (*broken, *likely)]
    builds = grouped(sound, partial(facts.build, release, backend))
    lines = [f"{platform_names(names)}{_which(build, backend)}" for build, names in builds.items()]
    if likely:
        lines.append(f"{platform_names(likely)} (likely)")
    if broken:
        lines.append(f"~~{platform_names(broken)}~~")
    return "<br>".join(lines)


def _which(build: str, backend: str) -> str:
    return "" if build == backend else f": `{build}`"


def _pythons(facts: Facts, release: str, backend: str) -> str:
    platforms = facts.platforms(TORCH, release, backend)
    groups = grouped(platforms, partial(facts.pythons, TORCH, release, backend))
    spans = {facts.span(has, to="\N{EN DASH}"): names for has, names in groups.items()}
    return _by_platform(spans)


def _by_platform(groups: Mapping[str, Sequence[str]]) -> str:
    """Return a value that holds everywhere alone, else one line for each value and platforms."""
    if len(groups) == 1:
        return next(iter(groups))
    return "<br>".join(f"{platform_names(names)}: {text}" for text, names in groups.items())


def _companions(facts: Facts, release: str, backend: str) -> Iterator[str]:
    """Yield the companions on an index, each with what it lacks beside torch."""
    platforms = facts.platforms(TORCH, release, backend)
    for companion in facts.companions(release):
        has = partial(_companion_pythons, facts, release, backend, companion)
        there = [name for name in platforms if has(name)]
        absent = [name for name in platforms if name not in there]
        missing = grouped(there, partial(_missing, facts, release, backend, companion))
        lacks = [f"not on {platform_names(absent)}"] if absent else []
        for pythons, names in missing.items():
            where = "" if len(names) == len(platforms) else f" on {platform_names(names)}"
            span = facts.span(pythons, to="\N{EN DASH}") if pythons else ""
            lacks += [f"not for {span}{where}"] if pythons else []
        if there:
            yield f"{companion} ({', '.join(lacks)})" if lacks else companion


def _companion_pythons(
    facts: Facts, release: str, backend: str, companion: str, platform: str
) -> set[str]:
    """Return the Pythons that any version of a companion has wheels for, beside a build."""
    return {
        python
        for version in facts.companions(release)[companion]
        for python in facts.pythons(
            companion,
            version,
            facts.companion_index(companion, version, backend, platform),
            platform,
        )
    }


def _missing(
    facts: Facts, release: str, backend: str, companion: str, platform: str
) -> tuple[str, ...]:
    """Return the Pythons that torch has wheels for, and a companion has not."""
    has = _companion_pythons(facts, release, backend, companion, platform)
    return tuple(
        name for name in facts.pythons(TORCH, release, backend, platform) if name not in has
    )


def _systems(facts: Facts, release: str, backend: str) -> Iterator[str]:
    """Yield the oldest glibc and macOS, with the platforms where they are not those of all."""
    by_system = grouped(facts.platforms(TORCH, release, backend), system_of)
    for platforms in by_system.values():
        floors = grouped(platforms, partial(_floor_text, facts, release, backend))
        for floor, names in floors.items():
            if floor:
                yield floor if len(floors) == 1 else f"{platform_names(names)}: {floor}"


def _floor_text(facts: Facts, release: str, backend: str, platform: str) -> str:
    """Return `macOS 11.0, for 3.14 macOS 14.0`: the floor of most Pythons, and that of others."""
    (first, _), *others = _floors(facts, release, backend, platform).items()
    return ", ".join([first, *(f"for {facts.span(pythons)} {floor}" for floor, pythons in others)])


def _floors(facts: Facts, release: str, backend: str, platform: str) -> dict[str, tuple[str, ...]]:
    """Return floor -> the Pythons whose wheels have it, the most of them first."""
    wheels = facts.wheels(TORCH, release, backend).items()
    here = {
        floor_of(tag): facts.minors(tags) for tag, tags in wheels if platform_of(tag) == platform
    }
    most_first = sorted(here.items(), key=lambda item: -len(item[1]))
    return {floor: pythons for floor, pythons in most_first if pythons}


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


def _cuda_builds(facts: Facts, release: str, backend: str) -> dict[str, str]:
    """Return platform -> CUDA build, for the platforms that get one."""
    builds = {
        platform: facts.build(release, backend, platform)
        for platform in facts.platforms(TORCH, release, backend)
    }
    return {platform: build for platform, build in builds.items() if family_of(build) == "cu"}


def _drivers(facts: Facts, release: str, backend: str) -> str:
    drivers = grouped(
        _cuda_builds(facts, release, backend).items(),
        lambda item: facts.min_driver(item[1], item[0]),
    )
    if len(drivers) < 2:
        return "".join(drivers)
    return "<br>".join(
        f"{', '.join(dict.fromkeys(system_of(platform) for platform, _ in items))}: {driver}"
        for driver, items in drivers.items()
    )


def _gpus(facts: Facts, release: str, backend: str) -> str:
    if family_of(backend) == "rocm":
        return " ".join(facts.amd_architectures(release, backend))
    builds = _cuda_builds(facts, release, backend)
    groups = grouped(builds, lambda name: facts.architectures(release, builds[name], name))
    if not groups:
        return ""
    return _by_platform({_served(compiled): names for compiled, names in groups.items()})


def _served(architectures: Sequence[int]) -> str:
    if not architectures:
        return "not known"
    numbers = " ".join(capability(number) for number in architectures)
    return f"{', '.join(generations(architectures))} ({numbers})"


def _broken_builds(facts: Facts) -> Iterator[str]:
    """Yield one line for every published build that does not work, newest release first."""
    for release in reversed(facts.releases):
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
    text = support_page(load_facts())
    if not is_check:
        PAGE.write_text(text, encoding="utf-8", newline="\n")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
        message = "docs/support.md is older than the facts: uv run -m tools.support"
        print(message, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
