"""A place for a project."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.adopt.helpers import Shop
from tools.lib.replica import Replica
from torch_plan.catalog.facts import load_facts


@pytest.fixture
def shop(
    tmp_path: Path,
    replica: Replica,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Shop:
    """A folder for a project, in a world where PyTorch's own index is the replica."""
    mirrors = load_facts().pytorch_mirrors
    official = mirrors["official"]._replace(url=replica.url)
    monkeypatch.setitem(mirrors, "official", official)
    folder = tmp_path / "sample"
    folder.mkdir()
    return Shop(folder, replica, monkeypatch, capsys)
