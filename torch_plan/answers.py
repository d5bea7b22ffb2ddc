"""The answers as typed by a person: their grammar, and what is refused before any fact is asked."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from torch_plan.facts import CPU, PLATFORMS, Facts, Mirror, family_of, version_key

MARKERS, EXTRAS, GROUPS = "markers", "extras", "groups"

CHOICES = {
    "layout": (MARKERS, EXTRAS, GROUPS),
    "numpy_guard": ("auto", "always", "never"),
    "torch_pin": ("public", "local"),
    "after_generation": ("lock", "smoke", "nothing"),
}
"""The options of each choice. A value that is retired later keeps its place in `RETIRED`."""

RETIRED: dict[str, dict[str, str]] = {}
"""Answer -> retired value -> the value that took its place."""


class Problem(NamedTuple):
    """One reason to refuse: what was asked, why it cannot be, and changes that may work.

    `ways` are changes of answers, the nearest first; each is tried before it is offered.
    """

    asked: str
    reason: str
    ways: tuple[Mapping[str, str], ...] = ()


class Variant(NamedTuple):
    """One of the builds a project can switch between: its extra's or group's name, its backend."""

    name: str
    backend: str


class Answers(NamedTuple):
    """The answers, taken apart. `overrides` maps (platform, variant or empty) to a backend."""

    project_slug: str
    release: str
    python: str
    variants: tuple[Variant, ...]
    layout: str
    companions: tuple[str, ...]
    platforms: tuple[str, ...]
    overrides: Mapping[tuple[str, str], str]
    numpy_guard: str
    torch_pin: str
    pytorch_index: Mirror
    package_index: tuple[str, str]
    """Name and URL of the index that takes PyPI's place, both empty for PyPI."""


