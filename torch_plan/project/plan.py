"""The plan of a project: what its templates lay out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch_plan.answers.problems import Note
from torch_plan.answers.records import EXTRAS, GROUPS, MARKERS, MINIMUM
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.catalog.versions import TORCH, family_of
from torch_plan.project.markers import environment
from torch_plan.project.needs import Demand, Floor
from torch_plan.resolution.cells import Cell

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
    labelled: tuple[str, ...]
    """The same of exactly these versions, with labels, which name the build to any installer."""
    cells: tuple[Cell, ...]
    needs: Mapping[str, tuple[str, ...]]
    """Platform -> what its build needs of the machine."""
    bounds: tuple[str, ...]
    """What keeps companions beside its torch, where those of other options need other versions."""
    floors: Mapping[str, Floor]
    """Platform -> the oldest system for its build, where the wheels name one."""
    sync: tuple[str, ...]
    """The options of `uv sync` that select it: `--extra cu128`; none for the default."""

    def build_on(self, platform: str) -> str:
        """Return the build a platform gets (`cu128`), empty where the project does not name it."""
        return next((cell.build for cell in self.cells if cell.platform == platform), "")


class Plan(NamedTuple):
    """All that the templates lay out."""

    python: str
    """The oldest Python, which `.python-version` names."""
    python_end: str
    """The newest that was asked for, empty for none: a library leaves the end open then."""
    pythons: tuple[str, ...]
    layout: str
    platforms: tuple[str, ...]
    dependencies: tuple[str, ...]
    constraints: tuple[str, ...]
    """What holds the lock at exact versions where the requirements leave them open."""
    partial: tuple[str, ...]
    """The unchosen companions that only some platforms have, as `uv add` takes them there."""
    gate: tuple[str, ...]
    """What the default group `torch` requires, so that its sources bind nobody else.

    Empty where the project is no library, or has its builds as extras or groups.
    """
    options: tuple[Option, ...]
    sources: Mapping[str, tuple[Source, ...]]
    indexes: tuple[Index, ...]
    companions: tuple[str, ...]
    guarded_platforms: tuple[str, ...]
    """The platforms that get `numpy<2`."""
    hosts: tuple[str, ...]
    """The hosts that a firewall must let through for the PyTorch index."""
    torch_pin: str
    package: str
    """The name to import."""
    smoke_command: str
    demands: tuple[Demand, ...]
    """What each build needs, in the order of the options, the CPU builds last."""
    notes: tuple[Note, ...]
    """What people should know: platforms that get another build, builds that are likely or hurt."""
    warnings: tuple[str, ...]
    """Those of the notes that say what is known to hurt."""
    tied: Mapping[str, str]
    """Other packages that go with some torch alone -> which of their minors with which torch."""
    last_releases: Mapping[str, str]
    """Build -> the last release that has it, of those that newer releases do not have."""
    required_uv: str = REQUIRED_UV
    image_uv: str = IMAGE_UV

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells of all options."""
        return tuple(cell for option in self.options for cell in option.cells)

    @property
    def releases(self) -> tuple[str, ...]:
        """The releases of torch, that of the first cell first."""
        return tuple(dict.fromkeys(cell.release for cell in self.cells))

    @property
    def is_library(self) -> bool:
        """Whether the requirements are for others too, and the lock alone is exact."""
        return self.torch_pin == MINIMUM

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
        is_open = self.is_library and not self.python_end
        return oldest if is_open else f"{oldest},<{next_minor(self.pythons[-1])}"

    @property
    def environments(self) -> tuple[str, ...]:
        """The exact marker of each platform that the lock is for."""
        until = f" and python_full_version < '{next_minor(self.pythons[-1])}'"
        end = until if self.is_library else ""
        return tuple(f"{environment(platform)}{end}" for platform in self.platforms)

    @property
    def part_marker(self) -> str:
        """A marker for a package that some platforms lack, empty where there is one platform.

        It holds on the first system, which is Linux in most projects; else on the first machine.
        """
        first, *others = [PLATFORMS[platform] for platform in self.platforms]
        if any(other.sys_platform != first.sys_platform for other in others):
            return f"sys_platform == '{first.sys_platform}'"
        return f"platform_machine == '{first.platform_machine}'" if others else ""

    @property
    def default(self) -> Option:
        """The option of a bare `uv sync`; with extras, the one the README names first."""
        return self.options[0]

    @property
    def selector(self) -> str:
        """What chooses a build: `extra` or `group`, empty in the layout `markers`."""
        return "" if self.layout == MARKERS else self.layout.removesuffix("s")

    @property
    def extras(self) -> tuple[Option, ...]:
        """The options that are extras."""
        return self.options if self.layout == EXTRAS else ()

    @property
    def groups(self) -> tuple[Option, ...]:
        """The options that are dependency groups."""
        return self.options if self.layout == GROUPS else ()

    @property
    def conflicts(self) -> bool:
        """Whether there are builds that exclude each other."""
        return len(self.options) > 1

    @property
    def docker_options(self) -> tuple[str, ...]:
        """The options of `uv sync` in the Dockerfile, where `$BACKEND` chooses the build."""
        default = "--no-default-groups" if self.layout == GROUPS else "--no-dev"
        return (default, f"--{self.selector}", '"$BACKEND"') if self.selector else (default,)

    @property
    def tritons(self) -> tuple[str, ...]:
        """The packages that only PyTorch's index has, and the builds require."""
        names = dict.fromkeys(package.name for cell in self.cells for package in cell.packages)
        return tuple(name for name in names if name not in (TORCH, *self.companions))

    @property
    def reaches_cuda(self) -> bool:
        """Whether any platform gets a CUDA build."""
        return any(family_of(cell.build) == "cu" for cell in self.cells)

    def alone(self, option: Option, requirements: tuple[str, ...]) -> Plan:
        """Return the plan of one build that nothing chooses, as a file without extras has it."""
        shared = self.dependencies[0 if self.selector else len(option.requirements) :]
        sources = {}
        for package, entries in self.sources.items():
            ours = [entry for entry in entries if option.name in (entry.extra, entry.group)]
            kept = tuple(
                entry._replace(extra="", group="") for entry in (ours if self.selector else entries)
            )
            sources.update({package: kept} if kept else {})
        names = {entry.index_name for entries in sources.values() for entry in entries}
        return self._replace(
            layout=MARKERS,
            options=(option,),
            dependencies=(*requirements, *shared),
            sources=sources,
            indexes=tuple(one for one in self.indexes if one.default or one.name in names),
        )


def next_minor(python: str) -> str:
    """Return `3.15` for `3.14`."""
    major, minor = python.split(".")
    return f"{major}.{int(minor) + 1}"
