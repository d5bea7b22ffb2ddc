"""Give the new project a repository, lock it, install it, test it: what the answers ask for.

The project is complete without a lock: whatever fails here is said in plain words, with the one
command to run next, and nothing is taken back. Messages go to standard error, where uv's are too.
"""

from __future__ import annotations

import os
import sys

# Every import makes the user wait. Where there is nothing to run, these would take longer than all
# the rest.
if "nothing" not in "{{ cookiecutter.after_generation }}":
    import re
    import subprocess
    from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

SETTINGS: dict[str, Any] = {}
"""What the plan decided: which steps, with which options, and the build to expect."""
# Rendering fills it in: {{ "\n" }}SETTINGS = {{ hook_settings(cookiecutter) }}

OWN = r"UV_(DEFAULT_|EXTRA_)?INDEX(?!.*_(USERNAME|PASSWORD)$).*|UV_EXCLUDE_NEWER.*"
"""Variables that uv heeds here, and that uv.lock shows: which index, and a cooldown."""

ACCESS = (
    r"UV_INDEX_.*_(USERNAME|PASSWORD)|UV_(CACHE|CREDENTIALS)_DIR|UV_NO_CACHE|UV_LINK_MODE"
    r"|UV_(HTTP|REQUEST|UPLOAD|LOCK)_.*|UV_CONCURRENT_.*|UV_NATIVE_TLS|UV_SYSTEM_CERTS"
    r"|UV_INSECURE_.*|UV_KEYRING_PROVIDER|UV_OFFLINE|UV_(NO_)?MANAGED_PYTHON|UV_PYTHON_.*"
    r"|UV_.*_(MIRROR|TOKEN)|UV_NO_PROGRESS|UV_STACK_SIZE|UV_NO_BUILD(_PACKAGE)?|UV_MALWARE_CHECK"
    r"|UV_COMPILE_BYTECODE.*|UV_RUN_RECURSION_DEPTH|UV_TOOL_.*|UV_TORCH_BACKEND"
    r"|UV_CUDA_DRIVER_VERSION|UV_AMD_GPU_ARCHITECTURE"
)
"""Variables about access, caches and safety, which say nothing about a project.

uv's other variables are ignored here: they are about another project, or overrule this one.
"""

CAUSES = (
    (
        r"Required uv version `([^`]+)`",
        "This uv is not {0}, as pyproject.toml or a uv.toml of yours demands; update it",
    ),
    (r"No space left|os error (28|112)\b", "The disk is full"),
    (r"Read-only file system|os error 30\b", "The file system is read-only"),
    (r"os error 396\b", "A cloud folder cannot hold links; set UV_LINK_MODE=copy"),
    (
        r"(?s)renam.*os error (5|32)\b",
        "Another program, such as a virus scanner, holds a file that uv wants to rename; try again",
    ),
    (
        r"Permission denied|Access is denied|os error (5|13)\b",
        "uv has no permission to write there",
    ),
    (
        r"No interpreter found|No download found",
        "There is no Python {python} here, and uv cannot download one",
    ),
    (r"Hash mismatch for `([^`]+)`", "The file of {0} is not the one that its index promised"),
    (r"Hash mismatch", "{hosts} sent a different file than it promised"),
    (
        r"network was disabled|Network connectivity is disabled",
        "uv is told to stay offline, by UV_OFFLINE or `offline` in a uv.toml of yours",
    ),
    (
        r"`([\w.-]+)` was filtered by `exclude-newer`",
        "A cooldown (UV_EXCLUDE_NEWER, or `exclude-newer` in a uv.toml of yours) hides {0}: it"
        " hides every file for which the index gives no upload date",
    ),
    (
        r"required for `([^`]+)` because using pre-built wheels is disabled",
        "{0} has wheels only, which `no-binary` in a uv.toml of yours forbids",
    ),
    (
        r"Distribution `([^`@ ]+)[^`]*` can't be installed because",
        "{0} has no wheel for this machine or its Python; `environments` in pyproject.toml lists"
        " the platforms of the project",
    ),
    (r"invalid peer certificate", "The certificate of {hosts} is not trusted"),
    (r"status (?:client|server) error \((.+?)\)", "{hosts} answers {0}"),
    (
        r"returned an? (\d{3} [\w ]+) error",
        "{hosts} answers {0}: it needs a login, or does not have the file",
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
        r"Failed to build `([^`]+==[^`]+)`",
        "{0} cannot be built; `resolution`, `no-binary` or `prerelease` in a uv.toml of yours can"
        " choose such versions",
    ),
    (
        r"([\w.-]+) was not found in the package registry",
        "None of the indexes in pyproject.toml has {0}",
    ),
    (
        r"No solution found|Because ",
        "The indexes do not have what the requirements ask for, as uv explains above",
    ),
)
"""What uv prints, and what it means in plain words, groups filled in; the first that fits."""

