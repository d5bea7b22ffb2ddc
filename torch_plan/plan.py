"""From answers and facts to a plan: what the templates of a project lay out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from torch_plan.answers import (
    EXTRAS,
    GROUPS,
    MARKERS,
    Answers,
    Problem,
    Variant,
    package_name,
    read_answers,
)
from torch_plan.builds import Builds
from torch_plan.check import find_problems
from torch_plan.facts import CPU, PYPI, Facts, family_of, load_facts, version_key
from torch_plan.markers import environment, split

REQUIRED_UV = ">=0.8.0"
"""The uv that a rendered project asks for; the tests lock and sync with it."""

_RUNNERS = {
    "linux-x86_64": "ubuntu-latest",
    "linux-aarch64": "ubuntu-24.04-arm",
    "windows-x86_64": "windows-latest",
    "macos-arm64": "macos-latest",
    "windows-arm64": "windows-11-arm",
    "macos-x86_64": "macos-15-intel",
}
"""GitHub's runner for each platform, the cheapest first."""


class Build(NamedTuple):
    """What one platform gets: the backend, the build behind it, torch's version, and its needs."""

    platform: str
    backend: str
    build: str
    torch: str
    needs: tuple[str, ...]


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
    """One switchable build (or the only one): its name, requirements, and build per platform."""

    name: str
    backend: str
    requirements: tuple[str, ...]
    builds: tuple[Build, ...]
    sync: str
    """The uv options that select it: `--extra cu128`; empty for the default."""

    def build_on(self, platform: str) -> str:
        """Return the build a platform gets (`cu128`), empty where the project does not name it."""
        return next((build.build for build in self.builds if build.platform == platform), "")


class Plan(NamedTuple):
    """All that the templates lay out."""

    package: str
    release: str
    python: str
    pythons: tuple[str, ...]
    requires_python: str
    required_uv: str
    layout: str
    platforms: tuple[str, ...]
    environments: tuple[str, ...]
    """The exact marker of each platform."""
    dependencies: tuple[str, ...]
    options: tuple[Option, ...]
    sources: Mapping[str, tuple[Source, ...]]
    indexes: tuple[Index, ...]
    companions: Mapping[str, str]
    guarded_platforms: tuple[str, ...]
    """The platforms that get `numpy<2`."""
    ci_platform: str
    """Where CI finds the lightest build: a CPU build if the lock has one."""
    ci_option: Option
    hosts: tuple[str, ...]
    """The hosts that a firewall must let through for the PyTorch index."""
    local_pins: bool

    @property
    def default(self) -> Option:
        """The option of a bare `uv sync`; with extras, the one the README names first."""
        return self.options[0]

    @property
    def selector(self) -> str:
        """What chooses a build: `extra` or `group`, empty in the layout `markers`."""
        return {EXTRAS: "extra", GROUPS: "group"}.get(self.layout, "")

    @property
    def conflicts(self) -> bool:
        """Whether there are builds that exclude each other."""
        return len(self.options) > 1

    @property
    def ci_runner(self) -> str:
        """The GitHub runner of the platform that CI runs on."""
        return _RUNNERS[self.ci_platform]

    @property
    def docker_options(self) -> str:
        """The options of `uv sync` in the Dockerfile, where `$BACKEND` chooses the build."""
        selected = {EXTRAS: ' --extra "$BACKEND"', GROUPS: ' --group "$BACKEND"'}
        default = "no-default-groups" if self.layout == GROUPS else "no-dev"
        return f"--{default}{selected.get(self.layout, '')}"

    @property
    def reaches_cuda(self) -> bool:
        """Whether any platform gets a CUDA build."""
        return any(
            family_of(build.build) == "cu" for option in self.options for build in option.builds
        )


