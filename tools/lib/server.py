"""A small server on loopback: it answers as a subclass says."""

from __future__ import annotations

import hashlib
import sys
import threading
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Response:
    """An answer; one that is cut breaks off in the middle, and the connection with it."""

    status: int
    content_type: str
    body: bytes
    is_cut: bool = False


class Server(ThreadingHTTPServer):
    """A server of the block that it is entered for, on any free port.

    `requests` are the paths that it was asked for.
    """

    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler, bind_and_activate=False)
        self.requests: list[str] = []

    def __enter__(self) -> Self:
        self.server_bind()
        self.serve()
        return self

    def serve(self) -> None:
        """Take connections from now on."""
        self.server_activate()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def host(self) -> str:
        """Host and port, as in `127.0.0.1:40000`."""
        return f"127.0.0.1:{self.server_port}"

    def answer(self, path: str) -> Response:
        """Return the response to a GET of this path; `ConnectionError` hangs up without one."""
        raise NotImplementedError

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over clients that hang up; anything else is our own fault and is shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        response = self.server.answer(self.path)
        status, content = response.status, response.body
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        if self.headers["If-None-Match"] == etag:
            status, content = HTTPStatus.NOT_MODIFIED, b""
        self.close_connection = response.is_cut or self.close_connection
        self.server.requests.append(self.path)
        self.send_response(status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("ETag", etag)
        # A later server may have the same port: a client's cache must ask again.
        self.send_header("Cache-Control", "no-cache")
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if response.is_cut else content)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: `Server.requests` is the record."""
