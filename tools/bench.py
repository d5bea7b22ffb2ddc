"""Measure what the template costs: `uv run --group browser -m tools.bench`, in some three minutes.

Machines are noisy, so nothing is judged by seconds: each time is a ratio to something alike that
runs in turn with it, and of several rounds the median counts. Counts need no such care.

It prints three tables; `--write` puts them into `docs/cost.md`, and `--check` exits 1 if a target
is missed. The PyTorch index is the replica, and everything else comes from uv's cache, which asks
PyPI once. The page is measured in the system's Chromium, with the group `browser`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median, quantiles

import tomli_w
from tabulate import tabulate

from tools.lib.guide import CHOICES, COMMON, Choice, guide_project
from tools.lib.lock import find_uv, read_lock, run_uv
from tools.lib.replica import Replica
from tools.lib.written import DOCS, with_parts
from torch_plan.defaults import complete
from torch_plan.facts import CPU, PYPI, TORCH, load_facts

ROOT = Path(__file__).resolve().parent.parent
OFFICIAL = load_facts().pytorch_mirrors["official"].url
"""What the replica takes the place of in a rendered project: the template knows what it has."""
PAGE = DOCS / "cost.md"

RENDERING, LOCKING, GUIDE = 1.25, 1.10, 1.0
"""What the ratios may be: against a template of one file, a bare `uv lock`, and uv's guide."""

IMPORT_SECONDS, PLAN_SECONDS = 0.030, 0.005

ROUNDS, LOCK_ROUNDS = 11, 5
"""How many are made of each measurement, and of those that lock."""

TIMED = "CUDA on Linux"
"""The choice whose cold lock is timed; of the others, what it asks for and writes is counted."""

TORCH_PACKAGES = (TORCH, *load_facts().all_companions, "pytorch-triton-rocm", "pytorch-triton-xpu")
"""What the choices have from PyTorch's index."""

Pairs = list[tuple[float, float]]
"""The seconds of ours and theirs, round by round."""

Counts = dict[str, int]
"""What one cold lock asks of the indexes, and writes: name -> number."""


def ratio(pairs: Pairs) -> str:
    """Return the median of the ratios, and between what half of them lie."""
    ratios = [ours / theirs for ours, theirs in pairs]
    lower, _, upper = quantiles(ratios, n=4)
    return f"{median(ratios):.2f} ({lower:.2f} to {upper:.2f})"


def verdict(pairs: Pairs, target: float) -> str:
    """Return whether the median of the ratios is over the target, whatever the noise."""
    missed = round(median(ours / theirs for ours, theirs in pairs), 2) > target
    return "missed" if missed else "met"


def timed(what: str, pairs: Pairs, target: float) -> list[str]:
    """Return the row of a table for what was timed."""
    ours, theirs = (f"{median(side) * 1000:,.1f} ms" for side in zip(*pairs, strict=True))
    rounds = str(len(pairs))
    return [what, ours, theirs, ratio(pairs), rounds, f"{target:.2f}", verdict(pairs, target)]


def compared(choice: Choice, ours: Counts, theirs: Counts, pairs: Pairs) -> list[str]:
    """Return the row for a cold lock of ours and one of uv's guide; `pairs` may be empty.

    No number may be more than the guide's where the builds are the same.
    """
    counts = [f"{number:,} / {theirs[name]:,}" for name, number in ours.items()]
    is_more = any(ours[name] > theirs[name] for name in ours)
    met = "missed" if is_more else verdict(pairs or [(1.0, 1.0)], GUIDE)
    return [choice.name, *counts, ratio(pairs) if pairs else "", met if choice.is_same else ""]


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """Return a table in Markdown; all columns but the first are numbers."""
    align = ["left", *["right"] * (len(head) - 1)]
    return tabulate([*rows], head, tablefmt="pipe", disable_numparse=True, colalign=align)


# --- Processes -----------------------------------------------------------------------------------


def warm(folder: Path) -> dict[str, str]:
    """Return the environment of a Python that finds its modules compiled, as every day."""
    config = folder / "cookiecutter.yaml"
    places = (f"{name}_dir: {folder / name}\n" for name in ("replay", "cookiecutters"))
    config.write_text("".join(places), encoding="utf-8")
    return {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
        "COOKIECUTTER_CONFIG": str(config),
        "UV_CACHE_DIR": str(folder / "uv"),
    }


def seconds(command: Sequence[str | Path], environment: Mapping[str, str], folder: Path) -> float:
    """Return how long a command takes; raises `CalledProcessError` if it fails."""
    begin = time.perf_counter()
    subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    return time.perf_counter() - begin


