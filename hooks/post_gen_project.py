"""Give the new project a repository, lock it, install it, test it: what the answers ask for.

The project is complete without a lock: whatever fails here is said in plain words, with the one
command to run next, and nothing is taken back. Messages go to standard error, where uv's are too.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

# Every import makes the user wait: each of the others stands where it is needed.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable
    from typing import Any

SETTINGS: dict[str, Any] = {}
"""What the plan decided: which steps, with which options, and the build to expect."""
# Rendering fills it in: {{ "\n" }}SETTINGS = {{ hook_settings(cookiecutter) }}

MINUTES = {"lock": 15, "sync": 120, "run": 30}
"""What uv may take for a step, at most; for anything else, one minute."""

IN_LOCK = r"UV_(DEFAULT_|EXTRA_)?INDEX(?!.*_(USERNAME|PASSWORD)$).*|UV_EXCLUDE_NEWER.*"
"""Variables that uv heeds here, and that uv.lock may show: which index, and a cooldown."""

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

GITS = r"GIT_(?!(CONFIG_(GLOBAL|SYSTEM|NOSYSTEM)|TEMPLATE_DIR|DEFAULT_HASH|EXEC_PATH)$).*"
"""Variables about another repository, such as that of a git hook which makes this project."""

CAUSES = {
    r"Required uv version `([^`]+)`": (
        "This uv is not {0}, as pyproject.toml or a uv.toml of yours demands; update it"
    ),
    r"No space left|os error (28|112)\b": "The disk is full",
    r"Read-only file system|os error 30\b": "The file system is read-only",
    r"os error 396\b": "A cloud folder cannot hold links; set UV_LINK_MODE=copy",
    r"(?s)renam.*os error (5|32)\b": (
        "Another program, such as a virus scanner, holds a file that uv wants to rename; try again"
    ),
    r"Permission denied|Access is denied|os error (5|13)\b": (
        "uv has no permission to write there"
    ),
    r"No interpreter found|No download found|python-build-standalone": (
        "uv finds no Python {python} here, and cannot download one. Those of virtual environments"
        " do not count. Install one, or make the project again with another python_version"
    ),
    r"Hash mismatch for `([^`]+)`": "The file of {0} is not the one that its index promised",
    r"Hash mismatch": "{hosts} sent a different file than it promised",
    r"network was disabled|Network connectivity is disabled": (
        "uv is told to stay offline, by UV_OFFLINE or `offline` in a uv.toml of yours"
    ),
    r"`([\w.-]+)` was filtered by `exclude-newer`": (
        "A cooldown (UV_EXCLUDE_NEWER, or `exclude-newer` in a uv.toml of yours) hides {0}: it"
        " hides every file for which the index gives no upload date"
    ),
    r"required for `([^`]+)` because using pre-built wheels is disabled": (
        "{0} has wheels only, which `no-binary` in a uv.toml of yours forbids"
    ),
    r"Distribution `([^`@ ]+)[^`]*` can't be installed because": (
        "{0} has no wheel for this machine or its Python; `environments` in pyproject.toml lists"
        " the platforms of the project"
    ),
    r"invalid peer certificate": "The certificate of {hosts} is not trusted",
    r"(401 Unauthorized)": (
        "{hosts} answers {0}: it needs a login, in UV_INDEX_<NAME>_USERNAME and"
        " UV_INDEX_<NAME>_PASSWORD, with the index's name in pyproject.toml"
    ),
    r"(403 Forbidden)": "{hosts} answers {0}: it needs a login, or does not have the file",
    r"status (?:client|server) error \((.+?)\)": "{hosts} answers {0}",
    r"timed out": "{hosts} does not answer in time",
    r"error decoding response body|end of file before message|Connection reset": (
        "{hosts} breaks off in the middle of an answer"
    ),
    (
        r"error sending request|dns error|Connection refused|Failed to (fetch|download)"
        r"|Request failed"
    ): "{hosts} cannot be reached",
    r"Failed to build `([^`]+==[^`]+)`": (
        "{0} cannot be built; `resolution`, `no-binary` or `prerelease` in a uv.toml of yours can"
        " choose such versions"
    ),
    r"([\w.-]+) was not found in the package registry": (
        "None of the indexes in pyproject.toml has {0}"
    ),
    r"No solution found|Because ": (
        "The indexes do not have what the requirements ask for, as uv explains above"
    ),
}
"""What uv prints, and what it means in plain words, groups filled in; the first that fits."""


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


def main() -> None:
    """Run the steps that the answers ask for; whatever fails, the project stands."""
    settings = SETTINGS
    try:
        if settings["is_cruft"] and is_scratch():
            return
        if not settings["github_actions"]:
            remove_empty(".github")
        if settings["git"]:
            start_repository()
        say_ready(settings, complete(settings))
    except KeyboardInterrupt:
        say_kept(Stopped("Interrupted."), settings)
    except Stopped as stopped:
        say_kept(stopped, settings)
    except PermissionError as error:
        say_kept(Stopped(f"{error.filename} may not be written, or is in use."), settings)
    except Exception as error:  # noqa: BLE001  # of a hook that fails, cookiecutter removes the project
        name = type(error).__name__
        say_kept(Stopped(f"Something unforeseen happened ({name}: {error})."), settings)


def is_scratch() -> bool:
    """Tell whether cruft only renders to compare: it does so in folders of `tempfile`."""
    return re.fullmatch(r"tmp[a-z0-9_]{8}", Path.cwd().parent.name) is not None


def remove_empty(name: str) -> None:
    """Remove a folder of which no file was rendered."""
    import shutil

    if not any(path.is_file() for path in Path(name).rglob("*")):
        shutil.rmtree(name, ignore_errors=True)


def start_repository() -> None:
    """Make the project a git repository, as `uv init` does, unless it lies in one already.

    Without git nothing happens, and nothing is said.
    """
    import shutil

    project, git = Path.cwd(), shutil.which("git")
    if not git or any((folder / ".git").exists() for folder in (project, *project.parents)):
        return
    variables = {name: os.environ[name] for name in os.environ if not re.fullmatch(GITS, name)}
    try:
        done = run([git, "init", "--quiet", "--initial-branch=main"], variables)
        why = done.stderr.strip() if done.returncode else ""
    except Stopped as stopped:
        why = str(stopped)
    if why:
        say(f"git could not make the project a repository: {why}")


def complete(settings: dict[str, Any]) -> list[str]:
    """Lock, and for `smoke` install and test; `Stopped` says what could not be done.

    Returns the options with which uv leaves the lock as it is.
    """
    if settings["after_generation"] == "nothing":
        return []
    uv = find_uv()
    refuse_old_uv(uv, settings["required_uv"])
    aside = say_variables()
    refuse_workspace(uv)
    python = own_python(uv, settings["requires_python"])
    if python:
        settings["python"], settings["sync"] = python, ["--python", python, *settings["sync"]]
    old = Path("uv.lock").read_bytes() if Path("uv.lock").exists() else None
    options = lock(uv, settings, old)
    if aside and why_outdated(uv, settings, dict(os.environ)):
        options = ["--frozen"]
    if settings["after_generation"] == "smoke":
        sync(uv, settings, old)
        smoke(uv, settings)
    return options


def refuse_old_uv(uv: str, required: str) -> None:
    """Raise `Stopped` for a uv older than `required`, such as `>=0.10.0`.

    Before 0.9.25 uv drops all settings where it meets one that it does not know, `required-version`
    among them, and locks something else in silence.
    """
    told = re.search(r"\d+\.\d+\.\d+", run([uv, "--version"], environment()).stdout)
    least = required.removeprefix(">=")
    if told and [*map(int, told[0].split("."))] < [*map(int, least.split("."))]:
        raise Stopped(f"This is uv {told[0]}, and the project needs {least} or newer; update it.")


def own_python(uv: str, requires: str) -> str:
    """Return the Python that runs this where it fits and uv finds none; else nothing.

    uv looks past virtual environments, and the Python behind one need not be on PATH: those of
    pyenv and conda often are not. uv would download another.
    """
    least, *until = (int(minor) for minor in re.findall(r"3\.(\d+)", requires))
    minor = sys.version_info[1]
    find = [uv, "python", "find", "--system", "--no-python-downloads", requires]
    if (
        minor < least
        or any(minor >= end for end in until)
        or not run(find, environment()).returncode
    ):
        return ""
    return str(getattr(sys, "_base_executable", "") or sys.executable)


def say_variables() -> list[str]:
    """Say which of the caller's variables uv uses, and which are set aside; return the latter."""
    heeded, aside = inherited(os.environ)
    if heeded:
        say(f"Your environment sets {', '.join(heeded)}: uv uses it here.")
    if aside:
        names = ", ".join(aside)
        say(f"Your environment sets {names}: uv ignores it here, so that uv.lock suits all.")
    return aside


