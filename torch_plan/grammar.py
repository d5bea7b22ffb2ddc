"""The grammar of the answers, before any build is looked for."""

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from torch_plan import suggest
from torch_plan.answers import (
    DEFAULT_PLATFORMS,
    EXTRAS,
    FREE_TEXT,
    GROUPS,
    MARKERS,
    NO_COMPANIONS,
    Answers,
    PackageIndex,
    Variant,
)
from torch_plan.facts import CPU, Facts, Mirror
from torch_plan.platforms import PLATFORMS
from torch_plan.problems import Problem
from torch_plan.questions import NO, YES, as_text, choices, fixed_defaults
from torch_plan.reader import Reader
from torch_plan.slugs import slug_problem
from torch_plan.urls import url_problem, written
from torch_plan.words import BackendWord, PlatformWord, is_option_name, normalized

_AUTO = "auto"
"""uv's word for whatever this machine can run; the template detects that before it asks."""

_PACKAGE_INDEX = "packages"
"""The name that an index in the place of PyPI gets in a project, where it has none of its own."""

_YES = ("yes", "y", "true", "t", "on", "1")
_NO = ("no", "n", "false", "f", "off", "0")
"""How cookiecutter lets people say yes and no, in any case."""


def read_answers(raw: Mapping[str, str], facts: Facts) -> tuple[Answers, list[Problem]]:
    """Take the answers apart, given as text under the keys of cookiecutter.json.

    Returns the answers and every problem with their grammar. What is wrong is left out of the
    answers, so those that a problem names are not to be used.
    """
    reader = _AnswerReader(raw, facts)
    for key in FREE_TEXT:
        reader.check_free_text(key)
    slug = reader.read_slug()
    release = reader.read_release()
    python = reader.read_python()
    layout = reader.read_choice("layout")
    variants = reader.read_variants(layout)
    companions = reader.read_companions()
    platforms, overrides = reader.read_platforms(variants, layout)
    numpy_guard = reader.read_choice("numpy_guard")
    torch_pin = reader.read_choice("torch_pin")
    pytorch_index = reader.read_pytorch_index()
    package_index = reader.read_package_index()
    dockerfile = reader.read_yes("dockerfile")
    reader.read_yes("github_actions")
    reader.read_yes("distributed")
    reader.read_choice("after_generation")
    answers = Answers(
        project_slug=slug,
        release=release,
        python=python,
        variants=variants,
        layout=layout,
        companions=companions,
        platforms=platforms,
        overrides=overrides,
        numpy_guard=numpy_guard,
        torch_pin=torch_pin,
        pytorch_index=pytorch_index,
        package_index=package_index,
        dockerfile=dockerfile,
    )
    return answers, reader.problems


def is_yes(answer: object) -> bool:
    """Tell whether an answer to a yes/no question says yes."""
    return as_text(answer).strip().lower() in _YES


