"""Clock times are those of whoever reads, wherever the server is."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from playwright.sync_api import Page, expect

from tests.browser.test_browser_journey import set_up_job

TOKYO = ZoneInfo("Asia/Tokyo")


def test_an_expected_end_is_told_in_the_reader_s_time(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "words.csv"
    path.write_text("word,shouted\n" + "".join(f"word {number},WORD {number}\n" for number in range(60)))
    zone = page.context.new_cdp_session(page)
    zone.send("Emulation.setTimezoneOverride", {"timezoneId": TOKYO.key})
    set_up_job(page, path)
    end = page.locator("#expected time")
    expect(end).to_be_visible()
    at = datetime.fromisoformat(str(end.get_attribute("datetime"))).astimezone(TOKYO)
    assert at.utcoffset() != datetime.fromisoformat(str(end.get_attribute("datetime"))).utcoffset()
    assert str(end.text_content()).endswith(f"{at:%H:%M}")
