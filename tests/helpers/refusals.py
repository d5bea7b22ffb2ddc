"""Refusals as a person gets them, and what follows from the command that they end with."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.helpers.shells import printed_words
from torch_plan.answers.meaning import ProperAnswers
from torch_plan.catalog.facts import load_facts
from torch_plan.dialogue.commands import Commands
from torch_plan.dialogue.invocation import find_invocation
from torch_plan.resolution.defaults import complete

FACTS = load_facts()
NEWEST = FACTS.releases[-1]


def refused(given: Mapping[str, str]) -> str:
    """Return the message for answers that somebody gave."""
    return Commands(find_invocation(), FACTS).refusal(given)


def command_answers(text: str) -> dict[str, str]:
    """Return the answers that the command at the end of a refusal names."""
    words = printed_words(text.splitlines()[-1])
    return dict(word.split("=", 1) for word in words[words.index("--no-input") + 1 :])


def rerun_answers(text: str) -> ProperAnswers:
    """Return all answers of the command that a refusal ends with."""
    return complete(command_answers(text), FACTS)


REFUSED = [
    pytest.param(
        {"torch_version": "2.9.7"}, "no such release", "torch_version=2.9.1", id="release"
    ),
    pytest.param({"torch_version": "1.13"}, "from 2.0.0 on", "torch_version=2.0.0", id="too-old"),
    pytest.param({"torch_version": "soon"}, "no such release", NEWEST, id="no-release-at-all"),
    pytest.param(
        {"torch_version": "2.9.1+cu128", "torch_backend": "cu130"},
        "names the build cu128, but torch_backend does not",
        "torch_version=2.9.1, or",
        id="label-of-another-build",
    ),
    pytest.param(
        {"torch_version": "2.1"},
        "you meant 2.10.0 in a YAML file",
        "torch_version=2.1.2, or",
        id="cut-number",
    ),
    pytest.param(
        {"torch_backend": "cuda"},
        "several builds can be meant; of torch 2.15.0 the choices are: ",
        "torch_backend=cu132",
        id="cuda",
    ),
    pytest.param(
        {"torch_version": "2.15.0", "torch_backend": "rocm"},
        "torch_backend=rocm7.2 with torch_version=2.15.0",
        "torch_version=2.14.1, or",
        id="no-build-of-the-family",
    ),
    pytest.param(
        {"torch_backend": "cpu gpu=2.15.0+amd", "layout": "extras"},
        "torch_backend=rocm7.2 with torch_version=2.15.0",
        "gpu=2.14.1+rocm7.2",
        id="no-build-of-the-family-in-a-word",
    ),
    pytest.param(
        {"torch_version": "2.15", "torch_backend": "11.8"},
        "torch 2.15.0 has",
        "torch_version=2.7.1, or",
        id="ended",
    ),
    pytest.param(
        {"torch_backend": "13"}, "this is not the name of a build", "cu130", id="cuda-version"
    ),
    pytest.param(
        {"torch_version": "2.9.1", "torch_backend": "CUDA 12.88"},
        "this is not the name of a build",
        "torch_backend=cu128, or",
        id="a-digit-too-many",
    ),
    pytest.param({"torch_backend": "auto"}, "Leave the answer out", "torch_backend=cpu", id="auto"),
    pytest.param(
        {"torch_version": "2.15.0", "torch_backend": "cu128"},
        "torch 2.15.0 has: pypi cpu cu130 cu132",
        "torch_version=2.11.0, or torch_backend=cu130, or torch_backend=cu132",
        id="backend-of-another-release",
    ),
    pytest.param(
        {
            "torch_version": "2.15.0",
            "torch_backend": "cu128",
            "platforms": "linux-x86_64 windows-x86_64=cpu",
        },
        "torch 2.15.0 has: pypi cpu cu130 cu132",
        "torch_version=2.11.0",
        id="backend-of-another-release-beside-an-override",
    ),
    pytest.param(
        {"torch_version": "2.9.1", "torch_backend": "cu128", "platforms": "macos-arm64"},
        "none of these platforms has cu128 wheels",
        "torch_backend=cpu",
        id="backend-on-no-platform",
    ),
    pytest.param(
        {"torch_version": "2.2.2", "python_version": "3.11", "platforms": "mac"},
        "the platforms are",
        "platforms=macos-arm64, or platforms=macos-x86_64",
        id="two-macs",
    ),
    pytest.param(
        {"platforms": "linux-x86_64 linux-s390x"}, "the platforms are", "platforms=", id="s390x"
    ),
    pytest.param(
        {"platforms": "linux-x86_64 windwos"},
        "the platforms are",
        "platforms=linux-x86_64 windows-x86_64",
        id="misspelt-system",
    ),
    pytest.param(
        {"torch_version": "2.9.1", "platforms": "linux-x86_64 macos-x86_64"},
        "no torch 2.9.1 on the cpu index for macos-x86_64",
        "platforms=linux-x86_64",
        id="platform-nobody-serves",
    ),
    pytest.param(
        {"torch_version": "2.9.1", "platforms": "linux-x86_64=cu130 windows-x86_64=cu129"},
        "no torch 2.9.1 on the cu129 index for windows-x86_64",
        "windows-x86_64=cu130",
        id="override-that-is-not-published",
    ),
    pytest.param(
        {"python_version": "3.7"},
        "has wheels for Python 3.8 to 3.15",
        "python_version=3.11",
        id="python",
    ),
    pytest.param(
        {"python_version": "3.1"}, "put quotes around it", "python_version=3.11", id="yaml-number"
    ),
    pytest.param(
        {"torch_version": "2.1.0", "python_version": "3.12"},
        "torch 2.1.0 has wheels for Python 3.8 to 3.11",
        "python_version=3.11",
        id="python-without-wheels",
    ),
    pytest.param(
        {"torch_version": "2.5.1", "python_version": "3.13", "platforms": "linux-x86_64"},
        "torchvision 0.20.1 on the cpu index has wheels for Python 3.9 to 3.12",
        "companions=none",
        id="companion-without-wheels",
    ),
    pytest.param(
        {
            "torch_version": "2.13.0",
            "torch_backend": "cu132",
            "companions": "torchaudio",
            "platforms": "linux-x86_64 windows-x86_64",
        },
        "no torchaudio 2.11.0 on the cu132 index for linux-x86_64 and windows-x86_64",
        "torch_backend=cu130",
        id="torchaudio-with-cu132",
    ),
    pytest.param(
        {
            "torch_version": "2.15.0",
            "torch_backend": "pypi",
            "companions": "torchaudio",
            "platforms": "linux-x86_64 windows-x86_64",
        },
        "is a cu130 build, and its torch a cu132 build, for linux-x86_64",
        "linux-x86_64=cpu",
        id="torchaudio-of-another-cuda",
    ),
    pytest.param(
        {"companions": "torchvison"},
        "the companions of torch are",
        "companions=torchvision",
        id="companion",
    ),
    pytest.param(
        {"torch_version": "2.6.0", "torch_backend": "cu126"},
        "publishes this build, but it does not work: its wheels do not declare the nvidia packages",
        "torch_backend=cu124",
        id="broken-at-the-source",
    ),
    pytest.param(
        {"torch_version": "2.16.0", "torch_backend": "rocm", "platforms": "linux-x86_64"},
        "this is not the name of a build; of torch 2.16.0 the choices are: ",
        "torch_backend=cpu",
        id="no-known-build-of-a-release-of-tomorrow",
    ),
    pytest.param(
        {"torch_version": "2.9.1", "torch_backend": "cu131", "pytorch_index": "https://h.org/whl"},
        "this is not the name of a build",
        "pytorch_index=own:https://h.org/whl",
        id="a-mirror-has-no-builds-of-its-own",
    ),
    pytest.param(
        {"torch_version": "2.11.0", "torch_backend": "cu132", "pytorch_index": "https://h.org/whl"},
        "torch 2.11.0 has: pypi cpu cu126",
        "pytorch_index=own:https://h.org/whl",
        id="a-mirror-has-no-other-release",
    ),
    pytest.param(
        {"torch_version": "2.9.1", "numpy_guard": "always", "python_version": "3.13"},
        "numpy<2 has wheels for Python 3.8 to 3.12",
        "python_version=3.12",
        id="numpy-guard",
    ),
    pytest.param(
        {
            "torch_version": "2.9.1",
            "numpy_guard": "always",
            "python_version": "3.11",
            "companions": "none",
            "platforms": "linux-x86_64 windows-arm64",
        },
        "numpy<2 has wheels for Python 3.8 to 3.12 on linux-x86_64",
        "numpy_guard=auto",
        id="numpy-guard-on-arm",
    ),
    pytest.param(
        {"torch_backend": "cpu cu130", "layout": "markers"},
        "extras or groups",
        "layout=groups, or layout=extras",
        id="several",
    ),
    pytest.param(
        {"torch_backend": "gpu=cu130", "layout": "markers"},
        "so does one with a name",
        "layout=extras",
        id="named",
    ),
    pytest.param(
        {"layout": "groups", "torch_backend": "cpu dev=cu130"}, "development", "cu130", id="dev"
    ),
    pytest.param(
        {"layout": "extras", "torch_version": "2.9.1", "torch_backend": "a-b=cpu A.B=rocm6.4"},
        "two builds are named",
        "torch_backend=a-b=cpu rocm6.4",
        id="same-name",
    ),
    pytest.param(
        {"layout": "extras", "torch_backend": "cpu", "platforms": "linux-x86_64=gpu:cpu"},
        "no build named 'gpu'",
        "platforms=linux-x86_64",
        id="override-of-no-extra",
    ),
    pytest.param({"project_slug": "../x"}, "it names a folder", "project_slug=x", id="path"),
    pytest.param({"project_slug": "My_App"}, "it names", "project_slug=my-app", id="case"),
    pytest.param({"project_slug": "2d-net"}, "digit", "project_slug=project-2d-net", id="digit"),
    pytest.param({"project_slug": "class"}, "keyword", "project_slug=class-project", id="keyword"),
    pytest.param({"project_slug": "json"}, "standard library", "json-project", id="stdlib"),
    pytest.param({"project_slug": "torch"}, "depends on", "torch-project", id="torch"),
    pytest.param({"project_slug": "sympy"}, "depends on", "sympy-project", id="sympy"),
    pytest.param(
        {"project_slug": "triton-kernels"}, "depends on", "my-triton-kernels", id="triton"
    ),
    pytest.param(
        {"pytorch_index": "http://[bad"}, "has to be one of", "official", id="half-an-address"
    ),
    pytest.param({"project_slug": "con"}, "Windows", "con-project", id="windows-device"),
    pytest.param({"pytorch_index": "tuna"}, "has to be one of", "pytorch_index=nju", id="mirror"),
    pytest.param(
        {"pytorch_index": "https://example.com/whl/nightly"},
        "nightly builds have no release",
        "https://example.com/whl",
        id="nightly",
    ),
    pytest.param({"pytorch_index": "ftp://example.com/whl"}, "one of", "official", id="ftp"),
    pytest.param(
        {"pytorch_index": "https://example.com/whl/cu128"},
        "the URL of one build, cu128",
        "pytorch_index=https://example.com/whl",
        id="index-of-one-build",
    ),
    pytest.param(
        {"package_index": "https://me:secret@example.com/simple"},
        "UV_INDEX_<NAME>_PASSWORD",
        "package_index=https://example.com/simple, or package_index=pypi",
        id="password",
    ),
    pytest.param(
        {"pytorch_index": "https://me:secret@example.com/whl/cu128?token=1"},
        "the URL of an index cannot have a query",
        "What works: pytorch_index=https://example.com/whl",
        id="password-of-one-build",
    ),
    pytest.param(
        {"torch_backend": "cpu", "platforms": "windows-arm64", "companions": "none"},
        "none of these platforms has cpu wheels at all; torch 2.15.0 has them for linux-x86_64",
        "torch_version=2.14.1",
        id="no-wheel-of-the-release",
    ),
    pytest.param(
        {"torch_backend": "cpu", "platforms": "linux-x86_64=cu128 windows-x86_64"},
        "there is no torch 2.15.0 on the cu128 index for linux-x86_64.",
        "platforms=windows-x86_64 linux-x86_64=cu130, or torch_version=2.11.0, or platforms=",
        id="no-build-of-another-maker",
    ),
    pytest.param(
        {"dockerfile": "yes", "platforms": "macos-arm64"}, "Linux", "dockerfile=no", id="docker"
    ),
]
"""Answers, the reason why they are refused, and a way out that is offered."""
