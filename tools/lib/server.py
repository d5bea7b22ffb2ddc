"""A small server on loopback: it answers as a subclass says, and fails as a `Fault` says."""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, NamedTuple, Self


class Fault(Enum):
    """A way to fail: which files it strikes (all, or by the end of their names), and how."""

    REFUSE = ("all", "no connection is taken")
    HANG = ("all", "requests are taken and never answered")
    FORBIDDEN = ("all", HTTPStatus.FORBIDDEN)
    NOT_FOUND = ("all", HTTPStatus.NOT_FOUND)
    SERVER_ERROR = ("all", HTTPStatus.INTERNAL_SERVER_ERROR)
    HALF_PAGE = ("page", "the connection breaks in the middle")
    CUT_WHEEL = (".whl", "the connection breaks in the middle")
    CUT_METADATA = (".metadata", "the connection breaks in the middle")
    SHORT_METADATA = (".metadata", "there is only the first half, and it looks whole")
    WRONG_HASH = ("page", "wheels have a hash that is not theirs")


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


class Server:
    """A context manager that serves while the `with` block runs, on `port`: any free one if 0.

    `requests` is the record of what was asked. `fault` may be set and reset at any time: the port
    stays.
    """

    def __init__(self, port: int = 0, fault: Fault | None = None) -> None:
        self.port = port
        self.requests: list[Request] = []
        self._fault = fault
        self._awake = threading.Event()
        self._door: contextlib.ExitStack | None = None

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def answer(self, path: str) -> Response:
        """Return the response to a GET of this path."""
        raise NotImplementedError

    @property
    def host(self) -> str:
        """Host and port, as in `127.0.0.1:40000`."""
        return f"127.0.0.1:{self.port}"

    @property
    def fault(self) -> Fault | None:
        """How the server fails; None while it works."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault | None) -> None:
        is_open = self._door is not None
        if is_open:
            self._close()
        self._fault = fault
        if is_open:
            self._open()

    def wait(self) -> None:
        """Wait until the server is healed or closed."""
        self._awake.wait()

    def _open(self) -> None:
        self._awake.clear()
        self._door = contextlib.ExitStack()
        way = self._refusing if self.fault is Fault.REFUSE else self._serving
        self.port = self._door.enter_context(way())

    def _close(self) -> None:
        self._awake.set()
        if self._door:
            self._door.close()
        self._door = None

    @contextlib.contextmanager
    def _serving(self) -> Iterator[int]:
        with _HttpServer(("127.0.0.1", self.port), _Handler) as server:
            server.owner = self
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            yield server.server_port
            server.shutdown()

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[int]:
        """Hold the port without listening."""
        with socket.socket() as held:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(("127.0.0.1", self.port))
            yield held.getsockname()[1]


def spoilt(response: Response, path: str, fault: Fault | None) -> Response:
    """Return what a fault makes of a response."""
    if fault is None:
        return response
    struck, way = fault.value
    if isinstance(way, HTTPStatus):
        return Response(way, "text/plain", f"{way.phrase}\n".encode())
    suffix = PurePosixPath(path).suffix
    kind = suffix if suffix in (".whl", ".metadata") else "page"
    if kind != struck or response.status != HTTPStatus.OK:
        return response
    if fault is Fault.SHORT_METADATA:
        return replace(response, body=response.content[: len(response.content) // 2])
    if fault is Fault.WRONG_HASH:
        wrong = re.sub(rb"(?<=#sha256=)[0-9a-f]+", b"0" * 64, response.content)
        return replace(response, body=wrong)
    return replace(response, is_cut=True)


class _HttpServer(ThreadingHTTPServer):
    request_queue_size = 128
    owner: Server

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over clients that hang up; anything else is our own fault and is shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _HttpServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        owner = self.server.owner
        if owner.fault is Fault.HANG:
            owner.requests.append(Request(self.path, 0))
            owner.wait()
            self.close_connection = True
            return
        response = spoilt(owner.answer(self.path), self.path, owner.fault)
        status, content = response.status, response.content
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        if self.headers["If-None-Match"] == etag:
            status, content = HTTPStatus.NOT_MODIFIED, b""
        sent = content[: len(content) // 2] if response.is_cut else content
        self.close_connection = response.is_cut or self.close_connection
        owner.requests.append(Request(self.path, len(sent)))
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
