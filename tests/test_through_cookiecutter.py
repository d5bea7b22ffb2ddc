"""What cookiecutter makes of the command line: defaults, misspelt answers, a folder in the way."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from click import ClickException
from cookiecutter.main import cookiecutter

from tests.command_line import Run, command
from tests.conftest import ROOT

pytestmark = pytest.mark.plan


def test_a_misspelt_answer_is_refused_with_the_one_that_was_meant(run: Run) -> None:
    words = ["torch_verion=2.9.1", "backend=cu128", "after_generation=nothing"]
    refused = run(str(ROOT), "--no-input", *words, status=1)
    assert "2 problems:" in refused.output
    again = command(refused)
    assert {"torch_version=2.9.1", "torch_backend=cu128"} <= set(again)
    run(*again)
    project = tomllib.loads(Path("my-ml-project/pyproject.toml").read_text(encoding="utf-8"))
    assert "torch==2.9.1" in project["project"]["dependencies"]


def test_the_api_refuses_a_misspelt_answer_too(tmp_path: Path) -> None:
    with pytest.raises(ClickException, match="torch_backend=cu128"):
        cookiecutter(
            str(ROOT), no_input=True, output_dir=tmp_path, extra_context={"backend": "cu128"}
        )


@pytest.mark.parametrize("key", ["__check", "__package_name", "_choices"])
def test_what_the_template_computes_cannot_be_given(run: Run, tmp_path: Path, key: str) -> None:
    refused = run(str(ROOT), "--no-input", f"{key}=../../evil", status=1)
    assert f"{key} cannot be given" in refused.output
    assert [*tmp_path.glob("*/pyproject.toml")] == []


def test_a_near_miss_in_the_configuration_of_all_templates_is_told(
    run: Run, tmp_path: Path
) -> None:
    with (tmp_path / "cookiecutter.yaml").open("a", encoding="utf-8") as config:
        config.write('default_context: {full_name: Ada, torch_verson: "2.9.1"}\n')
    done = run(str(ROOT), "--no-input", "after_generation=nothing")
    assert "sets torch_verson; did you mean torch_version?" in done.output
    assert "full_name" not in done.output


def test_the_configuration_of_all_templates_does_not_come_back(run: Run, tmp_path: Path) -> None:
    with (tmp_path / "cookiecutter.yaml").open("a", encoding="utf-8") as config:
        config.write("default_context: {torch_backend: cu126, dockerfile: yes}\n")
    refused = run(str(ROOT), "--no-input", "after_generation=nothing", status=1)
    assert {"torch_backend=cu130", "dockerfile=yes"} <= set(command(refused))
    run(*command(refused))


def test_the_command_keeps_the_options(run: Run) -> None:
    options = ["--output-dir", "there", "--default-config", "--accept-hooks", "no", "-f", "-s"]
    refused = run(str(ROOT), *options, "--no-input", "torch_version=2.9.9", status=1)
    again = command(refused)
    assert {"--output-dir", "there", "--default-config", "--accept-hooks", "no"} <= set(again)
    assert {"--overwrite-if-exists", "--skip-if-file-exists"} <= set(again)
    assert not [word for word in again if word.startswith(("platforms=", "description="))]
    run(*again)
    assert Path("there/my-ml-project/pyproject.toml").is_file()


def test_a_folder_in_the_way_is_found_with_everything_else(run: Run) -> None:
    for name in ("my-ml-project", "my-ml-project-2"):
        Path(name).mkdir()
    words = ["--no-input", "layout=marker", "after_generation=nothing"]
    refused = run(str(ROOT), *words, status=1)
    assert "2 problems:" in refused.output
    assert "add -f to the command" in refused.output
    assert "project_slug=my-ml-project-3" in command(refused)
    run(*command(refused))
    run(str(ROOT), "-f", "--no-input", "after_generation=nothing")


def test_an_answer_is_never_a_template(run: Run) -> None:
    text = "{{ newest_release }}"
    run(str(ROOT), "--no-input", f"description={text}", "after_generation=nothing")
    project = tomllib.loads(Path("my-ml-project/pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["description"] == text
