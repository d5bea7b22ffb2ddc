"""Text for people: lists of names, and command lines as they are typed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence


def listed(names: Sequence[str], last: str = "and") -> str:
    """Return `a, b and c`."""
    return f" {last} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def shell_line(words: Iterable[str]) -> str:
    """Return words as the shell of this system takes them."""
    # Imported where it is needed: only a refusal prints a command.
    if os.name == "nt":
        import subprocess

        return subprocess.list2cmdline(list(words))
    import shlex

    return shlex.join(words)
