"""The recorder before an index of PyPI's kind: what it keeps, what it counts, and what it waits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http import HTTPStatus

import pytest
import requests

from tools.lib.recorder import Recorder
from tools.lib.replica import Replica
from tools.lib.server import Fault, Response

SECONDS = 0.2
"""How long the index takes for a page: far more than loopback needs."""

WHEEL = "/packages/ab/thing-1.0-py3-none-any.whl"


class SlowIndex(Replica):
    """An index with one page, whose link is absolute, and one file."""

    def answer(self, path: str) -> Response:
        if path == WHEEL:
            return Response(HTTPStatus.OK, "application/octet-stream", b"content")
        if path != "/simple/thing/":
            return Response(HTTPStatus.NOT_FOUND, "text/plain", b"no such page\n")
        time.sleep(SECONDS)
        link = f'<a href="http://{self.host}{WHEEL}">thing</a>'
        return Response(HTTPStatus.OK, "text/html", link.encode())


@pytest.fixture
def index() -> Iterator[Replica]:
    with SlowIndex() as running:
        yield running


@pytest.fixture
def recorder(index: Replica) -> Iterator[Recorder]:
    with Recorder(f"http://{index.host}/simple/") as running:
        yield running


def test_an_answer_is_fetched_once_and_given_as_late(index: Replica, recorder: Recorder) -> None:
    url = f"{recorder.url}/thing/"
    first = requests.get(url, timeout=10)
    begin = time.perf_counter()
    second = requests.get(url, timeout=10)
    assert time.perf_counter() - begin >= SECONDS
    assert (second.text, second.headers["Content-Type"]) == (first.text, "text/html")
    assert len(index.requests) == 1
    assert [request.bytes_sent for request in recorder.requests] == [len(first.content)] * 2


def test_links_lead_to_the_recorder(index: Replica, recorder: Recorder) -> None:
    page = requests.get(f"{recorder.url}/thing/", timeout=10).text
    wheel = page.split('"')[1]
    assert wheel == recorder.url.removesuffix("/simple") + WHEEL
    assert requests.get(wheel, timeout=10).content == b"content"


def test_each_method_and_part_has_its_own_answer(index: Replica, recorder: Recorder) -> None:
    wheel = recorder.url.removesuffix("/simple") + WHEEL
    head = requests.head(wheel, timeout=10)
    assert (head.headers["Content-Length"], head.content) == ("7", b"")
    for part in ("bytes=0-3", "bytes=4-6", "bytes=0-3"):
        requests.get(wheel, headers={"range": part}, timeout=10)
    assert len(index.requests) == 3
    assert [request.bytes_sent for request in recorder.requests] == [0, 7, 7, 7]


def test_errors_are_kept_too(index: Replica, recorder: Recorder) -> None:
    for _ in range(2):
        answer = requests.get(f"{recorder.url}/nothing/", timeout=10)
        assert (answer.status_code, answer.text) == (404, "no such page\n")
    assert len(index.requests) == 1


def test_an_index_out_of_reach() -> None:
    with Replica(fault=Fault.REFUSE) as gone, Recorder(f"http://{gone.host}/simple/") as recorder:
        answer = requests.get(f"{recorder.url}/thing/", timeout=10)
    assert answer.status_code == 502
    assert "refused" in answer.text
