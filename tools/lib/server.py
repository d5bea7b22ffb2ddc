"""A small server on loopback: it answers as a subclass says, and fails as a `Fault` says."""

from __future__ import annotations

import hashlib
import re
import sys
import threading
import time
from dataclasses import dataclass, replace
from enum import Enum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self


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


@dataclass(frozen=True)
class Response:
    """An answer; a `Path` as body stands for the content of that file."""

    status: int
    content_type: str
    body: bytes | Path
    is_cut: bool = False
    """Whether it breaks off in the middle, and the connection with it."""

    @property
    def content(self) -> bytes:
        """The whole body."""
        return self.body.read_bytes() if isinstance(self.body, Path) else self.body


class Request(NamedTuple):
    """A request that came in, and how many bytes its answer has, headers left out."""

    path: str
    bytes_sent: int


class Server(ThreadingHTTPServer):
    """A server of the block that it is entered for, on `port`: any free one if 0.

    `requests` is the record. `fault` may change at any time; a server that takes no
    connection is healed by `heal` alone. The port stays.
    """

    request_queue_size = 128

    def __init__(self, port: int = 0, fault: Fault | None = None) -> None:
        super().__init__(("127.0.0.1", port), _Handler, bind_and_activate=False)
        self.fault = fault
        self.requests: list[Request] = []
        self._listens = False

    def __enter__(self) -> Self:
        self.server_bind()
        if self.fault is not Fault.REFUSE:
            self.heal(self.fault)
        return self

    def __exit__(self, *_: object) -> None:
        self.fault = None
        if self._listens:
            self.shutdown()
        self.server_close()

    @property
    def host(self) -> str:
        """Host and port, as in `127.0.0.1:40000`."""
        return f"127.0.0.1:{self.server_port}"

    def heal(self, fault: Fault | None = None) -> None:
        """Fail in another way, or no more."""
        self.fault = fault
        if not self._listens:
            self.server_activate()
            threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        self._listens = True

    def answer(self, path: str) -> Response:
        """Return the response to a GET of this path."""
        raise NotImplementedError

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over clients that hang up; anything else is our own fault and is shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def spoilt(response: Response, path: str, fault: Fault | None) -> Response:
    """Return what a fault makes of a response."""
    end, way = fault.value if fault else ("", None)
    if isinstance(way, HTTPStatus):
        return Response(way, "text/plain", f"{way.phrase}\n".encode())
    if not end or not path.endswith(end) or response.status != HTTPStatus.OK:
        return response
    if fault is Fault.SHORT_METADATA:
        return replace(response, body=response.content[: len(response.content) // 2])
    if fault is Fault.WRONG_HASH:
        wrong = re.sub(rb"(?<=#sha256=)[0-9a-f]+", b"0" * 64, response.content)
        return replace(response, body=wrong)
    return replace(response, is_cut=True)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        server = self.server
        if server.fault is Fault.HANG:
            server.requests.append(Request(self.path, 0))
            while server.fault is Fault.HANG:
                time.sleep(0.02)
            self.close_connection = True
            return
        response = spoilt(server.answer(self.path), self.path, server.fault)
        status, content = response.status, response.content
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        if self.headers["If-None-Match"] == etag:
            status, content = HTTPStatus.NOT_MODIFIED, b""
        sent = content[: len(content) // 2] if response.is_cut else content
        self.close_connection = response.is_cut or self.close_connection
        server.requests.append(Request(self.path, len(sent)))
        self.send_response(status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("ETag", etag)
        # A later server may have the same port: a client's cache must ask again.
        self.send_header("Cache-Control", "no-cache")
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: `Server.requests` is the record."""
