"""A loopback stand-in for the PyTorch index: the wheels that `builds.json` implies.

As the real one, it has HTML pages only, 403 for whatever it lacks, and a PEP 658 `.metadata` file
beside every wheel. The wheels are invented and have no content (403 as well): locking needs names
and metadata only. Real wheel files can be put in, and are then served whole.

What it leaves out, on purpose:
- the nvidia packages and plain triton of the CUDA builds, and Intel's runtime of the XPU builds:
  in reality they all come from PyPI, so no wheel here declares them unless it is told to;
- the `rocm` packages of ROCm 7.14, whose names on the index are not documented;
- pages of the index root: only the triton packages' files lie there.

The flat view is more generous than a real flat mirror: its links carry hashes and metadata, and the
triton packages are among them.

It can also fail, in the ways of `Fault`, and be healed while it runs.

Run it with `python -m tools.replica` or `uv run tools/replica.py`; it serves until Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import re
import socket
import sys
import threading
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from packaging.utils import InvalidWheelFilename

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.wheel_names import WheelName, parse_wheel_name
from torch_plan.facts import CPU, PYPI, Facts, family_of, labelled, load_facts, version_key
from torch_plan.platforms import platform_of

ROOT = ""
"""The index root, `/whl/<file>`: its files are listed by every index."""

# METADATA on PyPI, without bounds and markers: none of them changes which torch is locked.
_REQUIRES = {
    "torch": ("filelock", "typing-extensions", "sympy", "networkx", "jinja2", "fsspec"),
    "torchvision": ("numpy", "pillow"),
}

# METADATA on PyPI: torchvision 0.19.0 differs by platform.
_ODD_REQUIRES = {("torchvision", "0.19.0", "windows-x86_64"): ("numpy<2", "pillow")}

# METADATA on PyPI: every other companion says `torch==` the release that it was made for.
_ODD_TORCH_PINS = {
    ("torchvision", "0.29.1"): ("torch>=2.14.0",),
    ("torchvision", "0.29.2"): ("torch>=2.14.0",),
    ("torchaudio", "2.11.0"): (),
}

# METADATA on PyPI: torchvision 0.26.0 and later refuse CPython 3.14.1; torchaudio names no Python.
_TORCHVISION_REFUSES = ("0.26.0", "!=3.14.1")
_WITHOUT_REQUIRES_PYTHON = ("torchaudio",)

# Wheel URLs in public lock files: torchvision for Windows on Arm is labelled with its commit. Later
# versions take the last one known.
_TORCHVISION_COMMITS = {"0.24.0": "e437e35", "0.24.1": "d801a34"}

# Wheel URLs in public lock files: torch for macOS is tagged `cp313-none` before this release, for
# these Pythons.
_TORCH_NONE_ABI = ("2.11.0", ("cp38", "cp39", "cp310", "cp311", "cp312", "cp313"))

# Wheel URLs in public lock files: how the triton packages of the index are tagged.
_TRITON_TAGS = {
    ("rocm", "linux-x86_64"): "linux_x86_64",
    ("xpu", "linux-x86_64"): "manylinux_2_27_x86_64.manylinux_2_28_x86_64",
    ("xpu", "windows-x86_64"): "win_amd64",
}
_ODD_TRITON_TAGS = {("pytorch-triton-xpu", "3.2.0", "linux-x86_64"): "linux_x86_64"}


@dataclass(frozen=True)
class Wheel:
    """A wheel file of the replica; `path` is the real file behind it, None for an invented one."""

    index: str
    filename: str
    sha256: str
    metadata: bytes
    path: Path | None = None

    @property
    def link(self) -> str:
        """The file's absolute path on the server."""
        return "/".join(("/whl", *filter(None, (self.index, quote(self.filename)))))


@dataclass(frozen=True)
class Response:
    """What the replica answers; a `Path` as body stands for the content of that file.

    `etag` is empty where a client has nothing to keep. A `cut` body breaks off in the middle, with
    the connection.
    """

    status: HTTPStatus
    content_type: str
    body: bytes | Path
    etag: str = ""
    cut: bool = False


class Request(NamedTuple):
    """A request as it came in, and how many bytes its answer has, headers left out."""

    path: str
    bytes_sent: int


