"""What people type, and the proper form of it: `CUDA 12.8` is `cu128`, `v2.9` is `2.9.1`.

Only what can mean one thing has a proper form. All else is left as it is, and refused later.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import NamedTuple, NewType, TypeVar

from torch_plan.answers.questions import choices
from torch_plan.answers.records import NO_COMPANIONS, OPTIONAL
from torch_plan.answers.suggest import uncut
from torch_plan.answers.words import (
    FAMILY_WORDS,
    MACHINE_WORDS,
    NO_WORDS,
    NUMBERED,
    SYSTEM_WORDS,
    BackendWord,
    PlatformWord,
)
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.catalog.versions import CPU, TORCH, family_of

_Word = TypeVar("_Word", BackendWord, PlatformWord)

ProperAnswers = NewType("ProperAnswers", dict[str, str])
"""Answers in their proper form. Whatever is behind this module takes nothing else."""


class Machine(NamedTuple):
    """What some words depend on besides the answers and the facts; it is asked when needed."""

    backend: Callable[[str], str]
    """Release, empty for any -> the backend that this machine can run."""
    release: Callable[[str], str]
    """Answer `torch_backend` -> the newest release that has its builds."""
    hardware: Callable[[str, str], tuple[str, str] | None]
    """Text, release or nothing -> if it names a card or a driver, the backend for it, and why."""
    all_platforms: Callable[[ProperAnswers], str]
    """Every platform that answers can be served on, as a word list."""


class Meaning(NamedTuple):
    """Answers in their proper form, and a sentence for each that was not typed so."""

    answers: ProperAnswers
    notes: tuple[str, ...]


def meaning(answers: Mapping[str, str], facts: Facts, machine: Machine) -> Meaning:
    """Return what answers mean; those that are not given stay out, but for a label's backend."""
    return _Reading(answers, facts, machine).meaning()


def with_platforms(answers: ProperAnswers, platforms: Iterable[str]) -> ProperAnswers:
    """Return proper answers for other platforms, which are named as `PLATFORMS` does."""
    return ProperAnswers({**answers, "platforms": " ".join(platforms)})


