"""Which build each platform gets, and whether its wheels exist: answers held against facts."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from torch_plan.answers import MARKERS, Answers, Variant
from torch_plan.facts import CPU, PYPI, Facts, version_key


class Builds:
    """The builds that the answers lead to. Nothing here refuses; `check` does."""

    def __init__(self, answers: Answers, facts: Facts) -> None:
        self.answers, self.facts = answers, facts

    @cached_property
    def packages(self) -> dict[str, str]:
        """Torch and the companions that this release has, each with its version."""
        paired = self.facts.companions(self.answers.release)
        chosen = {name: paired[name] for name in self.answers.companions if name in paired}
        return {"torch": self.answers.release, **chosen}

    def override(self, variant: Variant, platform: str) -> str:
        """Return the backend that the answer `platforms` demands here, empty if it demands none."""
        own = self.answers.overrides.get((platform, variant.name))
        general = self.answers.overrides.get((platform, ""))
        if self.answers.layout != MARKERS and variant.backend == CPU:
            general = None
        return own or general or ""

    def backend(self, variant: Variant, platform: str) -> str:
        """Return the override, else the variant's backend if it is published here, else `cpu`."""
        wanted = self.override(variant, platform)
        if wanted:
            return wanted
        return variant.backend if self.published(variant.backend, platform) else CPU

    def published(self, backend: str, platform: str) -> bool:
        """Tell whether torch has a wheel of this build for the platform and the chosen Python."""
        release, python = self.answers.release, self.answers.python
        return python in self.facts.pythons("torch", release, backend, platform)

    def served(self, variant: Variant, platform: str) -> bool:
        """Tell whether torch and the companions have wheels of the variant's build here."""
        backend = self.backend(variant, platform)
        return not any(self.missing(package, backend, platform) for package in self.packages)

    def missing(self, package: str, backend: str, platform: str) -> str:
        """Return why a package cannot be had from a backend's index, empty if it can."""
        facts, release, python = self.facts, self.answers.release, self.answers.python
        name = f"{package} {self.packages[package]}"
        where = "on PyPI" if backend == PYPI else f"on the {backend} index"
        pythons = facts.pythons(package, self.packages[package], backend, platform)
        if not pythons:
            return f"there is no {name} {where} for {platform}."
        if python not in pythons:
            return f"{name} {where} has wheels for Python {span(pythons)} on {platform}."
        if package != "torch" and backend == PYPI:
            ours = facts.build(release, PYPI, platform)
            made_for = facts.made_for(package, self.packages[package])
            theirs = facts.build(made_for, PYPI, platform)
            if ours != theirs:
                return (
                    f"PyPI's {name} is a {theirs} build for {platform}, its torch a {ours} build."
                )
        return ""

    @cached_property
    def pythons(self) -> tuple[str, ...]:
        """The Pythons from the chosen one on that have every wheel on every platform."""
        common = set(self.facts.all_pythons)
        for variant in self.answers.variants:
            for platform in self.answers.platforms:
                backend = self.backend(variant, platform)
                for package, version in self.packages.items():
                    common &= set(self.facts.pythons(package, version, backend, platform))
        if self.guarded:
            common &= set(self.facts.numpy_1_wheels[0])
        supported = []
        for python in self.facts.all_pythons:
            if version_key(python) < version_key(self.answers.python):
                continue
            if python not in common:
                break
            supported.append(python)
        return tuple(supported)

    @cached_property
    def guarded(self) -> tuple[str, ...]:
        """The chosen platforms that get `numpy<2`."""
        if self.answers.numpy_guard == "never":
            return ()
        if self.answers.numpy_guard == "always":
            return self.answers.platforms
        compiled = self.facts.numpy_1_platforms(self.answers.release)
        return tuple(platform for platform in self.answers.platforms if platform in compiled)

    def tritons(self, variant: Variant) -> list[tuple[str, str, tuple[str, ...]]]:
        """Return name, version and platforms of the triton packages that ROCm and XPU require."""
        found: dict[tuple[str, str], list[str]] = {}
        for platform in self.answers.platforms:
            triton = self.facts.triton(self.answers.release, self.backend(variant, platform))
            if triton and platform in triton.platforms:
                found.setdefault((triton.name, triton.version), []).append(platform)
        return [(name, version, tuple(on)) for (name, version), on in found.items()]

    def by_backend(self, variant: Variant, platforms: Iterable[str]) -> dict[str, list[str]]:
        """Return backend -> platforms."""
        where: dict[str, list[str]] = {}
        for platform in platforms:
            where.setdefault(self.backend(variant, platform), []).append(platform)
        return where


def span(versions: tuple[str, ...]) -> str:
    """Return `3.10 to 3.14`, or the one version there is."""
    return versions[0] if len(versions) == 1 else f"{versions[0]} to {versions[-1]}"
