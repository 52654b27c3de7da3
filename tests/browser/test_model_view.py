"""What the model will see, rendered by the real worker while a person fills in the form."""

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Watched
from tests.browser.test_browser_journey import set_up_job


@pytest.fixture
def words_file(tmp_path: Path) -> Path:
    """Sixty short rows, and in line 62 a long one."""
    rows = [f"word {number},WORD {number}" for number in range(60)]
    path = tmp_path / "words.csv"
    path.write_text("\n".join(["word,shouted", *rows, f"{'long ' * 20}end,LONG"]) + "\n")
    return path


def rendered(page: Page) -> Locator:
    view = page.locator("#model-view")
    view.scroll_into_view_if_needed()
    expect(view).to_have_attribute("data-shown", "done", timeout=60_000)
    return view


def test_tokens_are_shown_and_follow_the_limit(page: Page, words_file: Path) -> None:
    set_up_job(page, words_file)
    view = rendered(page)
    expect(view.locator("article")).to_have_count(3)
    expect(view.locator("article").first.locator("mark")).to_have_text("WORD 0</s>")
    expect(view.locator("article").nth(1)).to_contain_text("Longest row, line 62: 111 tokens, 5 learnt")
    expect(view.locator("article del")).to_have_count(0)

    set_up_job(page, words_file, max_length="64")
    view = rendered(page)
    expect(view).to_contain_text("1 of 61 rows will be cut to 64 tokens")
    expect(view.locator("article").nth(1).locator("del")).to_contain_text("<u>long long")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_it_fits_into_the_window(watched: Watched, words_file: Path, scheme: str, width: int) -> None:
    page = watched.context.new_page()
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 900})
    set_up_job(page, words_file, max_length="64")
    rendered(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
