"""Any text at all in a free answer: the project stays valid, and says exactly that text."""

from __future__ import annotations

import ast
import os
import zipfile
from email.parser import Parser
from email.utils import getaddresses
from itertools import count
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.conftest import PYTHON, Bake, BakedProject
from torch_plan.addresses import PAGE, VERSION

HOSTILE = [
    pytest.param("quotes \" and ' and \"\"\" and '''", id="quotes"),
    pytest.param("back\\slash \\n \\u0041 \\", id="backslashes"),
    pytest.param("lines\nof\r\ntext\r\n\r\n", id="newlines"),
    pytest.param("{{ 7 * 7 }} {{ cookiecutter.project_slug }}", id="jinja-expression"),
    pytest.param("{% raw %}{% endraw %}{% for %}{# comment", id="jinja-statement"),
    pytest.param("{{cookiecutter.project_slug}}", id="name-of-a-template-folder"),
    pytest.param("{{ cookiecutter.__class__.__mro__ }}", id="jinja-escape"),
    pytest.param("🔥 naïve 模型 \u202eright to left\u202c שלום", id="unicode"),
    pytest.param("x" * 10_000, id="long"),
    pytest.param('"]\n[tool.uv]\nno-index = true\n#', id="toml"),
    pytest.param("$(touch pwned) `touch pwned` ; touch pwned | & > pwned", id="shell"),
    pytest.param("<script>alert(1)</script> [x](javascript:1) # *b* _i_ |", id="markdown"),
    pytest.param("tab\t nul-ish \x01 \x7f \x85 \u2028", id="control"),
    pytest.param("--help", id="option"),
    pytest.param("key: [value, *anchor] # !tag", id="yaml"),
]


def check(project: BakedProject, text: str) -> None:
    """Hold every file of a project against the language it is written in."""
    pyproject = project.pyproject
    assert pyproject["project"]["description"] == text
    assert pyproject["project"]["authors"] == [{"name": text}]
    assert pyproject["tool"]["uv"]["index"][0]["explicit"] is True
    assert "no-index" not in pyproject["tool"]["uv"]
    for path in project.path.rglob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"))
    assert yaml.safe_load(project.read(".github/workflows/ci.yml"))["name"] == "CI"
    assert yaml.safe_load(project.read(".github/dependabot.yml"))["version"] == 2
    readme = project.read("README.md").splitlines()
    assert readme[0].startswith("# ")
    assert "## Start" in readme[:8]
    tokens = MarkdownIt().parse(project.read("README.md"))
    kinds = {it.type for token in tokens for it in (token, *(token.children or ()))}
    assert not kinds & {"html_block", "html_inline", "image"}
    links = [it for token in tokens for it in token.children or () if it.type == "link_open"]
    assert all(str(link.attrs["href"]).startswith(("https://github.com/", PAGE)) for link in links)
    assert readme[-1].startswith(f"Made with uv-torch-template {VERSION}: `")


@pytest.mark.parametrize("text", HOSTILE)
def test_free_text_comes_back_unchanged(text: str, bake: Bake, tmp_path: Path) -> None:
    project = bake(project_name=text, project_slug="project", description=text, author_name=text)
    check(project, text)
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.slow
@pytest.mark.parametrize("text", ["lines\nof\r\ntext", '"quotes" \\ 🔥', "{{ 7 * 7 }}"])
def test_the_package_still_builds(text: str, bake: Bake) -> None:
    project = bake(description=text, author_name=text, python_version=PYTHON)
    project.uv("build", "--quiet")
    assert len(list((project.path / "dist").glob("my_ml_project-*"))) == 2


def test_the_package_names_its_author(bake: Bake) -> None:
    name = 'Zoë "Z", of `1` \\ $HOME'
    project = bake(
        author_name=f"{name} <a.b+c!#$%&'*/=?^_`{{|}}~-@example.org>", python_version=PYTHON
    )
    project.uv("build", "--quiet", "--wheel")
    (wheel,) = (project.path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = [path for path in archive.namelist() if path.endswith("/METADATA")]
        text = archive.read(metadata).decode("utf-8")
    ((said, address),) = getaddresses(Parser().parsestr(text).get_all("Author-email", []))
    assert said == name
    assert address == "a.b+c!#$%&'*/=?^_`{|}~-@example.org"


_slugs = count()


@pytest.mark.slow
@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(max_size=60).filter(str.strip))
@example("}}")
def test_text_that_nobody_thought_of(bake: Bake, text: str) -> None:
    slug = f"project-{next(_slugs)}"
    check(bake(project_name=text, project_slug=slug, description=text, author_name=text), text)


def test_an_answer_from_the_users_configuration_is_text_too(bake: Bake) -> None:
    config = Path(os.environ["COOKIECUTTER_CONFIG"])
    with config.open("a", encoding="utf-8") as file:
        file.write('default_context:\n  description: "{{ 7 * 7 }}"\n')
    assert bake().pyproject["project"]["description"] == "{{ 7 * 7 }}"
