"""A stand-in for the PyTorch index on loopback: the wheels that `builds.json` knows.

As the real one, it has HTML pages only, 403 for whatever it lacks, and a PEP 658 `.metadata` file
beside every wheel. The wheels are invented and have no content (403 as well): locking needs names
and metadata only. Real wheel files can be put in, and are then served whole.

What it leaves out, on purpose:
- the nvidia packages and plain triton of the CUDA builds, and Intel's runtime of the XPU builds:
  in reality they all come from PyPI, so no wheel here declares them;
- pages of the index root: only the triton packages' files lie there.

Torch and its companions carry their upload times, as the real index gives them since April 2026,
when it dated all older files anew; what it only mirrors carries none, and neither does the flat
view. That is more generous than a real flat mirror otherwise: its links carry hashes and metadata,
and the triton packages are among them.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import product
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from packaging.utils import InvalidWheelFilename

from tools.lib.server import Response, Server
from tools.lib.wheel_names import WheelName, parse_wheel_name
from torch_plan.catalog.facts import Facts, load_facts
from torch_plan.catalog.platforms import platform_of
from torch_plan.catalog.versions import PYPI, TORCH, family_of, labelled, version_key

ROOT = ""
"""The index root, `/whl/<file>`: its files are listed by every index."""

# METADATA on PyPI, without bounds and markers: none of them changes which torch is locked.
_REQUIRES = {
    TORCH: ("filelock", "typing-extensions", "sympy", "networkx", "jinja2", "fsspec"),
    "torchvision": ("numpy", "pillow"),
}

# METADATA on PyPI: torchvision 0.19.0 differs by platform.
_ODD_REQUIRES = {("torchvision", "0.19.0", "windows-x86_64"): ("numpy<2", "pillow")}

# METADATA on PyPI: these name no exact torch, or none at all.
_ODD_TORCH_PINS = {
    ("torchvision", "0.29.1"): "torch>=2.14.0",
    ("torchvision", "0.29.2"): "torch>=2.14.0",
}
_WITHOUT_TORCH = ("torchcodec",)

# METADATA on PyPI: torchvision 0.26.0 and later refuse CPython 3.14.1; torchaudio names no Python.
_REFUSES_3_14_1 = version_key("0.26.0")
_WITHOUT_REQUIRES_PYTHON = ("torchaudio",)

# Wheel URLs in public lock files: torchvision for Windows on Arm is labelled with its commit. Later
# versions take the last one known.
_TORCHVISION_COMMITS = {"0.24.0": "e437e35", "0.24.1": "d801a34"}

# Wheel URLs in public lock files: how the triton packages of the index are tagged.
_TRITON_TAGS = {
    ("rocm", "linux-x86_64"): "linux_x86_64",
    ("xpu", "linux-x86_64"): "manylinux_2_27_x86_64.manylinux_2_28_x86_64",
    ("xpu", "windows-x86_64"): "win_amd64",
}

# pytorch/test-infra#8000: no file of the index is dated before.
_DATED_ANEW = "2026-04-27"

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

    def link(self, *, dated: bool) -> str:
        """Return the link on a page, with its hash and that of its metadata (PEP 658, PEP 714)."""
        url = "/".join(("/whl", *filter(None, (self.index, quote(self.filename)))))
        digest = f"sha256={hashlib.sha256(self.metadata).hexdigest()}"
        time = f' data-upload-time="{self.day}T12:00:00Z"' if dated and self.day else ""
        return (
            f'<a href="{url}#sha256={self.sha256}" data-dist-info-metadata="{digest}"'
            f' data-core-metadata="{digest}"{time}>{self.filename}</a>'
        )


def page(title: str, links: Iterable[str]) -> Response:
    """Return a page of links in the shape of PEP 503."""
    lines = "".join(f"    {link}<br/>\n" for link in links)
    text = f"<!DOCTYPE html>\n<html>\n  <body>\n    <h1>{title}</h1>\n{lines}  </body>\n</html>\n"
    return Response(HTTPStatus.OK, "text/html", text.encode())


# --- The wheels ----------------------------------------------------------------------------------


def index_names(facts: Facts, index: str, package: str) -> Iterator[WheelName]:
    """Yield the names of a package's wheels that an index lists, those of the root left out."""
    if package in _amd_names(facts, index):
        yield WheelName(package, f"{index.removeprefix('rocm')}.0", "", "py3", "linux_x86_64")
    for version in _releases_by_version(facts, package):
        for tag, pythons in facts.wheels(package, version, index).items():
            label = facts.label(package, version, index, platform_of(tag))
            if not label and (package, platform_of(tag)) == ("torchvision", "windows-arm64"):
                label = _TORCHVISION_COMMITS.get(version, [*_TORCHVISION_COMMITS.values()][-1])
            yield from (WheelName(package, version, label, python, tag) for python in pythons)


