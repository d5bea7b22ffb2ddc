"""A TOML text says something else, and every other letter of it stays."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from adopt import Stop
from adopt.document import rewrite

Change = Callable[[dict[str, Any]], object]


def changed(text: str, change: Change) -> str:
    """Rewrite a text after a change of what it says; what comes out says just that."""
    wanted = tomllib.loads(text)
    change(wanted)
    new = rewrite(text, deepcopy(wanted))
    assert tomllib.loads(new) == wanted
    return new


def test_nothing_else_to_say() -> None:
    text = "# nothing\n\r\n[a]   # header\nb=[1 ,2]\n[[c]]\n\n[d]\n[[c]]"
    assert rewrite(text, tomllib.loads(text)) == text


def test_a_list_keeps_its_comments_its_quotes_and_its_indentation() -> None:
    text = "x = [\n\t'a',  # first\n\t# second\n\t'b',\n\t'c', # third\n]\n"
    new = changed(text, lambda data: data.update(x=["a", "B", "B2", "c"]))
    assert new == "x = [\n\t'a',  # first\n\t# second\n\t\"B\",\n\t\"B2\",\n\t'c', # third\n]\n"


def test_a_list_without_a_comma_at_its_end() -> None:
    text = 'x = [\n  "a" # first\n]\n'
    assert changed(text, lambda data: data["x"].append("b")).startswith(
        'x = [\n  "a", # first\n  "b"'
    )


def test_a_remark_goes_with_what_stands_right_below_it() -> None:
    text = "x = [\n    # of 'a'\n    'a',\n    'b',\n]\n# not y\n\n[[z]]\n"
    assert changed(text, lambda data: data.update(x=["b"], z=[])) == (
        "x = [\n    'b',\n]\n# not y\n\nz = []\n"
    )


def test_a_long_list_on_one_line_gets_more() -> None:
    new = changed("x = ['a', 'b']\n", lambda data: data["x"].append("c" * 100))
    assert new.splitlines()[:3] == ["x = [", "    'a',", "    'b',"]


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
    def change(data: dict[str, Any]) -> None:
        data["tool"]["uv"]["index"] = [
            {"name": "a", "explicit": True},
            {"name": "c"},
            {"name": "d"},
        ]

    new = changed(SPLIT, change)
    assert '[[tool.uv.index]]\nname = "a"  # ours\nexplicit = true\n\n[tool.ruff]' in new
    assert '# the other one\n[[tool.uv.index]]\nname = "c"\n\n[[tool.uv.index]]\nname = "d"' in new
    assert "\n\n# about mypy\n\n[tool.mypy]" in new


def test_the_last_table_of_a_list_leaves_and_comments_on_others_stay() -> None:
    new = changed(SPLIT, lambda data: data["tool"]["uv"].pop("index"))
    gone = SPLIT[SPLIT.index("# the other") : SPLIT.index("# about")]
    assert new == SPLIT[SPLIT.index("[tool.ruff]") :].replace(gone, "")


def test_a_table_comes_before_those_within_it() -> None:
    new = changed(SPLIT, lambda data: data["tool"]["uv"].update(package=False))
    assert new.startswith("[tool.uv]\npackage = false\n\n[[tool.uv.index]]")


def test_a_new_header_does_not_part_another_one_from_its_remarks() -> None:
    text = "[a]\n\n# of x\n[tool.uv.sources]\nx = 1\n"
    new = changed(text, lambda data: data["tool"]["uv"].update(package=False))
    assert new == text.replace("# of x", "[tool.uv]\npackage = false\n\n# of x")


def test_a_table_after_those_of_its_kind_in_a_file_without_a_newline_at_its_end() -> None:
    new = changed('[project]\nname = "x"', lambda data: data["project"].update(urls={"a": "b"}))
    assert new == '[project]\nname = "x"\n\n[project.urls]\na = "b"\n'


def test_windows_lines_stay_windows_lines() -> None:
    text = '[a]\r\nx = [\r\n  "b",\r\n]\r\n'
    new = changed(text, lambda data: data["a"].update(x=["b", "c"], y={"z": 1}))
    assert new.count("\r\n") == new.count("\n") == 8


@pytest.mark.parametrize(
    "text",
    [
        'tool.uv.sources.x = { index = "a" }\n',
        '[tool]\nuv.sources.x.index = "a"\n',
        '[tool]\nuv = { sources = { x = { index = "a" } } }\n',
        '[tool.uv]\nsources.x = [{ index = "a" }]\n[tool.other]\n',
        '["tool".uv.sources]\n"x" = { index = "a" }\n',
        '[tool.uv]\nindex = [{ name = "a" }]\nsources = { x = { index = "a" } }\n',
        'x = """\n[tool.uv]\n# no header\n[a]\n"""\n',
        "y = [\n[1],\n[2],\n]\n",
    ],
)
def test_however_the_tables_are_written(text: str) -> None:
    def change(data: dict[str, Any]) -> None:
        uv = data.setdefault("tool", {}).setdefault("uv", {})
        uv["environments"] = ["sys_platform == 'linux'"]
        uv.setdefault("sources", {})["y"] = [{"index": "a"}, {"index": "b"}]
        uv["index"] = [{"name": "a", "url": "u"}, {"name": "b", "url": "v"}]

    changed(text, change)


def test_what_came_out_wrong_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adopt.document._edit", lambda *_: None)
    with pytest.raises(Stop, match="cannot change"):
        rewrite("[a]\n", {"a": {"b": 1}})


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
    wanted = tomllib.loads(text)
    uv = wanted.setdefault("tool", {}).setdefault("uv", {})
    if data.draw(st.booleans()):
        sources = [{"index": "p"}, [{"index": "p"}, {"index": "q", "marker": "m"}]]
        uv.setdefault("sources", {})["torch"] = data.draw(st.sampled_from(sources))
    if data.draw(st.booleans()):
        uv["environments"] = ["one", "two"]
    kept = uv.get("index", [])[data.draw(st.integers(0, 2)) :]
    uv["index"] = [*kept, {"name": "p", "url": "u"}]
    new = rewrite(text, wanted)
    assert tomllib.loads(new) == wanted
    rest = iter(new.splitlines())
    assert [line for line in others if line.strip() and line not in rest] == []
