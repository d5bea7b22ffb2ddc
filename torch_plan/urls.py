"""The URLs of indexes: which may stand in a project, and how one is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urljoin, urlsplit

# The characters that RFC 3986 allows in a URL, but no quotes, brackets or backslashes, which TOML,
# Markdown or a shell would read in their own way.
_CHARACTERS = r"[!#-&(-;=?-Z\[\]_a-z~]+"


def url_problem(url: str, names: Iterable[str]) -> str:
    """Return what keeps a text from being one of some names or the URL of an index, if anything."""
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
    if parts.query or parts.fragment:
        return "the URL of an index cannot have a query or a fragment."
    if masked(url) != url:
        return (
            "a password would stand in pyproject.toml and uv.lock for everyone to read; leave "
            "it out, and set UV_INDEX_<NAME>_USERNAME and UV_INDEX_<NAME>_PASSWORD instead."
        )
    return ""


def plain(url: str) -> str:
    """Return a URL without login, query and fragment."""
    return re.sub(r"(?<=//)[^/]*@|[?#].*", "", url)


def written(url: str) -> str:
    """Return a URL as it stands in a project and, but for a slash at its end, in a lock of uv.

    That is how browsers write it (https://url.spec.whatwg.org): the host in lower case, no port
    that goes without saying, no `.` or `..` in the path.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    if not parts.netloc:
        return url.rstrip("/")
    login, at, host = parts.netloc.rpartition("@")
    port = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
    netloc = f"{login}{at}{host.lower().removesuffix(port)}"
    return parts._replace(netloc=netloc, path=urljoin("/", parts.path)).geturl().rstrip("/")


def host_of(url: str) -> str:
    """Return the host of a URL, empty for a text that has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


_SCHEME = re.compile(r"[A-Za-z][\w+.-]+:/+")
"""Also with a slash too few; a single letter is a drive of Windows."""
_BUILD = r"(?:[\d.]+\+)?(?:pypi|cpu|xpu|cu\d+|rocm[\d.]+)"
_FIELDS = re.compile(rf"(?:[\w-]+=|[\"'(\[{{`])*(?:(?:[\w.-]+:)?{_BUILD}@)?")
"""What stands before a value: answers, quotes; and before the URL of a platform's own index."""
_HOST = r"[\w-]+(?:\.[\w-]+)+"


def masked(text: str) -> str:
    """Return a text in which nothing that may be a login, a query or a fragment of a URL is left.

    What a text is decides, not where it stands: a login ends at the last `@`, since a password may
    hold any character, and a person may have forgotten the scheme or a slash of it.
    """
    return re.sub(r"\S+", lambda word: _masked_word(word[0]), text)


def _masked_word(word: str) -> str:
    scheme = _SCHEME.search(word)
    end = scheme.end() if scheme else _FIELDS.match(word).end()  # type: ignore[union-attr]
    before, url = word[:end], word[end:]
    if scheme:
        before = _masked_word(before[: scheme.start()]) + scheme[0]
    login, at, rest = re.fullmatch(r"(?:(.*)(@|%40))?(.*)", url).groups("")  # type: ignore[union-attr]
    if at and _is_login(login, rest, scheme[0] if scheme else ""):
        url = f"…@{rest}"
    if re.search(r"\.md#[\w-]+\W*$", url):
        return before + url  # a heading of a page
    place = r"[?#]" if scheme or re.match(rf"(…@)?{_HOST}(:\d+)?/", url) else r"\?(?=[^?]*=)"
    # What closes a quotation or a sentence is left, so that a command stays one.
    secret = re.compile(rf"(?<=[^?#])({place})(?=.*\w).*?(?=[\"'`)\]}}>,;.]*$)")
    return before + secret.sub(r"\1…", url, count=1)


def _is_login(text: str, rest: str, scheme: str) -> bool:
    """Tell whether what stands before an `@` may be one; `rest` is what follows."""
    if scheme:
        is_user_of_ssh = "ssh" in scheme and re.fullmatch(r"[\w-]+", text)
        # A path may have an `@`: Azure writes `feed@view`.
        return not is_user_of_ssh and not re.fullmatch(rf"{_HOST}/[^:?#]*", text)
    is_path = re.match(r"[A-Za-z]:[\\/]|[/.~]", text)
    return not is_path and (":" in text or bool(re.match(r"[\w.-]+(:\d+)?/", rest)))
