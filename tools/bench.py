"""Measure what the template costs, and write `docs/cost.md`: `uv run -m tools.bench`, two minutes.

Machines are noisy, so every time is compared with that of something alike, which runs in turn with
it, and the median of the ratios counts. The replica stands in for PyTorch's index; what comes from
PyPI is in uv's cache after the first round, which does not count.
"""

from __future__ import annotations

import argparse
import datetime
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import tomli_w
from tabulate import tabulate

from tools.lib.lock import find_uv, run_uv
from tools.lib.markdown import with_parts
from tools.lib.replica import Replica
from tools.lib.template import ROOT, empty_config
from torch_plan.catalog.facts import load_facts

PAGE = ROOT / "docs/cost.md"

Pairs = Sequence[tuple[float, float]]
"""What was measured here and for the other side, round by round."""


def row(what: str, pairs: Pairs, target: float, unit: str = "ms") -> list[str]:
    """Return a row of the table; the median of the ratios meets the target, or misses it."""
    here, other = (f"{median(side):,.0f} {unit}" for side in zip(*pairs, strict=True))
    ratios = [ours / theirs for ours, theirs in pairs]
    ratio = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    verdict = "missed" if round(median(ratios), 2) > target else "met"
    return [what, here, other, ratio, f"{target:.2f}", verdict]


def in_turn(ours: Callable[[], float], theirs: Callable[[], float]) -> Pairs:
    """Measure both sides in turn nine times, after one round that does not count."""
    return [(ours(), theirs()) for _ in range(10)][1:]


def milliseconds(*command: str | Path) -> float:
    """Return how long a command takes; raises `CalledProcessError` if it fails."""
    begin = time.perf_counter()
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return (time.perf_counter() - begin) * 1000


def render(template: Path, folder: Path, **answers: str) -> float:
    """Return how long it takes to render a template into a folder."""
    words = [f"{key}={value}" for key, value in answers.items()]
    options = ("--no-input", "--overwrite-if-exists", "--output-dir", folder)
    return milliseconds(sys.executable, "-m", "cookiecutter", template, *options, *words)


def rendering(folder: Path) -> list[str]:
    """Return the row of a whole run of cookiecutter, against a template of one file."""
    least = folder / "least/{{cookiecutter.name}}"
    least.mkdir(parents=True)
    (least / "README.md").write_text("# {{ cookiecutter.name }}\n", encoding="utf-8")
    (least.parent / "cookiecutter.json").write_text('{"name": "one"}\n', encoding="utf-8")
    ours = partial(render, ROOT, folder, after_generation="nothing", git="no")
    pairs = in_turn(ours, partial(render, least.parent, folder))
    return row("a run of cookiecutter, against a template of one file", pairs, 1.25)


def importing() -> list[str]:
    """Return the row of an import of `torch_plan` in a new Python, against 30 ms."""
    code = "import timeit; print(timeit.timeit('import torch_plan.project.planning', number=1))"

    def taken() -> float:
        return float(subprocess.check_output([sys.executable, "-c", code], cwd=ROOT)) * 1000

    return row("an import of `torch_plan`, against 30 ms", in_turn(taken, lambda: 30), 1)


def locking(folder: Path, url: str) -> list[str]:
    """Return the row of what a lock adds to generation, against a bare `uv lock`."""
    lock = folder / "my-ml-project/uv.lock"
    generate = partial(render, ROOT, folder, torch_backend="cpu", pytorch_index=url, git="no")

    def added() -> float:
        lock.unlink(missing_ok=True)
        with_lock = generate(after_generation="lock")
        lock.unlink()  # fails where the hook has left none
        return with_lock - generate(after_generation="nothing")

    bare = partial(milliseconds, find_uv(), "lock", "--project", lock.parent)
    return row("the lock in generation, against a bare `uv lock`", in_turn(added, bare), 1.1)


def guide_project(ours: Mapping[str, Any], url: str) -> dict[str, Any]:
    """Return the `pyproject.toml` of CUDA on Linux and the CPU build elsewhere, as in uv's guide.

    `ours` is the template's, `url` is what comes before `/cu128`. The guide is "Using uv with
    PyTorch": https://docs.astral.sh/uv/guides/integration/pytorch/.
    """
    indexes = {"cpu": "sys_platform != 'linux'", "cu128": "sys_platform == 'linux'"}
    sources = [{"index": f"pytorch-{name}", "marker": marker} for name, marker in indexes.items()]
    tables = [
        {"name": f"pytorch-{name}", "url": f"{url}/{name}", "explicit": True} for name in indexes
    ]
    uv = {"sources": {"torch": sources, "torchvision": sources}, "index": tables}
    return {**ours, "tool": {"uv": uv}}


GUIDE_ANSWERS = {
    "torch_version": "2.9.1",
    "python_version": "3.10",
    "torch_backend": "cu128",
    "platforms": "linux-x86_64 linux-aarch64 macos-arm64 windows-x86_64=cpu",
}


def against_the_guide(folder: Path, replica: Replica) -> Iterator[list[str]]:
    """Yield the rows of a lock without anything of PyTorch's in the cache: time, and requests."""
    render(ROOT, folder, **GUIDE_ANSWERS, after_generation="nothing", git="no")
    ours, theirs = folder / "my-ml-project", folder / "guide"
    text = (ours / "pyproject.toml").read_text(encoding="utf-8")
    # Rendered for the official index, of which the template knows what it has.
    text = text.replace(load_facts().pytorch_mirrors["official"].url, replica.url)
    (ours / "pyproject.toml").write_text(text, encoding="utf-8")
    theirs.mkdir()
    guide = tomli_w.dumps(guide_project(tomllib.loads(text), replica.url))
    (theirs / "pyproject.toml").write_text(guide, encoding="utf-8")
    requests: dict[Path, list[int]] = {ours: [], theirs: []}

    def lock(project: Path) -> float:
        (project / "uv.lock").unlink(missing_ok=True)
        run_uv(project, "cache", "clean", "torch", *load_facts().all_companions)
        replica.requests.clear()
        taken = milliseconds(find_uv(), "lock", "--project", project, "--python", sys.executable)
        requests[project].append(len(replica.requests))
        return taken

    pairs = in_turn(partial(lock, ours), partial(lock, theirs))
    yield row("a cold lock, against that of uv's guide", pairs, 1)
    counts = [*zip(requests[ours], requests[theirs], strict=True)]
    yield row("its requests to PyTorch's index", counts, 1, "requests")


def main() -> None:
    """Measure, print the table, and write it into the page."""
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    with tempfile.TemporaryDirectory() as name, Replica() as replica:
        folder = Path(name)
        # Modules are compiled, as every day; and what is thrown away is in nobody's cache.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
        os.environ["COOKIECUTTER_CONFIG"] = str(empty_config(folder))
        os.environ["UV_CACHE_DIR"] = str(folder / "uv")
        rows = [rendering(folder / "render"), importing(), locking(folder / "lock", replica.url)]
        rows += against_the_guide(folder / "guide", replica)
    head = ("what", "here", "compared with", "ratio", "target", "")
    table = tabulate(rows, head, tablefmt="pipe", disable_numparse=True)
    machine = f"{os.cpu_count()} processors with a load of {os.getloadavg()[1]:.0f}"
    text = f"Last run: {datetime.date.today()}, on {machine}.\n\n{table}"
    PAGE.write_text(with_parts(PAGE.read_text("utf-8"), {"table": text}), encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
