"""The command: what it prints and returns, what it writes, and when it writes nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from adopt import __main__ as command
from adopt import measure as original
from adopt.document import replace_files
from adopt.edit import Edit
from adopt.find import BROKEN, Finding
from adopt.measure import LARGEST, MOST_OPTIONS
from tests.adopt.helpers import LINUX, OFFICIAL, WINDOWS, Shop
from tests.adopt.test_answers import EXTRAS, HEAD, index
from tests.conftest import ROOT
from tests.helpers.machines import links
from tools.lib.lock import run_uv

MARKER = "platform_machine == 'x86_64' and sys_platform != 'darwin'"
BROKEN_FILE = (
    HEAD
    + 'dependencies = ["torch==2.9.1"]  # the cluster\n[tool.uv.sources]\n'
    + f'torch = {{ index = "pytorch-cu128", marker = "{MARKER}" }}\n'
    + index("cu128")
)
RIGHT_FILE = HEAD + 'dependencies = ["torch==2.9.1"]\n'


def test_people_read_a_table_and_what_is_wrong(shop: Shop) -> None:
    shop.put(BROKEN_FILE)
    status, text = shop.print("--check")
    lines = text.splitlines()
    assert status == 1
    assert lines[0] == "Today (of a lock made just now):"
    assert "    windows-x86_64  torch 2.9.1 (cpu, PyPI)" in lines
    assert "    linux-x86_64    torch 2.9.1+cu128 (cu128, pytorch-cu128)" in lines
    assert [line for line in lines if line.startswith("broken: ")] == [lines[-2]]


def test_the_difference_is_shown_and_not_written(shop: Shop) -> None:
    path = shop.put(BROKEN_FILE)
    before = path.read_bytes()
    status, text = shop.print()
    assert status == 0
    assert "AMD64" in text
    assert "After (of a lock made just now):" in text
    assert text.endswith("Nothing is written. --write writes it.\n")
    assert path.read_bytes() == before


def test_options_and_answers_stand_in_any_order(shop: Shop) -> None:
    shop.put(RIGHT_FILE)
    folder = str(shop.folder)
    for words in (
        [folder, "--write", "torch_version=2.8.0", "--json"],
        ["torch_version=2.9.1", "--json", folder, "--write"],
        ["--json", "--write", "torch_version=2.8.0", folder],
    ):
        assert command.main(words) == 0
        data = json.loads(shop.capsys.readouterr().out)
        wanted = next(word for word in words if "torch_version" in word).partition("=")[2]
        assert {cell["packages"]["torch"]["version"] for cell in data["after"]} == {wanted}
        assert shop.read()["project"]["dependencies"] == [f"torch=={wanted}"]


def test_the_path_may_be_left_out(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.put(RIGHT_FILE)
    monkeypatch.chdir(shop.folder)
    assert command.main(["--check"]) == 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["torch_verson=2.9.1"], "torch_verson is no answer about torch; those are: torch_version"),
        (["project_slug=x"], "is no answer about torch"),
        (["a", "b"], "one path at a time"),
        (["torch_version=2.9.1", "torch_version=2.8.0"], "give each answer once, and not torch_v"),
        (["--check", "torch_backend=cpu"], "change nothing: leave out answers and --write"),
        (["--locked", "--write"], "change nothing: leave out answers and --write"),
    ],
)
def test_usage(words: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        command.main(words)
    assert stopped.value.code == 2
    assert reason in capsys.readouterr().err


def test_a_login_is_shown_nowhere(shop: Shop) -> None:
    login = "https://joe:s3cret@host.example"
    shop.put(f'{HEAD}dependencies = ["torch @ {login}/torch-2.9.1-py3-none-any.whl ; foo == 3"]\n')
    assert "s3cret" not in str(shop.run("--check"))
    shop.put(
        f'{HEAD}dependencies = ["torch==2.9.1", "torchvision==0.24.1"]\n[tool.uv]\n'
        f'index = [{{ name = "own", url = "{login}/simple", explicit = true }}]\n'
    )
    said = shop.run("torch_version=2.9.0")
    assert [line for line in said.data["difference"] if "host.example" in line]
    assert "s3cret" not in str(said)


@pytest.mark.parametrize("variable", ["UV_NO_DEV=1", "UV_NO_GROUP=dev", "UV_NO_DEFAULT_GROUPS=1"])
def test_no_variable_hides_a_group(shop: Shop, variable: str) -> None:
    text = BROKEN_FILE.replace(
        "dependencies = [", "dependencies = []\n[dependency-groups]\ndev = ["
    )
    shop.put(text)
    shop.patch.setenv(*variable.split("="))
    said = shop.run("--check")
    assert said.status == 1
    assert said.builds(LINUX) == "2.9.1+cu128"


@pytest.mark.parametrize("where", ["source", "find-links", "index"])
def test_a_wheel_in_the_folder_is_measured_whatever_its_size(
    shop: Shop, stub_torch_wheel: Path, where: str
) -> None:
    wheel = shop.folder / "wheels" / stub_torch_wheel.name
    wheel.parent.mkdir(parents=True)
    shutil.copy(stub_torch_wheel, wheel)
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("torch/large", os.urandom(LARGEST))
    flat = '[[tool.uv.index]]\nname = "mine"\nurl = "wheels"\nformat = "flat"\n'
    settings = {
        "source": f'[tool.uv.sources]\ntorch = {{ path = "wheels/{wheel.name}" }}\n',
        "find-links": '[tool.uv]\nfind-links = ["./wheels"]\n',
        "index": f'{flat}explicit = true\n[tool.uv.sources]\ntorch = {{ index = "mine" }}\n',
    }
    text = f'{HEAD}dependencies = ["torch==2.13.0"]\n{settings[where]}'
    shop.put(text)
    said = shop.run("--check")
    assert "" not in said.data["unmeasured"]
    assert any(cell["packages"].get("torch") for cell in said.data["today"])
    assert wheel.stat().st_size > LARGEST


def test_the_lock_alone_without_a_network(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    text = BROKEN_FILE
    shop.put(text)
    assert shop.run("--check", "--locked").status == 2
    run_uv(shop.folder, "lock")
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(shop.folder.parent / "cache"))
    said = shop.run("--check", "--locked")
    assert (said.status, said.levels) == (1, ["broken"])
    assert said.builds(WINDOWS) == "2.9.1+cpu"


def test_a_lock_that_belongs_to_the_project_is_taken(shop: Shop) -> None:
    shop.put(HEAD + 'dependencies = ["torch==2.8.0"]\n')
    run_uv(shop.folder, "lock")
    shop.put(HEAD + 'dependencies = ["torch>=2.8"]\n')
    run_uv(shop.folder, "lock")
    said = shop.run("--check")
    assert (said.data["lock"], said.builds(LINUX)) == ("uv.lock", "2.8.0+cu128")
    shop.put(HEAD + 'dependencies = ["torch>=2.9"]\n')
    said = shop.run("--check")
    assert said.data["lock"].startswith("a lock made just now, since uv.lock does not belong")


def test_nothing_is_written_where_nothing_is_measured(shop: Shop) -> None:
    """Another package has no such release, whatever is written of torch."""
    path = shop.put(HEAD + 'dependencies = ["torch==2.9.1", "rich==0.0.0.1"]\n')
    before = path.read_bytes()
    words = ("torch_version=2.9.1", "torch_backend=cu128", "--write")
    said = shop.run(*words)
    assert said.status == 2
    assert "uv would not lock this" in said.error
    assert path.read_bytes() == before
    assert shop.run(*words, "--unmeasured").status == 0
    assert shop.read()["tool"]["uv"]["sources"]


@pytest.mark.parametrize("words", [[], ["--write"]])
def test_what_could_not_be_measured_is_told(words: list[str], shop: Shop) -> None:
    """With an edit that nobody has seen work, and without one."""
    text = EXTRAS.replace('cpu", extra = "cpu"', 'cpu", marker = "extra == \'cpu\'"')
    path = shop.put(text.replace("lightning", "rich==0.0.0.1"))
    status, text = shop.print(*words)
    assert "--write writes it." in text or words
    assert ("without --unmeasured. uv says:" in text, status) == (bool(words), 2)
    path.write_text(RIGHT_FILE, encoding="utf-8")
    shop.patch.setenv("UV", "not-there")
    status, text = shop.print(*words)
    assert (status, "Nothing is changed.\n" in text) == (2, True)


def test_without_uv(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.put(RIGHT_FILE)
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PATH", str(shop.folder))
    said = shop.run("--check")
    assert said.status == 2
    assert said.data["unmeasured"][""].startswith("uv cannot be started from $UV or PATH")


def test_a_setting_that_uv_drops_is_no_measure(shop: Shop) -> None:
    shop.put(RIGHT_FILE + '[tool.uv]\nenvironments = "no list"\n')
    said = shop.run("--check")
    assert said.status == 2
    assert "Failed to parse" in said.data["unmeasured"][""]


@pytest.mark.parametrize("is_asked", [False, True])
def test_what_nobody_asked_for_stops_the_command(is_asked: bool, shop: Shop) -> None:
    """A cell that changes, or something else that is broken then."""
    path = shop.put(RIGHT_FILE)
    before = path.read_bytes()
    edit = Edit(path, ("project", "dependencies"), "torch==2.9.1", "torch==2.8.0")

    def find(view: Any) -> list[Finding]:
        if "2.9.1" not in view.project.manifest.text:
            return [Finding(BROKEN, "A new fault.")] * is_asked
        platforms = view.platforms * is_asked
        return [Finding(BROKEN, "a mend that is wrong", "", platforms, (edit,))]

    shop.patch.setattr(command, "find", find)
    said = shop.run("--write")
    assert said.status == 2
    reason = "A new fault." if is_asked else "other versions on linux-x86_64 (`uv sync`)"
    assert reason in said.error
    assert path.read_bytes() == before


@pytest.mark.parametrize(("torch", "status"), [(1, 1), (MOST_OPTIONS, 2)])
def test_more_options_than_are_measured(torch: int, status: int, shop: Shop) -> None:
    """Those are measured first that name torch; one of them that is not is no good news."""
    names = [f"e{number}" for number in range(MOST_OPTIONS + 2)]
    lists = ['["rich"]'] * (len(names) - torch) + ['["torch==2.9.1"]'] * torch
    extras = "".join(f"{one} = {texts}\n" for one, texts in zip(names, lists, strict=True))
    marker = MARKER if torch == 1 else "sys_platform != 'darwin'"
    source = f'{{ index = "pytorch-cu128", marker = "{marker}" }}'
    sources = f"[tool.uv.sources]\ntorch = {source}\n{index('cu128')}"
    shop.put(f"{HEAD}[project.optional-dependencies]\n{extras}{sources}")
    said = shop.run("--check", "--locked")
    assert said.status == 2
    run_uv(shop.folder, "lock")
    said = shop.run("--check", "--locked")
    assert len(said.data["unmeasured"]) == 3
    assert all("measured at most" in why for why in said.data["unmeasured"].values())
    assert said.status == status


def test_who_reads_may_stop_and_no_character_is_too_much(shop: Shop) -> None:
    shop.put(BROKEN_FILE.replace("the cluster", "größer… 🚀"))
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    words = [sys.executable, "-m", "adopt", str(shop.folder)]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"the cluster" not in done.stdout
    with subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout
        assert running.stderr
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 1


def test_a_login_is_not_shown(shop: Shop) -> None:
    shop.put(
        RIGHT_FILE + '[[tool.uv.index]]\nname = "x"\nurl = "http://user:TOKEN@127.0.0.1:9/simple"\n'
    )
    shop.patch.setenv("UV_HTTP_RETRIES", "0")
    status, text = shop.print("--check")
    assert (status, "TOKEN" in text) == (2, False)


# --- Files ----------------------------------------------------------------------------------------


def test_mode_and_neighbours_stay(shop: Shop) -> None:
    path = shop.put(BROKEN_FILE)
    path.chmod(0o640)
    before = path.stat().st_mode
    assert shop.run("--write").status == 0
    assert path.stat().st_mode == before
    assert [one.name for one in shop.folder.iterdir()] == ["pyproject.toml"]
    assert [one.name for one in shop.folder.parent.iterdir()] == ["sample"]


@links
def test_a_link_to_the_file_stays_a_link(shop: Shop) -> None:
    path = shop.put(BROKEN_FILE)
    elsewhere = shop.folder.parent / "linked"
    elsewhere.mkdir()
    (elsewhere / "pyproject.toml").symlink_to(path)
    assert shop.run("--write", path="../linked").status == 0
    assert (elsewhere / "pyproject.toml").is_symlink()
    assert "AMD64" in path.read_text(encoding="utf-8")


def test_a_file_of_two_names_is_written_for_both(shop: Shop) -> None:
    path = shop.put(BROKEN_FILE)
    other = shop.folder.parent / "other.toml"
    other.hardlink_to(path)
    assert shop.run("--write").status == 0
    assert "AMD64" in path.read_text(encoding="utf-8")
    assert other.samefile(path)


def test_what_changed_meanwhile_is_not_overwritten(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shop.put(BROKEN_FILE)
    measure = original.measure

    def slow(*words: Any, **options: Any) -> Any:
        path.write_text("# mine\n" + BROKEN_FILE, encoding="utf-8")
        return measure(*words, **options)

    monkeypatch.setattr(command, "measure", slow)
    said = shop.run("--write")
    assert said.status == 2
    assert "was changed while uv was asked" in said.error
    assert path.read_text(encoding="utf-8").startswith("# mine")


def test_nothing_is_lost_where_writing_stops(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shop.put(BROKEN_FILE)
    before = path.read_bytes()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", stop)
    said = shop.run("--write")
    assert (said.status, said.data) == (2, {"error": "Interrupted. Nothing was written."})
    assert path.read_bytes() == before
    assert [one.name for one in shop.folder.iterdir()] == ["pyproject.toml"]


def test_a_file_that_may_not_be_written(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shop.put(BROKEN_FILE)
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK)  # uv is looked for by it too
    said = shop.run("--write")
    assert (said.status, "may not be written" in said.error) == (2, True)
    assert "AMD64" not in path.read_text(encoding="utf-8")


@pytest.mark.skipif(not hasattr(os, "chown"), reason="Windows gives no file away")
def test_the_owner_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_text("a", encoding="utf-8")
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "chown", lambda _, user, group: given.append((user, group)))
    replace_files({path: "a"}, {path: "b"})
    assert given == [(path.stat().st_uid, path.stat().st_gid)]
    assert path.read_text(encoding="utf-8") == "b"


def test_a_mark_of_notepad_stays(shop: Shop) -> None:
    path = shop.put("\ufeff" + BROKEN_FILE.replace("\n", "\r\n"))
    assert shop.run("--write").status == 0
    text = path.read_bytes().decode()
    assert text.startswith("\ufeff[project]\r\n")
    assert text.count("\n") == text.count("\r\n")
    assert "AMD64" in text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[project\n", "cannot be read"),
        (f"x = {'[' * 3000}{']' * 3000}\n", "nested too deeply"),
        (HEAD.replace("3.11", "^3.11") + "dependencies = []\n", "^3.11"),
        (HEAD + 'dependencies = ["torch=2.6.0"]\n', "torch=2.6.0"),
        (HEAD + "[dependency-groups]\na = [{ include-group = 'a' }]\n", "cannot be read"),
        ("[tool.ruff]\n", "no [project] table"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_sentence(text: str, reason: str, shop: Shop) -> None:
    shop.put(text)
    status, said = shop.print("--check")
    assert (status, reason in said) == (2, True), said


def test_what_is_no_file(shop: Shop) -> None:
    path = shop.folder / "pyproject.toml"
    status, said = shop.print()
    assert (status, f"There is no {path}. `uv init --bare` makes one." in said) == (2, True)
    if hasattr(os, "mkfifo"):
        path.symlink_to(path)
        assert shop.print()[0] == 2
        path.unlink()
        os.mkfifo(path)
    else:
        path.mkdir()
    status, said = shop.print()
    assert (status, "is not a file" in said) == (2, True)


# --- Workspaces -----------------------------------------------------------------------------------


def test_an_edit_goes_where_uv_reads_it(shop: Shop) -> None:
    """The source is the member's, the index and the constraint are the root's."""
    root = '[tool.uv.workspace]\nmembers = ["packages/*"]\n' + index("cpu")
    member = (
        HEAD.replace("sample", "core")
        + 'dependencies = ["torch==2.9.1", "torchvision==0.24.1", "torchaudio"]\n'
        + '[tool.uv.sources]\ntorch = { index = "pytorch-cpu" }\n'
    )
    shop.put(root)
    shop.put(member, "packages/core/pyproject.toml")
    said = shop.run("--write", path="packages/core")
    assert said.status == 0
    uv = shop.read()["tool"]["uv"]
    assert uv["constraint-dependencies"] == ["torchaudio>=2.9.1,<2.11.0"]
    assert "sources" not in uv
    sources = shop.read("packages/core/pyproject.toml")["tool"]["uv"]["sources"]
    assert sources["torchvision"] == {"index": "pytorch-cpu"}
    assert shop.run("--check").status == 0


def test_a_member_has_a_source_of_its_own(shop: Shop) -> None:
    source = '[tool.uv.sources]\ntorch = {{ index = "pytorch-{}" }}\n'
    workspace = '[tool.uv.workspace]\nmembers = ["core"]\n'
    shop.put(workspace + source.format("cpu") + index("cpu") + index("cu128"))
    member = HEAD + 'dependencies = ["torch==2.9.1"]\n' + source.format("cu128")
    path = shop.put(member, "core/pyproject.toml")
    assert shop.run("torch_backend=cpu", "--write", path="core").builds(LINUX, when="after") == (
        "2.9.1+cpu"
    )
    assert "pytorch-cpu" in path.read_text(encoding="utf-8")


def test_a_mend_may_change_all_members_on_the_platform_of_its_victim(shop: Shop) -> None:
    """The source that torchvision gets is the root's, and holds for those who require it."""
    member = HEAD.replace("sample", "core") + 'dependencies = ["torch==2.9.1"]\n'
    shop.put(member, "core/pyproject.toml")
    member = HEAD.replace("sample", "app") + 'dependencies = ["core", "torchvision==0.24.1"]\n'
    shop.put(member + "[tool.uv.sources]\ncore = { workspace = true }\n", "app/pyproject.toml")
    workspace = '[tool.uv.workspace]\nmembers = ["core", "app"]\n[tool.uv.sources]\n'
    sources = "core = { workspace = true }\napp = { workspace = true }\n"
    marker = "sys_platform != 'darwin'"
    torch = f'torch = {{ index = "pytorch-cu130", marker = "{marker}" }}\n{index("cu130")}'
    shop.put(f'{HEAD}dependencies = ["core", "app"]\n{workspace}{sources}{torch}')
    assert shop.run("--write").levels == ["broken"] * 2
    assert shop.run("--check").findings == []


def test_a_neighbour_outside_of_the_project_is_found(shop: Shop) -> None:
    head = HEAD.replace("sample", "other")
    other = shop.put(head + 'dependencies = ["torch==2.9.1"]\n', "../other/pyproject.toml")
    shop.put(HEAD + 'dependencies = ["other"]\n[tool.uv.sources]\nother = { path = "../other" }\n')
    said = shop.run("--check")
    assert (said.status, said.builds(LINUX)) == (0, "2.9.1+cu128")
    assert [one.name for one in other.parent.iterdir()] == ["pyproject.toml"]


def test_the_hook_of_pre_commit_reads_the_lock_alone() -> None:
    import yaml

    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert hook["entry"].split() == ["uv-torch-adopt", "--check", "--locked"]
    assert OFFICIAL not in hook["entry"]
