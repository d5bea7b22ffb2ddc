"""Which URLs may stand in a project, how they are written there, and how they are shown."""

from __future__ import annotations

import pytest

from torch_plan.dialogue.messages import help_on
from torch_plan.urls import host_of, masked, url_problem, written


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://host.example/whl", ""),
        ("http://host.example:1/a_b/{build}/~c", "begins with"),
        ("http://host.example:1/a_b/~c", ""),
        ("http://[::1]/whl", ""),
        ("ftp://host.example", "begins with"),
        ("https://", "begins with"),
        ("https://host.example:0/", "begins with"),
        ("https://host.example:x/", "begins with"),
        ("https://[half", "begins with"),
        ("https://host.example/a b", "begins with"),
        ("https://host.example/'a", "begins with"),
        ("https://me@host.example/", "password"),
        ("https://:secret@host.example/", "password"),
        ("https://me%40host.example/", "password"),
        ("https://host.example/a,https://me:secret@host.example/", "password"),
        ("https://host.example/%40", ""),
        ("https://host.example/?a=b", "query"),
        ("https://host.example/#a", "query"),
    ],
)
def test_what_keeps_a_url_out_of_a_project(url: str, problem: str) -> None:
    said = url_problem(url, ())
    assert problem in said
    assert bool(problem) == bool(said)


def test_the_names_of_indexes_are_offered_where_there_are_any() -> None:
    assert url_problem("nowhere", ()).startswith("it has to be a URL that")
    assert url_problem("nowhere", ("a", "b")).startswith("it has to be one of a, b, or a URL that")


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("HTTPS://Host.example/whlX//", "https://host.example/whlX"),
        ("http://host.example/of/Https://x", "http://host.example/of/Https://x"),
        ("https://Me@Host.example:443/a/../whl/./{build}", "https://Me@host.example/whl/{build}"),
        ("http://host.example:443", "http://host.example:443"),
        ("http://[::1]:80/whl", "http://[::1]/whl"),
        ("https://[half", "https://[half"),
        ("../wheels/", "../wheels"),
    ],
)
def test_a_url_is_written_as_uv_writes_it_into_a_lock(given: str, url: str) -> None:
    assert written(given) == url


@pytest.mark.parametrize(
    ("url", "host"),
    [("https://me@Host.example:80/x", "host.example"), ("nowhere", ""), ("https://[half", "")],
)
def test_the_host_of_a_url(url: str, host: str) -> None:
    assert host_of(url) == host


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:p@ss@host.example/whl", "https://…@host.example/whl"),
        ("https://host.example/a?t=1#u", "https://host.example/a?…"),
        ("https://host.example/a?t=1?u=2).", "https://host.example/a?…)."),
        ("https://host.example/a?", "https://host.example/a?"),
        ("see 'https://host.example/a#b'", "see 'https://host.example/a#…'"),
        ("me:secret@host.example:80/a?b", "…@host.example:80/a?…"),
        ("ssh://me:secret@host.example/a", "ssh://…@host.example/a"),
        ("ssh://git@host.example/a", "ssh://git@host.example/a"),
        ("https://a.example/feed@view/x", "https://a.example/feed@view/x"),
        ("./me@host.example/a", "./me@host.example/a"),
        ("D:/me:b@host.example/a", "D:/me:b@host.example/a"),
        ("d:\\me:b@host.example/a", "d:\\me:b@host.example/a"),
        ("what?=1", "what?…"),
        ("what?1", "what?1"),
        ("gpu:2.9.1+cu128@me:x@host.example/a", "gpu:2.9.1+cu128@…@host.example/a"),
    ],
)
def test_what_is_shown_of_a_url(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_the_heading_of_a_page_is_no_secret() -> None:
    text = help_on("platforms")
    assert text.endswith("answers.md#platforms)\n")
    assert masked(text) == text
