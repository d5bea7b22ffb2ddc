"""Text of people and for them: an author, lists of names, command lines; and TOML."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from torch_plan.urls import masked


def listed(names: Sequence[str], last: str = "and") -> str:
    """Return `a, b and c`."""
    return f" {last} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


class Author(NamedTuple):
    """The author of a project."""

    name: str
    email: str


def author(text: str) -> Author:
    """Take `Ada Lovelace <ada@example.org>` apart; any other text is taken as a name."""
    # What RFC 5322 calls a dot-atom on both sides, and a domain of two parts or more.
    atom = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
    address = rf"{atom}(?:\.{atom})*@(?:[A-Za-z0-9-]+\.)+[A-Za-z0-9-]+"
    match = re.fullmatch(rf"([^<>@]+)<({address})>", text.strip())
    name = match[1].strip() if match else ""
    # Build backends write both into one header, which takes no line break.
    return Author(name, match[2]) if match and name and name.isprintable() else Author(text, "")


NOT_QUOTABLE = r"""[\x00-\x1f"“”„$`\\%!]"""
"""What sh, cmd or PowerShell reads in its own way between double quotes."""
_WINDOWS_ONLY = r"""[\x00-\x1f"“”„$`]|%.*%"""
"""The same without sh: cmd leaves a single percent sign alone."""


def shell_line(words: Iterable[str], *, windows: bool | None = None) -> str:
    """Return words as a shell of this system takes them, or of the system that is asked for.

    Nothing that may be a secret of a URL is written. Where one writing serves sh, cmd and
    PowerShell, it is that one; else that of sh, or on Windows that of PowerShell 7.3 or newer.
    """
    on_windows = os.name == "nt" if windows is None else windows
    return " ".join(_shell_word(masked(word), windows=on_windows) for word in words)


def _shell_word(word: str, *, windows: bool) -> str:
    if re.fullmatch(r"--?[a-z][a-z-]*|[\w./:+=][\w./:+=-]*", word, re.ASCII):
        return word
    key, value = re.fullmatch(r"(\w+=)?(.*)", word, re.ASCII | re.DOTALL).groups("")  # type: ignore[union-attr]
    if not re.search(_WINDOWS_ONLY if windows else NOT_QUOTABLE, value):
        # A backslash before the last quote would take that for a part of the word.
        slashes = value[len(value.rstrip("\\")) :]
        return f'{key}"{value}{slashes}"'
    if windows:
        return f"{key}'" + re.sub("(['\u2018-\u201b])", r"\1\1", value) + "'"
    # Imported where it is needed: only some refusals print such a word.
    import shlex

    return f"{key}{shlex.quote(value)}"


def toml(text: object) -> str:
    """Return a TOML basic string that holds any text unchanged."""
    # JSON has the same strings, but for the one control character that it leaves as it is.
    return json.dumps(str(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_key(text: str) -> str:
    """Return a TOML key: bare where it can be, else quoted."""
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else toml(text)


def markdown(text: object) -> str:
    """Return text on one line in which nothing is Markdown or HTML."""
    line = " ".join(str(text).split())
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&-])", r"\\\1", line)


def code(text: object) -> str:
    """Return text on one line as a code span of Markdown."""
    line = " ".join(str(text).split())
    fence, space = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1), " " * ("`" in line)
    return f"{fence}{space}{line}{space}{fence}"
