"""What the pages of a simple repository list, and what the METADATA of its wheels says."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import requests
from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name
from pypi_simple import DistributionPackage, NoSuchProjectError, PyPISimple
from requests.adapters import HTTPAdapter

from tools.lib.facts_file import tag_order
from tools.lib.template import PYTHON
from tools.lib.wheel_names import parse_wheel_name
from torch_plan.catalog.platforms import PLATFORMS, platform_of
from torch_plan.catalog.versions import CPU, PYPI, version_key
from torch_plan.project.markers import compared
from torch_plan.urls import masked

INDEX_NAME = re.compile(r"cpu|xpu|cu\d{3}|rocm\d+(\.\d+)+")
"""An index of stable wheels. `cpu-cxx11-abi`, `cu117_pypi_cudnn`, `nightly`, `test` are none."""

COMMIT = re.compile(r"[0-9a-f]{7,40}")
"""What torchvision's wheels for Windows on Arm carry in place of a label."""

TIMEOUT = 30.0

Wheels = dict[tuple[str, str], DistributionPackage]
"""Platform tag and CPython tag -> the file, of one version on one index."""

Answer = TypeVar("Answer")


class Repository:
    """A simple repository; what it does not give is added to `unread`, with the reason."""

    def __init__(self, url: str, unread: list[str]) -> None:
        self._unread, self._is_down = unread, False
        self._root = PyPISimple(url)
        for scheme in ("http://", "https://"):
            self._root.s.mount(scheme, HTTPAdapter(max_retries=1))

    def names(self) -> list[str]:
        """Return what the root page lists: packages, and on the PyTorch index folders as well."""
        page = self._read(self._root.endpoint, lambda: self._root.get_index_page(TIMEOUT), False)
        return page.projects if page else []

    def listing(self, package: str, index: str, expected: bool) -> dict[str, Wheels] | None:
        """Return version -> wheels of a package on an index, None where its page cannot be read.

        A page that is not there is recorded only if it was `expected`.
        """
        folder = "" if index == PYPI else index
        client = PyPISimple(self._root.endpoint + folder, session=self._root.s)

        def get() -> dict[str, Wheels]:
            files = client.get_project_page(package, TIMEOUT).packages
            if not any(file.filename.endswith(".whl") for file in files):
                raise ValueError("no wheel is listed")
            return listing(files, package, index)

        return self._read(client.get_project_url(package), get, expected)

    def required(self, wheels: Wheels) -> list[Requirement] | None:
        """Return what the first wheel requires, None if its METADATA is not given with its hash.

        Half of it would read as fewer requirements.
        """
        file = wheels[_first(wheels)]

        def get() -> list[Requirement]:
            text = self._root.get_package_metadata(file, timeout=TIMEOUT)
            return Metadata.from_email(text, validate=False).requires_dist or []

        return self._read(file.metadata_url, get, True)

    def builds(self, wheels: Wheels) -> dict[str, str]:
        """Return platform -> the build behind its wheel, empty where METADATA does not tell."""
        builds = {}
        for platform in PLATFORMS:
            here = {tags: wheels[tags] for tags in wheels if platform_of(tags[0]) == platform}
            if here:
                required = self.required(here)
                needed = active(required or (), platform, _first(here)[1])
                builds[platform] = "" if required is None else cuda_build(needed)
        return builds

    def _read(self, url: str, get: Callable[[], Answer], expected: bool) -> Answer | None:
        if self._is_down:
            return None
        print(masked(url), file=sys.stderr, flush=True)
        try:
            return get()
        # Whatever a page does to its parser, the other pages are read.
        except Exception as error:  # noqa: BLE001
            self._is_down = isinstance(error, (requests.ConnectionError, requests.Timeout))
            # The PyTorch index says 403 of what is not there.
            status = getattr(getattr(error, "response", None), "status_code", None)
            is_missing = status in (403, 404) or isinstance(error, NoSuchProjectError)
            if expected or not is_missing:
                reason = f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"
                rest = "; nothing was asked for after that" if self._is_down else ""
                said = reason if url in reason else f"{url}: {reason}"
                self._unread.append(masked(f"{said}{rest}"))
            return None


def listing(files: Iterable[DistributionPackage], package: str, index: str) -> dict[str, Wheels]:
    """Return version -> wheels that are an index's own and that facts can name, newest first."""
    versions: dict[str, Wheels] = {}
    for file in files:
        try:
            name = parse_wheel_name(file.filename)
        except InvalidWheelFilename:
            continue
        # The facts know no pre-release and no post-release, and cannot express `cp310-abi3`.
        is_named = (
            re.fullmatch(r"[\d.]+", name.version)
            and re.fullmatch(r"cp3\d+t?|py3", name.python)
            and "-abi3-" not in file.filename
            and platform_of(name.platform_tag)
        )
        folder = PurePosixPath(unquote(urlsplit(file.url).path)).parent.name
        is_own = name.package == package and _belongs(name.label, folder, index)
        if is_named and is_own and not file.is_yanked:
            versions.setdefault(name.version, {})[name.platform_tag, name.python] = file
    return dict(sorted(versions.items(), key=lambda entry: version_key(entry[0]), reverse=True))


def _belongs(label: str, folder: str, index: str) -> bool:
    """Tell whether a wheel that an index lists is its own, by its label and where it lies.

    One without a label in the index root is listed everywhere, and counts for `cpu` (torch 2.0
    for Linux aarch64).
    """
    if label and not COMMIT.fullmatch(label):
        return label == index
    return index in (PYPI, folder) or (index == CPU and not INDEX_NAME.fullmatch(folder))


def _first(wheels: Wheels) -> tuple[str, str]:
    """Return the tags of the oldest Python's wheel, on Linux if there is a choice."""
    return min(wheels, key=lambda tags: tag_order(*tags))


def active(requirements: Iterable[Requirement], platform: str, python: str) -> list[Requirement]:
    """Return the requirements that hold on a platform and a CPython tag, without any extra."""
    minor = python[3:].rstrip("t")
    environment = compared(platform, f"3.{minor}" if minor else PYTHON)
    return [
        entry for entry in requirements if not entry.marker or entry.marker.evaluate(environment)
    ]


def cuda_build(requirements: Iterable[Requirement]) -> str:
    """Return the build behind a wheel of PyPI: `cu132` for `cuda-toolkit==13.2.2`, else `cpu`.

    Empty where there is something of NVIDIA's, and no `cuda-toolkit`, which PyPI's wheels pin since
    torch 2.11.
    """
    names: dict[str, Requirement] = {canonicalize_name(one.name): one for one in requirements}
    if "cuda-toolkit" in names:
        pin = re.match(r"==(\d+)\.(\d+)", str(names["cuda-toolkit"].specifier))
        return f"cu{pin[1]}{pin[2]}" if pin else ""
    return "" if any(name.startswith("nvidia-") for name in names) else CPU
