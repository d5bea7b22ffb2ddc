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
    r"|UV_(HTTP|REQUEST|UPLOAD|LOCK|CONCURRENT|INSECURE|PYTHON|TOOL)_.*|UV_.*_(MIRROR|TOKEN)"
    r"|UV_NATIVE_TLS|UV_SYSTEM_CERTS|UV_KEYRING_PROVIDER|UV_OFFLINE|UV_(NO_)?MANAGED_PYTHON"
    r"|UV_NO_PROGRESS|UV_COMPILE_BYTECODE.*|UV_NO_BUILD(_PACKAGE)?|UV_MALWARE_CHECK"
    r"|UV_TORCH_BACKEND|UV_CUDA_DRIVER_VERSION|UV_AMD_GPU_ARCHITECTURE|UV_STACK_SIZE"
    r"|UV_RUN_RECURSION_DEPTH"
)
"""Variables about access, caches and safety, which say nothing about a project.

uv's other variables are ignored here: they are about another project, or overrule this one.
"""

GITS = r"GIT_(?!(CONFIG_(GLOBAL|SYSTEM|NOSYSTEM)|TEMPLATE_DIR|DEFAULT_HASH|EXEC_PATH)$).*"
"""Variables about another repository, such as that of a git hook which makes this project."""

CAUSES = {
    r"No interpreter found|No download found|python-build-standalone": (
        "uv finds no Python {python} here, and cannot download one. Those of virtual environments"
        " do not count. Install one, or make the project again with another python_version"
    ),
    r"(401 Unauthorized|403 Forbidden)": (
        "{hosts} answers {0}: it needs a login, in UV_INDEX_<NAME>_USERNAME and"
        " UV_INDEX_<NAME>_PASSWORD with the index's name in pyproject.toml, or lacks the file"
    ),
    "Hash mismatch": "A file is not the one that its index promised",
    (
        r"status (client|server) error|invalid peer certificate|timed out|end of file before"
        r"|error (decoding response body|sending request)|dns error|Connection (refused|reset)"
    ): "uv cannot load what it needs from {hosts}, as it says above",
    "No solution found|Because ": "uv finds no versions that fit, as it says above",
}
"""What uv prints, and what it means in plain words; the first that fits.

Whatever else happens, a full disk say, uv itself tells well enough.
"""


class Stopped(Exception):
    """A step that could not be done; the text is a plain sentence that says why."""


def main() -> None:
    """Run the steps that the answers ask for; whatever fails, the project stands."""
    settings = SETTINGS
    try:
        # To compare, cruft renders in folders of `tempfile`.
        if settings["is_cruft"] and re.fullmatch(r"tmp[a-z0-9_]{8}", Path.cwd().parent.name):
            return
        if not settings["github_actions"]:
            import contextlib

            with contextlib.suppress(OSError):  # of a folder that has something, or is held
                os.removedirs(".github/workflows")
        if settings["git"]:
            start_repository()
        complete(settings)
        say_ready(settings)
    except KeyboardInterrupt:
        say_kept(Stopped("Interrupted."), settings)
    except Stopped as stopped:
        say_kept(stopped, settings)
    except Exception as error:  # noqa: BLE001  # of a hook that fails, cookiecutter removes the project
        odd = f"Something unforeseen happened ({type(error).__name__}: {error})."
        say_kept(Stopped(odd), settings)


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
        problem = done.stderr.strip() if done.returncode else ""
    except Stopped as stopped:
        problem = str(stopped)
    if problem:
        say(f"git could not make the project a repository: {problem}")


def complete(settings: dict[str, Any]) -> None:
    """Lock, and for `smoke` install and test; `Stopped` says what could not be done."""
    if settings["after_generation"] == "nothing":
        return
    uv = find_uv()
    refuse_old_uv(uv, settings["required_uv"])
    say_variables()
    refuse_workspace(uv)
    python = own_python(uv, settings["requires_python"])
    if python:
        settings["python"], settings["sync"] = python, ["--python", python, *settings["sync"]]
    old = Path("uv.lock").read_bytes() if Path("uv.lock").exists() else None
    run_uv(uv, lock_command(settings), settings)
    if not Path("uv.lock").is_file():
        raise Stopped("uv succeeded, but left no uv.lock in the project.")
    refuse_strays(settings, old)
    say_dependence(uv, settings)
    if settings["after_generation"] == "smoke":
        try:
            run_uv(uv, ["sync", "--frozen", *settings["sync"]], settings)
        except Stopped as stopped:
            # It may hold a hash that was wrong at the index: uv would insist on it ever after.
            if old is None and CAUSES["Hash mismatch"] in str(stopped):
                Path("uv.lock").unlink()
            raise
        command = [uv, "run", "--no-sync", *smoke_command(settings)]
        if status := run(command, environment(), MINUTES["run"], shown=True).returncode:
            raise Stopped(f"The smoke test failed (exit status {status}), as it says above.")


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
    fits = least <= sys.version_info[1] and all(sys.version_info[1] < end for end in until)
    find = [uv, "python", "find", "--system", "--no-python-downloads", requires]
    if not fits or run(find, environment()).returncode == 0:
        return ""
    return str(getattr(sys, "_base_executable", "") or sys.executable)


