"""Measure what the template costs: `uv run -m tools.bench`, in some three minutes.

Machines are noisy, so nothing is judged by seconds: each time is a ratio to something alike that
runs in turn with it, and of several rounds the median counts. Counts need no such care.

It prints two tables; `--write` puts them into `docs/cost.md`, and `--check` exits 1 if a target is
missed. PyPI must be in reach once: its answers are kept. The PyTorch index is the replica.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median, quantiles

import tomli_w
from tabulate import tabulate

from tools.lib.guide import CHOICES, COMMON, guide_project
from tools.lib.lock import find_uv, read_lock, run_uv
from tools.lib.recorder import Recorder
from tools.lib.replica import Replica
from torch_plan.defaults import complete
from torch_plan.facts import CPU, PYPI, load_facts

ROOT = Path(__file__).resolve().parent.parent
OFFICIAL = load_facts().pytorch_mirrors["official"].url
"""What the replica takes the place of in a rendered project: the template knows what it has."""
PAGE = ROOT / "docs" / "cost.md"

RENDERING, LOCKING, GUIDE = 1.25, 1.10, 1.0
"""What the ratios may be: against a template of one file, a bare `uv lock`, and uv's guide."""

IMPORT_SECONDS, PLAN_SECONDS = 0.030, 0.005

ROUNDS = {"rendering": 11, "locking": 5, "guide": 5, "plan": 11}
"""How many are made of each measurement; `--rounds` multiplies them."""

TIMED = ("CUDA on Linux", "extras")
"""The choices whose cold lock is timed; of the others, what it asks for and writes is counted."""

Pairs = list[tuple[float, float]]
"""What ours and theirs took, round by round."""


@dataclass(frozen=True)
class Row:
    """One measurement: the seconds of ours and theirs, and what their ratio may be."""

    what: str
    pairs: Pairs
    target: float

    @property
    def ratios(self) -> list[float]:
        """Ours by theirs, round by round."""
        return [ours / theirs for ours, theirs in self.pairs]

    @property
    def ratio(self) -> str:
        """The median of the ratios, and between what half of them lie."""
        lower, _, upper = quantiles(self.ratios, n=4)
        return f"{median(self.ratios):.2f} ({lower:.2f} to {upper:.2f})"

    @property
    def is_missed(self) -> bool:
        """Whether the median is over the target, whatever the noise."""
        return round(median(self.ratios), 2) > self.target

    def cells(self) -> list[str]:
        """Return what the table says of it."""
        ours, theirs = (f"{median(side) * 1000:,.1f} ms" for side in zip(*self.pairs, strict=True))
        rounds, target = str(len(self.pairs)), f"{self.target:.2f}"
        met = "missed" if self.is_missed else "met"
        return [self.what, ours, theirs, self.ratio, rounds, target, met]


Counts = dict[str, int]
"""What one cold lock asks of the indexes, and writes: name -> number."""


@dataclass(frozen=True)
class Compared:
    """A cold lock of ours and one of uv's guide; `row` has the times, where they were taken."""

    name: str
    ours: Counts
    theirs: Counts
    is_same: bool
    row: Row | None

    @property
    def is_missed(self) -> bool:
        """Whether any number is more than the guide's, though the builds are the same."""
        more = any(self.ours[name] > self.theirs[name] for name in self.ours)
        return self.is_same and (more or (self.row is not None and self.row.is_missed))

    def cells(self) -> list[str]:
        """Return what the table says of it."""
        counts = [f"{number:,} / {self.theirs[name]:,}" for name, number in self.ours.items()]
        met = "missed" if self.is_missed else "met"
        return [self.name, *counts, self.row.ratio if self.row else "", met if self.is_same else ""]


def tables(rows: Sequence[Row], compared: Sequence[Compared]) -> list[str]:
    """Return both tables in Markdown."""
    head = ["what", "ours", "compared with", "ratio", "rounds", "target", ""]
    guide = ["a cold lock: ours / uv's guide", *compared[0].ours, "time", ""]
    return [
        _table([head, *(row.cells() for row in rows)]),
        _table([guide, *(each.cells() for each in compared)]),
    ]


