"""What cookiecutter makes of the command line: defaults, misspelt answers, a folder in the way."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest
from click import ClickException
from cookiecutter.main import cookiecutter
from jinja2.bccache import Bucket, FileSystemBytecodeCache, bc_magic

from tests.conftest import ROOT
from tests.helpers.command_line import Run, command
from torch_plan import extension


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


GUARD = {"torch_version": "2.9.1", "python_version": "3.11", "after_generation": "nothing"}
"""Answers that another `numpy_guard` changes the project of."""


def numpy(folder: Path) -> str:
    """Return what a project requires of numpy."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return next(str(text) for text in project["dependencies"] if text.startswith("numpy"))


def test_what_is_not_asked_is_given_by_the_command_and_replayed(run: Run, tmp_path: Path) -> None:
    words = [f"{key}={value}" for key, value in GUARD.items()]
    run(str(ROOT), "--no-input", *words, "numpy_guard=always", "dockerfile=yes")
    project = Path("my-ml-project")
    assert numpy(project) == "numpy<2"
    assert (project / "Dockerfile").is_file()
    shutil.rmtree(project)
    run(str(ROOT), "--replay")
    assert numpy(project) == "numpy<2"
    assert (project / "Dockerfile").is_file()
    (recorded,) = (tmp_path / "replay").glob("*.json")
    answers = json.loads(recorded.read_text(encoding="utf-8"))["cookiecutter"]
    assert {"numpy_guard": "always", "torch_pin": "public"}.items() <= answers.items()


def test_a_replay_from_before_an_answer_takes_its_default(run: Run, tmp_path: Path) -> None:
    run(str(ROOT), "--no-input", "after_generation=nothing", "torch_pin=local")
    (recorded,) = (tmp_path / "replay").glob("*.json")
    context = json.loads(recorded.read_text(encoding="utf-8"))
    answers = context["cookiecutter"]
    new = ("torch_pin", "_unasked", *(key for key in answers if key.startswith("__asked_")))
    context["cookiecutter"] = {key: answers[key] for key in answers if key not in new}
    recorded.write_text(json.dumps(context), encoding="utf-8")
    shutil.rmtree("my-ml-project")
    run(str(ROOT), "--replay")
    text = Path("my-ml-project/pyproject.toml").read_text(encoding="utf-8")
    assert not [it for it in tomllib.loads(text)["project"]["dependencies"] if "+" in it]


def test_the_api_gives_what_is_not_asked(run: Run, tmp_path: Path) -> None:
    given = {**GUARD, "numpy_guard": "always", "dockerfile": True}
    project = Path(cookiecutter(str(ROOT), no_input=True, output_dir=tmp_path, extra_context=given))
    assert numpy(project) == "numpy<2"
    assert (project / "Dockerfile").is_file()


def test_the_command_comes_before_a_configuration(run: Run, tmp_path: Path) -> None:
    with (tmp_path / "cookiecutter.yaml").open("a", encoding="utf-8") as config:
        config.write("default_context: {numpy_guard: always, dockerfile: yes}\n")
    words = [f"{key}={value}" for key, value in GUARD.items()]
    run(str(ROOT), "--no-input", *words)
    assert numpy(Path("my-ml-project")) == "numpy<2"
    assert Path("my-ml-project/Dockerfile").is_file()
    run(str(ROOT), "--no-input", *words, "numpy_guard=never", "dockerfile=no", "project_slug=two")
    assert numpy(Path("two")) == "numpy"
    assert not Path("two/Dockerfile").exists()


def test_what_is_not_asked_is_a_text_and_no_template(run: Run) -> None:
    refused = run(str(ROOT), "--no-input", "torch_pin={{ 1 }}", status=1)
    assert "torch_pin={{ 1 }}" in refused.output
    assert "torch_pin=public" in command(refused)


@pytest.mark.parametrize("key", ["__check", "_unasked", "__package_name", "_choices"])
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
    assert {"torch_backend=cu126", "dockerfile=yes"} <= set(command(refused))
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
    words = ["--no-input", "layout=rows", "after_generation=nothing"]
    refused = run(str(ROOT), *words, status=1)
    assert "2 problems:" in refused.output
    assert "add -f to the command" in refused.output
    assert "project_slug=my-ml-project-3" in command(refused)
    run(*command(refused))
    run(str(ROOT), "-f", "--no-input", "after_generation=nothing")


def test_a_platform_that_gets_another_build_is_told(run: Run) -> None:
    words = ["torch_version=2.8.0", "torch_backend=cu128", "after_generation=nothing"]
    told = run(str(ROOT), "--no-input", *words).output
    assert told.count("linux-aarch64 gets cpu") == 1
    assert "macos-arm64 gets cpu" not in told


def test_space_around_answers_is_not_written(run: Run) -> None:
    words = ["project_slug= foo ", "python_version= 3.12 ", "dockerfile= yes "]
    run(str(ROOT), "--no-input", *words, "after_generation=nothing")
    assert tomllib.loads(Path("foo/pyproject.toml").read_text())["project"]["name"] == "foo"
    assert Path("foo/.python-version").read_text() == "3.12\n"
    assert "FROM python:3.12-slim" in Path("foo/Dockerfile").read_text()


def test_a_cache_that_fails_stops_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of a template is cut, and the disk has no room for another."""
    folder = tmp_path / "cache"
    folder.mkdir()
    tried: list[str] = []

    class Full(extension._BytecodeCache):
        def _get_cache_filename(self, bucket: Bucket) -> str:
            path = folder / bucket.key
            path.write_bytes(bc_magic + b"cut")
            tried.append(bucket.key)
            return str(path)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FileSystemBytecodeCache, "dump_bytecode", full)
    monkeypatch.setattr(extension, "_bytecode_cache", lambda: Full(str(folder)))
    run(str(ROOT), "--no-input", "after_generation=nothing")
    assert tried
    assert Path("my-ml-project/pyproject.toml").is_file()


def test_another_torch_plan_is_not_taken_in_silence(tmp_path: Path) -> None:
    """What comes first on `sys.path` is imported: here the package of this clone."""
    other = tmp_path / "template"
    shutil.copytree(ROOT / "torch_plan", other / "torch_plan")
    shutil.copytree(ROOT / "{{cookiecutter.project_slug}}", other / "{{cookiecutter.project_slug}}")
    shutil.copyfile(ROOT / "cookiecutter.json", other / "cookiecutter.json")
    with pytest.raises(ClickException, match="imports torch_plan from"):
        cookiecutter(str(other), no_input=True, output_dir=tmp_path)


def test_an_answer_is_never_a_template(run: Run) -> None:
    text = "{{ newest_release }}"
    run(str(ROOT), "--no-input", f"description={text}", "after_generation=nothing")
    project = tomllib.loads(Path("my-ml-project/pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["description"] == text
