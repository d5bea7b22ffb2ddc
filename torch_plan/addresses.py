"""Which version of the template this is, and where it, its documentation and its page are."""

import re
from pathlib import Path
from typing import NamedTuple

VERSION = "0.2.0"
"""The version of the template, which a project records; docs/releasing.md says when it changes."""


class Addresses(NamedTuple):
    """Where the template can be had, and what has been written about it."""

    template: str
    """What cookiecutter takes."""
    docs: str
    """The pages that a project's README refers to."""
    page: str
    """The page that lets people choose in the browser; answers stand behind its `#`."""


def addresses_of(remote: str) -> Addresses | None:
    """Return the addresses of a template with this remote; None if that is no host on a network."""
    parts = re.fullmatch(
        r"(?:\w+://(?:[^/@]*@)?|[\w.-]+@)([\w.-]+(?::\d+)?)[:/]+(\S+?)(?:\.git)?/*", remote
    )
    if not parts:
        return None
    host, path = parts.groups()
    owner, _, name = path.partition("/")
    if host == "github.com":
        web, page = f"https://github.com/{path}", f"https://{owner}.github.io/{name}/"
        return Addresses(f"gh:{path}", f"{web}/blob/main/docs", page)
    # Whoever has no login in the URL is asked for it by git.
    template = re.sub(r"^(https?://)[^/@]*@", r"\1", remote)
    return Addresses(template, f"https://{host}/{path}/blob/main/docs", _PUBLISHED.page)


def remote_of(folder: Path) -> str:
    """Return the URL of a repository's remote `origin`: where a clone came from; empty for none."""
    try:
        config = (folder / ".git/config").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
    remote = re.search(r'\[remote "origin"\][^\[]*?^\s*url = (\S+)$', config, re.MULTILINE)
    return remote[1] if remote else ""


_PUBLISHED = Addresses(
    "gh:org/uv-torch-template",
    "https://github.com/org/uv-torch-template/blob/main/docs",
    "https://org.github.io/uv-torch-template/",
)

TEMPLATE, DOCS, PAGE = addresses_of(remote_of(Path(__file__).resolve().parents[1])) or _PUBLISHED

ANSWERS, SUPPORT = f"{DOCS}/answers.md", f"{DOCS}/support.md"
"""The page about every answer, and the one about every build."""

REPOSITORY = DOCS.removesuffix("/blob/main/docs")

ADOPT = ("uvx", "--from", f"git+{REPOSITORY}", "uv-torch-adopt")
"""The command that changes a project that exists."""
