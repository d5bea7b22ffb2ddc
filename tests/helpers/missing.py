"""What a machine may lack."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    """Skip a test on a machine that lacks what it needs, but fail in CI, which is to have it."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(f"{reason}; CI fails without it")