def refuse_workspace(uv: str) -> None:
    """Raise `Stopped` where uv would lock somebody's workspace instead of the project."""
    project = Path.cwd()
    root = Path(run([uv, "workspace", "dir"], environment()).stdout.strip() or project)
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


def lock(uv: str, settings: dict[str, Any], old: bytes | None) -> list[str]:
    """Write uv.lock, for everybody, with any interpreter that fits, the pinned one or another.

    The caller's settings may be needed to reach the indexes, so they are heeded at first. uv then
    tells whether the lock is right for somebody without them. If not, it is made again without
    them; unless it depends on an index or a cooldown of theirs, which is their decision.

    Returns the options with which uv leaves the lock as it is.
    """
    try:
        run_uv(uv, lock_command(settings), settings)
    except Stopped as stopped:
        raise doubted(stopped.printed, settings) or stopped from None
    if not Path("uv.lock").is_file():
        raise Stopped("uv succeeded, but left no uv.lock in the project.")
    why = why_outdated(uv, settings, environment(personal=False))
    facts, options = personal_facts(why), []
    if (why or facts) and not re.search("missing remote index|exclude newer", why):
        remake(uv, settings, old, facts)
        kept = personal_facts("")
        if why or kept != facts:
            options = ["--frozen"]
            say(
                f"A uv.toml of yours changes uv.lock{facts}, so it was made without it. As long as"
                " you keep that setting, run uv with `--frozen` here, or it changes uv.lock again."
            )
        why, facts = "", kept
    if why or facts:
        say_dependence(why, facts)
    refuse_strays(settings, old)
    return options


