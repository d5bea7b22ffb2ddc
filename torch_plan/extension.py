"""The Jinja extension that cookiecutter loads: what its JSON file and the templates call."""

from __future__ import annotations

import importlib
import os
import re
import sys
from functools import partial
from importlib.machinery import PathFinder
from typing import Any

from jinja2 import Environment
from jinja2.ext import Extension

from torch_plan.addresses import DOCS, VERSION
from torch_plan.answers.grammar import is_yes
from torch_plan.answers.questions import questions
from torch_plan.answers.slugs import default_slug, package_name
from torch_plan.catalog.facts import load_facts
from torch_plan.dialogue.hook_settings import hook_settings
from torch_plan.dialogue.invocation import asked_key
from torch_plan.dialogue.session import Session
from torch_plan.project.ci import jobs_of
from torch_plan.project.readme import advice, made_with
from torch_plan.text import author, code, markdown, toml, toml_key


class TorchPlanExtension(Extension):
    """Brings filters and functions into the environment of cookiecutter.

    While cookiecutter collects answers, it renders them too, those that a person gave included:
    `description="{{ 1 }}"` would become `1`, or fail. Here only what stands in `cookiecutter.json`
    is a template then.
    """

    def __new__(cls, environment: Environment) -> Any:
        """Make an extension of the code that is on disk now.

        cruft renders two versions of a template in one process, where Python would go on with the
        modules of the first.
        """
        if _package_files() == _LOADED:
            return super().__new__(cls)
        for name in [name for name in sys.modules if name.partition(".")[0] == __package__]:
            del sys.modules[name]
        importlib.invalidate_caches()
        return importlib.import_module(__name__).TorchPlanExtension(environment)

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        # cookiecutter prints what people typed, and a pipe on Windows may lack a letter of it.
        if reconfigure := getattr(sys.stdout, "reconfigure", None):
            reconfigure(errors="backslashreplace")
        facts = load_facts()
        session = Session(facts)
        environment.filters.update(toml=toml, toml_key=toml_key, markdown=markdown, code=code)
        environment.globals.update(
            advice=lambda given: advice(session.plan_of(given), session.answers_of(given), facts),
            ask_again=session.ask_again,
            author_of=author,
            begin=session.begin,
            check=session.check,
            default_of=session.default_of,
            default_slug=default_slug,
            docs=DOCS,
            hook_settings=partial(hook_settings, session),
            is_yes=is_yes,
            jobs=jobs_of,
            made_with=lambda context: made_with(session.answers_of(context), facts),
            package_name=package_name,
            template_version=VERSION,
            torch_plan=session.plan_of,
        )

    def preprocess(self, source: str, *_: Any, **__: Any) -> str:
        """Return a template's source; of an answer, a template that renders to it unchanged."""
        key = asked_key() if re.search(r"[{\r\n]", source) else ""
        if not key or source == questions().get(key):
            return source
        escaped = source.encode("unicode_escape").decode("ascii").replace('"', '\\"')
        return f'{{{{ "{escaped}" }}}}'


def _package_files() -> dict[str, tuple[int, int]]:
    """Return path -> (time, size) of the files that an import would find now, here or elsewhere."""
    package = PathFinder.find_spec(str(__package__))
    folders = [*((package and package.submodule_search_locations) or ())]
    files = {}
    for folder in folders:
        # `Path.rglob` takes ten times as long, and this runs three times while a person waits.
        for entry in os.scandir(folder):
            if entry.is_dir() and entry.name != "__pycache__":
                folders.append(entry.path)
            elif entry.name.endswith((".py", ".json")):
                files[entry.path] = (entry.stat().st_mtime_ns, entry.stat().st_size)
    return files


_LOADED = _package_files()
