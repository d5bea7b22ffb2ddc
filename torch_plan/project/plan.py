"""The plan of a project: what its templates lay out."""

from collections.abc import Mapping
from typing import NamedTuple

from torch_plan.answers.records import EXTRAS, GROUPS, LOCAL, MARKERS, MINIMUM
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.catalog.versions import CPU, TORCH, family_of
from torch_plan.project.markers import environment
from torch_plan.resolution.cells import Cell

REQUIRED_UV = ">=0.10.0"
"""The uv that a rendered project asks for; the tests lock and sync with it."""

IMAGE_UV = "0.13.9"
"""The uv that builds an image: the newest that the tests ran with."""

_SELECTORS = {MARKERS: "", EXTRAS: "extra", GROUPS: "group"}
"""Layout -> what chooses a build: the word of uv's option, and of a source."""

_CHEAPEST_FIRST = (
    "linux-x86_64",
    "linux-aarch64",
    "windows-x86_64",
    "macos-arm64",
    "windows-arm64",
    "macos-x86_64",
)
"""The platforms by what an hour of GitHub's runner costs."""

_DOWNLOADS = {"cu": "about 3 GB", "rocm": "up to 5 GB", "xpu": "about 2 GB"}
"""Family of builds -> what one of them weighs, with the packages that it brings along.

CUDA as docs/cost.md has it; torch 2.10.0+rocm7.1 has 5.1 GB and is the largest of ROCm's, after 1.5
GB of 2.0.0+rocm5.4.2; torch 2.6.0+xpu has 1.0 GB and needs 0.75 GB from Intel.
"""


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


class Floor(NamedTuple):
    """The oldest version of a system that a build's wheels are content with."""

    system: str
    """`glibc` or `macOS`."""
    version: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.system} {self.version[0]}.{self.version[1]} or newer"


class Option(NamedTuple):
    """One build that the project can be switched to, or the only one."""

    name: str
    requirements: tuple[str, ...]
    cells: tuple[Cell, ...]
    needs: Mapping[str, tuple[str, ...]]
    """Platform -> what its build needs of the machine."""
    floors: Mapping[str, Floor]
    """Platform -> the oldest system for its build, where the wheels name one."""
    sync: tuple[str, ...]
    """The options of `uv sync` that select it: `--extra cu128`; none for the default."""

    def build_on(self, platform: str) -> str:
        """Return the build a platform gets (`cu128`), empty where the project does not name it."""
        return next((cell.build for cell in self.cells if cell.platform == platform), "")


class Demand(NamedTuple):
    """What one build of an option needs of the machine, for `sync.py` to choose by."""

    option: Option
    build: str
    driver: str
    """The least NVIDIA driver, empty for other GPUs."""
    gpus: tuple[str, ...]
    """The GPUs that it runs on, as patterns of a shell: `8.?`, `7.[5-9]`, `gfx90a`.

    Empty where nobody knows, `*` where there is no choice.
    """
    platforms: tuple[str, ...]

    @property
    def machines(self) -> tuple[str, ...]:
        """The platforms as Python names them: `sys.platform` and `platform.machine()`."""
        entries = [PLATFORMS[platform] for platform in self.platforms]
        return tuple(f"{entry.sys_platform}-{entry.platform_machine}" for entry in entries)


class Job(NamedTuple):
    """One job of CI: the platform it runs on, and the option that it installs there."""

    platform: str
    option: Option

    @property
    def name(self) -> str:
        """The system: `linux`."""
        return PLATFORMS[self.platform].system.lower()

    @property
    def runner(self) -> str:
        """The runner that GitHub has for it."""
        return PLATFORMS[self.platform].runner

    @property
    def build(self) -> str:
        """The build that it installs."""
        return self.option.build_on(self.platform)

    @property
    def download(self) -> str:
        """What a large build weighs, as people say it; empty for the CPU build."""
        return _DOWNLOADS.get(family_of(self.build), "")


class Plan(NamedTuple):
    """All that the templates lay out."""

    python: str
    """The oldest Python, which `.python-version` names."""
    pythons: tuple[str, ...]
    layout: str
    platforms: tuple[str, ...]
    dependencies: tuple[str, ...]
    constraints: tuple[str, ...]
    """What holds the lock at exact versions where the requirements leave them open."""
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
    notes: tuple[str, ...]
    """What people should know: platforms that get another build, and builds that are likely."""
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
    def local_pins(self) -> bool:
        """Whether versions are pinned with their labels."""
        return self.torch_pin == LOCAL

    @property
    def is_library(self) -> bool:
        """Whether the requirements are for others too, and the lock alone is exact."""
        return self.torch_pin == MINIMUM

    @property
    def requires_python(self) -> str:
        """The Pythons as `requires-python` says them: up to the first one that lacks a wheel.

        A library leaves the end open; its lock ends there all the same.
        """
        oldest = f">={self.pythons[0]}"
        return oldest if self.is_library else f"{oldest},<{next_minor(self.pythons[-1])}"

    @property
    def environments(self) -> tuple[str, ...]:
        """The exact marker of each platform that the lock is for."""
        until = f" and python_full_version < '{next_minor(self.pythons[-1])}'"
        end = until if self.is_library else ""
        return tuple(f"{environment(platform)}{end}" for platform in self.platforms)

    @property
    def explicit_packages(self) -> tuple[str, ...]:
        """The packages that come from an index of PyTorch, on some platform at least.

        Such an index tells no upload dates.
        """
        return tuple(self.sources)

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
        return _SELECTORS[self.layout]

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
    def jobs(self) -> tuple[Job, ...]:
        """The jobs of CI: one on Linux, and one on each other system with a CPU build in the lock.

        The CPU build needs no GPU and is the smallest, so it is taken wherever there is one. What
        has neither Linux nor a CPU build runs on its first platform.
        """
        jobs = []
        for system in ("linux", "darwin", "win32"):
            cells = [
                Job(platform, option)
                for platform in _CHEAPEST_FIRST
                if platform in self.platforms and PLATFORMS[platform].sys_platform == system
                for option in self.options
            ]
            small = [job for job in cells if job.build == CPU]
            jobs += (small or (cells if system == "linux" else []))[:1]
        return tuple(jobs) or (Job(self.platforms[0], self.options[0]),)

    @property
    def docker_options(self) -> tuple[str, ...]:
        """The options of `uv sync` in the Dockerfile, where `$BACKEND` chooses the build."""
        default = "--no-default-groups" if self.layout == GROUPS else "--no-dev"
        return (default, f"--{self.selector}", '"$BACKEND"') if self.selector else (default,)

    @property
    def tritons(self) -> tuple[str, ...]:
        """The packages that only PyTorch's index has, and the builds require."""
        named = [package for cell in self.cells for package in cell.packages]
        own = (TORCH, *self.companions)
        return tuple(dict.fromkeys(it.name for it in named if it.name not in own))

    @property
    def reaches_cuda(self) -> bool:
        """Whether any platform gets a CUDA build."""
        return any(family_of(cell.build) == "cu" for cell in self.cells)


def next_minor(python: str) -> str:
    """Return `3.15` for `3.14`."""
    major, minor = python.split(".")
    return f"{major}.{int(minor) + 1}"
