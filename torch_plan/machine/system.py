"""The system that this runs on, without the imports that looking for a GPU takes."""

import os
import sys

from torch_plan.catalog.platforms import PLATFORMS


def host_platform() -> str:
    """Return the platform that this runs on, empty if PyTorch has no wheels for it."""
    if sys.platform == "win32":
        import platform

        machine = platform.machine()
    else:
        # The same without its import, which takes milliseconds.
        machine = os.uname().machine
    here = sys.platform, machine
    names = (name for name in PLATFORMS if PLATFORMS[name][1:3] == here)
    return next(names, "")
