"""The facts are brought up to date, from pages that are whole, broken, or not there."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest
from packaging.requirements import Requirement
from pypi_simple import DistributionPackage

from tests.conftest import Bake
from tests.helpers.proof import prove
from tests.helpers.worlds import FULL, Data, facts_of, recent, world_with_2_16
from tools import refresh
from tools.docs import SUPPORT, support
from tools.lib import pages
from tools.lib.facts_file import dump_facts, tables_of, wheels_in
from tools.lib.pages import active, cuda_build, listing
from tools.lib.replica import Replica, index_names, page
from tools.lib.server import Response
from tools.lib.wheel_names import parse_wheel_name
from tools.page import index as page_of
from tools.refresh import main
from torch_plan.catalog import facts as facts_module
from torch_plan.catalog.facts import Facts, load_facts
from torch_plan.catalog.hardware import Gpu
from torch_plan.catalog.versions import PYPI
from torch_plan.machine.detection import detect
from torch_plan.resolution.check import find_problems
from torch_plan.resolution.defaults import complete

# Upload days and requirements on PyPI.
UPLOADS = {
    ("torchvision", "0.29.0"): "2026-09-02",
    ("torchvision", "0.29.1"): "2026-09-30",
    ("torchvision", "0.29.2"): "2026-10-28",
    ("torchvision", "0.30.0"): "2026-12-08",
    ("torchaudio", "2.11.0"): "2026-03-23",
}
REQUIRES = {
    ("torchvision", "0.29.0"): ["numpy", "torch==2.14.0"],
    ("torchvision", "0.29.1"): ["numpy", "torch>=2.14.0"],
    ("torchvision", "0.29.2"): ["numpy", "torch>=2.14.0"],
    ("torchvision", "0.30.0"): ["torch>=2.15.0"],
    ("torchaudio", "2.11.0"): [],
}
TOOLKITS = {"cu130": "13.0.3", "cu132": "13.2.2", "cu134": "13.4.1"}


class Index(Replica):
    """A replica with the root page of the real index, and answers that a test puts in."""

    def __init__(
        self, data: Data, broken: Mapping[str, Response] | None = None, root: bool = True
    ) -> None:
        super().__init__(Facts(data).published)
        self.broken = broken or {}
        self.root = root

    def answer(self, path: str) -> Response:
        key = unquote(urlsplit(path).path).removeprefix("/whl").strip("/")
        if key in self.broken:
            return self.broken[key]
        if not key and self.root:
            names = [
                *sorted({*self.facts.all_backends} - {PYPI}),
                "cpu-cxx11-abi",
                "nightly",
                "numpy",
                "torch",
            ]
            return html(f'<a href="{name}/">{name}</a>' for name in names)
        return super().answer(path)


class Pypi(Replica):
    """PyPI as the simple API shows it: JSON, with days and metadata."""

    def __init__(
        self,
        data: Data,
        broken: Mapping[str, Response] | None = None,
        requires: Mapping[tuple[str, str], list[str]] | None = None,
    ) -> None:
        super().__init__(Facts(data).published)
        self.data = data
        self.requires_dist = {**REQUIRES, **(requires or {})}
        self.broken = broken or {}

    def answer(self, path: str) -> Response:
        name = unquote(urlsplit(path).path).strip("/").split("/")[-1]
        if name in self.broken:
            return self.broken[name]
        if name.endswith(".metadata"):
            text = self.metadata(name.removesuffix(".metadata"))
            return Response(HTTPStatus.OK, "text/plain", text)
        if name not in self.data["wheels"]:
            return Response(HTTPStatus.NOT_FOUND, "text/plain", b"")
        files = [
            {
                "filename": str(wheel),
                "url": f"/files/{quote(str(wheel))}",
                "hashes": {},
                "upload-time": f"{self.day(name, wheel.version)}T12:00:00Z",
                "core-metadata": {"sha256": hashlib.sha256(self.metadata(str(wheel))).hexdigest()},
            }
            for wheel in index_names(self.facts, PYPI, name)
        ]
        body = {"meta": {"api-version": "1.1"}, "name": name, "files": files}
        return Response(
            HTTPStatus.OK, "application/vnd.pypi.simple.v1+json", json.dumps(body).encode()
        )

    def day(self, package: str, version: str) -> str:
        if package == "torch":
            return str(self.data["releases"][version]["released"])
        return UPLOADS.get((package, version), "2026-10-01")

    def metadata(self, filename: str) -> bytes:
        name = parse_wheel_name(filename)
        requires = self.requires_dist.get((name.package, name.version), [])
        if name.package == "torch":
            builds = self.data["releases"][name.version]["pypi"]
            toolkit = TOOLKITS[builds["linux-x86_64"]]
            requires = [f'cuda-toolkit[cudart]=={toolkit}; platform_system == "Linux"']
        lines = [f"Name: {name.package}", f"Version: {name.version}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        return "\n".join(["Metadata-Version: 2.1", *lines, ""]).encode()


def html(links: Any) -> Response:
    return page("test", links)


class Run:
    """The command, on facts of its own."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self.capsys = capsys
        self.out = self.err = ""

    def __call__(self, index: str, pypi: str, *options: str) -> int:
        status = main(["--index-url", index, "--pypi-url", pypi, *options])
        self.out, self.err = self.capsys.readouterr()
        return status

    def on(self, facts: Data, index: Index, pypi: Pypi, *options: str) -> int:
        """Write facts, and refresh them from servers that run for as long."""
        self.path.write_text(dump_facts(facts), encoding="utf-8")
        with ExitStack() as stack:
            urls = [stack.enter_context(server).url for server in (index, pypi)]
            return self(*urls, *options)

    @property
    def data(self) -> Data:
        facts: Data = json.loads(self.path.read_text(encoding="utf-8"))
        return facts


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    path = tmp_path / "builds.json"
    monkeypatch.setattr(refresh, "BUILDS_PATH", path)
    return Run(path, capsys)


