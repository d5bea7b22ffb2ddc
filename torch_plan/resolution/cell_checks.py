"""What makes answers impossible to serve, with the changes that may help.

Every problem is collected before any is reported. The ways out are candidates, the nearest first;
`refusal` offers those that it has tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch_plan.answers.problems import Key, Problem, Way
from torch_plan.answers.records import DEFAULT_PLATFORMS, MARKERS, MINIMUM, Variant
from torch_plan.answers.words import BackendWord, PlatformWord
from torch_plan.catalog.versions import CPU, TORCH
from torch_plan.resolution.cells import Cell, Cells
from torch_plan.resolution.ways import Ways
from torch_plan.text import listed


def check_cells(cells: Cells, raw: Mapping[str, str]) -> list[Problem]:
    """Return why these cells cannot be had; the ways out change `raw` word by word."""
    checks = _Checks(cells, raw)
    if checks.check_pythons():
        for variant in cells.answers.variants:
            if checks.check_backend(variant):
                for cell in cells.of(variant):
                    checks.check_torch(cell)
                checks.check_companions(variant)
        checks.check_numpy_guard()
        checks.check_minimum()
        checks.check_dockerfile()
    return checks.problems


class _Checks:
    """Collects problems. A check that later ones depend on returns True if it found none."""

    def __init__(self, cells: Cells, raw: Mapping[str, str]) -> None:
        self.cells, self.raw = cells, raw
        self.answers, self.facts = cells.answers, cells.facts
        self.ways = Ways(cells, raw)
        self.problems: list[Problem] = []

    def refuse(self, key: Key, *, heading: str, reason: str, ways: Iterable[Way]) -> None:
        """Note a problem, without the ways out that change nothing."""
        distinct = [way for way in ways if any(self.raw.get(name) != way[name] for name in way)]
        self.problems.append(Problem(key, heading, reason, tuple(distinct)))

    def check_pythons(self) -> bool:
        """Refuse a Python that one of the releases has no wheel of torch for at all."""
        answers, problems_before = self.answers, len(self.problems)
        releases = [answers.release, *(variant.release for variant in answers.variants)]
        releases += [override.release for override in answers.overrides.values()]
        for release in dict.fromkeys(filter(None, releases)):
            self.check_python(release)
        return len(self.problems) == problems_before

    def check_python(self, release: str) -> None:
        """Refuse a Python that a release has no wheel of torch for at all."""
        facts, python = self.facts, self.answers.python
        pythons = facts.pythons_of(release)
        if python not in pythons:
            serving = [name for name in facts.releases if python in facts.pythons_of(name)]
            self.refuse(
                ("python_version", *([] if release == self.answers.release else [release])),
                heading=f"python_version={python} with {self.asked_release(release)}",
                reason=f"torch {release} has wheels for Python {facts.span(pythons)}.",
                ways=[
                    *self.ways.other_pythons(pythons),
                    *self.ways.other_releases(release, serving),
                ],
            )

    def check_backend(self, variant: Variant) -> bool:
        """Refuse a backend that the release lacks, or that no chosen platform would get."""
        answers, facts, backend = self.answers, self.facts, variant.backend
        release, python = variant.release, answers.python
        options = facts.backends(release)
        exists = any(self.cells.exists(release, backend, name) for name in answers.platforms)
        if backend not in options and not exists:
            self.refuse(
                ("torch_backend", self.position(variant), "release"),
                heading=f"torch_backend={backend} with {self.asked_release(release)}",
                reason=f"torch {release} has: {' '.join(options)}.",
                ways=[
                    *self.ways.releases_with(variant)[:1],
                    *(self.ways.own_release(variant) if len(answers.variants) > 1 else ()),
                    *self.ways.other_backends(variant),
                    *self.ways.relabelled(variant),
                ],
            )
            return False
        if exists or any(self.cells.override(variant, name) for name in answers.platforms):
            return True
        served = {
            platform: facts.pythons(TORCH, release, backend, platform)
            for platform in facts.platforms(TORCH, release, backend)
        }
        served_texts = [f"{name} (Python {facts.span(served[name])})" for name in served]
        elsewhere = [name for name in served if self.cells.exists(release, backend, name)]
        here = [python for name in answers.platforms for python in served.get(name, ())]
        self.refuse(
            ("torch_backend", self.position(variant), "platforms"),
            heading=f"torch_backend={backend} for platforms={' '.join(answers.platforms)} "
            f"with {self.asked_release(release)} and python_version={python}",
            reason=f"none of these platforms has {backend} wheels for this Python; "
            f"torch {release} has them for {'; '.join(served_texts)}.",
            ways=[
                *self.ways.other_pythons(here),
                *self.ways.other_backends(variant),
                *({"platforms": f"{name} {self.raw['platforms']}"} for name in elsewhere),
            ],
        )
        return False

    def check_torch(self, cell: Cell) -> None:
        """Refuse a cell whose wheel of torch does not exist, or does not work."""
        reason = self.cells.why_missing(cell.torch, cell)
        if reason:
            self.refuse(
                ("platforms", cell.platform, self.position(cell.variant)),
                heading=self.heading(cell),
                reason=f"{reason} {cell.platform}.",
                ways=self.ways.other_cells(cell),
            )
            return
        reason = self.facts.hardware.why_broken(cell.release, cell.backend, cell.platform)
        if reason and not cell.url:
            self.refuse(
                ("broken", cell.platform, self.position(cell.variant)),
                heading=self.heading(cell),
                reason=f"PyTorch publishes this build, but it does not work: {reason}.",
                ways=[
                    *self.ways.other_backends(cell.variant),
                    self.ways.with_override(cell, CPU),
                    self.ways.without_platforms({cell.platform}),
                ],
            )

    def check_companions(self, variant: Variant) -> None:
        """Refuse the companions that a variant cannot have, each once for all of its platforms."""
        for name in self.answers.companions:
            lacking: dict[str, list[Cell]] = {}
            for cell in self.cells.of(variant):
                reason = self.cells.why_lacking(name, cell)
                if reason and not self.cells.why_missing(cell.torch, cell):
                    lacking.setdefault(reason, []).append(cell)
            if lacking and name not in self.answers.optional:
                self.refuse_companion(name, lacking)

    def refuse_companion(self, name: str, lacking: Mapping[str, list[Cell]]) -> None:
        """Refuse a companion in cells of one variant: reason -> the cells that lack it for that."""
        cells = [cell for group in lacking.values() for cell in group]
        variant, facts = cells[0].variant, self.facts
        own = {cell for cell in self.cells.of(variant) if cell.backend == variant.backend}
        serving = [release for release in facts.releases if name in facts.companions(release)]
        backends, on_cpu = self.ways.other_backends(variant), self.ways.with_cpu(cells)
        # Where no platform has it for the build, another build is nearer.
        builds = [*backends, on_cpu] if own <= {*cells} else [on_cpu, *backends]
        said = (
            f"{reason} {listed([cell.platform for cell in group])}"
            for reason, group in lacking.items()
        )
        self.refuse(
            ("companions", name, self.position(variant)),
            heading=f"companions={name} and {self.heading(*cells)}",
            reason=f"{'; '.join(said)}.",
            ways=[
                builds[0],
                self.ways.optional_companion(name),
                self.ways.without_companion(name),
                *self.ways.other_pythons(facts.all_pythons),
                *builds[1:],
                *self.ways.other_releases(cells[0].release, serving),
                self.ways.without_platforms({cell.platform for cell in cells}),
            ],
        )

    def check_numpy_guard(self) -> None:
        """Refuse `numpy<2` where NumPy 1 has no wheels."""
        answers, guarded = self.answers, self.cells.guarded
        pythons, platforms = self.facts.numpy_1
        if guarded and answers.python not in pythons:
            self.refuse(
                ("numpy_guard", "python"),
                heading=f"numpy_guard={answers.numpy_guard} with python_version={answers.python}",
                reason=f"numpy<2 has wheels for Python {self.facts.span(pythons)}.",
                ways=[
                    *self.ways.other_pythons(pythons),
                    {"numpy_guard": "auto"},
                    {"numpy_guard": "never"},
                ],
            )
        unserved = [platform for platform in guarded if platform not in platforms]
        if unserved:
            self.refuse(
                ("numpy_guard", "platforms"),
                heading=f"numpy_guard={answers.numpy_guard} for platforms={' '.join(unserved)}",
                reason="numpy<2 has no wheels for these platforms.",
                ways=[
                    {"numpy_guard": "auto"},
                    *(self.ways.without_platforms({name}) for name in unserved),
                ],
            )

    def check_minimum(self) -> None:
        """Refuse `torch_pin=minimum` where one platform has several releases.

        uv has one list of constraints for the whole project, whatever extra or group is chosen.
        """
        if self.answers.torch_pin != MINIMUM:
            return
        for platform in self.answers.platforms:
            cells = (cell for cell in self.cells.all if cell.platform == platform)
            releases = list(dict.fromkeys(cell.release for cell in cells))
            if len(releases) > 1:
                self.refuse(
                    ("torch_pin", platform),
                    heading=f"torch_pin={MINIMUM} for platforms={platform}",
                    reason=f"its builds are of torch {listed(releases)}, but uv.lock can be held "
                    f"at only one release for each platform with torch_pin={MINIMUM}.",
                    ways=[{"torch_pin": "public"}],
                )

    def check_dockerfile(self) -> None:
        """Refuse a Dockerfile for a project without a Linux platform."""
        has_linux = any(platform.startswith("linux") for platform in self.answers.platforms)
        if self.answers.dockerfile and not has_linux:
            self.refuse(
                ("dockerfile",),
                heading=f"dockerfile=yes for platforms={' '.join(self.answers.platforms)}",
                reason="a container runs Linux, and none of the platforms is Linux.",
                ways=[
                    {"dockerfile": "no"},
                    {"platforms": f"{DEFAULT_PLATFORMS[0]} {self.raw['platforms']}"},
                ],
            )

    def position(self, variant: Variant) -> str:
        """Return a key for a variant that stays the same when its backend or name changes."""
        return str(self.answers.variants.index(variant))

    def asked_release(self, release: str) -> str:
        """Return the answer that asks for a release; of a list, the word that does."""
        if release == self.answers.release:
            return f"torch_version={release}"
        for key, kind in (("torch_backend", BackendWord), ("platforms", PlatformWord)):
            for text in self.raw[key].split():
                if kind.parse(text).release == release:
                    return f"{key}={text}"
        raise KeyError(release)

    def heading(self, cell: Cell, *others: Cell) -> str:
        """Return what was asked of cells of one variant."""
        name = "" if self.answers.layout == MARKERS else f" ({cell.variant.name})"
        platforms = " ".join(cell.platform for cell in (cell, *others))
        return (
            f"torch_backend={cell.backend}{name} for platforms={platforms} "
            f"with {self.asked_release(cell.release)} and python_version={self.answers.python}"
        )
