"""What makes answers impossible to serve, with the changes that may help.

Every problem is collected before any is reported. The ways out are candidates, the nearest first;
`refusal` offers those that it has tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from torch_plan.answers.problems import Problem, Way
from torch_plan.answers.records import DEFAULT_PLATFORMS, MARKERS, MINIMUM, OPTIONAL, Variant
from torch_plan.catalog.versions import CPU, TORCH
from torch_plan.resolution.cells import Cell, Cells
from torch_plan.resolution.ways import Ways
from torch_plan.text import listed


def check_cells(cells: Cells, raw: Mapping[str, str]) -> list[Problem]:
    """Return why these cells cannot be had; the ways out change `raw` word by word."""
    checks = _Checks(cells, raw)
    return [*(checks.pythons() or checks.others())]


class _Checks:
    """Finds problems in cells."""

    def __init__(self, cells: Cells, raw: Mapping[str, str]) -> None:
        self.cells, self.raw = cells, raw
        self.answers, self.facts = cells.answers, cells.facts
        self.ways = Ways(cells, raw)

    def others(self) -> Iterator[Problem]:
        """Yield what is wrong where every release has the Python."""
        for variant in self.answers.variants:
            lacking = [*self.backend(variant)]
            yield from lacking or self.builds(variant)
        yield from self.numpy_guard()
        yield from self.minimum()
        yield from self.dockerfile()

    def pythons(self) -> list[Problem]:
        """Refuse a Python that one of the releases has no wheel of torch for at all."""
        answers, facts, problems = self.answers, self.facts, []
        releases = [answers.release, *(variant.release for variant in answers.variants)]
        releases += [override.release for override in answers.overrides.values()]
        for release in dict.fromkeys(filter(None, releases)):
            pythons = facts.pythons_of(release)
            if answers.python not in pythons:
                known = {name: facts.pythons_of(name) for name in facts.releases}
                serving = [name for name in known if answers.python in known[name]]
                key = ("python_version", *([] if release == answers.release else [release]))
                heading = f"python_version={answers.python} with {self.asked_release(release)}"
                reason = f"torch {release} has wheels for Python {facts.span(pythons)}."
                ways = self.ways.other_pythons(pythons) + self.ways.other_releases(release, serving)
                problems.append(Problem(key, heading, reason, tuple(ways)))
        return problems

    def backend(self, variant: Variant) -> Iterator[Problem]:
        """Refuse a backend that the release lacks, or that no chosen platform would get."""
        facts, release, backend = self.facts, variant.release, variant.backend
        options, asked = facts.backends(release), self.answers.platforms
        has_override = any(self.cells.override(variant, name) for name in asked)
        exists = any(self.cells.exists(release, backend, name) for name in asked)
        if exists or (has_override and backend in options):
            return
        platforms = facts.platforms(TORCH, release, backend)
        served = {name: facts.pythons(TORCH, release, backend, name) for name in platforms}
        about, heading = "release", f"torch_backend={backend} with {self.asked_release(release)}"
        reason = f"torch {release} has: {' '.join(options)}."
        if backend in options:
            about, heading = "platforms", self.heading(variant, backend, asked)
            texts = [f"{name} (Python {facts.span(served[name])})" for name in served]
            where = "for this Python" if served.keys() & {*asked} else "at all"
            reason = (
                f"none of these platforms has {backend} wheels {where}; "
                f"torch {release} has them for {'; '.join(texts)}."
            )
        here = [python for name in asked for python in served.get(name, ())]
        elsewhere = [name for name in served if self.answers.python in served[name]]
        ways = [
            *self.ways.other_pythons(here),
            *self.ways.releases_with(variant)[:1],
            *self.ways.own_release(variant),
            *self.ways.other_backends(variant),
            *({"platforms": f"{name} {self.raw['platforms']}"} for name in elsewhere),
            self.ways.relabelled(variant),
        ]
        key = ("torch_backend", self.position(variant), about)
        yield Problem(key, heading, reason, tuple(ways))

    def builds(self, variant: Variant) -> Iterator[Problem]:
        """Refuse cells whose torch cannot be had, and companions, each for all its platforms."""
        cells = self.cells.of(variant)
        for cell in cells:
            yield from self.torch(cell)
        for name in self.answers.companions:
            lacking = [cell for cell in cells if name in cell.lacking and TORCH not in cell.lacking]
            if lacking and name not in self.answers.optional:
                yield self.companion(name, lacking)

    def torch(self, cell: Cell) -> Iterator[Problem]:
        """Refuse a cell whose wheel of torch does not exist, or does not work."""
        broken = self.facts.hardware.why_broken(cell.release, cell.backend, cell.platform)
        if TORCH in cell.lacking:
            reason, ways = f"{cell.lacking[TORCH]} {cell.platform}.", self.ways.other_cells(cell)
        elif broken and not cell.url:
            reason = f"PyTorch publishes this build, but it does not work: {broken}."
            ways = [
                *self.ways.other_backends(cell.variant),
                self.ways.with_override([cell], CPU),
                self.ways.without_platforms({cell.platform}),
            ]
        else:
            return
        key = ("platforms", cell.platform, self.position(cell.variant))
        heading = self.heading(cell.variant, cell.backend, [cell.platform], cell.release)
        yield Problem(key, heading, reason, tuple(ways))

    def companion(self, name: str, cells: Sequence[Cell]) -> Problem:
        """Refuse a companion in cells of one variant, which lack it."""
        variant, facts = cells[0].variant, self.facts
        platforms = [cell.platform for cell in cells]
        reasons: dict[str, list[str]] = {}
        for cell in cells:
            reasons.setdefault(cell.lacking[name], []).append(cell.platform)
        said = (f"{reason} {listed(reasons[reason])}" for reason in reasons)
        serving = [release for release in facts.releases if name in facts.companions(release)]
        backends, on_cpu = self.ways.other_backends(variant), self.ways.with_override(cells, CPU)
        unchanged = {
            cell.platform for cell in self.cells.of(variant) if cell.backend == variant.backend
        }
        # Where no platform has it for the build, another build is nearer.
        builds = [*backends, on_cpu] if unchanged <= {*platforms} else [on_cpu, *backends]
        ways = [
            builds[0],
            self.ways.with_companion(name, f"{name}{OPTIONAL}"),
            self.ways.with_companion(name),
            *self.ways.other_pythons(facts.all_pythons),
            *builds[1:],
            *self.ways.other_releases(cells[0].release, serving),
            self.ways.without_platforms(platforms),
        ]
        asked = self.heading(variant, cells[0].backend, platforms, cells[0].release)
        key = ("companions", name, self.position(variant))
        return Problem(key, f"companions={name} and {asked}", f"{'; '.join(said)}.", tuple(ways))

    def numpy_guard(self) -> Iterator[Problem]:
        """Refuse `numpy<2` where NumPy 1 has no wheels."""
        answers, guarded = self.answers, self.cells.guarded
        _, _, platforms, pythons = self.facts.numpy(1)
        if {*guarded} <= {*platforms} and (answers.python in pythons or not guarded):
            return
        ways: list[Way] = [
            *([] if answers.python in pythons else self.ways.other_pythons(pythons)),
            {"numpy_guard": "auto"},
            {"numpy_guard": "never"},
            *(self.ways.without_platforms({name}) for name in guarded if name not in platforms),
        ]
        yield Problem(
            ("numpy_guard",),
            f"numpy_guard={answers.numpy_guard} with python_version={answers.python} "
            f"for platforms={' '.join(guarded)}",
            f"numpy<2 has wheels for Python {self.facts.span(pythons)} on {listed(platforms)}.",
            tuple(ways),
        )

    def minimum(self) -> Iterator[Problem]:
        """Refuse `torch_pin=minimum` where one platform has several releases.

        uv has one list of constraints for the whole project, whatever extra or group is chosen.
        """
        if self.answers.torch_pin != MINIMUM:
            return
        for platform in self.answers.platforms:
            cells = (cell for cell in self.cells.all if cell.platform == platform)
            releases = list(dict.fromkeys(cell.release for cell in cells))
            if len(releases) > 1:
                yield Problem(
                    ("torch_pin", platform),
                    f"torch_pin={MINIMUM} for platforms={platform}",
                    f"its builds are of torch {listed(releases)}, but uv.lock can be held "
                    f"at only one release for each platform with torch_pin={MINIMUM}.",
                    ({"torch_pin": "public"},),
                )

    def dockerfile(self) -> Iterator[Problem]:
        """Refuse a Dockerfile for a project without a Linux platform."""
        has_linux = any(platform.startswith("linux") for platform in self.answers.platforms)
        if self.answers.dockerfile and not has_linux:
            yield Problem(
                ("dockerfile",),
                f"dockerfile=yes for platforms={' '.join(self.answers.platforms)}",
                "a container runs Linux, and none of the platforms is Linux.",
                (
                    {"dockerfile": "no"},
                    {"platforms": f"{DEFAULT_PLATFORMS[0]} {self.raw['platforms']}"},
                ),
            )

    def position(self, variant: Variant) -> str:
        """Return a key for a variant that stays the same when its backend or name changes."""
        return str(self.answers.variants.index(variant))

    def asked_release(self, release: str) -> str:
        """Return what asks for a release: an answer, or a word of a list for a torch."""
        answer = "torch_version=" if release == self.answers.release else "torch "
        return f"{answer}{release}"

    def heading(
        self, variant: Variant, backend: str, platforms: Sequence[str], release: str = ""
    ) -> str:
        """Return what was asked of a variant on some platforms."""
        name = "" if self.answers.layout == MARKERS else f" ({variant.name})"
        return (
            f"torch_backend={backend}{name} for platforms={' '.join(platforms)} with "
            f"{self.asked_release(release or variant.release)} "
            f"and python_version={self.answers.python}"
        )
