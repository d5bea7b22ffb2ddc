"""The page in a real Chromium: what a person sees, does and gets."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from page.choices import answers_of, command_of, files_of, have, problems_of
from tests.conftest import PYTHON, ROOT, MadeOnce
from tests.helpers.elsewhere import HERE, run
from tests.helpers.locks import read_lock
from tools import page as build
from tools.lib.replica import Replica
from torch_plan.addresses import TEMPLATE
from torch_plan.answers.records import NAMED
from torch_plan.catalog.facts import load_facts

MUST_RUN = os.environ.get("PAGE_IN_BROWSER")
"""Set where a browser is said to be there."""

if not MUST_RUN:
    pytest.importorskip("playwright", reason="uv run --group browser pytest")
playwright = importlib.import_module("playwright.sync_api")
axe = importlib.import_module("axe_playwright_python.sync_playwright")

pytestmark = pytest.mark.slow

FACTS = load_facts()

CUDA = {"torch_version": "2.9.1", "python_version": "3.12", "torch_backend": "cu128"}
"""A choice that was not rendered when the page was built: it is planned in the browser."""

Visit = Callable[..., Any]


class Handler(SimpleHTTPRequestHandler):
    """Serves the page under its policy; a worker heeds it only where a header says it."""

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", build.POLICY)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def site(made_once: MadeOnce) -> Iterator[str]:
    """Build the page, serve it, and return its address."""
    try:
        # Other tests of this process may have added the replica to the mirrors of the facts.
        with pytest.MonkeyPatch.context() as patch:
            patch.delitem(FACTS.pytorch_mirrors, "replica", raising=False)
            folder = made_once("site", build.build)
    except SystemExit as error:
        missing(str(error))
    handler = partial(Handler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start the system's Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if not program:
        missing(f"None of these is here: {', '.join(names)}")
    options = ["--no-sandbox", "--disable-background-networking"]
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=program, args=options)
        yield started
        started.close()


def missing(reason: str) -> None:
    """Skip where there is no browser or no npm; not where a browser was said to be there."""
    (pytest.fail if MUST_RUN else pytest.skip)(reason)


@pytest.fixture
def visit(browser: Any, site: str) -> Iterator[Visit]:
    """Open the page at a choice, in a profile of its own.

    Whatever is done with it, nothing may go to another host, and nothing wrong may be logged: a
    violation of the policy would be.
    """
    contexts, wrong = [], []

    def open_page(choice: dict[str, str] | None = None, **options: Any) -> Any:
        options = {"permissions": ["clipboard-read", "clipboard-write"], **options}
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda it: wrong.append(it.text) if it.type == "error" else None)
        page.on("pageerror", lambda it: wrong.append(str(it)))
        page.on("request", lambda it: None if it.url.startswith(site) else wrong.append(it.url))
        page.goto(site + (f"#{urlencode(choice)}" if choice else ""))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


def planned(page: Any) -> str:
    """Return the command, when the page is done with a choice."""
    page.locator("#result[aria-busy=true]").wait_for(state="detached")
    return str(page.locator("#command").inner_text())


def reached(page: Any, mark: str) -> None:
    """Wait for one of the page's marks on the time line, `shown` or `marked`."""
    page.evaluate(
        """(mark) => new Promise((resolve) => {
            const look = () => {
                if (performance.getEntriesByName(mark).length) resolve();
                else setTimeout(look, 5);
            };
            look();
        })""",
        mark,
    )


def choose(page: Any, name: str, value: str) -> None:
    """Click on a chip, as a person does."""
    page.locator(f"label:has([name={name}][value='{value}'])").first.click()


def refused(page: Any, name: str) -> set[str]:
    """Return the values of the controls that are marked as refused, once they are."""
    page.locator(".refused").first.wait_for(state="attached")
    return {it.get_attribute("value") for it in page.locator(f".refused [name={name}]").all()}


def test_default_and_its_marks_are_there_at_once(browser: Any, site: str, visit: Visit) -> None:
    """What is written when the page is built is what Python says."""
    context = browser.new_context()
    context.route("**/rules*", lambda route: route.abort())
    page = context.new_page()
    page.goto(site)
    assert planned(page) == " ".join(command_of({}))
    marked = page.locator(".refused input").evaluate_all(VALUES)
    context.close()
    page = visit(dict(it.split("=") for it in command_of({}) if it.startswith(NAMED)))
    page.get_by_text("Older releases and").click()
    page.evaluate("performance.clearMarks()")
    reached(page, "marked")
    assert page.locator(".refused input").evaluate_all(VALUES) == marked
    has = FACTS.pythons_of(FACTS.releases[-1])
    assert refused(page, "python_version") == {*FACTS.all_pythons} - {*has}


