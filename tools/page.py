"""Write the page into the folder `site`: `uv run -m tools.page`.

It needs npm, which brings Pyodide. Jinja2 and MarkupSafe are those of this environment.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from urllib.parse import urlencode

from markdown_it import MarkdownIt

from page.choices import PROJECT, ROOT, answers_of, html, problems_of, said_of
from tools.docs import SUPPORT
from torch_plan.addresses import remote_of
from torch_plan.answers.records import NAMED
from torch_plan.catalog.facts import Facts, load_facts
from torch_plan.catalog.versions import FAMILIES, PYPI, family_of

HERE = ROOT / "page"

PYODIDE = "314.0.7"
PYODIDE_SHA512 = (
    "0YvXxEhfEdpLfb/XkM2BFAeMROq0iMUX2bzzH9pOttyMcWkwq+HbE5uyuGD82LN7y2q+SNvi/6V5JEsOlD2R1A=="
)
"""What npm says of the archive of this version, as `dist.integrity`."""

PYODIDE_FILES = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip")

NOT_LOADED = ("dialogue/*.py", "extension.py")
"""The modules of `torch_plan` that no choice of the page needs."""

POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; "
    "connect-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'"
)
"""Nothing comes from another host, and nothing goes to one. WebAssembly is what Pyodide is."""


def build(folder: Path) -> None:
    """Write the page; what was in the folder is gone. Exits where npm or node fails."""
    facts = load_facts()
    shutil.rmtree(folder, ignore_errors=True)
    pyodide, rules = folder / f"pyodide-{PYODIDE}", folder / "rules.zip"
    write_pyodide(pyodide)
    write_rules(rules)
    run("node", str(HERE / "compile.mjs"), str(pyodide), str(rules))
    (folder / "common.json").write_text(json.dumps(common(facts)), encoding="utf-8")
    for name in ("style.css", "page.js", "worker.js"):
        shutil.copy(HERE / name, folder)
    files = {}
    for path in [path for path in folder.iterdir() if path.is_file()]:
        # A browser may keep a file whose name changes with what is in it.
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        files[path.name] = path.rename(path.with_stem(f"{path.stem}.{digest}")).name
    parameters = urlencode({"pyodide": f"./{pyodide.name}/", "rules": f"./{files[rules.name]}"})
    files["worker.js"] += f"?{parameters}"
    shutil.copy(HERE / "icon.svg", folder)
    page = index(facts, files)
    (folder / "index.html").write_text(page, encoding="utf-8")


def run(*command: str) -> None:
    """Run a command. Exits where it is not there, or fails."""
    try:
        program = shutil.which(command[0]) or command[0]  # On Windows npm is a script.
        done = subprocess.run([program, *command[1:]], capture_output=True, encoding="utf-8")
    except OSError as error:
        sys.exit(f"The page needs npm and node: {error}")
    if done.returncode:
        sys.exit(f"`{' '.join(command[:2])}` failed, which the page needs: {done.stderr}")


def write_pyodide(folder: Path) -> None:
    """Write what a browser needs of Pyodide. Exits where npm does not bring it."""
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as downloads:
        run("npm", "pack", "--pack-destination", downloads, f"pyodide@{PYODIDE}")
        (archive,) = Path(downloads).glob("*.tgz")
        digest = hashlib.sha512(archive.read_bytes()).digest()
        if digest != base64.b64decode(PYODIDE_SHA512):
            sys.exit(f"Pyodide {PYODIDE} from npm is not the archive whose hash stands here.")
        shutil.unpack_archive(archive, downloads)
        for name in PYODIDE_FILES:
            shutil.copy(Path(downloads, "package", name), folder)
        lock = json.loads(Path(downloads, "package/pyodide-lock.json").read_text())
    # No package of Pyodide's own is loaded, so its list of 100 kB stays empty.
    (folder / "pyodide-lock.json").write_text(json.dumps({**lock, "packages": {}}))


def write_rules(path: Path) -> None:
    """Write the archive of all Python that runs in the browser, and of what it reads."""
    rules = {*(ROOT / "torch_plan").rglob("*.py")}
    for pattern in NOT_LOADED:
        rules -= {*(ROOT / "torch_plan").glob(pattern)}
    files = [
        *(*sorted(rules), ROOT / "torch_plan/catalog/builds.json", ROOT / "cookiecutter.json"),
        *sorted(path for path in (ROOT / PROJECT).rglob("*") if path.is_file()),
        *sorted(path for path in (ROOT / "templates").rglob("*") if path.is_file()),
        *(HERE / name for name in ("__init__.py", "choices.py", "result.html", "files.html")),
        *(HERE / "requirements.txt", HERE / "script.toml"),
    ]
    with zipfile.ZipFile(path, "w") as archive:
        for file in files:
            archive.write(file, file.relative_to(ROOT))
        remote = re.sub(r"//[^/@]*@", "//", remote_of(ROOT))
        archive.writestr(".git/config", f'[remote "origin"]\nurl = {remote}\n')
        for part in (*(metadata.files("jinja2") or ()), *(metadata.files("markupsafe") or ())):
            if part.suffix == ".py" or part.name.startswith("LICENSE"):
                archive.write(part.locate(), part)


def common(facts: Facts) -> dict[str, object]:
    """Return link -> what is said of each build of each release, all else being the default."""
    said: dict[str, object] = {}
    for release in facts.releases:
        for backend in facts.backends(release):
            answers = answers_of({"torch_version": release, "torch_backend": backend})
            # In the order of all answers, as the page writes a link.
            choice = {key: answers[key] for key in answers if key in NAMED}
            said[urlencode(choice)] = said_of(choice)
    return said


def index(facts: Facts, files: Mapping[str, str]) -> str:
    """Return the page itself; `files` are the names of the others."""
    default = said_of({})
    families: dict[str, list[str]] = {name: [] for name in FAMILIES.values()}
    for backend in reversed(facts.all_backends):
        families[FAMILIES[family_of(backend)]].append(backend)
    families[FAMILIES[PYPI]] = families.pop(FAMILIES[PYPI])
    support = SUPPORT.read_text(encoding="utf-8").partition("\n")[2]
    return html(
        "index.html",
        facts=facts,
        files=files,
        policy=POLICY,
        named=NAMED,
        answers=default["answers"],
        defaults=json.dumps(default["answers"]),
        said=default["html"],
        families=families,
        support=MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(support),
        refused=lambda name, value: is_refused(default["answers"], name, value),
    )


def is_refused(answers: Mapping[str, str], name: str, value: str) -> bool:
    """Tell whether a click would be refused: on a choice that is none of the default's."""
    choice, words = {key: answers[key] for key in NAMED}, answers[name].split()
    choice[name] = " ".join([*words, value]) if name in ("companions", "platforms") else value
    return value not in words and bool(problems_of(choice))


if __name__ == "__main__":
    build(ROOT / "site")
    print("The page is in the folder site.")
