"""Measure what the template costs, and write `docs/cost.md`: `uv run -m tools.bench`, a minute.

Machines are noisy, so every time is compared with that of something alike, which runs in turn with
it. The replica stands in for PyTorch's index; what comes from PyPI is soon in uv's cache.
"""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from timeit import timeit

import tomli_w
from tabulate import tabulate

from tools.docs import with_parts
from tools.lib.lock import find_uv, run_uv
from tools.lib.replica import Replica
from tools.lib.template import ROOT, empty_config
from torch_plan.catalog.facts import load_facts

Timer = Callable[[], float]

SLUG = "my-ml-project"

GUIDE_ANSWERS = {
    "torch_version": "2.9.1",
    "python_version": "3.10",
    "torch_backend": "cu128",
    "platforms": "linux-x86_64 linux-aarch64 macos-arm64 windows-x86_64=cpu",
}


def row(what: str, target: float, ours: Timer, theirs: Timer) -> list[str]:
    """Return a row: both sides nine times in turn, after one round that does not count."""
    pairs = [(ours(), theirs()) for _ in range(10)][1:]
    here, other = (f"{median(side):,.0f} ms" for side in zip(*pairs, strict=True))
    ratios = [spent / spent_there for spent, spent_there in pairs]
    ratio = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    verdict = "missed" if round(median(ratios), 2) > target else "met"
    return [what, here, other, ratio, f"{target:.2f}", verdict]


def milliseconds(*command: str | Path) -> float:
    """Return how long a command takes; raises `CalledProcessError` if it fails."""
    run = partial(subprocess.run, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return timeit(lambda: run(command), number=1) * 1000


def render(template: Path, folder: Path, **answers: str) -> float:
    """Return how long it takes to render a template into a folder."""
    words = [f"{key}={value}" for key, value in answers.items()]
    options = ("--no-input", "--overwrite-if-exists", "--output-dir", folder)
    return milliseconds(sys.executable, "-m", "cookiecutter", template, *options, *words)


def lock_added(folder: Path, url: str) -> float:
    """Return what a lock adds to generation."""
    lock = folder / SLUG / "uv.lock"
    lock.unlink(missing_ok=True)
    generate = partial(render, ROOT, folder, torch_backend="cpu", pytorch_index=url, git="no")
    with_lock = generate(after_generation="lock")
    lock.unlink()  # fails where the hook has left none
    return with_lock - generate(after_generation="nothing")


def cold_lock(project: Path) -> float:
    """Return how long a lock takes without anything of PyTorch's in the cache."""
    (project / "uv.lock").unlink(missing_ok=True)
    run_uv(project, "cache", "clean", "torch", *load_facts().all_companions)
    return milliseconds(find_uv(), "lock", "--project", project, "--python", sys.executable)


def guide_project(ours: str, url: str) -> str:
    """Return our `pyproject.toml` with the indexes below `url` as uv's guide has them.

    https://docs.astral.sh/uv/guides/integration/pytorch/
    """
    markers = {"cpu": "sys_platform != 'linux'", "cu128": "sys_platform == 'linux'"}
    sources = [{"index": f"pytorch-{name}", "marker": markers[name]} for name in markers]
    indexes = [
        {"name": f"pytorch-{name}", "url": f"{url}/{name}", "explicit": True} for name in markers
    ]
    uv = {"sources": {"torch": sources, "torchvision": sources}, "index": indexes}
    return tomli_w.dumps({**tomllib.loads(ours), "tool": {"uv": uv}})


def measure(folder: Path, url: str) -> list[list[str]]:
    """Return the rows of the table; `url` is that of the index."""
    least = folder / "least/{{cookiecutter.name}}"
    least.mkdir(parents=True)
    (least / "README.md").write_text("# {{ cookiecutter.name }}\n", encoding="utf-8")
    (least.parent / "cookiecutter.json").write_text('{"name": "one"}\n', encoding="utf-8")
    run = partial(render, ROOT, folder / "run", after_generation="nothing", git="no")
    least_run = partial(render, least.parent, folder / "run")
    code = "import timeit; print(timeit.timeit('import torch_plan.project.plan', number=1) * 1000)"
    python = partial(subprocess.check_output, (sys.executable, "-c", code), cwd=ROOT)
    lock = partial(lock_added, folder / "lock", url)
    bare_lock = partial(milliseconds, find_uv(), "lock", "--project", folder / f"lock/{SLUG}")
    render(ROOT, folder, **GUIDE_ANSWERS, after_generation="nothing", git="no")
    # Rendered for the official index, of which the template knows what it has.
    official = load_facts().pytorch_mirrors["official"].url
    ours, guide = folder / SLUG / "pyproject.toml", folder / "guide/pyproject.toml"
    text = ours.read_text(encoding="utf-8").replace(official, url)
    ours.write_text(text, encoding="utf-8")
    guide.parent.mkdir()
    guide.write_text(guide_project(text, url), encoding="utf-8")
    cold_locks = (partial(cold_lock, project.parent) for project in (ours, guide))
    return [
        row("a run of cookiecutter, against a template of one file", 1.25, run, least_run),
        row("an import of `torch_plan`, against 30 ms", 1, lambda: float(python()), lambda: 30),
        row("the lock in generation, against a bare `uv lock`", 1.1, lock, bare_lock),
        row("a cold lock, against that of uv's guide", 1, *cold_locks),
    ]


def main() -> None:
    """Measure, print the table, and write it into the page."""
    with tempfile.TemporaryDirectory() as name, Replica() as replica:
        # Modules are compiled, as every day; and what is thrown away is in nobody's cache.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(Path(name, "bytecode"))
        os.environ["COOKIECUTTER_CONFIG"] = str(empty_config(Path(name)))
        os.environ["UV_CACHE_DIR"] = str(Path(name, "uv"))
        rows = measure(Path(name), replica.url)
    head = ("what", "here", "compared with", "ratio", "target", "")
    table = tabulate(rows, head, tablefmt="pipe", disable_numparse=True)
    text = f"Last run: {datetime.date.today()}, on {os.cpu_count()} processors.\n\n{table}"
    page = ROOT / "docs/cost.md"
    page.write_text(with_parts(page.read_text("utf-8"), {"table": text}), encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
