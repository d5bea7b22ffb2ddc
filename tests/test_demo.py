"""The demo, where PyTorch's index answers and where it does not; test_real_torch installs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from tests.helpers.shells import printed_words
from tools.demo import main
from tools.lib.replica import Replica
from torch_plan.catalog.facts import Mirror, load_facts
from torch_plan.resolution.check import find_problems
from torch_plan.resolution.defaults import complete


@pytest.fixture(autouse=True)
def environment_as_before() -> Iterator[None]:
    """Give uv its cache back after the demo, which has one of its own beside a stand-in."""
    with mock.patch.dict(os.environ):
        yield


def test_locks_and_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    answers = ["torch_version=2.9.1", "python_version=3.11", "torch_backend=cpu gpu=cu128"]
    assert main([*answers, "layout=groups", f"--output-dir={tmp_path}"]) == 0
    printed = capfd.readouterr().out
    assert "gpu  linux-x86_64    torch 2.9.1+cu128\n" in printed
    assert "gpu  macos-arm64     torch 2.9.1\n" in printed
    assert "Nothing was installed" in printed.splitlines()[-1]
    assert "The next step" not in printed
    (line,) = [line for line in printed.splitlines() if line.startswith("    uvx ")]
    command = printed_words(line.strip())
    assert command[:6] == ["uvx", "cookiecutter", ".", "--output-dir", "..", "--no-input"]
    given = dict(word.split("=", 1) for word in command[6:])
    assert given == dict(word.split("=", 1) for word in [*answers, "layout=groups"])
    assert find_problems(complete(given, load_facts()), load_facts()) == []


def test_an_index_that_answers_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with Replica() as replica:
        mirror = Mirror(replica.url, flat=False, hosts=("127.0.0.1",))
        monkeypatch.setitem(load_facts().pytorch_mirrors, "official", mirror)
        # The same answers are planned once in a process: no other test may have these.
        answers = ["torch_version=2.9.1", "python_version=3.11", "description=an index answers"]
        words = [*answers, "torch_backend=cpu", "after_generation=lock"]
        assert main([*words, f"--output-dir={tmp_path}"]) == 0
    printed = capfd.readouterr().out
    assert "stand-in" not in printed
    assert "macos-arm64     torch 2.9.1\n" in printed
    locked = (tmp_path / "my-ml-project/uv.lock").read_text(encoding="utf-8")
    assert f"{replica.url}/cpu" in locked


def test_a_misspelt_answer_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["backend=cpu", f"--output-dir={tmp_path}"]) == 1
    assert "torch_backend=cpu" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_refusal_is_one_message(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["torch_version=1.0", f"--output-dir={tmp_path}"]) == 1
    assert "this template knows no such release" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_answer_without_a_value_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["cpu"])
    assert "key=value" in capsys.readouterr().err
