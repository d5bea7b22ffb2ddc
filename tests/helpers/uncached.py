"""A plugin for pytest under mutmut: no test takes what another one left in a cache.

Mutmut notes which functions a test calls, and what a cache answers calls nothing.
"""

from __future__ import annotations

import pytest

from torch_plan.answers import meaning
from torch_plan.project import markers, planning
from torch_plan.resolution import cells, check


@pytest.hookimpl
def pytest_runtest_setup() -> None:
    """Empty the caches of what is planned."""
    modules = (meaning, markers, planning, cells, check)
    for function in (value for module in modules for value in vars(module).values()):
        if getattr(function, "__module__", "") in {module.__name__ for module in modules}:
            getattr(function, "cache_clear", bool)()
