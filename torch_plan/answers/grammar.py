"""The grammar of the answers, before any build is looked for."""

from collections.abc import Iterable, Mapping, Sequence

from torch_plan.answers import suggest
from torch_plan.answers.builds import BuildReader
from torch_plan.answers.meaning import ProperAnswers
from torch_plan.answers.problems import Problem
from torch_plan.answers.questions import NO, YES, as_text, choices, fixed_defaults
from torch_plan.answers.records import (
    DEFAULT_PLATFORMS,
    EXTRAS,
    FREE_TEXT,
    GROUPS,
    MARKERS,
    NO_COMPANIONS,
    OPTIONAL,
    Answers,
    Variant,
    WantedBuild,
)
from torch_plan.answers.slugs import slug_problem
from torch_plan.answers.vocabulary import NO_WORDS, YES_WORDS
from torch_plan.answers.words import BackendWord, PlatformWord, is_option_name, normalized
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.catalog.versions import CPU, PYPI, version_key
from torch_plan.urls import url_problem, written


def read_answers(raw: ProperAnswers, facts: Facts) -> tuple[Answers, list[Problem]]:
    """Take the answers apart, given as text under the keys of cookiecutter.json.

    Returns the answers and every problem with their grammar. What is wrong is left out of the
    answers, so those that a problem names are not to be used.
    """
    reader = _AnswerReader(raw, facts)
    for key in FREE_TEXT:
        reader.check_free_text(key)
    slug = reader.read_slug()
    release = reader.read_release()
    python, python_end = reader.read_python()
    chosen = {key: reader.read_choice(key) for key in choices()}
    yes_or_no = [key for key, default in fixed_defaults().items() if default in (YES, NO)]
    agreed = {key: reader.read_yes(key) for key in yes_or_no}
    layout = chosen["layout"]
    variants = reader.read_variants(layout)
    companions, optional = reader.read_companions()
    platforms, overrides = reader.read_platforms(variants, layout)
    pytorch_index = reader.read_pytorch_index()
    package_index = reader.read_package_index()
    answers = Answers(
        project_slug=slug,
        release=release,
        python=python,
        python_end=python_end,
        variants=variants,
        layout=layout,
        companions=companions,
        optional=optional,
        platforms=platforms,
        overrides=overrides,
        numpy_guard=chosen["numpy_guard"],
        torch_pin=chosen["torch_pin"],
        pytorch_index=pytorch_index,
        package_index=package_index,
        dockerfile=agreed["dockerfile"],
    )
    return answers, reader.problems


def is_yes(answer: object) -> bool:
    """Tell whether an answer to a yes/no question says yes."""
    return as_text(answer).strip().lower() in YES_WORDS