class _AnswerReader(Reader):
    """Reads one answer after the other and collects what is wrong with them."""

    def __init__(self, raw: Mapping[str, str], facts: Facts) -> None:
        super().__init__(raw)
        self.facts = facts
        self.declared: list[str] = []
        """The names of the variants, also of those that are refused for something else."""

    def check_free_text(self, key: str) -> None:
        """Refuse what cannot be written as UTF-8; a command line can hand over such bytes."""
        text = str(self.raw.get(key, ""))
        valid = text.encode("utf-8", "ignore").decode("utf-8")
        if valid != text:
            reason = "it holds bytes that are no text in UTF-8."
            self.problems.append(Problem((key,), key, reason, ({key: valid},)))

    def read_choice(self, key: str) -> str:
        value, options = self.text(key), choices()[key]
        if value not in options:
            near = suggest.close(value.lower(), options, cutoff=0.5)
            self.refuse(key, f"it is one of: {', '.join(options)}.", [*near, *options])
        return value

    def read_yes(self, key: str) -> bool:
        value = self.text(key).lower()
        if value not in (*_YES, *_NO):
            self.refuse(key, "it is yes or no.", [fixed_defaults()[key], YES, NO])
        return value in _YES

    def read_slug(self) -> str:
        slug = self.text("project_slug")
        problem = slug_problem(slug, self.text("project_name"), self.facts)
        if problem:
            self.refuse("project_slug", problem.reason, problem.replacements)
        return slug

    def read_release(self) -> str:
        asked, releases = self.text("torch_version"), self.facts.releases
        if asked not in releases:
            near = suggest.nearest_versions(asked.partition("+")[0], releases)
            reason = (
                f"there is no such release; from {releases[0]} on there are: {', '.join(releases)}."
            )
            self.refuse("torch_version", reason, [*near, releases[-1]])
        return asked

    def read_python(self) -> str:
        asked, pythons = self.text("python_version"), self.facts.all_pythons
        if asked in pythons:
            return asked
        meant = asked.rstrip("t")
        reason = f"the Pythons that PyTorch has wheels for are {self.facts.span(pythons)}."
        if meant != asked and meant in pythons:
            reason = f"requires-python cannot ask for a free-threaded build; {reason}"
        if asked == "3.1":
            reason = f"{reason} If you meant 3.10 in a YAML file, put quotes around it."
            meant = "3.10"
        near = suggest.nearest_versions(meant, pythons)[0]
        replacements = [near, *suggest.nearest(near, pythons, pythons)]
        self.refuse("python_version", reason, replacements)
        return asked

    def read_variants(self, layout: str) -> tuple[Variant, ...]:
        key = "torch_backend"
        words = self.words(key)
        variants: list[Variant] = []
        for text in words:
            word = BackendWord.parse(text)
            self.declared.append(word.backend if word.name is None else word.name)
            problems_before = len(self.problems)
            if word.name is not None and layout == MARKERS:
                reason = "a name is for an extra or a group, and layout=markers has none."
                self.refuse_word(
                    key, text, "name", reason, [word.backend], also=[{"layout": EXTRAS}]
                )
            near = self.near_backends(word.backend)
            replacements = [word._replace(backend=name) for name in near]
            self.check_backend(key, text, word.backend, replacements)
            variant = Variant(self.declared[-1], word.backend)
            self.check_variant_name(text, variant, variants, layout)
            if len(self.problems) == problems_before:
                variants.append(variant)
        if not self.text(key):
            self.refuse(key, "at least one backend is needed.", [CPU])
        if len(words) > 1 and layout == MARKERS:
            heading = f"torch_backend={self.text(key)} with layout=markers"
            reason = (
                "the layout `markers` has one build per platform; several backends in one "
                "project need extras or groups."
            )
            ways = ({"layout": EXTRAS}, {"layout": GROUPS})
            self.problems.append(Problem((key, "layout"), heading, reason, ways))
        return tuple(variants)

    def check_variant_name(
        self, text: str, variant: Variant, earlier: Sequence[Variant], layout: str
    ) -> None:
        key, backend = "torch_backend", variant.backend
        if not is_option_name(variant.name):
            reason = "the name of an extra or group is made of letters, digits, `-`, `_` and `.`."
            self.refuse_word(key, text, "characters", reason, [backend])
        elif variant.name != backend and _means_backend(variant.name, self.facts):
            reason = f"{variant.name!r} is the name of another build."
            self.refuse_word(key, text, "misleading", reason, [backend])
        elif layout == GROUPS and normalized(variant.name) == "dev":
            reason = "`dev` is the group of the development tools."
            self.refuse_word(key, text, "dev", reason, [backend])
        elif same := [it for it in earlier if normalized(it.name) == normalized(variant.name)]:
            reason = f"two are named {variant.name!r} (`-`, `_` and `.` count as the same)."
            other = f"{variant.name}-2={backend}"
            repeats = same[0].backend == backend
            self.refuse_word(key, text, "twice", reason, [""] if repeats else [backend, other])

    def check_backend(
        self, key: str, text: str, backend: str, replacements: Iterable[object]
    ) -> None:
        """Refuse a backend that no release has."""
        if backend in self.facts.all_backends:
            return
        options = " ".join(self.known_backends())
        reason = f"no release has this backend; uv's names for them are: {options}."
        if backend == _AUTO:
            reason = (
                "the project records the build that was chosen, so that an update on another "
                "machine does not choose again. Leave the answer out, and what this machine can "
                "run is the default."
            )
        self.refuse_word(key, text, "backend", reason, replacements)

    def known_backends(self) -> tuple[str, ...]:
        """Return the backends of the chosen release; of all releases where it is not known."""
        return self.facts.backends(self.text("torch_version")) or self.facts.all_backends

    def near_backends(self, backend: str) -> list[str]:
        """Return the backends that may have been meant, none where it is one."""
        if backend in self.facts.all_backends:
            return []
        if backend == _AUTO:
            return [CPU]
        return suggest.nearest_backends(backend, self.known_backends())

    def near_platforms(self, platform: str) -> list[str]:
        """Return the platforms that may have been meant, none where it is one."""
        return [] if platform in PLATFORMS else suggest.nearest_platforms(platform)

    def read_companions(self) -> tuple[str, ...]:
        key, known = "companions", self.facts.all_companions
        words = self.words(key)
        if words == [NO_COMPANIONS]:
            return ()
        for word in dict.fromkeys(words):
            if word not in known:
                near = suggest.close(word, known, count=1, cutoff=0.5)
                leave_out = "" if len(set(words)) > 1 else NO_COMPANIONS
                names = ", ".join(known)
                reason = f"the packages released in step with torch are: {names}; or none."
                self.refuse_word(key, word, "name", reason, near or [leave_out])
        return tuple(name for name in known if name in words)

    def read_platforms(
        self, variants: Sequence[Variant], layout: str
    ) -> tuple[tuple[str, ...], dict[tuple[str, str], str]]:
        """Return the platforms, and (platform, variant or nothing) -> the backend it gets."""
        key = "platforms"
        words = self.words(key)
        chosen: set[str] = set()
        overrides: dict[tuple[str, str], str] = {}
        for text in words:
            word = PlatformWord.parse(text)
            problems_before = len(self.problems)
            self.check_platform(text, word)
            if word.variant is not None:
                self.check_override_name(text, word, variants, layout)
            if word.backend is not None:
                platform = [*self.near_platforms(word.platform), word.platform][0]
                near = self.near_backends(word.backend)
                replacements = [word._replace(platform=platform, backend=name) for name in near]
                self.check_backend(key, text, word.backend, replacements)
            if len(self.problems) > problems_before:
                continue
            chosen.add(word.platform)
            if word.backend is not None:
                name = _spelt(word.variant or "", self.declared)
                if overrides.setdefault((word.platform, name), word.backend) != word.backend:
                    reason = "another part of the answer says otherwise for the same platform."
                    self.refuse_word(key, text, "twice", reason, [word.platform])
        if not self.text(key):
            self.refuse(key, "at least one platform is needed.", [" ".join(DEFAULT_PLATFORMS)])
        return tuple(name for name in PLATFORMS if name in chosen), overrides

    def check_platform(self, text: str, word: PlatformWord) -> None:
        if word.platform in PLATFORMS:
            return
        reason = f"the platforms are: {' '.join(PLATFORMS)}."
        backend = word.backend
        if backend is not None:
            backend = [*self.near_backends(backend), backend][0]
        near = self.near_platforms(word.platform)
        replacements = [str(word._replace(platform=name, backend=backend)) for name in near]
        others = [other for other in self.text("platforms").split() if other != text]
        nothing_near = "" if others else " ".join(DEFAULT_PLATFORMS)
        self.refuse_word("platforms", text, "platform", reason, replacements or [nothing_near])

    def check_override_name(
        self, text: str, word: PlatformWord, variants: Sequence[Variant], layout: str
    ) -> None:
        """Refuse an override for a variant where there is no such variant."""
        if layout == MARKERS:
            reason = "there is one build per platform in the layout `markers`, and no name."
            general = word._replace(variant=None)
            self.refuse_word("platforms", text, "variant", reason, [general])
        elif not _spelt(word.variant or "", self.declared):
            names = " ".join(self.declared)
            reason = f"torch_backend names no {word.variant!r}; it has: {names}."
            # A variant that has this backend everywhere needs no override for it.
            others = [it.name for it in variants if it.backend != word.backend]
            replacements = [str(word._replace(variant=name)) for name in others]
            self.refuse_word("platforms", text, "variant", reason, [*replacements, word.platform])

    def read_pytorch_index(self) -> Mirror:
        key, mirrors = "pytorch_index", self.facts.pytorch_mirrors
        answer = self.text(key)
        if answer in mirrors:
            return mirrors[answer]
        url = written(answer)
        reason = url_problem(answer, mirrors)
        if reason:
            self.refuse(key, reason, mirrors)
            return Mirror(url, flat=False, hosts=())
        before, _, last = url.rpartition("/")
        if last in self.facts.all_backends:
            reason = f"leave `/{last}` out of the URL; each build adds its own name to it."
            self.refuse(key, reason, [before])
        return Mirror(url, flat=False, hosts=(urlsplit(url).hostname or "",))

    def read_package_index(self) -> PackageIndex | None:
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


def _means_backend(name: str, facts: Facts) -> bool:
    """Tell whether a name is that of a backend, as uv compares names: `rocm6-4` is `rocm6.4`."""
    return normalized(name) in {normalized(backend) for backend in facts.all_backends}


def _spelt(name: str, declared: Iterable[str]) -> str:
    """Return the name of a variant as `torch_backend` spells it, empty if there is none."""
    for other in declared:
        if normalized(other) == normalized(name):
            return other
    return ""