class _Reader:
    """Reads one answer after the other and collects what is wrong with them."""

    def __init__(self, raw: Mapping[str, str], facts: Facts) -> None:
        self.raw = raw
        self.facts = facts
        self.problems: list[Problem] = []

    def text(self, key: str) -> str:
        value = str(self.raw.get(key, "")).strip()
        return RETIRED.get(key, {}).get(value, value)

    def refuse(self, key: str, reason: str, *values: str, asked: str = "") -> None:
        ways = tuple({key: value} for value in dict.fromkeys(values) if value)
        value = re.sub(r"//[^/]*@", "//…@", self.text(key))
        self.problems.append(Problem(asked or f"{key}={value}", reason, ways))

    def choice(self, key: str) -> str:
        value, options = self.text(key), CHOICES[key]
        if value not in options:
            self.refuse(key, f"it is one of: {', '.join(options)}.", *options)
        return value

    def free_text(self, key: str) -> None:
        """Refuse what cannot be written as UTF-8; a command line can hand over such bytes."""
        text = str(self.raw.get(key, ""))
        valid = text.encode("utf-8", "ignore").decode("utf-8")
        if valid != text:
            self.refuse(key, "it holds bytes that are no text in UTF-8.", valid, asked=key)

    def slug(self) -> str:
        slug = self.text("project_slug")
        package = package_name(slug)
        fixed = slugify(slug) or slugify(self.text("project_name")) or "my-project"
        if not fixed[0].isalpha():
            fixed = f"project-{fixed}"
        taken = f"{fixed.removesuffix('-project')}-project"
        if slug != slugify(slug) or not slug:
            reason = (
                "it becomes a folder, a distribution and a package, so it is made of the letters "
                "a-z, digits and single hyphens, and begins and ends with a letter or digit."
            )
            self.refuse("project_slug", reason, fixed, taken)
        elif not package.isidentifier():
            self.refuse(
                "project_slug", f"{package!r} cannot be imported: it begins with a digit.", fixed
            )
        elif len(slug) > 64:
            self.refuse("project_slug", "it is longer than 64 characters.", slug[:64].strip("-"))
        elif keyword.iskeyword(package):
            self.refuse("project_slug", f"{package!r} is a keyword of Python.", taken)
        elif package in sys.stdlib_module_names:
            self.refuse(
                "project_slug", f"it would hide {package!r} of the standard library.", taken
            )
        elif self.facts.may_depend_on(slug):
            reason = f"the project itself depends on {slug!r}, or may do so."
            self.refuse("project_slug", reason, taken, f"my-{slug}")
        elif re.fullmatch(_WINDOWS_DEVICE, slug):
            self.refuse("project_slug", "Windows reserves this name for a device.", taken)
        return slug

    def release(self) -> str:
        asked, releases = self.text("torch_version"), self.facts.releases
        if asked not in releases:
            near = nearest_version(asked.partition("+")[0], releases)
            reason = (
                f"there is no such release; from {releases[0]} on there are: {', '.join(releases)}."
            )
            self.refuse("torch_version", reason, near, releases[-1])
        return asked

    def python(self) -> str:
        asked, pythons = self.text("python_version"), self.facts.all_pythons
        if asked not in pythons:
            reason = f"it is a minor version of CPython: {', '.join(pythons)}."
            if re.fullmatch(r"3\.\d+t", asked):
                reason = "requires-python cannot ask for a free-threaded build; " + reason
            if asked == "3.1":
                reason = "in YAML, 3.10 is a number and loses its zero: quote it; " + reason
                asked = "3.10"
            near = pythons.index(nearest_version(asked.rstrip("t"), pythons))
            options = sorted(pythons, key=lambda python: abs(pythons.index(python) - near))
            self.refuse("python_version", reason, *options)
        return asked

    def variants(self, layout: str) -> tuple[Variant, ...]:
        tokens = self.text("torch_backend").split()
        variants: list[Variant] = []
        for token in tokens:
            name, named, backend = token.rpartition("=")
            if named and layout == MARKERS:
                self.replace_token(
                    "torch_backend",
                    token,
                    "a name is for an extra or a group, and the layout `markers` has none.",
                    [backend],
                    {"layout": EXTRAS},
                )
            if not self.known_backend("torch_backend", token, backend, named=name):
                continue
            variant = Variant(name if named else backend, backend)
            if not re.fullmatch(_GROUP_NAME, variant.name):
                reason = (
                    "the name of an extra or group is made of letters, digits, `-`, `_` and `.`."
                )
                self.replace_token("torch_backend", token, reason, [backend])
            elif layout == GROUPS and variant.name == "dev":
                reason = "`dev` is the group of the development tools."
                self.replace_token("torch_backend", token, reason, [backend])
            elif normalized(variant.name) in {normalized(other.name) for other in variants}:
                reason = f"two are named {variant.name!r} (`-`, `_` and `.` count as the same)."
                self.replace_token("torch_backend", token, reason, [""])
            else:
                variants.append(variant)
        if not tokens:
            self.refuse("torch_backend", "at least one backend is needed.", CPU)
        if len(tokens) > 1 and layout == MARKERS:
            self.problems.append(
                Problem(
                    f"torch_backend={self.text('torch_backend')} with layout=markers",
                    "the layout `markers` has one build per platform; several backends in one "
                    "project need extras or groups.",
                    ({"layout": EXTRAS}, {"layout": GROUPS}, {"torch_backend": tokens[0]}),
                )
            )
        return tuple(variants)

    def known_backend(self, key: str, token: str, backend: str, named: str = "") -> bool:
        """Tell whether any release has this backend; refuse it if not."""
        if backend in self.facts.all_backends:
            return True
        head = token[: len(token) - len(backend)]
        if backend == "auto":
            reason = (
                "the project records the build that was chosen, so that an update on another "
                "machine does not choose again. Leave the answer out, and what this machine can "
                "run is the default."
            )
            self.replace_token(key, token, reason, [head + CPU])
            return False
        options = self.facts.backends(self.text("torch_version")) or self.facts.all_backends
        near = nearest_backends(backend, options)
        reason = f"no release has this backend; uv's names for them are: {' '.join(options)}."
        self.replace_token(key, token, reason, [head + name for name in near])
        return False

    def companions(self) -> tuple[str, ...]:
        tokens = self.text("companions").split()
        known = self.facts.all_companions
        if tokens == ["none"]:
            return ()
        found = []
        for token in dict.fromkeys(tokens):
            if token in known:
                found.append(token)
                continue
            near = _close(token, known, n=1, cutoff=0.5)
            reason = f"the packages released in step with torch are: {', '.join(known)}; or none."
            self.replace_token("companions", token, reason, [*near, ""])
        return tuple(name for name in known if name in found)

    def platforms(
        self, variants: tuple[Variant, ...], layout: str
    ) -> tuple[tuple[str, ...], dict[tuple[str, str], str]]:
        tokens = self.text("platforms").split()
        overrides: dict[tuple[str, str], str] = {}
        chosen = []
        names = [variant.name for variant in variants]
        for token in tokens:
            platform, given, override = token.partition("=")
            name, colon, backend = override.rpartition(":")
            if platform not in PLATFORMS:
                near = nearest_platforms(platform)
                tail = given + override
                reason = f"the platforms are: {' '.join(PLATFORMS)}."
                self.replace_token(
                    "platforms", token, reason, [item + tail for item in near] + [""]
                )
                continue
            chosen.append(platform)
            if not given:
                continue
            if colon and layout == MARKERS:
                reason = "there is one build per platform in the layout `markers`, and no name."
                self.replace_token("platforms", token, reason, [f"{platform}={backend}", platform])
            elif colon and normalized(name) not in {normalized(known) for known in names}:
                reason = f"torch_backend names no {name!r}; it has: {' '.join(names)}."
                ways = [f"{platform}={known}:{backend}" for known in names[1:]] + [platform]
                self.replace_token("platforms", token, reason, ways)
            elif self.known_backend("platforms", token, backend):
                exact = next((item for item in names if normalized(item) == normalized(name)), "")
                if overrides.get((platform, exact), backend) != backend:
                    reason = "another part of the answer says otherwise for the same platform."
                    self.replace_token("platforms", token, reason, [platform])
                overrides[platform, exact] = backend
        if not tokens:
            self.refuse("platforms", "at least one platform is needed.", "linux-x86_64")
        return tuple(name for name in PLATFORMS if name in chosen), overrides

    def pytorch_index(self) -> Mirror:
        answer, mirrors = self.text("pytorch_index"), self.facts.pytorch_mirrors
        if answer in mirrors:
            return mirrors[answer]
        reason = self.url_problem(answer, mirrors)
        head, _, last = answer.rstrip("/").rpartition("/")
        if reason:
            self.refuse(
                "pytorch_index", reason, "official", *[n for n in mirrors if n != "official"]
            )
        elif last in self.facts.all_backends:
            reason = "the plan adds the build to the URL itself; give what comes before it."
            self.refuse("pytorch_index", reason, head)
        host = "" if reason else urlsplit(answer).hostname or ""
        return Mirror(answer.rstrip("/"), flat=False, hosts=(host,))

    def package_index(self) -> tuple[str, str]:
        answer, mirrors = self.text("package_index"), self.facts.package_mirrors
        if answer == "pypi":
            return "", ""
        if answer in mirrors:
            return answer, mirrors[answer]
        reason = self.url_problem(answer, ("pypi", *mirrors))
        if reason:
            self.refuse("package_index", reason, "pypi", *mirrors)
        return "packages", answer.rstrip("/")

    def url_problem(self, answer: str, names: Iterable[str]) -> str:
        """Return what keeps an answer from being a URL that may stand in a project, or nothing."""
        try:
            parts = urlsplit(answer)
            credentials = parts.username or parts.password
            valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            valid, credentials = False, None
        if not valid or not re.fullmatch(_URL, answer):
            return (
                f"it is one of {', '.join(names)}, or a URL that begins with https:// or http://."
            )
        if credentials:
            return (
                "a password would stand in pyproject.toml and uv.lock for everyone to read; leave "
                "it out, and set UV_INDEX_<NAME>_USERNAME and UV_INDEX_<NAME>_PASSWORD instead."
            )
        if parts.query or parts.fragment:
            return "the URL of an index has no query and no fragment."
        return ""

    def replace_token(
        self,
        key: str,
        token: str,
        reason: str,
        replacements: Iterable[str],
        *more: Mapping[str, str],
    ) -> None:
        """Refuse one word of an answer; each replacement (empty: without the word) is a way out."""
        tokens = self.text(key).split()
        ways = []
        for replacement in replacements:
            changed = [replacement if item == token else item for item in tokens]
            value = " ".join(dict.fromkeys(item for item in changed if item))
            if not value and key == "companions":
                value = "none"
            if value:
                ways.append({key: value})
        asked = f"{token} in {key}={self.text(key)}" if len(tokens) > 1 else f"{key}={token}"
        self.problems.append(Problem(asked, reason, (*ways, *more)))


