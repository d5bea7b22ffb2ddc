"""What a lock holds."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any


def read_lock(project: Path) -> list[dict[str, Any]]:
    """Return the packages of uv.lock."""
    lock = tomllib.loads((project / "uv.lock").read_text(encoding="utf-8"))
    return list(lock["package"])