def _table(cells: list[list[str]]) -> str:
    align = ["left", *["right"] * (len(cells[0]) - 1)]
    return tabulate(cells, "firstrow", tablefmt="pipe", disable_numparse=True, colalign=align)


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


def in_turn(ours: Callable[[], float], theirs: Callable[[], float], rounds: int) -> Pairs:
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


def rendering(folder: Path, rounds: int) -> Row:
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
        rounds,
    )
    return Row("rendering alone, against a template of one file", pairs, RENDERING)


def locking(folder: Path, replica: Replica, pypi: Recorder, rounds: int) -> Row:
    """What a lock adds to generation, against a bare `uv lock` of the same project."""
    environment = {**warm(folder), "UV_DEFAULT_INDEX": pypi.url}
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
    pythons = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = [find_uv(), "lock", "--python", pythons["requires-python"]]

    def bare() -> float:
        (project / "uv.lock").unlink(missing_ok=True)
        return seconds(lock, environment, project)

    pairs = in_turn(added, bare, rounds)
    return Row("the lock in generation, against a bare `uv lock`", pairs, LOCKING)


def cold_lock(project: Path, replica: Replica, pypi: Recorder) -> tuple[float, Counts]:
    """Lock a project with an empty cache. Returns the seconds and the counts."""
    (project / "uv.lock").unlink(missing_ok=True)
    replica.requests.clear()
    pypi.requests.clear()
    with tempfile.TemporaryDirectory() as cache:
        variables = {"UV_CACHE_DIR": cache, "UV_DEFAULT_INDEX": pypi.url}
        begin = time.perf_counter()
        run_uv(project, "lock", "--python", sys.executable, **variables)
        taken = time.perf_counter() - begin
    every = [*replica.requests, *pypi.requests]
    return taken, {
        "requests to PyTorch's index": len(replica.requests),
        "bytes from PyTorch's index": sum(request.bytes_sent for request in replica.requests),
        "requests to all indexes": len(every),
        "bytes from all indexes": sum(request.bytes_sent for request in every),
        "packages in uv.lock": len(read_lock(project)),
        "lines in uv.lock": (project / "uv.lock").read_text(encoding="utf-8").count("\n"),
    }


def cuda_libraries(folder: Path, pypi: Recorder) -> dict[str, list[str]]:
    """Return what torch for CUDA requires of PyPI on Linux, under the name of its index.

    The replica does not know it. PyPI's own torch, which is such a build, does: uv reads it there.
    """
    release = COMMON["torch_version"]
    project = {"name": "x", "version": "0", "requires-python": ">=3.10"}
    text = tomli_w.dumps({"project": {**project, "dependencies": [f"torch=={release}"]}})
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    run_uv(folder, "lock", "--python", sys.executable, UV_DEFAULT_INDEX=pypi.url)
    locked = {package["name"]: package for package in read_lock(folder)}
    requirements = [
        f"{needed['name']}=={locked[needed['name']]['version']} ; {needed['marker']}"
        for needed in locked["torch"]["dependencies"]
        if "linux" in needed.get("marker", "")
    ]
    return {load_facts().build(release, PYPI, "linux-x86_64"): requirements}


def cold_seconds(replica: Replica, pypi: Recorder, project: Path) -> float:
    """Return how long it takes to lock a project with an empty cache."""
    return cold_lock(project, replica, pypi)[0]


