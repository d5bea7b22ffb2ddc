"""The template itself, as tools and tests use it."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
"""The Python that runs this, as `python_version` writes it."""


def empty_config(folder: Path) -> Path:
    """Write a configuration with which cookiecutter reads and writes nothing of the user's."""
    config = folder / "cookiecutter.yaml"
    config.write_text(
        f"replay_dir: {folder / 'replay'}\ncookiecutters_dir: {folder / 'clones'}\n",
        encoding="utf-8",
    )
    return config
