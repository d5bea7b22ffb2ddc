"""A stand-in for the PyTorch index on loopback: the wheels that `builds.json` knows.

As the real one, it has HTML pages only, 403 for whatever it lacks, and a PEP 658 `.metadata` file
beside every wheel. The wheels are invented and have no content (403 as well): locking needs names
and metadata only. Real wheel files can be put in, and are then served whole.

It leaves out what comes from PyPI in reality (the nvidia packages and plain triton of the CUDA
builds, Intel's runtime of the XPU builds): no wheel here declares that. The index root has nothing;
in reality the triton packages lie there, and every index lists them.

Torch and its companions carry their upload times, as the real index gives them since April 2026;
what it only mirrors carries none. The flat view has them too, with hashes, metadata and triton:
that is more generous than a real flat mirror.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from packaging.utils import canonicalize_name

from tools.lib.server import Response, Server
from tools.lib.wheel_names import WheelName, parse_wheel_name
from torch_plan.catalog.facts import Facts, load_facts
from torch_plan.catalog.platforms import platform_of
from torch_plan.catalog.versions import CPU, PYPI, TORCH, labelled
from torch_plan.machine.host import host_platform

# METADATA on PyPI, without bounds and markers: none of them changes which torch is locked.
_REQUIRES = {
    TORCH: ("filelock", "typing-extensions", "sympy", "networkx", "jinja2", "fsspec"),
    "torchvision": ("numpy", "pillow"),
}

# METADATA on PyPI: torchvision 0.19.0 differs by platform.
_ODD_REQUIRES = {("torchvision", "0.19.0", "windows-x86_64"): ("numpy<2", "pillow")}

# METADATA on PyPI: what requires no exact torch, though it goes with one release, or none at all.
_OPEN_TORCH = {("torchvision", "0.29.1"), ("torchvision", "0.29.2")}
_WITHOUT_TORCH = "torchcodec"

# Wheel URLs in public lock files: torchvision for Windows on Arm is labelled with its commit.
_TORCHVISION_COMMIT = "d801a34"

FORBIDDEN = Response(HTTPStatus.FORBIDDEN, "application/xml", b"<Code>AccessDenied</Code>\n")
"""What the real index, a bucket without permission to list, says of anything it lacks."""


@dataclass(frozen=True)
class Wheel:
    """A wheel file of the replica; `path` is the real file behind it, None for an invented one."""

    index: str
    filename: str
    sha256: str
    metadata: bytes
    path: Path | None = None
    day: str = ""
    """When it was uploaded, empty where the index does not say."""

    def link(self) -> str:
        """Return the link on a page, with its hash and that of its metadata (PEP 658, PEP 714)."""
        url = f"/whl/{self.index}/{quote(self.filename)}"
        digest = f"sha256={hashlib.sha256(self.metadata).hexdigest()}"
        time = f' data-upload-time="{self.day}T12:00:00Z"' if self.day else ""
        return (
            f'<a href="{url}#sha256={self.sha256}" data-dist-info-metadata="{digest}"'
            f' data-core-metadata="{digest}"{time}>{self.filename}</a>'
        )


def page(title: str, links: Iterable[str]) -> Response:
    """Return a page of links in the shape of PEP 503."""
    lines = "".join(f"    {link}<br/>\n" for link in links)
    text = f"<!DOCTYPE html>\n<html>\n  <body>\n    <h1>{title}</h1>\n{lines}  </body>\n</html>\n"
    return Response(HTTPStatus.OK, "text/html", text.encode())


def index_names(facts: Facts, index: str, package: str) -> Iterator[WheelName]:
    """Yield the names of a package's wheels that an index lists."""
    if package in (part.name for part in facts.amd_packages(index)):
        yield WheelName(package, f"{index.removeprefix('rocm')}.0", "", "py3", "linux_x86_64")
    if package in facts.all_tritons:
        yield from triton_names(facts, index, package)
    for version in releases_of(facts, package):
        for tag, pythons in facts.wheels(package, version, index).items():
            label = facts.label(package, version, index, platform_of(tag))
            if not label and (package, platform_of(tag)) == ("torchvision", "windows-arm64"):
                label = _TORCHVISION_COMMIT
            yield from (WheelName(package, version, label, python, tag) for python in pythons)


