"""Lock the new project, install it and run its smoke test, as far as the answers ask for it.

The project is complete without a lock: whatever fails here is said in plain words, with the one
command to run next, and nothing is taken back.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

SETTINGS = """{{ hook_settings(cookiecutter) }}"""
"""What the plan decided, as JSON: which steps, with which options, and the build to expect."""

REMOVED = (
    "VIRTUAL_ENV",
    "UV_FROZEN",
    "UV_LOCKED",
    "UV_NO_SOURCES",
    "UV_PROJECT",
    "UV_WORKING_DIR",
    "UV_PROJECT_ENVIRONMENT",
)
"""Variables of the caller that are about another project."""

CAUSES = (
    (r"Required uv version", "this uv is too old or too new for the project"),
    (
        r"No space left|Permission denied|Read-only file system|os error (13|28|30)",
        "uv cannot write there",
    ),
    (r"No interpreter found|No download found|incompatible with the project", "no Python fits"),
    (
        r"dns error|Connection refused|timed out|Request failed|Failed to fetch|error sending"
        r"|connect error|status (client|server) error",
        "an index cannot be reached",
    ),
    (r"No solution found|Because ", "the requirements cannot be resolved"),
)
"""What uv prints, and what it means in plain words."""


def main() -> int:
    """Run the steps that the answers ask for. Returns 0 whatever happens: the project stands."""
    settings = json.loads(SETTINGS)
    remove_empty(Path(".github"))
    if settings["after_generation"] == "nothing":
        return 0
    steps = [lock] if settings["after_generation"] == "lock" else [lock, sync, smoke]
    try:
        all(step(settings) for step in steps)
    except KeyboardInterrupt:
        say("Interrupted. The project is complete; what is left to do:", "uv lock")
    return 0


def lock(settings: dict[str, Any]) -> bool:
    """Write uv.lock with any interpreter that fits, the pinned one or another."""
    announced = sorted(
        name
        for name in os.environ
        if name == "UV_DEFAULT_INDEX" or (name.startswith("UV_INDEX") and "_PASSWORD" not in name)
    )
    if announced:
        say(f"Your environment sets {', '.join(announced)}: this ends up in uv.lock.")
    above = {path: path.read_bytes() for path in parent_locks()}
    fits = ["--python", settings["requires_python"]]
    if not uv("lock", ["lock", *fits], "uv lock"):
        return False
    if Path("uv.lock").exists():
        return True
    for path in parent_locks():
        if above.get(path) != path.read_bytes():
            restore(path, above.get(path))
            say(
                f"The project lies in the uv workspace of {path.parent}, whose lock uv would use in"
                " the place of its own; that lock is as it was. Move the project elsewhere, or add"
                f' exclude = ["{Path.cwd().relative_to(path.parent).as_posix()}"] to'
                f" [tool.uv.workspace] in {path.parent / 'pyproject.toml'}, then:",
                "uv lock",
            )
    return False


def sync(settings: dict[str, Any]) -> bool:
    """Install what the lock holds for this machine."""
    command = ["sync", *settings["sync"]]
    return uv("installation", command, " ".join(["uv", *command]))


def smoke(settings: dict[str, Any]) -> bool:
    """Run the smoke test, and demand the build that the plan gives this machine."""
    host = f"{sys.platform} {platform.machine()}"
    expected = settings["expect"].get(host)
    options = ["--expect", expected] if expected else []
    command = ["run", "--no-sync", settings["command"], *options]
    return uv("smoke test", command, " ".join(["uv", *command]), diagnose=lambda: "see above")


def uv(
    step: str, arguments: list[str], again: str, diagnose: Callable[[], str] | None = None
) -> bool:
    """Run uv with its progress visible. Says what failed, and the command to run next."""
    executable = os.environ.get("UV") or shutil.which("uv")
    if not executable or not shutil.which(executable):
        say("uv is not installed, so there is no lock yet. Next:", f"pip install uv && {again}")
        return False
    environment = {name: value for name, value in os.environ.items() if name not in REMOVED}
    try:
        done = subprocess.run([executable, *arguments], env=environment, stdin=subprocess.DEVNULL)
    except OSError as error:
        say(f"uv could not be started ({error}). Next:", again)
        return False
    if done.returncode == 0:
        return True
    reason = diagnose() if diagnose else cause([executable, *arguments], environment)
    if not reason:
        return True
    say(f"The {step} failed: {reason}. The project is complete and kept. Next:", again)
    return False


def cause(command: list[str], environment: dict[str, str]) -> str:
    """Ask uv once more, without retries, and put its answer in plain words.

    Empty if it succeeds this time.
    """
    quick = {**environment, "UV_HTTP_RETRIES": "0", "UV_HTTP_TIMEOUT": "10", "NO_COLOR": "1"}
    try:
        done = subprocess.run(
            command,
            env=quick,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "an index does not answer"
    if done.returncode == 0:
        return ""
    for pattern, meaning in CAUSES:
        if re.search(pattern, done.stderr):
            hosts = sorted(set(re.findall(r"https?://([^/\s`)]+)", done.stderr)))
            named = f" ({', '.join(hosts)})" if hosts and "index" in meaning else ""
            return meaning + named
    return "see above"


def parent_locks() -> list[Path]:
    """Return the locks in the folders above the project, where uv may keep a workspace's."""
    return [folder / "uv.lock" for folder in Path.cwd().parents if (folder / "uv.lock").is_file()]


def restore(path: Path, content: bytes | None) -> None:
    """Put a lock back to what it was before, which may be nothing."""
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


def remove_empty(folder: Path) -> None:
    """Remove a folder of which no file was rendered."""
    if folder.is_dir() and not any(path.is_file() for path in folder.rglob("*")):
        shutil.rmtree(folder)


def say(text: str, command: str = "") -> None:
    """Print a message, and a command on a line of its own."""
    print(f"\n{text}", *([f"\n    cd {Path.cwd().name} && {command}"] if command else []), sep="\n")


if __name__ == "__main__":
    sys.exit(main())
