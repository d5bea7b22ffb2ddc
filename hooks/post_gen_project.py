"""Lock the new project, install it and run its smoke test, as far as the answers ask for it.

The project is complete without a lock: whatever fails here is said in plain words, with the one
command to run next, and nothing is taken back. Messages go to standard error, where uv's are too.
"""

# {% if cookiecutter.after_generation != "nothing" or not is_yes(cookiecutter.github_actions) %}
# Where there is nothing to do, Python starts for an empty file: that takes a third of the time.
from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

# Whoever generates waits for every import: what few runs need is imported where they need it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

SETTINGS = r"""{{ hook_settings(cookiecutter) }}"""
"""What the plan decided, as JSON: which steps, with which options, and the build to expect."""

CRUFT = """{{ '_commit' in cookiecutter }}"""
"""Whether cruft generates the project, and not cookiecutter: `True` or `False`."""

REMOVED = (
    "VIRTUAL_ENV",
    "UV_FROZEN",
    "UV_LOCKED",
    "UV_NO_CONFIG",
    "UV_NO_SOURCES",
    "UV_NO_SOURCES_PACKAGE",
    "UV_PROJECT",
    "UV_WORKING_DIR",
    "UV_PROJECT_ENVIRONMENT",
)
"""Variables of the caller that are about another project, or set aside what this one says."""

CAUSES = (
    (r"Required uv version", "The project needs a newer uv than this one; update it"),
    (r"No space left|os error (28|112)\b", "The disk is full"),
    (r"Read-only file system|os error 30\b", "The file system is read-only"),
    (
        r"Permission denied|Access is denied|os error (5|13)\b",
        "uv lacks the permission to write there",
    ),
    (
        r"No interpreter found|No download found",
        "There is no Python {python} here, and uv cannot download one",
    ),
    (r"incompatible with the project", "The Python that uv is told to use is not {python}"),
    (r"Hash mismatch for `([^`]+)`", "The file of {0} is not the one that its index promised"),
    (r"Hash mismatch", "{hosts} sent another file than it promised"),
    (r"network was disabled|Network connectivity is disabled", "uv is told to stay offline"),
    (r"invalid peer certificate", "The certificate of {hosts} is not trusted"),
    (r"status (?:client|server) error \((.+?)\)", "{hosts} answers {0}"),
    (
        r"returned an? (\d{3} [\w ]+) error",
        "{hosts} answers {0}: it wants a login, or lacks what is asked for",
    ),
    (r"timed out", "{hosts} does not answer in time"),
    (
        r"error decoding response body|end of file before message|Connection reset",
        "{hosts} breaks off in the middle of an answer",
    ),
    (
        r"error sending request|dns error|Connection refused|Failed to (fetch|download)"
        r"|Request failed",
        "{hosts} cannot be reached",
    ),
    (
        r"([\w.-]+) was not found in the package registry",
        "No index offers {0}; pyproject.toml says where they are",
    ),
    (
        r"No solution found|Because ",
        "The requirements cannot be met by what the indexes offer, as uv explains above",
    ),
)
"""What uv prints, and what it means in plain words, groups filled in; the first that fits."""

WORKSPACE = rb"(?m)^\s*\[?\s*(tool\.uv\.)?workspace\b"
"""What a `pyproject.toml` with a workspace holds, in each spelling."""


class Stopped(Exception):
    """A step that could not be done; the text is a plain sentence that says why."""


class WrongHash(Stopped):
    """A download that is not what its index, or the lock, promised."""


def main() -> int:
    """Run the steps that the answers ask for. Returns 0 whatever happens: the project stands."""
    settings = json.loads(SETTINGS)
    remove_empty(Path(".github"))
    if settings["after_generation"] == "nothing" or is_scratch(CRUFT, Path.cwd()):
        return 0
    is_new = not Path("uv.lock").exists()
    try:
        lock(settings, is_new)
        if settings["after_generation"] == "smoke":
            sync(settings, is_new)
            smoke(settings)
        return 0
    except KeyboardInterrupt:
        reason = "Interrupted."
    except Stopped as stopped:
        reason = str(stopped)
    except (OSError, subprocess.SubprocessError) as error:
        reason = f"uv cannot be run ({error})."
    say(f"{reason} The project is kept. To complete it, run:", next_command(settings))
    return 0


