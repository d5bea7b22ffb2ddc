"""Answers that hypothesis draws, and slips of the pen in them."""

from __future__ import annotations

import string

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from torch_plan.answers.records import EXTRAS, GROUPS, MARKERS
from torch_plan.catalog.facts import load_facts
from torch_plan.catalog.platforms import PLATFORMS
from torch_plan.resolution.defaults import complete

FACTS = load_facts()
NAMES = ("gpu", "gpu-old", "intel", "Workstation", "a.b_c")

COMPANIONS = (
    "torchvision",
    "torchaudio",
    "torchvision torchaudio",
    "torchvision torchcodec",
    "torchvision? torchaudio? torchcodec?",
    "none",
)

MISTAKES = {
    "project_slug": ("My App", "torch", "2d", "class"),
    "torch_version": ("2.9.9", "2.16.0", "v2.9.1", "latest", *FACTS.releases),
    "python_version": ("3.7", "3.1", "3.13t", *FACTS.all_pythons),
    "torch_backend": ("cuda", "gpu", "12.8", "auto", "cpu,cu128", *FACTS.all_backends),
    "layout": ("marker", "extra", "group"),
    "companions": ("torchaudio", "vision", "foo", "torchvision torchaudio", "none torchvision"),
    "platforms": (
        "linux",
        "mac",
        "all",
        "foo",
        "linux,mac",
        "linux=cuda mac=cpu",
        "linux-x86_64 linux-s390x",
        "macos-x86_64",
        "windows-arm64",
        "linux-aarch64=cu130",
    ),
    "numpy_guard": ("always", "never", "no"),
    "pytorch_index": ("https://example.com/whl/cu128", "tuna"),
    "dockerfile": ("maybe", "yes"),
    "after_generation": ("locks",),
}
"""What people type by mistake: words of another tool, and what does not go with the rest."""


@st.composite
def drawn_answers(draw: DrawFn, layout: str) -> dict[str, str]:
    """Draw answers from the facts: mostly of one release, with now and then one of another."""
    release = draw(st.sampled_from(FACTS.releases))
    likely = FACTS.backends(release)
    backend = st.one_of(st.sampled_from(likely), st.sampled_from(likely + FACTS.all_backends))
    backends = draw(st.lists(backend, min_size=1, max_size=1 if layout == MARKERS else 3))
    own_release = st.sampled_from(("", "", "", *(f"{other}+" for other in FACTS.releases)))
    backends = [f"{draw(own_release)}{item}" for item in backends]
    names = [draw(st.sampled_from(("", *NAMES))) if layout != MARKERS else "" for _ in backends]
    pythons = FACTS.pythons("torch", release, "cpu", "linux-x86_64")
    python = draw(st.one_of(st.sampled_from(pythons), st.sampled_from(pythons + FACTS.all_pythons)))
    platforms = draw(
        st.one_of(
            st.just(complete({"torch_version": release}, FACTS)["platforms"].split()),
            st.lists(st.sampled_from(list(PLATFORMS)), min_size=1, unique=True),
        )
    )
    if draw(st.integers(0, 3)) == 0:
        position = draw(st.integers(0, len(platforms) - 1))
        known = [
            name or other.rpartition("+")[2] for name, other in zip(names, backends, strict=True)
        ]
        name = draw(st.sampled_from(["", *(f"{item}:" for item in known)]))
        named = name if layout != MARKERS else ""
        build = draw(st.sampled_from(likely))
        if draw(st.booleans()):
            other = draw(st.sampled_from(FACTS.releases))
            build = f"{other}+{draw(st.sampled_from(FACTS.backends(other)))}"
        platforms[position] += f"={named}{build}"
    companions = st.sampled_from(COMPANIONS)
    return {
        "torch_version": release,
        "python_version": python,
        "torch_backend": " ".join(
            f"{name}={item}" if name else item for name, item in zip(names, backends, strict=True)
        ),
        "layout": layout,
        "companions": draw(companions),
        "platforms": " ".join(platforms),
        "numpy_guard": draw(st.sampled_from(("auto", "auto", "always", "never"))),
        "torch_pin": draw(st.sampled_from(("public", "local", "minimum"))),
    }


@st.composite
def with_slips(draw: DrawFn) -> dict[str, str]:
    """Draw answers in which one or two are misspelt, or taken from another project."""
    answers = draw(drawn_answers(draw(st.sampled_from((MARKERS, EXTRAS, GROUPS)))))
    for key in draw(st.lists(st.sampled_from([*MISTAKES]), min_size=1, max_size=2, unique=True)):
        right = complete(answers, FACTS)[key]
        answers[key] = draw(st.one_of(st.sampled_from(MISTAKES[key]), misspelt(right)))
    return answers


@st.composite
def misspelt(draw: DrawFn, text: str) -> str:
    """Draw a text with one letter added, left out or changed."""
    position = draw(st.integers(0, len(text)))
    letter = draw(st.sampled_from(string.ascii_lowercase + string.digits + ".-_=: "))
    skipped = draw(st.integers(0, 1))
    return text[:position] + draw(st.sampled_from(("", letter))) + text[position + skipped :]
