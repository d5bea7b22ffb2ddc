"""Write `docs/support.md` and `docs/support.svg`, what PyTorch publishes, from `builds.json`.

Run it with `uv run tools/support.py`. With `--check` it writes nothing, and exits 1 if a file is
older than the facts.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from torch_plan.default_backend import runs_on
from torch_plan.facts import FAMILIES, PYPI, Facts, capability, family_of, load_facts
from torch_plan.platforms import PLATFORMS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.path import Path as Outline

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE_NAME, PICTURE_NAME = "support.md", "support.svg"
TITLE = "PyTorch releases, and the platforms that each backend has wheels for"

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

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")


# --- What both say -------------------------------------------------------------------------------


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


def grouped(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """Return key -> items, both in the order in which they came."""
    groups: dict[Key, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


# --- docs/support.md -----------------------------------------------------------------------------


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
        "## Release by release",
        _reading_aid(),
        *(part for release in newest_first for part in _release(facts, release)),
        "## Known broken",
        "Published, and refused by the template:",
        "\n".join(_broken_builds(facts)),
    ]
    return "\n\n".join(parts) + "\n"


def _introduction() -> str:
    return f"""\
# Which PyTorch builds exist

`uv run tools/support.py` writes this page and its picture from
[`torch_plan/builds.json`](../torch_plan/builds.json). Edit the facts, not the page: a test fails
when the two differ.

The facts hold what was found published, and nothing that was only inferred. An empty cell means
that no wheel is known.

![{TITLE}]({PICTURE_NAME})"""


def _legend() -> str:
    letters = ", ".join(f"**{LETTERS[name]}** {platform_names([name])}" for name in LETTERS)
    return (
        f"{letters}. ~~Struck out~~: published, but [broken](#known-broken). "
        f"`{PYPI}` is what PyPI itself carries."
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
        else LETTERS[platform]
        for platform in facts.platforms("torch", release, backend)
    )


def _anchor(release: str) -> str:
    return f"torch-{release.replace('.', '')}"


def _reading_aid() -> str:
    cards = ", ".join(
        f"{name} {' '.join(capability(card) for card in cards)}"
        for name, cards in GENERATIONS.items()
    )
    return f"""\
- **Pythons**: those that torch has wheels for, free-threaded ones left out.
- **Companions**: those of the release's companions that the same index carries.
- **Driver**: the least NVIDIA driver. ROCm needs AMD's, XPU Intel's; the facts do not say which.
- **GPUs**: of NVIDIA's, the generations that the build runs on, and the compute capabilities that
  it was compiled for. A binary also serves a higher minor version of the same major one: 8.6 runs
  on 8.9, not on 9.0. PTX is not counted. Of AMD's, those that the build holds kernels for; some
  people run it on a relative of one of them with `HSA_OVERRIDE_GFX_VERSION`, which AMD does not
  support.
