"""Pages of the documentation with parts that a tool writes."""

from __future__ import annotations

import re
from collections.abc import Mapping


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