class _AnswerReader(BuildReader):
    """Reads one answer after the other and collects what is wrong with them."""

    def __init__(self, raw: Mapping[str, str], facts: Facts) -> None:
        super().__init__(raw, facts)
        self.declared: list[str] = []
        """The names of the variants, also of those that are refused for something else."""

    def check_free_text(self, key: str) -> None:
        """Refuse what cannot be written as UTF-8; a command line can hand over such bytes."""
        text = str(self.raw.get(key, ""))
        valid = text.encode("utf-8", "ignore").decode("utf-8")
        if valid != text:
            reason = "it contains bytes that are not text in UTF-8."
            self.problems.append(Problem((key,), key, reason, ({key: valid},)))

    def read_choice(self, key: str) -> str:
        value, options = self.text(key), choices()[key]
        if value not in options:
            near = suggest.close(value.lower(), options, cutoff=0.5)
            reason = f"the choices are: {', '.join(options)}."
            self.refuse(key, reason, [*near, *options], near=len(near))
        return value

    def read_yes(self, key: str) -> bool:
        value = self.text(key).lower()
        if value not in (*YES_WORDS, *NO_WORDS):
            self.refuse(key, "the answer is yes or no.", [fixed_defaults()[key], YES, NO])
        return value in YES_WORDS

    def read_slug(self) -> str:
        slug = self.text("project_slug")
        problem = slug_problem(slug, self.text("project_name"), self.facts)
        if problem:
            self.refuse("project_slug", problem.reason, problem.replacements, near=1)
        return slug

    def read_python(self) -> tuple[str, str]:
        """Return the oldest Python to support, and the newest if one is named: `3.12-3.13`."""
        asked, pythons = self.text("python_version"), self.facts.all_pythons
        first, dash, last = asked.partition("-")
        known = [python for python in (first, last) if python in pythons]
        if len(known) > bool(dash) and known == sorted(known, key=version_key):
            return first, last
        meant = first.rstrip("t")
        reason = f"PyTorch has wheels for Python {self.facts.span(pythons)}."
        if meant != first and meant in pythons:
            reason = f"requires-python cannot ask for a free-threaded build; {reason}"
        if dash and len(known) == len((first, last)):
            reason = f"the oldest stands first: {last}-{first}."
        elif dash:
            reason = (
                f"a range has an oldest and a newest, as {pythons[-2]}-{pythons[-1]} has; {reason}"
            )
        if asked == "3.1":
            reason = f"{reason} If you meant 3.10 in a YAML file, put quotes around it."
            meant = "3.10"
        near = suggest.nearest_versions(meant, pythons)[0]
        replacements = [near, *suggest.nearest(near, pythons, pythons)]
        is_near = not dash and version_key(near) == version_key(meant)
        self.refuse("python_version", reason, replacements, near=int(is_near))
        return first, last

    def read_variants(self, layout: str) -> tuple[Variant, ...]:
        key = "torch_backend"
        words = self.words(key)
        variants: list[Variant] = []
        for text in words:
            word = BackendWord.parse(text)
            self.declared.append(word.backend if word.name is None else word.name)
            problems_before = len(self.problems)
            if word.name is not None and layout == MARKERS:
                reason = "only extras and groups have names, and layout=markers has neither."
                plain = word._replace(name=None)
                self.refuse_word(key, text, "name", reason, [plain], also=[{"layout": EXTRAS}])
            self.check_backend(key, text, word)
            self.check_word_release(key, text, word)
            release = self.text("torch_version") if word.release is None else word.release
            variant = Variant(self.declared[-1], release, word.backend)
            self.check_variant_name(text, word, variant, variants, layout)
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
        self,
        text: str,
        word: BackendWord,
        variant: Variant,
        earlier: Sequence[Variant],
        layout: str,
    ) -> None:
        key, name = "torch_backend", variant.name
        plain = word._replace(name=None)
        if not is_option_name(name):
            reason = "the name of an extra or group is made of letters, digits, `-`, `_` and `.`."
            self.refuse_word(key, text, "characters", reason, [plain])
        elif name != variant.backend and _means_backend(name, self.facts):
            reason = f"{name!r} is the name of another build."
            self.refuse_word(key, text, "misleading", reason, [plain])
        elif layout == GROUPS and normalized(name) == "dev":
            reason = "the group `dev` already holds the development tools."
            self.refuse_word(key, text, "dev", reason, [plain])
        elif same := [other for other in earlier if normalized(other.name) == normalized(name)]:
            reason = f"two builds are named {name!r} (`-`, `_` and `.` count as the same)."
            repeats = same[0][1:] == variant[1:]
            numbered = word._replace(name=f"{name}-2")
            ways = ["" if repeats else plain, numbered]
            self.refuse_word(key, text, "twice", reason, ways, near=1)

    def near_platforms(self, platform: str) -> list[str]:
        """Return the platforms that may have been meant, none where it is one."""
        return [] if platform in PLATFORMS else suggest.nearest_platforms(platform)

    def read_companions(self) -> tuple[tuple[str, ...], frozenset[str]]:
        """Return the companions, and those of them that a platform may do without."""
        key, known = "companions", self.facts.all_companions
        words = self.words(key)
        if words == [NO_COMPANIONS]:
            return (), frozenset()
        names = [word.removesuffix(OPTIONAL) for word in words]
        for word, name in dict.fromkeys(zip(words, names, strict=True)):
            if name not in known:
                near = suggest.close(name, known, count=1, cutoff=0.5)
                leave_out = "" if len(set(words)) > 1 else NO_COMPANIONS
                options = ", ".join(known)
                reason = f"the packages released in step with torch are: {options}; or none."
                self.refuse_word(key, word, "name", reason, near or [leave_out], near=len(near))
        chosen = tuple(name for name in known if name in names)
        return chosen, frozenset(name for name in chosen if name not in words)

    def read_platforms(
        self, variants: Sequence[Variant], layout: str
    ) -> tuple[tuple[str, ...], dict[tuple[str, str], WantedBuild]]:
        """Return the platforms, and (platform, variant or nothing) -> what it gets there."""
        key = "platforms"
        words = self.words(key)
        chosen: set[str] = set()
        overrides: dict[tuple[str, str], WantedBuild] = {}
        for text in words:
            word = PlatformWord.parse(text)
            problems_before = len(self.problems)
            self.check_platform(text, word)
            if word.variant is not None:
                self.check_override_name(text, word, variants, layout)
            if word.backend is not None:
                platform = [*self.near_platforms(word.platform), word.platform][0]
                self.check_backend(key, text, word._replace(platform=platform))
                self.check_word_release(key, text, word)
                self.check_word_url(text, word)
            if len(self.problems) > problems_before:
                continue
            chosen.add(word.platform)
            if word.backend is not None:
                name = _spelt(word.variant or "", self.declared)
                override = WantedBuild(word.release or "", word.backend, written(word.url or ""))
                if overrides.setdefault((word.platform, name), override) != override:
                    reason = "another word of the answer asks for something else on this platform."
                    self.refuse_word(key, text, "twice", reason, [word.platform])
        if not self.text(key):
            self.refuse(key, "at least one platform is needed.", [" ".join(DEFAULT_PLATFORMS)])
        return tuple(name for name in PLATFORMS if name in chosen), overrides

    def check_platform(self, text: str, word: PlatformWord) -> None:
        if word.platform in PLATFORMS:
            return
        reason = f"the platforms are: {' '.join(PLATFORMS)}."
        backend = word.backend
        if backend is not None and word.url is None:
            backend = [*self.near_backends(backend), backend][0]
        near = self.near_platforms(word.platform)
        replacements = [str(word._replace(platform=name, backend=backend)) for name in near]
        others = [other for other in self.text("platforms").split() if other != text]
        nothing_near = "" if others else " ".join(DEFAULT_PLATFORMS)
        ways = replacements or [nothing_near]
        self.refuse_word("platforms", text, "platform", reason, ways, near=len(replacements))

    def check_word_url(self, text: str, word: PlatformWord) -> None:
        """Refuse an index of a platform's own that is no URL, or that no build comes from."""
        if word.url is None:
            return
        reason = url_problem(word.url, ())
        if reason:
            self.refuse_word("platforms", text, "url", reason, [word._replace(url=None)])
        elif word.backend == PYPI:
            reason = "`pypi` stands for PyPI itself; name the build that this index has."
            self.refuse_word("platforms", text, "url", reason, [word._replace(url=None)])

    def check_override_name(
        self, text: str, word: PlatformWord, variants: Sequence[Variant], layout: str
    ) -> None:
        """Refuse an override for a variant where there is no such variant."""
        if layout == MARKERS:
            reason = "the layout `markers` has one build per platform, and so no names."
            general = word._replace(variant=None)
            self.refuse_word("platforms", text, "variant", reason, [general])
        elif not _spelt(word.variant or "", self.declared):
            names = " ".join(self.declared)
            reason = f"torch_backend has no build named {word.variant!r}; its names are: {names}."
            # A variant that has this backend everywhere needs no override for it.
            others = [other.name for other in variants if other.backend != word.backend]
            replacements = [str(word._replace(variant=name)) for name in others]
            self.refuse_word("platforms", text, "variant", reason, [*replacements, word.platform])


def _means_backend(name: str, facts: Facts) -> bool:
    """Tell whether a name is that of a backend, as uv compares names: `rocm6-4` is `rocm6.4`."""
    return normalized(name) in {normalized(backend) for backend in facts.all_backends}


def _spelt(name: str, declared: Iterable[str]) -> str:
    """Return the name of a variant as `torch_backend` spells it, empty if there is none."""
    for other in declared:
        if normalized(other) == normalized(name):
            return other
    return ""