def _amd_names(facts: Facts, index: str) -> list[str]:
    """Return AMD's packages that an index mirrors for its builds, `rocm` itself first."""
    return [package.name for package in facts.amd_packages(index)]


def _releases_by_version(facts: Facts, package: str) -> dict[str, list[str]]:
    """Return each version of torch or a companion -> the releases that it goes with."""
    releases: dict[str, list[str]] = {}
    for release in facts.releases:
        of_release = {TORCH: (release,), **facts.companions(release)}
        for version in of_release.get(package, ()):
            releases.setdefault(version, []).append(release)
    return releases


def triton_names(facts: Facts) -> dict[str, list[WheelName]]:
    """Return package -> names of the triton wheels in the index root.

    A triton has the CPython tags of the builds that require it, on each of its platforms, as far
    as the facts do not limit them.
    """
    names: dict[str, dict[WheelName, None]] = {}
    builds = [(release, build) for release in facts.releases for build in facts.backends(release)]
    for release, build in builds:
        if triton := facts.triton(release, build):
            tables = facts.wheels(TORCH, release, build).values()
            pythons = sorted({python for table in tables for python in table})
            tags = [_TRITON_TAGS[family_of(build), platform] for platform in triton.platforms]
            names.setdefault(triton.name, {}).update(
                (WheelName(triton.name, triton.version or release, "", python, tag), None)
                for tag, python in product(tags, pythons)
                if {*facts.minors([python])} <= {*triton.pythons}
            )
    return {package: [*wheels] for package, wheels in names.items()}


def uploaded(facts: Facts, index: str, name: WheelName) -> str:
    """Return the day that an index gives for a file, empty for what it only mirrors."""
    releases = _releases_by_version(facts, name.package).get(name.version)
    return max(facts.released(releases[0]), _DATED_ANEW) if index and releases else ""


def metadata(facts: Facts, index: str, name: WheelName) -> bytes:
    """Return the METADATA of an invented wheel on an index."""
    version = labelled(name.version, name.label)
    lines = ["Metadata-Version: 2.1", f"Name: {name.package}", f"Version: {version}"]
    if name.package == "rocm":
        lines += _rocm_extras(_amd_names(facts, index), version)
    elif releases := _releases_by_version(facts, name.package).get(name.version):
        pythons = f">={facts.pythons_of(releases[0])[0]}"
        if name.package == "torchvision" and version_key(name.version) >= _REFUSES_3_14_1:
            pythons += ",!=3.14.1"
        if name.package not in _WITHOUT_REQUIRES_PYTHON:
            lines.append(f"Requires-Python: {pythons}")
        lines += [f"Requires-Dist: {entry}" for entry in _requires(facts, index, name, releases)]
    return ("\n".join(lines) + "\n").encode()


def _rocm_extras(names: Sequence[str], version: str) -> Iterator[str]:
    """Yield what `rocm` requires: the core, and by extras the libraries and each card's kernels."""
    _, core, libraries, *devices = names
    yield f"Requires-Dist: {core}=={version}"
    for extra, packages in {"libraries": [libraries], "device-all": devices}.items():
        yield f"Provides-Extra: {extra}"
        yield from (f'Requires-Dist: {name}=={version} ; extra == "{extra}"' for name in packages)


def _requires(facts: Facts, index: str, name: WheelName, releases: Sequence[str]) -> Iterator[str]:
    """Yield what a wheel requires; a companion that one release has, pins that release."""
    package, version, platform = name.package, name.version, name.platform
    yield from _ODD_REQUIRES.get((package, version, platform), _REQUIRES.get(package, ()))
    if package == TORCH:
        yield from _requires_triton(facts, version, index)
        if _amd_names(facts, index):
            yield f"rocm[device-all,libraries]=={index.removeprefix('rocm')}.*"
    elif (package, version) in _ODD_TORCH_PINS:
        yield _ODD_TORCH_PINS[package, version]
    elif len(releases) == 1 and package not in _WITHOUT_TORCH:
        yield f"torch=={releases[0]}"


def _requires_triton(facts: Facts, release: str, backend: str) -> Iterator[str]:
    triton = facts.triton(release, backend)
    if triton is None:
        return
    markers = []
    if all(platform.startswith("linux-") for platform in triton.platforms):
        markers.append('platform_system == "Linux"')
    lacking = [python for python in facts.pythons_of(release) if python not in triton.pythons]
    if lacking:
        markers.append(f'python_version < "{lacking[0]}"')
    marker = f" ; {' and '.join(markers)}" if markers else ""
    yield f"{triton.name}=={triton.version or release}{marker}"