class Fault(Enum):
    """A way for the replica to fail; the value names it."""

    REFUSE = "refuse"
    """No connection is taken."""

    HANG = "hang"
    """Requests are taken and never answered."""

    FORBIDDEN = "403"
    """Every request is forbidden: what the real index says of what it lacks."""

    NOT_FOUND = "404"
    """Nothing is there."""

    SERVER_ERROR = "500"
    """Every request fails at the server."""

    HALF_PAGE = "half-page"
    """The connection breaks in the middle of every page."""

    CUT_WHEEL = "cut-wheel"
    """The connection breaks in the middle of every wheel that has content."""

    WRONG_HASH = "wrong-hash"
    """The pages give every wheel a hash that it has not; those of the metadata are right."""

    CUT_METADATA = "cut-metadata"
    """The connection breaks in the middle of every wheel's metadata."""

    SHORT_METADATA = "short-metadata"
    """Of every wheel's metadata the index has only the first half, and says no more of it."""


FORBIDDEN = Response(
    HTTPStatus.FORBIDDEN, "application/xml", b"<Error><Code>AccessDenied</Code></Error>\n"
)
"""What the real index, a bucket without permission to list, says about anything it lacks."""

_ERRORS = {
    Fault.FORBIDDEN: FORBIDDEN,
    Fault.NOT_FOUND: Response(HTTPStatus.NOT_FOUND, "text/plain", b"Not found\n"),
    Fault.SERVER_ERROR: Response(HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", b"Error\n"),
}
_CUTS = (
    (Fault.HALF_PAGE, "page"),
    (Fault.CUT_METADATA, ".metadata"),
    (Fault.CUT_WHEEL, ".whl"),
)


def versions(facts: Facts, package: str) -> tuple[str, ...]:
    """Return the versions of torch or of a companion, oldest first."""
    if package == "torch":
        return facts.releases
    paired = (facts.companions(release).get(package, ()) for release in facts.releases)
    return tuple(dict.fromkeys(version for versions in paired for version in reversed(versions)))


def label(facts: Facts, package: str, version: str, index: str, platform: str) -> str:
    """Return the label in a wheel's name: the facts' one, or the commit torchvision puts there."""
    known = facts.label(package, version, index, platform)
    if not known and (package, platform) == ("torchvision", "windows-arm64"):
        return _TORCHVISION_COMMITS.get(version, list(_TORCHVISION_COMMITS.values())[-1])
    return known


def file_name(name: WheelName) -> str:
    """Return the file name of an invented wheel: the name as written, but for the ABI on macOS."""
    before, pythons = _TORCH_NONE_ABI
    if (
        name.package == "torch"
        and name.platform_tag.startswith("macosx_")
        and name.python in pythons
        and version_key(name.version) < version_key(before)
    ):
        return str(name).replace(f"-{name.python}-{name.python}-", f"-{name.python}-none-")
    return str(name)


def index_names(facts: Facts, index: str, package: str) -> Iterator[WheelName]:
    """Yield the names of torch's or a companion's wheels that lie on an index."""
    for version in versions(facts, package):
        for platform_tag, python_tags in facts.wheels(package, version, index).items():
            platform = platform_of(platform_tag) or ""
            local = label(facts, package, version, index, platform)
            for python in python_tags:
                yield WheelName(package, version, local, python, platform_tag)


def triton_names(facts: Facts) -> dict[str, tuple[WheelName, ...]]:
    """Return package -> names of the triton wheels in the index root.

    A triton has the CPython tags of the builds that require it, on each of its platforms, as far
    as the facts do not limit them.
    """
    names: dict[str, dict[WheelName, None]] = {}
    for release in facts.releases:
        for backend in facts.backends(release):
            triton = facts.triton(release, backend)
            if triton is None:
                continue
            version = triton.version or release
            tags = facts.wheels("torch", release, backend).values()
            for platform in triton.platforms:
                platform_tag = _ODD_TRITON_TAGS.get(
                    (triton.name, version, platform), _TRITON_TAGS[family_of(backend), platform]
                )
                for python in sorted(set().union(*tags)):
                    if not set(facts.minors([python])) <= set(triton.pythons):
                        continue
                    name = WheelName(triton.name, version, "", python, platform_tag)
                    names.setdefault(triton.name, {})[name] = None
    return {package: tuple(found) for package, found in names.items()}


def metadata(facts: Facts, index: str, name: WheelName, also: Iterable[str] = ()) -> str:
    """Return the METADATA of an invented wheel on an index; it requires what `also` says too."""
    version = labelled(name.version, name.label)
    requires_python = _requires_python(facts, name)
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name.package}",
        f"Version: {version}",
        *([f"Requires-Python: {requires_python}"] if requires_python else []),
        *(f"Requires-Dist: {needed}" for needed in (*_requires(facts, index, name), *also)),
    ]
    return "\n".join(lines) + "\n"


