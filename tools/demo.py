"""Generate a project where the PyTorch index is out of reach: `uv run -m tools.demo [key=value …]`.

A replica of the index on loopback takes its place, so the lock is real, and says which wheel each
platform gets. Where a real CPU wheel of torch can be had for the running Python, the replica holds
it: then the project is installed too, and its smoke test runs a real torch.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from cookiecutter.exceptions import CookiecutterException
from cookiecutter.main import cookiecutter

from tools.lib.lock import UvError, installed, locked_wheels
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
    with tempfile.TemporaryDirectory() as downloads:
        print("Looking for a real CPU wheel of torch for this Python …", flush=True)
        release = given.get("torch_version", "")
        wheel = real_cpu_wheel(Path(downloads), host_platform(), load_facts(), release)
        try:
            return demo(given, output, wheel)
        except (click.ClickException, CookiecutterException, UvError, ValueError) as error:
            print(f"Error: {error}", file=sys.stderr)
            return 1


def demo(given: Mapping[str, str], output: str, wheel: Path | None) -> int:
    """Generate the project, say what its lock gives each platform and whether torch ran."""
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
        after = "smoke" if wheel else "lock"
        served = {"pytorch_index": replica.url, "after_generation": after, **answers}
        project = cookiecutter(str(ROOT), no_input=True, extra_context=served, output_dir=output)
        if not Path(project, "uv.lock").exists():
            return 1
        report(Path(project), make_plan(complete(served, load_facts())))
    fate = "was locked only: no real CPU wheel of it fits these answers and this Python"
    if wheel:
        fate = f"was really installed, from {wheel.name}, and the smoke test above ran it"
    replaced = ("pytorch_index", "after_generation")
    words = [f"{key}={value}" for key, value in answers.items() if key not in replaced]
    command = ["uvx", "cookiecutter", ".", "--output-dir", "..", "--no-input", *words]
    print(f"\ntorch {fate}.")
    print(
        f"The project is in {project}. Its lock names the stand-in, which has ended.\n"
        f"This makes the same project with PyTorch's own index:\n\n    {shell_line(command)}"
    )
    return 0


def installs(answers: Mapping[str, str], release: str) -> bool:
    """Tell whether the project would install the CPU wheel of a release here, and that alone."""
    try:
        plan = make_plan(complete(answers, load_facts()))
    except Refused:
        return False
    builds = plan.default.build_on(host_platform()), plan.python, plan.default.cells[0].release
    return builds == (CPU, PYTHON, release) and not plan.companions and bool(plan.indexes)


def report(project: Path, plan: Plan) -> None:
    """Print a table: option, platform, the wheel of torch that uv would install there."""
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


if __name__ == "__main__":
    sys.exit(main())