# --- The server ----------------------------------------------------------------------------------


class Replica(Server):
    """The server of such an index.

    `facts` may be others than the template's: of releases that nobody knows yet, or with any other
    companion. Wheels that are only `likely` are served if it says so. `wheels` are real wheel
    files: each is served in place of the invented wheel of the same package, version, label, Python
    and platform. A file name that is no wheel's raises `InvalidWheelFilename`.
    """

    def __init__(
        self,
        facts: Facts | None = None,
        wheels: Iterable[Path] = (),
        *,
        likely: bool = False,
    ) -> None:
        super().__init__()
        facts = facts or load_facts()
        self.facts = facts if likely else facts.published
        self._triton = triton_names(self.facts)
        self._real = {_identity(parse_wheel_name(path.name)): path for path in wheels}
        self._wheels: dict[tuple[str, str], dict[str, Wheel]] = {}
        self._pages: dict[tuple[str, ...], Response] = {}

    @property
    def url(self) -> str:
        """What comes before `/cu128`, as in `http://127.0.0.1:40000/whl`."""
        return f"http://{self.host}/whl"

    @property
    def flat_url(self) -> str:
        """What comes before `/cu128` in the view of a flat mirror (uv: `format = "flat"`)."""
        return f"http://{self.host}/flat"

    def indexes(self) -> set[str]:
        """Return the names of the indexes."""
        return {*self.facts.all_backends} - {PYPI}

    def packages(self, index: str) -> list[str]:
        """Return the packages that an index lists, those of the root included."""
        known = (TORCH, *self.facts.all_companions, *_amd_names(self.facts, index))
        return sorted({*self._triton, *(name for name in known if self.wheels(index, name))})

    def wheels(self, index: str, package: str) -> dict[str, Wheel]:
        """Return file name -> wheel for the wheels of a package that lie on an index."""
        place = index, package
        if place not in self._wheels:
            self._wheels[place] = {wheel.filename: wheel for wheel in self._build(index, package)}
        return self._wheels[place]

    def _build(self, index: str, package: str) -> Iterator[Wheel]:
        invented = index_names(self.facts, index, package)
        texts: dict[tuple[str, str, str], bytes] = {}
        for name in self._triton.get(package, ()) if index == ROOT else invented:
            if path := self._real.get(_identity(name)):
                sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
                filename = path.name.replace("%2B", "+")
                yield Wheel(index, filename, sha256, _read_metadata(path), path)
                continue
            kind = name.version, name.label, name.platform
            if kind not in texts:
                texts[kind] = metadata(self.facts, index, name)
            sha256 = hashlib.sha256(f"{index}/{name}".encode()).hexdigest()
            day = uploaded(self.facts, index, name)
            yield Wheel(index, str(name), sha256, texts[kind], day=day)

    def answer(self, path: str) -> Response:
        """Return the response to a GET of this path.

        Every response is decided here, so this is the method to override for an index of another
        kind.
        """
        parts = tuple(unquote(urlsplit(path).path).strip("/").split("/"))
        if parts[-1].endswith((".whl", ".metadata")):
            return self._file(*parts)
        if parts not in self._pages:
            links = self._links(*parts)
            self._pages[parts] = page(f"Links for {parts[-1]}", links) if links else FORBIDDEN
        return self._pages[parts]

    def _links(self, view: str, index: str = "", *package: str) -> list[str]:
        if index not in self.indexes() or view not in ("whl", "flat"):
            return []
        packages = package or self.packages(index)
        if view == "whl" and not package:
            return [f'<a href="{name}/">{name}</a>' for name in packages]
        places = [(place, name) for name in packages for place in (ROOT, index)]
        return [
            wheel.link(dated=view == "whl")
            for place in places
            for wheel in self.wheels(*place).values()
        ]

    def _file(self, view: str, *place: str) -> Response:
        index, filename = "/".join(place[:-1]), place[-1].removesuffix(".metadata")
        try:
            wheels = self.wheels(index, parse_wheel_name(filename).package)
        except InvalidWheelFilename:
            return FORBIDDEN
        wheel = wheels.get(filename)
        if wheel is None or view != "whl" or index not in (ROOT, *self.indexes()):
            return FORBIDDEN
        if filename != place[-1]:
            return Response(HTTPStatus.OK, "text/plain", wheel.metadata)
        if not wheel.path:
            return FORBIDDEN
        return Response(HTTPStatus.OK, "application/zip", wheel.path.read_bytes())


def _identity(name: WheelName) -> tuple[str, ...]:
    return name.package, name.version, name.label, name.python, name.platform


def _read_metadata(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return archive.read(min(names, key=len))
