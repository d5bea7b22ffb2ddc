"""A plugin for pytest under mutmut: no test takes what another one left in a cache.

Mutmut notes which functions a test calls, and what a cache answers calls nothing.
"""

from __future__ import annotations

from torch_plan.project import markers, plan
from torch_plan.resolution import cells, check

CACHED = (
    markers._split,
    markers._terms,
    plan._made_plan,
    cells._package,
    check._examine,
)


def pytest_runtest_setup() -> None:
    """Empty the caches of what is planned."""
    for function in CACHED:
        function.cache_clear()
