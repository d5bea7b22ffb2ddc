"""The answers that a project gives already."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from itertools import combinations, product

from packaging.markers import Marker
from packaging.specifiers import SpecifierSet

from adopt.document import Place
from adopt.project import (
    BASE,
    CONSTRAINTS,
    EXTRAS,
    GROUPS,
    OVERRIDES,
    Line,
    Project,
    Stop,
    holds,
    normal,
)
from torch_plan.answers import DEFAULT_PLATFORMS, LOCAL, MINIMUM, NO_COMPANIONS, OPTIONAL, PUBLIC
from torch_plan.defaults import complete
from torch_plan.facts import PYPI, TORCH
from torch_plan.inverse import Inverse, Present, index_backend
from torch_plan.platforms import PLATFORMS
from torch_plan.text import listed

ANSWERS = (
    *("torch_version", "python_version", "torch_backend", "layout", "companions", "platforms"),
    *("numpy_guard", "torch_pin", "pytorch_index", "package_index"),
)
"""The answers of the template that are about torch."""


class Reading:
    """Reads answers; those that somebody gave count more, and a locked release counts first."""

    def __init__(self, project: Project, given: Mapping[str, str], locked: Collection[str]) -> None:
        self.project, self.facts, self.given, self.locked = project, project.facts, given, locked

    @cached_property
    def conflicts(self) -> list[set[Place]]:
        """The extras and groups that exclude each other, in their normal form."""
        kinds = {"extra": EXTRAS, "group": GROUPS}
        return [
            {normal((*kinds[kind], it[kind])) for it in entry for kind in kinds if kind in it}
            for entry in self.project.uv.get("conflicts", [])
        ]

    @cached_property
    def variants(self) -> dict[str, Place]:
        """The extras and groups that choose a build: sources name them, or they exclude each other.

        None where the project has one build only.
        """
        places = dict.fromkeys(line.place for line in self.project.of(TORCH))
        choosing = {it.option for it in self.project.sources(TORCH)}
        for pair in combinations(map(normal, places), 2):
            choosing.update(*(pair for names in self.conflicts if names.issuperset(pair)))
        found = {it[-1]: it for it in places if normal(it) in choosing}
        return found if len(found) > 1 else {}

    @cached_property
    def pythons(self) -> list[str]:
        """The Pythons that `requires-python` admits."""
        admitted = SpecifierSet(self.project.data["project"].get("requires-python", ""))
        every = self.facts.all_pythons
        return [it for it in every if admitted.contains(f"{it}.0") or admitted.contains(f"{it}.99")]

    @cached_property
    def platforms(self) -> list[str]:
        """The usual platforms, those that uv requires, and any with pins of its own.

        `environments` leaves some of them out, and names none: it may say all but the Intel Mac.
        """
        usual = [line for it in DEFAULT_PLATFORMS for line in self.lines(TORCH, "", it)]
        known = {*DEFAULT_PLATFORMS, *self.matching("required-environments")}
        known.update(it for it in PLATFORMS if {*self.lines(TORCH, "", it)} - {*usual})
        bounds = self.matching("environments") if self.project.uv.get("environments") else PLATFORMS
        return [it for it in bounds if it in known]

    def matching(self, key: str) -> list[str]:
        """Return the platforms that a setting of uv's names."""
        markers = [Marker(text) for text in self.project.uv.get(key, [])]
        places = [*product(markers, self.pythons or self.facts.all_pythons)]
        return [
            it for it in PLATFORMS if any(holds(marker, it, python) for marker, python in places)
        ]

    def lines(self, package: str, variant: str, platform: str) -> list[Line]:
        """Return the requirements of a package that count; overrides beat the others."""
        found = [
            line
            for line in self.project.of(package)
            if not variant
            or line.place[0] == "tool"
            or line.place in (BASE, self.variants[variant])
            if any(holds(line.marker, platform, it) for it in self.facts.all_pythons)
        ]
        return [line for line in found if line.place == OVERRIDES] or found

    def requires(self, package: str, variant: str, platform: str) -> bool:
        """Tell whether a package is required there, and not only held at a version."""
        return any(it.place[0] != "tool" for it in self.lines(package, variant, platform))

    def backend(self, variant: str, platform: str) -> str:
        """Return the backend that a variant has on a platform today."""
        for line in self.lines(TORCH, variant, platform):
            if line.label in self.facts.all_backends:
                return line.label
        index = self.project.index_of(TORCH, self.variants.get(variant), platform)
        if not index:
            return PYPI
        backend, name = self.project.backend_of(index["url"]), index.get("name", "without a name")
        if backend not in self.facts.all_backends and "torch_backend" in self.given:
            return PYPI
        if backend is None:
            raise Stop(
                f"torch comes from the index {name}, which is not PyTorch's. If it is a copy of "
                "that, say pytorch_index=URL; else only its owner knows what it holds."
            )
        if "/" in backend:
            raise Stop(f"The index {name} holds builds that are not released: no plan names them.")
        if not backend:
            raise Stop(f"The index {name} holds all builds. Name one, as in torch_backend=cu128.")
        return backend

    def answers(self) -> dict[str, str]:
        """Return all answers: those given, those that the files give, and defaults."""
        lines = self.project.of(TORCH)
        if not lines and not self.project.sources(TORCH):
            if not self.given:
                raise Stop(
                    "Nothing here requires torch. Give an answer, as in torch_backend=cu128."
                )
            return complete({**self.fixed, **self.given}, self.facts)
        if not self.pythons or not self.platforms:
            key = "environments" if self.pythons else "requires-python"
            raise Stop(f"PyTorch has no wheels for what {key} names.")
        for line in lines:
            if line.place == OVERRIDES and not any(
                line in self.lines(TORCH, "", it) for it in PLATFORMS
            ):
                raise Stop(
                    f"{line.text!r} takes torch out: it is the container's, not the project's."
                )
        lacking = [it for it in self.platforms if lines and not self.lines(TORCH, "", it)]
        if lacking and "platforms" not in self.given:
            raise Stop(f"torch is not required on {listed(lacking)}: say platforms=… without them.")
        named = self.matching("required-environments")
        places = [*product(self.variants or ("",), self.platforms)]
        present = Present(
            backends={
                it: self.backend(*it) for it in places if not lines or self.lines(TORCH, *it)
            },
            admits=lambda package, version, place: all(
                line.versions.contains(version) for line in self.lines(package, *place)
            ),
            pythons=self.pythons,
            locked=self.locked,
            demanded=[it for it in self.platforms if it in named or it not in DEFAULT_PLATFORMS],
        )
        answers = Inverse(present, self.given, self.facts).answers(self.fixed)
        if not answers:
            texts, oldest = sorted({line.text for line in lines}), self.facts.releases[0]
            raise Stop(
                f"No release from {oldest} on satisfies {listed(texts)}. Say torch_version=…"
            )
        return answers

    @cached_property
    def fixed(self) -> dict[str, str]:
        """The answers that do not depend on the release."""
        project = self.project
        urls = [index["url"] for index in project.indexes]
        copies = [
            project.copies[it]
            for it in project.copies
            if any(index_backend(url, [it]) is not None for url in urls)
        ]
        if len(copies) > 1 and "pytorch_index" not in self.given:
            raise Stop(f"It has the indexes of {listed(copies)}. Choose with pytorch_index=…")
        required = [line for line in project.lines if line.place[0] != "tool"]
        names = [it for it in self.facts.all_companions if it in {line.name for line in required}]
        places = [*product(self.variants or ("",), self.platforms)]
        companions = [
            # What some platforms do without already, others may do without too.
            it if all(self.requires(it, *place) for place in places) else f"{it}{OPTIONAL}"
            for it in names
        ]
        is_local = any(line.label and not line.names_file for line in required)
        pin = MINIMUM if self.keeps_bounds else PUBLIC
        kinds = {place[:-1] for place in self.variants.values()}
        return {
            "project_slug": "adopted-project",
            "layout": "extras" if EXTRAS in kinds else "groups" if kinds else "markers",
            "companions": " ".join(companions) or NO_COMPANIONS,
            "pytorch_index": [*copies, "official"][0],
            "torch_pin": LOCAL if is_local else pin,
        }

    @cached_property
    def keeps_bounds(self) -> bool:
        """Whether others install the project, and its metadata names a range of torch for them."""
        if "torch_pin" in self.given:
            return self.given["torch_pin"] == MINIMUM
        every = self.project.of(TORCH)
        is_held = any(line.is_exact for line in every if line.place == CONSTRAINTS)
        kinds = ("project", *GROUPS) if is_held else ("project",)
        lines = [line for line in every if line.place[0] in kinds]
        installed = self.project.uv.get("package", "build-system" in self.project.data)
        return bool(installed) and any(not line.is_exact for line in lines)
