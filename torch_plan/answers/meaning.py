"""What people type, and the proper form of it: `CUDA 12.8` is `cu128`, `v2.9` is `2.9.1`.

Only what can mean one thing has a proper form. All else is left as it is, and refused later.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache, partial
from typing import NamedTuple, NewType

from torch_plan.answers.questions import choices
from torch_plan.answers.records import NO_COMPANIONS, OPTIONAL
from torch_plan.answers.vocabulary import (
    ANY_GPU,
    FAMILY_WORDS,
    MACHINE_WORDS,
    NO_WORDS,
    SYSTEM_WORDS,
)
from torch_plan.answers.words import BackendWord, PlatformWord
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.catalog.versions import CPU, TORCH, family_of, version_key

_ALL = "all"

_NUMBERED = ("cu", "rocm")
"""The families whose builds have the version of a toolkit in their name."""

ProperAnswers = NewType("ProperAnswers", dict[str, str])
"""Answers in their proper form. Whatever is behind this module takes nothing else."""


class Machine(NamedTuple):
    """What some words depend on besides the answers and the facts; both are asked when needed."""

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
    """Takes one set of answers; each answer may need others to be understood.

    A release that is given comes first, since the words of builds and platforms depend on it. It
    may name the build too.
    """

    def __init__(self, answers: Mapping[str, str], facts: Facts, machine: Machine) -> None:
        self.typed, self.facts, self.machine = answers, facts, machine
        self.proper = dict(answers)
        self.reasons: dict[str, str] = {}

    def meaning(self) -> Meaning:
        self.read_release()
        steps: dict[str, Callable[[str], str]] = {
            "python_version": self.python,
            "torch_backend": self.backends,
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
            if typed != proper and typed.split() != proper.split():
                reason = self.reasons.get(key, "")
                yield f"{key}={typed.strip()} is taken for {proper}{reason}."
        for word in self.typed.get("torch_backend", "").split():
            name, equals, _ = word.partition("=")
            if equals and (name in PLATFORMS or name.lower() in SYSTEM_WORDS):
                yield (
                    f"{word} is a build named {name}, to switch to on every platform; "
                    f"platforms={word} would give it to that platform alone."
                )

    def read_release(self) -> None:
        """Understand `torch_version`, which may name a build too, as PyTorch's versions do."""
        typed = self.typed.get("torch_version", "").strip()
        release, _, label = self.release(typed).partition("+")
        if not label or not release:
            self.proper.update({"torch_version": release or typed} if typed else {})
            return
        backend = _number(label.lower(), self.facts) or label
        words = _split(self.typed.get("torch_backend", backend))
        names = [BackendWord.parse(word).backend for word in words]
        if backend in [_number(name.lower(), self.facts) or name for name in names]:
            self.proper["torch_version"] = release
            self.proper.setdefault("torch_backend", backend)
            self.reasons["torch_version"] = f", with torch_backend={self.proper['torch_backend']}"

    def release(self, typed: str) -> str:
        """Return the release that is meant: `2.9.1` for `v2.9`, the newest for `latest`."""
        if typed in self.facts.releases:
            return typed
        text = _digits(re.sub(r"^(py)?torch[ =]*|^v(?=\d)", "", typed.lower()))
        if text in ("latest", "newest", "stable"):
            return self.facts.releases[-1]
        base, plus, label = text.partition("+")
        if re.fullmatch(r"\d+\.\d+", base):
            alike = [name for name in self.facts.releases if name.startswith(f"{base}.")]
            cut = any(name.startswith(f"{base}0.") for name in self.facts.releases)
            if not cut:
                base = [f"{base}.0", *alike][-1]
        known = base in self.facts.releases or self.facts.is_expected(base)
        return f"{base}{plus}{label}" if known else typed

    @property
    def main_release(self) -> str:
        """The release of all that names none of its own."""
        return self.proper.get("torch_version") or self.machine.release(
            self.proper.get("torch_backend", CPU)
        )

    def python(self, typed: str) -> str:
        """Return the Python that is meant: `3.12` for `Python 3.12.4` and for `py312`.

        With a newest one it is `3.12-3.13`, for `>=3.12,<3.14` too.
        """
        if typed in self.facts.all_pythons:
            return typed
        typed = re.sub(r"\s*,\s*<\s*4(\.0)?$", "", typed)
        ends = re.fullmatch(r"(.+?)(?:\s*-\s*|\s+to\s+|\s*,\s*(<=?)\s*)(\d.*)", typed)
        if ends:
            first, last = self.python(ends[1]), self.python(ends[3])
            if ends[2] == "<" and last in self.facts.all_pythons[1:]:
                last = self.facts.all_pythons[self.facts.all_pythons.index(last) - 1]
            return f"{first}-{last}"
        match = re.fullmatch(
            r"(?:python|cpython|py|cp|>=)?[ -]*(\d)\.?(\d+)(?:\.\d+)?", _digits(typed.lower())
        )
        python = f"{match[1]}.{match[2]}" if match else typed
        return python if python in self.facts.all_pythons else typed

    def backends(self, typed: str) -> str:
        hardware = self.machine.hardware(typed, self.proper.get("torch_version", ""))
        if hardware:
            backend, self.reasons["torch_backend"] = hardware
            return backend
        words = [BackendWord.parse(word) for word in _split(typed)]
        return " ".join(
            str(
                word._replace(
                    backend=self.backend(
                        "torch_backend",
                        word.backend,
                        word.release or self.proper.get("torch_version", ""),
                    ),
                    release=word.release and self.release(word.release),
                )
            )
            for word in words
        )

    def backend(self, key: str, typed: str, release: str) -> str:
        """Return the backend that is meant, of several only the one that this machine can run.

        Where none is given, or that has none, it is one of the newest release that has any.
        """
        word = typed.lower().removeprefix("pytorch-")
        if word in self.facts.all_backends:
            return word
        family = FAMILY_WORDS.get(word)
        if family and family not in _NUMBERED:
            if word in ("mps", "metal"):
                self.reasons[key] = ", the macOS build, which uses Metal"
            return family
        if word != ANY_GPU and not family:
            return _number(word, self.facts, release or self.facts.releases[-1]) or typed
        detected = self.machine.backend(release)
        families = (family,) if family else (*_NUMBERED, "xpu")
        if family_of(detected) in families:
            self.reasons[key] = ", which this machine can run"
            return detected
        others = () if self.facts.is_expected(release) else reversed(self.facts.releases)
        for asked in filter(None, (release, *others)):
            hurts = self.facts.hardware.why_avoided
            alike = [name for name in self.facts.backends(asked) if family_of(name) in families]
            fit = [name for name in alike if not hurts(asked, name)] or alike
            if len(fit) == 1:
                unhurt = " that is not reported to hurt" if fit != alike else ""
                self.reasons[key] = f", the only one that torch {asked} has{unhurt}"
                return fit[0]
            if fit:
                break
        return typed

    def companions(self, typed: str) -> str:
        known = self.facts.all_companions
        words = [word.lower() for word in _split(typed)]
        if words == ["both"]:
            return " ".join(known[:2])
        if words and words[0] in (*NO_WORDS, "-"):
            return NO_COMPANIONS
        if words == [_ALL]:
            release = self.main_release
            exists = release in self.facts.releases or self.facts.is_expected(release)
            names = self.facts.companions(release) if exists else known
            self.reasons["companions"] = ", each where it has wheels"
            return " ".join(f"{name}{OPTIONAL}" for name in names)
        prefixed = (f"torch{word}" for word in words)
        kept = [
            full if full.removesuffix(OPTIONAL) in known else word
            for word, full in zip(words, prefixed, strict=True)
        ]
        return " ".join(dict.fromkeys(kept)) or NO_COMPANIONS

    def platforms(self, typed: str) -> str:
        texts = _split(typed)
        if [text.lower() for text in texts] == [_ALL]:
            return self.all_platforms() or typed
        words = [PlatformWord.parse(text) for text in texts]
        return " ".join(
            str(
                word._replace(
                    platform=self.platform(word.platform, word.release or self.main_release),
                    backend=word.backend
                    and self.backend("platforms", word.backend, word.release or self.main_release),
                    release=word.release and self.release(word.release),
                )
            )
            for word in words
        )

    def platform(self, typed: str, release: str) -> str:
        """Return the platform that is meant: `macos-arm64` for `mac`, of a release with one Mac."""
        if typed in PLATFORMS:
            return typed
        word = re.sub(r"[_/]", "-", re.sub(r"x86[-_]64", "x64", typed.lower()))
        name, separator, rest = word.partition("-")
        system, machine = SYSTEM_WORDS.get(name), MACHINE_WORDS.get(rest)
        if system == "macos" and re.fullmatch(r"m\d", rest):
            machine = "arm"
        if not system or (separator and not machine):
            return typed
        if not machine:
            arm_macs = self.facts.platforms(TORCH, release, CPU)
            if system == "macos" and {"macos-arm64", "macos-x86_64"} <= {*arm_macs}:
                return typed
            machine = "arm" if system == "macos" else "x86_64"
        arm = "aarch64" if system == "linux" else "arm64"
        return f"{system}-{arm if machine == 'arm' else machine}"

    def all_platforms(self) -> str:
        """Return every platform that the answers can be served on, if all of them are given."""
        if not {"torch_version", "python_version", "torch_backend", "layout"} <= self.proper.keys():
            return ""
        return self.machine.all_platforms(ProperAnswers(self.proper))


