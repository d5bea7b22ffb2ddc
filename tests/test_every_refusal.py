"""Every refusal ends with a command that cookiecutter accepts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.helpers.command_line import Run, command
from tests.helpers.refusals import REFUSED


@pytest.mark.parametrize("answers", [pytest.param(case.values[0], id=case.id) for case in REFUSED])
def test_the_printed_command_is_accepted(run: Run, tmp_path: Path, answers: dict[str, str]) -> None:
    words = [f"{key}={value}" for key, value in {**answers, "after_generation": "nothing"}.items()]
    refused = run(str(ROOT), "--no-input", "--accept-hooks", "no", *words, status=1)
    assert [*tmp_path.glob("*/pyproject.toml")] == []
    run(*command(refused))
    assert len([*tmp_path.glob("*/pyproject.toml")]) == 1
