"""Measure what the template costs: `uv run tools/bench.py`.

Machines are noisy, so nothing is judged by seconds: each time is a ratio to something alike that
runs in turn with it, and of several rounds the median counts. Counts need no such care.

It prints a table. `--write` puts it into `docs/cost.md`, and the growth into `docs/cost.svg`;
`--check` exits 1 if a target is missed. PyPI must be in reach, for one round: its answers are kept.
The PyTorch index is the replica.
"""

from __future__ import annotations

import argparse
import datetime
import io
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.lock import find_uv, installed, read_lock, run_uv
from tools.real_wheel import real_cpu_wheel
from tools.recorder import Recorder
from tools.replica import Replica
from tools.wheel_names import parse_wheel_name
from torch_plan.defaults import complete
from torch_plan.facts import CPU, PYPI, load_facts
from torch_plan.plan import Plan
from torch_plan.planning import make_plan

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGE_NAME, PICTURE_NAME = "cost.md", "cost.svg"
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"

ROUNDS, LEAST_ROUNDS = 21, 5

RENDERING, LOCKING = 1.25, 1.10
"""How long rendering may take against a template of one file, and the lock against uv alone."""

IMPORT_SECONDS, PLAN_SECONDS = 0.030, 0.005


# --- What is said --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One measurement: ours against something else, and what the ratio may be."""

    what: str
    unit: str
    ours: float
    theirs: float
    ratio: float
    rounds: int = 1
    target: float | None = None
    interval: tuple[float, float] | None = None
    """Of the ratio, see `median_interval`; None for what is counted, and exact."""

    @property
    def verdict(self) -> str:
        """`met` or `missed`, empty where nothing is demanded; the interval excuses nothing."""
        if self.target is None:
            return ""
        return "met" if round(self.ratio, 2) <= self.target else "missed"


def timed(what: str, pairs: Sequence[tuple[float, float]], target: float | None) -> Row:
    """Return the row of seconds that were taken in pairs: the median of the pairs' ratios."""
    ours, theirs = zip(*pairs, strict=True)
    ratios = [our / their for our, their in pairs]
    return Row(
        what,
        "s",
        median(ours),
        median(theirs),
        median(ratios),
        len(pairs),
        target,
        median_interval(ratios),
    )


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the confidence interval of the median: at least 95 %, or of five values all (94 %).

    It needs no assumption about the values but that they are independent: it is the sign test's.
    """
    ordered, count = sorted(values), len(values)
    beyond, rank = 1 / 2**count, 0
    while beyond + math.comb(count, rank + 1) / 2**count <= 0.025:
        rank += 1
        beyond += math.comb(count, rank) / 2**count
    return ordered[rank], ordered[-1 - rank]


def counted(what: str, unit: str, ours: float, theirs: float, target: float | None) -> Row:
    """Return the row of two numbers that do not differ from run to run."""
    if not theirs:
        return Row(what, unit, ours, theirs, float("inf") if ours else 1.0, 1, target)
    return Row(what, unit, ours, theirs, ours / theirs, 1, target)


def amount(value: float, unit: str) -> str:
    """Return a number for people: seconds as ms, bytes as kB or MB, a count as it is."""
    if unit == "s":
        return f"{value * 1000:,.0f} ms" if value >= 0.01 else f"{value * 1000:.1f} ms"
    if unit == "B":
        return f"{value / 1e6:,.1f} MB" if value >= 1e6 else f"{value / 1e3:,.0f} kB"
    return f"{value:,.0f}"


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a table in Markdown, its columns aligned."""
    head = ("what", "ours", "compared with", "ratio", "interval", "rounds", "target", "")
    cells = [
        (
            row.what,
            amount(row.ours, row.unit),
            amount(row.theirs, row.unit),
            f"{row.ratio:.2f}",
            between(row),
            str(row.rounds),
            "" if row.target is None else f"{row.target:.2f}",
            row.verdict,
        )
        for row in rows
    ]
    return aligned(head, cells)


def lock_table(compared: Mapping[str, Sequence[Row]]) -> str:
    """Return choice -> its rows as a table with one line for each choice, a column for each row."""
    first = next(iter(compared.values()))
    head = ("a cold lock: ours / uv's guide", *(row.what for row in first), "")
    return aligned(head, [(name, *map(both, rows), worst(rows)) for name, rows in compared.items()])


def both(row: Row) -> str:
    """Return what was counted on either side, and of times the ratio."""
    if row.unit == "s":
        return f"{row.ratio:.2f} ({between(row)})"
    return f"{amount(row.ours, row.unit)} / {amount(row.theirs, row.unit)}"


