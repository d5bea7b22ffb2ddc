"""The indexes that carry PyTorch's builds."""

from typing import NamedTuple

BUILD_PLACE = "{build}"
"""Stands in the URL of an index where the build does not stand last."""


class Mirror(NamedTuple):
    """An index of PyTorch: the official one, a copy, or one that somebody else fills."""

    url: str
    """What comes before `/cu128`; or all of it, with `{build}` where that stands."""
    flat: bool
    """Whether it lists files and has no page for each package."""
    hosts: tuple[str, ...]
    """The hosts that its pages and its files come from."""
    known: bool = True
    """Whether it holds what PyTorch publishes, and nothing else."""

    @property
    def urls(self) -> tuple[str, ...]:
        """Its URL under each of its hosts, where it has several."""
        first, *_ = self.hosts
        return tuple(self.url.replace(first, host, 1) for host in self.hosts)

    def url_of(self, build: str) -> str:
        """Return the URL of one build's index."""
        if BUILD_PLACE in self.url:
            return self.url.replace(BUILD_PLACE, build)
        # The links of a flat listing are relative to its URL, which therefore ends with a slash.
        return f"{self.url}/{build}{'/' if self.flat else ''}"
