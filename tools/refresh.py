"""Bring `builds.json` up to date from the PyTorch index and PyPI.

Run it with `uv run -m tools.refresh`. Progress goes to stderr, a summary in Markdown to stdout.
With `--check` it writes nothing, and exits 1 if something would change. It exits 2 if no page at
all could be read.

How it merges:
- What the facts have stays: tags are only added, and a page that cannot be read changes nothing.
  Where pages say otherwise, the summary does, and a person decides.
- A release is added whole or not at all: day, the build behind each of PyPI's wheels, a version of
  each companion, and wheels on the `cpu` index. Pre-releases and post-releases are passed over.
- A companion's version is the newest that requires exactly this torch. Where none does, it is the
  newest whose requirement admits it, of those published before the next torch.
- Where METADATA names no torch, but the README in it has a table of pairs (torchcodec), a release
  has every version that the table pairs with it. A version that is newer than the table is paired
  by a person.
- What is likely becomes published where a page lists it. Where the page is whole and does not, it
  is struck out. A page that lacks a version that the facts have there is not whole.
- Indexes are those that the facts know, those that the index root names and those given with
  `--index`. The root lists every folder with an index page beside the packages (pytorch/test-infra,
  `s3_management/manage_v2.py`); a mirror may have no such page.
- A wheel without a label, in a folder other than the index that lists it, lies in the index root:
  every index lists it, and it counts for `cpu` (torch 2.0 for Linux aarch64).
"""

from __future__ import annotations

import argparse
import copy
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from tools.lib.facts_file import FACTS_PATH, Seen, dump_facts, indexes_of, tables, tags_text
from tools.lib.pages import INDEX_NAME, Listed, Listing, Repository, cuda_build, exact, sample
from tools.lib.pairs import Pairs, admits
from tools.lib.wheel_names import WheelName
from torch_plan.facts import CPU, PYPI, TORCH, Facts, backend_key, family_of, version_key
from torch_plan.platforms import PLATFORMS


@dataclass
class Report:
    """What a run did and did not; `unread` is reason -> what could not be read for it."""

    changes: list[str] = field(default_factory=list)
    by_hand: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    contradictions: list[str] = field(default_factory=list)
    unread: dict[str, list[str]] = field(default_factory=dict)

    def text(self, pages: int) -> str:
        """Return it in Markdown."""
        unread = [f"{', '.join(names)}: {reason}" for reason, names in self.unread.items()]
        sections = {
            "Changed": self.changes,
            "To do by hand": self.by_hand,
            "Not added yet": self.waiting,
            "The facts say otherwise (they were kept)": self.contradictions,
            "Could not be read (the facts were kept)": unread,
        }
        parts = [] if self.changes else [f"Nothing to change after {pages} pages."]
        for title, entries in sections.items():
            if entries:
                lines = "\n".join(f"- {entry}" for entry in dict.fromkeys(entries))
                parts.append(f"## {title}\n\n{lines}")
        return "\n\n".join(parts) + "\n"