def between(row: Row) -> str:
    """Return the ends of a ratio's interval, empty for what is exact."""
    return " to ".join(f"{end:.2f}" for end in row.interval or ())


def worst(rows: Iterable[Row]) -> str:
    """Return the worst verdict of some rows."""
    verdicts = {row.verdict for row in rows}
    return next((verdict for verdict in ("missed", "met") if verdict in verdicts), "")


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are numbers, and stand on the right."""
    widths = [max(3, *map(len, column)) for column in zip(head, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = [cells[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(map(line, (head, rule, *rows)))


# --- The same choice, as uv's guide writes it ----------------------------------------------------


@dataclass(frozen=True)
class Written:
    """A source of torch in uv's guide: the index, where it holds, and for which extra or group."""

    backend: str
    marker: str = ""
    option: str = ""


@dataclass(frozen=True)
class Choice:
    """A choice of builds: our answers, and the sources with which uv's guide says the same."""

    name: str
    answers: Mapping[str, str]
    guide: tuple[Written, ...]


LINUX, NOT_LINUX = "sys_platform == 'linux'", "sys_platform != 'linux'"
MACOS, NOT_MACOS = "sys_platform == 'darwin'", "sys_platform != 'darwin'"
WINDOWS_OR_LINUX = "sys_platform == 'win32' or sys_platform == 'linux'"
ROCM_HERE = "sys_platform == 'linux' and platform_machine == 'x86_64'"
ROCM_ELSEWHERE = "sys_platform != 'linux' or platform_machine != 'x86_64'"
XPU_HERE = "sys_platform == 'win32' or (sys_platform == 'linux' and platform_machine == 'x86_64')"
XPU_ELSEWHERE = (
    "sys_platform != 'win32' and (sys_platform != 'linux' or platform_machine != 'x86_64')"
)
SWITCHED = (Written("cpu", option="cpu"), Written("cu128", option="cu128"))
SWITCHED_ON_MACOS_TOO = (
    Written("cpu", option="cpu"),
    Written("cu128", NOT_MACOS, "cu128"),
    Written("cpu", MACOS, "cu128"),
)


def _choice(name: str, guide: Sequence[Written], **answers: str) -> Choice:
    """Return a choice, its answers as keywords."""
    return Choice(name, answers, tuple(guide))


NOT_ON_MACOS = "linux-x86_64 linux-aarch64 windows-x86_64"
CHOICES = (
    _choice("CPU", [Written("cpu")], torch_backend="cpu"),
    _choice(
        "CUDA on Linux",
        [Written("cpu", NOT_LINUX), Written("cu128", LINUX)],
        torch_backend="cu128",
        platforms="linux-x86_64 linux-aarch64 macos-arm64 windows-x86_64=cpu",
    ),
    _choice(
        "ROCm, else PyPI",
        [Written("rocm6.4", LINUX)],
        torch_backend="rocm6.4",
        platforms="linux-x86_64 macos-arm64=pypi windows-x86_64=pypi",
    ),
    _choice(
        "XPU, else PyPI",
        [Written("xpu", WINDOWS_OR_LINUX)],
        torch_backend="xpu",
        platforms="linux-x86_64 windows-x86_64 macos-arm64=pypi",
    ),
    _choice("extras", SWITCHED, torch_backend="cpu cu128", layout="extras", platforms=NOT_ON_MACOS),
    _choice("groups", SWITCHED, torch_backend="cpu cu128", layout="groups", platforms=NOT_ON_MACOS),
    _choice(
        "ROCm, else CPU",
        [Written("rocm6.4", ROCM_HERE), Written("cpu", ROCM_ELSEWHERE)],
        torch_backend="rocm6.4",
    ),
    _choice(
        "XPU, else CPU",
        [Written("xpu", XPU_HERE), Written("cpu", XPU_ELSEWHERE)],
        torch_backend="xpu",
    ),
    _choice("extras, macOS too", SWITCHED_ON_MACOS_TOO, torch_backend="cpu cu128", layout="extras"),
    _choice("groups, macOS too", SWITCHED_ON_MACOS_TOO, torch_backend="cpu cu128", layout="groups"),
)
"""First the examples of https://docs.astral.sh/uv/guides/integration/pytorch/, and groups.

Our answers ask for what they do: ROCm and XPU leave other platforms to PyPI, and macOS can have no
CUDA. Then what this template makes of the same by default, written the guide's way.
"""

