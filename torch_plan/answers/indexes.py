"""The index that PyTorch's builds come from: its own, a mirror of it, or somebody else's."""

import re

from torch_plan.answers.problems import Objection
from torch_plan.catalog.facts import BUILD_PLACE, Facts, Mirror
from torch_plan.catalog.versions import PYPI
from torch_plan.urls import host_of, plain, url_problem, written

OWN = "own:"
"""Comes before the URL of an index that has builds of its own, and is no copy of PyTorch's."""


def mirror_of(answer: str, facts: Facts) -> Mirror:
    """Return the index that an answer names, be it right or wrong."""
    mirrors = facts.pytorch_mirrors
    if answer in mirrors:
        return mirrors[answer]
    url = written(answer.removeprefix(OWN))
    unnamed = Mirror(url, flat=False, hosts=(host_of(url),))
    mirror = next((mirror for mirror in mirrors.values() if url in mirror.urls), unnamed)
    return mirror._replace(url=url, known=not answer.startswith(OWN))


def index_objection(answer: str, facts: Facts) -> Objection | None:
    """Return what keeps an answer from being the part of a URL that all builds have in common."""
    mirrors = facts.pytorch_mirrors
    if answer in mirrors:
        return None
    prefix = OWN if answer.startswith(OWN) else ""
    asked = answer.removeprefix(OWN)
    if reason := url_problem(asked.replace(BUILD_PLACE, "build"), mirrors):
        mended = plain(answer)
        return Objection(reason, _right(mended, facts) if mended != answer else tuple(mirrors))
    url = written(asked)
    before, _, last = url.rpartition("/")
    names = "|".join(re.escape(name) for name in facts.all_backends if name != PYPI)
    builds = [*re.finditer(rf"(?<=[-_/])(?<!//)({names})(?=[-_/]|$)", url)]
    if builds:
        start, end = builds[-1].span()
        general = f"{url[:start]}{BUILD_PLACE}{url[end:]}".removesuffix(f"/{BUILD_PLACE}")
        reason = f"it is the URL of one build, {builds[-1][0]}; each build adds its own name."
        return Objection(reason, _right(f"{prefix}{general}", facts))
    if last == "nightly":
        return Objection("nightly builds have no release to name.", (f"{prefix}{before}",))
    if last == "simple" and BUILD_PLACE not in url:
        reason = (
            "each build adds its own name to the end of the URL, and there are no builds below "
            f"/simple; write {BUILD_PLACE} where the URL names the build."
        )
        return Objection(reason, (f"{prefix}{before}/{BUILD_PLACE}/simple",))
    return None


def _right(answer: str, facts: Facts) -> tuple[str, ...]:
    """Return an answer, or what stands in its place if it is refused as well."""
    further = index_objection(answer, facts)
    return further.replacements if further else (answer,)
