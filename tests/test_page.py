"""What the page says of a choice, and the page as it is written; no browser is needed here."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from page.choices import (
    adopt_command_of,
    alone,
    answers_of,
    ask,
    command_of,
    files_of,
    have,
    part_of,
    problems_of,
    pyproject_of,
    said_of,
)
from tests.conftest import ROOT, Bake
from tests.helpers.interpreters import interpreter
from tests.helpers.locks import read_lock
from tools import page as build
from tools.lib.lock import installed, run_uv
from tools.lib.replica import Replica
from torch_plan.addresses import ADOPT
from torch_plan.answers.problems import with_changes
from torch_plan.answers.questions import choices, fixed_defaults
from torch_plan.catalog.facts import load_facts
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.project.plan import make_plan

FACTS = load_facts()

CHOICES = [
    pytest.param({}, id="default"),
    pytest.param({"torch_version": "2.9.1", "torch_backend": "cu128"}, id="cuda"),
    pytest.param({"torch_version": "2.9.1", "torch_backend": "rocm6.4"}, id="triton"),
    pytest.param({"torch_backend": "cpu gpu=cu132", "layout": "groups"}, id="groups"),
    pytest.param({"torch_backend": "cpu cu132", "layout": "extras"}, id="extras"),
    pytest.param({"torch_pin": "minimum", "package_index": "tuna"}, id="library"),
    pytest.param({"author_name": "Ada <ada@example.org>", "license": "MIT"}, id="author"),
    pytest.param(
        dict.fromkeys(("dockerfile", "distributed", "agents", "pre_commit"), "yes"), id="all-files"
    ),
]

OTHERS = [
    pytest.param({"torch_version": release, "torch_backend": backend}, marks=pytest.mark.slow)
    for release in FACTS.releases
    for backend in FACTS.backends(release)
][::9]
"""With `CHOICES`, some thirty."""

REFUSED = [
    pytest.param({"torch_version": "2.15.0", "torch_backend": "cu128"}, id="backend"),
    pytest.param({"python_version": "3.8", "torch_backend": "cu128"}, id="two-problems"),
    pytest.param({"torch_backend": "cpu cu130", "layout": "markers"}, id="layout"),
    pytest.param({"platforms": "linux-x86_64 macos-x86_64"}, id="platform"),
    pytest.param({"torch_version": "2.9.7", "companions": "torchvison"}, id="misspelt"),
    pytest.param({"project_name": 'Say "hi" for 5 $'}, id="quotes"),
]


class Elements(HTMLParser):
    """The elements of a page: names and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.all: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, dict(attrs)))

    def attributes(self, name: str) -> list[str]:
        """Return every value of an attribute."""
        return [str(attrs[name]) for _, attrs in self.all if name in attrs]


def test_the_default_asks_no_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 14, 2))
    answers = answers_of({})
    assert (answers["torch_version"], answers["torch_backend"]) == (FACTS.releases[-1], "cpu")
    assert answers["python_version"] == FACTS.pythons_of(FACTS.releases[-1])[0] == "3.11"


@pytest.mark.parametrize("choice", CHOICES)
def test_files_are_those_of_the_template(choice: dict[str, str], bake: Bake) -> None:
    project = bake(**{**answers_of(choice), "after_generation": "nothing"})
    assert pyproject_of(project.answers, project.plan) == project.read("pyproject.toml")
    written = [it for it in project.path.rglob("*") if it.is_file() and ".git" not in it.parts]
    files = files_of(project.answers)
    assert {it.relative_to(project.path).as_posix() for it in written} == files.keys()
    assert files == {name: project.read(name) for name in files}


@pytest.mark.parametrize("choice", [*CHOICES, *OTHERS])
def test_part_for_a_project_that_exists(
    choice: dict[str, str], replica: Replica, tmp_path: Path
) -> None:
    """What belongs to the project is left out, and with what is there uv gets the same builds."""
    answers = answers_of({**choice, "pytorch_index": replica.url, "package_index": "pypi"})
    plan = make_plan(answers)
    part = part_of(pyproject_of(answers, plan))
    assert "build-system" not in tomllib.loads(part)
    own = '[project]\nname = "mine"\nversion = "1"\n'
    if plan.default_groups:
        part = part.replace("[dependency-groups]\n", '[dependency-groups]\ndev = ["pytest"]\n')
    (tmp_path / "pyproject.toml").write_text(part.replace("[project]\n", own), encoding="utf-8")
    run_uv(tmp_path, "lock", f"--python={plan.python}")
    for option in plan.options:
        for cell in option.cells:
            selected = [f"--{plan.selector}", option.name] if plan.selector else []
            extra = ["--no-default-groups"] if plan.selector == "group" else []
            packages = installed(
                tmp_path, cell.platform, f"--python={plan.python}", *extra, *selected
            )
            expected = {it.name: it.full_version for it in cell.packages if it.version}
            assert packages.items() >= expected.items()


