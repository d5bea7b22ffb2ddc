"""Answers that many tests render a project from."""

from __future__ import annotations

import pytest

ANSWERS = {
    "torch_version": "2.13.0",
    "torch_backend": "cpu",
    "python_version": "3.10",
    "companions": "none",
    "after_generation": "lock",
}
"""A project that its hook locks; the Python is none that runs the tests."""

SPREAD = [
    pytest.param({}, id="defaults"),
    pytest.param({"torch_version": "2.0.0", "python_version": "3.8"}, id="oldest"),
    pytest.param(
        {"torch_version": "2.13.0", "torch_backend": "cu130", "dockerfile": "yes"}, id="cuda"
    ),
    pytest.param(
        {
            "torch_version": "2.13.0",
            "torch_backend": "cpu gpu=rocm7.2",
            "layout": "extras",
            "dockerfile": "yes",
        },
        id="extras",
    ),
    pytest.param(
        {
            "torch_version": "2.9.1",
            "torch_backend": "cpu cu128 pypi",
            "layout": "groups",
            "torch_pin": "local",
            "dockerfile": "yes",
            "github_actions": "no",
            "distributed": "yes",
            "license": "Apache-2.0",
            "pre_commit": "yes",
            "agents": "yes",
        },
        id="groups",
    ),
    pytest.param(
        {"torch_version": "2.3.1", "python_version": "3.10", "author_name": "Ada"}, id="numpy-guard"
    ),
    pytest.param(
        {
            "torch_version": "2.9.1",
            "torch_backend": "cu128",
            "torch_pin": "minimum",
            "dockerfile": "yes",
            "license": "BSD-3-Clause",
            "agents": "yes",
        },
        id="library",
    ),
]
"""Projects of which each has files, or lines, that the others lack."""
