"""What the pages of a simple repository list, and what the METADATA of its wheels says."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

import requests
from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name
from packaging.version import Version
from pypi_simple import DistributionPackage, NoMetadataError, NoSuchProjectError, PyPISimple

from tools.lib.wheel_names import WheelName, parse_wheel_name
from torch_plan.facts import CPU, PYPI
from torch_plan.platforms import PLATFORMS

INDEX_NAME = re.compile(r"cpu|xpu|cu\d{3}|rocm\d+(\.\d+)+")
"""An index of stable wheels. `cpu-cxx11-abi`, `cu117_pypi_cudnn`, `nightly`, `test` are none."""

PYTHON_TAG = re.compile(r"cp3\d+t?|py3")

COMMIT = re.compile(r"[0-9a-f]{7,40}")
"""What torchvision's wheels for Windows on Arm carry in place of a label."""

TIMEOUT = 30.0
PATIENCE = 3
"""After so many requests in a row without any answer, a repository is not asked again."""

_SYSTEMS = {"linux": ("posix", "Linux"), "darwin": ("posix", "Darwin"), "win32": ("nt", "Windows")}
"""`sys_platform` -> `os_name`, `platform_system`."""

Answer = TypeVar("Answer")


class Listed(NamedTuple):
    """A wheel on a page, and what its name says."""

    name: WheelName
    package: DistributionPackage


Listing = dict[str, list[Listed]]
"""Version -> wheels, of one package on one index."""


class BrokenPage(Exception):
    """A page whose end is missing."""


class Repository:
    """A simple repository, read page by page.

    `unread` is the record of what it does not give: reason -> pages and files.
    """

    def __init__(self, title: str, url: str, unread: dict[str, list[str]]) -> None:
        self.title, self.unread = title, unread
        self.pages = 0
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.hooks["response"].append(_check_whole)
        self._silent = 0
        self._known: dict[str, Metadata | None] = {}

    def names(self) -> list[str]:
        """Return what the root page lists: packages, and on the PyTorch index folders as well."""
        client = PyPISimple(self._url, session=self._session)
        page = self._read(f"{self.title} root", lambda: client.get_index_page(TIMEOUT), False)
        return page.projects if page else []

    def listing(self, index: str, project: str, expected: bool) -> Listing | None:
        """Return the wheels of a project on an index that the facts can name; none is yanked.

        None where the page is not there, cannot be read, or is not about this project. `expected`
        says that this is to be recorded.
        """
        parts = [part for part in (index, project) if part != PYPI]
        client = PyPISimple("/".join([self._url, *parts[:-1]]), session=self._session)
        what = "/".join([self.title, *parts])
        page = self._read(what, lambda: client.get_project_page(project, TIMEOUT), expected)
        if page is None:
            return None
        packages = [it for it in page.packages if not it.is_yanked]
        if not any(package.filename.endswith(".whl") for package in packages):
            if expected:
                self._note(what, "the page lists no wheel")
            return None
        self.pages += 1
        return listing(packages, project, index)

    def metadata(self, wheel: Listed) -> Metadata | None:
        """Return the METADATA of a wheel (PEP 658), None if it is not given.

        METADATA without a hash counts as not given: half a file would read as fewer requirements.
        """
        filename = wheel.package.filename
        if filename not in self._known:
            self._known[filename] = self._metadata(wheel)
        return self._known[filename]

    def _metadata(self, wheel: Listed) -> Metadata | None:
        if not wheel.package.metadata_digests:
            self._note(f"{self.title}: METADATA of {wheel.name.package}", "the page offers none")
            return None
        client = PyPISimple(self._url, session=self._session)

        def get() -> Metadata:
            text = client.get_package_metadata(wheel.package, timeout=TIMEOUT)
            return Metadata.from_email(text, validate=False)

        return self._read(f"{self.title}: METADATA of {wheel.package.filename}", get, True)

    def requirements(self, wheel: Listed) -> list[Requirement] | None:
        """Return what is required where a wheel is installed; None if METADATA is not given."""
        metadata = self.metadata(wheel)
        return None if metadata is None else active(metadata.requires_dist or (), wheel)

    def _read(self, what: str, get: Callable[[], Answer], expected: bool) -> Answer | None:
        if self._silent >= PATIENCE:
            self._note(f"{self.title}: every page after that", "not asked for")
            return None
        try:
            answer = get()
        # Whatever a page does to its parser, the other pages are read.
        except Exception as error:  # noqa: BLE001
            is_silent = isinstance(error, (requests.ConnectionError, requests.Timeout))
            self._silent = self._silent + 1 if is_silent else 0
            reason = _reason(error)
            # The PyTorch index says 403 of what is not there, others 404.
            if expected or reason not in ("HTTP 403", "HTTP 404"):
                self._note(what, reason)
            return None
        self._silent = 0
        print(what, file=sys.stderr, flush=True)
        return answer

    def _note(self, what: str, reason: str) -> None:
        places = self.unread.setdefault(reason, [])
        if what not in places:
            print(f"{what}: could not be read: {reason}", file=sys.stderr, flush=True)
            places.append(what)