def test_part_says_which_tables_may_be_there_already() -> None:
    part = part_of(pyproject_of(answers_of({}), make_plan(answers_of({}))))
    marks = re.findall(r"^# (New|New, or merge into yours):\n(\[+.*)", part, re.MULTILINE)
    assert len(marks) == len(re.findall(r"^\[", part, re.MULTILINE))
    assert marks[0] == ("New, or merge into yours", "[project]")
    assert marks[-1] == ("New", "[[tool.uv.index]]")


@pytest.mark.parametrize("choice", [*CHOICES, *OTHERS])
def test_files_without_a_project(choice: dict[str, str], replica: Replica, tmp_path: Path) -> None:
    """With `requirements.txt`, and with the script, uv gets what the plan says of each platform."""
    answers = answers_of({**choice, "pytorch_index": replica.url, "package_index": "pypi"})
    plan = make_plan(answers)
    for option, (name, requirements, script) in zip(plan.options, alone(plan), strict=True):
        (tmp_path / "requirements.txt").write_text(requirements, encoding="utf-8")
        (tmp_path / "script.py").write_text(script, encoding="utf-8")
        assert name == (option.name if plan.selector else "")
        for cell in option.cells:
            options = [f"--python-platform={PLATFORMS[cell.platform].uv_name}"]
            options += ["--python", interpreter(plan.python)]
            strategy = "--index-strategy=unsafe-best-match"
            expected = {it.name: it.full_version for it in cell.packages if it.version}
            for command in (
                ["pip", "compile", "requirements.txt", strategy],
                ["sync", "--script", "script.py", "--dry-run"],
            ):
                printed = run_uv(tmp_path, *command, *options, MACOSX_DEPLOYMENT_TARGET="14.0")
                packages = dict(re.findall(r"^(?: \+ )?([\w.-]+)==(\S+)", printed, re.MULTILINE))
                assert packages.items() >= expected.items(), (command, cell.platform)


@pytest.mark.parametrize("choice", CHOICES[1:5])
def test_the_command_changes_a_project_that_exists(
    choice: dict[str, str], replica: Replica, tmp_path: Path
) -> None:
    command = adopt_command_of({**choice, "pytorch_index": replica.url})
    words = shlex.split(command)
    assert words[:4] == [*ADOPT]
    python = answers_of(choice)["python_version"]
    run_uv(tmp_path, "init", "--bare", f"--python={python}", "--name=mine")
    adopted = [sys.executable, "-m", "adopt", str(tmp_path), *words[5:]]
    subprocess.run(adopted, cwd=ROOT, check=True, capture_output=True)
    plan = make_plan(answers_of({**choice, "pytorch_index": replica.url}))
    written = tomllib.loads((tmp_path / "pyproject.toml").read_text(encoding="utf-8"))
    assert {it["url"] for it in written["tool"]["uv"]["index"]} == {it.url for it in plan.indexes}
    run_uv(tmp_path, "lock", f"--python={plan.python}")
    locked = {it["version"] for it in read_lock(tmp_path) if it["name"] == "torch"}
    assert locked == {cell.packages[0].full_version for cell in plan.cells}


@pytest.mark.parametrize("choice", [*CHOICES, *OTHERS])
def test_command_names_the_choice(choice: dict[str, str]) -> None:
    words = shlex.split(" ".join(command_of(choice)))
    assert words[:2] == ["uvx", "cookiecutter"]
    given = dict(word.split("=", 1) for word in words[words.index("--no-input") + 1 :])
    assert given.keys() == {"torch_version", "python_version", "torch_backend", *choice}
    assert answers_of(given) == answers_of(choice)


@pytest.mark.parametrize("name", ["half % off", "a!b", "“x”", "$HOME", "`id`", "back\\slash"])
def test_what_shells_read_in_their_own_ways_is_refused(name: str) -> None:
    (problem,) = problems_of({"project_name": name})
    (way,) = problem.ways
    assert not problems_of(with_changes({}, way))


@pytest.mark.parametrize("choice", REFUSED)
def test_every_button_leads_somewhere(choice: dict[str, str]) -> None:
    """Of one problem each does away with it; of several the first one does away with all."""
    said = said_of(choice)["html"]
    buttons = Elements(said).attributes("data-way")
    decisive = buttons if said.count("<h3>") == 1 else buttons[:1]
    assert decisive
    assert not [it for it in decisive if problems_of({**choice, **json.loads(it)})]


