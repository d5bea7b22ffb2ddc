"""Adopting texts, and looking at what came out."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from adopt.__main__ import Adoption, adopt
from tests.adopt.shapes import OFFICIAL


def adopted(folder: Path, text: str, **given: str) -> Adoption:
    """Adopt a text as the pyproject.toml of a folder; a second time changes nothing more."""
    path = folder / "pyproject.toml"
    path.write_bytes(text.encode())
    found = adopt(path, given)
    path.write_bytes(found.new.encode())
    again = adopt(path, given)
    assert (again.new, again.reasons) == (found.new, [])
    return found


def project(found: Adoption) -> dict[str, Any]:
    """Return the table [project] of what came out."""
    table: dict[str, Any] = tomllib.loads(found.new)["project"]
    return table


def uv(found: Adoption) -> dict[str, Any]:
    """Return uv's settings of what came out."""
    settings: dict[str, Any] = tomllib.loads(found.new)["tool"]["uv"]
    return settings


def indexes(found: Adoption) -> dict[str, str]:
    """Return name -> last part of the URL of the indexes, which are all explicit."""
    entries = uv(found).get("index", [])
    assert all(entry["explicit"] for entry in entries)
    return {entry["name"]: entry["url"].removeprefix(f"{OFFICIAL}/") for entry in entries}


def reason(found: Adoption, words: str) -> str:
    """Return the one reason that holds these words."""
    (only,) = [line for line in found.reasons if words in line]
    return only