def remake(uv: str, settings: dict[str, Any], old: bytes | None, facts: str) -> None:
    """Make uv.lock again, without the caller's settings."""
    Path("uv.lock").unlink()
    try:
        again = run([uv, *lock_command(settings)], environment(personal=False), MINUTES["lock"])
    finally:
        if not Path("uv.lock").exists():
            restore(old)
    if again.returncode:
        raise Stopped(
            f"A uv.toml of yours changes uv.lock{facts}, and without it uv cannot lock:"
            f" {cause(unwrapped(again.stderr), settings['requires_python'])} Remove that setting."
        )


def restore(old: bytes | None) -> None:
    """Put back the lock from before; where there was none, there is none."""
    if old is None:
        Path("uv.lock").unlink(missing_ok=True)
    else:
        Path("uv.lock").write_bytes(old)


def say_dependence(why: str, facts: str) -> None:
    """Say that the lock holds for those alone who have the same settings."""
    spans = re.findall(r'exclude-newer(?:-span)? = ("[^"]+")', facts)
    if "exclude newer" in why and spans:
        say(
            "uv.lock records your cooldown: `uv sync --locked` fails wherever it is not set, CI"
            f" included. To set it for everybody, put `exclude-newer = {spans[-1]}` under [tool.uv]"
            " in pyproject.toml and run `uv lock`."
        )
    else:
        say(
            f"uv.lock depends on your own settings of uv{facts}: `uv sync --locked` fails"
            " wherever they are missing, CI included."
        )


