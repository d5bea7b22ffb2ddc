"""Reading answers: each problem is noted, and the next answer is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch_plan.addresses import SUPPORT
from torch_plan.answers import suggest
from torch_plan.answers.indexes import index_objection, mirror_of
from torch_plan.answers.problems import Key, Problem, Way
from torch_plan.answers.words import FAMILY_WORDS, SYSTEM_WORDS, BackendWord, PlatformWord
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.versions import CPU, family_of, is_build, version_key


class Reader:
    """Collects what is wrong with answers, above all with the releases and builds in them."""

    def __init__(self, raw: Mapping[str, str], facts: Facts) -> None:
        self.raw, self.facts = raw, facts
        self.problems: list[Problem] = []
        self.release, self.layout = self.text("torch_version"), self.text("layout")
        self.mirror = mirror_of(self.text("pytorch_index"), facts)
        # What is refused counts as a copy of PyTorch's: the cells are looked at all the same.
        if objection := index_objection(self.text("pytorch_index"), facts):
            self.mirror = self.mirror._replace(known=True)
            self.refuse(("pytorch_index",), *objection)

    def text(self, key: str) -> str:
        """Return an answer without space around it, empty where it was not given."""
        return str(self.raw.get(key, "")).strip()

    def refuse(
        self, place: Key, reason: str, replacements: Iterable[object], near: int = 0
    ) -> None:
        """Refuse an answer, or one word of it, which an empty replacement leaves out.

        A place is (key,), or (key, word, what is wrong with it).
        """
        key, answer = place[0], self.text(place[0])
        word, words = (place[1], answer.split()) if len(place) > 1 else (answer, [answer])
        ways: list[Way] = []
        for replacement in dict.fromkeys(map(str, replacements)):
            changed = (replacement if other == word else other for other in words)
            if (kept := " ".join(dict.fromkeys(filter(None, changed)))) not in ("", answer):
                ways.append({key: kept})
        heading = f"{word} in {key}={answer}" if len(words) > 1 else f"{key}={word}"
        self.problems.append(Problem(place, heading, reason, tuple(ways), near))

    def refuse_together(self, keys: tuple[str, str], reason: str, *ways: Way) -> None:
        """Refuse two answers that contradict each other."""
        heading = " with ".join(f"{key}={self.text(key)}" for key in keys)
        self.problems.append(Problem(keys, heading, reason, ways))

    def check_release(self) -> None:
        """Refuse a release that there is none of, and the label of a build that is not chosen."""
        key, (release, _, label) = "torch_version", self.release.partition("+")
        if label and not self.why_no_release(release) and label in self.facts.all_backends:
            reason = f"the version names the build {label}, but torch_backend does not."
            ways = {key: release}, {key: release, "torch_backend": label}
            self.refuse_together((key, "torch_backend"), reason, *ways)
        elif reason := self.why_no_release(self.release):
            near = self.near_releases(self.release)
            is_near = version_key(near[0])[:2] == version_key(self.release)[:2]
            self.refuse((key,), reason, near, near=is_near)

    def why_no_release(self, asked: str) -> str:
        """Return why no release is known as this, nor expected; empty where one is."""
        releases = self.facts.releases
        if asked in releases or self.facts.is_expected(asked):
            return ""
        reason = f"this template knows no such release, but those from {releases[0]} on: {SUPPORT}."
        return f"{reason}{yaml_hint(asked, releases)}"

    def near_releases(self, asked: str) -> list[str]:
        """Return the releases that may have been meant, the newest one last."""
        releases = self.facts.releases
        return [*suggest.nearest_versions(asked.partition("+")[0], releases), releases[-1]]

    def check_build(self, key: str, text: str, word: BackendWord | PlatformWord) -> None:
        """Refuse a release and a backend that there are none of; `text` is the whole word."""
        # What somebody else's index has, nobody has read.
        plain = word._replace(url=None) if isinstance(word, PlatformWord) else word
        if word.release is not None and (reason := self.why_no_release(word.release)):
            near = [plain._replace(release=name) for name in self.near_releases(word.release)]
            self.refuse((key, text, "release"), reason, near)
        # Another index or a new release may have a backend that no release has.
        backend, release = str(word.backend), word.release or self.release
        has_own_index = isinstance(word, PlatformWord) and word.url is not None
        is_foreign = is_build(backend) and (has_own_index or not self.mirror.known)
        known = backend in self.facts.all_backends
        if known or is_foreign or self.facts.may_have(release, backend):
            return
        options = self.facts.backends(release) or self.facts.all_backends
        names = suggest.nearest_backends(backend, options)
        if re.search(r"\d", backend) or (names == [CPU] and backend.lower() not in FAMILY_WORDS):
            # A release that was not given follows the build.
            names = [*suggest.nearest_backends(backend, self.facts.all_backends)[:1], *names]
        near = [plain._replace(backend=name) for name in names]
        is_near = suggest.is_near(backend, names[0])
        # What is offered first may be a build of another release.
        of_release = f"of torch {release} " if names[0] in options else ""
        reason = _why_no_backend(
            backend, of_release, options if of_release else self.facts.all_backends
        )
        self.refuse((key, text, "backend"), reason, near, near=is_near)


def _why_no_backend(backend: str, of_release: str, options: Iterable[str]) -> str:
    if backend == "auto":  # uv's word for whatever this machine can run
        return (
            "the project records its build, so that an update on another machine does not "
            "choose again. Leave the answer out to get the build that this machine can run."
        )
    if {*re.split(r"\W", backend.lower())} & {*SYSTEM_WORDS}:
        return (
            f"{backend} is a system. Which platforms there are is asked later, and there "
            "`platform=build` gives one of them another build: `linux=cu130 mac=cpu`."
        )
    what, families = "this is not the name of a build", FAMILY_WORDS.get(backend.lower(), ())
    if any(family_of(name) in families for name in options):
        what = "several builds can be meant"
    return f"{what}; {of_release}the choices are: {' '.join(options)}."


def yaml_hint(asked: str, versions: tuple[str, ...]) -> str:
    """Return what to do about a number whose last zero is missing."""
    named = suggest.uncut(asked, versions)
    return f" If you meant {named[0]} in a YAML file, put quotes around it." if named else ""