def is_scratch(cruft: str, project: Path) -> bool:
    """Tell whether cruft only renders to compare: it does so in folders of `tempfile`."""
    return cruft == "True" and re.fullmatch(r"tmp[a-z0-9_]{8}", project.parent.name) is not None


def remove_empty(folder: Path) -> None:
    """Remove a folder of which no file was rendered."""
    if folder.is_dir() and not any(path.is_file() for path in folder.rglob("*")):
        shutil.rmtree(folder, ignore_errors=True)


def lock(settings: dict[str, Any], is_new: bool) -> None:
    """Write uv.lock with any interpreter that fits, the pinned one or another.

    A new lock that takes nothing from an index of the project would install other builds in
    silence: it is removed.
    """
    uv = find_uv()
    names = inherited_indexes(os.environ)
    if names:
        say(f"Your environment sets {', '.join(names)}: uv heeds that too, and uv.lock shows it.")
    project, root = Path.cwd(), workspace_root(uv)
    if not root.samefile(project):
        member = project.relative_to(root).as_posix()
        raise Stopped(
            f"The project lies in the uv workspace of {root}, so uv would lock it there and not by"
            f" itself. Move it elsewhere, or add '{member}' to `exclude` of"
            f" [tool.uv.workspace] in {root / 'pyproject.toml'}."
        )
    run_uv(uv, lock_command(settings), settings)
    locked = Path("uv.lock")
    if not locked.is_file():
        raise Stopped("uv ended well and left no uv.lock in the project.")
    text = locked.read_text(encoding="utf-8")
    passed_over = [url for url in settings["indexes"] if f'"{url.rstrip("/")}' not in text]
    if passed_over:
        if is_new:
            locked.unlink()
        raise Stopped(
            f"uv passed over the index {passed_over[0]} of the project, so a uv.toml or a variable"
            " of yours overrules it: look for no-sources and UV_CONFIG_FILE. There is no lock yet."
        )


def sync(settings: dict[str, Any], is_new: bool) -> None:
    """Install what the lock holds for this machine.

    A new lock may hold a hash that was wrong at the index: uv would insist on it ever after.
    """
    try:
        run_uv(find_uv(), ["sync", *settings["sync"]], settings)
    except WrongHash as wrong:
        if not is_new:
            raise
        Path("uv.lock").unlink()
        raise Stopped(f"{wrong} So uv.lock is removed.") from None


def smoke(settings: dict[str, Any]) -> None:
    """Run the smoke test, and demand the build that the plan gives this machine."""
    command = [find_uv(), "run", "--no-sync", *smoke_command(settings)]
    if subprocess.run(command, env=environment(), stdin=subprocess.DEVNULL).returncode:
        raise Stopped("The smoke test found a problem, which it names above.")


def lock_command(settings: dict[str, Any]) -> list[str]:
    """Return uv's arguments for a lock that needs no download of the pinned Python."""
    return ["lock", "--python", settings["requires_python"]]


def smoke_command(settings: dict[str, Any]) -> list[str]:
    """Return the smoke test's command, with the build to expect if the plan names this machine."""
    import platform

    build = settings["expect"].get(f"{sys.platform} {platform.machine()}")
    return [settings["command"], *(["--expect", build] if build else [])]


def next_command(settings: dict[str, Any]) -> list[str]:
    """Return the one command that does all that the answers asked for, whatever is done already."""
    here = ["uv", "--directory", str(Path.cwd())]
    if settings["after_generation"] == "smoke":
        return [*here, "run", *settings["sync"], *smoke_command(settings)]
    return [*here, *lock_command(settings)]


