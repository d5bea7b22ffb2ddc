"""What cookiecutter makes of the command line: defaults, misspelt answers, a folder in the way."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest
from click import ClickException
from cookiecutter import main
from cookiecutter.main import cookiecutter

from tests.conftest import ROOT
from tests.helpers.command_line import Run, command


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
        config.write("default_context: {torch_backend: cu12, dockerfile: yes}\n")
    refused = run(str(ROOT), "--no-input", "after_generation=nothing", status=1)
    assert {"torch_backend=cu129", "dockerfile=yes"} <= set(command(refused))
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


def test_another_torch_plan_is_not_taken_in_silence(tmp_path: Path) -> None:
    """What comes first on `sys.path` is imported: here the package of this clone."""
    other = tmp_path / "template"
    shutil.copytree(ROOT / "torch_plan", other / "torch_plan")
    shutil.copytree(ROOT / "{{cookiecutter.project_slug}}", other / "{{cookiecutter.project_slug}}")
    shutil.copyfile(ROOT / "cookiecutter.json", other / "cookiecutter.json")
    with pytest.raises(ClickException, match="imports torch_plan from"):
        cookiecutter(str(other), no_input=True, output_dir=tmp_path)


def test_an_answer_is_never_a_template(run: Run) -> None:
    text = "{{ default_slug('x') }}"
    run(str(ROOT), "--no-input", f"description={text}", "after_generation=nothing")
    project = tomllib.loads(Path("my-ml-project/pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["description"] == text


def test_what_was_typed_is_read_where_a_default_platform_needs_another_build(run: Run) -> None:
    words = ["torch_version=v2.4.1", "torch_backend=CUDA 12.4", "after_generation=nothing"]
    run(str(ROOT), "--no-input", *words)
    project = tomllib.loads(Path("my-ml-project/pyproject.toml").read_text(encoding="utf-8"))
    assert "torch==2.4.1" in project["project"]["dependencies"]


@pytest.mark.parametrize("key", ["project_name", "project_slug"])
@pytest.mark.parametrize("length", [255, 256, 5000])
def test_a_name_that_no_file_can_have_is_refused(run: Run, key: str, length: int) -> None:
    refused = run(str(ROOT), "--no-input", f"{key}={'a' * length}", status=1)
    assert "longer than 64 characters" in refused.output
    run(*command(refused), "after_generation=nothing")


@pytest.mark.parametrize("name", ["extra_context", ""])
def test_a_cookiecutter_with_another_name_for_answers_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Its code is run as it is, but for the name of one variable."""
    code = main.cookiecutter.__code__
    kinds = ("co_varnames", "co_cellvars", "co_freevars")
    renamed = {
        kind: tuple("renamed" if variable == name else variable for variable in getattr(code, kind))
        for kind in kinds
    }
    monkeypatch.setattr(main.cookiecutter, "__code__", code.replace(**renamed))
    if name:
        monkeypatch.setattr(
            "cookiecutter.cli.cookiecutter",
            lambda *given, extra_context, **named: main.cookiecutter(
                *given, renamed=extra_context, **named
            ),
        )
    told = run(str(ROOT), "--no-input", "after_generation=nothing").output
    assert told.count("cannot read the command line of cookiecutter") == bool(name)