VALUES = "(chips) => chips.map((chip) => `${chip.name}=${chip.value}`)"


def test_a_plan_of_its_own_from_a_link(visit: Visit) -> None:
    choice = {**CUDA, "torch_backend": "cpu gpu=cu128", "layout": "groups"}
    choice["platforms"] = "linux-x86_64 linux-aarch64=gpu:cu129"
    page = visit(choice)
    page.get_by_text("--group gpu").wait_for()
    assert planned(page) == " ".join(command_of(choice))
    assert page.locator("[name=torch_backend]:checked").count() == 2
    assert page.get_by_label("Build on Linux aarch64").input_value() == "=gpu:cu129"
    assert page.locator("input[name=platforms]:checked").count() == 2


def test_every_choice_is_in_the_address(visit: Visit) -> None:
    page = visit()
    for name, value in CUDA.items():
        if name == "torch_version":
            page.get_by_text("Older releases and").click()
        choose(page, name, value)
    choose(page, "companions", "torchaudio")
    page.get_by_label("Build on Linux aarch64").select_option("cpu")
    page.get_by_label("Name").fill("Caption Model")
    choose(page, "torch_pin", "local")
    page.locator("#part").get_by_text("torch==2.9.1+cu128").wait_for(state="attached")
    page.locator("#command").get_by_text("Caption Model").wait_for()
    command = planned(page)
    assert "torchaudio" in command
    assert "linux-aarch64=cpu" in command
    page.reload()
    page.locator("#part").get_by_text("torch==2.9.1+cu128").wait_for(state="attached")
    assert planned(page) == command
    page.get_by_text("Start over").click()
    page.locator("#command").get_by_text("torch_backend=cpu").wait_for()
    assert planned(page) == " ".join(command_of({}))


def test_thirty_links_show_their_own_command(visit: Visit) -> None:
    page = visit()
    for release in FACTS.releases:
        for backend in FACTS.backends(release)[-1:]:
            python = FACTS.pythons_of(release)[-1]
            choice = dict(zip(NAMED, (release, python, backend), strict=True))
            expected = " ".join(command_of(choice))
            page.goto(f"{page.url.partition('#')[0]}#{urlencode(choice)}")
            if problems_of(choice):
                page.locator(".problem").first.wait_for()
            else:
                page.locator("#command").get_by_text(expected, exact=True).wait_for()
                assert page.locator("#brief").text_content() == expected


def test_all_files_are_shown_as_they_are_rendered(visit: Visit) -> None:
    choice = {**CUDA, "license": "MIT"}
    page = visit(choice)
    page.get_by_text("See all files").click()
    page.get_by_text("LICENSE", exact=True).click()
    rendered = files_of(choice)
    assert page.locator("#files summary code").all_inner_texts() == [*rendered]
    texts = page.locator("#files pre").all()
    assert [it.text_content() for it in texts] == [*rendered.values()]
    choose(page, "companions", "torchaudio")
    page.locator("#files pre").get_by_text("torchaudio").first.wait_for(state="attached")


def test_what_changed_is_highlighted(visit: Visit) -> None:
    page = visit()
    choose(page, "torch_backend", FACTS.backends(FACTS.releases[-1])[2])
    page.locator(".changed").first.wait_for()
    changed = page.locator("#command .changed").all_inner_texts()
    assert changed == [f"torch_backend={FACTS.backends(FACTS.releases[-1])[2]}"]


def test_a_refusal_and_its_way_out(visit: Visit) -> None:
    page = visit()
    choose(page, "torch_backend", "cu128")
    page.get_by_role("heading", name="This cannot be done").wait_for()
    page.get_by_role("button", name="PyTorch 2.11.0").click()
    assert "torch_version=2.11.0" in planned(page)
    assert page.locator("[name=torch_version]:checked").get_attribute("value") == "2.11.0"
    assert "torch_version=2.11.0" in page.url


