"""What happens while cookiecutter collects the answers: notes, questions again, and the check."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from functools import lru_cache
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlencode

import click

from torch_plan.addresses import PAGE, TEMPLATE
from torch_plan.answers import suggest
from torch_plan.answers.grammar import is_yes
from torch_plan.answers.meaning import ProperAnswers
from torch_plan.answers.problems import FindProblems, Problem, Refused, Way
from torch_plan.answers.questions import as_text, asked, fixed_defaults, questions, unasked
from torch_plan.answers.records import FREE_TEXT
from torch_plan.answers.slugs import default_slug
from torch_plan.catalog.facts import Facts, load_facts
from torch_plan.catalog.versions import CPU, FAMILIES, PYPI, family_of, version_key
from torch_plan.dialogue.invocation import Invocation, find_invocation
from torch_plan.machine.system import host_platform, host_system
from torch_plan.project.plan import Plan
from torch_plan.project.planning import make_plan
from torch_plan.project.readme import Advice, Wishes, advice
from torch_plan.resolution import defaults
from torch_plan.resolution.check import examine, find_problems
from torch_plan.text import listed, shell_line
from torch_plan.urls import masked

OLDEST_COOKIECUTTER = "2.7.0"
"""The first cookiecutter that this template was tried with."""

_ALWAYS_NAMED = ("torch_version", "python_version", "torch_backend")
"""The answers that a printed command names in any case: their defaults differ by day or machine."""


_AFTERWARDS = ("after_generation", "git")
"""The answers that change no file of a project."""


def begin(context: MutableMapping[str, Any]) -> str:
    """Say at once what is wrong with the command line, before a person answers any question.

    A cookiecutter that is too old is refused here too.
    The answers that nobody is asked for are written into the context: cookiecutter hands over only
    those that it asks for. So defaults can depend on them, and they are recorded like all others.
    """
    invocation = find_invocation()
    own, template = Path(__file__).resolve().parents[2], Path(invocation.template_root).resolve()
    if invocation.template_root and own != template:
        end(
            f"Python imports torch_plan from {own}, but the template is in {template}. Run the "
            "command from another folder, or remove the first of them from PYTHONPATH.",
            invocation,
        )
    found = version("cookiecutter")  # cookiecutter.__version__ of 2.7.0 says 2.6.0
    if version_key(found) < version_key(OLDEST_COOKIECUTTER):
        end(
            f"cookiecutter {found} is too old. This template needs {OLDEST_COOKIECUTTER} or "
            "newer; `uvx cookiecutter@latest` runs the newest.",
            invocation,
        )
    if invocation.missing and not invocation.is_update:
        say(
            f"This template cannot find {listed(invocation.missing)} in cookiecutter {found}, and "
            "so takes answers with misspelt names without a word. Check the names of your answers."
        )
    private = [key for key in {**invocation.config_defaults, **invocation.given} if _is_ours(key)]
    if private and not invocation.is_update:
        end(f"{private[0]} cannot be given: the template computes it. Leave it out.", invocation)
    for key in [] if invocation.is_update else _unknown(invocation.config_defaults):
        near = suggest.close(key, [*fixed_defaults()], count=1, cutoff=0.8)
        if near:
            say(f"Your cookiecutter configuration sets {key}; did you mean {near[0]}?")
    known = _known_answers(invocation)
    context.update({key: known.get(key, default) for key, default in unasked().items()})
    if invocation.prompts:
        _check_given(known, invocation)
        say(unasked_note(texts_of(context)))
    return ""


def _check_given(known: Mapping[str, str], invocation: Invocation) -> None:
    """Refuse at once what no answer to a question could make right."""
    # Imported where it is needed: only a terminal has use for it.
    from torch_plan.dialogue.again import lasting_problems

    facts = load_facts()
    unknown = {key: as_text(invocation.given[key]) for key in _unknown(invocation.given)}
    given = {**unknown, **known}
    if given and lasting_problems(given, asked(), _finder(invocation, facts), facts):
        refuse(given, invocation)


def ask_again(context: MutableMapping[str, Any], key: str) -> str:
    """Ask a person for an answer again, until it can stand.

    Where nobody is asked, `check` says at the end what is wrong. So it does where answers come
    through a pipe: one that is asked for again would take the answer to the next question.
    """
    invocation = find_invocation()
    is_replay = bool(invocation.parameters.get("replay"))
    if not invocation.prompts or is_replay or not sys.stdin.isatty():
        return ""
    # Imported where it is needed: only a terminal has use for it.
    from cookiecutter.prompt import read_user_variable

    from torch_plan.dialogue.again import question_again

    facts = load_facts()
    find, known = _finder(invocation, facts), _known_answers(invocation)
    prefix = f"  [dim][{asked().index(key) + 1}/{len(asked())}][/] "
    while again := question_again(key, {**known, **texts_of(context)}, find, facts):
        say(again.text)
        prompts = questions()["__prompts__"]
        context[key] = read_user_variable(key, again.default, prompts, prefix)
    typed = {name: value for name, value in texts_of(context).items() if name in context}
    for note in defaults.understand(typed, facts).notes:
        say_once(note)
    return ""


def _known_answers(invocation: Invocation) -> dict[str, str]:
    """Return what was given without a question; where one is asked, it is the default there."""
    known = invocation.known
    return {key: as_text(known[key]) for key in fixed_defaults() if key in known}


def unasked_note(answers: Mapping[str, str]) -> str:
    """Return which answers a person is not asked for, and what they are."""
    words = shell_line(f"{key}={answers[key]}" for key in unasked())
    return f"Not asked; add any of them to the command to change it (docs/answers.md):\n{words}\n"


def check(context: MutableMapping[str, Any]) -> str:
    """Refuse answers that cannot be served.

    This is the last answer that cookiecutter renders before it writes anything.
    """
    invocation = find_invocation()
    _trim(context)
    understood = defaults.understand(texts_of(context), load_facts())
    for note in understood.notes:
        say_once(note)
    context.update(understood.answers)
    raw = understood.answers
    given = {key: as_text(value) for key, value in invocation.given.items()}
    command_problems = _command_problems(given, raw["project_slug"], invocation)
    if any(command_problems) or find_problems(raw, load_facts()):
        unknown = {key: given[key] for key in _unknown(invocation.given)}
        refuse({**unknown, **explicit_answers(raw, given, load_facts())}, invocation)
    plan = plan_of(context)
    for sentence in [*plan.notes, *old_system_notes(plan, host_platform(), host_system())]:
        say(sentence)
    return "passed"


def old_system_notes(
    plan: Plan, platform: str, system: tuple[str, tuple[int, ...]] | None
) -> Iterator[str]:
    """Yield a sentence where this machine's system is older than the default build needs."""
    floor = plan.default.floors.get(platform)
    if floor and system and system[0] == floor.system and system[1] < floor.version:
        here = f"{system[0]} {'.'.join(map(str, system[1]))}"
        yield (
            f"This machine has {here}, but {plan.default.build_on(platform)} of torch "
            f"{plan.releases[0]} needs {floor}; docs/support.md lists releases for older systems."
        )


