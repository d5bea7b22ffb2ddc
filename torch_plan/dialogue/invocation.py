"""How the template was started: by which program, with which options and answers.

cookiecutter hands an extension nothing but the environment of Jinja. What was typed stands in the
local variables of the functions that are running: `cookiecutter()` for its command line and its
Python API, the function of a command for cruft, and `prompt_for_config()` for both.
"""

import json
import os
from collections.abc import Mapping
from inspect import currentframe
from pathlib import Path
from traceback import walk_stack
from types import MappingProxyType
from typing import Any, NamedTuple

from torch_plan.addresses import TEMPLATE
from torch_plan.answers.questions import as_text, fixed_defaults

_OPTIONS = (
    *("checkout", "directory", "output_dir", "config_file", "default_config"),
    *("overwrite_if_exists", "skip_if_file_exists", "keep_project_on_failure"),
)
"""Parameters of the running function, each given by an option of its name, here and in cruft."""


class Invocation(NamedTuple):
    """What is known of the command, or of the call, that is running."""

    cruft_command: str
    """`create`, `update` or another command of cruft, empty for cookiecutter itself."""
    parameters: Mapping[str, Any]
    """The parameters of the function that runs it, as `output_dir`."""
    config_defaults: Mapping[str, Any]
    """The `default_context` of the user's configuration file, which all templates share."""
    prompts: bool
    recorded: Mapping[str, Any] = MappingProxyType({})
    """The answers of a project that is updated, with those that were given to change them."""
    template_root: str = ""
    """The folder that the template was found in, empty where nothing tells."""

    @property
    def given(self) -> dict[str, str]:
        """The answers of the command line, or of the call."""
        given = self.parameters.get("extra_context") or {}
        return {key: as_text(value) for key, value in given.items()}

    @property
    def known(self) -> dict[str, str]:
        """The answers that need no question, whoever gave them."""
        known = {**self.config_defaults, **(self.recorded or self.given)}
        return {key: as_text(known[key]) for key in fixed_defaults() if key in known}

    @property
    def is_update(self) -> bool:
        """Whether a project that exists is rendered anew, from the answers that it recorded."""
        return self.cruft_command not in ("", "create")

    @property
    def output_folder(self) -> Path:
        """The folder that the project comes into."""
        return Path(self.parameters.get("output_dir") or ".")

    def command(self, answers: Mapping[str, str]) -> list[str]:
        """Return the words of the command that does the same with these answers, unasked."""
        runner = ["uvx"] if "UV" in os.environ else []
        if self.is_update:
            known = self.known
            changed = {key: text for key, text in answers.items() if text != known.get(key)}
            update = json.dumps({**self.given, **changed})
            return [*runner, "cruft", "update", "--variables-to-update", update]
        program, words = "cookiecutter", [f"{key}={value}" for key, value in answers.items()]
        if self.cruft_command:
            program, words = "cruft create", ["--extra-context", json.dumps(dict(answers))]
        template = self.parameters.get("template") or self.parameters.get("template_git_url")
        command = [*runner, *program.split(), str(template or TEMPLATE)]
        return [*command, *self.options(), "--no-input", *words]

    def options(self) -> list[str]:
        """Return the options that were given, with their values."""
        words = []
        for parameter in _OPTIONS:
            option, value = f"--{parameter.replace('_', '-')}", self.parameters.get(parameter)
            if value is True:
                words.append(option)
            elif value and str(value) != ".":
                words += [option, str(value)]
        if self.parameters.get("accept_hooks") is False:
            words += ["--accept-hooks", "no"]
        return words


def asked_key() -> str:
    """Return the answer that cookiecutter collects now, empty while it renders files."""
    for frame, _ in walk_stack(currentframe()):
        if frame.f_code.co_name == "prompt_for_config":
            return str(frame.f_locals.get("key", ""))
    return ""


def find_invocation() -> Invocation:
    """Return what is known of the command, by the names of cookiecutter 2.7 and cruft 2.16."""
    running: dict[str, Mapping[str, Any]] = {}
    cruft_command = ""
    for frame, _ in walk_stack(currentframe()):
        module, name = str(frame.f_globals.get("__name__")), frame.f_code.co_name
        if module == f"cruft._commands.{name}":
            cruft_command, name = name, "cookiecutter"
        if module.startswith(("cookiecutter.", "cruft.")):
            running[name] = dict(frame.f_locals)
    command = running.get("cookiecutter", {})
    context = running.get("generate_cookiecutter_context", {})  # cruft's
    prompting = running.get("prompt_for_config", {})
    config = command.get("config_dict") or context.get("config_dict") or {}
    return Invocation(
        cruft_command,
        parameters=command,
        config_defaults=config.get("default_context") or {},
        prompts=not prompting.get("no_input", True),
        recorded=context.get("extra_context") or {},
        template_root=str(
            context.get("cookiecutter_template_dir") or command.get("repo_dir") or ""
        ),
    )