WORKSPACE = rb"(?m)^\s*\[?\s*(tool\.uv\.)?workspace\b"
"""What a `pyproject.toml` with a workspace holds, in each spelling."""


class Stopped(Exception):
    """A step that could not be done; the text is a plain sentence that says why.

    `outside` is the folder that the project has to move to, if it cannot be done here; `instead`
    the command that helps, where it is another than that for the same step; `printed` what uv said.
    """

    def __init__(
        self,
        reason: str,
        outside: Path | None = None,
        instead: list[str] | None = None,
        printed: str = "",
    ) -> None:
        super().__init__(reason)
        self.outside, self.instead, self.printed = outside, instead, printed


class WrongHash(Stopped):
    """A download that is not what its index, or the lock, promised."""


def main() -> None:
    """Run the steps that the answers ask for; whatever fails, the project stands."""
    settings = SETTINGS
    if settings["is_cruft"] and is_scratch():
        return
    if not settings["github_actions"]:
        remove_empty(".github")
    try:
        if settings["git"]:
            start_repository()
        if settings["after_generation"] != "nothing":
            complete(settings)
        say_ready(settings)
    except KeyboardInterrupt:
        say_kept("Interrupted.", settings)
    except Stopped as stopped:
        say_kept(str(stopped), settings, stopped.outside, stopped.instead)
    except OSError as error:
        say_kept(f"uv cannot be run ({error}).", settings)


def is_scratch() -> bool:
    """Tell whether cruft only renders to compare: it does so in folders of `tempfile`."""
    import re
    from pathlib import Path

    return re.fullmatch(r"tmp[a-z0-9_]{8}", Path.cwd().parent.name) is not None


def remove_empty(name: str) -> None:
    """Remove a folder of which no file was rendered."""
    import shutil
    from pathlib import Path

    if not any(path.is_file() for path in Path(name).rglob("*")):
        shutil.rmtree(name, ignore_errors=True)