COMMON = {"torch_version": "2.9.1", "python_version": "3.10", "after_generation": "nothing"}
"""The release at which every one of these backends is published."""


def plan_of(answers: Mapping[str, str]) -> Plan:
    """Return the plan of some answers, those left out as the template's defaults."""
    return make_plan(complete(answers, load_facts()))


def guide_pyproject(plan: Plan, sources: Sequence[Written], url: str) -> str:
    """Return the `pyproject.toml` that uv's guide leads to.

    Comes in: our plan of the same choice, for its pins, Pythons and layout; the sources; what comes
    before `/cu128`. There are no `environments` in it: the guide has none.
    """
    first = plan.cells[0]
    torch = [f"{it.name}=={it.version}" for it in first.packages if it.pythons is None]
    numpy = [pin for pin in plan.dependencies if pin.startswith("numpy")]
    tritons = [_triton(first.release, source) for source in sources]
    options = {
        source.option: [*torch, *pins]
        for source, pins in zip(sources, tritons, strict=True)
        if source.option
    }
    shared = [] if options else [*torch, *(pin for pins in tritons for pin in pins)]
    extras, groups = (options, {}) if plan.layout == "extras" else ({}, options)
    packages = ["torch", *plan.companions]
    lines = [
        "[project]",
        'name = "my-ml-project"',
        'version = "0.1.0"',
        f"requires-python = {_toml(plan.requires_python)}",
        f"dependencies = {_toml([*numpy, *shared])}",
        *_section("project.optional-dependencies", extras),
        *_section("dependency-groups", {"dev": ["pytest", "ruff"], **groups}),
    ]
    if options:
        kind = "extra" if extras else "group"
        exclusive = ", ".join(f"{{ {kind} = {_toml(name)} }}" for name in options)
        defaults = [] if extras else [f"default-groups = {_toml(['dev', sources[0].option])}"]
        conflicts = [f"conflicts = [[{exclusive}]]"] if len(options) > 1 else []
        lines += ["[tool.uv]", *conflicts, *defaults]
    lines += ["[tool.uv.sources]"]
    for package in packages:
        lines.append(f"{package} = [{', '.join(_source(source, plan) for source in sources)}]")
    for source, pins in zip(sources, tritons, strict=True):
        lines += [f"{pin.partition('==')[0]} = [{_source(source, plan)}]" for pin in pins]
    for backend in dict.fromkeys(source.backend for source in sources):
        name, address = _toml(f"pytorch-{backend}"), _toml(f"{url}/{backend}")
        lines += ["[[tool.uv.index]]", f"name = {name}", f"url = {address}", "explicit = true"]
    return "\n".join(lines) + "\n"


def _triton(release: str, source: Written) -> list[str]:
    """Return the requirement of the triton package of ROCm and XPU, which the guide states too."""
    triton = load_facts().triton(release, source.backend)
    return [f"{triton.name}=={triton.version} ; {source.marker}"] if triton else []


def _source(source: Written, plan: Plan) -> str:
    parts = {"index": f"pytorch-{source.backend}", plan.selector: source.option}
    parts["marker"] = source.marker
    return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in parts.items() if k and v) + " }"


def _section(name: str, entries: Mapping[str, Sequence[str]]) -> list[str]:
    found = [f"{_toml(key)} = {_toml(value)}" for key, value in entries.items()]
    return [f"[{name}]", *found] if found else []


def _toml(value: object) -> str:
    """Return a string, or a list of strings, as TOML: plain text is written as in JSON."""
    return json.dumps(value)


# --- Processes -----------------------------------------------------------------------------------


def compiled(folder: Path) -> dict[str, str]:
    """Return the environment of a Python that finds its modules compiled, as every day."""
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    config = folder / "cookiecutter.yaml"
    config.write_text(
        f"replay_dir: {folder / 'replay'}\ncookiecutters_dir: {folder / 'clones'}\n",
        encoding="utf-8",
    )
    return {
        **inherited,
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
    ours: Callable[[], float], theirs: Callable[[], float], rounds: int
) -> list[tuple[float, float]]:
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


def one_file_template(folder: Path) -> Path:
    """Write the least template there is."""
    inner = folder / "{{cookiecutter.name}}"
    inner.mkdir(parents=True)
    (inner / "README.md").write_text("# {{ cookiecutter.name }}\n", encoding="utf-8")
    (folder / "cookiecutter.json").write_text('{"name": "project"}\n', encoding="utf-8")
    return folder


# --- Measurements --------------------------------------------------------------------------------


