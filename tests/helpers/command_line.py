"""cookiecutter's command line, run in this process."""

from __future__ import annotations

from collections.abc import Callable

from click.testing import Result

from tests.helpers.shells import printed_words

Run = Callable[..., Result]
"""Runs it with words, and expects an exit status."""


def command(result: Result) -> list[str]:
    """Return the words of the command that a refusal ends with, less its first."""
    first, *words = printed_words(result.output.splitlines()[-1])
    assert first == "cookiecutter"
    return words
