"""Suggestions for a word that is not understood."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from torch_plan.answers.words import FAMILY_WORDS, SYSTEM_WORDS
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.catalog.versions import CPU, family_of, version_key


def close(word: str, options: Iterable[str], count: int = 2, cutoff: float = 0.6) -> list[str]:
    """Return the options that are spelt like a word, the likest first."""
    # Imported where it is needed: only what is refused needs it.
    import difflib

    return difflib.get_close_matches(word, [*options], n=count, cutoff=cutoff)


def nearest(asked: str, options: Iterable[str], order: Sequence[str]) -> list[str]:
    """Return the other options, those first that stand nearest to what was asked in `order`."""
    position = order.index(asked) if asked in order else len(order)
    wanted = set(options) - {asked}
    others = [option for option in order if option in wanted]
    return sorted(others, key=lambda option: abs(order.index(option) - position))


def uncut(asked: str, versions: Sequence[str]) -> list[str]:
    """Return the newest version that YAML reads so: `2.10` without quotes is the number 2.1."""
    return [version for version in versions if f"{version}.".startswith(f"{asked}0.")][-1:]


def nearest_versions(asked: str, versions: Sequence[str]) -> list[str]:
    """Return the versions that may have been meant, the likeliest first; never an empty list."""
    within = re.search(r"\d+(\.\d+)*", asked)
    if not within:
        return close(asked, versions) or [versions[-1]]
    number, key = within[0], version_key(within[0])
    alike = [version for version in versions if version_key(version)[:2] == key[:2]]
    near = [number] * (number in versions) + alike[-1:] + uncut(number, versions)
    if not near and key < version_key(versions[0])[: len(key)]:
        return [versions[0]]
    before = [version for version in versions if version_key(version) < key]
    return list(dict.fromkeys([*near, *close(number, versions), *before[-1:]])) or [versions[-1]]


def nearest_backends(asked: str, options: Sequence[str]) -> list[str]:
    """Return up to three backends that may have been meant, the likeliest first."""
    word = asked.lower().removeprefix("pytorch-").replace("cuda", "cu").strip("._-")
    word = re.sub(r"^(rocm|hip|amd)[._]*(?=\d)", "rocm", word.replace("-", ""))
    word = re.sub(r"(?<=\d)o", "0", word)
    if re.match(r"\d", word):
        word = f"cu{word}"
    if word.startswith("cu"):
        word = word.replace(".", "")
    has_number = bool(re.search(r"\d", word))
    start = word if has_number else FAMILY_WORDS.get(word, (word,))[0]
    alike = [name for name in reversed(options) if name.startswith(start) or _is_turned(word, name)]
    alike += close(word, options, cutoff=0.88 if has_number else 0.8)
    family = [name for name in reversed(options) if family_of(name) == family_of(word)]
    if has_number and not alike:
        family.sort(key=lambda name: abs(_toolkit(name) - _toolkit(word)))
    return list(dict.fromkeys([*alike, *family, CPU]))[:3]


def _toolkit(backend: str) -> int:
    """Return the version of a toolkit as a number: 12800 for `cu128`, 714 for `rocm7.14`."""
    major, *minors = version_key(backend)
    return 100 * major + sum(minors[:1])


def is_near(asked: str, name: str) -> bool:
    """Tell whether a word is a slip for a backend: `cu13`, `cu1288`, `cu182` are, `2.9` is not."""
    number, digits = (re.sub(r"\D", "", word) for word in (asked, name))
    if not number or not digits:
        return not number and name != CPU
    is_part = digits.startswith(number) or number.startswith(digits)
    return is_part or _is_turned(asked, name)


def _is_turned(asked: str, name: str) -> bool:
    """Tell whether a word is a name with digits in another order; `rocm6.5` is not `rocm5.6`."""
    return sorted(asked) == sorted(name) and "." not in name


def nearest_platforms(asked: str) -> list[str]:
    """Return the platforms that may have been meant, the likeliest first; empty for none."""
    word = asked.lower().replace("amd64", "x86_64").replace("_", "-")
    name, dash, machine = word.partition("-")
    system = [SYSTEM_WORDS[near] for near in close(name, SYSTEM_WORDS, count=1)] or [name]
    start = f"{system[0]}{dash}{machine}"
    alike = [platform for platform in PLATFORMS if platform.replace("_", "-").startswith(start)]
    return list(dict.fromkeys([*alike, *close(asked.lower(), PLATFORMS)]))[:2]
