"""`builds.json` hangs together, is laid out for review, and says what was measured."""

from __future__ import annotations

import json

import pytest

from tests.helpers.worlds import until
from tools.lib.facts_file import dump_facts
from tools.lib.wheel_names import parse_wheel_name
from torch_plan.catalog.facts import BUILDS_PATH, load_facts
from torch_plan.catalog.platforms import PLATFORMS, platform_of
from torch_plan.catalog.versions import CPU, PYPI, version_key

FACTS = load_facts()
DATA = json.loads(BUILDS_PATH.read_text(encoding="utf-8"))


def test_layout_is_the_writers() -> None:
    assert dump_facts(DATA) == BUILDS_PATH.read_text(encoding="utf-8")


def test_every_release_is_there() -> None:
    assert until("2.15.0").releases == FACTS.releases[:28]
    assert (FACTS.releases[0], FACTS.releases[27]) == ("2.0.0", "2.15.0")
    assert "cpu-cxx11-abi" not in FACTS.all_backends
    for release in FACTS.releases:
        assert {PYPI, CPU} <= set(FACTS.backends(release))


@pytest.mark.parametrize("release", FACTS.releases)
def test_companions_are_paired_and_published(release: str) -> None:
    for companion, versions in FACTS.companions(release).items():
        assert list(versions) == sorted(versions, key=version_key, reverse=True)
        for version in versions:
            for index in FACTS.indexes(companion, version):
                assert FACTS.platforms(companion, version, index)


def test_every_tag_is_of_a_known_platform() -> None:
    for package, versions in DATA["wheels"].items():
        for version, tables in versions.items():
            for table in tables.values():
                for tag in " ".join(table).split():
                    assert platform_of(tag) in PLATFORMS, (package, version, tag)


def test_what_nobody_has_seen_is_likely_and_not_published() -> None:
    assert "xpu" in FACTS.backends("2.15.0")
    assert "xpu" not in FACTS.published.backends("2.15.0")
    assert FACTS.is_likely("torch", "2.15.0", "xpu", "linux-x86_64")
    assert FACTS.is_likely("torchvision", "0.29.2", "cu130", "linux-aarch64")
    assert not FACTS.is_likely("torch", "2.15.0", "cu130", "linux-x86_64")
    assert "linux-aarch64" not in FACTS.published.platforms("torch", "2.14.1", CPU)
    assert "rocm7.14" in FACTS.published.backends("2.14.1")
    assert "rocm7.14" not in FACTS.backends("2.15.0")
    assert FACTS.published.pythons("torch", "2.14.1", CPU, "macos-arm64")[-1] == "3.15"
    assert FACTS.published.pythons("torch", "2.14.1", PYPI, "macos-arm64")[-1] == "3.14"
    assert "windows-x86_64" in FACTS.published.platforms("torch", "2.12.1", "xpu")
    assert not FACTS.platforms("torchcodec", "0.17.0", "xpu")


def test_likely_wheels_are_those_of_the_release_elsewhere() -> None:
    """What is likely for Linux on Arm has the Pythons and the tags of another build there."""
    there = FACTS.wheels("torch", "2.15.0", "cu132")["manylinux_2_28_aarch64"]
    assert FACTS.wheels("torch", "2.15.0", "cu130")["manylinux_2_28_aarch64"] == there


def test_every_likely_entry_says_something_new() -> None:
    for entry in DATA["likely"]:
        for platform in entry["platforms"].split():
            assert FACTS.is_likely("torch", entry["release"], entry["index"], platform), entry
        assert entry["reason"]


def test_the_next_releases_are_expected() -> None:
    facts = until("2.15.0")
    assert facts.expected_releases == ("2.15.1", "2.16.0", "2.17.0", "2.18.0", "3.0.0")
    assert facts.backends("2.16.0") == facts.backends("2.15.0")
    assert facts.companions("2.15.1")["torchvision"] == ("0.29.*",)
    assert facts.companions("2.16.0")["torchcodec"][0] == "0.17.*"
    assert facts.companions("3.0.0")["torchvision"] == ("",)
    assert facts.pythons("torchvision", "0.29.*", CPU, "linux-x86_64")[-1] == "3.15"
    assert facts.label("torchvision", "0.29.*", "cu132", "linux-x86_64") == ""
    assert facts.may_have("2.16.0", "cu134")
    assert facts.may_have("2.16.0", "rocm7.2")
    assert facts.may_have("2.16.0", "rocm10.1.2")
    for wrong in ("cu128", "cu13", "cu1340", "cu13.4", "rocm10", "rocm7.2.1.1.1", "gaudi", "cpu"):
        assert not facts.may_have("2.16.0", wrong), wrong
    assert not facts.may_have("2.15.0", "cu134")
    assert facts.is_likely("torch", "2.16.0", CPU, "linux-x86_64")
    assert not facts.is_likely("torch", "2.16.0", CPU, "macos-x86_64")
    for typo in ("2.51.0", "2.99.0", "2.14.2", "2.15.2"):
        assert not facts.is_expected(typo)


