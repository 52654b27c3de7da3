"""A person's way through the pages, from an empty home to an adapter on their disk."""

import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Watched
from tests.tiny import capitals

TRAINING_MILLISECONDS = 120_000
PAGES = ("/", "/datasets/", "/jobs/", "/jobs/new", "/models/", "/adapters/", "/help/", "/help/methods", "/account")


@pytest.fixture
def rows_file(tmp_path: Path) -> Path:
    path = tmp_path / "capitals.csv"
    path.write_text("word,shouted\n" + "".join(f"{one},{two}\n" for one, two in capitals()))
    return path


def upload(page: Page, path: Path) -> None:
    page.goto("/datasets/")
    page.locator("input[type=file]").set_input_files(path)
    upload_button = page.get_by_role("button", name="Upload")
    if upload_button.is_visible():
        upload_button.click()


def save_dataset(page: Page, path: Path) -> None:
    upload(page, path)
    expect(page.get_by_role("heading", name="Which column is what?")).to_be_visible()
    page.get_by_role("button", name="Save dataset").click()
    expect(page.get_by_role("link", name="Train with this")).to_be_visible()


def set_up_job(page: Page, path: Path, **knobs: str) -> None:
    """Up to the Start button."""
    save_dataset(page, path)
    page.get_by_role("link", name="Train with this").click()
    expect(page.get_by_role("heading", name="New job")).to_be_visible()
    open_step(page, "step-data")
    page.locator("#id_task_generate").check()
    open_step(page, "step-model")
    page.get_by_text("Tiny Llama").first.click()
    open_step(page, "step-method")
    page.locator("#id_method_lora").check()
    expect(page.locator("#step-review")).to_contain_text("Trained parameters")
    if knobs:
        open_step(page, "expert")
    for name, value in knobs.items():
        page.locator(f"#id_{name}").fill(value)
        page.locator(f"#id_{name}").blur()
    page.wait_for_timeout(600)
    page.wait_for_load_state("networkidle")


def open_step(page: Page, step: str) -> None:
    page.wait_for_timeout(600)
    page.wait_for_load_state("networkidle")
    details = page.locator(f"#{step}")
    if details.get_attribute("open") is None:
        details.locator("summary").first.click()


def test_from_an_empty_home_to_an_adapter_on_disk(page: Page, rows_file: Path, tmp_path: Path) -> None:
    page.goto("/")
    expect(page.get_by_text("Bring rows")).to_be_visible()

    upload(page, rows_file)
    expect(page.locator("main")).to_contain_text("60 rows")
    expect(page.get_by_label("Input", exact=False).first).to_have_value("word")
    page.get_by_role("button", name="Save dataset").click()
    page.get_by_role("link", name="Statistics").or_(page.get_by_role("tab", name="Statistics")).first.click()
    expect(page.locator("main svg").first).to_be_visible()

    set_up_job(page, rows_file, epochs="4", learning_rate="0.01")
    expect(page.locator("#step-review")).to_contain_text("Rows held out for the verdict")
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url(re.compile(r"/jobs/[0-9a-f-]{36}$"))
    job_url = page.url

    expect(page.locator("canvas").first).to_be_visible(timeout=TRAINING_MILLISECONDS)
    page.goto("/")
    page.goto(job_url)
    expect(page.locator("main")).to_contain_text("held-out rows", timeout=TRAINING_MILLISECONDS)
    expect(page.get_by_role("link", name="Download adapter")).to_be_visible(timeout=TRAINING_MILLISECONDS)
    expect(page.locator("main")).to_contain_text("95 %")

    with page.expect_download() as download:
        page.get_by_role("link", name="Download adapter").click()
    path = tmp_path / "adapter.zip"
    download.value.save_as(path)
    names = {Path(name).name for name in zipfile.ZipFile(path).namelist()}
    assert {"adapter_model.safetensors", "adapter_config.json", "README.md", "manifest.json"} <= names
    page.get_by_role("link", name="Adapter page").click()
    expect(page.locator("main")).to_contain_text("PeftModel")


def test_cancel_ends_a_running_job(page: Page, rows_file: Path) -> None:
    set_up_job(page, rows_file, epochs="100", batch_size="1")
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url(re.compile(r"/jobs/[0-9a-f-]{36}$"))
    expect(page.locator("#job-sentence")).to_contain_text("step", timeout=TRAINING_MILLISECONDS)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel").click()
    confirm = page.locator("dialog[open] button.btn-error, dialog[open] .btn-primary")
    if confirm.count():
        confirm.first.click()
    expect(page.locator("#job-top")).to_have_attribute("data-state", re.compile("^cancelled"), timeout=30_000)


def test_without_the_stream_the_page_polls_to_the_end(page: Page, watched: Watched, rows_file: Path) -> None:
    page.route("**/stream*", lambda route: route.abort())
    set_up_job(page, rows_file, epochs="1")
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url(re.compile(r"/jobs/[0-9a-f-]{36}$"))
    expect(page.get_by_role("link", name="Download adapter")).to_be_visible(timeout=TRAINING_MILLISECONDS)
    watched.complaints = [line for line in watched.complaints if "ERR_FAILED" not in line]


def test_a_bad_file_is_told_with_its_line(page: Page, watched: Watched, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("word,shouted\n" + "a,A\n" * 5 + "b,B,extra\n" + "c,C\n" * 30)
    upload(page, path)
    expect(page.locator("#upload-refused")).to_contain_text("Line 7")
    watched.forgive(status=422)


def test_a_learning_rate_of_nan_is_told_beside_its_field(page: Page, watched: Watched, rows_file: Path) -> None:
    set_up_job(page, rows_file, learning_rate="nan")
    page.get_by_role("button", name="Start training").click()
    expect(page.locator("#id_learning_rate")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#id_learning_rate_error")).to_be_visible()
    assert "/jobs/new" in page.url
    watched.forgive(status=422)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_wider_than_its_window(watched: Watched, scheme: str, width: int) -> None:
    page = watched.context.new_page()
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 900})
    for url in (
        "/",
        "/datasets/",
        "/jobs/",
        "/jobs/new",
        "/models/",
        "/adapters/",
        "/help/",
        "/help/methods",
        "/account",
    ):
        page.goto(url)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, url