class _Reading:
    """Takes one set of answers; each answer may need others to be understood."""

    def __init__(self, answers: Mapping[str, str], facts: Facts, machine: Machine) -> None:
        self.typed, self.facts, self.machine = answers, facts, machine
        self.proper = dict(answers)
        self.reasons: dict[str, str] = {}

    def meaning(self) -> Meaning:
        steps: dict[str, Callable[[str], str]] = {
            # First: the words of builds and platforms depend on it.
            "torch_version": self.release_or_typed,
            "torch_backend": self.backends,
            "python_version": self.python,
            "companions": self.companions,
            "pytorch_index": partial(_as_one_of, self.facts.pytorch_mirrors),
            "package_index": partial(_as_one_of, ("pypi", *self.facts.package_mirrors)),
            **{key: partial(_as_one_of, options) for key, options in choices().items()},
            # Last: what `all` stands for depends on the answers above, which have to be proper.
            "platforms": self.platforms,
        }
        for key, step in steps.items():
            if key in self.proper:
                self.proper[key] = step(self.proper[key].strip())
        return Meaning(ProperAnswers(self.proper), tuple(self.notes()))

    def notes(self) -> Iterable[str]:
        for key, typed in self.typed.items():
            proper = self.proper[key]
            if typed.split() != proper.split():
                yield f"{key}={typed.strip()} is taken for {proper}{self.reasons.get(key, '')}."
        for word in self.typed.get("torch_backend", "").split():
            name = word.partition("=")[0]
            if name != word and (name in PLATFORMS or name.lower() in SYSTEM_WORDS):
                yield (
                    f"{word} is a build named {name}, to switch to on every platform; "
                    f"platforms={word} would give it to that platform alone."
                )

    def release_or_typed(self, typed: str) -> str:
        """Return the release; its label names the build too, as PyTorch's versions do."""
        release, _, label = self.release(typed).partition("+")
        if label and release:
            self.proper["torch_version"], label = release, self.backends(label)
            backends = self.backends(self.proper.setdefault("torch_backend", label))
            if label not in [BackendWord.parse(word).backend for word in backends.split()]:
                return typed
            self.reasons["torch_version"] = f", with torch_backend={backends}"
        return release or typed

    def release(self, typed: str) -> str:
        """Return the release that is meant: `2.9.1` for `v2.9`, the newest for `latest`."""
        releases = self.facts.releases
        text = _digits(re.sub(r"^(py)?torch[ =]*|^v(?=\d)", "", typed.lower()))
        if text in ("latest", "newest"):
            return releases[-1]
        base, plus, label = text.partition("+")
        if re.fullmatch(r"\d+\.\d+", base) and not uncut(base, releases):
            alike = [name for name in releases if name.startswith(f"{base}.")]
            base = [f"{base}.0", *alike][-1]
        known = base in releases or self.facts.is_expected(base)
        return f"{base}{plus}{label}" if known else typed

    def python(self, typed: str) -> str:
        """Return the Python that is meant: `3.12` for `py312`, `3.12-3.13` for `>=3.12,<3.14`."""
        pythons = self.facts.all_pythons
        if ends := re.fullmatch(r"(.+?)(?:\s*-\s*|\s+to\s+|\s*,\s*(<=?)\s*)(\d.*)", typed):
            first, last = self.python(ends[1]), self.python(ends[3])
            if ends[2] == "<" and last in pythons[1:]:
                last = pythons[pythons.index(last) - 1]
            return f"{first}-{last}"
        form = r"(?:python|cpython|py|cp|>=)?[ -]*(\d)\.?(\d+)(?:\.\d+)?"
        python = re.sub(rf"^{form}$", r"\1.\2", _digits(typed.lower()))
        return python if python in pythons else typed

    def backends(self, typed: str) -> str:
        release = self.proper.get("torch_version", "")
        if hardware := self.machine.hardware(typed, release):
            backend, self.reasons["torch_backend"] = hardware
            return backend
        words = map(BackendWord.parse, _split(typed))
        return " ".join(str(self.word("torch_backend", word, release)) for word in words)

    def word(self, key: str, word: _Word, release: str) -> _Word:
        """Return a word with the release and the backend that are meant in it."""
        return word._replace(
            release=word.release and self.release(word.release),
            backend=word.backend and self.backend(key, word.backend, word.release or release),
        )

    def backend(self, key: str, typed: str, release: str) -> str:
        """Return the backend that is meant, of several only the one that this machine can run.

        Where none is given, or that has none, it is one of the newest release that has any.
        """
        word, facts = typed.lower().removeprefix("pytorch-"), self.facts
        families = FAMILY_WORDS.get(word, (word,))
        if families[0] in facts.all_backends:
            if word in ("mps", "metal"):
                self.reasons[key] = ", the macOS build, which uses Metal"
            return families[0]
        if word not in FAMILY_WORDS:
            return _number(word, facts, release or facts.releases[-1]) or typed
        detected = self.machine.backend(release)
        if family_of(detected) in families:
            self.reasons[key] = ", which this machine can run"
            return detected
        others = () if facts.is_expected(release) else reversed(facts.releases)
        for asked in filter(None, (release, *others)):
            alike = [name for name in facts.backends(asked) if family_of(name) in families]
            fit = [name for name in alike if not facts.hardware.why_avoided(asked, name)]
            if len(fit) == 1:
                self.reasons[key] = f", the only one of torch {asked} that is not reported to hurt"
                return fit[0]
            if alike:
                break
        return typed

    def companions(self, typed: str) -> str:
        known = self.facts.all_companions
        words = [word.lower() for word in _split(typed)]
        if words == ["both"]:
            return " ".join(known[:2])
        if words and words[0] in (*NO_WORDS, "-"):
            return NO_COMPANIONS
        if words == ["all"]:
            self.reasons["companions"] = ", each where it has wheels"
            return " ".join(f"{name}{OPTIONAL}" for name in known)
        short = {name.removeprefix("torch"): name for name in known}
        words = [re.sub(r"^\w+", lambda word: short.get(word[0], word[0]), word) for word in words]
        return " ".join(dict.fromkeys(words)) or NO_COMPANIONS

    def platforms(self, typed: str) -> str:
        texts = _split(typed)
        if [text.lower() for text in texts] == ["all"]:
            # It can be told once all answers that it depends on are given.
            needed = {"torch_version", "python_version", "torch_backend", "layout"}
            is_known = needed <= self.proper.keys()
            return self.machine.all_platforms(ProperAnswers(self.proper)) if is_known else typed
        backends = self.proper.get("torch_backend", CPU)
        main_release = self.proper.get("torch_version") or self.machine.release(backends)
        words = (self.word("platforms", PlatformWord.parse(text), main_release) for text in texts)
        return " ".join(
            str(word._replace(platform=self.platform(word.platform, word.release or main_release)))
            for word in words
        )

    def platform(self, typed: str, release: str) -> str:
        """Return the platform that is meant: `macos-arm64` for `mac`, of a release with one Mac."""
        if typed in PLATFORMS:
            return typed
        word = re.sub(r"[_/]", "-", re.sub(r"x86[-_]64", "x64", typed.lower()))
        name, separator, rest = re.sub(r"-m\d$", "-arm64", word).partition("-")
        system, machine = SYSTEM_WORDS.get(name), MACHINE_WORDS.get(rest)
        if not system or (separator and not machine):
            return typed
        if not machine:
            arm_macs = self.facts.platforms(TORCH, release, CPU)
            if system == "macos" and {"macos-arm64", "macos-x86_64"} <= {*arm_macs}:
                return typed
            machine = "arm" if system == "macos" else "x86_64"
        arm = "aarch64" if system == "linux" else "arm64"
        return f"{system}-{arm if machine == 'arm' else machine}"


