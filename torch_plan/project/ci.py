"""The jobs of a project's CI: where each runs, and which build it installs there."""

from typing import NamedTuple

from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.catalog.versions import CPU, family_of
from torch_plan.project.plan import Option, Plan

_DOWNLOADS = {"cu": "about 3 GB", "rocm": "up to 5 GB", "xpu": "about 2 GB"}
"""Family of builds -> what one of them weighs, with the packages that it brings along.

CUDA as docs/cost.md has it; torch 2.10.0+rocm7.1 has 5.1 GB and is the largest of ROCm's, after 1.5
GB of 2.0.0+rocm5.4.2; torch 2.6.0+xpu has 1.0 GB and needs 0.75 GB from Intel.
"""


class Job(NamedTuple):
    """One job of CI: where it runs, and what it installs there."""

    platform: str
    name: str
    """The system: `linux`."""
    runner: str
    """The runner that GitHub has for it."""
    build: str
    sync: tuple[str, ...]
    """The options of `uv sync` that install it."""
    download: str
    """What a large build weighs, as people say it; empty for the CPU build."""


def _job(platform: str, option: Option) -> Job:
    entry = PLATFORMS[platform]
    build = next((cell.build for cell in option.cells if cell.platform == platform), "")
    download = _DOWNLOADS.get(family_of(build), "")
    return Job(platform, entry.system.lower(), entry.runner, build, option.sync, download)


def jobs_of(plan: Plan) -> tuple[Job, ...]:
    """The jobs of CI: one on Linux, and one on each other system with a CPU build in the lock.

    The CPU build needs no GPU and is the smallest, so it is taken wherever there is one. What
    has neither Linux nor a CPU build runs on its first platform.
    """
    jobs = []
    for system in ("linux", "darwin", "win32"):
        cells = [
            _job(platform, option)
            for platform, entry in PLATFORMS.items()
            if platform in plan.platforms and entry.sys_platform == system
            for option in plan.options
        ]
        small = [job for job in cells if job.build == CPU]
        jobs += (small or (cells if system == "linux" else []))[:1]
    return tuple(jobs) or (_job(plan.platforms[0], plan.options[0]),)