def _requires(facts: Facts, index: str, name: WheelName) -> tuple[str, ...]:
    if index == ROOT:
        return ()
    platform = platform_of(name.platform_tag) or ""
    requires = _ODD_REQUIRES.get(
        (name.package, name.version, platform), _REQUIRES.get(name.package, ())
    )
    if name.package == "torch":
        return requires + _requires_triton(facts, name.version, index)
    pins = _ODD_TORCH_PINS.get((name.package, name.version))
    if name.package == "torchcodec":  # METADATA on PyPI: it names no torch
        pins = ()
    if pins is None:
        pins = (f"torch=={facts.made_for(name.package, name.version)}",)
    return requires + pins


def _requires_triton(facts: Facts, release: str, backend: str) -> tuple[str, ...]:
    triton = facts.triton(release, backend)
    if triton is None:
        return ()
    markers = []
    if all(platform.startswith("linux-") for platform in triton.platforms):
        markers.append('platform_system == "Linux"')
    lacking = [python for python in facts.pythons_of(release) if python not in triton.pythons]
    if lacking:
        markers.append(f'python_version < "{lacking[0]}"')
    marker = f" ; {' and '.join(markers)}" if markers else ""
    return (f"{triton.name}=={triton.version or release}{marker}",)


def _requires_python(facts: Facts, name: WheelName) -> str:
    if name.package != "torch" and name.package not in facts.all_companions:
        return ""
    if name.package in _WITHOUT_REQUIRES_PYTHON:
        return ""
    release = name.version
    if name.package != "torch":
        release = facts.made_for(name.package, name.version)
    bounds = [f">={facts.pythons_of(release)[0]}"]
    since, refused = _TORCHVISION_REFUSES
    if name.package == "torchvision" and version_key(name.version) >= version_key(since):
        bounds.append(refused)
    return ",".join(bounds)


def page(title: str, links: Iterable[str]) -> bytes:
    """Return a page of links in the shape of PEP 503."""
    lines = [
        "<!DOCTYPE html>",
        "<html>",
        "  <body>",
        f"    <h1>Links for {title}</h1>",
        *(f"    {link}<br/>" for link in links),
        "  </body>",
        "</html>",
    ]
    return ("\n".join(lines) + "\n").encode()


def wheel_link(wheel: Wheel) -> str:
    """Return a wheel's link, with its hash and that of its metadata (PEP 658, PEP 714)."""
    digest = f"sha256={_sha256(wheel.metadata)}"
    return (
        f'<a href="{wheel.link}#sha256={wheel.sha256}" data-dist-info-metadata="{digest}"'
        f' data-core-metadata="{digest}">{wheel.filename}</a>'
    )