@lru_cache(maxsize=256)
def _split(text: str) -> tuple[str, ...]:
    """Return the words of a list: between spaces, commas and semicolons, `CUDA 12.8` is one."""
    text = re.sub(r"(?i)\b(cuda|cu|rocm|hip) +(?=\d)", r"\1", text)
    text = re.sub(r"(?i)(?<!\S)(mac|macos|osx) +(m\d|arm\w*|intel)(?![\w=-])", r"\1-\2", text)
    text = re.sub(r"(?i)(?<!\S)(intel|m\d) +(mac|macos|osx)(?![\w=-])", r"\2-\1", text)
    text = re.sub(r"(?i)(?<=\s)(and|&|\+)(?=\s)", "", text)
    spaced = (
        word if re.search("://|@", word) else re.sub("[,;]", " ", word) for word in text.split()
    )
    return tuple(word.strip(",;") for word in " ".join(spaced).split())


def _digits(text: str) -> str:
    """Return a text with the slips of versions mended: `2.10` for `2.1O`, `3.12` for `3,l2`."""
    text = re.sub(r"(?<=\d),(?=[\dlo])", ".", text)
    return re.sub(r"(?<=\d)o|(?<=\.)l(?=\d)", lambda slip: "0" if slip[0] == "o" else "1", text)


