"""A long file: the page shows how far its reading is, goes on by itself, and lets other columns be chosen meanwhile."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.stack import RunningStack
from webapp.datasets.reading import start

NUM_ROWS = 30_000
CSV = "number,question,answer\n" + "".join(f"{n},question {n},answer {n}\n" for n in range(NUM_ROWS))


@contextmanager
def places_taken(stack: RunningStack) -> Iterator[None]:
    """As if other people's files were being read."""
    (stack.home / "run").mkdir(exist_ok=True)
    held = [_taken(stack.home / "run" / f"reading-{number}.lock") for number in range(start.NUM_AT_ONCE)]
    try:
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)


def _taken(path: Path) -> int:
    """Once the child that holds it has ended."""
    while (descriptor := start._locked(path)) is None:
        time.sleep(0.05)
    return descriptor


def test_a_file_is_read_while_one_watches(stack: RunningStack, page: Page, tmp_path: Path) -> None:
    (tmp_path / "tickets.csv").write_text(CSV)
    with places_taken(stack):
        page.goto("/datasets/")
        page.locator("input[type=file]").set_input_files(tmp_path / "tickets.csv")
        expect(page.get_by_text("Waiting to read the file")).to_be_visible()
        page.goto("/datasets/")
        expect(page.get_by_text("not read yet")).to_be_visible()
        page.get_by_role("link", name="See progress").click()
        expect(page.get_by_role("heading", name="Reading the file")).to_be_visible()
    expect(page.get_by_role("heading", name="Which column is what?")).to_be_visible()
    expect(page.get_by_text("Rows that can be used")).to_be_visible()
    with places_taken(stack):
        page.get_by_label("Output").select_option("number")
        expect(page.get_by_text("Waiting to read the file")).to_be_visible()
        page.get_by_label("Input").select_option("answer")
        expect(page.get_by_role("button", name="Save dataset")).to_have_count(0)
    expect(page.get_by_text("Rows that can be used")).to_be_visible()
    expect(page.locator("#check").get_by_text("30,000").first).to_be_visible()
    page.get_by_role("button", name="Save dataset").click()
    expect(page.get_by_text("is saved with 30,000 rows")).to_be_visible()


def test_a_file_that_turns_out_to_be_broken_says_where(stack: RunningStack, page: Page, tmp_path: Path) -> None:
    (tmp_path / "broken.csv").write_text(CSV + "1,2\n")
    with places_taken(stack):
        page.goto("/datasets/")
        page.locator("input[type=file]").set_input_files(tmp_path / "broken.csv")
        expect(page.get_by_text("Waiting to read the file")).to_be_visible()
    expect(page.get_by_text("Line 30002: The row has 2 cells")).to_be_visible()
    expect(page.get_by_role("heading", name="This file cannot be used")).to_be_visible()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("broken.csv is removed")).to_be_visible()
