"""What is the same for all tests of `torch_plan`."""

from __future__ import annotations

from types import SimpleNamespace

import pytest


@pytest.fixture(autouse=True)
def default_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no default, nor what is offered in its place, depend on the running Python."""
    running = SimpleNamespace(version_info=(3, 11))
    monkeypatch.setattr("torch_plan.resolution.defaults.sys", running)
