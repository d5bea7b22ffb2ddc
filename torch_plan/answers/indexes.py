"""The indexes that packages come from: PyTorch's, a mirror of it, one in the place of PyPI."""

import re
from collections.abc import Mapping
from functools import cached_property

from torch_plan.answers.reader import Reader
from torch_plan.answers.records import PackageIndex
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.mirrors import BUILD_PLACE, Mirror
from torch_plan.catalog.versions import PYPI
from torch_plan.urls import host_of, url_problem, written

OWN = "own:"
"""Comes before the URL of an index that has builds of its own, and is no copy of PyTorch's."""

_PACKAGE_INDEX = "packages"
"""The name that an index in the place of PyPI gets in a project, where it has none of its own."""


class IndexReader(Reader):
    """Reads the answers that name an index."""

    def __init__(self, raw: Mapping[str, str], facts: Facts) -> None:
        super().__init__(raw)
        self.facts = facts

    @cached_property
    def mirror(self) -> Mirror:
        """The index of PyTorch; what is wrong with it is said when it is read."""
        answer = self.text("pytorch_index")
        named = self.facts.pytorch_mirrors.get(answer)
        if named:
            return named
        url = written(answer.removeprefix(OWN))
        mirrors = self.facts.pytorch_mirrors.values()
        unnamed = Mirror(url, flat=False, hosts=(host_of(url),))
        mirror = next((mirror for mirror in mirrors if url in mirror.urls), unnamed)
        return mirror._replace(url=url, known=not answer.startswith(OWN))

    def read_pytorch_index(self) -> Mirror:
        """Refuse a URL that has a build, or the end of an index, where the build is put.

        What is refused counts as a copy of PyTorch's, so that the cells are looked at all the same.
        """
        problems_before = len(self.problems)
        self.check_pytorch_index()
        return self.mirror._replace(known=len(self.problems) > problems_before or self.mirror.known)

    def check_pytorch_index(self) -> None:
        """Refuse what cannot be the part of a URL that all builds have in common."""
        key, mirror = "pytorch_index", self.mirror
        if self.text(key) in self.facts.pytorch_mirrors:
            return
        prefix = OWN if self.text(key).startswith(OWN) else ""
        answer = self.text(key).removeprefix(OWN).replace(BUILD_PLACE, "build")
        reason = url_problem(answer, self.facts.pytorch_mirrors)
        if reason:
            self.refuse(key, reason, self.facts.pytorch_mirrors)
            return
        before, _, last = mirror.url.rpartition("/")
        parts = re.split("/", mirror.url)
        builds = [part for part in parts[3:] if build_in(part, self.facts)]
        if last in builds and last == build_in(last, self.facts):
            reason = f"leave `/{last}` out of the URL; each build adds its own name to it."
            self.refuse(key, reason, [f"{prefix}{before}"])
        elif builds:
            build = build_in(builds[-1], self.facts)
            reason = f"it is the URL of one build, {build}; write {BUILD_PLACE} in its place."
            replaced = builds[-1].replace(build, BUILD_PLACE)
            general = "/".join(replaced if part == builds[-1] else part for part in parts)
            self.refuse(key, reason, [f"{prefix}{general}"])
        elif last == "nightly":
            reason = "nightly builds have no release that a project could name."
            self.refuse(key, reason, [f"{prefix}{before}"])
        elif last == "simple" and BUILD_PLACE not in mirror.url:
            reason = (
                "each build adds its own name to the end of the URL, and there are no builds below "
                f"/simple; write {BUILD_PLACE} where the URL names the build."
            )
            places = [f"{before}-{BUILD_PLACE}", f"{before}/{BUILD_PLACE}"]
            if before.endswith(f"://{host_of(before)}"):
                del places[0]  # it would be another host
            self.refuse(key, reason, [f"{prefix}{place}/simple" for place in places])

    def read_package_index(self) -> PackageIndex | None:
        """Return the index in the place of PyPI, None for PyPI itself."""
        key, mirrors = "package_index", self.facts.package_mirrors
        answer = self.text(key)
        if answer == "pypi":
            return None
        if answer in mirrors:
            return PackageIndex(answer, mirrors[answer])
        reason = url_problem(answer, ("pypi", *mirrors))
        if reason:
            self.refuse(key, reason, ["pypi", *mirrors])
        return PackageIndex(_PACKAGE_INDEX, written(answer))


def build_in(part: str, facts: Facts) -> str:
    """Return the build that a part of a URL names, empty for none: `cu128` for `pytorch-cu128`."""
    words = re.split(r"[-_/]", part)
    builds = [build for build in facts.all_backends if build != PYPI and build in words]
    return builds[-1] if builds else ""
