"""Write docs/answers.md: each answer, and what it changes in the rendered files, from real renders.

`uv run tools/answers_page.py` writes the page; a test fails when it is older than the template.
"""

from __future__ import annotations

import difflib
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from cookiecutter.main import cookiecutter

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from torch_plan.questions import fixed_defaults, unasked

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "answers.md"

BASE = {
    "torch_version": "2.9.1",
    "python_version": "3.12",
    "torch_backend": "cu128",
    "platforms": "linux-x86_64 linux-aarch64 macos-arm64 windows-x86_64",
    "after_generation": "nothing",
}
"""The answers that every example changes; so the page does not depend on the machine."""


@dataclass(frozen=True)
class Example:
    """One changed answer (with what it takes), and the files in which to look at the change."""

    changes: dict[str, str]
    files: tuple[str, ...] = ("pyproject.toml",)


@dataclass(frozen=True)
class Entry:
    """What the page says of an answer, and the examples it shows."""

    text: str
    examples: tuple[Example, ...] = field(default=())


ENTRIES = {
    "project_name": Entry(
        "The name for people: the title of the README. Any text.",
        (Example({"project_name": "Caption Model"}, ("README.md",)),),
    ),
    "project_slug": Entry(
        "Folder and distribution, in the normal form of PEP 503; the package has `_` for `-`. By "
        "default made from the name. Refused: a keyword of Python, a module of the standard "
        "library, a package the project depends on, a name Windows reserves.",
    ),
    "description": Entry(
        "One sentence, or any text at all.",
        (Example({"description": 'Says "what" is in a picture'}),),
    ),
    "author_name": Entry(
        "A name, or `name <address>`. Empty for no `authors`.",
        (Example({"author_name": "Ada Lovelace <ada@example.org>"}),),
    ),
    "torch_version": Entry(
        "Any release from 2.0.0 on, `2.9` for its newest patch release, or `latest`. One that is newer "
        "than what the template knows is planned like the newest it knows. Pins are exact, those of "
        "the companions too; `requires-python` and the NumPy guard follow from it.",
        (Example({"torch_version": "2.2.2", "torch_backend": "cu121", "python_version": "3.11"}),),
    ),
    "python_version": Entry(
        "The oldest Python to support, and the one in `.python-version`. The upper end is the "
        "first Python that lacks a wheel on any of the platforms.",
        (Example({"python_version": "3.11"}, ("pyproject.toml", ".python-version")),),
    ),
    "torch_backend": Entry(
        "The build, by uv's names: `cpu`, `cu118` … `cu132`, `rocm6.4` …, `xpu`; or `pypi` for "
        "whatever PyPI ships. A platform without it gets `cpu`. The default is what this machine "
        "can run: the newest CUDA build for its driver and card, or a ROCm or XPU build. `CUDA 12.8` "
        "and `12.8` are `cu128`. In a switchable layout each build may have a name and a release of "
        "its own: `cuda=2.7.1+cu128 rocm=2.6.0+rocm6.2.4`.",
        (
            Example({"torch_backend": "cpu"}),
            Example({"torch_backend": "rocm6.4"}),
            Example({"torch_backend": "pypi"}),
        ),
    ),
    "layout": Entry(
        "`markers`: one build per platform. `extras` and `groups`: several builds in one project, "
        "`uv sync --extra cu128` or `uv sync --no-group cpu --group cu128`. With groups, the first "
        "backend is what a bare `uv sync` installs. Backends can be named: `cpu gpu=cu128`.",
        (
            Example({"layout": "extras", "torch_backend": "cpu gpu=cu128"}),
            Example({"layout": "groups", "torch_backend": "cpu gpu=cu128"}),
        ),
    ),
    "companions": Entry(
        "Some of `torchvision torchaudio torchcodec`, or `none`: the release made for this torch, "
        "from the same index. `torchcodec?` takes it only where it has wheels; `all` is each of them, "
        "where it has wheels. torchcodec needs FFmpeg 4 to 8 on the machine.",
        (
            Example({"companions": "torchaudio"}),
            Example({"companions": "torchvision torchcodec?"}),
            Example({"companions": "none"}),
        ),
    ),
    "platforms": Entry(
        "The platforms to lock for: `linux-x86_64 linux-aarch64 macos-arm64 macos-x86_64 "
        "windows-x86_64 windows-arm64`, or `all` that the release serves. `platform=backend` "
        "overrides the build there, in a switchable layout for every build but `cpu`; "
        "`platform=name:backend` for one of them. A build may carry its release, "
        "`macos-x86_64=2.2.2+cpu`, and an index of its own, complete and last: "
        "`linux-aarch64=cu126@https://host/jp6/cu126`.",
        (
            Example({"platforms": "linux-x86_64 macos-arm64"}),
            Example(
                {"platforms": "linux-x86_64 macos-arm64 macos-x86_64=2.2.2+cpu"},
            ),
            Example({"platforms": "linux-x86_64 linux-aarch64=cpu macos-arm64 windows-x86_64"}),
        ),
    ),
    "github_actions": Entry(
        "A workflow that syncs with `--locked`, runs ruff, the smoke test and the tests: on Linux, "
        "and on macOS and Windows where the lock has a CPU build for them. Dependabot updates "
        "actions and packages, without those of PyTorch, of which one alone does not lock.",
        (
            Example(
                {"github_actions": "no"}, (".github/workflows/ci.yml", ".github/dependabot.yml")
            ),
        ),
    ),
    "numpy_guard": Entry(
        "`auto` keeps NumPy below 2 exactly where the release was compiled against NumPy 1 (up to "
        "2.2.2 everywhere, up to 2.4.0 on Windows); `always` and `never` say so for all platforms.",
        (Example({"numpy_guard": "always"}),),
    ),
    "torch_pin": Entry(
        "`public` leaves the build to the index. `local` pins the label too, where the wheel has "
        "one: those for macOS never do, those for Linux aarch64 since 2.6.0. `minimum` is for "
        "libraries: the metadata says `torch>=2.9.1`, and the exact release stands in "
        "`constraint-dependencies`, which holds for the project's own lock alone.",
        (Example({"torch_pin": "local"}), Example({"torch_pin": "minimum"})),
    ),
    "pytorch_index": Entry(
        "`official`, `nju`, `sjtu`, `aliyun` (a flat listing), or a URL: as far as it stands before "
        "`/cu128`, or with `{build}` where the build stands. Such an index may have builds that "
        "PyTorch does not publish.",
        (
            Example({"pytorch_index": "aliyun"}),
            Example({"pytorch_index": "https://host.example/pytorch-{build}/simple"}),
        ),
    ),
    "package_index": Entry(
        "`pypi`, `tuna`, `aliyun`, or a URL: it takes the place of PyPI for every other package.",
        (Example({"package_index": "https://pypi.example.com/simple"}),),
    ),
    "dockerfile": Entry(
        "A Dockerfile in two stages, for a user without privileges. The wheels bring CUDA along, "
        "so the image is plain Python; in a switchable layout `--build-arg BACKEND=` chooses.",
        (Example({"dockerfile": "yes"}, ("Dockerfile",)),),
    ),
    "after_generation": Entry(
        "`lock` writes `uv.lock`; `smoke` installs too and runs the smoke test; `nothing` does "
        "neither.",
    ),
    "git": Entry(
        "`yes` makes the project a git repository with the branch `main`, as `uv init` does, where "
        "git is there and no repository surrounds it. Nothing is committed.",
    ),
    "distributed": Entry(
        "A second smoke test, `smoke_distributed.py`, for several processes that `torchrun` "
        "starts, on one machine or on several.",
        (Example({"distributed": "yes"}, ("README.md",)),),
    ),
}


