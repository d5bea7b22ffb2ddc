"""Command lines as a person types them."""

from __future__ import annotations

import os
from collections.abc import Iterable


def shell_line(words: Iterable[str]) -> str:
    """Return words as the shell of this system takes them."""
    # Imported where it is needed: only a refusal prints a command.
    if os.name == "nt":
        import subprocess

        return subprocess.list2cmdline(list(words))
    import shlex

    return shlex.join(words)
