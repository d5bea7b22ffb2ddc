"""The plan of a project: what its templates lay out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import NamedTuple

from torch_plan.answers.meaning import ProperAnswers
from torch_plan.answers.problems import Note, Refused
from torch_plan.answers.records import EXTRAS, GROUPS, LOCAL, MARKERS, MINIMUM, Variant, WantedBuild
from torch_plan.answers.slugs import package_name
from torch_plan.catalog.facts import Facts, load_facts
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.catalog.versions import PYPI, TORCH, family_of
from torch_plan.project.markers import environment, marked, split
from torch_plan.project.needs import Floor, demands, floor, needs
from torch_plan.project.notes import known_to_hurt, likely_notes, notes
from torch_plan.project.requirements import Requirements, next_minor
from torch_plan.resolution.cells import Cell, Cells
from torch_plan.resolution.check import examine
from torch_plan.urls import host_of

REQUIRED_UV = ">=0.10.0"
"""The uv that a rendered project asks for; the tests lock and sync with it."""

IMAGE_UV = "0.13.9"
"""The uv that builds an image: the newest that the tests ran with."""


class Source(NamedTuple):
    """One entry of `[tool.uv.sources]`: the index of a package where `marker` holds."""

    index_name: str
    marker: str
    extra: str = ""
    group: str = ""


class Index(NamedTuple):
    """One `[[tool.uv.index]]`; explicit, unless it takes PyPI's place."""

    name: str
    url: str
    flat: bool = False
    default: bool = False


class Option(NamedTuple):
    """One build that the project can be switched to, or the only one."""

    name: str
    requirements: tuple[str, ...]
    cells: tuple[Cell, ...]
    needs: Mapping[str, tuple[str, ...]]
    """Platform -> what its build needs of the machine."""
    bounds: tuple[str, ...]
    """What keeps companions beside its torch, where those of other options need other versions."""
    floors: Mapping[str, Floor]
    """Platform -> the oldest system for its build, where the wheels name one."""
    sync: tuple[str, ...]
    """The options of `uv sync` that select it: `--extra cu128`; none for the default."""


