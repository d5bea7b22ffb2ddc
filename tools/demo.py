"""Make a project, lock it and run its smoke test: `python -m tools.demo [key=value …]`.

Where PyTorch's index does not answer, a replica of it on loopback takes its place: uv makes the
lock all the same, and it says which wheel each platform gets. Where pip finds a real CPU wheel of
torch for the running Python, the replica holds it: then that is installed, and the smoke test runs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import requests
from cookiecutter.exceptions import CookiecutterException
from cookiecutter.main import cookiecutter

from tools.lib.lock import UvError, installed, locked_wheels, run_uv
from tools.lib.real_wheel import real_cpu_wheel
from tools.lib.replica import Replica
from tools.lib.template import PYTHON, ROOT
from tools.lib.wheel_names import parse_wheel_name
from torch_plan.answers.problems import Refused
from torch_plan.catalog.facts import load_facts
from torch_plan.catalog.mirrors import Mirror
from torch_plan.catalog.versions import CPU, TORCH
from torch_plan.machine.system import host_platform
from torch_plan.project.plan import Plan
from torch_plan.project.planning import make_plan
from torch_plan.resolution.defaults import complete
from torch_plan.text import shell_line

_SECONDS = 10
"""How long PyTorch's index may be silent before it counts as out of reach."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo. Returns 0 if the project was locked, 1 if not."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("answers", nargs="*", metavar="key=value", help="answers of the template")
    parser.add_argument("--output-dir", help="where the project goes (else: a new folder)")
    options = parser.parse_args(arguments)
    for answer in options.answers:
        if "=" not in answer:
            parser.error(f"an answer is written key=value, which {answer!r} is not")
    given = dict(answer.split("=", 1) for answer in options.answers)
    output = options.output_dir or tempfile.mkdtemp(prefix="uv-torch-demo-")
    index = load_facts().pytorch_mirrors["official"].url
    try:
        if "pytorch_index" in given or answers_requests(index):
            return with_index(given, output)
        print(f"{index} does not answer: a stand-in on this machine takes its place.", flush=True)
        return with_stand_in(given, output)
    except (click.ClickException, CookiecutterException, UvError, ValueError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1


def answers_requests(index: str) -> bool:
    """Tell whether an index sends its list of torch."""
    try:
        return requests.get(f"{index}/{CPU}/{TORCH}/", timeout=_SECONDS).ok
    except requests.RequestException:
        return False


def with_index(given: Mapping[str, str], output: str) -> int:
    """Make the project as anybody would; its hook locks, installs and tests it."""
    answers = {"after_generation": "smoke", **given}
    project = generate(answers, output)
    return report(project, make_plan(complete(answers, load_facts())))


def with_stand_in(given: Mapping[str, str], output: str) -> int:
    """Make the project with a replica for an index; install and test what pip finds a wheel for."""
    with tempfile.TemporaryDirectory() as downloads:
        release = given.get("torch_version", "")
        wheel = real_cpu_wheel(Path(downloads), host_platform(), load_facts(), release)
        answers = dict(given)
        if wheel:
            release = parse_wheel_name(wheel.name).version
            fitting = {"torch_version": release, "torch_backend": CPU, "companions": "none"}
            answers = {**fitting, **given}
            wheel = wheel if installs(answers, release) else None
        with Replica(wheels=[wheel] if wheel else []) as replica:
            # It has what PyTorch publishes. Of an unknown index the template would expect more.
            mirror = Mirror(replica.url, flat=False, hosts=("127.0.0.1",))
            load_facts().pytorch_mirrors["demo"] = mirror
            served = {"after_generation": "smoke", **answers, "pytorch_index": replica.url}
            # Without a wheel the hook could install nothing, and its next step would fail.
            project = generate(served, output, with_hook=bool(wheel))
            plan = make_plan(complete(served, load_facts()))
            if not wheel:
                run_uv(project, "lock", "--python", plan.requires_python)
            if report(project, plan):
                return 1
    words = [f"{key}={value}" for key, value in answers.items()]
    command = ["uvx", "cookiecutter", ".", "--output-dir", "..", "--no-input", *words]
    print(
        "\nThe stand-in that uv.lock names has ended. Where PyTorch's index can be reached, this "
        f"makes the same project:\n\n    {shell_line(command)}\n"
    )
    if wheel:
        test = ["uv", "--directory", str(project), "run", "--no-sync", *plan.smoke_command.split()]
        print(f"{wheel.name} is installed. To test it again:\n\n    {shell_line(test)}")
    else:
        print("Nothing was installed: pip finds no CPU wheel of torch for these answers here.")
    return 0


def generate(answers: Mapping[str, str], output: str, *, with_hook: bool = True) -> Path:
    """Generate a project with the answers and the defaults, and return its folder."""
    extra = dict(answers)
    path = cookiecutter(
        str(ROOT), no_input=True, extra_context=extra, output_dir=output, accept_hooks=with_hook
    )
    return Path(path)


def installs(answers: Mapping[str, str], release: str) -> bool:
    """Tell whether the project would install the CPU wheel of a release here, and that alone."""
    try:
        plan = make_plan(complete(answers, load_facts()))
    except Refused:
        return False
    builds = plan.default.build_on(host_platform()), plan.python, plan.default.cells[0].release
    return builds == (CPU, PYTHON, release) and not plan.companions and bool(plan.indexes)


def report(project: Path, plan: Plan) -> int:
    """Print a table: option, platform, the wheel of torch that uv would install there.

    Returns 1 where there is no lock, which the hook has explained, else 0.
    """
    if not Path(project, "uv.lock").exists():
        return 1
    python = (PYTHON if PYTHON in plan.pythons else plan.python).replace(".", "")
    print()
    for option in plan.options:
        for cell in option.cells:
            version = installed(project, cell.platform, *option.sync)[TORCH]
            names = locked_wheels(project, TORCH, version, cell.platform)
            wheel = next(
                (str(name) for name in names if name.python == f"cp{python}"), f"torch {version}"
            )
            print(f"{option.name + '  ' if plan.selector else ''}{cell.platform:<15} {wheel}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
