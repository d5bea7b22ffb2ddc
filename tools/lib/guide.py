"""The same choice of builds, once as our answers and once as uv's guide for PyTorch writes it.

The guide: https://docs.astral.sh/uv/guides/integration/pytorch/.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

COMMON = {"torch_version": "2.9.1", "python_version": "3.10", "after_generation": "nothing"}


class Choice(NamedTuple):
    """A choice of builds: our answers, and how the guide says the same.

    `sources` are those of each package there: the backend of an index, where it holds, and for
    which extra; empty for everywhere, and for all.
    """

    name: str
    answers: Mapping[str, str]
    sources: tuple[tuple[str, str, str], ...]


CHOICES = (
    Choice("CPU", {"torch_backend": "cpu"}, (("cpu", "", ""),)),
    Choice(
        "CUDA on Linux",
        {
            "torch_backend": "cu128",
            "platforms": "linux-x86_64 linux-aarch64 macos-arm64 windows-x86_64=cpu",
        },
        (("cpu", "sys_platform != 'linux'", ""), ("cu128", "sys_platform == 'linux'", "")),
    ),
    Choice(
        "extras",
        {
            "torch_backend": "cpu cu128",
            "platforms": "linux-x86_64 linux-aarch64 windows-x86_64",
            "layout": "extras",
        },
        (("cpu", "", "cpu"), ("cu128", "", "cu128")),
    ),
)
"""The examples of the guide with builds of PyTorch's own indexes alone."""


def guide_project(ours: Mapping[str, Any], choice: Choice, url: str) -> dict[str, Any]:
    """Return the parsed `pyproject.toml` that the guide leads to.

    `ours` is our own of the same choice, for its pins, Pythons and layout. `url` is what comes
    before `/cu128`. There are no `environments` in it: the guide has none.
    """
    fields = ("name", "version", "requires-python", "dependencies", "optional-dependencies")
    uv = ours["tool"]["uv"]
    sources = [
        {
            "index": f"pytorch-{backend}",
            **({"extra": extra} if extra else {}),
            **({"marker": marker} if marker else {}),
        }
        for backend, marker, extra in choice.sources
    ]
    return {
        "project": {key: ours["project"][key] for key in fields if key in ours["project"]},
        "dependency-groups": ours["dependency-groups"],
        "tool": {
            "uv": {
                **({"conflicts": uv["conflicts"]} if "conflicts" in uv else {}),
                "sources": dict.fromkeys(uv["sources"], sources),
                "index": [
                    {"name": f"pytorch-{backend}", "url": f"{url}/{backend}", "explicit": True}
                    for backend, *_ in choice.sources
                ],
            }
        },
    }