def against_the_guide(
    folder: Path, replica: Replica, pypi: Recorder, rounds: int
) -> Iterator[Compared]:
    """Yield what a cold lock of each choice costs, against the one of uv's guide."""
    for number, choice in enumerate(CHOICES):
        announce(f"a cold lock: {choice.name}")
        here = folder / str(number)
        theirs = here / "guide"
        theirs.mkdir(parents=True)
        seconds(render(ROOT, here, {**COMMON, **choice.answers}), warm(here), here)
        ours = here / "my-ml-project"
        text = (ours / "pyproject.toml").read_text(encoding="utf-8").replace(OFFICIAL, replica.url)
        (ours / "pyproject.toml").write_text(text, encoding="utf-8")
        text = tomli_w.dumps(guide_project(tomllib.loads(text), choice.sources, replica.url))
        (theirs / "pyproject.toml").write_text(text, encoding="utf-8")
        # As `uv init` pins it.
        (theirs / ".python-version").write_text(f"{COMMON['python_version']}\n", encoding="utf-8")
        counts = [cold_lock(it, replica, pypi)[1] for it in (ours, theirs)]
        row = None
        if choice.name in TIMED:
            lock = partial(cold_seconds, replica, pypi)
            pairs = in_turn(partial(lock, ours), partial(lock, theirs), rounds)
            row = Row(choice.name, pairs, GUIDE)
        yield Compared(choice.name, counts[0], counts[1], choice.is_same, row)


_PLAN = """
import json, sys, time
answers = json.loads(sys.argv[1])
begin = time.perf_counter()
import torch_plan.planning
imported = time.perf_counter()
torch_plan.planning.make_plan(answers)
print(imported - begin, time.perf_counter() - imported)
"""


def planning(folder: Path, rounds: int) -> list[Row]:
    """Return what importing `torch_plan` and the first plan, facts read, take in a new Python."""
    answers = json.dumps(complete({}, load_facts()))
    environment = {**warm(folder), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", _PLAN, answers]
    printed = [
        subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
        for _ in range(rounds + 1)
    ]
    taken = [[float(number) for number in done.stdout.split()] for done in printed[1:]]
    allowed = {
        "import of `torch_plan`, against what it may take": IMPORT_SECONDS,
        "one plan, against what it may take": PLAN_SECONDS,
    }
    return [
        Row(what, [(each[position], most) for each in taken], 1.0)
        for position, (what, most) in enumerate(allowed.items())
    ]


# --- The command ---------------------------------------------------------------------------------


def announce(what: str) -> None:
    """Say on stderr what is measured now: the rounds take their time."""
    print(f"measuring {what}", file=sys.stderr, flush=True)


def with_tables(page: str, new: Sequence[str]) -> str:
    """Return a page with new tables in the places of its first ones, and the day of this run."""
    rest, day = iter(new), datetime.date.today().isoformat()
    page = re.sub(r"(?<=Last run: )[\d-]+", day, page)
    table = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
    return table.sub(lambda found: f"{next(rest, found[0].rstrip())}\n", page)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print. Returns 1 if `--check` finds a target missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the tables into docs/cost.md")
    parser.add_argument("--check", action="store_true", help="exit 1 if a target is missed")
    parser.add_argument("--rounds", type=int, default=1, help="so many times as many rounds")
    options = parser.parse_args(arguments)
    rounds = {what: number * options.rounds for what, number in ROUNDS.items()}
    with tempfile.TemporaryDirectory() as place, Replica() as replica, Recorder() as pypi:
        folders = {name: Path(place) / name for name in ROUNDS}
        for folder in folders.values():
            folder.mkdir()
        announce("rendering")
        rows = [rendering(folders["rendering"], rounds["rendering"])]
        announce("the lock in generation")
        rows.append(locking(folders["locking"], replica, pypi, rounds["locking"]))
        rows += planning(folders["plan"], rounds["plan"])
        with Replica(libraries=cuda_libraries(Path(place), pypi)) as complete_replica:
            compared = [
                *against_the_guide(folders["guide"], complete_replica, pypi, rounds["guide"])
            ]
    print(*tables(rows, compared), sep="\n\n")
    if options.write:
        page = with_tables(PAGE.read_text(encoding="utf-8"), tables(rows, compared))
        PAGE.write_text(page, encoding="utf-8")
    is_missed = any(it.is_missed for it in rows) or any(it.is_missed for it in compared)
    return 1 if options.check and is_missed else 0


if __name__ == "__main__":
    sys.exit(main())