def labels(said: str) -> list[str]:
    return re.findall(r'data-way="[^"]*">([^<]*)<', said)


def test_buttons_say_what_they_change_once() -> None:
    """Not what stays the same; and one card has all that one cause is the reason of."""
    extras = {"torch_version": "2.13.0", "python_version": "3.12", "layout": "extras"}
    said = said_of({**extras, "torch_backend": "cpu cu118 rocm6.4 cu129"})["html"]
    assert said.count("<h3>") == 1
    assert re.search("torch_backend=cu118 .*, torch_backend=rocm6.4 ", said)
    (label,) = labels(said)
    assert "in place of cu118" in label
    said = said_of({"torch_version": "2.9.7", "companions": "torchvison"})["html"]
    assert labels(said)[0] == "PyTorch 2.9.1, torchvision"
    arm = "linux-x86_64 linux-aarch64 macos-arm64 windows-x86_64 windows-arm64"
    shown = labels(said_of({"platforms": arm})["html"])
    assert len(shown) == len({*shown})
    assert "without windows-arm64" in shown
    said = said_of({"companions": "torchvision torchcodec", "torch_version": "2.3.0"})["html"]
    assert labels(said)[:2] == ["torchcodec only where it exists", "without torchcodec"]


def test_every_note_is_there_with_its_buttons() -> None:
    for backend, release in (("cu128", "2.9.1"), ("cu129", "2.9.0"), ("cu126", "2.7.0")):
        choice = {"torch_version": release, "torch_backend": backend}
        answers = answers_of(choice)
        said = unescape(said_of(choice)["html"])
        for note in make_plan(answers).notes:
            assert note.text in said
            for way in note.ways:
                change = {key: value for key, value in way.items() if value != answers[key]}
                assert f'data-way="{json.dumps(change)}"' in said
                assert not problems_of(with_changes(answers, way))


def test_what_would_be_refused() -> None:
    pythons = [{"python_version": python} for python in FACTS.all_pythons]
    flags = json.loads(ask("refused", json.dumps(pythons)))
    supported = FACTS.pythons_of(FACTS.releases[-1])
    assert [not flag for flag in flags] == [it in supported for it in FACTS.all_pythons]


@pytest.mark.parametrize(
    ("text", "platform", "build"),
    [
        ("RTX 4090", "linux-x86_64", "cu132"),
        ("4090", "linux-x86_64", "cu132"),
        ("GTX 1080 Ti", "windows-x86_64", "cu126"),
        ("driver 535", "linux-x86_64", "cu126"),
        ("550.54.14, 8.9", "linux-x86_64", "cu126"),
        ("NVIDIA A100-SXM4-80GB", "linux-aarch64", "cu132"),
        ("RX 7900 XTX", "linux-x86_64", "rocm7.2"),
        ("Intel Arc", "windows-x86_64", "xpu"),
        ("", "macos-arm64", "cpu"),
        ("RTX 4090", "macos-arm64", "cpu"),
    ],
)
def test_what_somebody_has(text: str, platform: str, build: str) -> None:
    change, sentence = have(text, platform)
    assert change["torch_backend"] == build
    assert not problems_of(change)
    assert build in sentence


@pytest.mark.parametrize("text", ["nonsense", "RTX", "A1000", "24564MiB"])
def test_what_names_no_card(text: str) -> None:
    told = "That names no card and no driver that is known here."
    assert have(text, "linux-x86_64") == ({}, told)


def test_cards_are_named_in_the_place_of_compute_capabilities() -> None:
    said = said_of({"torch_version": "2.9.1", "torch_backend": "cu128"})["html"]
    assert "RTX 30, A10, A40, RTX 40, L4" in said
    assert "GTX 10" not in said
    assert "compute capability" not in said


def test_text_of_a_stranger_is_text() -> None:
    hostile = "<img src=x onerror=alert(1)>"
    for choice in ({"project_name": hostile}, {"platforms": hostile}, {"layout": hostile}):
        assert "<img" not in said_of(choice)["html"]


def test_unknown_answers_are_not_heeded() -> None:
    assert said_of({"nonsense": "1"})["html"] == said_of({})["html"]


# --- The page as it is written -------------------------------------------------------------------


@pytest.fixture(scope="module")
def elements() -> Elements:
    names = ("style.css", "page.js", "worker.js", "common.json")
    return Elements(build.index(FACTS, dict.fromkeys(names, "file")))


