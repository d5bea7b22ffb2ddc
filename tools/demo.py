"""Make a project, lock it and run its smoke test: `python -m tools.demo [key=value …]`.

Where PyTorch's index does not answer, a replica of it on loopback takes its place: uv makes the
lock all the same, and it says which build each platform gets. Where pip finds a real CPU wheel of
torch for the running Python, the replica holds it: then that is installed, and the smoke test runs.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import requests
from cookiecutter.exceptions import CookiecutterException
from cookiecutter.main import cookiecutter

from tools.lib.lock import UvError, installed, run_uv
from tools.lib.replica import Replica, real_cpu_wheel
from tools.lib.template import PYTHON, ROOT
from tools.lib.wheel_names import parse_wheel_name
from torch_plan.catalog.facts import Mirror, load_facts
from torch_plan.catalog.versions import CPU, TORCH
from torch_plan.project.plan import Plan, make_plan
from torch_plan.resolution.check import find_problems
from torch_plan.resolution.defaults import complete
from torch_plan.text import shell_line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo. Returns 0 if the project was locked, 1 if not."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("answers", nargs="*", metavar="key=value", help="answers of the template")
    parser.add_argument("--output-dir", help="where the project goes (else: a new folder)")
    options = parser.parse_args(arguments)
    if not all("=" in answer for answer in options.answers):
        parser.error("write each answer as key=value")
    given = dict(answer.split("=", 1) for answer in options.answers)
    output = options.output_dir or tempfile.mkdtemp(prefix="uv-torch-demo-")
    facts = load_facts()
    index = facts.pytorch_mirrors["official"].url
    # What is refused needs no index, and the command that works must not name the stand-in.
    needs_none = "pytorch_index" in given or find_problems(complete(given, facts), facts)
    try:
        if needs_none or answers_requests(index):
            generate({"after_generation": "smoke", **given}, output)
        else:
            print(
                f"{index} does not answer: a stand-in on this machine takes its place.", flush=True
            )
            with_stand_in(given, output)
    except (click.ClickException, CookiecutterException, UvError, ValueError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


def answers_requests(index: str) -> bool:
    """Tell whether an index sends its list of torch within ten seconds."""
    try:
        return requests.get(f"{index}/{CPU}/{TORCH}/", timeout=10).ok
    except requests.RequestException:
        return False


def with_stand_in(given: Mapping[str, str], output: str) -> None:
    """Make the project with a replica for an index; install and test what pip finds a wheel for."""
    with tempfile.TemporaryDirectory() as downloads:
        # What uv keeps of a stand-in is no use to the next one, which has another address.
        os.environ["UV_CACHE_DIR"] = str(Path(downloads, "cache"))
        wheel = real_cpu_wheel(Path(downloads), given.get("torch_version", ""))
        fitting = {"torch_backend": CPU, "companions": "none", "python_version": PYTHON}
        if wheel:
            fitting["torch_version"] = parse_wheel_name(wheel.name).version
        # Other answers ask for wheels of which nobody has the content.
        chosen = {**fitting, **given}
        wheels = [wheel] if wheel and chosen.items() >= fitting.items() else []
        answers = chosen if wheels else dict(given)
        with Replica(wheels=wheels) as replica:
            # It has what PyTorch publishes. Of an unknown index the template would expect more.
            mirror = Mirror(replica.url, flat=False, hosts=("127.0.0.1",))
            load_facts().pytorch_mirrors["demo"] = mirror
            served = {"after_generation": "smoke", **answers, "pytorch_index": replica.url}
            project, plan = generate(served, output, with_hook=bool(wheels))
    words = [f"{key}={value}" for key, value in answers.items()]
    command = ["uvx", "cookiecutter", ".", "--output-dir", "..", "--no-input", *words]
    print(
        "\nThe stand-in that uv.lock names has ended. Where PyTorch's index can be reached, this "
        f"makes the same project:\n\n    {shell_line(command)}\n"
    )
    if wheels:
        test = ["uv", "--directory", str(project), "run", "--no-sync", *plan.smoke_command.split()]
        print(f"{wheels[0].name} is installed. To test it again:\n\n    {shell_line(test)}")
    else:
        print(f"The project is in {project}. Nothing was installed: pip finds no CPU wheel for it.")


def generate(
    answers: Mapping[str, str], output: str, *, with_hook: bool = True
) -> tuple[Path, Plan]:
    """Generate and lock a project, print which build of torch uv would install on each platform.

    Returns its folder and its plan. The hook, which explains what fails, wants to install too.
    """
    extra = dict(answers)
    path = cookiecutter(
        str(ROOT), no_input=True, extra_context=extra, output_dir=output, accept_hooks=with_hook
    )
    project, plan = Path(path), make_plan(complete(answers, load_facts()))
    if not with_hook:
        run_uv(project, "lock", "--python", plan.requires_python)
    print()
    for option in plan.options:
        for cell in option.cells:
            version = installed(project, cell.platform, *option.sync)[TORCH]
            name = f"{option.name}  " if plan.selector else ""
            print(f"{name}{cell.platform:<15} torch {version}", flush=True)
    return project, plan


if __name__ == "__main__":
    sys.exit(main())