def in_turn(
    ours: Callable[[], float], theirs: Callable[[], float], rounds: int = LOCK_ROUNDS
) -> Pairs:
    """Take both in turn, after one round that does not count; who begins, changes."""
    ours(), theirs()
    pairs = []
    for number in range(rounds):
        if number % 2:
            their, our = theirs(), ours()
        else:
            our, their = ours(), theirs()
        pairs.append((our, their))
    return pairs


def render(template: Path, folder: Path, answers: Mapping[str, str]) -> list[str | Path]:
    """Return the command that renders a template into a folder."""
    words = [f"{key}={value}" for key, value in answers.items()]
    cookiecutter = (sys.executable, "-m", "cookiecutter")
    return [*cookiecutter, template, "--no-input", "--overwrite-if-exists", "-o", folder, *words]


# --- Measurements --------------------------------------------------------------------------------


def rendering(folder: Path) -> list[str]:
    """Rendering alone, against a template of one file: whole processes, hooks included."""
    inner = folder / "least/{{cookiecutter.name}}"
    inner.mkdir(parents=True)
    (inner / "README.md").write_text("# {{ cookiecutter.name }}\n", encoding="utf-8")
    (folder / "least/cookiecutter.json").write_text('{"name": "project"}\n', encoding="utf-8")
    environment = warm(folder)
    ours = render(ROOT, folder / "ours", {"after_generation": "nothing"})
    theirs = render(folder / "least", folder / "theirs", {})
    pairs = in_turn(
        lambda: seconds(ours, environment, folder),
        lambda: seconds(theirs, environment, folder),
        ROUNDS,
    )
    return timed("rendering alone, against a template of one file", pairs, RENDERING)


def cold_lock(project: Path) -> float:
    """Return how long uv takes to lock, without what it has cached of PyTorch's index."""
    (project / "uv.lock").unlink(missing_ok=True)
    run_uv(project, "cache", "clean", *TORCH_PACKAGES)
    begin = time.perf_counter()
    run_uv(project, "lock", "--python", sys.executable)
    return time.perf_counter() - begin


def count(project: Path, replica: Replica) -> Counts:
    """Lock a project, and count."""
    replica.requests.clear()
    cold_lock(project)
    return {
        "requests to PyTorch's index": len(replica.requests),
        "bytes from PyTorch's index": sum(it.bytes_sent for it in replica.requests),
        "packages in uv.lock": len(read_lock(project)),
        "lines in uv.lock": (project / "uv.lock").read_text(encoding="utf-8").count("\n"),
    }


def locking(folder: Path, replica: Replica) -> list[str]:
    """What a lock adds to generation, against a bare `uv lock` of the same project."""
    environment = warm(folder)
    answers = {**COMMON, "torch_backend": CPU, "pytorch_index": replica.url}
    project = folder / "out/my-ml-project"

    def generate(after: str) -> float:
        (project / "uv.lock").unlink(missing_ok=True)
        command = render(ROOT, folder / "out", {**answers, "after_generation": after})
        return seconds(command, environment, folder)

    def added() -> float:
        with_lock = generate("lock")
        if not (project / "uv.lock").exists():
            raise FileNotFoundError("the hook left no uv.lock")
        return with_lock - generate("nothing")

    generate("nothing")
    pyproject = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    lock = [find_uv(), "lock", "--python", pyproject["project"]["requires-python"]]

    def bare() -> float:
        (project / "uv.lock").unlink(missing_ok=True)
        return seconds(lock, environment, project)

    pairs = in_turn(added, bare)
    return timed("the lock in generation, against a bare `uv lock`", pairs, LOCKING)


def cuda_libraries(folder: Path) -> dict[str, list[str]]:
    """Return what torch for CUDA requires of PyPI on Linux, under the name of its index.

    The replica does not know it. PyPI's own torch, which is such a build, does: uv reads it there.
    """
    release = COMMON["torch_version"]
    project = {"name": "x", "version": "0", "requires-python": ">=3.10"}
    text = tomli_w.dumps({"project": {**project, "dependencies": [f"torch=={release}"]}})
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    run_uv(folder, "lock", "--python", sys.executable)
    locked = {package["name"]: package for package in read_lock(folder)}
    requirements = [
        f"{needed['name']}=={locked[needed['name']]['version']} ; {needed['marker']}"
        for needed in locked["torch"]["dependencies"]
        if "linux" in needed.get("marker", "")
    ]
    return {load_facts().build(release, PYPI, "linux-x86_64"): requirements}


