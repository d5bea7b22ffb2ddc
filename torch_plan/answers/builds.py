"""The releases and backends that answers name, each alone or within a word."""

import re

from torch_plan.answers import suggest
from torch_plan.answers.indexes import IndexReader
from torch_plan.answers.problems import Problem
from torch_plan.answers.vocabulary import SYSTEM_WORDS
from torch_plan.answers.words import BackendWord, PlatformWord
from torch_plan.catalog.versions import CPU, family_of, is_build, version_key

_AUTO = "auto"
"""uv's word for whatever this machine can run; the template detects that before it asks."""


class BuildReader(IndexReader):
    """Reads `torch_version`, and refuses the releases and backends of words."""

    def read_release(self) -> str:
        """Return the release that was asked for, which is refused where there is none of it."""
        key, asked = "torch_version", self.text("torch_version")
        release, _, label = asked.partition("+")
        if label and self.is_release(release) and label in self.facts.all_backends:
            backend = self.text("torch_backend")
            heading = f"torch_version={asked} with torch_backend={backend}"
            ways = ({key: release}, {key: release, "torch_backend": label})
            reason = f"the version names the build {label}, but torch_backend does not."
            self.problems.append(Problem((key, "torch_backend"), heading, reason, ways))
        elif not self.is_release(asked):
            near = self.near_releases(asked)
            cut = [name for name in self.facts.releases if name.startswith(f"{asked}0.")]
            reason = self.why_no_release(asked)
            if cut:
                reason = (
                    f"it can mean {near[0]}, or {cut[-1]} if it comes from a YAML file, where a "
                    "number without quotes loses its last zero."
                )
            is_near = version_key(near[0])[:2] == version_key(asked)[:2]
            self.refuse(key, reason, [*near[:1], *cut[-1:], *near[1:]], near=int(is_near))
        return asked

    def is_release(self, asked: str) -> bool:
        """Tell whether a release is known, or may come next."""
        return asked in self.facts.releases or self.facts.is_expected(asked)

    def why_no_release(self, asked: str) -> str:
        """Return why nothing that was asked for is a release."""
        version, oldest = re.search(r"\d+(\.\d+)+", asked), self.facts.releases[0]
        if version and version_key(version[0]) < version_key(oldest):
            return f"the oldest release that this template knows is {oldest}."
        return "there is no such release; docs/support.md lists all of them."

    def near_releases(self, asked: str) -> list[str]:
        """Return the releases that may have been meant, the newest one last."""
        releases = self.facts.releases
        return [*suggest.nearest_versions(asked.partition("+")[0], releases), releases[-1]]

    def check_word_release(self, key: str, text: str, word: BackendWord | PlatformWord) -> None:
        """Refuse the release of a word that there is none of."""
        if word.release is not None and not self.is_release(word.release):
            plain = word._replace(url=None) if isinstance(word, PlatformWord) else word
            near = [plain._replace(release=name) for name in self.near_releases(word.release)]
            self.refuse_word(key, text, "release", self.why_no_release(word.release), near)

    def check_backend(self, key: str, text: str, word: BackendWord | PlatformWord) -> None:
        """Refuse a backend that no release has; another index or a new release may have it.

        `text` is what the word is in the answer.
        """
        backend = str(word.backend)
        release = word.release or self.text("torch_version")
        has_own_index = isinstance(word, PlatformWord) and word.url is not None
        is_foreign = is_build(backend) and (has_own_index or not self.mirror.known)
        known = backend in self.facts.all_backends
        if known or is_foreign or self.facts.may_have(release, backend):
            return
        options = self.known_backends()
        older = "" if options == self.facts.all_backends else "; other releases have others"
        choices = f"of torch {release} the choices are: {' '.join(options)}"
        reason = f"there is no such backend; {choices}{older}."
        # What somebody else's index has, nobody has read.
        plain = word._replace(url=None) if isinstance(word, PlatformWord) else word
        replacements = [plain._replace(backend=name) for name in self.near_backends(backend)]
        if backend == _AUTO:
            reason = (
                "the project records which build was chosen, so that an update on another machine "
                "does not choose again. Leave the answer out to get the build that this machine "
                "can run."
            )
        elif {*re.split(r"\W", backend.lower())} & {*SYSTEM_WORDS}:
            reason = (
                f"{backend} is a system. Which platforms there are is asked later, and there "
                "`platform=build` gives one of them another build: `linux=cu130 mac=cpu`."
            )
        elif re.fullmatch(r"[1-9]\.\d+(\.\d+)?", backend):
            reason = f"{backend} is a release: `{backend}+cpu` would name one and its build."
        alike = [name for name in options if family_of(name) == suggest.family_meant(backend)]
        if len(alike) > 1 and not re.search(r"\d", backend):
            reason = f"torch {release} has several such builds, and no card here decides for one."
        is_near = suggest.is_near(backend, [str(name.backend) for name in replacements[:1]])
        self.refuse_word(key, text, "backend", reason, replacements, near=int(is_near))

    def known_backends(self) -> tuple[str, ...]:
        """Return the backends of the chosen release; of all releases where it is not known."""
        return self.facts.backends(self.text("torch_version")) or self.facts.all_backends

    def near_backends(self, backend: str) -> list[str]:
        """Return the backends that may have been meant, none where it is one."""
        if backend in self.facts.all_backends:
            return []
        if backend == _AUTO:
            return [CPU]
        near = suggest.nearest_backends(backend, self.known_backends())
        if re.search(r"\d", backend):
            # A release that was not given follows the build.
            near = [*suggest.nearest_backends(backend, self.facts.all_backends)[:1], *near]
        return list(dict.fromkeys(near))