def _as_one_of(options: Collection[str], typed: str) -> str:
    """Return one of the options in its own case, or what was typed."""
    if typed in options:
        return typed
    alike = [option for option in options if option.lower() in (typed.lower(), f"{typed.lower()}s")]
    return alike[0] if alike else typed


def _number(word: str, facts: Facts, release: str = "") -> str:
    """Return the one backend of a toolkit's version: `cu128` for `cuda12.8` and for `12.8`.

    Empty where there is none or several. `12.8.1` is 12.8, since no build says more. Of a release
    that nobody knows yet it may be a build that nobody knows yet.
    """
    match = re.fullmatch(r"(cuda|cu|rocm|hip)?[-_]?v?(\d+(?:\.\d+)*)", word)
    if not match:
        return ""
    family, number = FAMILY_WORDS.get(match[1] or ""), match[2]
    minor = ".".join(number.split(".")[:2])
    families = (family,) if family else _NUMBERED
    backends = [name for name in facts.all_backends if family_of(name) in families]
    for version in (number, minor):
        digits = "".join(map(str, version_key(version)))
        alike = [name for name in backends if re.sub(r"\D", "", name) == digits]
        if len(alike) == 1:
            return alike[0]
    unknown = f"cu{number.replace('.', '')}" if family == "cu" else f"rocm{number}"
    return unknown if family and facts.may_have(release, unknown) else ""
