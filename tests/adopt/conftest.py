"""A place for a project."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.adopt.helpers import Shop
from tools.lib.replica import Replica
from tools.lib.server import Response
from torch_plan.catalog.facts import load_facts


@pytest.fixture
def shop(
    tmp_path: Path,
    replica: Replica,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Shop:
    """A folder for a project, in a world where PyTorch's own index is the replica."""
    answer = replica.answer

    def answer_as_uv_reads_it(path: str) -> Response:
        response = answer(path)
        return replace(response, status=404) if response.status == 403 else response

    # Of PyTorch's own index, uv takes 403 for 404.
    monkeypatch.setattr(replica, "answer", answer_as_uv_reads_it)
    mirrors = load_facts().pytorch_mirrors
    official = mirrors["official"]._replace(url=replica.url)
    monkeypatch.setitem(mirrors, "official", official)
    folder = tmp_path / "sample"
    folder.mkdir()
    return Shop(folder, replica, monkeypatch, capsys)