def start_repository() -> None:
    """Make the project a git repository, as `uv init` does, unless it lies in one already.

    Without git nothing happens, and nothing is said.
    """
    import subprocess
    from pathlib import Path

    project = Path.cwd()
    if any((folder / ".git").exists() for folder in (project, *project.parents)):
        return
    command = ["git", "init", "--quiet", "--initial-branch=main"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    except OSError:
        return
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip()
        say(f"git could not make the project a repository: {told}")


def complete(settings: dict[str, Any]) -> None:
    """Lock, and for `smoke` install and test; `Stopped` says what could not be done."""
    uv = find_uv()
    refuse_old_uv(uv, settings["required_uv"])
    say_variables(settings)
    refuse_workspace(uv)
    old = Path("uv.lock").read_bytes() if Path("uv.lock").exists() else None
    lock(uv, settings, old)
    if settings["after_generation"] == "smoke":
        sync(uv, settings, old)
        smoke(uv, settings)


def refuse_old_uv(uv: str, required: str) -> None:
    """Raise `Stopped` for a uv older than `required`, such as `>=0.10.0`.

    Before 0.9.25 uv drops all settings where it meets one that it does not know, `required-version`
    among them, and locks something else in silence.
    """
    told = re.search(r"\d+\.\d+\.\d+", ask([uv, "--version"], environment(), seconds=60).stdout)
    least = required.removeprefix(">=")
    if told and [int(part) for part in told[0].split(".")] < [int(it) for it in least.split(".")]:
        raise Stopped(f"This is uv {told[0]}, and the project needs {least} or newer; update it.")


def say_variables(settings: dict[str, Any]) -> None:
    """Say which of the caller's variables end up in uv.lock, and which are set aside."""
    own, aside = inherited(os.environ)
    if own:
        say(f"Your environment sets {', '.join(own)}: uv uses it here, and uv.lock records it.")
    if aside:
        settings["frozen"] = ["--frozen"]
        names = ", ".join(aside)
        say(f"Your environment sets {names}: uv ignores it here, so that uv.lock suits all.")


def refuse_workspace(uv: str) -> None:
    """Raise `Stopped` where uv would lock somebody's workspace instead of the project."""
    project, root = Path.cwd(), workspace_root(uv)
    if root.samefile(project):
        return
    member = project.relative_to(root).as_posix()
    outside = root.parent / project.name
    raise Stopped(
        f"The project lies in the uv workspace of {root}, so uv would lock the workspace instead of"
        f" the project. To leave it there, add '{member}' to `exclude` of [tool.uv.workspace] in"
        f" {root / 'pyproject.toml'} and run `uv lock`; otherwise move it, as below.",
        outside.with_name(f"{project.name}-moved") if outside.exists() else outside,
    )


def lock(uv: str, settings: dict[str, Any], old: bytes | None) -> None:
    """Write uv.lock, for everybody, with any interpreter that fits, the pinned one or another.

    The caller's settings may be needed to reach the indexes, so they are heeded at first. uv then
    tells whether the lock is right for somebody without them. If not, it is made again without
    them; unless it depends on an index or a cooldown of theirs, which is their decision.
    """
    try:
        run_uv(uv, lock_command(settings), settings)
    except Stopped as stopped:
        raise doubted(stopped.printed, settings) or stopped from None
    locked = Path("uv.lock")
    if not locked.is_file():
        raise Stopped("uv succeeded, but left no uv.lock in the project.")
    why = why_outdated(uv, settings)
    facts = personal_facts(locked.read_text(encoding="utf-8"), why)
    if not why and not facts:
        return
    about = f" ({', '.join(facts)})" if facts else ""
    cooldown = re.search(
        r'exclude-newer-span = (".+")|exclude-newer = (".+")', "\n".join(facts[::-1])
    )
    if "exclude newer" in why and cooldown:
        setting = f"exclude-newer = {cooldown[1] or cooldown[2]}"
        say(
            "uv.lock records your cooldown: `uv sync --locked` fails wherever it is not set, CI"
            f" included. To set it for everybody, put `{setting}` under [tool.uv] in pyproject.toml"
            " and run `uv lock`."
        )
        return
    if re.search("missing remote index|exclude newer", why):
        say(
            f"uv.lock depends on your own settings of uv{about}: `uv sync --locked` fails"
            " wherever they are missing, CI included."
        )
        return
    locked.unlink()
    try:
        again = ask([uv, *lock_command(settings)], environment(own=False), seconds=600)
    finally:
        if old is not None and not locked.exists():
            locked.write_bytes(old)
    if again.returncode:
        raise Stopped(
            f"A uv.toml of yours changes uv.lock{about}, and without it uv cannot lock:"
            f" {cause(again.stderr, settings['requires_python'])} Remove that setting."
        )
    settings["frozen"] = ["--frozen"]
    say(
        f"A uv.toml of yours changes uv.lock{about}, so it was made without it. As long as you keep"
        " that setting, run uv with `--frozen` here, or it changes uv.lock again."
    )


def doubted(printed: str, settings: dict[str, Any]) -> Stopped | None:
    """Return what to do where uv did not find a build that is only likely, None where it is not so.

    uv names the platforms that it could not serve where it looked at some of them alone.
    """
    if "No solution found" not in printed or "exclude-newer" in printed:
        return None
    split = re.search(r"for split \(markers: (.+)\)", printed)
    likely = settings["likely"]
    named = [where for where in likely if split and all(it in split[1] for it in where.split())]
    for where in [*named, *likely][:1]:
        platform, command = likely[where]
        return Stopped(
            f"{platform} was to get a build that very likely exists, but uv did not find it.",
            instead=command,
        )
    return None


def why_outdated(uv: str, settings: dict[str, Any]) -> str:
    """Return why uv would lock anew for somebody without the caller's settings; empty if not."""
    check = [uv, *lock_command(settings), "--check", "--offline", "--verbose"]
    told = ask(check, environment(own=False), seconds=60)
    found = re.search(r"existing lockfile due to (.+)", told.stderr) if told.returncode else None
    return found[1] if found else ""


def personal_facts(lock: str, why: str) -> list[str]:
    """Return what a lock has from its maker's settings: an index, folders, options of uv.

    uv does not report a folder as long as it exists. Options that are `false` are the project's
    own: they exempt packages from a cooldown.
    """
    head = re.split(r"\n\[(?!options)", lock.partition("\n[options")[2])[0]
    options = re.findall(r"(?m)^[\w-]+ = (?!false).+", head) if why else []
    folders = re.findall(r'registry = "((?!https?://)[^"]+)"', lock)
    index = re.findall(r"missing remote index: .* from `(?:(\w+://)[^/@]*@)?([^?#`]+)", why)
    return [*map("".join, index), *dict.fromkeys(folders), *options]


def sync(uv: str, settings: dict[str, Any], old: bytes | None) -> None:
    """Install what the lock holds for this machine.

    A new lock may hold a hash that was wrong at the index: uv would insist on it ever after.
    """
    try:
        run_uv(uv, ["sync", "--frozen", *settings["sync"]], settings)
    except WrongHash as wrong:
        if old is not None:
            raise
        Path("uv.lock").unlink()
        raise Stopped(f"{wrong} So uv.lock is removed.") from None


def smoke(uv: str, settings: dict[str, Any]) -> None:
    """Run the smoke test, and demand the build that the plan gives this machine."""
    command = [uv, "run", "--no-sync", *smoke_command(settings)]
    status = subprocess.run(command, env=environment(), stdin=subprocess.DEVNULL).returncode
    if status == 1:
        raise Stopped("The smoke test found a problem, which it names above.")
    if status:
        raise Stopped(f"The smoke test did not run to its end (exit status {status}).")


def lock_command(settings: dict[str, Any]) -> list[str]:
    """Return uv's arguments for a lock that needs no download of the pinned Python."""
    return ["lock", "--python", settings["requires_python"]]


def smoke_command(settings: dict[str, Any]) -> list[str]:
    """Return the smoke test's command, with the build to expect if the plan names this machine."""
    import platform

    build = settings["expect"].get(f"{sys.platform} {platform.machine()}")
    return [settings["command"], *(["--expect", build] if build else [])]


def next_command(settings: dict[str, Any], project: Path | None = None) -> list[str]:
    """Return the one command that does all that the answers asked for, whatever is done already."""
    here = ["uv", "--directory", str(project or Path.cwd())]
    if settings["after_generation"] == "smoke":
        return [*here, "run", *settings["sync"], *smoke_command(settings)]
    return [*here, *lock_command(settings)]


def run_uv(uv: str, arguments: list[str], settings: dict[str, Any]) -> None:
    """Run uv with its progress visible; raises `Stopped` if it fails.

    What was shown cannot be read here, so a uv that fails is run once more, to read why: without
    retries, so that it takes 10 seconds where the first run took 130.
    """
    command = [uv, *arguments]
    if subprocess.run(command, env=environment(), stdin=subprocess.DEVNULL).returncode == 0:
        return
    quick = {"UV_HTTP_TIMEOUT": "10", **environment(), "UV_HTTP_RETRIES": "0", "NO_COLOR": "1"}
    again = ask(command, quick, seconds=60)
    if again.returncode:
        kind = WrongHash if "Hash mismatch" in again.stderr else Stopped
        raise kind(cause(again.stderr, settings["requires_python"]), printed=again.stderr)


def cause(printed: str, python: str) -> str:
    """Return a plain sentence for what uv printed when it failed."""
    hosts = sorted(set(re.findall(r"https?://(?:[^\s/@]*@)?([^/\s`)]+)", printed)))
    download = re.search(r"Failed to download `([^`]+)`", printed)
    unnamed = f"The server of {download[1]}" if download else "A server"
    for pattern, meaning in CAUSES:
        found = re.search(pattern, printed)
        if found:
            named = " and ".join(hosts) or unnamed
            return meaning.format(*found.groups(), hosts=named, python=python) + "."
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
    """Return uv's path: `$UV`, which uv sets for what it runs, else the one on PATH.

    `tools/lib/lock.py` does the same: a hook cannot import it.
    """
    import shutil

    uv = shutil.which(os.environ.get("UV") or "uv") or shutil.which("uv")
    if not uv:
        raise Stopped(
            "uv is not installed, so there is no lock yet. To install uv, see"
            " https://docs.astral.sh/uv/getting-started/installation/."
        )
    return uv


def inherited(variables: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the variables of uv that end up in uv.lock, and those that are set aside."""
    uvs = sorted(name for name in variables if name.startswith("UV_"))
    own = [name for name in uvs if re.fullmatch(OWN, name)]
    return own, [name for name in uvs if name not in own and not re.fullmatch(ACCESS, name)]


def environment(own: bool = True) -> dict[str, str]:
    """Return the environment for uv: the caller's, without what is about another project.

    Without their `own` settings there is no uv.toml of theirs either, since uv looks for one
    beneath a file. That of the whole machine stays.
    """
    in_lock, aside = inherited(os.environ)
    left_out = {*aside, "VIRTUAL_ENV", "PYTHONPATH", *(() if own else in_lock)}
    nowhere = dict.fromkeys(("XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "APPDATA"), __file__)
    heeded = {name: value for name, value in os.environ.items() if name not in left_out}
    return heeded if own else {**heeded, **nowhere}


def ask(
    command: list[str], variables: dict[str, str], seconds: int
) -> subprocess.CompletedProcess[str]:
    """Run a command and catch what it prints; raises `Stopped` if it takes longer."""
    try:
        return subprocess.run(
            command,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise Stopped("uv failed, as it says above.") from None


def quote(word: str) -> str:
    """Quote a word for the shell of this system; as `shlex` does, without what that imports."""
    plain = r":.\_-" if os.name == "nt" else "/:.,=@_-"
    if all(letter.isalnum() or letter in plain for letter in word):
        return word
    return f'"{word}"' if os.name == "nt" else "'" + word.replace("'", "'\"'\"'") + "'"


def say_ready(settings: dict[str, Any]) -> None:
    """Say where the project is, which torch it has, and what to type next."""
    project = settings["project"]
    if not project:
        from pathlib import Path

        project = str(Path.cwd())
    after = settings["after_generation"]
    options = [*settings.get("frozen", []), *settings["sync"]]
    step = ["run", *options, settings["command"]] if after == "smoke" else ["sync", *options]
    text = f"The project is in {project}, with {settings['torch']}. The next step:"
    if os.name == "nt":  # where not every shell knows `&&`
        say(text, ["uv", "--directory", project, *step])
    else:
        say(text, ["cd", project], ["uv", *step])
    if after == "nothing":
        say_commit(settings)


def say_kept(
    reason: str,
    settings: dict[str, Any],
    outside: Path | None = None,
    instead: list[str] | None = None,
) -> None:
    """Say why a step could not be done, and the command that does it later, or another instead."""
    commands = [instead or next_command(settings, outside)]
    if outside:
        commands.insert(0, ["move" if os.name == "nt" else "mv", str(Path.cwd()), str(outside)])
    step = "make it again without that build" if instead else "complete it"
    say(f"{reason} The project is kept. To {step}, run:", *commands)
    if not Path("uv.lock").exists():
        say_commit(settings)


def say_commit(settings: dict[str, Any]) -> None:
    """Say that the lock, which is still to be made, belongs to the project, where CI needs it."""
    if settings["github_actions"]:
        say("That makes uv.lock. Commit it: CI fails without it.")


def say(text: str, *commands: list[str]) -> None:
    """Print a message, and commands on a line of their own; ignore a closed standard error."""
    line = " && ".join(" ".join(map(quote, command)) for command in commands)
    try:
        print(f"\n{text}" + (f"\n\n    {line}" if commands else ""), file=sys.stderr)
    except OSError:
        return


if __name__ == "__main__":
    main()