FREE_TEXT = ("project_name", "description", "author_name")


def read_answers(raw: Mapping[str, str], facts: Facts) -> tuple[Answers, list[Problem]]:
    """Take the answers apart.

    Comes in: cookiecutter's answers as text. Goes out: the answers, and every problem with their
    grammar; where there is a problem, the answers are not to be used.
    """
    reader = _Reader(raw, facts)
    for key in FREE_TEXT:
        reader.free_text(key)
    slug, release, python = reader.slug(), reader.release(), reader.python()
    layout = reader.choice("layout")
    variants = reader.variants(layout)
    companions = reader.companions()
    platforms, overrides = reader.platforms(variants, layout)
    guard, pin = reader.choice("numpy_guard"), reader.choice("torch_pin")
    reader.choice("after_generation")
    answers = Answers(
        project_slug=slug,
        release=release,
        python=python,
        variants=variants,
        layout=layout,
        companions=companions,
        platforms=platforms,
        overrides=overrides,
        numpy_guard=guard,
        torch_pin=pin,
        pytorch_index=reader.pytorch_index(),
        package_index=reader.package_index(),
    )
    return answers, reader.problems


def slugify(text: str) -> str:
    """Return the PEP 503 normal form of a name, without the characters that cannot be in it."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def package_name(slug: str) -> str:
    """Return the import name of a project."""
    return slug.replace("-", "_")


def normalized(name: str) -> str:
    """Return the form in which uv compares the names of extras and groups."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _close(word: str, options: Sequence[str], n: int, cutoff: float) -> list[str]:
    """Return the options that are spelt like a word, the likest first."""
    import difflib

    return difflib.get_close_matches(word, options, n=n, cutoff=cutoff)


