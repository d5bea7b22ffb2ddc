"""A TOML text says something else, and every other letter of it stays."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from adopt import Stop
from adopt.edit import Edit, apply
from adopt.parse import INDEXES, SOURCES, UV, Keys

PATH = Path("pyproject.toml")


def edited(text: str, *edits: tuple[Keys, Any, Any]) -> str:
    """Return a text with edits, each of keys, the old and the new item."""
    return apply({PATH: text}, [Edit(PATH, *edit) for edit in edits])[PATH]


def test_nothing_else_to_say() -> None:
    text = "# nothing\n\r\n[a]   # header\nb=[1 ,2]\n[[c]]\n\n[d]\n[[c]]"
    assert edited(text) == text
    assert edited(text, (("x",), "gone", None), (("a", "b"), 1, 1)) == text


def test_a_list_keeps_its_comments_its_quotes_and_its_indentation() -> None:
    text = "x = [\n\t'a',  # first\n\t# second\n\t'b',\n\t'c', # third\n]\n"
    new = edited(text, (("x",), "b", "B"), (("x",), None, "d"), (("x",), "none", "e"))
    assert new == "x = [\n\t'a',  # first\n\t# second\n\t\"B\",\n\t'c', # third\n\t\"d\",\n]\n"


def test_a_list_without_a_comma_at_its_end() -> None:
    text = 'x = [\n  "a" # first\n]\n'
    assert edited(text, (("x",), None, "b")).startswith('x = [\n  "a", # first\n  "b"')


def test_a_remark_goes_with_what_stands_right_below_it() -> None:
    text = "x = [\n    # of 'a'\n    'a',\n    'b',\n]\n# not y\n\n[[z]]\na = 1\n"
    new = edited(text, (("x",), "a", None), (("z",), {"a": 1}, None))
    assert new == "x = [\n    'b',\n]\n# not y\n\n"


def test_a_list_in_a_list() -> None:
    pair = [{"extra": "a"}, {"extra": "b"}]
    new = edited("[tool.uv]\n", ((*UV, "conflicts"), None, pair))
    assert new == '[tool.uv]\nconflicts = [[{ extra = "a" }, { extra = "b" }]]\n'


SPLIT = """\
[[tool.uv.index]]
name = "a"  # ours

[tool.ruff]
line-length = 90

# the other one
[[tool.uv.index]]
name = "b"

# about mypy

[tool.mypy]
strict = true

[tool.uv.sources]
x = { index = "a" }"""


def test_a_list_of_tables_that_is_split_over_the_file() -> None:
    new = edited(
        SPLIT,
        (INDEXES, {"name": "a"}, {"name": "a", "explicit": True}),
        (INDEXES, {"name": "b"}, {"name": "c"}),
        (INDEXES, None, {"name": "d"}),
    )
    assert '[[tool.uv.index]]\nname = "a"  # ours\nexplicit = true\n\n[tool.ruff]' in new
    assert '# the other one\n[[tool.uv.index]]\nname = "c"\n\n[[tool.uv.index]]\nname = "d"' in new
    assert "\n\n# about mypy\n\n[tool.mypy]" in new


def test_the_last_table_of_a_list_leaves_and_comments_on_others_stay() -> None:
    new = edited(SPLIT, (INDEXES, {"name": "a"}, None), (INDEXES, {"name": "b"}, None))
    gone = SPLIT[SPLIT.index("# the other") : SPLIT.index("# about")]
    left = SPLIT[SPLIT.index("[tool.ruff]") :].replace(gone, "")
    assert new.replace("[tool.uv]\n\n", "") == left


def test_a_table_comes_before_those_within_it() -> None:
    new = edited(SPLIT, ((*UV, "environments"), None, "a"))
    assert new.startswith('[tool.uv]\nenvironments = ["a"]\n\n[[tool.uv.index]]')


def test_a_new_header_does_not_part_another_one_from_its_remarks() -> None:
    text = "[a]\n\n# of x\n[tool.uv.sources]\nx = 1\n"
    new = edited(text, ((*UV, "environments"), None, "a"))
    assert new == text.replace("# of x", '[tool.uv]\nenvironments = ["a"]\n\n# of x')


def test_a_table_after_those_of_its_kind_in_a_file_without_a_newline_at_its_end() -> None:
    new = edited('[project]\nname = "x"', (("project", "urls", "a"), None, "b"))
    assert new == '[project]\nname = "x"\n\n[project.urls]\na = ["b"]\n'


def test_windows_lines_stay_windows_lines() -> None:
    text = '[a]\r\nx = [\r\n  "b",\r\n]\r\n'
    new = edited(text, (("a", "x"), None, "c"), (("a", "y"), None, "z"))
    assert new.count("\r\n") == new.count("\n") == 6


@pytest.mark.parametrize(
    "text",
    [
        'tool.uv.sources.x = { index = "a" }\n',
        '[tool]\nuv.sources.x.index = "a"\n',
        '[tool.uv]\nsources.x = [{ index = "a" }]\n[tool.other]\n',
        '["tool".uv.sources]\n"x" = { index = "a" }\n',
        '[tool.uv]\nindex = [{ name = "a" }]\nsources = { x = { index = "a" } }\n',
        'x = """\n[tool.uv]\n# no header\n[a]\n"""\n',
        "y = [\n[1],\n[2],\n]\n",
    ],
)
def test_however_the_tables_are_written(text: str) -> None:
    new = edited(
        text,
        ((*UV, "environments"), None, "sys_platform == 'linux'"),
        ((*SOURCES, "y"), None, {"index": "a"}),
        ((*SOURCES, "y"), None, {"index": "b"}),
        (INDEXES, None, {"name": "b", "url": "v"}),
    )
    uv = tomllib.loads(new)["tool"]["uv"]
    assert uv["environments"] == ["sys_platform == 'linux'"]
    assert uv["sources"]["y"] == [{"index": "a"}, {"index": "b"}]
    assert uv["index"][-1] == {"name": "b", "url": "v"}