def spoilt(response: Response, path: str, fault: Fault | None) -> Response:
    """Return what comes instead of a response to a GET of this path, if the replica fails so."""
    if fault in _ERRORS:
        return _ERRORS[fault]
    if response.status != HTTPStatus.OK:
        return response
    body, suffix = response.body, Path(path).suffix
    kind = suffix if suffix in (".whl", ".metadata") else "page"
    if (fault, kind) in _CUTS:
        return replace(response, cut=True)
    match fault, kind:
        case (Fault.SHORT_METADATA, ".metadata") if isinstance(body, bytes):
            body = body[: len(body) // 2]
        case (Fault.WRONG_HASH, "page") if isinstance(body, bytes):
            body = re.sub(rb"(?<=#sha256=)[0-9a-f]+", b"0" * 64, body)
        case _:
            return response
    return replace(response, body=body, etag=_sha256(body))


class Replica:
    """The replica as a context manager: it serves, and has a URL, while the `with` block runs.

    `wheels` are real wheel files. Each takes the place of the invented wheel of the same package,
    version, label, Python and platform, on the index that its label names (`cpu` for any other
    label, or none). A file name that is no wheel's raises `InvalidWheelFilename`. `libraries` says
    of an index what its torch requires from PyPI. `port` 0 is any free one. `fault` is how it
    fails, and may be set and reset at any time: the port stays.
    """

    def __init__(
        self,
        facts: Facts | None = None,
        wheels: Iterable[Path] = (),
        port: int = 0,
        fault: Fault | None = None,
        libraries: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.facts = facts or load_facts()
        self.libraries = libraries or {}
        self.requests: list[Request] = []
        self.awake = threading.Event()
        self.port = port
        self._door = contextlib.ExitStack()
        self._is_open = False
        self._fault = fault
        self._triton = triton_names(self.facts)
        self._real: dict[tuple[str, str], dict[Path, WheelName]] = {}
        for path in wheels:
            name = parse_wheel_name(path.name)
            place = self._home(name), name.package
            self._real.setdefault(place, {})[path] = name
        self._wheels: dict[tuple[str, str], dict[str, Wheel]] = {}
        self._pages: dict[str, Response] = {}

    def __enter__(self) -> Replica:
        self.fault = self._fault
        self._take_port()
        self._is_open = True
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_open = False
        self.awake.set()
        self._door.close()

    @property
    def fault(self) -> Fault | None:
        """How the replica fails; None while it works."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault | None) -> None:
        before, self._fault = self._fault, fault
        if fault is Fault.HANG:
            self.awake.clear()
        else:
            self.awake.set()
        if self._is_open and Fault.REFUSE in (before, fault):
            self._door.close()
            self._take_port()

    def _take_port(self) -> None:
        take = _refusing if self.fault is Fault.REFUSE else self._serving
        self.port = self._door.enter_context(take(self.port))

    @contextlib.contextmanager
    def _serving(self, port: int) -> Iterator[int]:
        """Serve on a port; yields its number."""
        with _Server(self, port) as server:
            thread = threading.Thread(
                target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
            )
            thread.start()
            try:
                yield server.server_port
            finally:
                server.shutdown()
                thread.join()

    @property
    def host(self) -> str:
        """Host and port, as in `127.0.0.1:40000`."""
        return f"127.0.0.1:{self.port}"

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
        return ({*self.facts.all_backends} | {index for index, _ in self._real}) - {PYPI, ROOT}

    def packages(self, index: str) -> list[str]:
        """Return the packages that an index lists, those of the root included."""
        known = ("torch", *self.facts.all_companions)
        here = {package for place, package in self._real if place in (index, ROOT)}
        here |= {package for package in known if self.wheels(index, package)}
        return sorted(here | set(self._triton))

    def wheels(self, index: str, package: str) -> dict[str, Wheel]:
        """Return file name -> wheel for the wheels of a package that lie on an index."""
        place = index, package
        if place not in self._wheels:
            self._wheels[place] = {wheel.filename: wheel for wheel in self._build(index, package)}
        return self._wheels[place]

    def listed(self, index: str, package: str) -> list[Wheel]:
        """Return the wheels of a package that an index lists: its own and those of the root."""
        return [*self.wheels(ROOT, package).values(), *self.wheels(index, package).values()]

    def answer(self, path: str) -> Response:
        """Return the response to a GET of this path.

        Every response is decided here, so this is the method to override for an index of another
        kind.
        """
        return spoilt(self._found(path), path, self.fault)

    def _found(self, path: str) -> Response:
        parts = tuple(unquote(urlsplit(path).path).removeprefix("/").removesuffix("/").split("/"))
        if parts[-1].endswith((".whl", ".whl.metadata")):
            return self._file(parts)
        key = "/".join(parts)
        if key not in self._pages:
            links = self._links(parts)
            if not links:
                return FORBIDDEN
            body = page(parts[-1], links)
            self._pages[key] = Response(HTTPStatus.OK, "text/html", body, _sha256(body))
        return self._pages[key]

    def _links(self, parts: Sequence[str]) -> list[str]:
        match parts:
            case ("whl", index) if index in self.indexes():
                return [f'<a href="{name}/">{name}</a>' for name in self.packages(index)]
            case ("whl", index, package) if index in self.indexes():
                return [wheel_link(wheel) for wheel in self.listed(index, package)]
            case ("flat", index) if index in self.indexes():
                return [
                    wheel_link(wheel)
                    for package in self.packages(index)
                    for wheel in self.listed(index, package)
                ]
        return []

    def _file(self, parts: Sequence[str]) -> Response:
        match parts:
            case ("whl", index, filename) if index in self.indexes():
                pass
            case ("whl", filename):
                index = ROOT
            case _:
                return FORBIDDEN
        wheel_filename = filename.removesuffix(".metadata")
        try:
            package = parse_wheel_name(wheel_filename).package
        except InvalidWheelFilename:
            return FORBIDDEN
        wheel = self.wheels(index, package).get(wheel_filename)
        if wheel is None:
            return FORBIDDEN
        if filename != wheel_filename:
            return Response(
                HTTPStatus.OK, "text/plain; charset=utf-8", wheel.metadata, _sha256(wheel.metadata)
            )
        if wheel.path is None:
            return FORBIDDEN
        return Response(HTTPStatus.OK, "application/zip", wheel.path, wheel.sha256)

    def _home(self, name: WheelName) -> str:
        """Return the index that a real wheel belongs to."""
        if name.package in self._triton:
            return ROOT
        return name.label if family_of(name.label) in ("cpu", "cu", "rocm", "xpu") else CPU

    def _build(self, index: str, package: str) -> Iterator[Wheel]:
        real = self._real.get((index, package), {})
        replaced = {_identity(name) for name in real.values()}
        names: Iterable[WheelName] = index_names(self.facts, index, package)
        if index == ROOT:
            names = self._triton.get(package, ())
        texts: dict[tuple[str, str, str | None], bytes] = {}
        for name in names:
            if _identity(name) in replaced:
                continue
            kind = name.version, name.label, platform_of(name.platform_tag)
            if kind not in texts:
                also = self.libraries.get(index, ()) if package == "torch" else ()
                texts[kind] = metadata(self.facts, index, name, also).encode()
            filename = file_name(name)
            sha256 = _sha256(f"{index}/{filename}".encode())
            yield Wheel(index, filename, sha256, texts[kind])
        for path in real:
            filename = path.name.replace("%2B", "+")
            yield Wheel(index, filename, _file_sha256(path), _read_metadata(path), path)


def _identity(name: WheelName) -> tuple[str, str, str, str, str | None]:
    platform = platform_of(name.platform_tag)
    return name.package, name.version, name.label, name.python, platform


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _read_metadata(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(
            next(
                member
                for member in archive.namelist()
                if member.count("/") == 1 and member.endswith(".dist-info/METADATA")
            )
        )


@contextlib.contextmanager
def _refusing(port: int) -> Iterator[int]:
    """Hold a port without listening; yields its number."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", port))
        yield held.getsockname()[1]


