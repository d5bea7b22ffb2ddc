"""What a plan says, without a lock: cells, requirements, sources, needs, and its errors."""

from __future__ import annotations

import sys
from fnmatch import fnmatch

import pytest

from tests.helpers.refusals import FACTS, refused
from torch_plan.answers.problems import Refused
from torch_plan.catalog.hardware import runs_on
from torch_plan.project.ci import jobs_of
from torch_plan.project.plan import Plan, Source, make_plan
from torch_plan.resolution.check import examine
from torch_plan.resolution.defaults import complete


def plan(**given: str) -> Plan:
    return make_plan(complete({"torch_version": "2.9.1", "python_version": "3.11", **given}, FACTS))


def builds_on(platform: str, made: Plan) -> list[str]:
    """Return the build that a platform gets from each option."""
    return [cell.build for cell in made.cells if cell.platform == platform]


def test_a_cell_holds_torch_its_companions_and_triton() -> None:
    cells, problems, _ = examine(
        complete({"torch_version": "2.9.1", "torch_backend": "rocm6.4"}, FACTS), FACTS
    )
    assert not problems
    linux, aarch64, *_ = cells.all
    assert (linux.platform, linux.backend, linux.build) == ("linux-x86_64", "rocm6.4", "rocm6.4")
    assert [(package.name, package.full_version) for package in linux.packages] == [
        ("torch", "2.9.1+rocm6.4"),
        ("torchvision", "0.24.1+rocm6.4"),
        ("pytorch-triton-rocm", "3.5.1"),
    ]
    assert (aarch64.backend, len(aarch64.packages)) == ("cpu", 2)


@pytest.mark.parametrize(
    ("typed", "proper", "requires"),
    [
        ("3.11", "3.11", ">=3.11,<3.15"),
        ("3.12-3.13", "3.12-3.13", ">=3.12,<3.14"),
        (">=3.12,<3.14", "3.12-3.13", ">=3.12,<3.14"),
        ("3.12 to 3.13", "3.12-3.13", ">=3.12,<3.14"),
        (">=3.11,<=3.12", "3.11-3.12", ">=3.11,<3.13"),
        pytest.param("3.12-3.15", "3.12-3.15", ">=3.12,<3.15", id="torch-ends-before"),
        pytest.param("3.12-3.12", "3.12-3.12", ">=3.12,<3.13", id="one"),
    ],
)
def test_a_newest_python(typed: str, proper: str, requires: str) -> None:
    assert complete({"python_version": typed}, FACTS)["python_version"] == proper
    made = plan(python_version=typed)
    assert (made.requires_python, made.python) == (requires, proper[:4])
    library = plan(python_version=typed, torch_pin="minimum").requires_python
    assert library == (requires if "-" in proper else ">=3.11")


@pytest.mark.parametrize("typed", ["3.13-3.12", "3.12-", "3.12-4", "3.7-3.12"])
def test_an_end_that_is_none_is_refused(typed: str) -> None:
    with pytest.raises(
        Refused, match=r"PyTorch has wheels for Python 3\.8 to 3\.15|the oldest stands first"
    ):
        plan(python_version=typed)


def test_a_way_to_another_python_keeps_the_newest() -> None:
    text = refused({"torch_version": "2.9.1", "python_version": "3.8-3.12"})
    assert "What works: python_version=3.10-3.12, or python_version=3.11-3.12" in text


