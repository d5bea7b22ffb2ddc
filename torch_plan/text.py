"""Text for people: lists of names, and command lines as they are typed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence


def listed(names: Sequence[str]) -> str:
    """Return `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


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
