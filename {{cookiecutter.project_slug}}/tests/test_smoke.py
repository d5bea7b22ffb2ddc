"""The environment works: torch can be imported and computes, and its companions have its build."""

import json
import subprocess
import sys

import pytest

from {{ cookiecutter.__package_name }} import smoke


def test_environment_has_no_problem(capsys: pytest.CaptureFixture[str]) -> None:
    status = smoke.main(["--json"])
    assert json.loads(capsys.readouterr().out)["problems"] == []
    assert status == 0


def test_command_names_the_build() -> None:
    command = [sys.executable, "-m", smoke.__name__]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert smoke.main(["--expect", lines["build"]]) == 0
