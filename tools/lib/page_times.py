"""How long a visitor of the page waits, in the system's Chromium, over a network that is slowed."""

from __future__ import annotations

import gzip
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import sync_playwright

from tools import page

CHOICE = {
    "torch_version": "2.9.1",
    "python_version": "3.12",
    "torch_backend": "cpu cu128",
    "layout": "extras",
}
"""A choice that was not rendered when the page was built."""

PYTHONS = ("3.10", "3.11", "3.13", "3.14", "3.12")
"""The further choices, one a round; the last is what it began with."""

ROUNDS = 2

LATENCY = 0.020
"""How many seconds pass until the first byte of a file."""

FURTHER = """async (python) => {
    const seen = (name) => new Promise((done) => {
        new PerformanceObserver((list, observer) => {
            for (const { startTime } of list.getEntriesByName(name)) {
                observer.disconnect();
                done(startTime);
            }
        }).observe({ type: "mark" });
    });
    const both = [seen("shown"), seen("marked")];
    const begin = performance.now();
    document.querySelector(`[name=python_version][value="${python}"]`).click();
    const [shown, marked] = await Promise.all(both);
    return [shown - begin, marked - shown];
}"""
"""Takes a choice; returns in how many ms it is shown, and then, what would be refused, marked."""


class SlowHandler(page.Handler):
    """Serves compressed files, as fast as a network that all of them share."""

    bytes_per_second = 0.0
    network = threading.Lock()

    def end_headers(self) -> None:
        """Say what was done to the file, and for how long it holds, as GitHub Pages does."""
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Cache-Control", "max-age=600")
        super().end_headers()

    def copyfile(self, source: Any, outputfile: Any) -> None:
        """Send a file at the pace of the network."""
        time.sleep(LATENCY)
        while chunk := source.read(1 << 14):
            with self.network:
                time.sleep(len(chunk) / self.bytes_per_second)
            outputfile.write(chunk)


def chromium() -> dict[str, Any]:
    """Return how Playwright starts the system's Chromium, for it brings none of its own.

    Raises `Stopped` where there is none.
    """
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if not found:
        raise page.Stopped(f"None of these is here: {', '.join(names)}")
    return {"executable_path": found, "args": ["--no-sandbox", "--disable-background-networking"]}


def page_times(folder: Path) -> Iterator[tuple[str, float, float]]:
    """Build the page in a folder; yield what is waited for, the median, and the most, in seconds.

    Raises `Stopped` where there is no npm, node or Chromium.
    """
    page.build(folder)
    for file in [path for path in folder.rglob("*") if path.is_file()]:
        file.write_bytes(gzip.compress(file.read_bytes()))
    again: list[float] = []
    further: list[list[float]] = []
    for megabits, most in ((20, 5.5), (100, 3.2)):
        first = []
        SlowHandler.bytes_per_second = megabits * 1e6 / 8
        with page.server(folder, handler=SlowHandler) as server, sync_playwright() as playwright:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            url = f"http://127.0.0.1:{server.server_port}/#{urlencode(CHOICE)}"
            for _ in range(ROUNDS):
                # A new profile: of somebody who has never been there.
                with tempfile.TemporaryDirectory() as profile:
                    start = playwright.chromium.launch_persistent_context
                    with start(profile, **chromium()) as context:
                        first.append(first_plan(context.pages[0], url))
                        again.append(first_plan(context.pages[0], url))
                        further += [context.pages[0].evaluate(FURTHER, it) for it in PYTHONS]
            server.shutdown()
        yield f"the first plan, at {megabits} Mbit/s", median(first), most
    yield "the first plan, from the browser's cache", median(again), 2.1
    shown, marked = (median(its) / 1000 for its in zip(*further, strict=True))
    yield "a further choice", shown, 0.013
    yield "the marks of what would be refused", marked, 0.060


def first_plan(tab: Any, url: str) -> float:
    """Return how long it takes until the choice of an address is planned."""
    tab.goto("about:blank")
    begin = time.perf_counter()
    tab.goto(url)
    tab.locator("#command").get_by_text("layout=extras").wait_for()
    took = time.perf_counter() - begin
    # As long as a glance at it: what it marks, and keeps for the next time, is no part of this.
    tab.wait_for_timeout(2000)
    return took