def against_the_guide(folder: Path, replica: Replica) -> str:
    """Return a table of what a cold lock of each choice costs, against the one of uv's guide."""
    rows, counts = [], {}
    for number, choice in enumerate(CHOICES):
        announce(f"a cold lock: {choice.name}")
        ours, theirs = folder / f"{number}/my-ml-project", folder / f"{number}/guide"
        theirs.mkdir(parents=True)
        command = render(ROOT, ours.parent, {**COMMON, **choice.answers})
        seconds(command, warm(ours.parent), ours.parent)
        text = (ours / "pyproject.toml").read_text(encoding="utf-8")
        text = text.replace(OFFICIAL, replica.url)
        (ours / "pyproject.toml").write_text(text, encoding="utf-8")
        guide = guide_project(tomllib.loads(text), choice.sources, replica.url)
        (theirs / "pyproject.toml").write_text(tomli_w.dumps(guide), encoding="utf-8")
        # As `uv init` pins it.
        (theirs / ".python-version").write_text(f"{COMMON['python_version']}\n", encoding="utf-8")
        counts = count(ours, replica)
        sides = partial(cold_lock, ours), partial(cold_lock, theirs)
        pairs = in_turn(*sides) if choice.name == TIMED else []
        rows.append(compared(choice, counts, count(theirs, replica), pairs))
    return table(["a lock: ours / uv's guide", *counts, "time", ""], rows)


_PLAN = """
import json, sys, time
answers = json.loads(sys.argv[1])
begin = time.perf_counter()
import torch_plan.planning
imported = time.perf_counter()
torch_plan.planning.make_plan(answers)
print(imported - begin, time.perf_counter() - imported)
"""


def page_table(folder: Path) -> str:
    """Return a table of what a visitor of the page waits for, against what it may be."""
    # The tests of the other parts need no browser.
    from tools.lib.page_times import page_times

    rows = [
        [what, *(f"{it * 1000:,.0f} ms" for it in (took, most)), "missed" if took > most else "met"]
        for what, took, most in page_times(folder)
    ]
    return table(["what", "median", "target", ""], rows)


def planning(folder: Path) -> list[list[str]]:
    """What importing `torch_plan` and the first plan, facts read, take in a new Python."""
    answers = json.dumps(complete({}, load_facts()))
    environment = {**warm(folder), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", _PLAN, answers]
    printed = [
        subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
        for _ in range(ROUNDS + 1)
    ]
    imported, planned = zip(*(map(float, it.stdout.split()) for it in printed[1:]), strict=True)
    most = [(it, IMPORT_SECONDS) for it in imported], [(it, PLAN_SECONDS) for it in planned]
    return [
        timed("import of `torch_plan`, against what it may take", most[0], 1.0),
        timed("one plan, against what it may take", most[1], 1.0),
    ]


# --- The command ---------------------------------------------------------------------------------


def announce(what: str) -> None:
    """Say on stderr what is measured now: the rounds take their time."""
    print(f"measuring {what}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print. Returns 1 if `--check` finds a target missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the tables into docs/cost.md")
    parser.add_argument("--check", action="store_true", help="exit 1 if a target is missed")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as place, Replica() as replica:
        folders = {name: Path(place) / name for name in ("render", "lock", "plan", "guide", "page")}
        for folder in folders.values():
            folder.mkdir()
        # Nobody else's cache, of which a part is thrown away again and again.
        os.environ["UV_CACHE_DIR"] = str(Path(place) / "uv")
        announce("rendering")
        rows = [rendering(folders["render"])]
        announce("the lock in generation")
        rows.append(locking(folders["lock"], replica))
        rows += planning(folders["plan"])
        with Replica(libraries=cuda_libraries(Path(place))) as whole:
            guide = against_the_guide(folders["guide"], whole)
        announce("the page")
        on_the_page = page_table(folders["page"])
    head = ["what", "ours", "compared with", "ratio", "rounds", "target", ""]
    parts = {
        "day": f"Last run: {datetime.date.today().isoformat()}.",
        "on its own": table(head, rows),
        "guide": guide,
        "page": on_the_page,
    }
    print(*parts.values(), sep="\n\n")
    if options.write:
        PAGE.write_text(with_parts(PAGE.read_text(encoding="utf-8"), parts), encoding="utf-8")
    is_missed = any("missed" in text for text in parts.values())
    return 1 if options.check and is_missed else 0


if __name__ == "__main__":
    sys.exit(main())
