"""The verdict in a browser: labels as a picture, every row found, and a report that is one sheet of paper."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Watched
from tests.browser.test_job_verbs import expect_state, expect_to_fit, register, save, start
from tests.tiny import capitals, make_bert, vowels

PAGES = re.compile(rb"/Type\s*/Page[^s]")


@pytest.fixture(scope="module")
def tried() -> dict[str, str]:
    """Addresses of jobs that are done, so that each is trained once."""
    return {}


@pytest.fixture
def labelled(page: Page, tmp_path: Path, tried: dict[str, str]) -> str:
    """A finished job that chooses labels; its address."""
    if "classify" not in tried:
        register(page, make_bert(tmp_path / "tiny-bert"), "Tiny Bert")
        dataset = save(page, tmp_path / "vowels.csv", vowels())
        url = start(page, dataset, "Vowels", base_model="tiny-bert", task="classify", epochs="2")
        expect_state(page, "succeeded")
        tried["classify"] = url
    page.goto(tried["classify"])
    return tried["classify"]


@pytest.fixture
def written(page: Page, tmp_path: Path, tried: dict[str, str]) -> str:
    """A finished job that writes; its address."""
    if "generate" not in tried:
        url = start(page, save(page, tmp_path / "capitals.csv", capitals()), "Capitals", epochs="1")
        expect_state(page, "succeeded")
        tried["generate"] = url
    page.goto(tried["generate"])
    return tried["generate"]


def num_sheets(page: Page) -> int:
    return len(PAGES.findall(page.pdf(format="A4", prefer_css_page_size=True)))


def test_the_labels_are_a_picture_and_the_yardstick_is_offered(page: Page, labelled: str) -> None:
    expect(page.locator("#most-mistaken")).to_be_visible()
    expect(page.locator("table.confusion").first.locator("tbody td[data-right]")).to_have_count(2)
    expect_to_fit(page)
    page.get_by_role("link", name="Train the yardstick too").click()
    expect(page.locator("#id_name")).to_have_value("Vowels, full fine-tuning")
    expect(page.locator("input[name=method][value=full]")).to_be_checked()


def test_rows_are_searched_sorted_and_linked(page: Page, labelled: str) -> None:
    page.get_by_role("link", name="held-out rows").click()
    rows = page.locator(".rows-table tbody tr")
    expect(rows).to_have_count(12)
    expect_to_fit(page)
    page.set_viewport_size({"width": 1280, "height": 900})

    text = str(rows.first.locator("[data-label=Input]").text_content()).strip()
    page.get_by_label("Search in texts and answers").fill(text)
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#found")).to_contain_text(f"with “{text}”")
    expect(rows.first).to_contain_text(text)
    page.get_by_role("link", name="All rows").click()

    page.get_by_role("link", name="Loss").click()
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Loss")
    rows.first.locator("a").first.click()
    expect(page.locator("tr:target")).to_have_count(1)
    page.wait_for_url("**/datasets/**")


def test_the_table_of_rows_works_without_scripts(watched: Watched, chromium: Browser, labelled: str) -> None:
    context = chromium.new_context(storage_state=watched.context.storage_state(), java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{labelled}/rows")
    page.get_by_label("Order").select_option("worst")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("Gain")
    context.close()


@pytest.mark.parametrize("kind", ["labelled", pytest.param("written", marks=pytest.mark.slow)])
def test_the_report_is_one_sheet(page: Page, kind: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(kind)
    page.get_by_role("link", name="Printable report").click()
    expect(page.get_by_role("heading", name="Did it help?")).to_be_visible()
    expect(page.locator(".report-code")).to_contain_text("ADAPTER_FOLDER")
    expect_to_fit(page)
    assert num_sheets(page) == 1
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.get_by_role("button", name="Print")).to_be_hidden()
    expect(page.locator("body > header")).to_be_hidden()
    black = page.locator(".report").evaluate("sheet => getComputedStyle(sheet).color")
    assert black in ("rgb(0, 0, 0)", "oklch(0 0 0)", "black")
