"""PyPI without its whims: each answer is fetched once, kept, and given again on loopback.

It is given at its own pace, after as many seconds as it took PyPI. So two locks wait for the same
network, and what they ask for can be counted.

The path of a request names what it stands for: `/https/files.example/a/b` is the recorded
`https://files.example/a/b`. The links of a page are made so.
"""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests
from pypi_simple import PYPI_SIMPLE_ENDPOINT
from requests.adapters import HTTPAdapter

from tools.lib.replica import Request

ASKED = ("Accept", "Range")
"""What an answer depends on, besides method and path."""

ANSWERED = ("Accept-Ranges", "Cache-Control", "Content-Range", "Content-Type")
"""Headers that are given as they came."""

_SECONDS = 30
"""How long PyPI may be silent."""

_AT_ONCE = 50
"""How many connections are kept open: as many as uv opens (`UV_CONCURRENT_DOWNLOADS`)."""


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    came: int
    """How many bytes it was before its links were changed."""
    seconds: float


class Recorder:
    """PyPI as a context manager: it serves, and has a URL, while the `with` block runs.

    `index` is another index than PyPI, its URL with a slash at the end. `requests` is the record of
    what was asked, each with the bytes that came. Where a server is out of reach, that is 502.
    """

    def __init__(self, index: str = PYPI_SIMPLE_ENDPOINT) -> None:
        self.index = index
        self.requests: list[Request] = []
        self._answers: dict[object, _Answer] = {}
        self._session = requests.Session()
        self._session.mount("https://", HTTPAdapter(pool_maxsize=_AT_ONCE))
        self._server = _Server(self)

    def __enter__(self) -> Recorder:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The recorded index, as in `http://127.0.0.1:40000/https/index.example/simple`."""
        return self._recorded(self.index.encode()).decode().rstrip("/")

    def _recorded(self, text: bytes) -> bytes:
        """Return a text in which every URL leads to the recorder."""
        here = f"http://127.0.0.1:{self._server.server_port}".encode()
        return re.sub(rb"\b(https?)://", rb"%b/\1/" % here, text)

    def answer(self, method: str, path: str, asked: dict[str, str]) -> _Answer:
        """Return what PyPI says to a request with these headers, or, as late, what it said."""
        key = method, path, frozenset(asked.items())
        if key in self._answers:
            time.sleep(self._answers[key].seconds)
        else:
            self._answers[key] = self._fetch(method, path, asked)
        return self._answers[key]

    def _fetch(self, method: str, path: str, asked: dict[str, str]) -> _Answer:
        url = path[1:].replace("/", "://", 1)
        begin = time.perf_counter()
        identity = {"Accept-Encoding": "identity", **asked}
        try:
            came = self._session.request(method, url, headers=identity, timeout=_SECONDS)
        except requests.RequestException as error:
            body = f"{error}\n".encode()
            return _Answer(502, {"Content-Length": str(len(body))}, body, 0, 0)
        headers = {name: came.headers[name] for name in ANSWERED if name in came.headers}
        is_page = url.startswith(self.index)
        body = self._recorded(came.content) if is_page else came.content
        length = came.headers["Content-Length"] if method == "HEAD" else str(len(body))
        taken = time.perf_counter() - begin
        headers["Content-Length"] = length
        return _Answer(came.status_code, headers, body, len(came.content), taken)


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.recorder = recorder


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        asked = {name: self.headers[name] for name in ASKED if name in self.headers}
        answer = self.server.recorder.answer(self.command, self.path, asked)
        self.server.recorder.requests.append(Request(self.path, answer.came))
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: `Recorder.requests` is the record."""
