"""The stand-in Pythons of the tests are what they say, to themselves and to uv."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import interpreters
from tests.helpers.interpreters import SAY_VERSION, stand_in
from tools.lib.lock import find_uv
from torch_plan.catalog.facts import load_facts

SYSTEM = Path("/usr/bin/python3")

BASES = ["running", "sitecustomize", *(["system"] if SYSTEM.exists() else [])]


@pytest.fixture(scope="module", params=BASES)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter to make stand-ins of: this one, one as Debian's, and the system's own."""
    match request.param:
        case "running":
            return sys.executable
        case "system":
            return str(SYSTEM)
        case _:
            return with_sitecustomize(tmp_path_factory.mktemp("base"))


def with_sitecustomize(folder: Path) -> str:
    """Return this Python as Debian packages it: its library has a `sitecustomize`."""
    library = Path(os.__file__).parent
    (folder / "lib" / library.name).mkdir(parents=True)
    for part in (*library.parent.glob("libpython*"), *library.iterdir()):
        (folder / "lib" / part.relative_to(library.parent)).symlink_to(part)
    customize = folder / "lib" / library.name / "sitecustomize.py"
    customize.unlink(missing_ok=True)
    customize.write_text("customized = True\n", encoding="utf-8")
    (folder / "bin").mkdir()
    return str(shutil.copy(Path(sys.base_prefix, "bin", library.name), folder / "bin/python3"))


@pytest.mark.parametrize("python", load_facts().all_pythons)
def test_a_stand_in_says_its_version(base: str, python: str) -> None:
    made = stand_in(python, base)
    ask_uv = [find_uv(), "python", "find", "--no-project", "--show-version", made]
    for ask in ([made, "-c", SAY_VERSION], ask_uv):
        assert subprocess.check_output(ask, encoding="utf-8").strip() == f"{python}.0"


def test_the_sitecustomize_of_a_base_runs_in_a_stand_in(tmp_path: Path) -> None:
    """Else the case above would show nothing."""
    made = stand_in("3.8", with_sitecustomize(tmp_path))
    code = "import sitecustomize; print(sitecustomize.customized)"
    assert subprocess.check_output([made, "-I", "-c", code], encoding="utf-8") == "True\n"


def test_a_stand_in_that_is_none_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreters, "_PRETEND", "")
    with pytest.raises(RuntimeError, match=r"and not 3\.8\.0"):
        stand_in("3.8", sys.executable)