def refuse_strays(settings: dict[str, Any], old: bytes | None) -> None:
    """Raise `Stopped` if a package does not come from where the plan has it, or is another version.

    A setting of the whole machine does that: nobody can tell uv to leave it out.
    """
    strays = find_strays(Path("uv.lock").read_text(encoding="utf-8"), settings["sources"])
    if strays:
        restore(old)
        files = " or ".join(settings_files())
        raise Stopped(
            f"uv locked {' and '.join(strays)}, which is not what this project asks for: a setting"
            " of uv overrules pyproject.toml, such as `no-sources` or `no-sources-package`"
            f"{' in ' + files if files else ''}. That lock is not kept. Remove the setting."
        )


def settings_files() -> list[str]:
    """Return the files of settings that `environment` cannot hide from uv: the whole machine's.

    Where they lie: https://docs.astral.sh/uv/concepts/configuration-files/
    """
    roots = ["/etc/uv", os.path.expandvars(r"$PROGRAMDATA/uv"), "."]
    return [str(path) for root in roots if (path := Path(root, "uv.toml")).is_file()]


def find_strays(lock: str, sources: dict[str, tuple[list[str], list[str]]]) -> list[str]:
    """Return what a lock has against the plan, as `torch 2.13.0 from https://…`.

    `sources` is package -> (the indexes that it may come from, its public versions): an empty index
    stands for any, but then one of the others has to be there too; no version for any.
    """
    entry = r'(?m)^name = "(.+)"\nversion = "(.+)"\nsource = \{ \w+ = "([^"?#]*?)/*["?#]'
    packages = re.findall(entry, re.sub(r'(?<=://)[^/@"]*@', "", lock))
    strays = []
    for name, (indexes, versions) in sources.items():
        locked = [(version, url) for other, version, url in packages if other == name]
        served = not versions or any(url in indexes for _, url in locked)
        for version, url in locked:
            known = not versions or version.partition("+")[0] in versions
            if not (served and known and {url, ""} & {*indexes}):
                strays.append(f"{name} {version} from {url}")
    return strays


def doubted(printed: str, settings: dict[str, Any]) -> Stopped | None:
    """Return what to do where uv did not find a build that is only likely, None where it is not so.

    uv names the platforms that it could not serve where it looked at some of them alone. An index
    that wants a login may have the build.
    """
    other = r"exclude-newer|401 Unauthorized|403 Forbidden"
    if "No solution found" not in printed or re.search(other, printed):
        return None
    split = re.search(r"for split \(markers: (.+?)\):? (cause:|\u2570)", printed)
    likely = settings["likely"]
    named = [host for host in likely if split and all(word in split[1] for word in host.split())]
    for where in [*named, *likely][:1]:
        platform, command = likely[where]
        return Stopped(
            f"Nobody has confirmed the build that {platform} was to get, and uv did not find it.",
            instead=command,
        )
    return None


def why_outdated(uv: str, settings: dict[str, Any], variables: dict[str, str]) -> str:
    """Return why uv would lock anew for somebody with these variables; empty if it would not."""
    command = [uv, *lock_command(settings), "--check", "--offline", "--verbose"]
    told = run(command, variables)
    reason = re.search(r"existing lockfile due to (.+)", told.stderr) if told.returncode else None
    return reason[1] if reason else ""


def personal_facts(why: str) -> str:
    """Return what the lock has from its maker's settings, in brackets: an index, folders, options.

    uv does not report a folder as long as it exists, nor settings of the whole machine. Options
    that are `false` are the project's own: they exempt packages from a cooldown.
    """
    text = Path("uv.lock").read_text(encoding="utf-8")
    head = re.split(r"\n\[(?!options)", text.partition("\n[options")[2])[0]
    options = re.findall(r"(?m)^[\w-]+ = (?!false).+", head) if why or settings_files() else []
    metadata = re.findall(r"\n\[\[manifest\.(dependency-metadata)\]\]", text)
    folders = re.findall(r'registry = "((?!https?://)[^"]+)"', text)
    index = re.findall(r"missing remote index: .* from `(?:(\w+://)[^/@]*@)?([^?#`]+)", why)
    facts = [*map("".join, index), *dict.fromkeys(folders + metadata), *options]
    return f" ({', '.join(facts)})" if facts else ""


