"""The admin's page of workers in Chromium, with the stack's own worker at work."""

import re

import pytest
from playwright.sync_api import Dialog, Locator, Page, expect

from tests.browser.conftest import Watched
from tests.browser.test_browser_journey import TRAINING_MILLISECONDS, rows_file, set_up_job

__all__ = ["rows_file"]

HEARTBEATS_MILLISECONDS = 40_000


@pytest.fixture
def own_worker(page: Page) -> Locator:
    """The card of the worker that `manage.py up` started, once it is online and takes jobs."""
    page.goto("/workers/")
    card = page.locator("article").filter(has_text="Online")
    expect(card).to_have_count(1, timeout=HEARTBEATS_MILLISECONDS)
    return card


def add_worker(page: Page, name: str) -> None:
    page.goto("/workers/add")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Labels").fill("fast, eu")
    page.get_by_role("button", name="Add and show the command").click()


def test_it_shows_the_worker_with_device_and_load(page: Page, own_worker: Locator) -> None:
    expect(own_worker).to_contain_text(re.compile(r"\d+ cores?, \d+\.\d GB"))
    expect(own_worker).to_contain_text("0 of 1 in use")
    expect(own_worker.get_by_role("img", name=re.compile("Use over the last"))).to_be_visible()
    own_worker.get_by_role("heading").get_by_role("link").click()
    expect(page.locator("#worker-live")).to_contain_text("Nothing runs here.")
    expect(page.get_by_role("img", name=re.compile("Memory over the last"))).to_be_visible()


def test_a_paused_worker_leaves_a_job_waiting_with_the_reason_until_it_is_resumed(
    page: Page, own_worker: Locator, rows_file: object
) -> None:
    own_worker.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("status").first).to_contain_text("takes no new job, what it runs goes on")
    expect(own_worker).to_contain_text("Paused")
    try:
        set_up_job(page, rows_file, epochs="1")  # type: ignore[arg-type]
        page.get_by_role("button", name="Start training").click()
        page.wait_for_url(re.compile(r"/jobs/[0-9a-f-]{36}$"))
        job_url = page.url
        expect(page.locator("#job-top")).to_contain_text("paused by an admin")
        page.goto("/workers/")
        expect(page.locator("#workers")).to_contain_text("1 job waits, and no worker takes jobs. Resume one.")
    finally:
        page.goto("/workers/")
        own_worker.get_by_role("button", name="Resume").click()
    expect(page.locator("#workers")).not_to_contain_text("no worker takes jobs")
    page.goto(job_url)
    expect(page.get_by_role("link", name="Download adapter")).to_be_visible(timeout=TRAINING_MILLISECONDS)
    page.goto("/workers/")
    expect(own_worker).to_contain_text(re.compile(r"[1-9]\d* done"))


def test_a_refresh_keeps_focus_and_what_was_typed(page: Page, own_worker: Locator) -> None:
    button = own_worker.get_by_role("button", name="Drain")
    button.focus()
    with page.expect_response(re.compile("/workers/$")):
        pass
    page.wait_for_timeout(300)
    expect(button).to_be_focused()
    own_worker.get_by_role("heading").get_by_role("link").click()
    labels = page.get_by_role("textbox", name="Labels")
    labels.fill("half-typed")
    with page.expect_response(re.compile("/workers/[0-9a-f-]{36}$")):
        pass
    page.wait_for_timeout(300)
    expect(labels).to_have_value("half-typed")
    expect(labels).to_be_focused()


def test_a_worker_is_added_and_retired_after_a_question(page: Page) -> None:
    add_worker(page, "box-1")
    expect(page.locator("#shell-command")).to_contain_text(re.compile(r"GRAFTWORK_JOIN_TOKEN=\S{40,} python manage.py"))
    page.goto("/workers/")
    card = page.locator("article").filter(has_text="box-1")
    expect(card).to_contain_text("Not seen yet")
    asked: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    page.once("dialog", dismiss)
    card.get_by_role("button", name="Retire").click()
    assert asked and "may not come back" in asked[0]
    expect(card).to_have_count(1)
    page.once("dialog", lambda dialog: dialog.accept())
    card.get_by_role("button", name="Retire").click()
    expect(page.get_by_role("link", name=re.compile(r"\d+ retired"))).to_be_visible()
    expect(card).to_have_count(0)


def test_bad_slots_are_told_beside_their_field(page: Page, watched: Watched, own_worker: Locator) -> None:
    own_worker.get_by_role("heading").get_by_role("link").click()
    page.get_by_role("spinbutton", name="Slots").fill("60")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#id_slots_error")).to_contain_text("one for each core")
    watched.forgive(status=400)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_of_workers_is_wider_than_its_window(page: Page, own_worker: Locator, scheme: str, width: int) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 900})
    detail = own_worker.get_by_role("heading").get_by_role("link").get_attribute("href")
    for url in ("/workers/", str(detail), "/workers/add", "/workers/?retired", "/help/workers"):
        page.goto(url)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, url
    add_worker(page, f"wide-{scheme}-{width}")
    expect(page.locator("#shell-command")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