def _trim(context: MutableMapping[str, Any]) -> None:
    """Take the space around answers away, so that what is written is what was checked."""
    for key, value in context.items():
        if isinstance(value, str) and not key.startswith("_") and key not in FREE_TEXT:
            context[key] = value.strip()


def plan_of(context: Mapping[str, Any]) -> Plan:
    """Return the plan for cookiecutter's answers, which `check` has accepted.

    A replay renders no check, so answers that are refused end in the same message here.
    """
    raw = answers_of(context)
    try:
        return _plan(tuple(raw.items()))
    except Refused:
        refuse(raw, find_invocation())


@lru_cache(maxsize=1)
def _plan(answers: tuple[tuple[str, str], ...]) -> Plan:
    """Make the plan of these answers once; the check, the templates and the hook all ask for it."""
    return make_plan(ProperAnswers(dict(answers)))


def default_python(release: str) -> str:
    """Return the default Python of a release, however that was typed."""
    facts = load_facts()
    return defaults.default_python(
        defaults.understand({"torch_version": release}, facts).answers["torch_version"], facts
    )


def default_backend(release: str) -> str:
    """Return the default backend; say why it is this one, and to a person what else there is."""
    facts, invocation = load_facts(), find_invocation()
    understood = defaults.understand({"torch_version": release}, facts).answers
    if "torch_backend" in understood:
        return understood["torch_backend"]
    release = understood["torch_version"]
    detected = defaults.default_backend(release, facts)
    if invocation.prompts and release in facts.releases:
        say(builds_note(release, detected.backend, facts))
    say_once(detected.sentence)
    return detected.backend