def run_uv(uv: str, arguments: list[str], settings: dict[str, Any]) -> None:
    """Run uv with its progress visible; raises `Stopped` if it fails, and fails once more.

    What was shown cannot be read here, so uv is asked again, briefly: without retries. With uv's
    own defaults a server that never answers costs 130 seconds before, and 10 now.
    """
    command = [uv, *arguments]
    if subprocess.run(command, env=environment(), stdin=subprocess.DEVNULL).returncode == 0:
        return
    quick = {"UV_HTTP_TIMEOUT": "10", **environment(), "UV_HTTP_RETRIES": "0", "NO_COLOR": "1"}
    try:
        again = ask(command, quick, seconds=60)
    except subprocess.TimeoutExpired:
        raise Stopped("uv failed, as it says above.") from None
    if again.returncode:
        kind = WrongHash if "Hash mismatch" in again.stderr else Stopped
        raise kind(cause(again.stderr, settings["requires_python"]))


def cause(printed: str, python: str) -> str:
    """Return a plain sentence for what uv printed when it failed."""
    urls = re.findall(r"https?://(?:[^\s/@]*@)?([^/\s`)]+)", printed)
    download = re.search(r"Failed to download `([^`]+)`", printed)
    unnamed = f"The server of {download[1]}" if download else "A server"
    hosts = " and ".join(sorted(set(urls))) or unnamed
    for pattern, meaning in CAUSES:
        found = re.search(pattern, printed)
        if found:
            return meaning.format(*found.groups(), hosts=hosts, python=python) + "."
    return "uv failed, as it says above."


def workspace_root(uv: str) -> Path:
    """Return the folder in which uv would lock the project: its own, or that of a workspace.

    A uv that cannot tell (older than `uv workspace dir`) is not trusted beneath a workspace, of
    which the project may be no member. Without a `pyproject.toml` above there is no workspace.
    """
    manifests = [folder / "pyproject.toml" for folder in Path.cwd().parents]
    manifests = [manifest for manifest in manifests if manifest.is_file()]
    if not manifests:
        return Path.cwd()
    told = ask([uv, "workspace", "dir"], environment(), seconds=60)
    if told.returncode == 0 and Path(told.stdout.strip()).is_dir():
        return Path(told.stdout.strip())
    for manifest in manifests:
        if re.search(WORKSPACE, manifest.read_bytes()):
            return manifest.parent
    return Path.cwd()


def find_uv() -> str:
    """Return uv's path: `$UV`, which uv sets for what it runs, else the one on PATH."""
    uv = shutil.which(os.environ.get("UV") or "uv") or shutil.which("uv")
    if not uv:
        raise Stopped(
            "uv is not installed, and there is no lock without it. How to install it:"
            " https://docs.astral.sh/uv/getting-started/installation/."
        )
    return uv


def environment() -> dict[str, str]:
    """Return the caller's environment without what is about another project."""
    return {name: value for name, value in os.environ.items() if name not in REMOVED}


def inherited_indexes(variables: Iterable[str]) -> list[str]:
    """Return the variables that add or replace an index; those that hold only a login do not."""
    return sorted(
        name
        for name in variables
        if re.match(r"UV_(DEFAULT_|EXTRA_)?INDEX", name)
        and not name.endswith(("_USERNAME", "_PASSWORD"))
    )


def ask(
    command: list[str], variables: dict[str, str], seconds: int
) -> subprocess.CompletedProcess[str]:
    """Run a command and catch what it prints."""
    return subprocess.run(
        command,
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=seconds,
    )


def quote(word: str) -> str:
    """Quote a word for the shell of this system."""
    if os.name != "nt":
        import shlex

        return shlex.quote(word)
    return word if re.fullmatch(r"[\w:.\\-]+", word) else f'"{word}"'


def say(text: str, command: list[str] | None = None) -> None:
    """Print a message, and a command on a line of its own."""
    print(f"\n{text}", file=sys.stderr)
    if command:
        print("\n    " + " ".join(map(quote, command)) + "\n", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
# {% endif %}