def _split(text: str) -> list[str]:
    """Return the words of a list: between spaces, commas and semicolons, `CUDA 12.8` is one."""
    text = re.sub(r"(?i)\b(cuda|cu|rocm|hip) +(?=\d)", r"\1", text)
    text = re.sub(r"(?i)(?<!\S)(mac|macos|osx) +(m\d|arm\w*|intel)(?![\w=-])", r"\1-\2", text)
    text = re.sub(r"(?i)(?<!\S)(intel|m\d) +(mac|macos|osx)(?![\w=-])", r"\2-\1", text)
    text = re.sub(r"(?i)(?<=\s)(and|&|\+)(?=\s)", "", text)
    spaced = (
        word if re.search("://|@", word) else re.sub("[,;]", " ", word) for word in text.split()
    )
    return [word.strip(",;") for word in " ".join(spaced).split()]


def _digits(text: str) -> str:
    """Return a text with the slips of versions mended: `2.10` for `2.1O`, `3.12` for `3,l2`."""
    text = re.sub(r"(?<=\d),(?=[\dlo])", ".", text)
    return re.sub(r"(?<=\d)o|(?<=\.)l(?=\d)", lambda slip: "0" if slip[0] == "o" else "1", text)


def _as_one_of(options: Collection[str], typed: str) -> str:
    """Return one of the options in its own case, or what was typed."""
    meant = (typed.lower(), f"{typed.lower()}s")
    return next((option for option in options if option.lower() in meant), typed)


def _number(word: str, facts: Facts, release: str) -> str:
    """Return the one backend of a toolkit's version: `cu128` for `cuda12.8`, `12.8`, `12.8.1`."""
    match = re.fullmatch(r"(cuda|cu|rocm|hip)?[-_]?v?(\d+(?:\.\d+)*)", word)
    if not match:
        return ""
    families, number = FAMILY_WORDS.get(match[1], NUMBERED), match[2]
    named = [name for name in facts.all_backends if family_of(name) in families]
    minor = ".".join(number.split(".")[:2])
    for digits in (number.replace(".", ""), minor.replace(".", "")):
        alike = [name for name in named if re.sub(r"\D", "", name) == digits]
        if len(alike) == 1:
            return alike[0]
    # Of a release that nobody knows yet it may be a build that nobody knows yet.
    unknown = f"cu{number.replace('.', '')}" if families[0] == "cu" else f"rocm{number}"
    return unknown if match[1] and facts.may_have(release, unknown) else ""