def page() -> str:
    """Return the page."""
    lines = [
        "# The answers",
        "",
        "Each with what it changes in the rendered project, against",
        "",
        "```console",
        f"cookiecutter gh:org/uv-torch-template --no-input {words(BASE)}",
        "```",
        "",
        "Most are asked for. Those that are not can be given all the same: on the command line, in "
        "a configuration file, by the Python API or by cruft. They are recorded like all others.",
        "",
        "`uv run tools/answers_page.py` writes this page from real renders.",
    ]
    with tempfile.TemporaryDirectory() as folder:
        base = render(Path(folder) / "base", {})
        for number, (answer, entry) in enumerate(ENTRIES.items()):
            default = (
                f"Not asked; `{unasked()[answer]}` by default. " if answer in unasked() else ""
            )
            lines += ["", f"## `{answer}`", "", default + entry.text]
            for position, example in enumerate(entry.examples):
                changed = render(Path(folder) / f"{number}-{position}", example.changes)
                lines += ["", f"`{words(example.changes)}`:", "", "```diff"]
                lines += differences(base, changed, example.files)
                lines += ["```"]
    return "\n".join(lines) + "\n"


def words(answers: dict[str, str]) -> str:
    """Return answers as a command line has them."""
    return " ".join(
        f"{key}={value}"
        if value.replace("_", "").isidentifier() or not set(value) & set(" \"'")
        else f"{key}='{value}'"
        for key, value in answers.items()
    )


def render(folder: Path, changes: dict[str, str]) -> Path:
    """Render a project, and return its folder."""
    folder.mkdir()
    config = folder / "config.yaml"
    config.write_text(f"replay_dir: {folder / 'replay'}\n", encoding="utf-8")
    answers = {**BASE, **changes}
    with mock.patch.dict(os.environ, {"COOKIECUTTER_CONFIG": str(config)}):
        return Path(
            cookiecutter(
                str(ROOT), no_input=True, extra_context=answers, output_dir=folder / "project"
            )
        )


def differences(before: Path, after: Path, files: tuple[str, ...]) -> Iterator[str]:
    """Yield the changed lines of files, with a header for each section they stand in."""
    for name in files:
        old, new = (read(folder / name) for folder in (before, after))
        if len(files) > 1 or name != "pyproject.toml":
            yield f"  {name}"
        diff = list(difflib.unified_diff(old, new, n=0, lineterm=""))[2:]
        yield from (line for line in diff if not line.startswith("@@") and line not in ("+", "-"))


def read(path: Path) -> list[str]:
    """Return the lines of a file; none of a file that is not rendered."""
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def main() -> int:
    """Write the page."""
    missing = [key for key in fixed_defaults() if key not in ENTRIES]
    if missing:
        print(f"No entry for {', '.join(missing)}.", file=sys.stderr)
        return 1
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
