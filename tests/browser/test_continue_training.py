"""Continue training, from an adapter's page to the next version of it."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.test_browser_journey import TRAINING_MILLISECONDS, open_step, save_dataset, set_up_job
from tests.tiny import capitals


def start_and_wait(page: Page) -> None:
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url(re.compile(r"/jobs/[0-9a-f-]{36}$"))
    expect(page.get_by_role("link", name="Download adapter")).to_be_visible(timeout=TRAINING_MILLISECONDS)


def rows_file(path: Path, num_rows: int) -> Path:
    path.write_text("word,shouted\n" + "".join(f"{one},{two}\n" for one, two in capitals(num_rows)))
    return path


def test_from_an_adapter_to_its_next_version(page: Page, tmp_path: Path) -> None:
    set_up_job(page, rows_file(tmp_path / "onward.csv", 50), epochs="1")
    start_and_wait(page)
    page.get_by_role("link", name="Adapter page").click()
    page.wait_for_url("**/adapters/**")
    adapter_url = page.url
    save_dataset(page, rows_file(tmp_path / "more.csv", 90))
    page.goto(adapter_url)
    page.get_by_role("link", name="Continue training").click()

    expect(page.locator("#continues")).to_contain_text("“onward” version 1")
    expect(page.locator("#continues")).to_contain_text("compares with the untouched base model")
    open_step(page, "step-data")
    page.get_by_label("Dataset").select_option(label="more v1 (90 rows)")
    open_step(page, "step-method")
    expect(page.locator("#settled-method")).to_contain_text("LoRA")
    open_step(page, "expert")
    expect(page.locator("#id_rank")).to_be_disabled()
    page.locator("#id_epochs").fill("1")
    page.locator("#id_epochs").blur()
    page.wait_for_timeout(600)
    page.wait_for_load_state("networkidle")
    expect(page.locator("#continues")).to_be_visible()
    view = page.locator("#model-view")
    view.scroll_into_view_if_needed()
    expect(view).to_have_attribute("data-shown", "done", timeout=60_000)

    start_and_wait(page)
    expect(page.locator("#job-facts")).to_contain_text("“onward” version 1")
    page.get_by_role("link", name="Adapter page").click()
    expect(page.get_by_role("heading", name="onward v2")).to_be_visible()
    expect(page.get_by_role("link", name="“onward” version 1")).to_be_visible()
    expect(page.locator("main")).to_contain_text("Training went on from “onward” version 1.")