def values(elements: Elements, name: str) -> set[str | None]:
    return {attrs.get("value") for _, attrs in elements.all if attrs.get("name") == name}


def test_every_answer_that_decides_is_on_the_page(elements: Elements) -> None:
    assert values(elements, "torch_version") == {*FACTS.releases}
    assert values(elements, "python_version") == {*FACTS.all_pythons}
    assert values(elements, "torch_backend") == {*FACTS.all_backends}
    assert values(elements, "companions") == {*FACTS.all_companions}
    assert values(elements, "platforms") == {*PLATFORMS, None}
    assert values(elements, "pytorch_index") == {*FACTS.pytorch_mirrors, ""}
    assert values(elements, "package_index") == {"pypi", *FACTS.package_mirrors, ""}
    for key, options in choices().items():
        assert values(elements, key) == {*options}
    named = {it["name"] for tag, it in elements.all if tag in ("input", "select") and "name" in it}
    assert named == fixed_defaults().keys() - {"project_slug", "description", "author_name"}


def test_every_control_has_a_label(elements: Elements) -> None:
    labels = 0
    for tag, attrs in elements.all:
        labels += tag == "label"
        if tag in ("input", "select"):
            labels -= 1
            assert labels == 0 or attrs.get("aria-label")
            labels = 0


def test_nothing_comes_from_elsewhere(elements: Elements) -> None:
    for name in ("src", "srcset", "data-worker", "data-common"):
        assert not [it for it in elements.attributes(name) if "//" in it]
    for tag, attrs in elements.all:
        assert tag != "link" or "//" not in str(attrs["href"])
        assert not [name for name in attrs if name.startswith("on") or name == "style"]


def test_the_table_has_every_release(elements: Elements) -> None:
    rows = [tag for tag, _ in elements.all[elements.all.index(("noscript", {})) :] if tag == "tr"]
    assert len(rows) == len(FACTS.releases) + 1


def test_common_choices_are_every_build_of_every_release() -> None:
    common = build.common(FACTS)
    builds = {(release, it) for release in FACTS.releases for it in FACTS.backends(release)}
    links = [dict(parse_qsl(link)) for link in common]
    assert {(it["torch_version"], it["torch_backend"]) for it in links} == builds
    link, said = list(common.items())[40]
    assert said == said_of(dict(parse_qsl(link)))


def test_what_runs_in_the_browser_is_all_there(tmp_path: Path) -> None:
    """The archive alone, and the standard library, say the same."""
    archive = tmp_path / "rules.zip"
    build.write_rules(archive)
    code = (
        "import shutil, sys; shutil.unpack_archive(sys.argv[1], sys.argv[2]);"
        "sys.path[:0] = [sys.argv[2]]; from page.choices import ask; print(ask('say', '[{}]'))"
    )
    command = [sys.executable, "-I", "-S", "-c", code, str(archive), str(tmp_path / "rules")]
    done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
    assert done.stdout == ask("say", "[{}]") + "\n"


def test_only_what_the_page_loads_is_shipped(tmp_path: Path) -> None:
    """Of `torch_plan` the archive has what a Python loads that is asked for plans and refusals."""
    build.write_rules(tmp_path / "rules.zip")
    asked = [case.values[0] for case in (*CHOICES, *REFUSED)]
    code = (
        "import json, sys; from page.choices import ask;"
        "[ask('say', json.dumps([choice])) for choice in json.loads(sys.argv[1])];"
        "ask('refused', '[{}]'); ask('files', '[{}]');"
        "ask('have', json.dumps(['RTX 4090', 'linux-x86_64']));"
        "print(json.dumps([*sys.modules]))"
    )
    command = [sys.executable, "-c", code, json.dumps(asked)]
    loaded = {*json.loads(subprocess.check_output(command, cwd=ROOT))}
    assert not {"click", "subprocess", "cookiecutter"} & loaded
    with zipfile.ZipFile(tmp_path / "rules.zip") as archive:
        shipped = {
            name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            for name in archive.namelist()
            if name.startswith("torch_plan/") and name.endswith(".py")
        }
    assert shipped == {name for name in loaded if name.partition(".")[0] == "torch_plan"}


def test_a_page_without_npm_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="needs npm and node"):
        build.build(tmp_path / "site")


def test_scripts_have_no_host_of_their_own() -> None:
    def hosts() -> Iterator[str]:
        for name in ("page.js", "worker.js", "style.css"):
            yield from re.findall(r"https?://", (build.HERE / name).read_text(encoding="utf-8"))

    assert not [*hosts()]