def nearest_version(asked: str, versions: tuple[str, ...]) -> str:
    """Return the newest version of the same minor, else the one before what was asked."""
    if not re.fullmatch(r"\d+(\.\d+)*", asked):
        return versions[-1]
    key = version_key(asked)
    same = [version for version in versions if version_key(version)[:2] == key[:2]]
    if same:
        return same[-1]
    older = [version for version in versions if version_key(version) < key]
    return older[-1] if older else versions[0]


def nearest_backends(asked: str, options: tuple[str, ...]) -> list[str]:
    """Return up to three backends that may have been meant, the likeliest first."""
    word = asked.lower().removeprefix("pytorch-").replace("cuda", "cu").replace("-", "")
    word = f"cu{word}" if re.match(r"\d", word) else word
    word = word.replace(".", "") if word.startswith("cu") else word
    meant = {"gpu": "cu", "nvidia": "cu", "amd": "rocm", "hip": "rocm", "intel": "xpu", "mps": CPU}
    family = meant.get(word, family_of(word))
    same = [option for option in options if family_of(option) == family or option.startswith(word)]
    numbers = re.sub(r"\D", "", word)
    if numbers:
        same.sort(key=lambda option: abs(int("0" + re.sub(r"\D", "", option)) - int(numbers)))
    else:
        same.reverse()
    close = _close(word, options, n=2, cutoff=0.6)
    return list(dict.fromkeys([*same, *close, CPU]))[:3]


def nearest_platforms(asked: str) -> list[str]:
    """Return the platforms that may have been meant, the likeliest first."""
    word = (
        asked.lower().replace("osx", "macos").replace("darwin", "macos").replace("win32", "windows")
    )
    word = re.sub(r"^win(?!dows)", "windows", word).replace("amd64", "x86_64").replace("_", "-")
    begins = [name for name in PLATFORMS if name.replace("_", "-").startswith(word)]
    close = _close(asked.lower(), list(PLATFORMS), n=2, cutoff=0.6)
    return list(dict.fromkeys([*begins, *close]))[:2]


_GROUP_NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"
_URL = r"[!#-&(-;=?-Z\[\]_a-z~]+"
_WINDOWS_DEVICE = r"con|prn|aux|nul|com\d|lpt\d"