def builds_note(release: str, detected: str, facts: Facts) -> str:
    """Return which builds a release has, and what a platform without the chosen one gets."""
    families: dict[str, list[str]] = {}
    for backend in facts.backends(release):
        families.setdefault(FAMILIES[family_of(backend)], []).append(backend)
    whatever = {PYPI: f"{PYPI} (whatever PyPI ships)", CPU: CPU, "xpu": "xpu (Intel GPUs)"}
    builds = "; ".join(
        whatever.get(names[0], f"{listed(names)} ({family})") for family, names in families.items()
    )
    accelerated = [name for name in facts.backends(release) if family_of(name) == "cu"]
    example = detected if detected != CPU else [CPU, *accelerated][-1]
    return (
        f"\ntorch {release} has these builds: {builds}.\n"
        f"A platform that does not have the build you choose gets the CPU build: with {example}, a "
        "Mac gets cpu. You need not answer anything else for that."
    )


def explicit_answers(
    raw: Mapping[str, str], given: Mapping[str, str], facts: Facts
) -> dict[str, str]:
    """Return the answers that somebody gave: by the command, a configuration file or at a prompt.

    Those of the command count in any case. Of the others it is not known where they come from, so
    those count that differ from the default.
    """
    explicit = {key: raw[key] for key in raw if key in given}
    for key in raw:
        if raw[key] != defaults.complete(explicit, facts).get(key, raw[key]):
            explicit[key] = raw[key]
    return {key: explicit[key] for key in raw if key in explicit}


def refuse(given: Mapping[str, str], invocation: Invocation) -> NoReturn:
    """End with the message for answers that cannot be served."""
    end(refusal(given, invocation, load_facts()), invocation)


def refusal(given: Mapping[str, str], invocation: Invocation, facts: Facts) -> str:
    """Return the message for answers that somebody gave and that cannot be served."""
    # Imported where it is needed: people wait for each import, and most answers are accepted.
    from torch_plan.resolution.refusal import refusal_text

    def command(answers: Mapping[str, str]) -> str:
        return shell_line(_command(answers, given, invocation, facts))

    return refusal_text(given, _finder(invocation, facts), command)


def _finder(invocation: Invocation, facts: Facts) -> FindProblems:
    """Return a function that finds the problems of answers, with defaults for all others."""

    def problems_of(answers: Mapping[str, str]) -> list[Problem]:
        known = {key: value for key, value in answers.items() if key in fixed_defaults()}
        raw = defaults.complete(known, facts)
        slug = raw["project_slug"]
        return [*_command_problems(answers, slug, invocation), *find_problems(raw, facts)]

    return problems_of


def _command(
    answers: Mapping[str, str], given: Mapping[str, str], invocation: Invocation, facts: Facts
) -> list[str]:
    """Return the words of the command for answers; `given` are those of the one that runs."""
    raw = defaults.complete(answers, facts)
    named = {key: raw[key] for key in raw if key in answers or key in _ALWAYS_NAMED}
    changed = {key: value for key, value in named.items() if value != given.get(key)}
    return invocation.command(named, changed)


def advice_of(context: Mapping[str, Any]) -> Advice:
    """Return what the project's README advises."""
    given = {key: value for key, value in _named_answers(context).items() if key not in FREE_TEXT}
    answers = answers_of(context)
    wishes = Wishes(
        slug=answers["project_slug"],
        page=f"{PAGE}#{urlencode(given)}",
        dockerfile=is_yes(answers["dockerfile"]),
        distributed=is_yes(answers["distributed"]),
    )
    return advice(plan_of(context), wishes)


def made_with(context: Mapping[str, Any]) -> str:
    """Return the command that makes a project with these answers, the same on every machine."""
    words = [f"{key}={value}" for key, value in _named_answers(context).items()]
    # For sh, wherever it is rendered: the README is the same on every machine.
    return shell_line(["uvx", "cookiecutter", TEMPLATE, "--no-input", *words], windows=False)


def _named_answers(context: Mapping[str, Any]) -> dict[str, str]:
    """Return the answers that make the same project on every machine, usual ones left out."""
    raw, facts = answers_of(context), load_facts()
    usual = {
        **fixed_defaults(),
        "project_slug": default_slug(raw["project_name"]),
        "platforms": defaults.default_platforms(raw, facts),
    }
    return {
        key: " ".join(value.split())
        for key, value in raw.items()
        if key in _ALWAYS_NAMED or (key not in _AFTERWARDS and value != usual.get(key))
    }