def same(run: Run, world: Data) -> bool:
    """Tell whether the facts have what a world has, but for the triton of new releases."""
    known = copy.deepcopy(world["releases"])
    for release in known:
        if "triton" not in run.data["releases"][release]:
            known[release].pop("triton", None)
    return json.dumps(run.data["releases"]) == json.dumps(known) and json.dumps(
        run.data["wheels"]
    ) == json.dumps(world["wheels"])


@pytest.fixture
def day_of_2_16(run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[Facts]:
    """Refresh the facts on the day of a made-up 2.16.0, and let everything use them."""
    world = world_with_2_16()
    assert run.on(recent("2.15.0"), Index(world), Pypi(world)) == 0
    monkeypatch.setattr(facts_module, "BUILDS_PATH", run.path)
    load_facts.cache_clear()
    yield load_facts()
    load_facts.cache_clear()


# --- What is new ---------------------------------------------------------------------------------


def test_new_release_with_new_indexes(run: Run) -> None:
    world = world_with_2_16()
    assert run.on(recent("2.15.0"), Index(world), Pypi(world)) == 0
    assert same(run, world)
    assert run.data["about"]["gathered"] == datetime.now(tz=UTC).date().isoformat()
    assert run.path.read_text(encoding="utf-8") == dump_facts(run.data)
    assert (
        "- torch 2.16.0 of 2026-12-09, with torchvision 0.30.0 and torchaudio 2.11.0\n" in run.out
    )
    assert "- 2.16.0, cu134, rocm10.1: what `docs/releasing.md` says of new " in run.out
    assert "/cu134/torch/\n" in run.err
    assert "nightly" not in run.err + run.out


def test_names_of_variants_are_passed_over(run: Run) -> None:
    """PEP 825 adds a label to the name of a wheel, and a JSON file beside the wheels."""
    world = world_with_2_16()
    key, wheel = "cu134/torch", "torch-2.16.0-cp312-cp312-manylinux_2_28_x86_64"
    known = Index(world).answer(f"/whl/{key}/")
    names = (f"{wheel}-cu134.whl", f"{wheel}-x86_64_v3.whl", "torch-2.16.0-variants.json")
    links = "".join(f'<a href="/whl/cu134/{name}">{name}</a>' for name in names)
    page_of_both = known.body.replace(b"  </body>", f"{links}  </body>".encode())
    assert page_of_both != known.body
    broken = {key: replace(known, body=page_of_both)}
    assert run.on(recent("2.15.0"), Index(world, broken), Pypi(world)) == 0
    assert same(run, world)
    assert "Could not be read" not in run.out


@pytest.mark.parametrize("backend", ["cpu", "cu134", "rocm10.1", "xpu"])
def test_a_project_of_the_release_day(day_of_2_16: Facts, bake: Bake, backend: str) -> None:
    """Nothing but the facts has changed: uv gives what the project and its README say."""
    with Replica(day_of_2_16) as index:
        project = bake(torch_backend=backend, python_version="3.12", pytorch_index=index.url)
        prove(project)
    readme = project.read("README.md")
    label = day_of_2_16.label("torch", "2.16.0", backend, "linux-x86_64")
    assert f"| linux-x86_64 | 2.16.0+{label} | {backend} | " in readme
    assert "Python 3.12 to 3.16" in readme
    assert "Reported" not in readme


def test_defaults_page_and_table_of_the_release_day(day_of_2_16: Facts) -> None:
    newest = complete({"python_version": "3.16", "torch_backend": "cu134"}, day_of_2_16)
    assert newest["torch_version"] == "2.16.0"
    assert not find_problems(newest, day_of_2_16)
    nvidia, amd = Gpu("cu", "a card", "595.71", ("12.0",)), Gpu("rocm", "a card")
    chosen = [detect("2.16.0", day_of_2_16, gpu, "linux-x86_64").backend for gpu in (nvidia, amd)]
    # Of cu134 nobody has said which cards it was compiled for: that is the one thing to add.
    assert chosen == ["cu132", "rocm10.1"]
    files = {"style.css": "", "page.js": "", "worker.js": "", "common.json": ""}
    text = page_of(day_of_2_16, files)
    for name in ("2.16.0", "cu134", "rocm10.1", "3.16"):
        assert f">{name}<" in text, name
    table = support(SUPPORT.read_text(encoding="utf-8"), day_of_2_16)
    (row,) = [line for line in table.splitlines() if line.startswith("| **2.16.0**")]
    assert {"`cu134`", "`rocm10.1`"} <= {*re.findall(r"`[^`]+`", row)}
    assert "3.12\N{EN DASH}3.16" in row


def test_what_was_written_is_not_written_again(run: Run) -> None:
    world = world_with_2_16()
    run.on(recent("2.15.0"), Index(world), Pypi(world))
    facts = run.data
    facts["about"]["gathered"] = "2026-01-01"
    assert run.on(facts, Index(world), Pypi(world)) == 0
    assert run.data == facts
    assert run.out.startswith("Nothing to change after ")


def test_without_a_root_page_new_indexes_are_named(run: Run) -> None:
    world = world_with_2_16()
    run.on(recent("2.15.0"), Index(world, root=False), Pypi(world))
    assert Facts(run.data).backends("2.16.0") == ("pypi", "cpu", "cu132", "xpu")
    options = ("--index", "cu134", "--index", "rocm10.1", "--index", "cu999")
    run.on(run.data, Index(world, root=False), Pypi(world), *options)
    assert same(run, world)
    assert "cu999" not in run.out


def test_new_tags_of_a_known_release(run: Run) -> None:
    facts, world = recent("2.15.0"), recent("2.15.0")
    known = wheels_in(world["wheels"]["torch"]["2.15.0"])
    new = ("cu130", "manylinux_2_28_aarch64", "cp312")
    world["wheels"]["torch"]["2.15.0"] = tables_of({*known, new})
    assert run.on(facts, Index(world), Pypi(world)) == 0
    assert same(run, world)
    assert "- torch 2.15.0 on `cu130`: manylinux_2_28_aarch64 for cp312\n" in run.out


def test_a_companion_without_a_pin_is_the_newest(run: Run) -> None:
    world = recent("2.15.0")
    run.on(recent("2.14.1"), Index(world), Pypi(world))
    assert same(run, world)
    assert Facts(run.data).companions("2.15.0")["torchvision"] == ("0.29.2",)


def test_a_pin_counts_more_than_what_is_newer(run: Run) -> None:
    world = world_with_2_16()
    world["releases"]["2.16.0"]["companions"]["torchvision"] = "0.29.1"
    pypi = Pypi(world, requires={("torchvision", "0.29.2"): ["torch==2.16.0"]})
    run.on(recent("2.15.0"), Index(world), pypi)
    assert Facts(run.data).companions("2.16.0")["torchvision"] == ("0.29.2",)


def test_a_companion_that_goes_with_no_release_waits_for_a_person(run: Run) -> None:
    facts, world = recent("2.15.0"), recent("2.15.0")
    world["wheels"]["torchvision"]["0.30.0"] = world["wheels"]["torchvision"]["0.29.2"]
    world["releases"]["2.15.0"]["companions"]["torchvision"] = "0.30.0"
    assert run.on(facts, Index(world), Pypi(world)) == 0
    assert run.data == facts
    assert "- torchvision 0.30.0: the releases that it goes with\n" in run.out


# --- What was only likely ------------------------------------------------------------------------

XPU = {
    "release": "2.15.0",
    "index": "xpu",
    "platforms": "linux-x86_64 windows-x86_64",
    "reason": "every release since 2.6.0 has xpu",
}
ON_LINUX = {"linux-x86_64": "manylinux_2_28_x86_64"}


def with_xpu(data: Data, tags: dict[str, str]) -> Data:
    """Return the facts with XPU wheels of 2.15.0, and with all that belongs to them."""
    world = copy.deepcopy(data)
    pythons = FULL["wheels"]["torch"]["2.15.0"]["cu130"]["manylinux_2_28_x86_64 win_amd64"]
    world["wheels"]["torch"]["2.15.0"]["xpu"] = {" ".join(tags.values()): pythons}
    world["wheels"]["torchvision"]["0.29.2"]["xpu"] = {" ".join(tags.values()): "py3"}
    return world


def test_what_was_likely_is_published(run: Run) -> None:
    facts = recent("2.15.0") | {"likely": [XPU]}
    world = with_xpu(facts, {**ON_LINUX, "windows-x86_64": "win_amd64"})
    assert run.on(facts, Index(world), Pypi(world)) == 0
    for package, version in (("torch", "2.15.0"), ("torchvision", "0.29.2")):
        wheels = Facts(world).wheels(package, version, "xpu")
        assert Facts(run.data).wheels(package, version, "xpu") == wheels
    assert run.data["releases"] == world["releases"]
    assert run.data["likely"] == []
    assert "- torch 2.15.0 on `xpu`: manylinux_2_28_x86_64 win_amd64 for cp311 " in run.out
    assert "said to be likely" not in run.out


def test_what_a_page_does_not_list_stays_likely_until_a_person_strikes_it_out(run: Run) -> None:
    facts = recent("2.15.0") | {"likely": [XPU]}
    world = with_xpu(facts, ON_LINUX)
    assert run.on(facts, Index(world), Pypi(world)) == 0
    assert same(run, world)
    assert run.data["likely"] == [{**XPU, "platforms": "windows-x86_64"}]
    assert "- torch 2.15.0 on `xpu`: none for windows-x86_64, said to be likely" in run.out


@pytest.mark.parametrize("kind", ["forbidden", "error", "empty", "portal", "half", "old"])
def test_likely_stays_where_a_page_is_not_whole(run: Run, kind: str) -> None:
    """`old` is a page of an index that lacks a known release, as a mirror may."""
    facts = recent("2.15.0") | {"likely": [XPU]}
    path = "/whl/xpu/torch/"
    pages = {
        "half": halved(Replica(Facts(facts).published).answer(path)),
        "old": Replica(Facts(facts_of(facts, lambda name: name != "2.14.0"))).answer(path),
        **BROKEN,
    }
    assert run.on(facts, Index(facts, {"xpu/torch": pages[kind]}), Pypi(facts)) == 0
    assert run.data == facts


def halved(response: Response) -> Response:
    return replace(response, body=response.body[: len(response.body) // 2])


# --- What stays ----------------------------------------------------------------------------------


def test_facts_are_never_narrowed(run: Run) -> None:
    facts = world_with_2_16()
    facts["wheels"]["torch"]["2.15.0"]["cu132"]["win_arm64"] = "cp313"
    world = recent("2.15.0")
    assert run.on(facts, Index(world), Pypi(world)) == 0
    assert run.data == facts
    gone = run.out.partition("## On no page any more")[2]
    assert "- torch 2.15.0 on `cu132`: win_arm64 for cp313\n" in gone
    assert re.search("- HTTPError: 403 .*/cu134/torch/\n", run.out)


def test_labels_that_the_facts_do_not_expect_are_reported(run: Run) -> None:
    facts, world = recent("2.15.0"), recent("2.15.0")
    del world["labelled_since"]["torch"]["linux-aarch64"]
    assert run.on(facts, Index(world), Pypi(facts)) == 0
    assert run.data == facts
    assert "- torch 2.14.1 on `cu130`: `labelled_since` of linux-aarch64\n" in run.out
    assert "linux-x86_64" not in run.out


BROKEN = {
    "forbidden": Response(HTTPStatus.FORBIDDEN, "text/plain", b"no"),
    "error": Response(HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", b"no"),
    "empty": Response(HTTPStatus.OK, "text/html", b""),
    "portal": Response(HTTPStatus.OK, "text/html", b"<html>Please <a href='/'>log in</a>"),
    "declaration": Response(HTTPStatus.OK, "text/html", b"<![wrong[<a href='x'>x</a>"),
    "binary": Response(HTTPStatus.OK, "application/zip", bytes(range(256))),
    "no-json": Response(HTTPStatus.OK, "application/vnd.pypi.simple.v1+json", b'{"files": ['),
    "other-json": Response(HTTPStatus.OK, "application/vnd.pypi.simple.v1+json", b"[1]"),
}


@pytest.mark.parametrize("response", BROKEN.values(), ids=BROKEN)
def test_broken_page_of_the_index(run: Run, response: Response) -> None:
    facts, world = recent("2.15.0"), world_with_2_16()
    assert run.on(facts, Index(world, {"cu132/torch": response}), Pypi(world)) == 0
    assert "/cu132/torch/" in run.out
    new = Facts(run.data)
    assert new.backends("2.16.0") == ("pypi", "cpu", "cu134", "rocm10.1", "xpu")
    assert new.wheels("torch", "2.15.0", "cu132") == Facts(facts).wheels("torch", "2.15.0", "cu132")


@pytest.mark.parametrize("package", ["torch", "torchvision"])
@pytest.mark.parametrize("response", BROKEN.values(), ids=BROKEN)
def test_broken_page_of_pypi(run: Run, response: Response, package: str) -> None:
    facts, world = recent("2.15.0"), world_with_2_16()
    assert run.on(facts, Index(world), Pypi(world, {package: response})) == 0
    assert run.data == facts
    assert f"/whl/{package}/" in run.out
    assert "- torch 2.16.0: " in run.out.partition("## Not added yet")[2]


def test_page_that_breaks_off(run: Run) -> None:
    facts, world = recent("2.15.0"), world_with_2_16()
    half = halved(Replica(Facts(world)).answer("/whl/cpu/torch/"))
    run.on(facts, Index(world, {"cpu/torch": half}), Pypi(world))
    old, new = Facts(facts), Facts(run.data)
    for release in old.releases:
        assert new.backends(release) == old.backends(release)
        for tag, pythons in old.wheels("torch", release, "cpu").items():
            assert set(pythons) <= set(new.wheels("torch", release, "cpu")[tag])


def test_metadata_that_is_not_what_its_hash_says(run: Run) -> None:
    world = world_with_2_16()
    facts = recent("2.15.0")
    name = "torch-2.16.0-cp312-cp312-manylinux_2_28_x86_64.whl.metadata"
    cut = Response(HTTPStatus.OK, "text/plain", b"Metadata-Version: 2.1\n")
    assert run.on(facts, Index(world), Pypi(world, {name: cut})) == 0
    assert run.data == facts
    assert "DigestMismatchError" in run.out
    assert "- torch 2.16.0: the build behind PyPI's wheel for linux-x86_64 " in run.out


def test_no_companion_yet(run: Run) -> None:
    world = world_with_2_16()
    requires = {("torchvision", name): ["torch==2.14.0"] for name in ("0.29.2", "0.30.0")}
    assert run.on(recent("2.15.0"), Index(world), Pypi(world, requires=requires)) == 0
    assert "2.16.0" not in run.data["releases"]
    assert "- torch 2.16.0: a torchvision for it could not be found" in run.out


def test_index_out_of_reach(run: Run) -> None:
    world = world_with_2_16()
    facts = recent("2.15.0")
    run.path.write_text(dump_facts(facts), encoding="utf-8")
    with Pypi(world) as pypi:
        assert run(unused_url(), pypi.url) == 0
    assert run.data == facts
    assert "- torch 2.16.0: wheels on the `cpu` index could not be found" in run.out
    assert run.out.count("; nothing was asked for after that") == 1


def test_index_that_never_answers(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "TIMEOUT", 0.1)
    facts = recent("2.15.0")
    run.path.write_text(dump_facts(facts), encoding="utf-8")
    with Pypi(facts) as pypi, socket.create_server(("127.0.0.1", 0)) as server:
        assert run(f"http://127.0.0.1:{server.getsockname()[1]}", pypi.url) == 0
    assert run.data == facts
    assert "timed out" in run.out


def test_nothing_in_reach(run: Run) -> None:
    facts = recent("2.15.0")
    run.path.write_text(dump_facts(facts), encoding="utf-8")
    url = unused_url().replace("://", "://someone:hunter2@")
    assert run(url, url) == 2
    assert run.data == facts
    assert run.out == ""
    assert "Error: no page could be read\n" in run.err
    assert "Traceback" not in run.err
    assert "hunter2" not in run.err


def unused_url() -> str:
    """Return a URL where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


# --- The parts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("package", FULL["wheels"])
def test_tables_are_grouped_as_in_the_file(package: str) -> None:
    for tables in FULL["wheels"][package].values():
        assert json.dumps(tables_of(wheels_in(tables))) == json.dumps(tables)


@pytest.mark.parametrize(
    ("url", "index", "belongs"),
    [
        ("/whl/cu128/torch-2.9.1%2Bcu128-cp312-cp312-manylinux_2_28_x86_64.whl", "cu128", True),
        ("/whl/cu124/torch-2.5.1-cp312-cp312-linux_aarch64.whl", "cu124", True),
        ("/whl/torch-2.0.0-1-cp310-cp310-manylinux2014_aarch64.whl", "cpu", True),
        ("/whl/torch-2.0.0-1-cp310-cp310-manylinux2014_aarch64.whl", "cu118", False),
        (
            "/whl/cu117/torch-2.0.0%2Bcu117.with.pypi.cudnn-cp38-cp38-win_amd64.whl",
            "cu117",
            False,
        ),
        ("/whl/cpu/torch-2.9.1%2Bcpu-cp312-cp312-manylinux_2_28_s390x.whl", "cpu", False),
        ("/whl/cpu/torch-2.9.1rc1%2Bcpu-cp312-cp312-win_amd64.whl", "cpu", False),
        ("/whl/cpu/torch-2.9.1.post1%2Bcpu-cp312-cp312-win_amd64.whl", "cpu", False),
        ("/whl/cpu/torch-2.9.1%2Bcpu-cp310-abi3-win_amd64.whl", "cpu", False),
        ("/whl/cpu/torchvision-0.24.0%2Be437e35-cp313-cp313-win_arm64.whl", "cpu", True),
        ("/files/torch-2.10.0-3-cp312-cp312-manylinux_2_28_x86_64.whl", "pypi", True),
        ("/whl/cpu/torch-2.9.1.tar.gz", "cpu", False),
        ("/whl/cpu/torch-1!2.9.1%2Bcpu-cp312-cp312-win_amd64.whl", "cpu", False),
        ("/whl/cpu/torch-2.9.1-cp312-win_amd64.whl", "cpu", False),
    ],
)
def test_which_wheels_count(url: str, index: str, belongs: bool) -> None:
    filename = unquote(url.rpartition("/")[2])
    project = filename.partition("-")[0]
    file = package(filename, url)
    assert bool(listing([file], project, index)) is belongs
    file.is_yanked = True
    assert not listing([file], project, index)


def package(filename: str, url: str = "/files/x") -> DistributionPackage:
    return DistributionPackage(
        filename=filename,
        url=f"http://localhost{url}",
        project=None,
        version=None,
        package_type="wheel",
        digests={},
        requires_python=None,
        has_sig=None,
    )


# METADATA of torch on PyPI, its nvidia packages shortened.
@pytest.mark.parametrize(
    ("requires", "linux", "aarch64", "windows"),
    [
        (["filelock"], "cpu", "cpu", "cpu"),
        (
            [
                'cuda-toolkit[cublas,cudart]==13.2.2; platform_system == "Linux"',
                'nvidia-cudnn-cu13==9.26.0.51; platform_system == "Linux"',
            ],
            *("cu132", "cu132", "cpu"),
        ),
        (['cuda-toolkit>=13.2; sys_platform == "linux"'], "", "", "cpu"),
        (['nvidia-cudnn-cu13==9.26; sys_platform == "linux"'], "", "", "cpu"),
        (['nvidia-cudnn-cu13; platform_machine == "x86_64"'], "", "cpu", "cpu"),
    ],
)
def test_build_behind_a_wheel_of_pypi(
    requires: list[str], linux: str, aarch64: str, windows: str
) -> None:
    builds = {"linux-x86_64": linux, "linux-aarch64": aarch64, "windows-x86_64": windows}
    for platform, build in builds.items():
        assert cuda_build(active(map(Requirement, requires), platform, "cp312")) == build


@pytest.mark.parametrize(
    ("marker", "holds"),
    [
        ("platform_system == 'Darwin' and platform_machine == 'arm64'", True),
        ("sys_platform == 'darwin' and os_name == 'posix'", True),
        ("python_version < '3.14' and python_full_version >= '3.13'", True),
        ("python_version < '3.13'", False),
        ("extra == 'gdown'", False),
    ],
)
def test_which_requirements_hold(marker: str, holds: bool) -> None:
    assert bool(active([Requirement(f"x; {marker}")], "macos-arm64", "cp313t")) is holds


def test_wrong_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(["--index", "cu13.4"])
    assert error.value.code == 2
    assert "'cu13.4' is no index" in capsys.readouterr().err


@pytest.mark.slow
def test_against_pypi_itself(run: Run, replica: Replica) -> None:
    """Whatever PyPI has by now, no fact is lost, and each release stays as it is."""
    run.path.write_text(dump_facts(FULL), encoding="utf-8")
    assert main(["--index-url", replica.url]) == 0
    old, new = Facts(FULL).published, Facts(run.data).published
    for release in old.releases:
        for companion, versions in old.companions(release).items():
            assert set(versions) <= set(new.companions(release)[companion])
        for index in old.backends(release):
            for tag, pythons in old.wheels("torch", release, index).items():
                assert set(pythons) <= set(new.wheels("torch", release, index)[tag])