def _check_whole(response: requests.Response, **_: object) -> None:
    """Raise `BrokenPage` where HTML breaks off: its parser passes over that."""
    is_html = response.ok and "html" in response.headers.get("Content-Type", "")
    if is_html and "</html" not in response.text.lower():
        raise BrokenPage("the page breaks off")


def _reason(error: Exception) -> str:
    match error:
        case requests.HTTPError(response=requests.Response() as response):
            return f"HTTP {response.status_code}"
        case NoSuchProjectError() | NoMetadataError():
            return "HTTP 404"
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first[:200]}"


def listing(packages: Iterable[DistributionPackage], project: str, index: str) -> Listing:
    """Return the wheels that belong to an index and that the facts can name, by version."""
    found: Listing = {}
    for package in packages:
        try:
            name = parse_wheel_name(package.filename)
        except InvalidWheelFilename:
            continue
        version = Version(name.version)
        is_final = not (version.is_prerelease or version.is_postrelease or version.epoch)
        # `cp310-abi3` the facts cannot express.
        is_named = PYTHON_TAG.fullmatch(name.python) and "-abi3-" not in package.filename
        folder = unquote(urlsplit(package.url).path).split("/")[-2:-1]
        is_fact = name.package == project and name.platform and is_final and is_named
        if is_fact and _belongs(name.label, "".join(folder), index):
            found.setdefault(name.version, []).append(Listed(name, package))
    return found


def _belongs(label: str, folder: str, index: str) -> bool:
    """Tell whether a wheel that an index lists is its own, by its label and where it lies."""
    if label == index:
        return True
    if label and not COMMIT.fullmatch(label):
        return False
    in_root = not INDEX_NAME.fullmatch(folder)
    return index in (PYPI, folder) or (index == CPU and in_root)


def sample(wheels: Iterable[Listed], platform: str = "") -> Listed | None:
    """Return a wheel to read METADATA of: the oldest Python's, on Linux if there is a choice."""
    return min(
        (wheel for wheel in wheels if platform in ("", wheel.name.platform)),
        key=lambda wheel: (*wheel.name.order, wheel.package.filename),
        default=None,
    )


def active(requirements: Iterable[Requirement], wheel: Listed) -> list[Requirement]:
    """Return the requirements that hold where a wheel is installed, without any extra."""
    platform = PLATFORMS[wheel.name.platform]
    os_name, system = _SYSTEMS[platform.sys_platform]
    python = re.sub(r"^cp3(\d+)t?$", r"3.\1", wheel.name.python).replace("py3", "3.12")
    environment = {
        "sys_platform": platform.sys_platform,
        "platform_machine": platform.platform_machine,
        "platform_system": system,
        "os_name": os_name,
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_python_implementation": "CPython",
        "extra": "",
    }
    return [it for it in requirements if it.marker is None or it.marker.evaluate(environment)]


def exact(requirement: Requirement) -> str:
    """Return the version that a requirement pins, empty for any other."""
    match [*requirement.specifier]:
        case [only] if only.operator == "==" and not only.version.endswith(".*"):
            return str(only.version)
    return ""


def cuda_build(requirements: Iterable[Requirement]) -> str:
    """Return the build behind a wheel of PyPI: `cu132` for `cuda-toolkit==13.2.2`, else `cpu`.

    Until torch 2.10 the wheels pin `nvidia-cuda-runtime-cu12`, since 2.11 `cuda-toolkit`. Empty
    where there is something of NVIDIA's, and neither of the two is pinned.
    """
    names = {canonicalize_name(requirement.name): requirement for requirement in requirements}
    for name, requirement in names.items():
        if name == "cuda-toolkit" or name.startswith("nvidia-cuda-runtime"):
            major, _, rest = exact(requirement).partition(".")
            return f"cu{major}{rest.partition('.')[0]}" if major else ""
    return "" if any(name.startswith("nvidia-") for name in names) else CPU