def sync(uv: str, settings: dict[str, Any], old: bytes | None) -> None:
    """Install what the lock holds for this machine.

    A new lock may hold a hash that was wrong at the index: uv would insist on it ever after.
    """
    try:
        run_uv(uv, ["sync", "--frozen", *settings["sync"]], settings)
    except Stopped as stopped:
        if old is not None or "Hash mismatch" not in stopped.printed:
            raise
        Path("uv.lock").unlink()
        raise Stopped(f"{stopped} So uv.lock is removed.") from None


def smoke(uv: str, settings: dict[str, Any]) -> None:
    """Run the smoke test, and demand the build that the plan gives this machine."""
    command = [uv, "run", "--no-sync", *smoke_command(settings)]
    status = run(command, environment(), MINUTES["run"], shown=True).returncode
    if status == 1:
        raise Stopped("The smoke test found a problem, which it names above.")
    if status:
        code = hex(status) if os.name == "nt" else status  # as Windows names its exceptions
        raise Stopped(f"The smoke test did not run to its end (exit status {code}).")


def lock_command(settings: dict[str, Any]) -> list[str]:
    """Return uv's arguments for a lock that needs no download of the pinned Python."""
    return ["lock", "--python", settings.get("python") or settings["requires_python"]]


def smoke_command(settings: dict[str, Any]) -> list[str]:
    """Return the smoke test's command, with the build to expect if the plan names this machine."""
    import platform

    build = settings["expect"].get(f"{sys.platform} {platform.machine()}")
    return [settings["command"], *(["--expect", build] if build else [])]


def next_command(settings: dict[str, Any], project: Path | None = None) -> list[str]:
    """Return the one command that does all that the answers asked for, whatever is done already."""
    begin = ["uv", "--directory", str(project or Path.cwd())]
    if settings["after_generation"] == "smoke":
        return [*begin, "run", *settings["sync"], *smoke_command(settings)]
    return [*begin, *lock_command(settings)]


def run_uv(uv: str, arguments: list[str], settings: dict[str, Any]) -> None:
    """Run uv with its progress visible; raises `Stopped` if it fails.

    What was shown cannot be read here, so a uv that fails is run once more, to read why: without
    retries, so that it takes 10 seconds where the first run took 130.
    """
    command = [uv, *arguments]
    if run(command, environment(), MINUTES[arguments[0]], shown=True).returncode == 0:
        return
    quick = {"UV_HTTP_TIMEOUT": "10", **environment(), "UV_HTTP_RETRIES": "0", "NO_COLOR": "1"}
    again = run(command, quick)
    if again.returncode:
        printed = unwrapped(again.stderr)
        raise Stopped(cause(printed, settings["requires_python"]), printed=printed)


def unwrapped(printed: str) -> str:
    """Return what uv printed on one line: before 0.12 it breaks sentences, as a terminal would."""
    return re.sub(r"[\s\u2502]+", " ", printed)


def cause(printed: str, python: str) -> str:
    """Return a plain sentence for what uv printed when it failed."""
    hosts = sorted(set(re.findall(r"https?://(?:[^\s/@]*@)?([^/\s`)]+)", printed)))
    download = re.search(r"Failed to download `([^`]+)`", printed)
    unnamed = f"The server of {download[1]}" if download else "A server"
    for pattern, meaning in CAUSES.items():
        if match := re.search(pattern, printed):
            names = " and ".join(hosts) or unnamed
            return meaning.format(*match.groups(), hosts=names, python=python) + "."
    return "uv failed, as it says above."


