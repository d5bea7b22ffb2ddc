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


def host_system() -> tuple[str, tuple[int, ...]] | None:
    """Return what the wheels of this system ask for: `glibc` or `macOS`, and its version here.

    None on other systems, and where it cannot be told.
    """
    try:
        if sys.platform == "darwin":
            import platform

            name, version = "macOS", platform.mac_ver()[0]
        else:
            name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        return name, tuple(int(part) for part in version.split(".")[:2])
    except (AttributeError, OSError, ValueError):
        return None
