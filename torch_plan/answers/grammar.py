"""The grammar of the answers, before any build is looked for."""

import re
from collections.abc import Sequence

from torch_plan.answers import suggest
from torch_plan.answers.meaning import ProperAnswers
from torch_plan.answers.problems import Problem
from torch_plan.answers.questions import NO, YES, as_text, choices, fixed_defaults
from torch_plan.answers.reader import Reader, yaml_hint
from torch_plan.answers.records import (
    DEFAULT_PLATFORMS,
    EXTRAS,
    FREE_TEXT,
    GROUPS,
    MARKERS,
    MINIMUM,
    NO_COMPANIONS,
    OPTIONAL,
    Answers,
    PackageIndex,
    Variant,
    WantedBuild,
)
from torch_plan.answers.slugs import slug_problem
from torch_plan.answers.words import NO_WORDS, YES_WORDS, BackendWord, PlatformWord, normalized
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.catalog.versions import CPU, PYPI, version_key
from torch_plan.urls import plain, url_problem, written


def read_answers(raw: ProperAnswers, facts: Facts) -> tuple[Answers, list[Problem]]:
    """Take the answers apart, given as text under the keys of cookiecutter.json.

    Returns the answers and every problem with their grammar; the answers that a problem names are
    not to be used.
    """
    reader = _AnswerReader(raw, facts)
    for key in FREE_TEXT:
        reader.check_free_text(key)
    slug = reader.text("project_slug")
    if objection := slug_problem(slug, reader.text("project_name"), facts):
        reader.refuse(("project_slug",), *objection, near=1)
    reader.check_release()
    python, python_end = reader.read_python()
    for key in choices():
        reader.check_choice(key)
    for key, default in fixed_defaults().items():
        if default in (YES, NO):
            reader.check_yes_or_no(key)
    variants = reader.read_variants()
    companions, optional = reader.read_companions()
    platforms, overrides = reader.read_platforms(variants)
    answers = Answers(
        project_slug=slug,
        release=reader.release,
        python=python,
        python_end=python_end,
        variants=variants,
        layout=reader.layout,
        companions=companions,
        optional=optional,
        platforms=platforms,
        overrides=overrides,
        numpy_guard=reader.text("numpy_guard"),
        torch_pin=reader.text("torch_pin"),
        pytorch_index=reader.mirror,
        package_index=reader.read_package_index(),
        dockerfile=is_yes(reader.text("dockerfile")),
    )
    return answers, reader.problems


def is_yes(answer: object) -> bool:
    """Tell whether an answer to a yes/no question says yes."""
    return as_text(answer).strip().lower() in YES_WORDS


