"""What the README of a project says, paragraph by paragraph; its template only prints them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlencode

from torch_plan.addresses import DOCS, PAGE, TEMPLATE
from torch_plan.answers.grammar import is_yes
from torch_plan.answers.meaning import ProperAnswers
from torch_plan.answers.questions import fixed_defaults
from torch_plan.answers.records import FREE_TEXT, LOCAL, NAMED
from torch_plan.answers.slugs import default_slug
from torch_plan.catalog.facts import Facts
from torch_plan.catalog.versions import PYPI
from torch_plan.project.plan import Plan
from torch_plan.resolution.check import default_platforms
from torch_plan.text import listed, shell_line

Advice = Mapping[str, str | Sequence[str]]
"""What is advised -> its paragraphs, as Markdown."""


def advice(plan: Plan, answers: ProperAnswers, facts: Facts) -> Advice:
    """Return what the README advises."""
    slug, named = answers["project_slug"], named_answers(answers, facts)
    shown = {key: value for key, value in named.items() if key not in FREE_TEXT}
    sync = " ".join(["uv sync", *plan.default.sync])
    return {
        "switch": _switch(plan, f"{PAGE}#{urlencode(shown)}"),
        "adding": _adding(plan),
        "notebook": (
            f"For notebooks, run `uv add --no-sync --dev ipykernel` and `{sync}`, then choose the "
            f"kernel of `.venv`;\n[Jupyter, Colab, Kaggle]({DOCS}/recipes.md#notebooks)."
        ),
        "upgrade": _upgrade(plan),
        "remarks": tuple(_remarks(plan)),
        "elsewhere": (*_library(plan), *_wheel(plan, slug), *_places(plan, answers)),
    }


def _switch(plan: Plan, page: str) -> str:
    """Return how to take another build, empty for a project of Macs alone: they have one."""
    if plan.extras:
        way = (
            "There is no default extra: name one each time, or run `uv run --no-sync`. A bare "
            "`uv sync` installs none of\nthese builds."
        )
    elif plan.groups:
        way = (
            f"A bare `uv sync`, `uv run` or `uv add` installs {plan.default.name}, even after you "
            "chose another build.\nTo keep yours, add `--no-sync`, or set `UV_NO_SYNC=1`."
        )
    elif all(platform.startswith("macos") for platform in plan.platforms):
        return ""
    else:
        way = (
            "`[tool.uv.sources]` in `pyproject.toml` names the index, and so the build, of each "
            f"platform.\n[Choose another build]({page}), replace your tables of torch with those "
            "that the page shows, then run `uv lock` and `uv sync`."
        )
    cards = (
        "\n\nAn older CUDA build runs with older drivers, and so for more users, but not on the "
        "newest cards."
    )
    return f"{way}{cards if plan.reaches_cuda else ''}"


def _adding(plan: Plan) -> str:
    """Return how to add a package that needs torch."""
    if not plan.selector:
        return (
            "`uv add NAME`: if the package needs torch, it gets the build that each platform has "
            "here."
        )
    lacking = [name for name in ("torchvision", "torchaudio") if name not in plan.companions]
    where = (
        f"`uv add NAME` installs the package and {plan.default.name}. If you chose another build, "
        "run `uv add --no-sync NAME`\nand sync its group again. Without any of the groups "
        "(`--no-default-groups`) the package brings PyPI's torch."
    )
    groups = ""
    if plan.extras:
        where = (
            "Add what needs torch to each extra, with `--optional`. In `dependencies` it brings "
            "PyPI's torch, made for CUDA,\nto a bare `uv sync`."
        )
        groups = (
            "\n\nIf every sync is to have a torch, you want groups for the builds: "
            f"[`layout=groups`]({DOCS}/answers.md#layout)."
        )
    also = (
        f" For what needs {listed(lacking, 'or')},\n[name that too]"
        f"({DOCS}/recipes.md#a-package-that-needs-torch-too) beside torch."
    )
    return f"{where}{also if lacking else ''}{groups}"


def _upgrade(plan: Plan) -> str:
    """Return how to raise torch and what goes with it."""
    packages = ["torch", *plan.companions, *_some(plan.tritons)]
    if plan.is_library:
        return (
            "Raise the numbers in `constraint-dependencies` of `pyproject.toml`, then run "
            "`uv lock`. Raise the bounds in\n`dependencies` only when your code needs it."
        )
    # uv adds a line where the one that is there has a marker.
    has_marker = any(";" in one for one in plan.default.requirements)
    if plan.selector or plan.torch_pin == LOCAL or plan.tritons or has_marker:
        numbers = listed(packages)
        return f"Raise the numbers of {numbers} in `pyproject.toml`, then run `uv lock`."
    pins = " ".join(f"{name}==X.Y.Z" for name in packages)
    return f"```console\nuv add --no-sync {pins}\n```"


def _remarks(plan: Plan) -> Iterator[str]:
    """Yield what to do besides, which builds newer releases do not have, security updates."""
    if plan.constraints and not plan.is_library:
        yield "Raise the bounds in `constraint-dependencies` too."
    for build, last in plan.last_releases.items():
        yield f"The last release with {build} is {last}."
    if plan.companions or plan.tritons:
        yield (
            "A security update by Dependabot raises torch alone, and uv cannot lock that: do what "
            "stands above instead."
        )


def _some(names: Sequence[str]) -> list[str]:
    """Return names, of many the first two and how many others there are."""
    few, others = names[:2], names[2:]
    return [*few, f"{len(others)} others"] if len(others) > 1 else [*names]


def _library(plan: Plan) -> Iterator[str]:
    if plan.is_library:
        who = f"it with the extra `{plan.default.name}`" if plan.extras else "this package"
        gets = (
            f"Whoever installs {who} gets `torch>={plan.default.cells[0].release}`, in any build. "
        )
        yield (
            f"{'' if plan.groups else gets}The exact release in\n  `constraint-dependencies`, the "
            "platforms and the build apply only to this project's own lock."
        )
    if plan.gate:
        yield (
            "A uv workspace has one lock, and so one torch for a platform: there, remove the group "
            "`torch`,\n  `default-groups` and torch's sources here, and name them at the "
            "workspace's root."
        )


def _wheel(plan: Plan, slug: str) -> Iterator[str]:
    if plan.groups:
        yield (
            "Installed from git or from a wheel, the package comes without torch: groups exist "
            "only in a checkout."
        )
        return
    backend = plan.default.cells[0].backend
    chosen = "auto" if backend == PYPI else backend
    package = f'"{slug}[{plan.default.name}]"' if plan.extras else slug
    # The wheel of a library has no command.
    install = "uv pip" if plan.is_library else "uv tool"
    yield (
        "A wheel does not record where torch comes from. Whoever installs yours must choose the "
        f"build:\n  `{install} install --torch-backend {chosen} {package}`; "
        f"[more]({DOCS}/recipes.md#install-it-elsewhere)."
    )
    if plan.tritons:
        yield (
            f"It requires {listed(_some(plan.tritons))}, which only PyTorch's own index has. Other "
            "installers than uv\n  look on PyPI, where that name has other versions or no owner."
        )
    if any("+" in one for option in plan.options for one in option.requirements):
        yield (
            "It requires versions with a label, which only PyTorch's indexes have. You can publish "
            "it on PyPI, but nobody\n  could install it from there: before publishing, pin "
            f"`torch=={plan.releases[0]}` without a label."
        )


def _places(plan: Plan, answers: ProperAnswers) -> Iterator[str]:
    if is_yes(answers["distributed"]):
        yield (
            "Several processes: `uv run --no-sync torchrun --nproc-per-node 2 -m "
            f"{plan.package}.smoke_distributed`;\n  [several nodes, Slurm]"
            f"({DOCS}/recipes.md#several-processes-several-nodes)."
        )
    hosts = f"PyTorch comes from {listed(plan.hosts)}: [firewalls, slow" if plan.hosts else "[Slow"
    yield (
        f"{hosts} networks]({DOCS}/recipes.md#firewalls-and-slow-networks),\n  "
        f"[mirrors]({DOCS}/recipes.md#mirrors-and-an-index-with-a-password)."
    )
    if is_yes(answers["dockerfile"]):
        backend = f" --build-arg BACKEND={plan.default.name}" if plan.selector else ""
        gpu = (
            " With a CUDA build and an NVIDIA GPU\n  run it with `--gpus all`; the host needs the "
            "driver and the NVIDIA Container Toolkit."
        )
        slug = answers["project_slug"]
        built = f"docker build -t {slug}{backend} ."
        yield f"Docker: `{built}` and `docker run --rm {slug}`.{gpu * plan.reaches_cuda}"


def named_answers(answers: ProperAnswers, facts: Facts) -> dict[str, str]:
    """Return the answers that make the same project on every machine, usual ones left out."""
    usual = {
        **fixed_defaults(),
        "project_slug": default_slug(answers["project_name"]),
        "platforms": " ".join(default_platforms(answers, facts)),
    }
    # Of the usual ones, since they change no file of a project.
    usual.update({key: answers[key] for key in ("after_generation", "git")})
    return {
        key: " ".join(value.split())
        for key, value in answers.items()
        if key in NAMED or value != usual.get(key)
    }


def made_with(answers: ProperAnswers, facts: Facts) -> str:
    """Return the command that makes a project with these answers, the same on every machine."""
    words = [f"{key}={value}" for key, value in named_answers(answers, facts).items()]
    # For sh, wherever it is rendered: the README is the same on every machine.
    return shell_line(["uvx", "cookiecutter", TEMPLATE, "--no-input", *words], windows=False)