def test_several_problems_and_one_button(visit: Visit) -> None:
    page = visit({"python_version": "3.8", "torch_backend": "cu128"})
    page.get_by_role("heading", name="2 problems").wait_for()
    page.locator(".way").first.click()
    page.locator("#command").wait_for()
    assert page.locator(".problem").count() == 0


REFUSED_STATES = [
    pytest.param({"torch_version": "2.4.0", "python_version": "3.10", "torch_backend": "cu126"}),
    pytest.param({"torch_version": "2.15.0", "torch_backend": "cu128"}),
    pytest.param({"python_version": "3.8", "torch_backend": "cu128"}),
    pytest.param({"torch_backend": "cpu cu130", "layout": "extras", "companions": "torchcodec"}),
]


@pytest.mark.parametrize("choice", REFUSED_STATES)
def test_what_is_struck_is_what_a_click_refuses(visit: Visit, choice: dict[str, str]) -> None:
    """Both ways, for every choice in sight; Back returns to the state that was left."""
    page = visit(choice)
    reached(page, "marked")
    chips = page.locator(".chips label:visible:has(input:not(:checked, [type=text]))").all()
    struck, refuses = {}, {}
    for chip in chips:
        control = chip.locator("input")
        name = f"{control.get_attribute('name')}={control.get_attribute('value')}"
        struck[name] = "refused" in (chip.get_attribute("class") or "")
        page.evaluate("performance.clearMarks()")
        chip.click()
        reached(page, "shown")
        refuses[name] = page.locator(".problem").count() > 0
        page.evaluate("performance.clearMarks()")
        page.go_back()
        reached(page, "marked")
    assert len(struck) > 30
    assert struck == refuses


@pytest.mark.parametrize("is_link", [True, False], ids=["link", "click"])
def test_nothing_else_is_shown_until_the_plan_is_there(
    browser: Any, site: str, is_link: bool
) -> None:
    """The form says at once what was asked; there is no plan, and nothing to copy."""
    context, held = browser.new_context(), list[Any]()

    def hold(route: Any) -> None:
        held.append(route)

    context.route("**/rules*", hold)
    page = context.new_page()
    page.goto(site + (f"#{urlencode(CUDA)}" if is_link else ""))
    if not is_link:
        assert page.locator("#command").is_visible()
        page.locator("label:has([name=companions][value=torchaudio])").click()
    page.get_by_role("heading", name="Working it out").wait_for()
    assert page.locator("#result pre, #result .copy").count() == 0
    name, value = ("torch_backend", "cu128") if is_link else ("companions", "torchaudio")
    assert page.locator(f"[name={name}][value={value}]").is_checked()
    assert page.locator(".refused").count() == 0
    for width in (380, 820):
        page.set_viewport_size({"width": width, "height": 800})
        assert "Working it out" in page.locator("#jump").inner_text()
    held[0].continue_()
    page.locator("#command").wait_for()
    assert value in planned(page)
    context.close()


def test_back_returns_to_the_last_choice(visit: Visit) -> None:
    page = visit()
    choose(page, "torch_backend", "cu130")
    page.locator("#command").get_by_text("torch_backend=cu130").wait_for()
    choose(page, "companions", "torchaudio")
    page.locator("#command").get_by_text("torchaudio").wait_for()
    for backend in ("cu130", "cpu"):
        page.go_back()
        page.locator("#command").get_by_text(f"torch_backend={backend}").wait_for()
        assert "torchaudio" not in planned(page)
        assert page.locator("[name=torch_backend]:checked").get_attribute("value") == backend


def test_copy_says_what_happened(visit: Visit) -> None:
    page = visit()
    page.locator("#result [data-copy=command]").click()
    page.get_by_role("status").get_by_text("Copied").wait_for(state="attached")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.locator("#result [data-copy=command]").click()
    page.get_by_role("status").get_by_text("Ctrl+C").wait_for(state="attached")
    assert page.evaluate("getSelection().toString()").strip() == planned(page)


def test_by_keyboard(visit: Visit) -> None:
    page = visit()
    page.locator("[name=torch_backend]:checked").focus()
    page.keyboard.press("ArrowRight")
    page.locator("#command").get_by_text("torch_backend=cu132").wait_for()
    page.locator("[name=platforms][value=windows-x86_64]").focus()
    page.keyboard.press("Space")
    page.locator("#command").get_by_text("macos-arm64").wait_for()
    assert "windows" not in planned(page)
    page.locator("#result [data-copy=command]").focus()
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("Copied").wait_for(state="attached")
    page.locator("[name=python_version]:checked").focus()
    page.keyboard.press("ArrowLeft")
    page.locator(".problem").wait_for()
    page.locator(".way").first.focus()
    page.keyboard.press("Enter")
    page.locator("#command").wait_for()
    assert page.evaluate("document.activeElement.id") == "result"


