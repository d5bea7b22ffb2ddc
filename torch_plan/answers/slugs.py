"""The name of a project: what it may be, and what else it could be."""

import keyword
import re
import unicodedata

from torch_plan.answers.problems import Objection
from torch_plan.catalog.facts import Facts
from torch_plan.urls import masked

FALLBACK = "my-project"
LONGEST = 64
"""How many characters a name may have: one part of a path may have 255 bytes, with suffixes."""

_LATIN = str.maketrans(
    {"ä": "ae", "å": "aa", "æ": "ae", "ð": "d", "đ": "d", "ħ": "h", "\u0131": "i", "ł": "l"}
    | {"ŋ": "n", "ö": "oe", "ø": "oe", "œ": "oe", "þ": "th", "ß": "ss", "ü": "ue"}
)
"""How passports write the letters that are more than one of a-z with a mark (ICAO Doc 9303-3)."""


def slugify(text: str) -> str:
    """Return the PEP 503 normal form of a name, without the characters that cannot be in it."""
    return re.sub(r"[^a-z0-9]+", "-", _romanized(masked(text))).strip("-")


def _romanized(text: str) -> str:
    """Return a text in small letters, those of Latin alphabets in a-z (`Größe`: `groesse`)."""
    small = unicodedata.normalize("NFKC", text).lower().translate(_LATIN)
    return re.sub("[\u0300-\u036f]", "", unicodedata.normalize("NFKD", small))


def default_slug(project_name: str) -> str:
    """Return the slug of a project name; one in another alphabet as it is, to be refused."""
    is_latin = all(letter.isascii() or not letter.isalnum() for letter in _romanized(project_name))
    return (slugify(project_name) or FALLBACK) if is_latin else project_name


def package_name(slug: str) -> str:
    """Return the import name of a project."""
    return slug.replace("-", "_")


def slug_problem(slug: str, project_name: str, facts: Facts) -> Objection | None:
    """Return the first thing that keeps a slug from naming a project, None if nothing does."""
    package, valid = package_name(slug), slugify(slug) or slugify(project_name) or FALLBACK
    valid = (valid if valid[0].isalpha() else f"project-{valid}")[:LONGEST].strip("-")
    longer = f"{valid.removesuffix('-project')}-project"
    if slug != slugify(slug) or not slug:
        reason = (
            "it names a folder, a distribution and a package, so it may contain the letters a-z, "
            "digits and single hyphens, and must begin and end with a letter or digit."
        )
    elif not package.isidentifier():
        reason = f"{package!r} cannot be imported: it begins with a digit."
    elif len(slug) > LONGEST:
        reason = f"it is longer than {LONGEST} characters."
    elif facts.may_depend_on(slug):
        reason = "it is the name of a package that the project depends on, or may depend on."
        valid, longer = longer, f"my-{slug}"
    elif package in facts.standard_library | facts.installed_modules:
        reason = (
            f"it and {package!r}, a module of the standard library or of a package that every "
            "project gets, would hide each other."
        )
    elif keyword.iskeyword(package):
        reason = f"{package!r} is a Python keyword."
    elif re.fullmatch(r"con|prn|aux|nul|com\d|lpt\d", slug):
        reason = "Windows reserves this name for a device."
    else:
        return None
    return Objection(reason, tuple(name for name in (valid, longer) if name != slug))