class Refused(Exception):
    """The answers cannot be planned; `problems` says why, every one of them."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{problem.asked}: {problem.reason}" for problem in problems))
        self.problems = problems


def make_plan(raw: Mapping[str, str], facts: Facts | None = None) -> Plan:
    """Plan a project.

    Comes in: the answers as text (keys of cookiecutter.json). Goes out: the plan. Raises `Refused`
    with every problem at once if the answers cannot be served.
    """
    facts = facts or load_facts()
    answers, problems = read_answers(raw, facts)
    if problems:
        raise Refused(problems)
    builds = Builds(answers, facts)
    problems = find_problems(builds, raw)
    if problems:
        raise Refused(problems)
    return _plan(answers, builds)


def problems_of(raw: Mapping[str, str], facts: Facts | None = None) -> list[Problem]:
    """Return what is wrong with these answers, an empty list if they can be planned."""
    try:
        make_plan(raw, facts)
    except Refused as refusal:
        return refusal.problems
    return []


def _plan(answers: Answers, builds: Builds) -> Plan:
    pythons = builds.pythons
    options = tuple(_option(variant, builds) for variant in answers.variants)
    shared = options[0].requirements if answers.layout == MARKERS else ()
    backends = _backends(builds)
    ci_platform, ci_option = _ci(answers, options)
    return Plan(
        package=package_name(answers.project_slug),
        release=answers.release,
        python=answers.python,
        pythons=pythons,
        requires_python=f">={pythons[0]},<{_next_minor(pythons[-1])}",
        required_uv=REQUIRED_UV,
        layout=answers.layout,
        platforms=answers.platforms,
        environments=tuple(map(environment, answers.platforms)),
        dependencies=(*_numpy_requirements(builds), *shared),
        options=options,
        sources=_sources(builds),
        indexes=_indexes(answers, backends),
        companions={name: builds.packages[name] for name in answers.companions},
        guarded_platforms=builds.guarded,
        ci_platform=ci_platform,
        ci_option=ci_option,
        hosts=answers.pytorch_index.hosts if backends else (),
        local_pins=answers.torch_pin == "local",
    )


def _numpy_requirements(builds: Builds) -> list[str]:
    guarded, platforms = builds.guarded, builds.answers.platforms
    free = [platform for platform in platforms if platform not in guarded]
    return _requirements({"numpy": free, "numpy<2": list(guarded)}, platforms)


def _requirements(pins: Mapping[str, list[str]], platforms: Iterable[str]) -> list[str]:
    """Return the requirements of one package: pin -> the platforms it holds on."""
    used = {pin: on for pin, on in pins.items() if on}
    return [
        f"{pin} ; {marker}" if marker else pin
        for pin, marker in zip(used, split(used.values(), platforms), strict=True)
    ]


def _option(variant: Variant, builds: Builds) -> Option:
    platforms = builds.answers.platforms
    requirements = []
    for package, version in builds.packages.items():
        pins: dict[str, list[str]] = {}
        for platform in platforms:
            label = _label(package, version, variant, platform, builds)
            pins.setdefault(f"{package}=={version}{label}", []).append(platform)
        requirements += _requirements(pins, platforms)
    for name, version, on in builds.tritons(variant):
        requirements += _requirements({f"{name}=={version}" if version else name: [*on]}, platforms)
    return Option(
        name=variant.name,
        backend=variant.backend,
        requirements=tuple(requirements),
        builds=tuple(_build(variant, platform, builds) for platform in platforms),
        sync=_sync_options(variant, builds.answers),
    )


def _label(package: str, version: str, variant: Variant, platform: str, builds: Builds) -> str:
    if builds.answers.torch_pin != "local":
        return ""
    label = builds.facts.label(package, version, builds.backend(variant, platform), platform)
    return f"+{label}" if label else ""


def _sync_options(variant: Variant, answers: Answers) -> str:
    first = answers.variants[0]
    if answers.layout == EXTRAS:
        return f"--extra {variant.name}"
    if answers.layout == GROUPS and variant != first:
        return f"--no-group {first.name} --group {variant.name}"
    return ""


def _sources(builds: Builds) -> dict[str, tuple[Source, ...]]:
    sources: dict[str, list[Source]] = {}
    for variant in builds.answers.variants:
        everywhere = _source_entries(variant, builds, builds.answers.platforms)
        for package in builds.packages:
            sources.setdefault(package, []).extend(everywhere)
        for name, _, on in builds.tritons(variant):
            sources.setdefault(name, []).extend(_source_entries(variant, builds, on))
    return {package: tuple(entries) for package, entries in sources.items() if entries}


def _source_entries(variant: Variant, builds: Builds, platforms: Iterable[str]) -> list[Source]:
    answers = builds.answers
    where = builds.by_backend(variant, platforms)
    markers = split(where.values(), answers.platforms)
    return [
        Source(
            index_name=_index_name(backend),
            marker=marker,
            extra=variant.name if answers.layout == EXTRAS else "",
            group=variant.name if answers.layout == GROUPS else "",
        )
        for backend, marker in zip(where, markers, strict=True)
        if backend != PYPI
    ]


def _backends(builds: Builds) -> list[str]:
    """Return the backends that come from an index of PyTorch, in the order of their first use."""
    used = [
        backend
        for variant in builds.answers.variants
        for backend in builds.by_backend(variant, builds.answers.platforms)
    ]
    return [backend for backend in dict.fromkeys(used) if backend != PYPI]


def _indexes(answers: Answers, backends: Iterable[str]) -> tuple[Index, ...]:
    mirror = answers.pytorch_index
    end = "/" if mirror.flat else ""
    found = [
        Index(_index_name(backend), f"{mirror.url}/{backend}{end}", flat=mirror.flat)
        for backend in backends
    ]
    name, url = answers.package_index
    if url:
        found.append(Index(name, url, default=True))
    return tuple(found)


def _build(variant: Variant, platform: str, builds: Builds) -> Build:
    release, facts = builds.answers.release, builds.facts
    backend = builds.backend(variant, platform)
    label = facts.label("torch", release, backend, platform)
    return Build(
        platform=platform,
        backend=backend,
        build=facts.build(release, backend, platform),
        torch=f"{release}+{label}" if label else release,
        needs=tuple(_needs(backend, platform, builds)),
    )


def _needs(backend: str, platform: str, builds: Builds) -> Iterable[str]:
    """What a build asks of the machine: driver and card, glibc or macOS, as far as facts say."""
    facts, release = builds.facts, builds.answers.release
    build = facts.build(release, backend, platform)
    driver = facts.min_driver(build, platform)
    if driver:
        yield f"NVIDIA driver {driver} or newer"
    capabilities = facts.architectures(build, release, platform)
    if capabilities:
        yield f"GPU of compute capability {capabilities[0] / 10} to {capabilities[-1] / 10}"
    if family_of(build) == "rocm":
        yield f"AMD GPU with a driver for ROCm {build.removeprefix('rocm')}"
    if build == "xpu":
        yield "Intel GPU with its driver"
    tags = [
        tag
        for package, version in builds.packages.items()
        for tag in facts.platform_tags(package, version, backend, platform, builds.pythons)
    ]
    yield from _floor(tags, "macosx", "macOS")
    yield from _floor(tags, "manylinux", "glibc")


def _floor(tags: Iterable[str], prefix: str, system: str) -> list[str]:
    """Return the least version of the system that all of these platform tags are content with."""
    found = []
    for tag in tags:
        versions = [
            (int(major), int(minor)) for major, minor in re.findall(rf"{prefix}_(\d+)_(\d+)_", tag)
        ]
        found += [min(versions)] if versions else []
    if not found:
        return []
    major, minor = max(found)
    return [f"{system} {major}.{minor} or newer"]


def _ci(answers: Answers, options: tuple[Option, ...]) -> tuple[str, Option]:
    """Return where CI runs and what it installs: the first CPU build of the lock, if it has one."""
    order = sorted(answers.platforms, key=list(_RUNNERS).index)
    for platform in order:
        for option in options:
            if option.build_on(platform) == CPU:
                return platform, option
    return order[0], options[0]


def _index_name(backend: str) -> str:
    return f"pytorch-{backend}"


def _next_minor(python: str) -> str:
    major, minor = version_key(python)
    return f"{major}.{minor + 1}"
