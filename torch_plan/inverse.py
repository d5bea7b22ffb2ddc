"""From what a project has to the answers that give it: the way back of a plan."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

from torch_plan.answers.words import BackendWord, PlatformWord, normalized
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.mirrors import BUILD_PLACE
from torch_plan.catalog.versions import CPU, TORCH, version_key
from torch_plan.resolution.check import find_problems
from torch_plan.resolution.defaults import complete
from torch_plan.urls import written

Place = tuple[str, str]
"""A variant, empty where a project has one build only, and a platform."""


class Present(NamedTuple):
    """What a project has now, as its files say it."""

    backends: Mapping[Place, str]
    """In the order of the variants, and of the platforms of each; none where it has no torch."""
    admits: Callable[[str, str, Place], bool]
    """Tells whether the requirements admit a version of a package there."""
    pythons: Sequence[str]
    """The Pythons that the project is for, the oldest first."""
    locked: Collection[str]
    """The releases that its lock has."""
    demanded: Collection[str]
    """The platforms that it names itself; the others are the usual ones."""
    keeps_python: bool = False
    """Whether an older release is better than a newer Python, since others rely on the oldest."""
    urls: Mapping[Place, str] = {}
    """The index of a place that has one of its own, and not PyTorch's."""


def index_backend(url: str, bases: Collection[str]) -> str | None:
    """Return the backend of an index of PyTorch, by its URL and by those of the copies that exist.

    None for any other index. Empty where the URL names no build; `nightly/cu128` for a nightly one.
    """
    for base in bases:
        start, _, end = base.partition(BUILD_PLACE)
        start, rest = start.rstrip("/"), f"{written(url)}/"
        if rest.startswith(f"{start}/") and rest.endswith(f"{end}/"):
            between = rest.removeprefix(start).removesuffix(f"{end}/")
            return between.strip("/").removesuffix("torch_stable.html")
    return None


