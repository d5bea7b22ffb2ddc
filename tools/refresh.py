"""Bring `builds.json` up to date from the PyTorch index and PyPI: `uv run -m tools.refresh`.

What is read goes to stderr, a summary in Markdown to stdout. It exits 2 if no page could be read.

- What the facts have stays: tags are only added, and a page that cannot be read changes nothing.
  Where a page lacks what the facts have, the summary says so, and a person decides.
- A release is added whole or not at all: day, the build behind each of PyPI's wheels, a version of
  each companion, and wheels on the `cpu` index. Pre-releases and post-releases are passed over.
- A companion's version is the newest that requires exactly this torch. Where none does, it is the
  newest whose requirement admits it. A newer one that goes with no new release waits for a person.
- Indexes are those that the facts know, those that the root page lists beside the packages
  (pytorch/test-infra, `s3_management/manage_v2.py`; a mirror may have none), and `--index`.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any
from urllib.parse import unquote

from pypi_simple import PYPI_SIMPLE_ENDPOINT

from tools.lib.facts_file import dump_facts, tables_of, wheels_in
from tools.lib.pages import INDEX_NAME, Repository, Wheels
from torch_plan.catalog.facts import BUILDS_PATH, Facts
from torch_plan.catalog.platforms import platform_of
from torch_plan.catalog.versions import CPU, PYPI, TORCH, backend_key, version_key

CHANGED = "Changed"
BY_HAND = "To do by hand"
WAITING = "Not added yet"
GONE = "On no page any more (the facts were kept)"
UNREAD = "Could not be read (the facts were kept)"


class Refresh:
    """One run: the facts as they were, the pages that were read, and the facts to be."""

    def __init__(self, data: Mapping[str, Any], index_url: str, pypi_url: str) -> None:
        self.old = Facts(data)
        self.data: dict[str, Any] = copy.deepcopy(dict(data))
        self.report: dict[str, list[str]] = {
            title: [] for title in (CHANGED, BY_HAND, WAITING, GONE, UNREAD)
        }
        self.index = Repository(index_url, self.report[UNREAD])
        self.pypi = Repository(pypi_url, self.report[UNREAD])
        self.companions = self.old.all_companions
        self.pages: dict[tuple[str, str], dict[str, Wheels]] = {}
        """Package and index -> what is listed there, by version."""

    def run(self, more_indexes: Iterable[str]) -> dict[str, Any]:
        """Return the new facts; `more_indexes` are looked for besides those that are known."""
        self.read_pages(more_indexes)
        pages = [page for (package, _), page in self.pages.items() if package == TORCH]
        for release in sorted({*chain(*pages)} - {*self.old.releases}, key=version_key):
            if version_key(release) > version_key(self.old.releases[0]):
                self.add_release(release)
        for release, entry in self.data["releases"].items():
            self.merge(TORCH, release)
            for companion, versions in entry["companions"].items():
                for version in versions.split():
                    self.merge(companion, version)
        for companion in self.companions:
            newest = version_key(max(self.data["wheels"][companion], key=version_key))
            late = [name for name in self.on_pypi(companion) if version_key(name) > newest]
            lines = [f"{companion} {version}: the releases that it goes with" for version in late]
            self.report[BY_HAND] += lines
        self.settle_likely()
        new, known = Facts(self.data), {*self.old.releases, *self.old.all_backends}
        if names := [name for name in (*new.releases, *new.all_backends) if name not in known]:
            text = "what `docs/releasing.md` says of new releases and indexes"
            self.report[BY_HAND].append(f"{', '.join(names)}: {text}")
        return self.data

    def read_pages(self, more_indexes: Iterable[str]) -> None:
        """Read the pages of all packages, on PyPI and on every index."""
        named = filter(INDEX_NAME.fullmatch, self.index.names())
        indexes = {PYPI, *self.old.all_backends, *named, *more_indexes}
        expected = {
            (package, index)
            for package, versions in self.data["wheels"].items()
            for version in versions
            for index in self.old.published.indexes(package, version)
        }
        for index in sorted(indexes, key=backend_key):
            for place in ((package, index) for package in (TORCH, *self.companions)):
                repository = self.pypi if index == PYPI else self.index
                page = repository.listing(*place, place in expected)
                if page is not None:
                    self.pages[place] = page

    def on_pypi(self, package: str) -> dict[str, Wheels]:
        """Return what PyPI lists of a package."""
        return self.pages.get((package, PYPI), {})

    def add_release(self, release: str) -> None:
        """Add a release with a version of each companion, or report what it lacks."""
        wheels = self.on_pypi(TORCH).get(release, {})
        times = [file.upload_time for file in wheels.values() if file.upload_time]
        day = min(times).astimezone(UTC).date().isoformat() if times else ""
        paired = {name: self.companion(name, release) for name in self.companions}
        builds = self.pypi.builds(wheels)
        needed = {
            "the day of its upload to PyPI": day,
            "wheels on the `cpu` index": self.pages.get((TORCH, CPU), {}).get(release),
            **{f"a {name} for it": version for name, version in paired.items()},
            **{f"the build behind PyPI's wheel for {at}": build for at, build in builds.items()},
        }
        if lacks := [what for what, value in needed.items() if not value]:
            self.report[WAITING].append(f"torch {release}: {', '.join(lacks)} could not be found")
            return
        entry = {"released": day, "companions": paired, "numpy_1": "", "pypi": builds}
        self.data["releases"] = by_version({**self.data["releases"], release: entry})
        those = " and ".join(f"{name} {version}" for name, version in paired.items())
        self.report[CHANGED].append(f"torch {release} of {day}, with {those}")

    def companion(self, companion: str, release: str) -> str:
        """Return the version of a companion for a new release, empty where there is none.

        Versions before the one of the newest known release are not looked at.
        """
        known, *_ = self.old.companions(self.old.releases[-1]).get(companion, ("0",))
        admitted = ""
        for version, wheels in self.on_pypi(companion).items():
            if version_key(version) < version_key(known):
                break
            required = self.pypi.required(wheels)
            if required is None:
                return ""
            needed = [entry for entry in required if entry.name == TORCH]
            if f"=={release}" in (str(entry.specifier) for entry in needed):
                return version
            if not admitted and all(release in entry.specifier for entry in needed):
                admitted = version
        return admitted

    def merge(self, package: str, version: str) -> None:
        """Add the wheels of one version, and report those of the facts that no page lists."""
        versions = self.data["wheels"][package]
        known = wheels_in(versions.get(version, {}))
        pages = {
            index: page.get(version, {})
            for (name, index), page in self.pages.items()
            if name == package
        }
        listed = {(index, *tags) for index, wheels in pages.items() for tags in wheels}
        if listed - known:
            versions[version] = tables_of(known | listed)
            self.data["wheels"][package] = by_version(versions)
        for index, wheels in pages.items():
            for (tag, _), file in wheels.items():
                platform = platform_of(tag)
                label = self.old.label(package, version, index, platform)
                if bool(label) != (f"+{index}-" in unquote(file.filename)):
                    text = f"{package} {version} on `{index}`: `labelled_since` of {platform}"
                    self.report[BY_HAND].append(text)
        gone = {wheel for wheel in known - listed if wheel[0] in pages}
        for title, entries in ((CHANGED, listed - known), (GONE, gone)):
            for indexes, table in tables_of(entries).items():
                text = "; ".join(f"{tags} for {pythons}" for tags, pythons in table.items())
                self.report[title].append(f"{package} {version} on `{indexes}`: {text}")

    def settle_likely(self) -> None:
        """Strike out what was likely and is published."""
        published, open_still = Facts(self.data).published, []
        for entry in self.data["likely"]:
            release, index = entry["release"], entry["index"]
            there = published.platforms(TORCH, release, index)
            lacking = " ".join(name for name in entry["platforms"].split() if name not in there)
            if lacking:
                open_still.append({**entry, "platforms": lacking})
                if release in self.pages.get((TORCH, index), {}):
                    line = f"torch {release} on `{index}`: none for {lacking}, said to be likely"
                    self.report[BY_HAND].append(line)
        self.data["likely"] = open_still

    def text(self) -> str:
        """Return what the run did and did not, in Markdown."""
        nothing = f"Nothing to change after {len(self.pages)} pages."
        parts = [] if self.report[CHANGED] else [nothing]
        for title, entries in self.report.items():
            if entries:
                lines = "\n".join(f"- {entry}" for entry in dict.fromkeys(entries))
                parts.append(f"## {title}\n\n{lines}")
        return "\n\n".join(parts) + "\n"


def by_version(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table sorted by its versions."""
    return dict(sorted(table.items(), key=lambda item: version_key(item[0])))