@cache
def releases_of(facts: Facts, package: str) -> dict[str, list[str]]:
    """Return each version of torch or a companion -> the releases that it goes with."""
    releases: dict[str, list[str]] = {}
    for release in facts.releases:
        of_release = {TORCH: (release,), **facts.companions(release)}
        for version in of_release.get(package, ()):
            releases.setdefault(version, []).append(release)
    return releases


def triton_names(facts: Facts, index: str, package: str) -> Iterator[WheelName]:
    """Yield the names of a triton's wheels: of those builds that require it, within its Pythons."""
    for release in facts.releases:
        triton = facts.triton(release, index)
        for tag, pythons in facts.wheels(TORCH, release, index).items():
            if triton and triton.name == package and platform_of(tag) in triton.platforms:
                for python in pythons:
                    if {*facts.minors([python])} <= {*triton.pythons}:
                        yield WheelName(package, triton.version or release, "", python, tag)


def uploaded(facts: Facts, name: WheelName) -> str:
    """Return the day that an index gives for a file, empty for what it only mirrors.

    All older files were dated anew (pytorch/test-infra#8000).
    """
    releases = releases_of(facts, name.package).get(name.version)
    return max(facts.released(releases[0]), "2026-04-27") if releases else ""


@cache
def metadata(facts: Facts, index: str, name: WheelName) -> bytes:
    """Return the METADATA of an invented wheel on an index, whatever its Python."""
    version = labelled(name.version, name.label)
    lines = ["Metadata-Version: 2.1", f"Name: {name.package}", f"Version: {version}"]
    if releases := releases_of(facts, name.package).get(name.version):
        lines.append(f"Requires-Python: >={facts.pythons_of(releases[0])[0]}")
        lines += [f"Requires-Dist: {entry}" for entry in _requires(facts, index, name, releases)]
    return ("\n".join(lines) + "\n").encode()


def _requires(facts: Facts, index: str, name: WheelName, releases: Sequence[str]) -> Iterator[str]:
    """Yield what a wheel requires; a companion that one release has, pins that release."""
    package, version, platform = name.package, name.version, name.platform
    yield from _ODD_REQUIRES.get((package, version, platform), _REQUIRES.get(package, ()))
    if package == TORCH:
        yield from _requires_triton(facts, version, index)
        # In reality `rocm` requires the others, by extras.
        yield from (f"{part.name}=={part.version}" for part in facts.amd_packages(index))
    elif (package, version) in _OPEN_TORCH:
        yield "torch>=2.14.0"
    elif len(releases) == 1 and package != _WITHOUT_TORCH:
        yield f"torch=={releases[0]}"


def _requires_triton(facts: Facts, release: str, backend: str) -> Iterator[str]:
    if triton := facts.triton(release, backend):
        is_linux = all(platform.startswith("linux-") for platform in triton.platforms)
        lacking = [python for python in facts.pythons_of(release) if python not in triton.pythons]
        markers = ['platform_system == "Linux"'] if is_linux else []
        markers += [f'python_version < "{python}"' for python in lacking[:1]]
        marker = f" ; {' and '.join(markers)}" if markers else ""
        yield f"{triton.name}=={triton.version or release}{marker}"


def real_cpu_wheel(folder: Path, release: str = "") -> Path | None:
    """Download a CPU wheel of torch for the running Python into a folder; None if there is none.

    Without a release it is the newest that can be had. Looks where pip is configured to find files
    (`PIP_FIND_LINKS`), and then on the official CPU index; never on PyPI, whose wheels may hold
    gigabytes of CUDA.
    """
    facts, platform = load_facts(), host_platform()
    label = facts.label("torch", release, CPU, platform) if release else ""
    requirement = f"torch=={labelled(release, label)}" if release else "torch"
    official = f"{facts.pytorch_mirrors['official'].url}/{CPU}"
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--retries=0", "--timeout=10"]
    for place in ("--no-index", f"--index-url={official}"):
        command = [sys.executable, "-m", "pip", "download", *options, f"--dest={folder}"]
        subprocess.run(
            [*command, place, requirement], stdin=subprocess.DEVNULL, capture_output=True
        )
        for wheel in folder.glob("*.whl"):
            name = parse_wheel_name(wheel.name)
            known = name.version in facts.releases
            if known and name.label == facts.label("torch", name.version, CPU, platform):
                return wheel
            wheel.unlink()
    return None


