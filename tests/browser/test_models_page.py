"""A model of the Hub in the browser: named, looked at, fetched with a bar, stopped, gone on with, ready."""

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.base_models.hub_server import Hub
from tests.tiny import make_llama

NAME = "acme/tiny-from-the-hub"


def look(page: Page, name: str) -> None:
    page.goto("/models/")
    page.get_by_role("link", name="Add a model").click()
    page.get_by_label("Name on the Hub").fill(name)
    page.get_by_role("button", name="Look").click()


def test_a_model_is_looked_at_fetched_stopped_and_gone_on_with(page: Page, hub: Hub, tmp_path: Path) -> None:
    hub.add(NAME, make_llama(tmp_path / "llama", hidden_size=128, intermediate_size=768))
    hub.stall_at = 1_500_000
    look(page, NAME)
    page.get_by_text("Llama family (decoder)").wait_for()
    expect(page.get_by_text(hub.repos[NAME].commit)).to_be_visible()
    page.get_by_role("button", name="Fetch").click()
    card = page.locator("article", has_text=NAME)
    expect(card.get_by_text("Fetching acme/tiny-from-the-hub: ")).to_be_visible(timeout=45_000)
    expect(card.get_by_role("progressbar")).to_be_visible()
    card.get_by_role("button", name="Stop").click()
    go_on = card.get_by_role("button", name="Go on")
    go_on.wait_for()
    hub.stall_at = None
    hub.go_on.set()
    go_on.click()
    ready = page.locator("article", has_text="Fetched from the Hub: acme/tiny-from-the-hub")
    expect(ready.get_by_text("Ready")).to_be_visible(timeout=60_000)
    ready.get_by_text("methods, and what each trains").click()
    expect(ready.get_by_role("link", name="Prefix tuning")).to_be_visible()


def test_a_gated_model_leads_to_its_page_and_to_the_token(page: Page, hub: Hub, tmp_path: Path) -> None:
    hub.add("acme/gated", make_llama(tmp_path / "llama"), token="hf_of_somebody", is_gated=True)
    look(page, "acme/gated")
    expect(page.get_by_role("alert")).to_contain_text("It cannot be fetched. acme/gated is gated.")
    link = page.get_by_role("alert").get_by_role("link").first
    expect(link).to_have_attribute("href", f"{hub.url}/acme/gated")
    assert page.get_by_role("button", name="Fetch").count() == 0