class Refresh:
    """One run: the facts as they were, the pages that were read, and the facts to be."""

    def __init__(
        self, data: Mapping[str, Any], index: Repository, pypi: Repository, report: Report
    ) -> None:
        self.old = Seen(data)
        self.data: dict[str, Any] = copy.deepcopy(dict(data))
        self.releases: dict[str, dict[str, Any]] = self.data["releases"]
        self.index, self.pypi, self.report = index, pypi, report
        self.companions = self.old.all_companions
        self.pages: dict[tuple[str, str], Listing] = {}
        """Package and index -> what is listed there."""
        self.pairs = Pairs(pypi, {})

    def run(self, more_indexes: Iterable[str]) -> dict[str, Any]:
        """Return the new facts; `more_indexes` are looked for besides those that are known."""
        self.read_pages(more_indexes)
        for release in self.unknown_releases():
            self.add_release(release)
        self.check_pairs()
        for companion in self.companions:
            self.add_pairs(companion)
        self.merge_wheels()
        self.settle_likely()
        for backend in Seen(self.data).all_backends:
            if family_of(backend) == "cu" and not self.old.min_driver(backend, "linux-x86_64"):
                self.report.by_hand.append(
                    f"`{backend}`: its least driver and its architectures, under `cuda`"
                )
        return self.data

    # Pages

    def read_pages(self, more_indexes: Iterable[str]) -> None:
        """Read the pages of all packages, on PyPI and on every index that has releases."""
        for package in (TORCH, *self.companions):
            self.read_page(PYPI, package)
        of_pypi = {package: listing for (package, _), listing in self.pages.items()}
        self.pairs = Pairs(self.pypi, of_pypi)
        named = [name for name in self.index.names() if INDEX_NAME.fullmatch(name)]
        indexes = {*self.old.all_backends, *named, *more_indexes} - {PYPI}
        for index in sorted(indexes, key=backend_key):
            self.read_page(index, TORCH)
            # The oldest indexes hold nothing but what came before the facts.
            page = self.pages.get((TORCH, index), {})
            if index in self.old.all_backends or any(map(self.is_recent, page)):
                for companion in self.companions:
                    self.read_page(index, companion)

    def read_page(self, index: str, package: str) -> None:
        """Read one page, which is missed if the facts have wheels there."""
        repository = self.pypi if index == PYPI else self.index
        listing = repository.listing(index, package, self.has_wheels(package, index))
        if listing is not None:
            self.pages[package, index] = listing

    def has_wheels(self, package: str, index: str) -> bool:
        """Tell whether the facts have any wheels of a package on an index."""
        versions = self.data["wheels"][package]
        return any(self.old.wheels(package, version, index) for version in versions)

    def is_recent(self, release: str) -> bool:
        """Tell whether a release is one for the facts, by its number."""
        return version_key(release) >= version_key(self.old.releases[0])

    def listed(self, package: str, version: str, index: str) -> list[Listed]:
        """Return the wheels of a version on a page."""
        return self.pages.get((package, index), {}).get(version, [])

    # Releases

    def unknown_releases(self) -> list[str]:
        """Return the releases that the facts lack, oldest first."""
        pages = [page for (package, _), page in self.pages.items() if package == TORCH]
        found = {release for page in pages for release in page if self.is_recent(release)}
        return sorted(found - {*self.old.releases}, key=version_key)

    def add_release(self, release: str) -> None:
        """Add a release, or report what it lacks."""
        day = self.pairs.day(TORCH, release)
        paired = [name for name in self.companions if not self.pairs.table(name)]
        companions = {name: self.companion(name, release, day) for name in paired}
        builds = self.pypi_builds(release)
        found = {
            "the day of its upload to PyPI": day,
            "wheels on the `cpu` index": self.listed(TORCH, release, CPU),
            **{f"a {name} for it": version for name, version in companions.items()},
            **{f"the build behind PyPI's wheel for {name}": it for name, it in builds.items()},
        }
        lacks = [what for what, value in found.items() if not value]
        if lacks:
            self.report.waiting.append(f"torch {release}: {', '.join(lacks)} could not be found")
            return
        entry = {"released": day, "companions": companions, "numpy_1": "", "pypi": builds}
        self.releases[release] = entry
        _sort(self.releases)
        those = " and ".join(f"{name} {version}" for name, version in companions.items())
        behind = ", ".join(f"{build} on {name}" for name, build in builds.items())
        self.report.changes.append(
            f"torch {release} of {day}, with {those}. PyPI's wheels: {behind}"
        )
        self.report.by_hand.append(
            f"torch {release}: everything that `docs/releasing.md` says of a new release"
        )

    def pypi_builds(self, release: str) -> dict[str, str]:
        """Return platform -> the build behind PyPI's wheel, empty where it is not known."""
        builds = {}
        for platform in PLATFORMS:
            wheel = sample(self.listed(TORCH, release, PYPI), platform)
            if wheel:
                requirements = self.pypi.requirements(wheel)
                builds[platform] = "" if requirements is None else cuda_build(requirements)
                names = {canonicalize_name(it.name) for it in requirements or ()}
                if new := sorted(name for name in names if not self.old.may_depend_on(name)):
                    self.report.by_hand.append(
                        f"torch {release} requires {', '.join(new)}, unknown to `dependencies`"
                    )
        return builds

    # Companions

    def companion(self, companion: str, release: str, day: str) -> str:
        """Return the version of a companion for a new release, empty where there is none.

        Versions before the one of the release before are not looked at.
        """
        older = [it for it in self.releases if version_key(it) < version_key(release)]
        since = self.releases[older[-1]]["companions"].get(companion, "0")
        known = [entry["released"] for entry in self.releases.values()]
        listed = [self.pairs.day(TORCH, it) for it in self.pairs.versions(TORCH)]
        until = min((other for other in (*known, *listed) if other > day), default="9999")
        return self.pairs.newest(companion, release, since, until)

    def check_pairs(self) -> None:
        """Report the pairs in the facts that a companion's own requirement excludes."""
        for release in self.old.releases:
            for companion, versions in self.old.companions(release).items():
                for version in versions:
                    needed = self.pairs.needed_torch(companion, version) or []
                    if not admits(needed, release):
                        self.report.contradictions.append(
                            f"torch {release} is paired with {companion} {version}, "
                            f"which requires `{needed[0]}`"
                        )

    def add_pairs(self, companion: str) -> None:
        """Add the versions that a table pairs with a release; none is ever lost."""
        for release, entry in self.releases.items():
            known = self.paired(companion, release)
            every = {*known, *self.pairs.of_table(companion, release)}
            if new := sorted(every - {*known}, key=version_key, reverse=True):
                newest_first = sorted(every, key=version_key, reverse=True)
                entry["companions"][companion] = " ".join(newest_first)
                self.report.changes.append(f"torch {release}: {companion} {', '.join(new)}")
        for version in self.pairs.newer_than_table(companion):
            newest = max(self.releases, key=version_key)
            if version not in self.paired(companion, newest):
                self.report.by_hand.append(
                    f"{companion} {version}: whether it goes with torch {newest}; the table in its "
                    "README does not say"
                )

    def paired(self, companion: str, release: str) -> list[str]:
        """Return the versions of a companion that go with a release, those added among them."""
        text: str = self.releases[release]["companions"].get(companion, "")
        return text.split()

    # Wheels

    def merge_wheels(self) -> None:
        """Add the wheels that the facts lack, of every release and of what goes with it."""
        for package in (TORCH, *self.companions):
            wanted = {
                version
                for release in self.releases
                for version in ([release] if package == TORCH else self.paired(package, release))
            }
            for version in sorted(wanted, key=version_key):
                self.merge_version(package, version)

    def merge_version(self, package: str, version: str) -> None:
        """Add the wheels of one version, and report those of the facts that no page lists."""
        known, found = self.old.all_wheels(package, version), set()
        for index in [index for name, index in self.pages if name == package]:
            for wheel in self.listed(package, version, index):
                self.check_label(wheel.name, index)
                name = wheel.name
                found.add((index, WheelName(package, version, "", name.python, name.platform_tag)))
            gone = {it for it in known - found if it[0] == index}
            for text in tags_text(gone):
                self.report.contradictions.append(
                    f"{package} {version} on `{index}`: the page lists no {text}"
                )
        if package == TORCH:
            incomplete = {it for it in indexes_of(found) if not self.add_triton(version, it)}
            found = {it for it in found if it[0] not in incomplete}
        if new := found - known:
            self.data["wheels"][package][version] = tables(known | new)
            _sort(self.data["wheels"][package])
            for text, indexes in tags_text(new).items():
                names = " ".join(f"`{index}`" for index in indexes)
                self.report.changes.append(f"{package} {version} on {names}: {text}")

    def check_label(self, name: WheelName, index: str) -> None:
        """Report a label that is not the one that the facts expect."""
        label = name.label if name.label == index else ""
        if label != self.old.label(name.package, name.version, index, name.platform):
            said = f"the label `{label}`" if label else "no label"
            self.report.contradictions.append(
                f"{name.package} {name.version} on `{index}`: wheels for {name.platform} have "
                f"{said} (`labelled_since`)"
            )

    def add_triton(self, release: str, index: str) -> bool:
        """Complete the triton package that the ROCm or XPU build of a release requires.

        False where the build is new and its METADATA cannot be read: without the package that it
        requires a build is no use.
        """
        family = family_of(index)
        if family not in ("rocm", "xpu"):
            return True
        is_new = index not in self.old.backends(release)
        tritons = self.releases[release].get("triton", {})
        entry = dict(tritons.get(family, {"requirement": "", "platforms": ""}))
        wheels = self.listed(TORCH, release, index)
        for platform in PLATFORMS:
            wheel = sample(wheels, platform)
            is_known = "==" in entry["requirement"] and platform in entry["platforms"].split()
            if wheel is None or (is_known and not is_new):
                continue
            requirements = self.index.requirements(wheel)
            if requirements is None and is_new:
                return False
            amd = sorted({it.name for it in requirements or () if it.name.startswith("rocm")})
            if amd and not self.old.why_broken(release, index, platform):
                self.report.by_hand.append(
                    f"torch {release} on `{index}` requires {', '.join(amd)}: lock it, and add it "
                    "to `broken` if that fails"
                )
            for triton in filter(_is_index_triton, requirements or ()):
                platforms = {*entry["platforms"].split(), platform}
                entry["platforms"] = " ".join(name for name in PLATFORMS if name in platforms)
                entry["requirement"] = self.stated(release, index, entry["requirement"], triton)
        if entry["requirement"] and entry != tritons.get(family):
            self.releases[release]["triton"] = dict(sorted({**tritons, family: entry}.items()))
            self.report.changes.append(
                f"torch {release}, {family}: requires {entry['requirement']} on "
                f"{entry['platforms']}"
            )
        return True

    def stated(self, release: str, index: str, known: str, triton: Requirement) -> str:
        """Return a triton requirement as the facts state it, the known one if there is one."""
        name, version = canonicalize_name(triton.name), exact(triton)
        stated = f"{name}=={version}" if version else name
        if known != stated and ("==" in known or (known and not version)):
            self.report.contradictions.append(
                f"torch {release} on `{index}` requires `{triton}`, the facts say {known}"
            )
            return known
        return stated

    # What was only likely

    def settle_likely(self) -> None:
        """Strike out what was found published, and what a whole page does not list."""
        new = Seen(self.data)
        for entry in self.data["likely"]:
            release, index = entry["release"], entry["index"]
            if release not in self.old.releases:
                continue
            open_still = []
            for platform in entry["platforms"].split():
                if platform in new.platforms(TORCH, release, index):
                    # What goes with it is likely as long as its page could not be read.
                    is_settled = all(
                        (name, index) in self.pages or not self.has_wheels(name, index)
                        for name in self.companions
                    )
                elif is_settled := self.is_whole(index):
                    self.report.changes.append(
                        f"torch {release} on `{index}`: there is none for {platform}, "
                        "which was likely"
                    )
                if not is_settled:
                    open_still.append(platform)
            entry["platforms"] = " ".join(open_still)
        self.data["likely"] = [entry for entry in self.data["likely"] if entry["platforms"]]

    def is_whole(self, index: str) -> bool:
        """Tell whether the page of torch was read and lists every version that the facts have."""
        known = {it for it in self.old.releases if self.old.wheels(TORCH, it, index)}
        page = self.pages.get((TORCH, index))
        return page is not None and known <= {*page}