def rendering(folder: Path, rounds: int) -> Row:
    """Rendering alone, against a template of one file: whole processes, hooks included."""
    environment = compiled(folder)
    least = one_file_template(folder / "least")
    ours = render(ROOT, folder / "ours", {"after_generation": "nothing", "git": "no"})
    theirs = render(least, folder / "theirs", {})
    pairs = in_turn(
        lambda: seconds(ours, environment, folder),
        lambda: seconds(theirs, environment, folder),
        rounds,
    )
    return timed("rendering alone, against a template of one file", pairs, RENDERING)


def locking(folder: Path, indexes: Indexes, rounds: int) -> Row:
    """What a lock adds to generation, against a bare `uv lock` of the same project."""
    environment = {**compiled(folder), "UV_DEFAULT_INDEX": indexes.pypi.url}
    answers = {**COMMON, "torch_backend": CPU, "pytorch_index": indexes.pytorch.url}
    project = folder / "out/my-ml-project"
    lock = [find_uv(), "lock", "--python", plan_of(answers).requires_python]

    def generate(after: str) -> float:
        (project / "uv.lock").unlink(missing_ok=True)
        command = render(ROOT, folder / "out", {**answers, "after_generation": after})
        return seconds(command, environment, folder)

    def bare() -> float:
        (project / "uv.lock").unlink(missing_ok=True)
        return seconds(lock, environment, project)

    def added() -> float:
        with_lock = generate("lock")
        if not (project / "uv.lock").exists():
            raise FileNotFoundError("the hook left no uv.lock")
        return with_lock - generate("nothing")

    generate("nothing")
    pairs = in_turn(added, bare, rounds)
    return timed("the lock in generation, against a bare `uv lock`", pairs, LOCKING)


@dataclass(frozen=True)
class Indexes:
    """Where locks take everything from: the replica, and PyPI's recorded answers."""

    pytorch: Replica
    pypi: Recorder


@dataclass(frozen=True)
class Cost:
    """What one cold lock costs: what it asks of the indexes, and what it writes."""

    requests: int
    sent: int
    all_requests: int
    all_sent: int
    packages: int
    lines: int


MEASURES = {
    "requests": "",
    "sent": "B",
    "all_requests": "",
    "all_sent": "B",
    "packages": "",
    "lines": "",
}
"""Field of a cost -> its unit."""
NAMES = {
    "requests": "requests to PyTorch's index",
    "sent": "bytes from PyTorch's index",
    "all_requests": "requests to all indexes",
    "all_sent": "bytes from all indexes",
    "packages": "packages in uv.lock",
    "lines": "lines in uv.lock",
}
PICTURED = ("requests", "sent", "packages", "lines")


def cold_lock(project: Path, indexes: Indexes) -> tuple[float, Cost]:
    """Lock a project with an empty cache. Returns the seconds and the cost."""
    (project / "uv.lock").unlink(missing_ok=True)
    pytorch, pypi = indexes.pytorch.requests, indexes.pypi.requests
    pytorch.clear()
    pypi.clear()
    with tempfile.TemporaryDirectory() as cache:
        variables = {"UV_CACHE_DIR": cache, "UV_DEFAULT_INDEX": indexes.pypi.url}
        begin = time.perf_counter()
        run_uv(project, "lock", "--python", sys.executable, **variables)
        taken = time.perf_counter() - begin
    sent = sum(request.bytes_sent for request in pytorch)
    return taken, Cost(
        requests=len(pytorch),
        sent=sent,
        all_requests=len(pytorch) + len(pypi),
        all_sent=sent + sum(request.bytes_sent for request in pypi),
        packages=len(read_lock(project)),
        lines=(project / "uv.lock").read_text(encoding="utf-8").count("\n"),
    )


def cuda_libraries(folder: Path, pypi: Recorder) -> dict[str, list[str]]:
    """Return what torch for CUDA requires of PyPI on Linux, under the name of its index.

    The replica does not know it. PyPI's own torch, which is such a build, does: uv reads it there.
    """
    release = COMMON["torch_version"]
    lines = ["[project]", 'name = "libraries"', 'version = "0"', 'requires-python = ">=3.10"']
    lines.append(f'dependencies = ["torch=={release}"]')
    (folder / "pyproject.toml").write_text("\n".join(lines), encoding="utf-8")
    run_uv(folder, "lock", "--python", sys.executable, UV_DEFAULT_INDEX=pypi.url)
    locked = {package["name"]: package for package in read_lock(folder)}
    requirements = [
        f"{needed['name']}=={locked[needed['name']]['version']} ; {needed['marker']}"
        for needed in locked["torch"]["dependencies"]
        if "linux" in needed.get("marker", "")
    ]
    return {load_facts().build(release, PYPI, "linux-x86_64"): requirements}


