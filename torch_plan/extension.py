"""The Jinja extension that cookiecutter loads: defaults, the check, the plan, and text filters."""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib.machinery import PathFinder
from importlib.metadata import version
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import click
from jinja2 import BytecodeCache, Environment, FileSystemBytecodeCache
from jinja2.ext import Extension

from torch_plan import defaults
from torch_plan.facts import PLATFORMS, load_facts, version_key
from torch_plan.plan import Plan, Refused, make_plan
from torch_plan.refusal import refusal_text


def toml(text: object) -> str:
    """Return a TOML basic string that holds any text unchanged."""
    return json.dumps(str(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_key(text: str) -> str:
    """Return a TOML key: bare where it can be, else quoted."""
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else toml(text)


def markdown(text: object) -> str:
    """Return text on one line in which nothing is Markdown or HTML."""
    line = " ".join(str(text).split())
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&-])", r"\\\1", line)


def _answers(context: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: defaults.as_text(value) for key, value in context.items() if not key.startswith("_")
    }


@lru_cache(maxsize=1)
def _plan(answers: tuple[tuple[str, str], ...]) -> Plan:
    """Make the plan of these answers once; the check, the templates and the hook all ask for it."""
    return make_plan(dict(answers))


def torch_plan(context: Mapping[str, Any]) -> Plan:
    """Return the plan for cookiecutter's answers, or end in one clean message."""
    answers = _answers(context)
    try:
        return _plan(tuple(answers.items()))
    except Refused as refusal:
        raise click.ClickException(
            refusal_text(answers, refusal.problems, load_facts())
        ) from refusal


OLDEST_COOKIECUTTER = "2.7.0"
"""The first cookiecutter that reads `dockerfile=no` on the command line as a no."""


def check(context: Mapping[str, Any]) -> str:
    """Refuse a cookiecutter that misreads answers, and answers that cannot be served.

    This is the last answer that cookiecutter renders before it writes anything.
    """
    found = version("cookiecutter")  # cookiecutter.__version__ of 2.7.0 says 2.6.0
    if version_key(found) < version_key(OLDEST_COOKIECUTTER):
        raise click.ClickException(
            f"cookiecutter {found} is too old: it misreads answers of yes and no. This template "
            f"takes {OLDEST_COOKIECUTTER} or newer; `uvx cookiecutter` is the newest."
        )
    torch_plan(context)
    return "passed"


def hook_settings(context: Mapping[str, Any]) -> str:
    """Return what the hook needs, as Python: which steps, what to say, the build of each host.

    `project` is the project's folder as the user would type it; empty where only cookiecutter's
    caller knows.
    """
    plan = torch_plan(context)
    hosts = [(PLATFORMS[build.platform], build.build) for build in plan.default.builds]
    builds = [build for option in plan.options for build in option.builds]
    releases = dict.fromkeys(build.torch.partition("+")[0] for build in builds)
    names = dict.fromkeys(build.build for build in builds)
    typed = click.get_current_context(silent=True)
    folder = typed.params.get("output_dir") if typed else None
    settings = {
        "after_generation": context["after_generation"],
        "is_cruft": "_commit" in context,
        "github_actions": defaults.as_text(context["github_actions"]) == "yes",
        "project": str(Path(folder) / context["project_slug"]) if folder else "",
        "torch": f"torch {' and '.join(releases)} ({', '.join(names)})",
        "command": f"{context['project_slug']}-smoke",
        "requires_python": plan.requires_python,
        "sync": plan.default.sync.split(),
        "expect": {f"{host.sys_platform} {host.platform_machine}": build for host, build in hosts},
    }
    return ascii(settings)


class TorchPlanExtension(Extension):
    """What `cookiecutter.json` and the templates of the project call.

    While cookiecutter collects answers, it renders them too, those that a person gave included:
    `description="{{ 1 }}"` would become `1`, or fail. Here only what stands in `cookiecutter.json`
    is a template then. Its first entry, `__begin`, tells that phase from the rendering of files,
    for which cookiecutter makes another environment.
    """

    def __new__(cls, environment: Environment) -> Any:
        """Make an extension of the code that is on disk now.

        cruft renders two versions of a template in one process, where Python would go on with the
        modules of the first.
        """
        if _files() == _LOADED:
            return super().__new__(cls)
        for name in [name for name in sys.modules if name.partition(".")[0] == __package__]:
            del sys.modules[name]
        importlib.invalidate_caches()
        return importlib.import_module(__name__).TorchPlanExtension(environment)

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._collecting = False
        environment.bytecode_cache = _bytecode_cache()
        facts = load_facts()
        environment.filters.update(toml=toml, toml_key=toml_key, markdown=markdown)
        environment.globals.update(
            begin=lambda: "",
            torch_plan=torch_plan,
            check=check,
            hook_settings=hook_settings,
            newest_release=facts.releases[-1],
            default_slug=defaults.default_slug,
            default_python=lambda release: defaults.default_python(release, facts),
            default_backend=lambda release: defaults.default_backend(release, facts),
            default_platforms=lambda context: defaults.default_platforms(_answers(context), facts),
        )

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Return a template's source; of an answer, a template that renders to it unchanged."""
        own = _own_templates()
        if source == own[0]:
            self._collecting = True
        if source in own or not self._collecting or not re.search(r"[{\r\n]", source):
            return source
        return _literal(source)


def _bytecode_cache() -> BytecodeCache | None:
    """Return a cache of compiled templates beside Python's own, if there is one to write to.

    Compiling them would be a third of the time that rendering takes.
    """
    folder = Path(cache_from_source(__file__)).parent
    if sys.dont_write_bytecode or not os.access(folder, os.W_OK):
        return None
    return FileSystemBytecodeCache(str(folder))


def _files() -> dict[str, tuple[int, int]]:
    """Return path -> (time, size) of the files of the package that an import would find now."""
    package = PathFinder.find_spec(str(__package__))
    folders = package.submodule_search_locations if package else None
    files = [path for folder in folders or () for path in Path(folder).glob("*.*")]
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in files}


_LOADED = _files()


@lru_cache(maxsize=1)
def _own_templates() -> tuple[str, ...]:
    values = defaults.questions().values()
    return tuple(value for value in values if isinstance(value, str) and "{{" in value)


def _literal(text: str) -> str:
    escaped = text.encode("unicode_escape").decode("ascii").replace('"', '\\"')
    return f'{{{{ "{escaped}" }}}}'
