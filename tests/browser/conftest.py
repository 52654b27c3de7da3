"""Debian's Chromium on the real stack. Every page is watched: no console error, no request to another machine."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.base_models.hub_server import Hub, serving
from tests.person import PASSWORD, USERNAME
from tests.stack import RunningStack, running_stack
from tests.tiny import make_llama

expect.set_options(timeout=45_000)
"""What is awaited comes later on a busy machine."""

OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


class Watched:
    """A browser window whose every request and console message is seen."""

    def __init__(self, context: BrowserContext, host: str) -> None:
        self.context = context
        self.complaints: list[str] = []
        self.host = host
        context.on("request", self._see_request)
        context.on("console", self._see_console)
        context.on("weberror", lambda error: self.complaints.append(f"uncaught: {error.error}"))

    def _see_request(self, request: Request) -> None:
        place = urlsplit(request.url)
        if place.scheme not in ("data", "blob") and place.netloc != self.host:
            self.complaints.append(f"left the machine: {request.url}")

    def _see_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"console: {message.text} ({message.location.get('url')})")

    def forgive(self, *, status: int) -> None:
        """The one message Chromium prints for a refusal that the test asked for."""
        said = [complaint for complaint in self.complaints if f"status of {status}" in complaint]
        assert said, f"no refusal with status {status} was seen"
        self.complaints = [complaint for complaint in self.complaints if complaint not in said]


@pytest.fixture(scope="package")
def hub() -> Iterator[Hub]:
    """What the stack takes for the Hub; models are put on it by the tests."""
    with serving() as hub:
        yield hub


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory, hub: Hub) -> Iterator[RunningStack]:
    home = tmp_path_factory.mktemp("browser") / "home"
    with running_stack(home, HF_ENDPOINT=hub.url, HF_HUB_OFFLINE="0", NO_PROXY="127.0.0.1") as running:
        yield running


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("Chromium is missing: install it as root with `apt-get install chromium`.", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def signed_in(stack: RunningStack, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first admin came in through the link on the console, and registered a tiny model. Returns the cookies."""
    folder = make_llama(tmp_path_factory.mktemp("models") / "tiny-llama")
    context = chromium.new_context(base_url=stack.url)
    page = context.new_page()
    assert stack.welcome_url is not None
    page.goto(stack.welcome_url)
    page.get_by_label("User name").fill(USERNAME)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password again").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.goto("/models/register")
    page.get_by_label("Folder on this server").fill(str(folder))
    page.get_by_label("Title").fill("Tiny Llama")
    page.locator("main form button").click()
    page.get_by_text("Tiny Llama is registered").wait_for()
    cookies = tmp_path_factory.mktemp("cookies") / "state.json"
    context.storage_state(path=cookies)
    context.close()
    return cookies


@pytest.fixture
def watched(stack: RunningStack, chromium: Browser, signed_in: Path) -> Iterator[Watched]:
    context = chromium.new_context(base_url=stack.url, storage_state=signed_in, accept_downloads=True)
    context.set_default_timeout(45_000)
    watched = Watched(context, urlsplit(stack.url).netloc)
    yield watched
    context.close()
    assert watched.complaints == []


@pytest.fixture
def page(watched: Watched) -> Page:
    return watched.context.new_page()
