from __future__ import annotations

from pathlib import Path

import pytest

from torch_plan.addresses import addresses_of, remote_of

GITHUB = (
    "gh:lab/templates",
    "https://github.com/lab/templates/blob/main/docs",
    "https://lab.github.io/templates/",
)


@pytest.mark.parametrize(
    "remote",
    [
        "https://github.com/lab/templates.git",
        "https://github.com/lab/templates",
        "https://ada:secret@github.com/lab/templates/",
        "git@github.com:lab/templates.git",
        "ssh://git@github.com/lab/templates.git",
    ],
)
def test_a_repository_of_github(remote: str) -> None:
    assert addresses_of(remote) == GITHUB


@pytest.mark.parametrize(
    ("remote", "template", "docs"),
    [
        (
            "https://ada:secret@git.corp:8443/ml/group/t.git",
            "https://git.corp:8443/ml/group/t.git",
            "https://git.corp:8443/ml/group/t/blob/main/docs",
        ),
        ("git@git.corp:ml/t.git", "git@git.corp:ml/t.git", "https://git.corp/ml/t/blob/main/docs"),
    ],
)
def test_another_host(remote: str, template: str, docs: str) -> None:
    addresses = addresses_of(remote)
    assert addresses
    assert addresses[:2] == (template, docs)


@pytest.mark.parametrize("remote", ["", "/srv/t.git", "file:///srv/t.git", "../t", "C:\\t"])
def test_a_folder_has_no_address(remote: str) -> None:
    assert addresses_of(remote) is None


def test_remote_of(tmp_path: Path) -> None:
    assert remote_of(tmp_path) == ""
    (tmp_path / ".git").mkdir()
    config = tmp_path / ".git/config"
    config.write_text('[core]\n\tbare = false\n[remote "up"]\n\turl = a\n', encoding="utf-8")
    assert remote_of(tmp_path) == ""
    with config.open("a", encoding="utf-8") as file:
        file.write(
            '[remote "origin"]\n\tfetch = +refs/*:b\n\turl = https://h/a.git\n[branch "m"]\n'
        )
    assert remote_of(tmp_path) == "https://h/a.git"
