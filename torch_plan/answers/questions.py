"""`cookiecutter.json`: the one list of the answers, of their choices and of fixed defaults.

Most answers are asked for. Those under `_unasked` are not, and can be given all the same: by the
command, a configuration file, the Python API or cruft. They are recorded like all others. Those
under `_computed` are asked for only where earlier answers leave a choice.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parent.parent
# A wheel has the file in the package; in the template cookiecutter wants it at the root.
_PLACES = (_PACKAGE / "cookiecutter.json", _PACKAGE.parent / "cookiecutter.json")
QUESTIONS_PATH = next(path for path in _PLACES if path.exists())

YES, NO = "yes", "no"


@lru_cache(maxsize=1)
def questions() -> dict[str, Any]:
    """Return the file: key of a question or private variable -> default or template of it."""
    return dict(json.loads(QUESTIONS_PATH.read_text(encoding="utf-8")))


@lru_cache(maxsize=1)
def in_order() -> tuple[str, ...]:
    """Return the answers that a person may be asked for, those under `_computed` among them."""
    # This variable is rendered after a question, or in the place of one.
    checks = [key for key in questions() if key.startswith("__asked_")]
    return tuple(key.removeprefix("__asked_") for key in checks)


@lru_cache(maxsize=1)
def unasked() -> dict[str, str]:
    """Return the default of each answer that nobody is asked for."""
    return {key: as_text(value) for key, value in questions()["_unasked"].items()}


@lru_cache(maxsize=1)
def fixed_defaults() -> dict[str, str]:
    """Return the default of each answer as text; of those that are computed, the template."""
    templates = {**questions(), **questions()["_computed"]}
    return {**{key: as_text(templates[key]) for key in in_order()}, **unasked()}


@lru_cache(maxsize=1)
def choices() -> dict[str, tuple[str, ...]]:
    """Return the options of each answer that has some, the default among them."""
    return {key: tuple(options) for key, options in questions()["_choices"].items()}


def as_text(value: object) -> str:
    """Return an answer as text; a boolean, which JSON has and YAML makes of `yes`, as yes or no."""
    return (NO, YES)[value] if isinstance(value, bool) else str(value)