def find_uv() -> str:
    """Return uv's path: `$UV`, which uv sets for what it runs, else the one on PATH."""
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
    heeded = [name for name in uvs if re.fullmatch(IN_LOCK, name)]
    return heeded, [name for name in uvs if not re.fullmatch(f"{IN_LOCK}|{ACCESS}", name)]


def environment(personal: bool = True) -> dict[str, str]:
    """Return the environment for uv: the caller's, without what is about another project.

    Without their `personal` settings there is no uv.toml of theirs either, since uv looks for one
    beneath a file. That of the whole machine stays.
    """
    in_lock, aside = inherited(os.environ)
    left_out = {*aside, "VIRTUAL_ENV", "PYTHONPATH", *(() if personal else in_lock)}
    nowhere = dict.fromkeys(("XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "APPDATA"), __file__)
    heeded = {name: value for name, value in os.environ.items() if name not in left_out}
    return heeded if personal else {**heeded, **nowhere}


def run(
    command: list[str], variables: dict[str, str], minutes: int = 1, shown: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run uv or git; raises `Stopped` if it does not start, or takes longer.

    What it prints is caught, unless it is `shown` to the user.
    """
    import subprocess

    program = "git" if command[1] == "init" else "uv"
    try:
        return subprocess.run(
            command,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=not shown,
            encoding="utf-8",
            errors="replace",
            timeout=60 * minutes,
        )
    except subprocess.TimeoutExpired:
        told = f"`{program} {command[1]}` took longer than {minutes} min, so it was stopped."
        raise Stopped(told) from None
    except OSError as error:
        raise Stopped(f"{program} cannot be run ({error}).") from None


def quote(word: str) -> str:
    """Quote a word for the shell of this system; as `shlex` does, without what that imports."""
    plain = r":.\_-" if os.name == "nt" else "/:.,=@_-"
    if all(letter.isalnum() or letter in plain for letter in word):
        return word
    return f'"{word}"' if os.name == "nt" else "'" + word.replace("'", "'\"'\"'") + "'"


def say_ready(settings: dict[str, Any], options: list[str]) -> None:
    """Say where the project is, which torch it has, and what to type next, with uv's `options`."""
    project = settings["project"] or str(Path.cwd())
    after, options = settings["after_generation"], [*options, *settings["sync"]]
    step = ["run", *options, settings["command"]] if after == "smoke" else ["sync", *options]
    text = f"The project is in {project}, with {settings['torch']}. The next step:"
    if os.name == "nt":  # where not every shell knows `&&`
        say(text, ["uv", "--directory", project, *step])
    else:
        say(text, ["cd", project], ["uv", *step])
    say_commit(settings)


def say_commit(settings: dict[str, Any]) -> None:
    """Say of the last command what comes after it, where there is no lock yet."""
    if settings["github_actions"] and not Path("uv.lock").exists():
        say("That makes uv.lock. Commit it: CI fails without it.")


def say_kept(stopped: Stopped, settings: dict[str, Any]) -> None:
    """Say why a step could not be done, and the command that does it later, or another instead."""
    commands = [stopped.instead or next_command(settings, stopped.outside)]
    if stopped.outside:
        move = "move" if os.name == "nt" else "mv"
        commands.insert(0, [move, str(Path.cwd()), str(stopped.outside)])
    step = "make it again without that build" if stopped.instead else "complete it"
    say(f"{stopped} The project is kept. To {step}, run:", *commands)
    say_commit(settings)
    for advice in {text for host, text in settings["ways_on"].items() if host in str(stopped)}:
        say(advice)


def say(text: str, *commands: list[str]) -> None:
    """Print a message, and commands on a line of their own; ignore a closed standard error."""
    line = " && ".join(" ".join(map(quote, command)) for command in commands)
    try:
        print(f"\n{text}" + (f"\n\n    {line}" if commands else ""), file=sys.stderr)
    except OSError:
        return


if __name__ == "__main__":
    main()
