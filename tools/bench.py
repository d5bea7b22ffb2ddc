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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median, quantiles

import tomli_w
from tabulate import tabulate

from tools.docs import with_parts
from tools.lib.guide import CHOICES, COMMON, guide_project
from tools.lib.lock import find_uv, read_lock, run_uv
from tools.lib.replica import Replica
from torch_plan.catalog.facts import load_facts
from torch_plan.catalog.versions import CPU, TORCH
from torch_plan.resolution.defaults import complete

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/cost.md"

TIMED = "CUDA on Linux"
"""The choice whose cold lock is timed; of all, what it asks for and writes is counted."""

Pairs = list[tuple[float, float]]
"""The seconds of ours and theirs, round by round."""

Counts = dict[str, int]
"""What one cold lock asks of the indexes, and writes: name -> number."""


def timed(what: str, pairs: Pairs, target: float) -> list[str]:
    """Return a row of what was timed.

    The median of the ratios is to meet the target, whatever the noise; half of the ratios lie
    between the numbers in brackets.
    """
    ours, theirs = (f"{median(side) * 1000:,.1f} ms" for side in zip(*pairs, strict=True))
    ratios = [our / their for our, their in pairs]
    middle, (lower, _, upper) = median(ratios), quantiles(ratios, n=4)
    ratio = f"{middle:.2f} ({lower:.2f} to {upper:.2f})"
    met = "missed" if round(middle, 2) > target else "met"
    return [what, ours, theirs, ratio, str(len(pairs)), f"{target:.2f}", met]


def counted(name: str, ours: Counts, theirs: Counts) -> list[str]:
    """Return a row of what was counted: no number may be more than that of uv's guide."""
    counts = [f"{number:,} / {theirs[what]:,}" for what, number in ours.items()]
    return [name, *counts, "missed" if any(ours[it] > theirs[it] for it in ours) else "met"]


def table(head: Sequence[str], rows: Iterable[list[str]]) -> str:
    """Return a table in Markdown; all columns but the first are numbers."""
    align = ["left", *["right"] * (len(head) - 1)]
    return tabulate([*rows], head, tablefmt="pipe", disable_numparse=True, colalign=align)


# --- Processes -----------------------------------------------------------------------------------


def warm(folder: Path) -> dict[str, str]:
    """Return the environment of a Python that finds its modules compiled, as every day."""
    folder.mkdir(exist_ok=True)
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


def rendering(folder: Path) -> list[str]:
    """Rendering alone, against a template of one file: whole processes, hooks included."""
    environment = warm(folder)
    inner = folder / "least/{{cookiecutter.name}}"
    inner.mkdir(parents=True)
    (inner / "README.md").write_text("# {{ cookiecutter.name }}\n", encoding="utf-8")
    (folder / "least/cookiecutter.json").write_text('{"name": "project"}\n', encoding="utf-8")
    ours = render(ROOT, folder / "ours", {"after_generation": "nothing"})
    theirs = render(folder / "least", folder / "theirs", {})
    once = partial(seconds, environment=environment, folder=folder)
    pairs = in_turn(partial(once, ours), partial(once, theirs), 11)
    return timed("rendering alone, against a template of one file", pairs, 1.25)


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

    def bare() -> float:
        (project / "uv.lock").unlink(missing_ok=True)
        pyproject = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
        lock = [find_uv(), "lock", "--python", pyproject["project"]["requires-python"]]
        return seconds(lock, environment, project)

    return timed("the lock in generation, against a bare `uv lock`", in_turn(added, bare, 5), 1.10)


_PLAN = """
import json, sys, time
answers = json.loads(sys.argv[1])
begin = time.perf_counter()
import torch_plan.project.planning
imported = time.perf_counter()
torch_plan.project.planning.make_plan(answers)
print(imported - begin, time.perf_counter() - imported)
"""


def planning(folder: Path) -> Iterator[list[str]]:
    """What importing `torch_plan` and the first plan, facts read, take in a new Python."""
    answers = json.dumps(complete({}, load_facts()))
    environment = {**warm(folder), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", _PLAN, answers]
    printed = [
        subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
        for _ in range(12)
    ]
    imported, planned = zip(*(map(float, it.stdout.split()) for it in printed[1:]), strict=True)
    for what, times, most in (
        ("import of `torch_plan`", imported, 0.03),
        ("one plan", planned, 0.005),
    ):
        yield timed(f"{what}, against what it may take", [(it, most) for it in times], 1.0)


def cold_lock(project: Path) -> float:
    """Return how long uv takes to lock, without what it has cached of PyTorch's index."""
    (project / "uv.lock").unlink(missing_ok=True)
    run_uv(project, "cache", "clean", TORCH, *load_facts().all_companions)
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


def against_the_guide(folder: Path, replica: Replica) -> tuple[list[str], str]:
    """Return the row of a timed cold lock, and a table of what each choice's asks and writes."""
    rows, row, counts = [], [], {}
    # The template knows what the official index has.
    official = load_facts().pytorch_mirrors["official"].url
    for number, choice in enumerate(CHOICES):
        ours, theirs = folder / f"{number}/my-ml-project", folder / f"{number}/guide"
        theirs.mkdir(parents=True)
        command = render(ROOT, ours.parent, {**COMMON, **choice.answers})
        seconds(command, warm(ours.parent), ours.parent)
        text = (ours / "pyproject.toml").read_text(encoding="utf-8").replace(official, replica.url)
        (ours / "pyproject.toml").write_text(text, encoding="utf-8")
        guide = guide_project(tomllib.loads(text), choice, replica.url)
        (theirs / "pyproject.toml").write_text(tomli_w.dumps(guide), encoding="utf-8")
        # As `uv init` pins it.
        (theirs / ".python-version").write_text(f"{COMMON['python_version']}\n", encoding="utf-8")
        counts = count(ours, replica)
        rows.append(counted(choice.name, counts, count(theirs, replica)))
        if choice.name == TIMED:
            pairs = in_turn(partial(cold_lock, ours), partial(cold_lock, theirs), 5)
            row = timed(f"a cold lock ({TIMED}), against the one of uv's guide", pairs, 1.0)
    return row, table(["a lock: ours / uv's guide", *counts, ""], rows)


def page_table(folder: Path) -> str:
    """Return a table of what a visitor of the page waits for, against what it may be."""
    # The tests of the other parts need no browser.
    from tools.lib.page_times import page_times

    rows = [
        [what, *(f"{it * 1000:,.0f} ms" for it in (took, most)), "missed" if took > most else "met"]
        for what, took, most in page_times(folder)
    ]
    return table(["what", "median", "target", ""], rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print. Returns 1 if `--check` finds a target missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the tables into docs/cost.md")
    parser.add_argument("--check", action="store_true", help="exit 1 if a target is missed")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as place, Replica() as replica:
        folder = Path(place)
        # Nobody else's cache, of which a part is thrown away again and again.
        os.environ["UV_CACHE_DIR"] = str(folder / "uv")
        rows = [rendering(folder / "render"), locking(folder / "lock", replica)]
        rows += planning(folder / "plan")
        row, guide = against_the_guide(folder / "guide", replica)
        on_the_page = page_table(folder / "page")
    head = ["what", "ours", "compared with", "ratio", "rounds", "target", ""]
    parts = {
        "day": f"Last run: {datetime.date.today().isoformat()}.",
        "times": table(head, [*rows, row]),
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
