"""Pages in `docs/` of which a person writes the text, and a command some parts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def with_parts(page: str, parts: Mapping[str, str]) -> str:
    """Return a page with new parts: each stands between `<!-- name -->` and `<!-- end -->`.

    Raises `KeyError` for a part that the page has no place for.
    """
    for name, text in parts.items():
        place = re.search(rf"(?<=<!-- {name} -->\n).*?(?=<!-- end -->)", page, re.DOTALL)
        if place is None:
            raise KeyError(f"the page has no place for {name}")
        page = f"{page[: place.start()]}\n{text}\n\n{page[place.end() :]}"
    return page