class _Server(ThreadingHTTPServer):
    request_queue_size = 128

    def __init__(self, replica: Replica, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.replica = replica

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over clients that hang up; anything else is a fault of the replica and is shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        replica = self.server.replica
        if replica.fault is Fault.HANG:
            replica.requests.append(Request(self.path, 0))
            replica.awake.wait()
            self.close_connection = True
            return
        response = replica.answer(self.path)
        etag = f'"{response.etag}"'
        status, body = response.status, response.body
        if response.etag and self.headers["If-None-Match"] == etag:
            status, body = HTTPStatus.NOT_MODIFIED, b""
        length = body.stat().st_size if isinstance(body, Path) else len(body)
        sent = length if self.command != "HEAD" else 0
        if response.cut:
            sent, self.close_connection = sent // 2, True
        replica.requests.append(Request(self.path, sent))
        self.send_response(status)
        self.send_header("Content-Type", response.content_type)
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(length))
        # A later replica may have the same port and other facts: a client's cache must ask again.
        self.send_header("Cache-Control", "no-cache")
        if response.etag:
            self.send_header("ETag", etag)
        self.end_headers()
        if sent and isinstance(body, Path):
            with body.open("rb") as file:
                self.connection.sendfile(file, count=sent)
        elif sent and isinstance(body, bytes):
            self.wfile.write(body[:sent])

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: `Replica.requests` is the record."""


def main() -> None:
    """Serve the replica until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Serve a stand-in for the PyTorch index.")
    parser.add_argument("--port", type=int, default=0, help="default: any free one")
    parser.add_argument("wheels", nargs="*", type=Path, help="real wheel files to serve as well")
    arguments = parser.parse_args()
    with Replica(wheels=arguments.wheels, port=arguments.port) as replica:
        print(f"{replica.url}  (flat: {replica.flat_url})", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
