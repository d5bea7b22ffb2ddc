"""What is told of a project that lacks something: never nothing, and with ways that help."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import pytest

from torch_plan.answers.problems import Note, with_changes
from torch_plan.answers.records import DEFAULT_PLATFORMS
from torch_plan.catalog.facts import load_facts
from torch_plan.project.plan import Plan, make_plan
from torch_plan.resolution.check import find_problems, settled
from torch_plan.resolution.defaults import complete

FACTS = load_facts()

LAYOUTS = {"markers": "{}", "extras": "cpu gpu={}", "groups": "gpu={} cpu"}

CODEC = {
    "torch_version": "2.9.1",
    "python_version": "3.12",
    "torch_backend": "cu128",
    "companions": "torchvision torchcodec",
}


def plan_of(given: dict[str, str]) -> Plan | None:
    """Return the plan, None where the answers are refused."""
    answers = complete(given, FACTS)
    return None if find_problems(answers, FACTS) else make_plan(answers)


def told(given: dict[str, str]) -> dict[str, Note]:
    """Return the notes that are no warnings, by their text up to the reason."""
    plan = make_plan(complete(given, FACTS))
    return {
        note.text.partition(":")[0]: note for note in plan.notes if note.text not in plan.warnings
    }


def builds(layout: str) -> Iterator[dict[str, str]]:
    for release in FACTS.releases:
        pythons = FACTS.pythons_of(release)
        for backend in FACTS.backends(release):
            yield {
                "torch_version": release,
                "python_version": "3.10" if "3.10" in pythons else pythons[0],
                "torch_backend": LAYOUTS[layout].format(backend),
                "layout": layout,
            }


def check_companions(given: dict[str, str], alone: Plan, chosen: tuple[str, ...]) -> bool:
    """Hold a plan with companions against the one without; tell whether there is such a plan."""
    plan = plan_of({**given, "companions": " ".join(chosen)})
    if plan is None:
        return False
    assert plan.platforms == alone.platforms
    assert [cell[:5] for cell in plan.cells] == [cell[:5] for cell in alone.cells]
    texts = [note.text for note in plan.notes]
    for cell in plan.cells:
        for name in chosen:
            package = cell.package(name)
            said = f"{name} is for the CPU on " if package else f"go without {name}: "
            said_here = [text for text in texts if said in text and cell.platform in text]
            assert said_here or (package and not package.is_stand_in), (given, chosen, cell)
    assert len(plan.pythons) == len(alone.pythons) or any("requires-python" in it for it in texts)
    assert all(note.ways for note in plan.notes if "go without" in note.text)
    return True


SUBSETS = [
    chosen for size in (1, 2, 3) for chosen in combinations(sorted(FACTS.all_companions), size)
]


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_companion_moves_a_platform_or_is_missed_in_silence(layout: str) -> None:
    plans = 0
    for given in builds(layout):
        if alone := plan_of({**given, "companions": "none"}):
            plans += sum(check_companions(given, alone, chosen) for chosen in SUBSETS)
    assert plans > 1000


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_companion_moves_a_platform_in_a_sample(layout: str) -> None:
    for given in [*builds(layout)][::9]:
        if alone := plan_of({**given, "companions": "none"}):
            check_companions(given, alone, ("torchvision", "torchcodec"))


def test_a_platform_without_a_companion_is_told_with_what_helps() -> None:
    notes = told(CODEC)
    without = notes["Some platforms go without torchcodec"]
    for_cpu = notes["torchcodec is for the CPU on windows-x86_64"]
    assert [*without.ways] == [
        {"companions": "torchvision"},
        {"platforms": "linux-x86_64 macos-arm64 windows-x86_64"},
    ]
    to_the_cpu, _, to_none = for_cpu.ways
    assert to_none == {"companions": "torchvision"}
    changed = told(with_changes(complete(CODEC, FACTS), to_the_cpu))
    assert not any("windows-x86_64" in text for text in changed)
    assert notes["requires-python ends before 3.14"].ways == (to_none,)


def test_a_companion_that_a_platform_may_do_without_is_not_missed() -> None:
    notes = told({**CODEC, "companions": "torchvision torchcodec?"})
    assert [*notes] == ["requires-python ends before 3.14"]


def test_platforms_that_somebody_named_are_refused() -> None:
    assert plan_of({**CODEC, "platforms": "linux-x86_64 linux-aarch64"}) is None
    assert plan_of({**CODEC, "platforms": " ".join(reversed(DEFAULT_PLATFORMS))}) is not None


def test_a_companion_that_no_platform_has_is_refused() -> None:
    assert plan_of({**CODEC, "torch_version": "2.3.1", "torch_backend": "cpu"}) is None


def test_what_is_recorded_is_accepted_with_any_platforms() -> None:
    """As when a newer template knows of more platforms, and its default is another one."""
    recorded = settled(complete(CODEC, FACTS), FACTS)
    assert recorded["companions"] == "torchvision torchcodec?"
    again = make_plan(recorded)
    assert again.cells == make_plan(complete(CODEC, FACTS)).cells
    assert settled(recorded, FACTS) == recorded
    for platforms in combinations(DEFAULT_PLATFORMS, 3):
        assert (
            find_problems(complete({**recorded, "platforms": " ".join(platforms)}, FACTS), FACTS)
            == []
        )


def test_a_platform_that_a_default_leaves_out_is_told() -> None:
    given = {"torch_version": "2.13.0", "python_version": "3.15", "companions": "none"}
    notes = told({**given, "torch_backend": "cpu"})
    assert [*notes] == ["macos-arm64 is left out", "windows-x86_64 is left out"]
    for platform, note in zip(("macos-arm64", "windows-x86_64"), notes.values(), strict=True):
        for way in note.ways:
            plan = plan_of(with_changes({**given, "torch_backend": "cpu"}, way))
            assert plan is not None
            assert platform in plan.platforms


def test_the_cuda_build_of_a_companion_comes_before_a_newer_cpu_build() -> None:
    given = {**CODEC, "torch_version": "2.11.0", "python_version": "3.11"}
    cells = make_plan(complete(given, FACTS)).cells
    packages = [package for cell in cells if (package := cell.package("torchcodec"))]
    assert [package.full_version for package in packages] == ["0.11.1+cu128", "0.11.1", "0.11.1"]


@pytest.mark.parametrize(
    ("given", "start"),
    [
        (
            {"torch_backend": "2.9.0+cu128", "torch_version": "2.15.0"},
            "No build is of torch 2.15.0",
        ),
        (
            {"torch_version": "2.4.1", "torch_backend": "cpu", "python_version": "3.11-3.13"},
            "requires-python ends after 3.12",
        ),
    ],
)
def test_an_answer_that_something_else_overrules_is_told(given: dict[str, str], start: str) -> None:
    assert start in told(given)


@pytest.mark.parametrize(
    ("given", "text", "ways"),
    [
        (
            {"torch_version": "2.13.0", "python_version": "3.15", "torch_backend": "cu130"},
            "macos-arm64 is left out: torch 2.13.0 on the cpu index has wheels for Python 3.10 to "
            "3.14 on it.",
            [
                {"platforms": "{0} {1} {2}", "python_version": "3.14"},
                {"platforms": "{0} {1} {2}", "python_version": "3.13"},
                {"platforms": "{0} {1} {2}=2.12.1+cpu", "python_version": "3.14"},
            ],
        ),
        (
            {"torch_version": "2.16.0", "torch_backend": "cu134"},
            "windows-x86_64 gets cpu: it is not known whether torch 2.16.0 has cu134 for it.",
            [{"platforms": "{0} {1} {2} {3}=cu134"}, {"platforms": "{0} {1} {2} {3}=cu132"}],
        ),
        (
            {"torch_version": "2.8.0", "torch_backend": "cu129 cu128", "layout": "extras"}
            | {"companions": "torchaudio torchcodec"},
            "torchcodec is for the CPU on linux-x86_64 and windows-x86_64: 0.7.0 has no wheel for "
            "cu129 and cu128 and Python 3.12.",
            [
                {
                    "companions": "torchaudio torchcodec?",
                    "platforms": "{1} {2} {0}=cu129:cpu {3}=cu129:cpu {0}=cu128:cpu {3}=cu128:cpu",
                },
                {"companions": "torchaudio"},
            ],
        ),
        (
            {**CODEC, "companions": "torchvision torchaudio torchcodec"},
            "requires-python ends before 3.14: there is no torchcodec for it.",
            [{"companions": "torchvision torchaudio"}],
        ),
        (
            {**CODEC, "companions": "torchaudio torchcodec?"},
            "requires-python ends before 3.14: there is no torchcodec for it.",
            [{"companions": "torchaudio"}],
        ),
    ],
    ids=["platform", "build", "companion", "python", "python-of-one-that-may-lack"],
)
def test_a_lack_is_told_with_the_answers_that_change_it(
    given: dict[str, str], text: str, ways: list[dict[str, str]]
) -> None:
    given = {"python_version": "3.12", "companions": "none", **given}
    told_ways = {note.text: [*note.ways] for note in make_plan(complete(given, FACTS)).notes}
    assert told_ways[text] == [
        {key: answer.format(*DEFAULT_PLATFORMS) for key, answer in way.items()} for way in ways
    ]


@pytest.mark.parametrize(
    ("given", "start"),
    [
        (
            {"torch_version": "2.16.0", "torch_backend": "cu132"},
            "This template knows releases up to torch 2.15.0, and plans newer ones like it: cu132",
        ),
        (
            {"torch_version": "2.16.0", "torch_backend": "cu134"},
            "This template knows releases up to torch 2.15.0, and not these builds: cu134",
        ),
        (
            {"torch_backend": "cu131", "pytorch_index": "own:https://host/whl"},
            "PyTorch does not publish these builds, so your index has to have them: cu131",
        ),
        (
            {
                "torch_backend": "cpu",
                "platforms": "linux-x86_64 linux-aarch64=cu126@https://host/x",
            },
            "This template does not know what https://host/x has: cu126",
        ),
        (
            {"torch_version": "2.15.0", "torch_backend": "xpu"},
            "These builds very likely exist, but nobody has seen them yet: xpu of torch 2.15.0",
        ),
    ],
    ids=["release", "build", "index", "platform", "likely"],
)
def test_why_a_build_is_only_likely_is_told(given: dict[str, str], start: str) -> None:
    answers = {"torch_version": "2.9.1", "python_version": "3.12", "companions": "none", **given}
    texts = [note.text for note in make_plan(complete(answers, FACTS)).notes]
    assert any(text.startswith(start) for text in texts), texts


def test_what_is_known_to_hurt_is_named() -> None:
    given = {"torch_version": "2.9.1", "torch_backend": "cpu", "python_version": "3.12"}
    (text,) = make_plan(complete(given, FACTS)).warnings
    assert "CVE-2025-3000 (torch.jit.script corrupts memory); torch 2.13.0 mends" in text