def test_no_header_within_a_line() -> None:
    with pytest.raises(Stop, match="--check shows what is wrong"):
        edited("[tool]\nuv = { package = false }\n", (INDEXES, None, {"name": "a"}))


def test_what_came_out_wrong_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tomlrt.dumps", lambda _: "[a]\n")
    with pytest.raises(Stop, match="cannot be edited"):
        edited("[a]\n", (("a", "b"), None, "c"))


VALUES = st.sampled_from(
    [
        "1",
        "'x'",
        '"""a\n[b]\n# c\n"""',
        "[ 1,\n# two\n 2 ]",
        "{ a = 1, b = [2] }",
        "[]",
        "[[1], [2]]",
    ]
)
KEYS = st.sampled_from(["a", "b-c", '"d.e"', "'f'", "g"])
SPACE = st.sampled_from(
    ["\n", "\n\n", "\n# a comment\n", "\n\n# a comment\n\n", "  # at the end\n"]
)


@st.composite
def texts(draw: DrawFn) -> tuple[str, list[str]]:
    """Draw a TOML text of tables, and its lines that are not about indexes."""
    tables = ["[tool.uv]", "[tool.uv.sources]", "[tool.ruff]", "[project]", "[tool.x.y]"]
    headers = draw(st.lists(st.sampled_from(tables), unique=True))
    headers += ["[[tool.uv.index]]"] * draw(st.integers(0, 3))
    text, others = "", []
    for header in ["", *draw(st.permutations(headers))]:
        keys = draw(st.lists(KEYS, unique=True, max_size=3))
        lines = "".join(f"{key} = {draw(VALUES)}{draw(SPACE)}" for key in keys)
        part = f"{header}{draw(SPACE)}{lines}" if header else lines
        # A comment right above the header of an index would be about it.
        text += f"\n{part}" if "index" in header else part
        others += [] if "index" in header else part.splitlines()
    return text.removesuffix(draw(st.sampled_from(["", "\n"]))), others


@settings(max_examples=200, derandomize=True, deadline=None)
@given(texts(), st.data())
def test_only_what_is_meant_changes(drawn: tuple[str, list[str]], data: st.DataObject) -> None:
    """Whatever is set or taken away, all other lines are there, in their order."""
    text, others = drawn
    uv = tomllib.loads(text).get("tool", {}).get("uv", {})
    edits: list[tuple[Keys, Any, Any]] = [(INDEXES, None, {"name": "p", "url": "u"})]
    if data.draw(st.booleans()):
        edits.append(((*SOURCES, "torch"), None, {"index": "p"}))
        if data.draw(st.booleans()):
            edits.append(((*SOURCES, "torch"), None, {"index": "q", "marker": "m"}))
    if data.draw(st.booleans()):
        edits.append(((*UV, "environments"), None, "one"))
    gone = uv.get("index", [])[: data.draw(st.integers(0, 2))]
    edits += [(INDEXES, index, None) for index in gone]
    new = edited(text, *edits)
    assert tomllib.loads(new)["tool"]["uv"]["index"][-1] == {"name": "p", "url": "u"}
    rest = iter(new.splitlines())
    assert [line for line in others if line.strip() and line not in rest] == []