def generated(folder: Path, answers: Mapping[str, str], replica: Replica) -> Path:
    """Render a project of ours against the replica, without a lock."""
    folder.mkdir(parents=True)
    given = {**COMMON, "pytorch_index": replica.url, **answers}
    seconds(render(ROOT, folder, given), compiled(folder), folder)
    return folder / "my-ml-project"


def handwritten(
    folder: Path, answers: Mapping[str, str], sources: Sequence[Written], replica: Replica
) -> Path:
    """Write the project of uv's guide for the same choice, its Python pinned as `uv init` does."""
    folder.mkdir(parents=True)
    text = guide_pyproject(plan_of({**COMMON, **answers}), sources, replica.url)
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    (folder / ".python-version").write_text(f"{COMMON['python_version']}\n", encoding="utf-8")
    return folder


def against_the_guide(folder: Path, indexes: Indexes, rounds: int) -> dict[str, list[Row]]:
    """Return choice -> what a cold lock costs against the one of uv's guide.

    A last one compares the guide with itself: how far from 1 the times of equals are.
    """
    compared = {}
    for number, choice in enumerate(CHOICES):
        announce(f"a cold lock: {choice.name}")
        here = folder / str(number)
        ours = generated(here / "ours", choice.answers, indexes.pytorch)
        theirs = handwritten(here / "guide", choice.answers, choice.guide, indexes.pytorch)
        compared[choice.name] = compare(ours, theirs, indexes, rounds, 1.0)
    announce("a cold lock: uv's guide, twice")
    compared["uv's guide, twice"] = compare(theirs, theirs, indexes, rounds, None)
    return compared


def compare(
    ours: Path, theirs: Path, indexes: Indexes, rounds: int, target: float | None
) -> list[Row]:
    """Return what a cold lock of one project costs against that of another."""
    our, their = (cold_lock(project, indexes)[1] for project in (ours, theirs))
    pairs = in_turn(
        lambda: cold_lock(ours, indexes)[0], lambda: cold_lock(theirs, indexes)[0], rounds
    )
    return [
        *(
            counted(NAMES[field], unit, getattr(our, field), getattr(their, field), target)
            for field, unit in MEASURES.items()
        ),
        timed("time", pairs, target),
    ]


_PLAN = """
import json, sys, time
answers = json.loads(sys.argv[1])
begin = time.perf_counter()
import torch_plan.planning
imported = time.perf_counter()
torch_plan.planning.make_plan(answers)
print(imported - begin, time.perf_counter() - imported)
"""


