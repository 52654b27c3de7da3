"""The audit log in Chromium on the real server: what an admin does is in it, and every entry can be checked."""

from pathlib import Path

import httpx
from playwright.sync_api import Page, expect

from tests.stack import RunningStack


def test_what_a_person_does_is_in_the_log_and_the_log_can_be_checked(page: Page, stack: RunningStack) -> None:
    page.goto("/workers/add")
    page.get_by_label("Name").fill("audited-box")
    page.get_by_role("button", name="Add and show the command").click()
    page.locator("summary[aria-label^='Your account']").click()
    page.get_by_role("link", name="Audit log").click()
    row = page.get_by_role("row").filter(has_text="audited-box").first
    expect(row).to_contain_text("worker.add")
    expect(row).to_contain_text("127.0.0.1")
    page.get_by_role("link", name="Check every entry").click()
    expect(page.get_by_role("status")).to_contain_text("are there and unchanged")
    page.get_by_label("Action").select_option("worker.add")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("row").filter(has_text="audited-box")).to_have_count(1)
    expect(page.get_by_role("row").filter(has_text="sign-in")).to_have_count(0)


def test_a_search_can_be_taken_along_as_a_file(page: Page, tmp_path: Path) -> None:
    page.goto("/audit/?action=one-time-link.use")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    download.value.save_as(tmp_path / "audit.csv")
    lines = (tmp_path / "audit.csv").read_text().splitlines()
    assert lines[0].startswith("number,at,") and len(lines) == 2 and "one-time-link.use" in lines[1]


def test_a_stranger_leaves_one_entry_for_a_failed_sign_in_and_none_for_a_look(stack: RunningStack, page: Page) -> None:
    with httpx.Client(base_url=stack.url) as stranger:
        stranger.get("/sign-in")
        token = stranger.cookies["csrftoken"]
        fields = {"username": "nobody-here", "password": "wrong", "csrfmiddlewaretoken": token}
        assert stranger.post("/sign-in", data=fields).status_code == 200
        assert stranger.get("/jobs/").status_code == 302
    page.goto("/audit/?actor=nobody-here")
    expect(page.get_by_role("row").filter(has_text="nobody-here")).to_have_count(1)
    expect(page.get_by_role("row").filter(has_text="nobody-here")).to_contain_text("Refused")
