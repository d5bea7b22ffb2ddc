"""Suggestions for a word that is not understood."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache

from torch_plan.answers.vocabulary import ANY_GPU, FAMILY_WORDS, SYSTEM_WORDS
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.catalog.versions import CPU, family_of, version_key


def close(word: str, options: Sequence[str], count: int = 2, cutoff: float = 0.6) -> list[str]:
    """Return the options that are spelt like a word, the likest first."""
    return list(_close(word, tuple(options), count, cutoff))


@cache
def _close(word: str, options: tuple[str, ...], count: int, cutoff: float) -> tuple[str, ...]:
    """Compare once: a refusal tries many answers that share a misspelt word."""
    # Imported where it is needed: only what is refused needs it.
    import difflib

    return tuple(difflib.get_close_matches(word, options, n=count, cutoff=cutoff))


def nearest(asked: str, options: Iterable[str], order: Sequence[str]) -> list[str]:
    """Return the other options, those first that stand nearest to what was asked in `order`.

    Options that are not in `order` come last.
    """
    position = order.index(asked) if asked in order else len(order)
    wanted = set(options) - {asked}
    others = [option for option in order if option in wanted]
    return sorted(others, key=lambda option: abs(order.index(option) - position))


def nearest_versions(asked: str, versions: Sequence[str]) -> list[str]:
    """Return the versions that may have been meant, the likeliest first; never an empty list.

    The one within the text, the newest of its minor, those that are spelt alike, the one before it.
    For what is older than all of them it is the oldest.
    """
    if within := re.search(r"\d+(\.\d+)*", asked):
        asked = within[0]
    key = version_key(asked)
    if within and key < version_key(versions[0])[: len(key)]:
        return [versions[0]]
    near = [asked] * (asked in versions)
    if within:
        near += [version for version in versions if version_key(version)[:2] == key[:2]][-1:]
    near += close(asked, versions)
    if within:
        near += [version for version in versions if version_key(version) < key][-1:]
    return list(dict.fromkeys(near)) or [versions[-1]]


def family_meant(asked: str) -> str:
    """Return the family of builds that a word is about: `rocm` for `amd`, any other word itself."""
    word = asked.lower()
    return "cu" if word == ANY_GPU else FAMILY_WORDS.get(word, family_of(word))


def nearest_backends(asked: str, options: Sequence[str]) -> list[str]:
    """Return up to three backends that may have been meant, the likeliest first."""
    word = asked.lower().removeprefix("pytorch-").replace("cuda", "cu").replace("-", "")
    word = re.sub(r"(?<=\d)o", "0", word)
    if re.match(r"\d", word):
        word = f"cu{word}"
    if word.startswith("cu"):
        word = word.replace(".", "")
    family = family_meant(word)
    alike = [name for name in options if family_of(name) == family or name.startswith(word)]
    asked_number = _digits(word)
    alike.reverse()
    if any(is_near(word, [name]) for name in alike if asked_number):
        # A digit too many, or one too few: `cu1288` and `cu12` are nearer to cu128 than to cu130.
        distance = {name: abs(_digits(name) - asked_number) for name in alike}
        begun = {name: name.startswith(word) for name in alike}
        alike.sort(
            key=lambda name: (
                not (begun[name] or word.startswith(name)),
                not begun[name] and distance[name],
            )
        )
    return list(dict.fromkeys([*alike, *close(word, options), CPU]))[:3]


def is_near(asked: str, options: Sequence[str]) -> bool:
    """Tell whether the first of some backends is what a slip of the pen was for.

    A number is one where a digit is missing or too many: `cu13` and `cu1288`, and not `2.9`.
    """
    number = re.sub(r"\D", "", asked)
    for name in options[:1]:
        digits = str(_digits(name))
        return digits.startswith(number) or number.startswith(digits) if number else name != CPU
    return False


def _digits(word: str) -> int:
    """Return the digits of a word as one number, 0 for none: 128 for `cu128`, 64 for `rocm6.4`."""
    return int("0" + re.sub(r"\D", "", word))


def nearest_platforms(asked: str) -> list[str]:
    """Return the platforms that may have been meant, the likeliest first; empty for none."""
    word = asked.lower().replace("amd64", "x86_64").replace("_", "-")
    name, dash, machine = word.partition("-")
    system = [SYSTEM_WORDS[near] for near in close(name, [*SYSTEM_WORDS], count=1)] or [name]
    start = f"{system[0]}{dash}{machine}"
    alike = [platform for platform in PLATFORMS if platform.replace("_", "-").startswith(start)]
    return list(dict.fromkeys([*alike, *close(asked.lower(), list(PLATFORMS))]))[:2]
