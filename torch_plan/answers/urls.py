"""The URLs of indexes: which may stand in a project, and how one is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

# The characters that RFC 3986 allows in a URL, but no quotes, brackets or backslashes, which TOML,
# Markdown or a shell would read in their own way.
_CHARACTERS = r"[!#-&(-;=?-Z\[\]_a-z~]+"


def url_problem(url: str, names: Iterable[str]) -> str:
    """Return what keeps a text from being the URL of an index in a project, empty for nothing.

    `names` are the indexes that have a name, for the message; there may be none.
    """
    try:
        parts = urlsplit(url)
        # `port` raises a ValueError for what is no port, so it is asked for here.
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or not re.fullmatch(_CHARACTERS, url):
        named = ", ".join(names)
        options = f"one of {named}, or a URL" if named else "a URL"
        return f"it has to be {options} that begins with https:// or http://."
    if parts.username or parts.password:
        return (
            "a password would stand in pyproject.toml and uv.lock for everyone to read; leave "
            "it out, and set UV_INDEX_<NAME>_USERNAME and UV_INDEX_<NAME>_PASSWORD instead."
        )
    if parts.query or parts.fragment:
        return "the URL of an index cannot have a query or a fragment."
    return ""


def written(url: str) -> str:
    """Return a URL as it stands in a project: without a slash at its end, its scheme in lower case.

    uv finds nothing at an index whose URL begins with `HTTP://`.
    """
    scheme, separator, rest = url.rstrip("/").partition("://")
    return f"{scheme.lower()}{separator}{rest}"


def host_of(url: str) -> str:
    """Return the host of a URL, empty for a text that has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def without_logins(text: str) -> str:
    """Return a text in which no URL has a login."""
    return re.sub(r"(?<=://)\S*@", "…@", text)


def shown(url: str) -> str:
    """Return a URL, or what was meant as one, with its scheme and its host alone.

    The rest may hold a password or a token, also where a person forgot the scheme or put a slash
    into the password: whatever stands before the last `@` is taken for a login.
    """
    scheme = re.match(r"([A-Za-z][\w+.-]*://)?", url)[0]  # type: ignore[index]  # always matches
    address = url[len(scheme) :].rpartition("@")[2]
    host = re.split(r"[/?#]", address, maxsplit=1)[0]
    return scheme + host + ("/…" if address != host else "")