@pytest.mark.parametrize(
    ("package", "version", "platform", "label"),
    [
        ("torch", "2.5.1", "linux-x86_64", "cu124"),
        ("torch", "2.5.1", "linux-aarch64", ""),
        ("torch", "2.6.0", "linux-aarch64", "cu124"),
        ("torch", "2.9.1", "macos-arm64", ""),
        ("torch", "2.9.1", "windows-arm64", "cu124"),
        ("torchvision", "0.24.1", "linux-aarch64", ""),
        ("torchvision", "0.25.0", "linux-aarch64", "cu124"),
        ("torchvision", "0.24.1", "windows-arm64", ""),
        ("torchaudio", "2.9.1", "linux-aarch64", ""),
        ("torchaudio", "2.10.0", "linux-aarch64", "cu124"),
    ],
)
def test_labels(package: str, version: str, platform: str, label: str) -> None:
    assert FACTS.label(package, version, "cu124", platform) == label
    assert FACTS.label(package, version, PYPI, platform) == ""


def test_companions_whose_version_follows_from_no_rule() -> None:
    assert FACTS.companions("2.0.1")["torchaudio"] == ("2.0.2",)
    assert FACTS.companions("2.15.0")["torchvision"] == ("0.29.2",)
    assert FACTS.companions("2.15.0")["torchaudio"] == ("2.11.0",)
    assert FACTS.companions("2.9.1")["torchcodec"] == ("0.9.1", "0.9.0", "0.8.1", "0.8.0")
    assert not FACTS.wheels("torchaudio", "2.11.0", "cu132")


def test_pypi_has_cuda_for_linux_on_arm_since_2_11() -> None:
    assert FACTS.build("2.11.0", PYPI, "linux-aarch64") == "cu130"
    assert FACTS.build("2.10.0", PYPI, "linux-aarch64") == CPU


def test_triton_is_another_for_another_release() -> None:
    assert FACTS.triton("2.9.1", "rocm6.4") != FACTS.triton("2.10.0", "rocm7.1")


def test_numpy_1_holds_until_2_4_0_on_windows() -> None:
    assert FACTS.numpy_1_platforms("2.4.0") == ("windows-x86_64",)
    assert FACTS.numpy_1_platforms("2.4.1") == ()


def test_pythons_differ_by_platform() -> None:
    assert "3.15" in FACTS.pythons("torch", "2.13.0", CPU, "linux-x86_64")
    assert "3.15" not in FACTS.pythons("torch", "2.13.0", CPU, "macos-arm64")


@pytest.mark.parametrize(
    ("release", "build", "newest"),
    [
        ("2.0.1", "rocm5.4.2", "gfx1030"),
        ("2.3.0", "rocm5.7", "gfx1100"),
        ("2.3.0", "rocm6.0", "gfx1100"),
        ("2.13.0", "rocm7.2", "gfx1201"),
    ],
)
def test_cards_of_amd(release: str, build: str, newest: str) -> None:
    cards = FACTS.hardware.compiled_for(release, build, "linux-x86_64")
    assert cards[0] == "gfx900"
    assert cards[-1] == newest
    assert ("gfx942" in cards) == (build not in {"rocm5.4.2", "rocm5.7"})


@pytest.mark.parametrize(
    "filename",
    [
        "torch-2.9.1+cu128-cp312-cp312-manylinux_2_28_x86_64.whl",
        "torch-2.2.2-cp310-cp310-manylinux_2_17_aarch64.manylinux2014_aarch64.whl",
        "torch-2.7.0+cpu-cp313-cp313t-win_amd64.whl",
        "pytorch_triton_rocm-3.1.0-cp312-cp312-linux_x86_64.whl",
        "torchvision-0.29.2-py3-none-macosx_14_0_arm64.whl",
    ],
)
def test_wheel_names_are_read_and_written(filename: str) -> None:
    name = parse_wheel_name(filename.replace("+", "%2B"))
    assert str(name) == filename
    assert platform_of(name.platform_tag)


def test_a_macos_wheel_without_abi_is_still_of_its_python() -> None:
    assert parse_wheel_name("torch-2.9.1-cp313-none-macosx_11_0_arm64.whl").python == "cp313"


def test_a_companion_of_the_cpu_build_comes_from_pypi_only_where_the_index_has_none() -> None:
    """Both have torchcodec 0.16.0 for macOS; only PyPI has a CPU build of 0.9.1 there."""
    for version, index in (("0.16.0", "cpu"), ("0.9.1", "pypi")):
        assert FACTS.companion_index("torchcodec", version, "cpu", "macos-arm64", "3.12") == index


@pytest.mark.parametrize(
    ("version", "backend", "platform", "index"),
    [
        ("0.9.1", "cu128", "linux-x86_64", "cu128"),
        ("0.9.1", "cu128", "windows-x86_64", "pypi"),
        ("0.16.0", "cu132", "windows-x86_64", "cpu"),
        # Compiled with the C++ ABI of some builds alone.
        ("0.2.1", "cu126", "linux-x86_64", "cu126"),
        # A CUDA build, as all are that PyPI has for Linux on Arm.
        ("0.11.1", "cu129", "linux-aarch64", "cu129"),
    ],
)
def test_a_cpu_companion_serves_a_build_only_where_it_works(
    version: str, backend: str, platform: str, index: str
) -> None:
    assert FACTS.companion_index("torchcodec", version, backend, platform, "3.12") == index
