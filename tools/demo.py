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
from tools.lib.wheel_names import parse_wheel_name
from torch_plan.defaults import complete
from torch_plan.facts import CPU, Mirror, load_facts
from torch_plan.plan import Plan
from torch_plan.planning import make_plan
from torch_plan.platforms import host_platform
from torch_plan.problems import Refused
from torch_plan.text import shell_line

ROOT = Path(__file__).resolve().parent.parent
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo. Returns 0 if the project was locked, 1 if not."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("answers", nargs="*", metavar="key=value", help="answers of the template")
    parser.add_argument(
        "--output-dir", type=Path, help="where the project goes (else: a new folder)"
    )
    options = parser.parse_args(arguments)
    unclear = [answer for answer in options.answers if "=" not in answer]
    if unclear:
        parser.error(f"an answer is written key=value, which {unclear[0]!r} is not")
    given = dict(answer.split("=", 1) for answer in options.answers)
    output = options.output_dir or Path(tempfile.mkdtemp(prefix="uv-torch-demo-"))
    with tempfile.TemporaryDirectory() as downloads:
        return demo(given, output, Path(downloads))


def demo(given: Mapping[str, str], output: Path, downloads: Path) -> int:
    """Generate the project, say what its lock gives each platform and whether torch ran."""
    print("Looking for a real CPU wheel of torch for this Python …", flush=True)
    wheel = real_cpu_wheel(downloads, host_platform(), load_facts(), given.get("torch_version", ""))
    answers = with_wheel(given, wheel)
    wheels = [wheel] if wheel and installs(answers, wheel) else []
    with Replica(wheels=wheels) as replica:
        # It has what PyTorch publishes. Of an unknown index the template would expect more.
        mirror = Mirror(replica.url, flat=False, hosts=("127.0.0.1",))
        load_facts().pytorch_mirrors["demo"] = mirror
        answers = {
            "pytorch_index": replica.url,
            "after_generation": "smoke" if wheels else "lock",
            **answers,
        }
        try:
            project = Path(
                cookiecutter(str(ROOT), no_input=True, extra_context=answers, output_dir=output)
            )
        except (click.ClickException, CookiecutterException, ValueError) as error:
            print(f"Error: {error}", file=sys.stderr)
            return 1
        if not (project / "uv.lock").exists():
            return 1
        report(project, make_plan(complete(answers, load_facts())))
    print()
    if wheels:
        print(
            f"torch was really installed, from {wheels[0].name}, and the smoke test above ran it."
        )
    else:
        print("torch was locked only: no real CPU wheel of it fits these answers and this Python.")
    print(
        f"The project is in {project}. Its lock names the stand-in, which has ended.\n"
        "This makes the same project with PyTorch's own index:\n\n"
        f"    {own_index_command(answers)}"
    )
    return 0


def own_index_command(answers: Mapping[str, str]) -> str:
    """Return the command that generates the project with the official index, beside the clone."""
    without = ("pytorch_index", "after_generation")
    words = [f"{key}={value}" for key, value in answers.items() if key not in without]
    return shell_line(["uvx", "cookiecutter", ".", "--output-dir", "..", "--no-input", *words])


def with_wheel(given: Mapping[str, str], wheel: Path | None) -> dict[str, str]:
    """Return the answers with defaults under which the real wheel can be installed."""
    if wheel is None:
        return dict(given)
    defaults = {
        "torch_version": parse_wheel_name(wheel.name).version,
        "torch_backend": CPU,
        "companions": "none",
    }
    return {**defaults, **given}


def installs(answers: Mapping[str, str], wheel: Path) -> bool:
    """Tell whether the project would install this wheel here: its build, its Python, alone."""
    try:
        plan = make_plan(complete(answers, load_facts()))
    except Refused:
        return False
    return (
        plan.default.build_on(host_platform()) == CPU
        and plan.python == PYTHON
        and not plan.companions
        and bool(plan.indexes)
        and parse_wheel_name(wheel.name).version == plan.default.cells[0].release
    )


def report(project: Path, plan: Plan) -> None:
    """Print a table: option, platform, the wheel of torch that uv would install there."""
    interpreter = PYTHON if PYTHON in plan.pythons else plan.python
    print()
    for option in plan.options:
        for cell in option.cells:
            try:
                version = installed(project, cell.platform, *option.sync)["torch"]
            except UvError as error:
                print(error, file=sys.stderr)
                continue
            names = locked_wheels(project, "torch", version, cell.platform)
            tag = f"cp{interpreter.replace('.', '')}"
            name = next((str(name) for name in names if name.python == tag), f"torch {version}")
            print(f"{option.name + '  ' if plan.selector else ''}{cell.platform:<15} {name}")


if __name__ == "__main__":
    sys.exit(main())
