"""Text of people and for them: an author, lists of names, command lines; and TOML."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple


def listed(names: Sequence[str], last: str = "and") -> str:
    """Return `a, b and c`."""
    return f" {last} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


class Author(NamedTuple):
    """The author of a project."""

    name: str
    email: str
    """Empty where none is known."""


_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDRESS = rf"{_ATOM}(?:\.{_ATOM})*@(?:[A-Za-z0-9-]+\.)+[A-Za-z0-9-]+"
"""What RFC 5322 calls a dot-atom on both sides, and a domain of two parts or more."""


def author(text: str) -> Author:
    """Take `Ada Lovelace <ada@example.org>` apart; any other text is taken as a name."""
    match = re.fullmatch(rf"([^<>@]+)<({_ADDRESS})>", text.strip())
    name = match[1].strip() if match else ""
    # Build backends write both into one header, which takes no line break.
    return Author(name, match[2]) if match and name and name.isprintable() else Author(text, "")


def shell_line(words: Iterable[str]) -> str:
    """Return words as the shell of this system takes them."""
    # Imported where it is needed: only a refusal prints a command.
    if os.name == "nt":
        import subprocess

        return subprocess.list2cmdline(list(words))
    import shlex

    return shlex.join(words)


def any_shell_word(key: str, value: str) -> str:
    """Return `key=value` as sh, cmd and PowerShell take it, where one writing serves all of them.

    A value that some of them would expand between double quotes is written for sh.
    """
    if re.fullmatch(r"[\w./:+-]+", value, re.ASCII):
        return f"{key}={value}"
    if not re.search(r'["$`\\!%]', value):
        return f'{key}="{value}"'
    import shlex

    return f"{key}={shlex.quote(value)}"


def toml(text: object) -> str:
    """Return a TOML basic string that holds any text unchanged."""
    # JSON has the same strings, but for the one control character that it leaves as it is.
    return json.dumps(str(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_key(text: str) -> str:
    """Return a TOML key: bare where it can be, else quoted."""
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else toml(text)
