"""The table of `docs/support.md`, and its list of broken builds, from the facts."""

from __future__ import annotations

from collections.abc import Iterator

from tabulate import tabulate

from tools.lib.written import DOCS, with_parts
from torch_plan.answers import NO_COMPANIONS
from torch_plan.defaults import complete
from torch_plan.facts import CPU, PYPI, TORCH, Facts, family_of
from torch_plan.planning import make_plan

PAGE = DOCS / "support.md"

LETTERS = {
    "linux-x86_64": "L",
    "linux-aarch64": "A",
    "macos-arm64": "M",
    "macos-x86_64": "m",
    "windows-x86_64": "W",
    "windows-arm64": "w",
}
"""How the table writes a platform; the page says so too."""

HEAD = ("torch", "goes with", "Python", "needs", "on PyPI", "CPU", "CUDA", "ROCm", "XPU")


def refreshed(page: str, facts: Facts) -> str:
    """Return the page with the table and the list as the facts have them now.

    Raises `KeyError` if the page has no place for one of them.
    """
    return with_parts(page, {"table": _table(facts), "broken": _broken(facts)})


def _table(facts: Facts) -> str:
    rows = [_row(facts, release) for release in reversed(facts.releases)]
    return tabulate(rows, HEAD, tablefmt="github", disable_numparse=True)


def _row(facts: Facts, release: str) -> list[str]:
    companions = facts.companions(release).items()
    on_pypi: dict[str, str] = {}
    for platform in facts.platforms(TORCH, release, PYPI):
        build = facts.build(release, PYPI, platform)
        on_pypi[build] = on_pypi.get(build, "") + LETTERS[platform]
    builds: dict[str, list[str]] = {}
    for backend in facts.backends(release):
        if backend != PYPI:
            family, letters = family_of(backend), _letters(facts, release, backend)
            cell = letters if backend == family else f"`{backend}`\N{NO-BREAK SPACE}{letters}"
            builds.setdefault(family, []).append(cell)
    return [
        f"**{release}**<br>{facts.released(release)}",
        "<br>".join(f"{name} {_span(versions)}" for name, versions in companions),
        facts.span(facts.pythons_of(release), to="\N{EN DASH}"),
        "<br>".join(_floors(facts, release)),
        "<br>".join(f"`{build}`\N{NO-BREAK SPACE}{letters}" for build, letters in on_pypi.items()),
        *("<br>".join(builds.get(family, [])) for family in ("cpu", "cu", "rocm", "xpu")),
    ]


def _letters(facts: Facts, release: str, backend: str) -> str:
    """Return `LA?W`: the platforms of a build, a `?` after each that is only likely."""
    return "".join(
        f"~~{letter}~~"
        if facts.why_broken(release, backend, platform)
        else f"{letter}{'?' if facts.is_likely(TORCH, release, backend, platform) else ''}"
        for platform, letter in LETTERS.items()
        if platform in facts.platforms(TORCH, release, backend)
    )


def _span(versions: tuple[str, ...]) -> str:
    """Return the oldest and the newest of versions, of which the newest is the first."""
    return "\N{EN DASH}".join(dict.fromkeys((versions[-1], versions[0])))


def _floors(facts: Facts, release: str) -> Iterator[str]:
    """Yield the oldest systems that the wheels of the CPU build take: `glibc 2.28 LA`."""
    letters: dict[str, str] = {}
    for platform in facts.platforms(TORCH, release, CPU):
        answers = {
            "torch_version": release,
            "torch_backend": CPU,
            "python_version": facts.pythons(TORCH, release, CPU, platform)[0],
            "companions": NO_COMPANIONS,
            "platforms": platform,
        }
        for floor in make_plan(complete(answers, facts)).default.floors.values():
            name = str(floor).removesuffix(" or newer")
            letters[name] = letters.get(name, "") + LETTERS[platform]
    return (f"{floor}\N{NO-BREAK SPACE}{its}" for floor, its in letters.items())


def _broken(facts: Facts) -> str:
    """Return a line for every published build that does not work."""
    return "\n".join(
        f"- torch {release}, `{backend}`, {platform}: {reason}."
        for release in reversed(facts.releases)
        for backend in facts.backends(release)
        for platform in facts.platforms(TORCH, release, backend)
        if (reason := facts.why_broken(release, backend, platform))
    )