def _is_index_triton(requirement: Requirement) -> bool:
    """Tell the triton packages that only the PyTorch index has; plain `triton` is PyPI's."""
    name = canonicalize_name(requirement.name)
    return re.fullmatch(r"(pytorch-)?triton-(rocm|xpu)", name) is not None


def _sort(table: dict[str, Any]) -> None:
    """Sort a table by its versions, in its place."""
    items = sorted(table.items(), key=lambda item: version_key(item[0]))
    table.clear()
    table.update(items)


# --- The command ---------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Refresh the facts; return the exit status."""
    before = FACTS_PATH.read_text(encoding="utf-8")
    data = json.loads(before)
    official = Facts(data).pytorch_mirrors["official"].url
    parser = argparse.ArgumentParser(description="Bring builds.json up to date.")
    option = parser.add_argument
    option("--index-url", default=official, metavar="URL", help=f"instead of {official}")
    option(
        "--index",
        action="append",
        default=[],
        type=_index_name,
        metavar="NAME",
        help="an index to look for besides those that are known, such as cu134; repeatable",
    )
    option(
        "--pypi-url",
        default=PYPI_SIMPLE_ENDPOINT,
        metavar="URL",
        help="a copy of PyPI's simple API, with upload times and metadata (default: PyPI)",
    )
    option("--check", action="store_true", help="write nothing, exit 1 if something would change")
    options = parser.parse_args(arguments)
    report = Report()
    index = Repository("index", options.index_url, report.unread)
    pypi = Repository("pypi", options.pypi_url, report.unread)
    after = Refresh(data, index, pypi, report).run(options.index)
    pages = index.pages + pypi.pages
    if not pages:
        reasons = "; ".join(f"{names[0]}: {reason}" for reason, names in report.unread.items())
        print(f"Error: no page could be read ({reasons})", file=sys.stderr)
        return 2
    is_changed = after != data
    if is_changed and not options.check:
        after["about"]["gathered"] = today().isoformat()
        FACTS_PATH.write_text(dump_facts(after), encoding="utf-8")
    print(report.text(pages), end="")
    return 1 if is_changed and options.check else 0


def today() -> date:
    """Return the day it is in UTC."""
    return datetime.now(tz=UTC).date()


def _index_name(text: str) -> str:
    if not INDEX_NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no index: cpu, xpu, cu134, rocm7.14")
    return text


if __name__ == "__main__":
    sys.exit(main())