def test_every_control_is_reached_with_tab(visit: Visit) -> None:
    page = visit()
    page.get_by_text("Older releases and").click()
    reached = set()
    for _ in range(100):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.name"))
    assert {*answers_of({})} - {"project_slug", "description", "author_name"} <= reached


def test_the_copied_command_makes_the_project(
    visit: Visit, replica: Replica, tmp_path: Path
) -> None:
    choice = {"torch_version": "2.13.0", "python_version": PYTHON, "torch_backend": "cu130"}
    page = visit({**choice, "pytorch_index": replica.url, "project_name": "Copied Model"})
    planned(page)
    page.locator("#result [data-copy=command]").click()
    page.get_by_role("status").get_by_text("Copied").wait_for(state="attached")
    words = shlex.split(page.evaluate("navigator.clipboard.readText()"))
    assert words[:3] == ["uvx", "cookiecutter", TEMPLATE]
    run([*HERE, str(ROOT), *words[3:]], tmp_path)
    torch = {it["version"] for it in read_lock(tmp_path / "copied-model") if it["name"] == "torch"}
    assert torch == {"2.13.0+cu130", "2.13.0"}
    page.get_by_text("pyproject.toml", exact=True).last.click()
    page.locator("[data-copy=part]").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    rendered = (tmp_path / "copied-model/pyproject.toml").read_text(encoding="utf-8")
    without_marks = re.sub(r"^# New:\n", "", copied, flags=re.MULTILINE)
    assert without_marks.endswith(rendered[rendered.index("[tool.uv.sources]") :].strip())


def test_text_of_a_stranger_runs_nothing(visit: Visit) -> None:
    page = visit({"project_name": "<img src=x onerror=alert(1)>", "layout": "<script>"})
    page.locator(".problem").first.wait_for()
    assert page.locator("#result img, #result script").count() == 0


def test_without_javascript(visit: Visit) -> None:
    page = visit(java_script_enabled=False)
    assert page.locator("#command").inner_text() == " ".join(command_of({}))
    assert not page.locator("form").is_visible()
    assert page.locator(".support tbody tr").count() == len(FACTS.releases)
    assert page.locator(".support").is_visible()


def test_common_choices_need_no_python(browser: Any, site: str) -> None:
    context = browser.new_context()
    context.route("**/rules*", lambda route: route.abort())
    page = context.new_page()
    page.goto(site)
    choose(page, "torch_backend", "cu130")
    page.get_by_role("alert").get_by_text("do not run in this browser").wait_for(timeout=60_000)
    assert "torch_backend=cu130" in planned(page)
    context.close()


STATES = {
    "default": {},
    "plan": CUDA,
    "refusal": {"torch_backend": "cu128"},
    "several": {"torch_backend": "cpu cu130", "layout": "extras", "torch_version": "2.13.0"},
}


@pytest.mark.parametrize("choice", STATES.values(), ids=STATES)
def test_accessible_and_not_too_wide(visit: Visit, choice: dict[str, str]) -> None:
    page = visit(choice)
    page.locator(".problem, #command").first.wait_for()
    refused(page, "torch_backend")
    page.get_by_text("Older releases and").click()
    for name in ("adopt", "pyproject", "requirements", "script"):
        for summary in page.locator(f"#{name} summary").all():
            summary.click()
            assert no_violations(page, "#" + name)
    for width, scheme, forced in product((380, 820, 1400), ("light", "dark"), ("none", "active")):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme, forced_colors=forced)
        assert no_violations(page), (width, scheme, forced)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def no_violations(page: Any, part: str = "body") -> bool:
    """Fail with what axe finds against a part of the page."""
    results = axe.Axe().run(page, context=part).response["violations"]
    assert [(it["id"], [node["html"] for node in it["nodes"]]) for it in results] == []
    return True