def _command_problems(
    given: Mapping[str, str], slug: str, invocation: Invocation
) -> Iterator[Problem]:
    """Yield what is wrong with the command, and not with the answers among themselves.

    An update checks nothing: a project may have recorded answers that no longer exist.
    """
    if invocation.is_update:
        return
    for key in _unknown(given):
        near = [
            name
            for name in suggest.close(key, [*fixed_defaults()], cutoff=0.5)
            if name not in given
        ]
        ways: list[Way] = [{key: None, name: given[key]} for name in near]
        reason = "the template has no such answer; docs/answers.md lists all of them."
        yield Problem(("unknown", key), f"{key}={given[key]}", reason, tuple(ways or [{key: None}]))
    folder = invocation.output_folder / slug.strip()
    if slug.strip() and _exists(folder) and not invocation.may_overwrite:
        reason = (
            f"{folder} already exists. Choose another name, or add -f to the command to "
            "overwrite its files."
        )
        ways = [{"project_slug": _free_slug(folder)}]
        yield Problem(("project_slug", "folder"), f"project_slug={slug}", reason, tuple(ways))


def _free_slug(folder: Path) -> str:
    """Return the name of a folder with the first number that makes it a new one."""
    numbered = (f"{folder.name}-{number}" for number in count(2))
    return next(name for name in numbered if not _exists(folder.parent / name))


def _exists(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110  # Path.exists raises an OSError for a long name


def commands_without_likely(context: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return platform -> the command that makes the project again without what is only likely."""
    platforms = dict.fromkeys(cell.platform for cell in plan_of(context).cells if cell.is_likely)
    if not platforms:
        return {}
    # Imported where it is needed: few projects have such builds.
    from torch_plan.resolution.likely import without_likely
    from torch_plan.resolution.refusal import Search

    raw, facts, invocation = answers_of(context), load_facts(), find_invocation()
    given = {key: as_text(value) for key, value in invocation.given.items()}
    explicit = explicit_answers(raw, given, facts)
    cells = examine(raw, facts)[0]

    def problems_of(answers: Mapping[str, str]) -> list[Problem]:
        return find_problems(defaults.complete(answers, facts), facts)

    def command(platform: str) -> list[str]:
        changed = without_likely(cells, raw, platform)
        different = {key: value for key, value in changed.items() if value != raw[key]}
        answers = {**explicit, **different}
        way_out = Search(answers, problems_of).way_out()
        accepted = way_out.answers if way_out else answers
        return [*map(masked, _command(accepted, given, invocation.overwriting(), facts))]

    return {platform: command(platform) for platform in platforms}


def answers_of(context: Mapping[str, Any]) -> ProperAnswers:
    """Return cookiecutter's answers in their proper form."""
    return defaults.understand(texts_of(context), load_facts()).answers


def texts_of(context: Mapping[str, Any]) -> dict[str, str]:
    """Return cookiecutter's answers as text, as they were typed, without its private variables.

    A replay of an older project may lack some that nobody is asked for; it gets their defaults.
    """
    answers = {**unasked(), **context}
    return {key: as_text(answers[key]) for key in fixed_defaults() if key in answers}


def _is_ours(key: str) -> bool:
    """Tell whether a key is a private variable of the template."""
    return key.startswith("_") and key in questions()


def _unknown(answers: Mapping[str, Any]) -> list[str]:
    """Return the keys that no answer has; private ones are looked at by `begin`."""
    return [key for key in answers if not key.startswith("_") and key not in fixed_defaults()]


def end(message: str, invocation: Invocation) -> NoReturn:
    """End with a message and without a traceback, and leave nothing behind.

    cruft brings a click of its own, which does not catch the exception of the one here.
    """
    if invocation.cruft_command:
        say(f"Error: {message}")
        raise SystemExit(1)
    raise click.ClickException(message)


_said: set[str] = set()


def say_once(text: str) -> None:
    """Print a text to standard error, once per process."""
    if text not in _said:
        _said.add(text)
        say(text)


def say(text: str) -> None:
    """Print a text to standard error, if there is one that takes it."""
    with contextlib.suppress(OSError, ValueError):
        print(masked(text), file=sys.stderr, flush=True)
