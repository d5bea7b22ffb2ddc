"""Changes that may do away with a problem: other builds, releases, Pythons, fewer words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from torch_plan.answers.problems import Way
from torch_plan.answers.records import MARKERS, NO_COMPANIONS, OPTIONAL, Variant
from torch_plan.answers.suggest import nearest
from torch_plan.answers.words import BackendWord, PlatformWord, normalized
from torch_plan.catalog.versions import CPU, TORCH, family_of
from torch_plan.resolution.cells import Cell, Cells


class Ways:
    """Finds changes of words that may help, the nearest first; one that cannot be is empty."""

    def __init__(self, cells: Cells, raw: Mapping[str, str]) -> None:
        self.cells, self.raw = cells, raw
        self.answers, self.facts = cells.answers, cells.facts

    def other_cells(self, cell: Cell) -> list[Way]:
        """Take another build, Python or release for one cell, or leave its platform out."""
        facts, platform = self.facts, cell.platform
        backends = facts.backends(cell.release)
        published = [name for name in backends if self.cells.exists(cell.release, name, platform)]
        near = nearest(cell.backend, published, facts.all_backends)
        # Nobody who asked for one maker's card has another's.
        near.sort(key=lambda name: (family_of(name) != family_of(cell.backend), name != CPU))
        first, *others = [self.with_override([cell], name) for name in near] or [{}]
        serving = [name for name in facts.releases if facts.pythons(TORCH, name, CPU, platform)]
        releases = nearest(cell.release, serving, facts.releases)
        releases.sort(key=lambda name: not facts.pythons(TORCH, name, cell.backend, platform))
        moves = [self.moved(cell, release) for release in releases]
        return [
            first,
            *(together for together, _ in moves[:1] if cell.backend != CPU),
            *others,
            *self.other_pythons(facts.pythons_of(cell.release)),
            *(apart for _, apart in moves[:1]),
            *sorted((together for together, _ in moves), key=len)[:2],
            self.without_platforms({platform}),
        ]

    def moved(self, cell: Cell, release: str) -> tuple[Way, Way]:
        """Take another release for all, or for one platform, with what that platform has there."""
        pythons = self.facts.pythons(TORCH, release, cell.backend, cell.platform)
        backend = cell.backend if pythons else CPU
        pythons = pythons or self.facts.pythons(TORCH, release, CPU, cell.platform)
        other_pythons = [] if self.answers.python in pythons else self.other_pythons(pythons)
        python = next(iter(other_pythons), {})
        build = {} if backend == cell.backend else self.with_override([cell], CPU)
        apart = self.with_override([cell], backend, release)
        return {**self.with_release(cell.release, release), **python, **build}, {**python, **apart}

    def other_backends(self, variant: Variant) -> list[Way]:
        """Return ways to another build: of this family, of another release, or the CPU build."""
        has_cpu = any(other.backend == CPU for other in self.answers.variants)
        return [
            *(self.with_variant(variant, backend=name) for name in self.cells.alike(variant)[:3]),
            *self.releases_with(variant),
            *([] if has_cpu else [self.with_variant(variant, backend=CPU)]),
            self.without_variant(variant),
        ]

    def releases_with(self, variant: Variant) -> list[Way]:
        """Take a release that has this build for some platform, best one with the Python too."""
        serving, python = self.serving(variant), self.answers.python
        with_python = [name for name in serving if python in self.facts.pythons_of(name)]
        return self.other_releases(variant.release, with_python or serving)

    def serving(self, variant: Variant) -> list[str]:
        """Return the releases that have a build for some platform of the project."""
        return [
            release
            for release in self.facts.releases
            if {*self.facts.platforms(TORCH, release, variant.backend)} & {*self.answers.platforms}
        ]

    def own_release(self, variant: Variant) -> list[Way]:
        """Give one of several variants the newest release that has its build."""
        serving = self.serving(variant)[-1:] if len(self.answers.variants) > 1 else []
        return [self.with_variant(variant, release=release) for release in serving]

    def relabelled(self, variant: Variant) -> Way:
        """Name a build of the release beside it: what a person types after another build."""
        near = [*self.cells.alike(variant), CPU]
        is_one = len(self.answers.variants) == 1
        return {"torch_version": f"{variant.release}+{near[0]}"} if is_one else {}

    def with_variant(self, variant: Variant, **changes: str) -> Way:
        """Give a variant another backend or release; it keeps the name that it was given."""
        words = [BackendWord.parse(text) for text in self.raw["torch_backend"].split()]
        position = self.answers.variants.index(variant)
        words[position] = words[position]._replace(**changes)
        return {"torch_backend": " ".join(dict.fromkeys(map(str, words)))}

    def without_variant(self, variant: Variant) -> Way:
        """Leave out a variant; empty where it is the only one."""
        words = self.raw["torch_backend"].split()
        del words[self.answers.variants.index(variant)]
        return {"torch_backend": " ".join(words)} if words else {}

    def with_override(self, cells: Sequence[Cell], backend: str, release: str | None = None) -> Way:
        """Override the build of cells, each in the place of what its platform says now."""
        words = self.raw["platforms"].split()
        for cell in cells:
            variant = None if self.answers.layout == MARKERS else cell.variant.name
            # Without a release a word follows its variant, also to one that another way takes.
            kept_release = None if cell.release == cell.variant.release else cell.release
            word = PlatformWord(cell.platform, variant, backend, release or kept_release)
            words = [text for text in words if not self.decides(PlatformWord.parse(text), cell)]
            words.append(str(word))
        return {"platforms": " ".join(words)}

    def decides(self, word: PlatformWord, cell: Cell) -> bool:
        """Tell whether a word of `platforms` says nothing but which backend a cell gets.

        An override without a name may hold for other variants too, and stays.
        """
        if word.platform != cell.platform:
            return False
        if self.answers.layout == MARKERS or word.backend is None:
            return True
        return normalized(word.variant or "") == normalized(cell.variant.name)

    def without_platforms(self, platforms: Collection[str]) -> Way:
        """Leave out platforms; empty where there are no others."""
        words = self.raw["platforms"].split()
        kept = [text for text in words if PlatformWord.parse(text).platform not in platforms]
        return {"platforms": " ".join(kept)} if kept else {}

    def with_companion(self, companion: str, word: str = "") -> Way:
        """Write another word for a companion, or leave it out."""
        words = self.raw["companions"].split()
        changed = [word if text.removesuffix(OPTIONAL) == companion else text for text in words]
        return {"companions": " ".join(filter(None, changed)) or NO_COMPANIONS}

    def other_pythons(self, pythons: Iterable[str]) -> list[Way]:
        """Take one of the nearest Pythons, up to the newest that was asked for."""
        order, end = self.facts.all_pythons, self.answers.python_end
        near = nearest(self.answers.python, pythons, order)
        if end:
            near = [python for python in near if order.index(python) <= order.index(end)]
        return [{"python_version": f"{python}-{end}" if end else python} for python in near[:2]]

    def other_releases(self, release: str, releases: Iterable[str]) -> list[Way]:
        """Take one of those that are nearest to a release, wherever it is asked for."""
        near = nearest(release, releases, self.facts.releases)
        return [self.with_release(release, other) for other in near[:2]]

    def with_release(self, release: str, other: str) -> Way:
        """Take another release where this one is asked for: for all, or in single words."""
        if release == self.answers.release:
            return {"torch_version": other}
        changed: dict[str, str] = {}
        for key, kind in (("torch_backend", BackendWord), ("platforms", PlatformWord)):
            words = [kind.parse(text) for text in self.raw[key].split()]
            if any(word.release == release for word in words):
                changed[key] = " ".join(
                    str(word._replace(release=other) if word.release == release else word)
                    for word in words
                )
        return changed
