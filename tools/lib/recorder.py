"""A cache before PyPI: each answer is fetched once, kept, and given again as late as it came.

So two locks wait for the same network, and what they ask for can be counted. The path of a request
names what it stands for: `/https/files.example/a/b` is the recorded `https://files.example/a/b`.
The links of a page are made so.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

import requests
from pypi_simple import PYPI_SIMPLE_ENDPOINT
from requests.adapters import HTTPAdapter

from tools.lib.server import Asked, Response, Server

ASKED = ("Accept", "Range")
"""What an answer depends on, besides method and path."""

ANSWERED = ("Accept-Ranges", "Cache-Control", "Content-Range", "Content-Length")
"""Headers that are given as they came."""

_SECONDS = 30
"""How long PyPI may be silent."""

_AT_ONCE = 50
"""How many connections are kept open: as many as uv opens (`UV_CONCURRENT_DOWNLOADS`)."""


class Recorder(Server):
    """PyPI, or another `index`, its URL with a slash at the end. Out of reach it answers 502."""

    def __init__(self, index: str = PYPI_SIMPLE_ENDPOINT) -> None:
        super().__init__()
        self.index = index
        self._answers: dict[object, tuple[Response, float]] = {}
        self._session = requests.Session()
        self._session.mount("https://", HTTPAdapter(pool_maxsize=_AT_ONCE))

    @property
    def url(self) -> str:
        """The recorded index, as in `http://127.0.0.1:40000/https/index.example/simple`."""
        return self._recorded(self.index.encode()).decode().rstrip("/")

    def _recorded(self, text: bytes) -> bytes:
        """Return a text in which every URL leads here."""
        return re.sub(rb"\b(https?)://", rb"http://%b/\1/" % self.host.encode(), text)

    def respond(self, asked: Asked) -> Response:
        """Return what PyPI says to a request, or, as late, what it said."""
        headers = {name: asked.headers[name] for name in ASKED if name in asked.headers}
        key = asked.method, asked.path, frozenset(headers.items())
        if key in self._answers:
            response, seconds = self._answers[key]
            time.sleep(seconds)
            return response
        begin = time.perf_counter()
        response = self._fetch(asked.method, asked.path[1:].replace("/", "://", 1), headers)
        self._answers[key] = response, time.perf_counter() - begin
        return response

    def _fetch(self, method: str, url: str, headers: Mapping[str, str]) -> Response:
        identity = {"Accept-Encoding": "identity", **headers}
        try:
            came = self._session.request(method, url, headers=identity, timeout=_SECONDS)
        except requests.RequestException as error:
            return Response(502, "text/plain", f"{error}\n".encode())
        given = {name: came.headers[name] for name in ANSWERED if name in came.headers}
        body = came.content
        if url.startswith(self.index):
            body = self._recorded(body)
            given["Content-Length"] = str(len(body))
        content_type = came.headers.get("Content-Type", "")
        return Response(came.status_code, content_type, body, given)