def test_command_and_copy_are_in_the_first_screen(visit: Visit) -> None:
    page = visit()
    for width in (380, 720, 820, 1400):
        page.set_viewport_size({"width": width, "height": 800})
        command = page.locator("#brief" if width < 720 else "#command")
        button = page.locator("#bar .copy" if width < 720 else "#result .copy").first
        for element in (command, button):
            box = element.bounding_box()
            assert box
            assert box["y"] + box["height"] <= 800
        assert command.inner_text() == planned(page)
    page.set_viewport_size({"width": 380, "height": 800})
    page.locator("#bar .copy").click()
    page.get_by_role("status").get_by_text("Copied").wait_for(state="attached")
    assert page.evaluate("navigator.clipboard.readText()") == planned(page)


def test_the_bar_says_that_a_choice_is_refused(visit: Visit) -> None:
    page = visit({"torch_backend": "cu128"})
    page.set_viewport_size({"width": 380, "height": 800})
    page.locator("#bar.refused").get_by_text("This cannot be done").wait_for()
    assert not page.locator("#bar .copy").is_visible()


@pytest.mark.parametrize("width", [380, 820])
def test_focus_is_never_covered(visit: Visit, width: int) -> None:
    page = visit()
    page.set_viewport_size({"width": width, "height": 800})
    for _ in range(40):
        page.keyboard.press("Tab")
        covered = page.evaluate(
            """() => {
                const focus = document.activeElement;
                const isChip = focus.matches(".chips label > input");
                const seen = isChip ? focus.nextElementSibling : focus;
                const { left, top, width, height } = seen.getClientRects()[0];
                const above = document.elementFromPoint(left + width / 2, top + height / 2);
                return seen.contains(above) || focus === document.body ? "" : seen.outerHTML;
            }"""
        )
        assert covered == ""


def test_a_chosen_radio_is_seen_in_forced_colours(visit: Visit) -> None:
    page = visit()
    page.emulate_media(forced_colors="active")
    color = "(chip) => getComputedStyle(chip).backgroundColor"
    chips = page.locator("label:has([name=torch_version])").locator("span")
    assert chips.nth(0).evaluate(color) != chips.nth(1).evaluate(color)


SMI = """\
| NVIDIA-SMI 550.54.14              Driver Version: 550.54.14      CUDA Version: 12.4     |
|   0  NVIDIA GeForce RTX 4090        Off |   00000000:01:00.0 Off |                  Off |
"""


@pytest.mark.parametrize("text", ["RTX 4090", "driver 550.54", SMI], ids=["card", "driver", "smi"])
def test_what_you_have_chooses_release_and_build(visit: Visit, text: str) -> None:
    page = visit()
    planned(page)
    page.evaluate("(text) => navigator.clipboard.writeText(text)", text)
    page.locator("#hardware").focus()
    page.keyboard.press("Control+v")
    page.locator("#why").get_by_text("Found NVIDIA").wait_for()
    page.locator("#command").get_by_text("torch_backend=cu1").wait_for()
    change, sentence = have(text, page.locator("#system").input_value())
    assert page.locator("#why").inner_text() == sentence
    assert planned(page) == " ".join(command_of(change))


@pytest.mark.parametrize(
    ("agent", "platform", "first"),
    [("X11; Linux aarch64", "Linux aarch64", "Linux aarch64"), ("Win", "Win32", "Windows x86_64")],
)
def test_your_own_system_comes_first(
    browser: Any, site: str, agent: str, platform: str, first: str
) -> None:
    context = browser.new_context(user_agent=agent)
    context.add_init_script(
        f"Object.defineProperty(Navigator.prototype, 'platform', {{ get: () => '{platform}' }})"
    )
    page = context.new_page()
    page.goto(site)
    assert page.locator("#result tbody th").first.inner_text() == first
    page.locator("#system").select_option("macos-arm64")
    page.locator("#why").get_by_text("This is macOS").wait_for()
    assert page.locator("#result tbody th").first.inner_text() == "macOS arm64"
    context.close()


def test_worker_is_bound_by_the_policy(visit: Visit) -> None:
    """A worker heeds only the policy that it comes with; the server of the tests sends it."""
    page = visit()
    header = page.request.get(page.url).headers["content-security-policy"]
    assert page.locator("meta[http-equiv]").get_attribute("content") == header == build.POLICY
    assert not re.search(r"unsafe-(inline|eval)'", header.replace("'wasm-unsafe-eval'", ""))
