"""What cookiecutter makes of the command line: defaults, misspelt answers, a folder in the way."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from click import ClickException
from click.testing import CliRunner, Result
from cookiecutter.cli import main
from cookiecutter.generate import generate_context
from cookiecutter.main import cookiecutter
from cookiecutter.prompt import prompt_for_config

from tests.conftest import ROOT, empty_config
from tests.refusals import FACTS, REFUSED
from torch_plan.check import find_problems
from torch_plan.defaults import complete
from torch_plan.generation import answers_of

pytestmark = pytest.mark.plan

BUILDS = [
    {"torch_version": release, "torch_backend": backend}
    for release in FACTS.releases
    for backend in FACTS.backends(release)
]


def collected(given: dict[str, str]) -> dict[str, str]:
    """Return the answers that cookiecutter collects, given some and asking for none."""
    context = generate_context(str(ROOT / "cookiecutter.json"), extra_context=given)
    # `check` would refuse what is tested here; it is left out, and nothing after it is asked.
    context["cookiecutter"]["__check"] = ""
    return answers_of(prompt_for_config(context, no_input=True))


REAL_REASONS = re.compile(
    "is published and does not work|is on .* and not on|PyPI's .* is a .* build for"
)
"""Why a build is refused with every default: its wheels are broken, or it has no such companion."""


def check_defaults(given: dict[str, str]) -> None:
    answers = collected(given)
    assert answers == complete(given, FACTS)
    for problem in find_problems(answers, FACTS):
        assert REAL_REASONS.search(problem.reason), problem


@pytest.mark.parametrize("given", BUILDS, ids=lambda given: "-".join(given.values()))
def test_the_defaults_of_every_build_are_accepted(given: dict[str, str]) -> None:
    check_defaults(given)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["markers", "extras", "groups"])
@pytest.mark.parametrize("companions", ["torchaudio", "torchvision torchaudio", "none"])
def test_the_defaults_of_every_layout_are_accepted(layout: str, companions: str) -> None:
    for build in BUILDS:
        backend = build["torch_backend"]
        several = backend if layout == "markers" else f"cpu gpu={backend}"
        check_defaults(
            {**build, "torch_backend": several, "layout": layout, "companions": companions}
        )


Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run cookiecutter's command line in a folder, without the configuration of a user."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("COOKIECUTTER_CONFIG", str(empty_config(tmp_path)))

    def invoke(*words: str, status: int = 0) -> Result:
        result = CliRunner().invoke(main, words)
        assert result.exit_code == status, result.output
        return result

    return invoke


def command(result: Result) -> list[str]:
    """Return the words of the command that a refusal ends with, less its first."""
    first, *words = shlex.split(result.output.splitlines()[-1])
    assert first == "cookiecutter"
    return words


@pytest.mark.parametrize(("answers", "reason", "way"), REFUSED)
def test_the_printed_command_is_accepted(
    run: Run, tmp_path: Path, answers: dict[str, str], reason: str, way: str
) -> None:
    words = [f"{key}={value}" for key, value in {**answers, "after_generation": "nothing"}.items()]
    refused = run(str(ROOT), "--no-input", *words, status=1)
    assert reason in refused.output
    assert way in refused.output.replace("'", "")
    assert [*tmp_path.glob("*/pyproject.toml")] == []
    run(*command(refused))
    assert len([*tmp_path.glob("*/pyproject.toml")]) == 1


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