class Inverse:
    """Looks for answers whose plan keeps what a project has; those that were given stay."""

    def __init__(self, present: Present, given: Mapping[str, str], facts: Facts) -> None:
        self.present, self.given, self.facts = present, given, facts
        self.variants = dict.fromkeys(variant for variant, _ in present.backends)
        self.platforms = dict.fromkeys(platform for _, platform in present.backends)

    def answers(self, read: Mapping[str, str]) -> dict[str, str]:
        """Return all answers, with the likeliest release that can be planned.

        `read` are the answers that the files give as they are. Where nothing can be planned, the
        release is the likeliest one. Empty where the requirements admit no release at all.
        """
        likeliest: dict[str, str] = {}
        pairs = [(it, python) for it in self.releases() for python in self.pythons(it)]
        if self.present.keeps_python:
            pairs.sort(key=lambda pair: version_key(pair[1]))
        for release, python in pairs:
            own = {"torch_version": release, "python_version": python}
            answers = self.answers_for(release, {**read, **own})
            if not find_problems(complete(answers, self.facts), self.facts):
                return answers
            likeliest = likeliest or answers
        return likeliest

    def pythons(self, release: str) -> list[str]:
        """Return the Pythons of the project that a release has wheels for, one in any case."""
        having = self.facts.pythons_of(release) if release in self.facts.releases else ()
        pythons = [it for it in self.present.pythons if it in having]
        return pythons or [*self.present.pythons, *having][:1]

    def releases(self) -> Iterator[str]:
        """Yield the releases that may be meant, the likeliest first.

        A locked one comes first, then those that have the builds, then the newest. What other
        places and the companions demand is given up last: they get a release or a pin of their own.
        """
        if "torch_version" in self.given:
            yield self.given["torch_version"]
            return
        newest_first = self.facts.releases[::-1]
        order = sorted(newest_first, key=lambda it: (it not in self.present.locked, self.lacks(it)))
        places = list(self.present.backends)
        demands = product((places, places[:1]), ((*self.facts.all_companions, TORCH), (TORCH,)))
        found = [it for some, packages in demands for it in order if self.fits(it, some, packages)]
        yield from dict.fromkeys(found)

    def lacks(self, release: str) -> int:
        """Return how many places would lose their build to a release that they admit."""
        places = self.present.backends
        kept = [self.keeps(release, place) for place in places if self.admits(release, place)]
        return kept.count(False)

    def admits(self, release: str, place: Place) -> bool:
        """Tell whether the requirements of torch admit a release."""
        return self.present.admits(TORCH, release, place)

    def keeps(self, release: str, place: Place) -> bool:
        """Tell whether a place can have its build of a release."""
        published = self.facts.backends(release)
        return place in self.present.urls or self.present.backends[place] in published

    def fits(self, release: str, places: Sequence[Place], packages: Sequence[str]) -> bool:
        """Tell whether the requirements of packages admit what belongs to a release."""
        versions = {TORCH: (release,), **self.facts.companions(release)}
        return all(
            any(self.present.admits(package, version, place) for version in versions[package])
            for package, place in product(packages, places)
            if package in versions
        )

    def answers_for(self, release: str, read: Mapping[str, str]) -> dict[str, str]:
        """Return all answers with a release."""
        backends, overrides = self.words(release)
        if "torch_backend" in self.given:
            overrides = {platform: self.kept_words(release, platform) for platform in overrides}
        own = {"torch_backend": " ".join(backends)} if backends else {}
        usual = complete({**read, **own, **self.given}, self.facts)
        for word in usual["platforms"].split():
            platform = PlatformWord.parse(word).platform
            if platform in overrides and not overrides[platform]:
                overrides[platform] = [word]
        for platform in self.present.demanded:
            overrides[platform] = overrides[platform] or [platform]
        words = [word for words in overrides.values() for word in words]
        return {**usual, "platforms": " ".join(words) or usual["platforms"], **self.given}

    def kept_words(self, release: str, platform: str) -> list[str]:
        """Return what still overrides a backend that was given: the CPU build of one platform.

        Not where it only took the place of a build that there was not.
        """
        backends, place = self.present.backends, ("", platform)
        main, pythons = next(iter(backends.values())), self.facts.pythons
        if backends.get(place) != CPU or main == CPU:
            return []
        before = (it for it in self.facts.releases if self.fits(it, [place], (TORCH,)))
        was_asked = any(pythons(TORCH, it, main, platform) for it in before)
        is_served = pythons(TORCH, release, self.given["torch_backend"], platform)
        return [f"{platform}={CPU}"] if was_asked and is_served else []

    def words(self, release: str) -> tuple[list[str], dict[str, list[str]]]:
        """Return the words of `torch_backend`, and for each platform those that override one.

        A build carries its release where it is not that of the project.
        """
        backends: list[str] = []
        overrides: dict[str, list[str]] = {platform: [] for platform in self.platforms}
        for variant in self.variants:
            places = [place for place in self.present.backends if place[0] == variant]
            own, main = self.build(release, places[0])
            builds = {place[1]: self.build(own, place) for place in places}
            # A name that is a backend's cannot stand for another one.
            namesakes = (
                it for it in self.facts.all_backends if normalized(it) == normalized(variant)
            )
            main = next(namesakes, main)
            is_named = normalized(variant) not in ("", normalized(main))
            its = None if own == release else own
            backends.append(str(BackendWord(variant if is_named else None, main, its)))
            # Beside an override nobody would be told that the release does not have the build.
            exist = all(
                build in self.facts.backends(its)
                for platform, (its, build) in builds.items()
                if (variant, platform) not in self.present.urls
            )
            for platform, (other, backend) in builds.items() if exist else ():
                url = self.present.urls.get((variant, platform))
                if url or (other, backend) != (own, self.served(own, main, platform)):
                    its = None if other == own else other
                    word = PlatformWord(platform, variant or None, backend, its, url)
                    overrides[platform].append(str(word))
        return backends, overrides

    def build(self, release: str, place: Place) -> tuple[str, str]:
        """Return release and backend that a place keeps: the CPU's where its own has no wheel.

        An extra or a group may have another release for the sake of its build.
        """
        backend, own = self.present.backends[place], release
        is_kept = self.admits(release, place) and (self.keeps(release, place) or not place[0])
        if "torch_version" not in self.given and not is_kept:
            admitted = [it for it in self.facts.releases[::-1] if self.admits(it, place)]
            having = [it for it in admitted if self.keeps(it, place)]
            own = [*having, *admitted, release][0]
        return own, backend if place in self.present.urls else self.served(own, backend, place[1])

    def served(self, release: str, backend: str, platform: str) -> str:
        """Return a backend, or the CPU's where the release has it for other platforms alone."""
        pythons = self.facts.pythons(TORCH, release, backend, platform)
        return CPU if backend in self.facts.backends(release) and not pythons else backend
