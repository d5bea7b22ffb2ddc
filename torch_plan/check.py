"""What makes answers impossible to serve, with the changes that may help.

Every problem is collected before any is reported. The ways out are candidates, the nearest first;
`refusal` offers those that it has tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch_plan.answers import MARKERS, Problem, Variant, normalized
from torch_plan.builds import Builds, span
from torch_plan.facts import CPU, family_of

_Way = dict[str, str]


def find_problems(builds: Builds, raw: Mapping[str, str]) -> list[Problem]:
    """Return every reason why these builds cannot be planned.

    Comes in: the builds, and the answers as typed, which the ways out change word by word.
    """
    check = _Check(builds, raw)
    if check.python_exists():
        for variant in builds.answers.variants:
            if check.backend_reaches_a_platform(variant):
                check.platforms_are_served(variant)
        check.numpy_guard_can_be_kept()
        check.container_runs_linux()
    return check.problems


class _Check:
    def __init__(self, builds: Builds, raw: Mapping[str, str]) -> None:
        self.builds, self.raw = builds, raw
        self.answers, self.facts = builds.answers, builds.facts
        self.problems: list[Problem] = []

    def refuse(self, asked: str, reason: str, ways: Iterable[_Way]) -> None:
        self.problems.append(Problem(asked, reason, tuple(way for way in ways if way)))

    def python_exists(self) -> bool:
        release, python = self.answers.release, self.answers.python
        pythons = self.pythons_of(release)
        if python in pythons:
            return True
        having = [name for name in self.facts.releases if python in self.pythons_of(name)]
        self.refuse(
            f"python_version={python} with torch_version={release}",
            f"torch {release} has wheels for Python {span(pythons)}.",
            [*self.other_pythons(pythons), *self.other_releases(having)],
        )
        return False

    def backend_reaches_a_platform(self, variant: Variant) -> bool:
        """Refuse a backend that the release lacks, or that no chosen platform would get."""
        answers, facts, backend = self.answers, self.facts, variant.backend
        options = facts.backends(answers.release)
        if backend not in options:
            self.refuse(
                f"torch_backend={backend} with torch_version={answers.release}",
                f"torch {answers.release} has: {' '.join(options)}.",
                self.other_backends(variant),
            )
            return False
        if any(
            self.builds.override(variant, platform) or self.builds.published(backend, platform)
            for platform in answers.platforms
        ):
            return True
        served = {
            platform: facts.pythons("torch", answers.release, backend, platform)
            for platform in facts.platforms("torch", answers.release, backend)
        }
        listed = "; ".join(f"{name} (Python {span(pythons)})" for name, pythons in served.items())
        elsewhere = [name for name in served if self.builds.published(backend, name)]
        self.refuse(
            f"torch_backend={backend} with python_version={answers.python} "
            f"for {' '.join(answers.platforms)}",
            f"none of them would get it: torch {answers.release} has {backend} on {listed}.",
            [
                *self.other_backends(variant),
                *({"platforms": f"{name} {self.raw['platforms']}"} for name in elsewhere),
                *self.other_pythons({python for pythons in served.values() for python in pythons}),
            ],
        )
        return False

    def platforms_are_served(self, variant: Variant) -> None:
        for platform in self.answers.platforms:
            backend = self.builds.backend(variant, platform)
            reason = self.builds.missing("torch", backend, platform)
            if reason:
                self.refuse_platform(variant, platform, reason)
                continue
            reason = self.facts.broken(self.answers.release, backend, platform)
            if reason:
                self.refuse(
                    self.cell(variant, platform),
                    f"the build is published and does not work: {reason}.",
                    [
                        *self.other_backends(variant),
                        self.with_override(variant, platform, CPU),
                        self.without_platform(platform),
                    ],
                )
        for companion in self.answers.companions:
            self.companion_is_served(variant, companion)

    def refuse_platform(self, variant: Variant, platform: str, reason: str) -> None:
        facts, release = self.facts, self.answers.release
        options = facts.backends(release)
        published = [name for name in options if self.builds.published(name, platform)]
        pythons = {
            python for name in options for python in facts.pythons("torch", release, name, platform)
        }
        having = [
            name
            for name in facts.releases
            if self.answers.python in facts.pythons("torch", name, CPU, platform)
        ]
        self.refuse(
            self.cell(variant, platform),
            reason,
            [
                *(self.with_override(variant, platform, name) for name in reversed(published)),
                *self.other_pythons(pythons),
                *self.other_releases(having),
                self.without_platform(platform),
            ],
        )

    def companion_is_served(self, variant: Variant, companion: str) -> None:
        """Refuse a companion: once for a whole index that lacks it, else for each platform."""
        release = self.answers.release
        version = self.builds.packages.get(companion)
        if version is None:
            having = [
                name for name in self.facts.releases if companion in self.facts.companions(name)
            ]
            self.refuse(
                f"companions={companion} with torch_version={release}",
                f"there is none for torch {release}.",
                [self.without_companion(companion), *self.other_releases(having)],
            )
            return
        for backend, platforms in self.builds.by_backend(variant, self.answers.platforms).items():
            if not self.facts.wheels(companion, version, backend):
                carrying = self.facts.indexes(companion, version)
                self.refuse(
                    f"companions={companion} with torch_backend={backend}",
                    f"{companion} {version}, the one for torch {release}, is on "
                    f"{' '.join(carrying)} and not on {backend}.",
                    [
                        *self.other_backends(variant),
                        self.without_companion(companion),
                        *(self.with_override(variant, platform, CPU) for platform in platforms),
                    ],
                )
                continue
            for platform in platforms:
                reason = self.builds.missing(companion, backend, platform)
                if reason and not self.builds.missing("torch", backend, platform):
                    self.refuse(
                        f"companions={companion} for {self.cell(variant, platform)}",
                        reason,
                        [
                            self.with_override(variant, platform, CPU),
                            self.without_companion(companion),
                            *self.other_pythons(
                                self.facts.pythons(companion, version, backend, platform)
                            ),
                            *self.other_backends(variant),
                            self.without_platform(platform),
                        ],
                    )

    def numpy_guard_can_be_kept(self) -> None:
        answers, guarded = self.answers, self.builds.guarded
        pythons, platforms = self.facts.numpy_1_wheels
        if guarded and answers.python not in pythons:
            self.refuse(
                f"numpy_guard={answers.numpy_guard} with python_version={answers.python}",
                f"numpy<2 has wheels for Python {span(pythons)}.",
                [*self.other_pythons(pythons), {"numpy_guard": "auto"}, {"numpy_guard": "never"}],
            )
        without = [platform for platform in guarded if platform not in platforms]
        if without:
            self.refuse(
                f"numpy_guard={answers.numpy_guard} for {' '.join(without)}",
                "numpy<2 has no wheels there.",
                [{"numpy_guard": "auto"}, *(self.without_platform(name) for name in without)],
            )

    def container_runs_linux(self) -> None:
        linux = any(platform.startswith("linux") for platform in self.answers.platforms)
        if self.raw.get("dockerfile") == "yes" and not linux:
            self.refuse(
                f"dockerfile=yes for {' '.join(self.answers.platforms)}",
                "a container runs Linux, and none of the platforms is one.",
                [{"dockerfile": "no"}, {"platforms": f"linux-x86_64 {self.raw['platforms']}"}],
            )

    def cell(self, variant: Variant, platform: str) -> str:
        backend = self.builds.backend(variant, platform)
        named = f" ({variant.name})" if self.answers.layout != MARKERS else ""
        release = self.answers.release
        return f"torch_backend={backend}{named} on {platform} with torch_version={release}"

    def pythons_of(self, release: str) -> tuple[str, ...]:
        tags = {
            tag
            for backend in self.facts.backends(release)
            for tags in self.facts.wheels("torch", release, backend).values()
            for tag in tags
        }
        return self.facts.minors(tags)

    def other_backends(self, variant: Variant) -> list[_Way]:
        """Another build in the place of this one: of its family, of another release, the CPU's."""
        options, order = self.facts.backends(self.answers.release), self.facts.all_backends
        position = order.index(variant.backend)
        same = [
            name
            for name in options
            if family_of(name) == family_of(variant.backend) and name != variant.backend
        ]
        same.sort(key=lambda name: abs(order.index(name) - position))
        having = [
            name for name in self.facts.releases if variant.backend in self.facts.backends(name)
        ]
        return [
            *(self.with_backend(variant, name) for name in same[:3]),
            *self.other_releases(having),
            self.with_backend(variant, CPU),
        ]

    def with_backend(self, variant: Variant, backend: str) -> _Way:
        tokens = []
        for token in self.raw["torch_backend"].split():
            name, named, other = token.rpartition("=")
            changed = other == variant.backend and (not named or name == variant.name)
            tokens.append(name + named + backend if changed else token)
        return {"torch_backend": " ".join(dict.fromkeys(tokens))}

    def with_override(self, variant: Variant, platform: str, backend: str) -> _Way:
        name = "" if self.answers.layout == MARKERS else f"{variant.name}:"
        kept = [
            token
            for token in self.raw["platforms"].split()
            if token != platform and not _overrides(token, platform, variant.name)
        ]
        return {"platforms": " ".join([*kept, f"{platform}={name}{backend}"])}

    def without_platform(self, platform: str) -> _Way:
        tokens = self.raw["platforms"].split()
        kept = [token for token in tokens if token.partition("=")[0] != platform]
        return {"platforms": " ".join(kept)} if kept else {}

    def without_companion(self, companion: str) -> _Way:
        kept = [name for name in self.answers.companions if name != companion]
        return {"companions": " ".join(kept) or "none"}

    def other_pythons(self, pythons: Iterable[str]) -> list[_Way]:
        near = _nearest(self.answers.python, pythons, self.facts.all_pythons)
        return [{"python_version": python} for python in near[:2]]

    def other_releases(self, releases: Iterable[str]) -> list[_Way]:
        near = _nearest(self.answers.release, releases, self.facts.releases)
        return [{"torch_version": release} for release in near[:2]]


def _nearest(asked: str, options: Iterable[str], order: tuple[str, ...]) -> list[str]:
    """Return the other options, those first that stand nearest to what was asked in `order`."""
    position = order.index(asked)
    others = [option for option in options if option != asked]
    return sorted(others, key=lambda option: abs(order.index(option) - position))


def _overrides(token: str, platform: str, name: str) -> bool:
    where, _, override = token.partition("=")
    named = override.rpartition(":")[0]
    return where == platform and (not named or normalized(named) == normalized(name))