def planning(folder: Path, rounds: int) -> Iterator[Row]:
    """Yield what importing `torch_plan` and the first plan, facts read, take in a new Python."""
    answers = json.dumps(complete({}, load_facts()))
    environment = {**compiled(folder), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", _PLAN, answers]
    printed = [
        subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
        for _ in range(rounds + 1)
    ]
    taken = [tuple(map(float, done.stdout.split())) for done in printed[1:]]
    for position, what, allowed in (
        (0, "import of `torch_plan`, against what it may take", IMPORT_SECONDS),
        (1, "one plan, against what it may take", PLAN_SECONDS),
    ):
        yield timed(what, [(each[position], allowed) for each in taken], 1.0)


# --- Downloads -----------------------------------------------------------------------------------


def linux_tags(python: str) -> list[Tag]:
    """Return the wheel tags that a current Linux on x86_64 takes, the best first."""
    major, minor = (int(part) for part in python.split("."))
    glibc = [f"manylinux_2_{number}_x86_64" for number in range(39, 4, -1)]
    platforms = [*glibc, "manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"]
    platforms.append("linux_x86_64")
    return [
        *cpython_tags((major, minor), platforms=platforms),
        *compatible_tags((major, minor), f"cp{major}{minor}", platforms),
    ]


def best_wheel(package: Mapping[str, Any], tags: Sequence[Tag]) -> Mapping[str, Any] | None:
    """Return the wheel of a locked package that fits best, None if none does."""
    ranked: dict[int, Mapping[str, Any]] = {}
    for wheel in package.get("wheels", []):
        name = wheel["url"].rpartition("/")[2].replace("%2B", "+")
        fitting = [tags.index(tag) for tag in parse_wheel_filename(name)[3] if tag in tags]
        if fitting:
            ranked.setdefault(min(fitting), wheel)
    return ranked[min(ranked)] if ranked else None


def size_of(wheel: Mapping[str, Any]) -> int:
    """Return a wheel's size: from the lock, or from its server where the index tells none."""
    if "size" in wheel:
        return int(wheel["size"])
    request = urllib.request.Request(wheel["url"], method="HEAD")
    with urllib.request.urlopen(request, timeout=30) as response:
        return int(response.headers["Content-Length"])


def download_sizes(project: Path, known: Mapping[str, int]) -> dict[str, int]:
    """Return package -> bytes of what Linux x86_64 would download; `known` sizes are not asked."""
    wanted = installed(project, "linux-x86_64", "--no-dev", "--python", PYTHON)
    tags = linux_tags(PYTHON)
    sizes = {}
    for package in read_lock(project):
        name = package["name"]
        if wanted.get(name) != package.get("version"):
            continue
        wheel = best_wheel(package, tags)
        if name in known:
            sizes[name] = known[name]
        elif wheel:
            sizes[name] = size_of(wheel)
    return sizes


def downloading(folder: Path) -> tuple[Row, str] | None:
    """Compare the CPU build's download with PyPI's. None without a real CPU wheel to weigh."""
    wheel = real_cpu_wheel(folder / "wheels", "linux-x86_64", load_facts())
    if wheel is None:
        return None
    release = parse_wheel_name(wheel.name).version
    with Replica(wheels=[wheel]) as replica:
        answers = {"torch_version": release, "python_version": PYTHON, "companions": "none"}
        answers["platforms"] = "linux-x86_64"
        sizes = []
        for backend, known in ((CPU, {"torch": wheel.stat().st_size}), (PYPI, {})):
            project = generated(folder / backend, {**answers, "torch_backend": backend}, replica)
            run_uv(project, "lock", "--python", PYTHON)
            sizes.append(download_sizes(project, known))
    cpu, pypi = sizes
    row = counted(
        f"torch {release}: download on Linux x86_64, against PyPI's default",
        "B",
        sum(cpu.values()),
        sum(pypi.values()),
        1.0,
    )
    return row, download_note(release, cpu, pypi)


def download_note(release: str, cpu: Mapping[str, int], pypi: Mapping[str, int]) -> str:
    """Say what the two downloads of a release are made of."""
    extra = {name: size for name, size in pypi.items() if name not in cpu}
    return (
        f"The CPU build of torch {release} is {amount(cpu['torch'], 'B')}, PyPI's is "
        f"{amount(pypi['torch'], 'B')} and brings {len(extra)} packages more "
        f"({amount(sum(extra.values()), 'B')}). Both with Python {PYTHON}, without companions and "
        "development tools. The CPU wheel was weighed itself, all others are sizes of PyPI."
    )


# --- Growth --------------------------------------------------------------------------------------

BACKENDS = ("cpu", "cu126", "cu128", "cu130")
PLATFORMS = ("linux-x86_64", "linux-aarch64", "macos-arm64", "windows-x86_64", "windows-arm64")
"""All that one release has: wheels for Intel Macs end before those for Windows on Arm begin."""

PYTHON_EVERYWHERE = "3.11"
"""The oldest Python with wheels of torch for Windows on Arm."""

Costs = tuple[Cost, ...]


@dataclass(frozen=True)
class Growth:
    """Costs with 1, 2, … of something, ours and those of uv's guide."""

    of: str
    ours: Costs
    guide: Costs


def on_cuda(platforms: Iterable[str]) -> dict[str, str]:
    """Return the answers for CUDA on some platforms, without torchvision: few have its wheels."""
    python = {"python_version": PYTHON_EVERYWHERE, "companions": "none"}
    return {"torch_backend": "cu128", "platforms": " ".join(platforms), **python}


def growth(folder: Path, indexes: Indexes) -> tuple[Growth, Growth]:
    """Measure how the costs grow with backends (as extras) and with platforms (on CUDA)."""
    announce("growth")
    ours, guide = [], []
    for number in range(1, len(BACKENDS) + 1):
        names = BACKENDS[:number]
        answers = {"torch_backend": " ".join(names), "layout": "extras"}
        sources = [Written(name, option=name) for name in names]
        here = folder / f"backends-{number}"
        ours.append(cold_lock(generated(here / "ours", answers, indexes.pytorch), indexes)[1])
        written = handwritten(here / "guide", answers, sources, indexes.pytorch)
        guide.append(cold_lock(written, indexes)[1])
    on_platforms = []
    for number in range(1, len(PLATFORMS) + 1):
        answers = on_cuda(PLATFORMS[:number])
        project = generated(folder / f"platforms-{number}", answers, indexes.pytorch)
        on_platforms.append(cold_lock(project, indexes)[1])
    sources = [Written("cpu", NOT_LINUX), Written("cu128", LINUX)]
    written = handwritten(folder / "everywhere", on_cuda(PLATFORMS), sources, indexes.pytorch)
    everywhere = cold_lock(written, indexes)[1]
    return (
        Growth("backends, as extras", tuple(ours), tuple(guide)),
        Growth("platforms, on cu128", tuple(on_platforms), (everywhere,) * len(PLATFORMS)),
    )


def growth_table(grown: Growth) -> str:
    """Return the numbers behind one half of the picture."""
    head = [grown.of, *(str(number) for number in range(1, len(grown.ours) + 1))]
    rows = [
        [f"{NAMES[field]}, {who}", *(amount(getattr(cost, field), unit) for cost in costs)]
        for field, unit in MEASURES.items()
        for who, costs in (("ours", grown.ours), ("uv's guide", grown.guide))
    ]
    return aligned(head, rows)


PLAIN, OURS, GUIDE = "#667085", "#2f6fd0", "#a16207"
"""Colours that stand out from a white page and from a dark one (see `tools/support.py`)."""


def growth_picture(halves: Sequence[Growth]) -> str:
    """Return the text of `docs/cost.svg`: the same wherever the numbers are the same."""
    from matplotlib import style
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    settings = {
        "svg.fonttype": "none",
        "svg.hashsalt": PICTURE_NAME,
        "font.sans-serif": ["DejaVu Sans", "Verdana", "Helvetica", "Arial"],
        "font.size": 9,
        **{f"{part}.color": PLAIN for part in ("text", "xtick", "ytick", "grid")},
        "axes.edgecolor": PLAIN,
        "axes.labelcolor": PLAIN,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.alpha": 0.3,
    }
    text = io.StringIO()
    with style.context(["default", settings]):
        figure = Figure(figsize=(8.5, 8.5), layout="constrained")
        grid = figure.subplots(len(PICTURED), len(halves), sharex="col", squeeze=False)
        for row, field in zip(grid, PICTURED, strict=True):
            unit = MEASURES[field]
            for axes, half in zip(row, halves, strict=True):
                numbers = range(1, len(half.ours) + 1)
                for name, costs, colour, marker in (
                    ("uv's guide", half.guide, GUIDE, "s"),
                    ("this template", half.ours, OURS, "o"),
                ):
                    values = [getattr(cost, field) for cost in costs]
                    axes.plot(numbers, values, color=colour, marker=marker, label=name, lw=2)
                axes.set_ylim(bottom=0)
                axes.grid(visible=True, axis="y")
                axes.xaxis.set_major_locator(MaxNLocator(integer=True))
                axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
                axes.yaxis.set_major_formatter(
                    FuncFormatter(lambda value, _, unit=unit: amount(value, unit))
                )
                axes.set_facecolor("none")
            row[0].set_ylabel(NAMES[field])
        for axes, half in zip(grid[-1], halves, strict=True):
            axes.set_xlabel(half.of)
        handles, labels = grid[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


# --- The command ---------------------------------------------------------------------------------


def cost_page(
    rows: Sequence[Row],
    compared: Mapping[str, Sequence[Row]],
    notes: Iterable[str],
    halves: Sequence[Growth],
    day: str,
) -> str:
    """Return the text of `docs/cost.md`."""
    cores = os.cpu_count()
    growths = "\n\n".join(map(growth_table, halves))
    return f"""\
# What it costs

`uv run tools/bench.py --write` measures, and writes this page and its picture. Last run: {day}, on
a machine with {cores} cores that other work shared.

Milliseconds are this machine's, and no more than a hint: what counts is the ratio. Both sides of it
run in turn, and it is the median of the rounds' ratios. The interval says how sure that is: 95 %,
or 94 % of five rounds. It excuses no missed target.
PyTorch's index is the [replica](../tools/replica.py). PyPI's answers are fetched once and then
[given again](../tools/recorder.py), each as late as it came, so that both sides wait for the same
network.

{table(rows)}

- Rendering: whole processes of cookiecutter, the hook's included, `after_generation=nothing`, with
  Python's modules compiled.
- The lock in generation: with `after_generation=lock`, less the same with `nothing`; uv's cache is
  warm.
{"".join(f"- {note}{chr(10)}" for note in notes)}
## A cold lock, against uv's guide

The same builds for the same platforms and Pythons, once as this template writes them and once as
[uv's guide](https://docs.astral.sh/uv/guides/integration/pytorch/) does: torch 2.9.1 with
torchvision, uv's cache empty. Nothing may be more than the guide's. Of the time it
is the ratio, with its interval, of {rounds_of(compared)} rounds.

{lock_table(compared)}

- The first six are the guide's own examples, and the second layout. Those of ROCm and XPU leave all
  other platforms to PyPI, and those with extras have nothing for CUDA on macOS.
- By default this template takes the other platforms' wheels from the `cpu` index, and gives macOS
  the CPU build in every extra: the next four, against the same in the guide's way of writing.
{defaults_note(compared)}
- uv resolves one entry of `environments` after another, and asks only then for what the earlier
  ones do not need. So all platforms are one entry: with one for each, extras took 1.06.
- What torch for CUDA requires of PyPI on Linux, the replica has from PyPI's own torch 2.9.1.
- The last line compares equals: its time differs from 1.00 by noise alone.

## Growth

![What a cold lock costs with more backends and more platforms]({PICTURE_NAME})

{growths}

No release has wheels for all six platforms: those for Intel Macs end with 2.2.2, those for Windows
on Arm begin with 2.7.0. That half is without torchvision, which Windows on Arm has for Python 3.13
only. uv's guide names no platforms, so its costs do not depend on them.
"""


def rounds_of(compared: Mapping[str, Sequence[Row]]) -> int:
    """Return how many rounds the times of a comparison have."""
    return max(row.rounds for rows in compared.values() for row in rows)


def defaults_note(compared: Mapping[str, Sequence[Row]]) -> str:
    """Say what the defaults for ROCm and XPU cost against the guide's examples as they stand."""
    lines = []
    for name in ("ROCm", "XPU"):
        ours = {row.what: row.ours for row in compared[f"{name}, else CPU"]}
        guide = {row.what: row.theirs for row in compared[f"{name}, else PyPI"]}
        asked, sent, all_asked, all_sent = (
            f"{amount(ours[NAMES[field]], unit)} instead of {amount(guide[NAMES[field]], unit)}"
            for field, unit in list(MEASURES.items())[:4]
        )
        lines.append(
            f"- {name} by default, against the guide's example as it stands: {asked} requests to\n"
            f"  PyTorch's index ({sent}), {all_asked} to all indexes ({all_sent})."
        )
    return "\n".join(lines)


def announce(what: str) -> None:
    """Say on stderr what is measured now: the rounds take their time."""
    print(f"measuring {what}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print. Returns 1 if `--check` finds a target missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="write docs/cost.md and docs/cost.svg")
    parser.add_argument("--check", action="store_true", help="exit 1 if a target is missed")
    rounds_help = f"of each ratio: {ROUNDS} by default, at least {LEAST_ROUNDS}"
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=rounds_help)
    options = parser.parse_args(arguments)
    rounds = max(LEAST_ROUNDS, options.rounds)
    notes = []
    with tempfile.TemporaryDirectory() as place, Replica() as replica, Recorder() as pypi:
        names = ("render", "lock", "guide", "plan", "load", "libraries")
        folders = {name: Path(place) / name for name in names}
        for folder in folders.values():
            folder.mkdir()
        indexes = Indexes(replica, pypi)
        halves = growth(Path(place) / "growth", indexes) if options.write else ()
        announce("rendering")
        rows = [rendering(folders["render"], rounds)]
        announce("the lock in generation")
        rows.append(locking(folders["lock"], indexes, rounds))
        rows += planning(folders["plan"], rounds)
        with Replica(libraries=cuda_libraries(folders["libraries"], pypi)) as complete:
            compared = against_the_guide(folders["guide"], Indexes(complete, pypi), rounds)
        announce("downloads")
        load = downloading(folders["load"])
        if load:
            rows.append(load[0])
            notes.append(load[1])
        print(table(rows), lock_table(compared), *notes, sep="\n\n")
        if options.write:
            day = datetime.date.today().isoformat()
            page = cost_page(rows, compared, notes, halves, day)
            (DOCS / PICTURE_NAME).write_bytes(growth_picture(halves).encode())
            (DOCS / PAGE_NAME).write_bytes(page.encode())
    verdict = worst([*rows, *(row for each in compared.values() for row in each)])
    return 1 if options.check and verdict == "missed" else 0


if __name__ == "__main__":
    sys.exit(main())