- **Generations**, by [NVIDIA's list](https://{GPU_LIST}): {cards}."""


def _release(facts: Facts, release: str) -> Iterator[str]:
    """Yield heading, line and table of one release."""
    companions = " and ".join(f"{name} {version}" for name, version in _pairs(facts, release))
    yield f"### torch {release}"
    yield f"{facts.released(release)}, with {companions}."
    yield _table(
        ["backend", "platforms", "Pythons", "companions", "driver", "GPUs"],
        [
            [
                f"`{backend}`",
                _platforms(facts, release, backend),
                _pythons(facts, release, backend),
                ", ".join(_companions(facts, release, backend)),
                _drivers(facts, release, backend),
                _gpus(facts, release, backend),
            ]
            for backend in facts.backends(release)
        ],
    )


def _pairs(facts: Facts, release: str) -> list[tuple[str, str]]:
    return [(name, versions[0]) for name, versions in facts.companions(release).items()]


def _platforms(facts: Facts, release: str, backend: str) -> str:
    """Name the platforms; for `pypi`, with the build that each gets."""
    platforms = facts.platforms("torch", release, backend)
    broken = [name for name in platforms if facts.why_broken(release, backend, name)]
    sound = [name for name in platforms if name not in broken]
    builds = grouped(sound, partial(facts.build, release, backend))
    return "<br>".join(
        [f"{platform_names(names)}{_which(build, backend)}" for build, names in builds.items()]
        + [f"~~{platform_names(names)}~~" for names in [broken] if names]
    )


def _which(build: str, backend: str) -> str:
    return "" if build == backend else f": `{build}`"


def _pythons(facts: Facts, release: str, backend: str) -> str:
    platforms = facts.platforms("torch", release, backend)
    groups = grouped(platforms, partial(facts.pythons, "torch", release, backend))
    spans = {facts.span(has, to="\N{EN DASH}"): names for has, names in groups.items()}
    return _by_platform(spans)


def _by_platform(groups: Mapping[str, Sequence[str]]) -> str:
    """Return a value that holds everywhere alone, else one line for each value and platforms."""
    if len(groups) == 1:
        return next(iter(groups))
    return "<br>".join(f"{platform_names(names)}: {text}" for text, names in groups.items())


def _companions(facts: Facts, release: str, backend: str) -> Iterator[str]:
    """Yield the companions on an index, each with what it lacks beside torch."""
    platforms = facts.platforms("torch", release, backend)
    for companion, version in _pairs(facts, release):
        there = [name for name in platforms if facts.pythons(companion, version, backend, name)]
        absent = [name for name in platforms if name not in there]
        missing = grouped(there, partial(_missing, facts, release, backend, companion))
        lacks = [f"not on {platform_names(absent)}"] if absent else []
        for pythons, names in missing.items():
            where = "" if len(names) == len(platforms) else f" on {platform_names(names)}"
            span = facts.span(pythons, to="\N{EN DASH}") if pythons else ""
            lacks += [f"not for {span}{where}"] if pythons else []
        if there:
            yield f"{companion} ({', '.join(lacks)})" if lacks else companion


def _missing(
    facts: Facts, release: str, backend: str, companion: str, platform: str
) -> tuple[str, ...]:
    """Return the Pythons that torch has wheels for, and a companion has not."""
    version = facts.companions(release)[companion][0]
    has = facts.pythons(companion, version, backend, platform)
    return tuple(
        name for name in facts.pythons("torch", release, backend, platform) if name not in has
    )


def _cuda_builds(facts: Facts, release: str, backend: str) -> dict[str, str]:
    """Return platform -> CUDA build, for the platforms that get one."""
    builds = {
        platform: facts.build(release, backend, platform)
        for platform in facts.platforms("torch", release, backend)
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
            for platform in facts.platforms("torch", release, backend):
                if reason := facts.why_broken(release, backend, platform):
                    where = platform_names([platform])
                    yield f"- torch {release}, `{backend}`, {where}: {reason}."


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


# --- docs/support.svg ----------------------------------------------------------------------------

PLAIN = "#667085"
ONE_SYSTEM, TWO_SYSTEMS, THREE_SYSTEMS = "#a16207", "#2f6fd0", "#1a7f4b"
BROKEN = "#cf222e"
CROSS = "\N{MULTIPLICATION SIGN}"
MEANINGS = {
    ONE_SYSTEM: "wheels for one operating system",
    TWO_SYSTEMS: "for two",
    THREE_SYSTEMS: "for all three",
    BROKEN: f"{CROSS} = published, but broken",
}
"""Colour -> what it means in a cell."""

INK, EMPTY = "#ffffff", "#80808026"
GROUNDS = (PLAIN, *MEANINGS)
"""What text stands on. The picture has no background, so each of these must serve on a white page
and on GitHub's dark one: it stands out from both (contrast 3 and more), and INK from it (4.5)."""

# Measures of the picture, in points.
CELL, LINE, GAP, FAMILY_GAP = 25.0, 22.0, 2.0, 6.0
NAMES_WIDTH, NAMES_HEIGHT, BAND = 46.0, 56.0, 17.0

Box = tuple[float, float, float, float]
"""Left, top, width and height; the top of the picture is 0."""


def support_picture(facts: Facts) -> str:
    """Return the text of `docs/support.svg`: the same on every machine and at every time."""
    # Imported here, so that the page can be had where there is no matplotlib.
    from matplotlib import style
    from matplotlib.figure import Figure

    releases = tuple(reversed(facts.releases))
    columns = _columns(facts.all_backends)
    width = max(columns.values()) + CELL
    top = 2 * (BAND + GAP) + FAMILY_GAP + BAND + GAP + NAMES_HEIGHT + GAP
    height = top + len(releases) * (LINE + GAP) - GAP
    settings = {
        "svg.fonttype": "none",
        "svg.hashsalt": PICTURE_NAME,
        "font.sans-serif": ["DejaVu Sans", "Verdana", "Helvetica", "Arial"],
        "font.monospace": ["DejaVu Sans Mono", "Menlo", "Consolas"],
    }
    text = io.StringIO()
    with style.context(["default", settings]):
        figure = Figure(figsize=(width / 72, height / 72))
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        axes.set_axis_off()
        _draw_legend(axes, width)
        _draw_names(axes, releases, columns, top)
        _draw_cells(axes, facts, releases, columns, top)
        figure.savefig(text, format="svg", transparent=True, metadata=_metadata(facts))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def _metadata(facts: Facts) -> dict[str, str | None]:
    return {
        "Title": TITLE,
        "Description": f"torch {facts.releases[0]} to {facts.releases[-1]}; as text: {PAGE_NAME}",
        "Date": None,
    }


def _columns(backends: Iterable[str]) -> dict[str, float]:
    """Return backend -> left side of its column, families a little apart."""
    columns: dict[str, float] = {}
    left = NAMES_WIDTH
    for members in grouped(backends, family_of).values():
        left += FAMILY_GAP - GAP
        for backend in members:
            left += GAP
            columns[backend] = left
            left += CELL
    return columns


def _draw_legend(axes: Axes, width: float) -> None:
    platforms = [f"{LETTERS[name]} = {platform_names([name])}" for name in LETTERS]
    for box, text in zip(_shares(width, 0, len(platforms)), platforms, strict=True):
        _fill(axes, [box], PLAIN)
        _write(axes, box, text, size=9)
    boxes = _shares(width, BAND + GAP, len(MEANINGS))
    for box, (colour, text) in zip(boxes, MEANINGS.items(), strict=True):
        _fill(axes, [box], colour)
        _write(axes, box, text, size=9)


def _shares(width: float, top: float, number: int) -> list[Box]:
    """Return boxes of one width that fill a line."""
    share = (width + GAP) / number
    return [(position * share, top, share - GAP, BAND) for position in range(number)]


def _draw_names(
    axes: Axes, releases: Sequence[str], columns: Mapping[str, float], top: float
) -> None:
    """Draw the releases on the left, and above the backends and their families."""
    names_top = top - GAP - NAMES_HEIGHT
    boxes = {
        release: (0.0, top + position * (LINE + GAP), NAMES_WIDTH, LINE)
        for position, release in enumerate(releases)
    }
    for release, box in boxes.items():
        _write(axes, box, release, size=9, weight="bold")
    heads = {backend: (left, names_top, CELL, NAMES_HEIGHT) for backend, left in columns.items()}
    for backend, box in heads.items():
        _write(axes, box, backend, size=9, rotation=90)
    bands = {}
    for family, members in grouped(columns, family_of).items():
        left, right = columns[members[0]], columns[members[-1]] + CELL
        bands[family] = (left, names_top - GAP - BAND, right - left, BAND)
        _write(axes, bands[family], FAMILIES[family], size=8, weight="bold")
    _fill(axes, [*boxes.values(), *heads.values(), *bands.values()], PLAIN)


def _draw_cells(
    axes: Axes, facts: Facts, releases: Sequence[str], columns: Mapping[str, float], top: float
) -> None:
    boxes: dict[str, list[Box]] = {}
    for row, release in enumerate(releases):
        for backend, left in columns.items():
            box = (left, top + row * (LINE + GAP), CELL, LINE)
            boxes.setdefault(_colour(facts, release, backend), []).append(box)
            lines = _lines(facts, release, backend)
            for number, text in enumerate(lines):
                height = (LINE - 2) / len(lines)
                line = (left, box[1] + 1 + number * height, CELL, height)
                _write(axes, line, text, size=9, family="monospace", weight="bold")
    for colour, those in boxes.items():
        _fill(axes, those, colour)


def _colour(facts: Facts, release: str, backend: str) -> str:
    platforms = facts.platforms("torch", release, backend)
    if any(facts.why_broken(release, backend, platform) for platform in platforms):
        return BROKEN
    systems = {system_of(platform) for platform in platforms}
    return (EMPTY, ONE_SYSTEM, TWO_SYSTEMS, THREE_SYSTEMS)[len(systems)]


def _lines(facts: Facts, release: str, backend: str) -> list[str]:
    """Return what stands in a cell: the platforms' letters, Linux above the rest if it is tight."""
    signs = {
        platform: CROSS if facts.why_broken(release, backend, platform) else LETTERS[platform]
        for platform in facts.platforms("torch", release, backend)
    }
    if len(signs) <= 3:
        return ["".join(signs.values())]
    return ["".join(signs[name] for name in names) for names in _linux_and_others(signs)]


def _linux_and_others(platforms: Iterable[str]) -> Iterable[list[str]]:
    return grouped(platforms, lambda name: system_of(name) == "Linux").values()


def _fill(axes: Axes, boxes: Iterable[Box], colour: str) -> None:
    """Fill rounded boxes, as one shape."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline

    outline = Outline.make_compound_path(*(_rounded(box) for box in boxes))
    axes.add_patch(PathPatch(outline, facecolor=colour, edgecolor="none", clip_on=False))


def _rounded(box: Box) -> Outline:
    from matplotlib.patches import BoxStyle

    return BoxStyle.Round(pad=0, rounding_size=3)(*box, mutation_size=1)


def _write(
    axes: Axes,
    box: Box,
    text: str,
    *,
    size: float,
    family: str = "sans-serif",
    weight: str = "normal",
    rotation: float = 0,
) -> None:
    """Write into the middle of a box."""
    left, top, width, height = box
    if text.strip():
        axes.text(
            left + width / 2,
            top + height / 2,
            text,
            size=size,
            family=family,
            weight=weight,
            rotation=rotation,
            color=INK,
            ha="center",
            va="center" if rotation else "center_baseline",
        )


# --- The command ---------------------------------------------------------------------------------


def files(facts: Facts) -> dict[str, str]:
    """Return the name in `docs/` -> the text of both files."""
    return {PAGE_NAME: support_page(facts), PICTURE_NAME: support_picture(facts)}


def stale(facts: Facts, folder: Path = DOCS) -> list[str]:
    """Return the names of the files in a folder that are missing, or differ from the facts."""
    return [
        name
        for name, text in files(facts).items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
    ]


def write(facts: Facts, folder: Path = DOCS) -> None:
    """Write both files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files(facts).items():
        (folder / name).write_bytes(text.encode())


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or check them. Returns 1 if `--check` finds one that is stale."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if stale")
    if not parser.parse_args(arguments).check:
        write(load_facts())
        return 0
    names = stale(load_facts())
    for name in names:
        print(f"docs/{name} is older than the facts: uv run tools/support.py", file=sys.stderr)
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