class Replica(Server):
    """The server of such an index.

    `facts` are those of the template as far as they are published, or any others. `wheels` are real
    wheel files: each is served in place of the invented wheel of the same package, version, label,
    Python and platform.
    """

    def __init__(self, facts: Facts | None = None, wheels: Iterable[Path] = ()) -> None:
        super().__init__()
        self.facts = facts or load_facts().published
        self._real = {_identity(parse_wheel_name(path.name)): path for path in wheels}
        self._wheels: dict[tuple[str, str], dict[str, Wheel]] = {}
        self._pages: dict[tuple[str, ...], Response] = {}

    @property
    def url(self) -> str:
        """What comes before `/cu128`, as in `http://127.0.0.1:40000/whl`."""
        return f"http://{self.host}/whl"

    def wheels(self, index: str, package: str) -> dict[str, Wheel]:
        """Return file name -> wheel for the wheels of a package that lie on an index."""
        place = index, package
        if place not in self._wheels:
            wheels = [self._wheel(index, name) for name in index_names(self.facts, index, package)]
            self._wheels[place] = {wheel.filename: wheel for wheel in wheels}
        return self._wheels[place]

    def _wheel(self, index: str, name: WheelName) -> Wheel:
        path = self._real.get(_identity(name))
        if path is None:
            sha256 = hashlib.sha256(f"{index}/{name}".encode()).hexdigest()
            text = metadata(self.facts, index, name._replace(python=""))
            return Wheel(index, str(name), sha256, text, day=uploaded(self.facts, name))
        with zipfile.ZipFile(path) as archive:
            files = [file for file in archive.namelist() if file.endswith(".dist-info/METADATA")]
            text = archive.read(min(files, key=len))
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        return Wheel(index, path.name.replace("%2B", "+"), sha256, text, path)

    def answer(self, path: str) -> Response:
        """Return the response to a GET of this path, which another kind of index overrides."""
        parts = tuple(unquote(urlsplit(path).path).strip("/").split("/"))
        if len(parts) == 3 and parts[-1].endswith((".whl", ".metadata")):
            return self._file(*parts)
        if parts not in self._pages:
            links = self._links(*parts)
            self._pages[parts] = page(f"Links for {parts[-1]}", links) if links else FORBIDDEN
        return self._pages[parts]

    def _links(self, view: str, index: str = "", *package: str) -> list[str]:
        if index not in {*self.facts.all_backends} - {PYPI} or view not in ("whl", "flat"):
            return []
        listed = sorted({TORCH, *self.facts.all_companions, *self.facts.all_tritons})
        if view == "whl" and not package:
            return [f'<a href="{name}/">{name}</a>' for name in listed if self.wheels(index, name)]
        names = package or listed
        return [wheel.link() for name in names for wheel in self.wheels(index, name).values()]

    def _file(self, view: str, index: str, file: str) -> Response:
        filename = file.removesuffix(".metadata")
        package = canonicalize_name(filename.partition("-")[0])
        wheel = self.wheels(index, package).get(filename)
        if wheel is None or view != "whl" or index == PYPI:
            return FORBIDDEN
        if filename != file:
            return Response(HTTPStatus.OK, "text/plain", wheel.metadata)
        if wheel.path is None:
            return FORBIDDEN
        return Response(HTTPStatus.OK, "application/zip", wheel.path.read_bytes())


def _identity(name: WheelName) -> WheelName:
    return name._replace(platform_tag=name.platform)
