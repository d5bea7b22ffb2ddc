"""Whose settings are in the lock: nothing of this shell, unless it is the caller's decision."""

from __future__ import annotations

import os
import re
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
import requests
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from tests.conftest import PYTHON, Bake, BakedProject
from tests.helpers.answers import ANSWERS
from tests.helpers.hook import (
    next_step,
    said,
    take,
    uv_toml,
)
from tests.helpers.locks import read_lock
from tests.helpers.proof import check_locked
from tools.lib.replica import Replica
from tools.lib.server import Response, Server
from torch_plan.catalog.facts import Mirror, load_facts

HTML = "application/vnd.pypi.simple.v1+html"


class CompanyIndex(Server):
    """An index with PyPI's packages, whose files lie where PyPI's do."""

    def answer(self, path: str) -> Response:
        page = f"{PYPI_SIMPLE_ENDPOINT}{path.split('/')[2]}/"
        came = requests.get(page, headers={"Accept": HTML}, timeout=30)
        return Response(came.status_code, "text/html", came.content)


TORN_BY = {
    "UV_PRERELEASE": "allow",
    "UV_FORK_STRATEGY": "fewest",
    "UV_RESOLUTION": "lowest",
    "UV_NO_SOURCES_PACKAGE": "torch",
    "UV_CONFIG_FILE": "{wheels}/uv.toml",
    "UV_PREVIEW": "1",
    "UV_FIND_LINKS": "{wheels}",
    "UV_NO_BINARY": "1",
    "UV_WORKING_DIR": "{wheels}",
    "UV_WORKING_DIRECTORY": "{wheels}",
    "UV_PYTHON": "3.9",
}
"""Variables that would spoil a new lock, with a value each."""

RECORDED = {
    'prerelease = "allow"': "prerelease",
    'fork-strategy = "fewest"': "fork-strategy",
    'find-links = ["{wheels}"]': "{wheels}",
    'dependency-metadata = [{{ name = "sympy", version = "1.14.0", requires-dist = [] }}]': (
        "dependency-metadata"
    ),
}
"""Settings in a user's uv.toml, and what the lock records of them."""

