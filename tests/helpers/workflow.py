"""The commands of a project's CI, as one job of the matrix runs them."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tests.conftest import BakedProject


def workflow_of(project: BakedProject) -> dict[str, Any]:
    """Return the parsed workflow."""
    workflow: dict[str, Any] = yaml.safe_load(project.read(".github/workflows/ci.yml"))
    return workflow


def commands_of(project: BakedProject, name: str = "linux") -> list[str]:
    """Return the commands of the job for a system, as GitHub fills in what the matrix says."""
    (job,) = workflow_of(project)["jobs"].values()
    (entry,) = [it for it in job["strategy"]["matrix"]["include"] if it["name"] == name]
    return [
        re.sub(r"\${{ matrix\.(\w+) }}", lambda key: str(entry[key[1]]), step["run"]).strip()
        for step in job["steps"]
        if "run" in step
    ]