class _AnswerReader(Reader):
    """Reads one answer after the other and collects what is wrong with them."""

    def check_free_text(self, key: str) -> None:
        """Refuse what cannot be written as UTF-8; a command line can hand over such bytes."""
        text = str(self.raw.get(key, ""))
        valid = text.encode("utf-8", "ignore").decode("utf-8")
        if valid != text:
            reason = "it contains bytes that are not text in UTF-8."
            self.problems.append(Problem((key,), key, reason, ({key: valid},)))

    def check_choice(self, key: str) -> None:
        value, options = self.text(key), choices()[key]
        if value not in options:
            near = suggest.close(value.lower(), options, cutoff=0.5)
            reason = f"the choices are: {', '.join(options)}."
            self.refuse((key,), reason, [*near, *options], near=len(near))

    def check_yes_or_no(self, key: str) -> None:
        if self.text(key).lower() not in (*YES_WORDS, *NO_WORDS):
            self.refuse((key,), "the answer is yes or no.", [fixed_defaults()[key], YES, NO])

    def read_package_index(self) -> PackageIndex | None:
        """Return the index in the place of PyPI, None for PyPI itself."""
        answer, mirrors = self.text("package_index"), self.facts.package_mirrors
        if answer == PYPI:
            return None
        if answer in mirrors:
            return PackageIndex(answer, mirrors[answer])
        if reason := url_problem(answer, (PYPI, *mirrors)):
            self.refuse(("package_index",), reason, [plain(answer), PYPI, *mirrors])
        return PackageIndex("packages", written(answer))

    def read_python(self) -> tuple[str, str]:
        """Return the oldest Python to support, and the newest if one is named: `3.12-3.13`."""
        asked, pythons = self.text("python_version"), self.facts.all_pythons
        first, dash, last = asked.partition("-")
        ends = [first, last] if dash else [first]
        if {*ends} <= {*pythons} and ends == sorted(ends, key=version_key):
            return first, last
        reason = f"PyTorch has wheels for Python {self.facts.span(pythons)}"
        if dash:
            reason += f"; a range has an older one first: {pythons[-2]}-{pythons[-1]}"
        near = suggest.nearest_versions(first, pythons)[0]
        is_near = not dash and version_key(near) == version_key(first)
        replacements = [near, *suggest.nearest(near, pythons, pythons)]
        reason = f"{reason}.{yaml_hint(asked, pythons)}"
        self.refuse(("python_version",), reason, replacements, near=is_near)
        return first, last

    def read_variants(self) -> tuple[Variant, ...]:
        key, texts = "torch_backend", self.text("torch_backend").split()
        variants: list[Variant] = []
        for text in texts:
            word = BackendWord.parse(text)
            self.check_build(key, text, word)
            variant = Variant(word.option, word.release or self.release, word.backend)
            self.check_option(text, word, variant, variants)
            variants.append(variant)
        if not texts:
            self.refuse((key,), "at least one backend is needed.", [CPU])
        if self.layout == MARKERS and (len(texts) > 1 or "=" in self.text(key)):
            reason = (
                "the layout `markers` has one build per platform; several backends in one "
                "project need extras or groups, and so does one with a name."
            )
            layouts = (EXTRAS, GROUPS) if self.text("torch_pin") == MINIMUM else (GROUPS, EXTRAS)
            self.refuse_together((key, "layout"), reason, *({"layout": name} for name in layouts))
        return tuple(variants)

    def check_option(
        self, text: str, word: BackendWord, variant: Variant, earlier: Sequence[Variant]
    ) -> None:
        """Refuse a name that no extra or group can have here."""
        name = normalized(variant.name)
        ways = [str(word._replace(name=None))]
        same = [other for other in earlier if normalized(other.name) == name]
        form = r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"
        if word.name is not None and not re.fullmatch(form, variant.name):
            reason = "the name of an extra or group is made of letters, digits, `-`, `_` and `.`."
        elif variant.name != variant.backend and name in map(normalized, self.facts.all_backends):
            reason = f"{variant.name!r} is the name of another build."
        elif self.layout == GROUPS and name == "dev":
            reason = "the group `dev` already holds the development tools."
        elif same:
            reason = f"two builds are named {variant.name!r} (`-`, `_` and `.` count as the same)."
            repeats = same[0][1:] == variant[1:]
            ways = [text if repeats else ways[0], str(word._replace(name=f"{variant.name}-2"))]
        else:
            return
        self.refuse(("torch_backend", text, "name"), reason, ways, near=len(same[:1]))

    def read_companions(self) -> tuple[tuple[str, ...], frozenset[str]]:
        """Return the companions, and those of them that a platform may do without."""
        key, known = "companions", self.facts.all_companions
        words = self.text(key).split()
        if words == [NO_COMPANIONS]:
            return (), frozenset()
        for word in dict.fromkeys(words):
            name = word.removesuffix(OPTIONAL)
            if name not in known:
                spelt = f"torch{name.removeprefix('torch')}"
                near = suggest.close(spelt, known, count=1, cutoff=0.85)
                leave_out = "" if len(set(words)) > 1 else NO_COMPANIONS
                reason = f"the companions of torch are: {', '.join(known)}; or none."
                self.refuse((key, word, "name"), reason, [*near, leave_out], near=len(near))
        chosen = tuple(name for name in known if {name, f"{name}{OPTIONAL}"} & {*words})
        return chosen, frozenset(name for name in chosen if name not in words)

    def read_platforms(
        self, variants: Sequence[Variant]
    ) -> tuple[tuple[str, ...], dict[tuple[str, str], WantedBuild]]:
        """Return the platforms, and (platform, variant or nothing) -> what it gets there."""
        key, texts = "platforms", self.text("platforms").split()
        chosen: set[str] = set()
        overrides: dict[tuple[str, str], WantedBuild] = {}
        for text in texts:
            word = PlatformWord.parse(text)
            if word.platform not in PLATFORMS:
                self.refuse_platform(text, word)
                continue
            chosen.add(word.platform)
            name = self.read_override_name(text, word, variants)
            if word.backend is not None:
                self.check_build(key, text, word)
                reason = "" if word.url is None else url_problem(word.url, ())
                if word.url is not None and word.backend == PYPI:
                    reason = "`pypi` stands for PyPI itself; name the build that this index has."
                if reason:
                    self.refuse((key, text, "url"), reason, [word._replace(url=None)])
                override = WantedBuild(word.release or "", word.backend, written(word.url or ""))
                if overrides.setdefault((word.platform, name), override) != override:
                    reason = "another word of the answer asks for something else on this platform."
                    self.refuse((key, text, "twice"), reason, [word.platform])
        if not texts:
            self.refuse((key,), "at least one platform is needed.", [" ".join(DEFAULT_PLATFORMS)])
        return tuple(name for name in PLATFORMS if name in chosen), overrides

    def refuse_platform(self, text: str, word: PlatformWord) -> None:
        names = suggest.nearest_platforms(word.platform)
        near = [str(word._replace(platform=name)) for name in names]
        others = {*self.text("platforms").split()} - {text}
        ways = near or ["" if others else " ".join(DEFAULT_PLATFORMS)]
        reason = f"the platforms are: {' '.join(PLATFORMS)}."
        self.refuse(("platforms", text, "platform"), reason, ways, near=len(near))

    def read_override_name(self, text: str, word: PlatformWord, variants: Sequence[Variant]) -> str:
        """Return the variant that an override is for, as `torch_backend` spells it; or nothing."""
        if word.variant is None:
            return ""
        names = [BackendWord.parse(other).option for other in self.text("torch_backend").split()]
        spelt = [name for name in names if normalized(name) == normalized(word.variant)]
        if self.layout == MARKERS:
            reason = "the layout `markers` has one build per platform, and so no names."
            self.refuse(("platforms", text, "variant"), reason, [word._replace(variant=None)])
        elif not spelt:
            declared = " ".join(names)
            reason = (
                f"torch_backend has no build named {word.variant!r}; its names are: {declared}."
            )
            # A variant that has this backend everywhere needs no override for it.
            others = [other.name for other in variants if other.backend != word.backend]
            ways = [*(word._replace(variant=name) for name in others), word.platform]
            self.refuse(("platforms", text, "variant"), reason, ways)
        return [*spelt, ""][0]
