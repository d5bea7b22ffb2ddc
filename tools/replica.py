"""Serve a stand-in for the PyTorch index until Ctrl-C: `uv run -m tools.replica`."""

from __future__ import annotations

import argparse
import contextlib
import threading
from pathlib import Path

from tools.lib.replica import Replica


def main() -> None:
    """Serve the replica until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Serve a stand-in for the PyTorch index.")
    parser.add_argument("--port", type=int, default=0, help="default: any free one")
    parser.add_argument("--likely", action="store_true", help="serve what nobody has seen, too")
    parser.add_argument("wheels", nargs="*", type=Path, help="real wheel files to serve as well")
    options = parser.parse_args()
    with Replica(wheels=options.wheels, port=options.port, likely=options.likely) as replica:
        print(f"{replica.url}  (flat: {replica.flat_url})", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
