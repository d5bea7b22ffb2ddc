"""A replica of PyTorch's index that fails, and is healed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import replace
from enum import Enum
from http import HTTPStatus
from pathlib import Path

from tools.lib.replica import Replica
from tools.lib.server import Response


class Fault(Enum):
    """A way to fail: the end of the paths that it strikes, all if it is empty, and how."""

    REFUSE = ("", "no connection is taken")
    HANG = ("", "requests are taken and never answered")
    FORBIDDEN = ("", HTTPStatus.FORBIDDEN)
    NOT_FOUND = ("", HTTPStatus.NOT_FOUND)
    SERVER_ERROR = ("", HTTPStatus.INTERNAL_SERVER_ERROR)
    HALF_PAGE = ("/", "the connection breaks in the middle")
    CUT_WHEEL = (".whl", "the connection breaks in the middle")
    CUT_METADATA = (".metadata", "the connection breaks in the middle")
    SHORT_METADATA = (".metadata", "there is only the first half, and it looks whole")
    WRONG_HASH = ("/", "wheels have a hash that is not theirs")


class FaultyReplica(Replica):
    """A replica that fails until it is healed; the port stays."""

    def __init__(self, fault: Fault | None, wheels: Iterable[Path] = ()) -> None:
        super().__init__(wheels=wheels)
        self.fault = fault
        self._listens = False

    def serve(self) -> None:
        """Take connections, unless it refuses them."""
        if self.fault is not Fault.REFUSE:
            super().serve()
            self._listens = True

    def heal(self, fault: Fault | None = None) -> None:
        """Fail in another way, or no more."""
        self.fault = fault
        if not self._listens:
            self.serve()

    def __exit__(self, *_: object) -> None:
        self.heal()
        super().__exit__()

    def answer(self, path: str) -> Response:
        """Return what the fault makes of the response."""
        if self.fault is Fault.HANG:
            self.requests.append(path)
            while self.fault is Fault.HANG:
                time.sleep(0.02)
            raise ConnectionResetError
        return spoilt(super().answer(path), path, self.fault)


def spoilt(response: Response, path: str, fault: Fault | None) -> Response:
    """Return what a fault makes of a response."""
    end, way = fault.value if fault else ("", None)
    if isinstance(way, HTTPStatus):
        return Response(way, "text/plain", f"{way.phrase}\n".encode())
    if not end or not path.endswith(end) or response.status != HTTPStatus.OK:
        return response
    if fault is Fault.SHORT_METADATA:
        return replace(response, body=response.body[: len(response.body) // 2])
    if fault is Fault.WRONG_HASH:
        wrong = re.sub(rb"(?<=#sha256=)[0-9a-f]+", b"0" * 64, response.body)
        return replace(response, body=wrong)
    return replace(response, is_cut=True)