def say_variables() -> None:
    """Say which of the caller's variables uv uses, and which are set aside."""
    heeded, aside = map(", ".join, inherited(os.environ))
    if heeded:
        say(f"Your environment sets {heeded}: uv uses it here.")
    if aside:
        say(
            f"Your environment sets {aside}: uv ignores it here, so that uv.lock suits all. Unset"
            " it before the next step, or uv changes uv.lock and installs something else."
        )


def refuse_workspace(uv: str) -> None:
    """Raise `Stopped` where uv would lock somebody's workspace instead of the project."""
    project = Path.cwd()
    root = Path(run([uv, "workspace", "dir"], environment()).stdout.strip() or project)
    if not root.samefile(project):
        inside = project.relative_to(root).as_posix()
        raise Stopped(
            f"The project lies in the uv workspace of {root}, so uv would lock the workspace"
            f" instead of the project. Before you go on, add '{inside}' to `exclude` of"
            f" [tool.uv.workspace] in {root / 'pyproject.toml'}, or move the project out of it."
        )


def say_dependence(uv: str, settings: dict[str, Any]) -> None:
    """Say where the lock holds for those alone who have the caller's settings of uv.

    uv tells whether it would lock anew for somebody else, but says nothing of a folder that exists,
    nor of settings of the whole machine. Options that are `false` are the project's own: they
    exempt packages from a cooldown.
    """
    check = [uv, *lock_command(settings), "--check", "--offline", "--verbose"]
    told = run(check, environment(personal=False))
    why = re.findall(r"existing lockfile due to (.+)", told.stderr) if told.returncode else []
    text = Path("uv.lock").read_text(encoding="utf-8")
    options = re.split(r"\n\[(?!options)", text.partition("\n[options")[2])[0]
    index = r"missing remote index: .* from `(?:(\w+://)[^/@]*@)?([^?#`]+)"
    facts = [
        *map("".join, re.findall(index, " ".join(why))),
        *re.findall(r'registry = "((?!https?://)[^"]+)"', text),
        *re.findall(r"\n\[\[manifest\.(dependency-metadata)\]\]", text),
        # uv writes some under other names than it reads them, and a date that it does not read.
        *re.findall(r'(?m)^[\w-]+ = (?!false|"0001-).+', re.sub("-(mode|span) ", " ", options)),
    ]
    if why or facts:
        named = f" ({', '.join(dict.fromkeys(facts))})" if facts else ""
        say(
            f"uv.lock depends on your own settings of uv{named}: `uv sync --locked` fails wherever"
            " they are missing, CI included. To set them for everybody, write them under [tool.uv]"
            " in pyproject.toml, as your uv.toml or variable has them, and run `uv lock`."
        )


def refuse_strays(settings: dict[str, Any], old: bytes | None) -> None:
    """Raise `Stopped` if a package does not come from where the plan has it, or is another version.

    A setting of the user or of the whole machine does that. The lock from before comes back.
    """
    strays = find_strays(Path("uv.lock").read_text(encoding="utf-8"), settings["sources"])
    if strays:
        if old is None:
            Path("uv.lock").unlink()
        else:
            Path("uv.lock").write_bytes(old)
        raise Stopped(
            f"uv locked {' and '.join(strays)}, which is not what this project asks for: a setting"
            " of uv overrules pyproject.toml, such as `no-sources` in a uv.toml of yours or of"
            " this machine. That lock is not kept. Remove the setting."
        )


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


def lock_command(settings: dict[str, Any]) -> list[str]:
    """Return uv's arguments for a lock that needs no download of the pinned Python."""
    return ["lock", "--python", settings.get("python") or settings["requires_python"]]


def smoke_command(settings: dict[str, Any]) -> list[str]:
    """Return the smoke test's command, with the build to expect if the plan names this machine."""
    import platform

    build = settings["expect"].get(f"{sys.platform} {platform.machine()}")
    return [*settings["command"], *(["--expect", build] if build else [])]


def next_command(settings: dict[str, Any]) -> list[str]:
    """Return the one command that does all that the answers asked for, whatever is done already."""
    begin = ["uv", "--directory", str(Path.cwd())]
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
        # Before 0.12 uv breaks sentences, as a terminal would.
        printed = re.sub(r"[\s\u2502]+", " ", again.stderr)
        raise Stopped(cause(printed, settings["requires_python"]))


def cause(printed: str, python: str) -> str:
    """Return a plain sentence for what uv printed when it failed."""
    hosts = sorted(set(re.findall(r"https?://(?:[^\s/@]*@)?([^/\s`)]+)", printed)))
    for pattern, meaning in CAUSES.items():
        if match := re.search(pattern, printed):
            named = " and ".join(hosts) or "a server"
            return meaning.format(*match.groups(), hosts=named, python=python) + "."
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


def say_ready(settings: dict[str, Any]) -> None:
    """Say where the project is, which torch it has, and what to type next."""
    project, options = settings["project"] or str(Path.cwd()), settings["sync"]
    step = ["sync", *options]
    if settings["after_generation"] == "smoke":
        step = ["run", *options, *settings["command"]]
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
    """Say why a step could not be done, and the command that does it later."""
    say(f"{stopped} The project is kept. To complete it, run:", next_command(settings))
    say_commit(settings)
    for advice in {text for part, text in settings["ways_on"].items() if part in str(stopped)}:
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
