"""The oldest uv and cookiecutter that are claimed, and the newest there are."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from tests.conftest import PYTHON, RELEASE, ROOT, Bake
from tests.helpers.answers import ANSWERS
from tests.helpers.elsewhere import answers, contents, run
from tests.helpers.interpreters import install
from tests.helpers.proof import check_locked, prove
from tools.lib.lock import find_uv
from tools.lib.replica import Replica
from torch_plan.dialogue.session import OLDEST_COOKIECUTTER
from torch_plan.project.plan import REQUIRED_UV

OLDEST_UV = REQUIRED_UV.removeprefix(">=")

LAYOUTS = [
    pytest.param({"torch_backend": "cu130"}, id="markers"),
    pytest.param({"torch_backend": "rocm7.2", "torch_pin": "local"}, id="local"),
    pytest.param({"torch_backend": "cpu gpu=cu130 pypi", "layout": "extras"}, id="extras"),
    pytest.param({"torch_backend": "cpu cu130", "layout": "groups"}, id="groups"),
]
"""What asks uv for something of its own each: sources by marker, labels, conflicts, groups."""

ANSWERED = {"torch_version": RELEASE, "python_version": PYTHON}


def test_the_project_claims_the_oldest(bake: Bake, oldest_uv: str) -> None:
    printed = subprocess.run([oldest_uv, "--version"], check=True, capture_output=True, text=True)
    assert printed.stdout.split()[1] == OLDEST_UV
    assert bake().pyproject["tool"]["uv"]["required-version"] == f">={OLDEST_UV}"


def test_our_tools_run_on_the_pythons_of_the_release(bake: Bake) -> None:
    """The tests bake it for the Python that runs them: uv is not to choose one without wheels."""
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    released = bake(torch_version=RELEASE, python_version="3.11").pyproject["project"]
    assert ours["requires-python"] == released["requires-python"]


@pytest.mark.slow
@pytest.mark.parametrize("chosen", LAYOUTS)
def test_oldest_and_newest_uv_agree_on_a_lock(
    bake: Bake, oldest_uv: str, monkeypatch: pytest.MonkeyPatch, chosen: dict[str, str]
) -> None:
    """Each accepts the other's lock unchanged, and it gives every platform the planned builds.

    What a platform gets is asked of the newest alone: until 0.13.0 at least, the dry run with
    `--python-platform` calls the machine of Windows x86_64, where Python says AMD64.
    """
    project = bake(**ANSWERED, **chosen)
    lock = project.path / "uv.lock"
    newest_uv = find_uv()
    monkeypatch.setenv("UV", oldest_uv)
    project.lock()
    by_the_oldest = lock.read_bytes()
    monkeypatch.setenv("UV", newest_uv)
    prove(project)
    assert lock.read_bytes() == by_the_oldest
    lock.unlink()
    project.lock()
    monkeypatch.setenv("UV", oldest_uv)
    project.uv("lock", "--check", "--python", PYTHON)
    for option in project.plan.options:
        project.uv("sync", "--locked", "--dry-run", "--python", PYTHON, *option.sync)


def test_the_uv_of_the_image_takes_the_lock_of_another(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = bake(**ANSWERED, torch_backend="cu130", dockerfile="yes")
    project.lock()
    (version,) = re.findall(r"ghcr\.io/astral-sh/uv:(\S+) ", project.read("Dockerfile"))
    uv = install(tmp_path / "venv", PYTHON, f"uv=={version}").with_name("uv")
    monkeypatch.setenv("UV", str(uv))
    project.uv("sync", "--locked", "--no-dev", "--dry-run", "--python", PYTHON)


@pytest.mark.slow
@pytest.mark.parametrize("age", ["oldest", "newest"])
@pytest.mark.parametrize(
    "chosen",
    [
        pytest.param({"torch_backend": "cpu"}, id="markers"),
        pytest.param({"torch_backend": "cpu gpu=cu130", "layout": "extras"}, id="extras"),
        pytest.param(
            {"torch_backend": "cpu cu130", "layout": "groups", "torch_pin": "local"}, id="groups"
        ),
    ],
)
def test_hook_installs_and_tests(
    bake: Bake,
    stub_replica: Replica,
    oldest_uv: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    chosen: dict[str, str],
    age: str,
) -> None:
    if age == "oldest":
        monkeypatch.setenv("UV", oldest_uv)
    project = bake(
        **ANSWERED,
        **chosen,
        companions="none",
        pytorch_index=stub_replica.url,
        after_generation="smoke",
    )
    printed = capfd.readouterr()
    assert f"torch: {RELEASE}+cpu\n" in printed.out, printed.err
    assert "The project is kept" not in printed.err
    project.uv("run", "--no-sync", "pytest", "-q")


def test_readme_claims_the_oldest() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"cookiecutter (\S+) or newer", readme) == [OLDEST_COOKIECUTTER]
    assert re.findall(r"uv (\S+) or newer", readme) == [OLDEST_UV]


def test_ci_runs_the_oldest_and_the_newest_python() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    fits = SpecifierSet(pyproject["project"]["requires-python"])
    minors = [minor for minor in map("3.{}".format, range(99)) if minor in fits]
    pythons = workflow["jobs"]["everyday"]["strategy"]["matrix"]["python"]
    assert pythons == [minors[0], minors[-1]]


@pytest.mark.slow
def test_an_older_cookiecutter_is_refused(tmp_path: Path, replica: Replica) -> None:
    python = install(tmp_path / "venv", sys.executable, f"cookiecutter<{OLDEST_COOKIECUTTER}")
    command = [python, "-m", "cookiecutter", ROOT, "--no-input", "--output-dir", "there"]
    printed = run([*command, *answers(replica, dockerfile="no")], tmp_path, status=1)
    assert "is too old. This template needs" in printed
    assert "Traceback" not in printed
    assert not (tmp_path / "there").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "requirement",
    [f"cookiecutter=={OLDEST_COOKIECUTTER}", f"cookiecutter>{OLDEST_COOKIECUTTER}"],
    ids=["oldest", "newest"],
)
def test_cookiecutters(tmp_path: Path, bake: Bake, replica: Replica, requirement: str) -> None:
    """The answers are those that releases have treated differently: yes, no, lists, braces."""
    chosen = {
        "layout": "groups",
        "github_actions": "no",
        "dockerfile": "yes",
        "description": '{{ 1 }} "two"',
    }
    python = install(tmp_path / "venv", sys.executable, requirement)
    command = [python, "-m", "cookiecutter", ROOT, "--no-input", "--output-dir", "there"]
    run([*command, *answers(replica, **chosen)], tmp_path)
    there = tmp_path / "there/my-ml-project"
    here = bake(**{**ANSWERS, **chosen, "after_generation": "nothing"})
    assert contents(there) == contents(here.path)
    check_locked(there)
    impossible = answers(replica, **{**chosen, "torch_version": "2.51.0"})
    printed = run([*command, "--overwrite-if-exists", *impossible], tmp_path, status=1)
    assert "This cannot be done:" in printed
    assert "Traceback" not in printed
