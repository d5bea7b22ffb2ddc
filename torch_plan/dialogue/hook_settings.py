"""What the hook is told of a project, since it can import nothing of the template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from torch_plan.answers.grammar import is_yes
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.catalog.versions import CPU, PYPI, is_open
from torch_plan.dialogue.session import Session
from torch_plan.machine.host import host_platform
from torch_plan.project.plan import Plan
from torch_plan.text import listed


def hook_settings(session: Session, context: Mapping[str, Any]) -> str:
    """Return what the hook needs, as Python: which steps, what to say, the build of each host."""
    plan, answers = session.plan_of(context), session.answers_of(context)
    builds = dict.fromkeys(cell.build for cell in plan.cells)
    hosts = [(PLATFORMS[cell.platform], cell.build) for cell in plan.default.cells]
    # As the hook names the hosts of PyTorch's index.
    of_indexes = [urlsplit(index.url).netloc.rpartition("@")[2] for index in plan.indexes]
    advice = dict.fromkeys(of_indexes, ways_on(plan.releases[0], session.facts))
    if likely := {cell.platform: cell.build for cell in plan.cells if cell.is_likely}:
        # Of a release that nobody has seen the CPU's build is not confirmed either.
        others = [f"{platform}=cpu" for platform in likely if CPU not in likely.values()]
        among = f", or with {' '.join(others)} among the platforms" if others else ""
        advice["no versions that fit"] = (
            f"Nobody has confirmed the builds for {listed([*likely])}. If uv does not find them, "
            "make the project again with another torch_version (the newest that this template "
            f"knows is {session.facts.releases[-1]}){among}."
        )
    settings = {
        "after_generation": answers["after_generation"],
        "is_cruft": "_commit" in context,
        "github_actions": is_yes(answers["github_actions"]),
        "git": is_yes(answers["git"]),
        "project": str(session.invocation.output_folder / answers["project_slug"]),
        "torch": f"torch {listed(plan.releases)} ({', '.join(builds)})",
        "command": plan.smoke_command.split(),
        "requires_python": plan.requires_python,
        "required_uv": plan.required_uv,
        "sync": [*plan.default.sync],
        "expect": {f"{host.sys_platform} {host.platform_machine}": build for host, build in hosts},
        "sources": locked_sources(plan),
        "ways_on": advice,
    }
    return ascii(settings)


def ways_on(release: str, facts: Facts) -> str:
    """Return what somebody can do who does not reach PyTorch's index."""
    mirrors = [name for name in facts.pytorch_mirrors if name != "official"]
    build = release in facts.releases and facts.build(release, PYPI, host_platform())
    pypi = f" PyPI's own build (torch_backend=pypi, the {build} build here)," if build else ""
    return (
        "If you cannot reach PyTorch's index, make the project again with a mirror "
        f"(pytorch_index={', '.join(mirrors)} or its URL),{pypi} or see in a clone of the template "
        "what uv would lock: `uv run --only-group demo -m tools.demo`."
    )


def locked_sources(plan: Plan) -> dict[str, tuple[list[str], list[str]]]:
    """Return package -> the indexes that a lock may have it from, and its public versions.

    The empty index stands for PyPI, or what takes its place; no versions where the plan leaves them
    open. A package that comes from PyPI everywhere is left out: the plan gives it no source.
    """
    urls = {index.name: index.url.rstrip("/") for index in plan.indexes}
    locked = {}
    for name, sources in plan.sources.items():
        packages = [package for cell in plan.cells if (package := cell.package(name))]
        indexes = {urls[source.index_name] for source in sources}
        indexes.update("" for package in packages if package.origin == PYPI)
        versions = {package.version for package in packages}
        locked[name] = sorted(indexes), [] if any(map(is_open, versions)) else sorted(versions)
    return locked