def test_a_way_to_a_build_takes_the_python_of_its_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python that runs this was asked for by nobody, whichever it is."""
    given = {"torch_version": "2.15.0", "torch_backend": "cu118"}
    for minor in (11, 12, 14, 15):
        monkeypatch.setattr(sys, "version_info", (3, minor, 0, "final", 0))
        assert "What works: torch_version=2.7.1, or" in refused(given)


def test_pins_come_first_and_numpy_last() -> None:
    assert plan(torch_backend="cpu").dependencies == (
        "torch==2.9.1",
        "torchvision==0.24.1",
        "numpy",
    )


def test_labels_stand_only_where_the_wheels_carry_them() -> None:
    pins = plan(
        torch_backend="cu128",
        torch_pin="local",
        companions="none",
        platforms="linux-x86_64 macos-arm64",
    ).dependencies
    assert pins[:2] == (
        "torch==2.9.1+cu128 ; sys_platform == 'linux'",
        "torch==2.9.1 ; sys_platform != 'linux'",
    )


@pytest.mark.parametrize(
    ("layout", "sync", "source"),
    [
        ("extras", ("--extra", "gpu"), Source("pytorch-cu128", "", extra="gpu")),
        (
            "groups",
            ("--no-group", "cpu", "--group", "gpu"),
            Source("pytorch-cu128", "", group="gpu"),
        ),
    ],
)
def test_options_are_words(layout: str, sync: tuple[str, ...], source: Source) -> None:
    made = plan(layout=layout, torch_backend="cpu gpu=cu128", platforms="linux-x86_64")
    assert made.options[1].sync == sync
    assert made.sources["torch"][1] == source
    assert (len(made.extras), len(made.groups)) == ((2, 0) if layout == "extras" else (0, 2))
    assert made.docker_options[-2:] == (f"--{made.selector}", '"$BACKEND"')


def test_needs_list_the_cards() -> None:
    needs = plan(torch_backend="cu128").default.needs["linux-x86_64"]
    assert "GPU of compute capability 7.0 (V100) to 12.0 (RTX 50, RTX PRO Blackwell)" in needs
    older = plan(torch_version="2.5.1", torch_backend="cu121").default.needs["linux-x86_64"]
    assert "GPU of compute capability 5.0 (GTX 750) to 9.0 (H100, H200)" in older
    arm = plan(torch_backend="cu130").default.needs["linux-aarch64"]
    assert "GPU of compute capability 8.0 (A100, A30) to 12.1 (DGX Spark)" in arm
    amd = plan(torch_backend="rocm6.4").default.needs["linux-x86_64"]
    assert any("gfx1100 (RX 7900), gfx1101 (RX 7700, RX 7800)" in need for need in amd)


@pytest.mark.parametrize(
    ("release", "build", "card", "runs"),
    [
        ("2.0.0", "cu117", "3.5", False),
        ("2.0.0", "cu117", "3.7", True),
        ("2.9.1", "cu128", "6.1", False),
        ("2.9.1", "cu128", "7.0", True),
        ("2.9.1", "cu128", "8.9", True),
        ("2.9.1", "cu128", "10.3", True),
        ("2.9.1", "cu128", "11.0", False),
        ("2.9.1", "cu128", "13.0", False),
        pytest.param("2.9.1", "cu129", "9.0", False, id="nothing-is-known"),
    ],
)
def test_a_build_runs_on_a_major_version_from_its_oldest_minor_on(
    release: str, build: str, card: str, runs: bool
) -> None:
    """So say the default for this machine, and the patterns that `sync.py` reads."""
    platform = "linux-x86_64"
    answers = {"torch_version": release, "torch_backend": build, "platforms": platform}
    (demand,) = plan(**answers, python_version="3.10", companions="none").demands
    compiled = FACTS.hardware.compiled_for(release, build, platform)
    assert any(fnmatch(card, pattern) for pattern in demand.gpus) == runs
    assert any(runs_on(binary, card) for binary in compiled) == runs


def test_every_problem_is_raised_at_once() -> None:
    with pytest.raises(Refused, match="torch_version=9") as refused:
        plan(torch_version="9", layout="rows", project_slug="torch")
    assert {problem.key[0] for problem in refused.value.problems} == {
        "torch_version",
        "layout",
        "project_slug",
    }


@pytest.mark.parametrize(
    ("given", "sentences"),
    [
        pytest.param(
            {"torch_version": "2.8.0", "torch_backend": "cu128"},
            (
                "linux-aarch64 gets cpu: torch 2.8.0 has no cu128 build for it. To change that: "
                'platforms="linux-x86_64 macos-arm64 windows-x86_64 linux-aarch64=cu129"',
            ),
            id="another-cuda",
        ),
        pytest.param(
            {"torch_version": "2.8.0", "torch_backend": "cpu gpu=cu128", "layout": "groups"},
            (
                "linux-aarch64 gets cpu: torch 2.8.0 has no cu128 build for it. To change that: "
                'platforms="linux-x86_64 macos-arm64 windows-x86_64 linux-aarch64=gpu:cu129"',
            ),
            id="in-one-group",
        ),
        pytest.param(
            {"torch_backend": "rocm6.4", "platforms": "linux-x86_64 windows-x86_64 macos-arm64"},
            ("windows-x86_64 gets cpu: torch 2.9.1 has no rocm6.4 build for it.",),
            id="none-of-the-family",
        ),
        pytest.param(
            {"torch_version": "2.8.0", "torch_backend": "cu128", "platforms": "linux-x86_64"},
            (),
            id="nothing-to-say",
        ),
        pytest.param(
            {
                "torch_version": "2.8.0",
                "torch_backend": "cu128",
                "platforms": "linux-x86_64 linux-aarch64=cpu",
            },
            (),
            id="asked-for",
        ),
    ],
)
def test_no_platform_gets_the_cpu_build_in_silence(
    given: dict[str, str], sentences: tuple[str, ...]
) -> None:
    made = plan(**given)
    assert (*map(str, made.notes),) == (*sentences, *made.warnings)
    for sentence in sentences:
        platform = sentence.partition(" ")[0]
        needs = made.options[-1].needs[platform]
        assert any("there is no" in need for need in needs)


def test_the_way_to_a_build_is_accepted() -> None:
    made = plan(
        torch_version="2.8.0",
        torch_backend="cu128",
        platforms="linux-x86_64 linux-aarch64=cu129 macos-arm64",
    )
    assert builds_on("linux-aarch64", made) == ["cu129"]
    assert (*map(str, made.notes),) == made.warnings


JETSON = "https://host.example/jp6/cu126"


def test_a_platform_s_own_index_is_likely_and_needs_what_nobody_knows() -> None:
    made = plan(
        torch_backend="cu128",
        companions="none",
        platforms=f"linux-x86_64 linux-aarch64=2.8.0+cu126@{JETSON}",
    )
    *_, aarch64 = made.default.cells
    assert (aarch64.release, aarch64.torch.label, aarch64.url) == ("2.8.0", "", JETSON)
    assert made.default.needs["linux-aarch64"] == (f"what the builds of {JETSON} need",)
    assert made.hosts == ("download.pytorch.org", "download-r2.pytorch.org", "host.example")
    assert [(index.name, index.url) for index in made.indexes] == [
        ("pytorch-cu128", "https://download.pytorch.org/whl/cu128"),
        ("pytorch-cu126-linux-aarch64", JETSON),
    ]
    assert made.notes[0].text.startswith(f"This template does not know what {JETSON} has")
    assert made.releases == ("2.9.1", "2.8.0")


def test_a_library_is_refused_where_a_platform_has_several_releases() -> None:
    given = {"torch_backend": "cuda=2.7.1+cu128 cpu=2.6.0+cpu", "layout": "extras"}
    with pytest.raises(Refused, match="at only one release for each platform"):
        plan(torch_pin="minimum", **given)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("linux-aarch64=cu126@ftp://host", "a URL that begins with https://"),
        ("linux-aarch64=cu126@https://me:secret@host/x", "leave it out"),
        ("linux-aarch64=pypi@https://host/x", "`pypi` stands for PyPI itself"),
        ("linux-aarch64=2.99.0+cu126", "no such release"),
    ],
)
def test_words_of_a_platform_that_are_refused(word: str, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        plan(torch_backend="cpu", platforms=f"linux-x86_64 {word}")
    assert any(reason in problem.reason for problem in refused.value.problems)
    assert "secret" not in str(refused.value)


def test_an_extra_of_the_cpu_keeps_its_build() -> None:
    made = plan(
        torch_version="2.8.0",
        torch_backend="cpu cu128",
        layout="extras",
        companions="none",
        platforms="linux-x86_64 linux-aarch64=cu129",
    )
    assert builds_on("linux-aarch64", made) == ["cpu", "cu129"]


def test_a_build_that_pytorch_broke_may_be_had_elsewhere() -> None:
    word = f"linux-x86_64=2.6.0+cu126@{JETSON}"
    assert builds_on("linux-x86_64", plan(companions="none", platforms=word)) == ["cu126"]


def test_an_index_may_serve_a_platform_that_pytorch_does_not() -> None:
    """Its Pythons are those of the release, as far as anybody knows."""
    made = plan(companions="none", platforms=f"linux-x86_64 macos-x86_64=cpu@{JETSON}")
    (cell,) = (cell for cell in made.default.cells if cell.platform == "macos-x86_64")
    assert cell.torch.wheels == FACTS.pythons_of("2.9.1") != FACTS.all_pythons


def test_the_lock_of_a_library_ends_with_its_wheels() -> None:
    made = plan(torch_pin="minimum", platforms="linux-x86_64")
    (environment,) = made.environments
    assert environment.endswith(" and python_full_version < '3.15'")
    assert "python_full_version" not in plan(platforms="linux-x86_64").environments[0]


@pytest.mark.parametrize(
    ("platforms", "runner"),
    [
        ("linux-aarch64 linux-x86_64", "ubuntu-latest"),
        ("windows-arm64 windows-x86_64", "windows-latest"),
        ("macos-x86_64 macos-arm64", "macos-latest"),
        ("linux-aarch64", "ubuntu-24.04-arm"),
    ],
)
def test_ci_takes_the_cheapest_runner_of_a_system(platforms: str, runner: str) -> None:
    release = "2.2.2" if "macos" in platforms else "2.9.1"
    made = plan(torch_version=release, companions="none", platforms=platforms)
    assert [job.runner for job in jobs_of(made)] == [runner]


ROCM = {"torch_backend": "rocm6.4", "platforms": "linux-x86_64 macos-arm64"}
LINUX, OTHER = "sys_platform == 'linux'", "sys_platform != 'linux'"


@pytest.mark.parametrize(
    "index", ["official", "aliyun", "https://host/whl", "own:https://host/whl"]
)
def test_a_bound_holds_on_every_platform(index: str) -> None:
    for release in FACTS.releases:
        if "torchcodec" in FACTS.companions(release):
            for backend in FACTS.backends(release):
                answers = {"torch_version": release, "torch_backend": backend}
                if (release, backend) != ("2.6.0", "cu126"):  # broken
                    made = plan(**answers, python_version="3.11", pytorch_index=index)
                    bounds = FACTS.pair_bounds("torchcodec", release)
                    assert f"torchcodec{bounds}" in made.constraints, answers


def test_an_application_leaves_unchosen_companions_bounded() -> None:
    made = plan(**ROCM)
    assert made.dependencies == (
        "torch==2.9.1",
        "torchvision==0.24.1",
        f"pytorch-triton-rocm==3.5.1 ; {LINUX}",
        "numpy",
    )
    assert made.constraints == (
        "torchaudio>=2.9.1,<2.11.0",
        "torchcodec>=0.8.0,<0.10.0",
    )


def test_a_library_asks_for_a_minimum_and_is_constrained_to_the_release() -> None:
    made = plan(**ROCM, torch_pin="minimum")
    assert made.dependencies == ("torch>=2.9.1", "torchvision>=0.24.1", "numpy")
    assert made.constraints[:3] == (
        "torch==2.9.1",
        "torchvision==0.24.1",
        f"pytorch-triton-rocm==3.5.1 ; {LINUX}",
    )
    chosen = plan(
        torch_pin="minimum",
        layout="extras",
        torch_backend="cpu amd=rocm6.4",
        platforms="linux-x86_64",
    )
    assert chosen.options[1].requirements[2] == "pytorch-triton-rocm"
    assert chosen.dependencies == ("numpy",)


def test_sources_hold_for_companions_that_only_others_require() -> None:
    sources = plan(**ROCM).sources
    everywhere = (Source("pytorch-rocm6.4", LINUX), Source("pytorch-cpu", OTHER))
    assert sources == {
        "torch": everywhere,
        "torchvision": everywhere,
        "torchaudio": everywhere,
        "pytorch-triton-rocm": (Source("pytorch-rocm6.4", LINUX),),
    }
    extras = plan(layout="extras", torch_backend="cpu cu128", platforms="linux-x86_64").sources
    assert extras.keys() == {"torch", "torchvision"}


def test_a_flat_mirror_is_flat_and_an_index_of_a_platform_s_own_is_not() -> None:
    mirror = FACTS.pytorch_mirrors["aliyun"]
    made = plan(
        pytorch_index="aliyun",
        torch_backend="cu128",
        platforms=f"linux-x86_64 linux-aarch64=cu128@{JETSON}",
    )
    assert [(index.url, index.flat) for index in made.indexes] == [
        (mirror.url_of("cu128"), True),
        (JETSON, False),
    ]
    assert made.hosts == (*mirror.hosts, "host.example")


def test_numpy_is_held_where_torch_or_a_companion_was_compiled_for_numpy_1() -> None:
    """Torch 2.3.0 was so on Windows alone, and torchvision 0.19.0 requires it in one wheel."""
    made = plan(torch_version="2.3.0", torch_backend="cpu")
    assert made.guarded_platforms == ("windows-x86_64",)
    assert made.dependencies[-2:] == (
        "numpy>=2 ; sys_platform != 'win32'",
        "numpy<2 ; sys_platform == 'win32'",
    )
    numpy = plan(torch_version="2.4.0", torch_backend="cpu").dependencies[-2:]
    assert [text.partition(" ")[0] for text in numpy] == ["numpy", "numpy<2"]
    assert plan(torch_version="2.3.0", torch_backend="cpu", numpy_guard="never").dependencies[
        -1
    ] == ("numpy")
    always = plan(torch_backend="cpu", numpy_guard="always")
    assert always.dependencies[-1] == "numpy<2"
    assert always.pythons == ("3.11", "3.12")


def test_the_first_group_is_synced_without_options() -> None:
    made = plan(layout="groups", torch_backend="cpu gpu=cu128", platforms="linux-x86_64")
    assert [option.sync for option in made.options] == [
        (),
        ("--no-group", "cpu", "--group", "gpu"),
    ]
    assert plan(torch_backend="cpu").default.sync == ()


def test_an_index_of_a_platform_s_own_may_have_another_triton() -> None:
    word = f"linux-x86_64=2.9.1+rocm6.4@{JETSON}"
    made = plan(companions="none", platforms=f"{word} macos-arm64")
    assert f"pytorch-triton-rocm ; {LINUX}" in made.dependencies


def test_what_an_index_that_nobody_knows_may_have_is_likely() -> None:
    """All that PyTorch has somewhere, but nothing for a GPU of a Mac."""
    elsewhere = {"pytorch_index": "own:https://host.example/whl", "companions": "none"}
    made = plan(**elsewhere, torch_backend="cu131", platforms="linux-x86_64 macos-arm64")
    linux, mac = made.default.cells
    assert (linux.backend, mac.backend) == ("cu131", "cpu")
    assert (linux.torch.is_likely, mac.torch.is_likely) == (True, False)
    assert linux.torch.wheels == FACTS.pythons_of("2.9.1")
    (intel,) = plan(**elsewhere, torch_backend="cpu", platforms="macos-x86_64").default.cells
    assert intel.torch.is_likely
    with pytest.raises(Refused, match="on PyPI for macos-x86_64"):
        plan(**elsewhere, torch_backend="pypi", platforms="linux-x86_64 macos-x86_64=pypi")


def test_an_index_of_a_platform_s_own_may_have_what_the_platform_has() -> None:
    made = plan(companions="torchcodec", platforms=f"linux-x86_64=cu126@{JETSON}")
    torch, codec = made.default.cells[0].packages
    assert (torch.version, codec.version) == ("2.9.1", "0.9.1")
    assert codec.wheels == FACTS.pythons_of(codec.version, "torchcodec")
    assert made.companions == ("torchcodec",)


def test_of_several_versions_of_a_companion_the_newest_that_all_cells_have_is_taken() -> None:
    """The CPU index has torchcodec 0.17.0 for Python 3.14 alone, and 0.16.0 for all of them."""
    given = {"torch_version": "2.11.0", "companions": "torchcodec", "platforms": "linux-x86_64"}
    newest, chosen, *_ = FACTS.companions("2.11.0")["torchcodec"]
    assert plan(**given, torch_backend="cpu").dependencies[1] == f"torchcodec=={chosen}"
    assert chosen != newest


def test_triton_is_required_on_the_pythons_that_it_has_wheels_for() -> None:
    given = {"torch_version": "2.2.2", "torch_backend": "rocm5.7", "platforms": "linux-x86_64"}
    made = plan(**given, companions="none")
    assert made.pythons == ("3.11", "3.12")
    assert made.dependencies[1] == "pytorch-triton-rocm ; python_version < '3.12'"
