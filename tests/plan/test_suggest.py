"""What is offered for a word that is nobody's build."""

from __future__ import annotations

import pytest

from torch_plan.answers.suggest import is_near, nearest_backends
from torch_plan.catalog.facts import load_facts


@pytest.mark.parametrize(
    ("asked", "offered"),
    [
        ("cu182", ["cu128"]),
        ("cu1288", ["cu128"]),
        ("cu28", ["cu128"]),
        ("cuda12", ["cu129", "cu128", "cu126"]),
        ("cu127", ["cu128", "cu126"]),
        ("cu95", ["cu117", "cu118"]),
        ("cu140", ["cu132", "cu130"]),
        ("rocm6.5", ["rocm6.4", "rocm6.3"]),
        ("rocm9.0", ["rocm7.14", "rocm7.2", "rocm7.1"]),
        ("rocm.", ["rocm7.14", "rocm7.2", "rocm7.1"]),
        ("hip-6.5", ["rocm6.4", "rocm6.3"]),
        ("amd_7", ["rocm7.14", "rocm7.2"]),
        (f"rocm{'9' * 400}", ["rocm7.14", "rocm7.2"]),
        (f"cu{'9' * 5000}", ["cu132", "cu130"]),
        ("hip", ["rocm7.14", "rocm7.2", "rocm7.1"]),
        ("xpus", ["xpu", "cpu"]),
        ("vulkan", ["cpu"]),
    ],
)
def test_the_nearest_toolkit_is_offered_first(asked: str, offered: list[str]) -> None:
    assert nearest_backends(asked, load_facts().all_backends)[: len(offered)] == offered


@pytest.mark.parametrize(
    ("asked", "name", "near"),
    [
        ("cu182", "cu128", True),
        ("cu13", "cu130", True),
        ("cu1288", "cu128", True),
        ("rocm6.5", "rocm5.6", False),
        ("cu127", "cu128", False),
        ("2.9", "cu129", False),
        ("gpu", "cu132", True),
        ("tpu", "cpu", False),
    ],
)
def test_only_a_slip_becomes_the_default(asked: str, name: str, near: bool) -> None:
    assert is_near(asked, name) == near