class Plan:
    """All that the templates lay out, of the cells that the answers lead to."""

    required_uv = REQUIRED_UV
    image_uv = IMAGE_UV

    def __init__(self, cells: Cells, lacks: tuple[Note, ...]) -> None:
        answers, self._cells, self._requirements = cells.answers, cells, Requirements(cells)
        self.cells, self.pythons, self.guarded_platforms = cells.all, cells.pythons, cells.guarded
        self.python, self.platforms, self.layout = answers.python, answers.platforms, answers.layout
        self.torch_pin, self.is_library = answers.torch_pin, answers.torch_pin == MINIMUM
        # What chooses a build, of uv's options and in sources.
        self.selector = "" if self.layout == MARKERS else self.layout.removesuffix("s")
        self.options = tuple(map(self._option, answers.variants))
        self.default = self.options[0]
        shared = () if self.selector else self.default.requirements
        self.dependencies = (*shared, *self._requirements.numpy())
        self.constraints = tuple(self._requirements.constraints())
        self.demands = demands([(option.sync, option.cells) for option in self.options], cells)
        self.extras = self.options if self.layout == EXTRAS else ()
        self.groups = self.options if self.layout == GROUPS else ()
        self.conflicts = len(self.options) > 1
        self.releases = tuple(dict.fromkeys(cell.release for cell in cells.all))
        self.reaches_cuda = any(family_of(cell.build) == "cu" for cell in cells.all)
        names = dict.fromkeys(package.name for cell in cells.all for package in cell.packages)
        self.companions = tuple(name for name in answers.companions if name in names)
        # Only PyTorch's index has these, and builds require them.
        self.tritons = tuple(name for name in names if name not in (TORCH, *self.companions))
        self.package, self.tied = package_name(answers.project_slug), cells.facts.tied
        module = f"python -m {self.package}.smoke"
        self.smoke_command = module if self.is_library else f"{answers.project_slug}-smoke"
        self.warnings = known_to_hurt(cells)
        self.notes = (*lacks, *map(Note, (*likely_notes(cells), *self.warnings)))

    def _option(self, variant: Variant) -> Option:
        answers, cells = self._cells.answers, self._cells.of(variant)
        first, sync = answers.variants[0].name, tuple[str, ...]()
        if self.layout == EXTRAS:
            sync = ("--extra", variant.name)
        elif self.layout == GROUPS and variant.name != first:
            sync = ("--no-group", first, "--group", variant.name)
        floors = {cell.platform: floor(cell, self._cells) for cell in cells}
        return Option(
            name=variant.name,
            requirements=self._requirements.of(cells, self._requirements.requirement),
            cells=cells,
            needs={cell.platform: tuple(needs(cell, self._cells)) for cell in cells},
            bounds=tuple(
                self._requirements.spare(self._requirements.apart, cells, variant.release)
            ),
            floors={platform: oldest for platform, oldest in floors.items() if oldest},
            sync=sync,
        )

    @property
    def partial(self) -> tuple[str, ...]:
        """The unchosen companions that only some platforms have, as `uv add` takes them there."""
        spare = self._requirements.spare(self._cells.facts.all_companions, self.cells)
        return tuple(line for line in spare if ";" in line)

    @cached_property
    def gate(self) -> tuple[str, ...]:
        """What the default group `torch` of a library requires, so that its sources bind no other.

        uv takes the sources of a library from git or a path as its user's own, and refuses a user
        with another CUDA. Of a library's groups it takes none, and so none of their sources.
        """
        if not self.is_library or self.selector:
            return ()
        return self._requirements.of(
            self.cells, lambda package: package.name if package.origin != PYPI else ""
        )

    @cached_property
    def sources(self) -> dict[str, tuple[Source, ...]]:
        """Package -> its sources, none for what comes from PyPI everywhere.

        With one build per platform they hold for companions too that only others require. uv takes
        no source of an extra or a group for a package that this does not name.
        """
        gated = {line.split()[0] for line in self.gate}
        sources: dict[str, tuple[Source, ...]] = {}
        for variant in self._cells.answers.variants:
            for name, packages in self._requirements.by_package(self._sourced(variant)).items():
                extra = variant.name if self.layout == EXTRAS else ""
                group = variant.name if self.layout == GROUPS else TORCH * (name in gated)
                origins = ((package.origin, platform) for platform, package in packages)
                entries = tuple(
                    Source(_index_name(origin), marker, extra, group)
                    for origin, marker in marked(origins, self.platforms)
                    if origin != PYPI
                )
                if entries:
                    sources[name] = sources.get(name, ()) + entries
        return sources

    def _sourced(self, variant: Variant) -> tuple[Cell, ...]:
        """Return the cells of a variant with all packages that a source may serve there."""
        cells = self._cells.of(variant)
        if self.selector:
            return cells
        return tuple(
            cell._replace(packages=(*cell.packages, *self._cells.spare(cell).values()))
            for cell in cells
        )

    @cached_property
    def indexes(self) -> tuple[Index, ...]:
        """The indexes of PyTorch, and what takes PyPI's place."""
        answers, indexes = self._cells.answers, dict[str, Index]()
        for variant in answers.variants:
            for cell in self._sourced(variant):
                for origin in {package.origin: None for package in cell.packages}:
                    url = cell.url or answers.pytorch_index.url_of(origin)
                    is_flat = answers.pytorch_index.flat and not cell.url
                    indexes.setdefault(origin, Index(_index_name(origin), url, is_flat))
        indexes.pop(PYPI, None)
        other = answers.package_index
        return *indexes.values(), *([Index(other.name, other.url, default=True)] if other else [])

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that a firewall must let through for the PyTorch index."""
        facts, mirror = self._cells.facts, self._cells.answers.pytorch_index
        hosts = dict[str, None]()
        for cell in self.cells:
            if cell.url:
                hosts[host_of(cell.url)] = None
            elif any(package.origin != PYPI for package in cell.packages):
                hosts.update(dict.fromkeys((*mirror.hosts, *facts.hosts_of(cell.backend))))
        return tuple(hosts)

    @property
    def last_releases(self) -> dict[str, str]:
        """Build -> the last release that has it, of those that newer releases do not have."""
        last = self._cells.facts.last_release
        builds = {cell.backend: last(cell.backend) for cell in self.cells if not cell.url}
        unended = ("", self._cells.facts.releases[-1])
        return {build: end for build, end in builds.items() if end not in unended}

    @property
    def image_command(self) -> tuple[str, ...]:
        """What an image runs; the smoke test of a library is not in its wheel."""
        code = "import torch; print(torch.__version__, torch.cuda.is_available())"
        return ("python", "-c", code) if self.is_library else (self.smoke_command,)

    @property
    def default_groups(self) -> tuple[str, ...]:
        """The groups of a bare `uv sync`, empty where they are uv's own."""
        names = [option.name for option in self.groups[:1]] or [TORCH] * bool(self.gate)
        return ("dev", *names) if names else ()

    @property
    def requires_python(self) -> str:
        """The Pythons as `requires-python` says them: up to the first one that lacks a wheel.

        A library leaves the end open unless one was asked for; its lock ends there all the same.
        """
        oldest = f">={self.pythons[0]}"
        is_open = self.is_library and not self._cells.answers.python_end
        return oldest if is_open else f"{oldest},<{next_minor(self.pythons[-1])}"

    @property
    def environments(self) -> tuple[str, ...]:
        """The exact marker of each platform that the lock is for."""
        until = f" and python_full_version < '{next_minor(self.pythons[-1])}'"
        end = until if self.is_library else ""
        return tuple(f"{environment(platform)}{end}" for platform in self.platforms)

    @property
    def part_marker(self) -> str:
        """A marker for a package that some platforms lack: it holds on the first system or machine.

        The first system is Linux in most projects. Empty where there is one platform.
        """
        names, first = self.platforms, PLATFORMS[self.platforms[0]].sys_platform
        here = [name for name in names if PLATFORMS[name].sys_platform == first]
        return split([here if len(here) < len(names) else names[:1]], names)[0]

    @property
    def docker_options(self) -> tuple[str, ...]:
        """The options of `uv sync` in the Dockerfile, where `$BACKEND` chooses the build."""
        default = "--no-default-groups" if self.layout == GROUPS else "--no-dev"
        return (default, f"--{self.selector}", '"$BACKEND"') if self.selector else (default,)

    def alone(self, option: Option, *, labelled: bool = False) -> Plan:
        """Return the plan of one build that nothing chooses, as a file without extras has it.

        With labels, which name the build to any installer, its versions are exact.
        """
        answers = self._cells.answers._replace(
            layout=MARKERS,
            variants=(option.cells[0].variant,),
            overrides={
                (cell.platform, ""): WantedBuild(cell.release, cell.backend, cell.url)
                for cell in option.cells
            },
            torch_pin=LOCAL if labelled else self.torch_pin,
        )
        return Plan(Cells(answers, self._cells.facts), ())


def make_plan(answers: ProperAnswers, facts: Facts | None = None) -> Plan:
    """Plan a project from all answers, as text under the keys of cookiecutter.json.

    Raises `Refused` with every problem at once if the answers cannot be served.
    """
    return _made_plan(tuple(answers.items()), facts or load_facts())


# The check, each of the templates and the hook ask for the plan of the same answers.
@lru_cache(maxsize=8)
def _made_plan(items: tuple[tuple[str, str], ...], facts: Facts) -> Plan:
    answers = ProperAnswers(dict(items))
    examination = examine(answers, facts)
    if examination.problems:
        raise Refused(examination.problems)
    return Plan(examination.cells, tuple(notes(examination, answers)))


def _index_name(origin: str) -> str:
    return f"pytorch-{origin}"