def main(arguments: Sequence[str] | None = None) -> int:
    """Refresh the facts; return the exit status."""
    data = json.loads(BUILDS_PATH.read_text(encoding="utf-8"))
    official = Facts(data).pytorch_mirrors["official"].url
    parser = argparse.ArgumentParser(description="Bring builds.json up to date.")
    option = parser.add_argument
    option("--index-url", default=official, metavar="URL", help=f"instead of {official}")
    option("--index", action="append", default=[], help="one more: cu134")
    option("--pypi-url", default=PYPI_SIMPLE_ENDPOINT, metavar="URL", help="a copy of PyPI's API")
    options = parser.parse_args(arguments)
    for index in options.index:
        if not INDEX_NAME.fullmatch(index):
            parser.error(f"{index!r} is no index: cpu, xpu, cu134, rocm7.14")
    refresh = Refresh(data, options.index_url, options.pypi_url)
    after = refresh.run(options.index)
    if not refresh.pages:
        print("Error: no page could be read", *refresh.report[UNREAD], sep="\n", file=sys.stderr)
        return 2
    if after != data:
        after["about"]["gathered"] = datetime.now(tz=UTC).date().isoformat()
        BUILDS_PATH.write_text(dump_facts(after), encoding="utf-8")
    print(refresh.text(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