EXTRAS = {
    "companions": "torchvision",
    "layout": "extras",
    "torch_backend": "cpu cu130",
    "python_version": PYTHON,
}


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with a wheel of a package that the project needs."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / "uv.toml").touch()
    name = "mpmath-1.3.0"
    files = {
        "METADATA": "Metadata-Version: 2.1\nName: mpmath\nVersion: 1.3.0\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as wheel:
        for file, text in files.items():
            wheel.writestr(f"{name}.dist-info/{file}", text)
    return folder


def check_for_others(project: BakedProject) -> None:
    """Check that the lock serves somebody else: in a clean shell, without a uv.toml."""
    kept = ("UV_CACHE_DIR", "UV_PYTHON_DOWNLOADS")
    clean = {
        name: value
        for name, value in os.environ.items()
        if name in kept or not name.startswith(("UV_", "XDG_"))
    }
    text = project.read("uv.lock")
    subprocess.run(
        ["uv", "sync", "--locked", "--dry-run", "--quiet", *project.plan.default.sync],
        cwd=project.path,
        env={**clean, "XDG_CONFIG_HOME": str(project.path.parent / "nowhere")},
        check=True,
    )
    assert project.read("uv.lock") == text
    assert str(project.path.parent) not in text


def check_next_step(project: BakedProject, printed: str) -> None:
    """Check that the command installs what is locked and leaves the lock as it is."""
    text = project.read("uv.lock")
    take([*next_step(printed), "--dry-run", "--quiet"])
    assert project.read("uv.lock") == text


@pytest.mark.parametrize("name", TORN_BY)
def test_variables_are_set_aside(
    bake: Bake,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    wheels: Path,
    name: str,
) -> None:
    with monkeypatch.context() as shell:
        shell.setenv(name, TORN_BY[name].format(wheels=wheels))
        project = bake(**{**ANSWERS, **EXTRAS})
    check_locked(project.path)
    check_for_others(project)
    printed = said(capfd)
    assert f"Your environment sets {name}: uv ignores it here, so that" in printed
    assert next_step(printed)[3:] == ["uv", "sync", "--extra", "cpu"]
    check_next_step(project, printed)


@pytest.mark.parametrize("setting", RECORDED)
def test_settings_of_the_user_are_heeded_and_said(
    bake: Bake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    wheels: Path,
    setting: str,
) -> None:
    uv_toml(tmp_path, monkeypatch, setting.format(wheels=wheels))
    project = bake(**{**ANSWERS, **EXTRAS})
    printed = said(capfd)
    check_locked(project.path)
    recorded = RECORDED[setting].format(wheels=wheels)
    assert f"uv.lock depends on your own settings of uv ({recorded}" in printed
    check_next_step(project, printed)


@pytest.mark.parametrize("setting", ["no-sources = true", 'no-sources-package = ["torch"]'])
@pytest.mark.parametrize("variable", ["XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"])
def test_settings_that_overrule_the_project_are_refused(
    bake: Bake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    setting: str,
    variable: str,
) -> None:
    uv_toml(tmp_path, monkeypatch, setting, (variable,))
    project = bake(**{**ANSWERS, **EXTRAS})
    printed = said(capfd)
    assert "\nuv locked torch 2.13.0 from " in printed
    assert "such as `no-sources` in a uv.toml of yours" in printed
    assert not (project.path / "uv.lock").exists()
    monkeypatch.delenv(variable)
    take(next_step(printed))
    check_locked(project.path)


@pytest.mark.parametrize("where", ["variable", "uv.toml"])
def test_an_index_of_the_user_is_heeded_and_said(
    bake: Bake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    where: str,
) -> None:
    with CompanyIndex() as company:
        url = f"http://someone:hunter2@{company.host}/simple?token=hunter2"
        if where == "variable":
            monkeypatch.setenv("UV_DEFAULT_INDEX", url)
        else:
            index = f'[[index]]\nname = "company"\nurl = "{url}"\ndefault = true'
            uv_toml(tmp_path, monkeypatch, index)
        project = bake(**{**ANSWERS, "python_version": PYTHON})
        printed = said(capfd)
        check_next_step(project, printed)
    check_locked(project.path)
    assert (
        f"uv.lock depends on your own settings of uv (http://{company.host}/simple): `uv sync"
        in printed
    )
    assert "hunter2" not in printed
    others = {entry["source"].get("registry") for entry in read_lock(project.path)}
    assert any(company.host in str(registry) for registry in others)


def test_a_cooldown_is_heeded_and_said(
    bake: Bake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    uv_toml(tmp_path, monkeypatch, 'exclude-newer-package = { numpy = "2026-01-01" }')
    project = bake(**{**ANSWERS, "python_version": PYTHON})
    printed = said(capfd)
    check_locked(project.path)
    assert 'uv.lock depends on your own settings of uv (numpy = "2026-01-' in printed
    check_next_step(project, printed)


def test_what_to_do_where_a_likely_build_does_not_exist(
    bake: Bake, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    facts = load_facts()
    with Replica() as published:
        mirror = Mirror(published.url, flat=False, hosts=("127.0.0.1",))
        monkeypatch.setitem(facts.pytorch_mirrors, "published", mirror)
        given = {
            "torch_version": "2.15.0",
            "torch_backend": "cu130",
            "python_version": PYTHON,
            "pytorch_index": published.url,
            "after_generation": "lock",
        }
        bake(**given)
        printed = said(capfd)
        assert "\nuv finds no versions that fit, as it says above." in printed
        assert "Nobody has confirmed the builds for linux-aarch64." in printed
        platforms = f"linux-x86_64 {re.findall('with (linux[^ ]+) among', printed)[0]}"
        assert (bake(**given, project_slug="again", platforms=platforms).path / "uv.lock").exists()


@pytest.mark.parametrize("where", ["variable", "uv.toml"])
def test_a_cooldown_does_not_hide_torch(
    bake: Bake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    where: str,
) -> None:
    """Mirrors tell no upload dates, and PyTorch's index dates old wheels anew."""
    if where == "variable":
        monkeypatch.setenv("UV_EXCLUDE_NEWER", "2026-01-01")
    else:
        uv_toml(tmp_path, monkeypatch, 'exclude-newer = "2026-01-01"')
    project = bake(**{**ANSWERS, "python_version": PYTHON, "companions": "torchvision"})
    printed = said(capfd)
    check_locked(project.path)
    advice = re.search(r"depends on your own settings of uv \((exclude-newer = [^,)]+)", printed)
    assert advice
    assert "To set them for everybody, write them under [tool.uv] in pyproject.toml" in printed
    monkeypatch.delenv("UV_EXCLUDE_NEWER", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    manifest = project.path / "pyproject.toml"
    text = project.read("pyproject.toml")
    manifest.write_text(
        text.replace("[tool.uv]\n", f"[tool.uv]\n{advice[1]}\n", 1), encoding="utf-8"
    )
    project.lock()
    check_for_others(project)


def test_a_url_that_uv_writes_otherwise(
    bake: Bake, replica: Replica, capfd: pytest.CaptureFixture[str]
) -> None:
    url = f"http://LOCALHOST:{replica.server_port}/whl"
    project = bake(**{**ANSWERS, "python_version": PYTHON}, pytorch_index=url)
    assert "The project is in" in said(capfd)
    check_for_others(project)
    torch = [entry for entry in read_lock(project.path) if entry["name"] == "torch"]
    path = f":{replica.server_port}/whl/cpu"
    assert all(entry["source"]["registry"].endswith(path) for entry in torch)


@pytest.mark.parametrize(
    ("name", "announced"),
    [
        ("UV_INDEX", True),
        ("UV_DEFAULT_INDEX", True),
        ("UV_INDEX_URL", True),
        ("UV_EXTRA_INDEX_URL", True),
        ("UV_INDEX_STRATEGY", True),
        ("UV_INDEX_OURS_USERNAME", False),
        ("UV_INDEX_OURS_PASSWORD", False),
        ("UV_HTTP_TIMEOUT", False),
        ("PIP_INDEX_URL", False),
    ],
)
def test_variables_that_end_up_in_the_lock(hook: Any, name: str, announced: bool) -> None:
    assert hook.inherited([name, "HOME"])[0] == ([name] if announced else [])


@pytest.mark.parametrize(
    ("name", "aside"),
    [
        ("UV_FROZEN", True),
        ("UV_ISOLATED", True),
        ("UV_ENV_FILE", True),
        ("UV_PYTHON", True),
        ("UV_NO_INSTALL_PROJECT", True),
        ("UV_A_NEW_ONE", True),
        ("UV", False),
        ("UV_CACHE_DIR", False),
        ("UV_INDEX_OURS_PASSWORD", False),
        ("UV_PYTHON_INSTALL_MIRROR", False),
        ("UV_HTTP_TIMEOUT", False),
        ("UV_INDEX", False),
        ("UV_EXCLUDE_NEWER", False),
        ("VIRTUAL_ENV", False),
    ],
)
def test_variables_that_are_set_aside(hook: Any, name: str, aside: bool) -> None:
    assert hook.inherited([name])[1] == ([name] if aside else [])
