"""The method picker: what each method can do is seen, the impossible is greyed, and the keyboard is enough."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Watched
from tests.browser.test_browser_journey import open_step, save_dataset
from tests.tiny import capitals


@pytest.fixture
def picker(page: Page, tmp_path: Path) -> Page:
    path = tmp_path / "capitals.csv"
    path.write_text("word,shouted\n" + "".join(f"{one},{two}\n" for one, two in capitals()))
    save_dataset(page, path)
    page.get_by_role("link", name="Train with this").click()
    open_step(page, "step-method")
    return page


def test_badges_tell_what_a_method_can_and_its_fold_what_it_cannot(picker: Page) -> None:
    expect(picker.get_by_role("list", name="LoRA can").get_by_role("listitem")).to_contain_text(["Merges", "GGUF"])
    expect(picker.get_by_role("list", name="Prompt tuning can")).not_to_contain_text("Merges")
    reason = picker.get_by_text("llama.cpp cannot put trained vectors before a text.").first
    expect(reason).to_be_hidden()
    picker.locator("#abilities-prompt_tuning summary").focus()
    picker.keyboard.press("Enter")
    expect(reason).to_be_visible()
    expect(picker.locator("#id_method_lora")).to_be_checked()


def test_a_method_is_chosen_by_keyboard_and_by_any_place_of_its_card(picker: Page) -> None:
    picker.locator("#id_method_lora").focus()
    picker.keyboard.press("ArrowDown")
    expect(picker.locator("#step-method")).to_contain_text("Prompt tuning")
    picker.wait_for_timeout(600)
    picker.wait_for_load_state("networkidle")
    expect(picker.locator("#id_method_prompt_tuning")).to_be_focused()
    expect(picker.locator("#id_method_prompt_tuning")).to_be_checked()
    picker.locator("#about-ia3").click(force=True)  # what is hit is the label, which covers the card
    expect(picker.locator("#id_method_ia3")).to_be_checked()


def test_what_a_model_cannot_do_is_greyed_with_the_reason(picker: Page) -> None:
    open_step(picker, "step-data")
    expect(picker.locator("#id_task_classify")).to_be_disabled()
    expect(picker.get_by_text("The output column does not hold labels")).to_be_visible()


def test_another_dataset_brings_its_task_and_says_so(picker: Page, tmp_path: Path) -> None:
    """Labels must not be trained as answers because a dataset of answers was chosen before."""
    path = tmp_path / "colours.csv"
    path.write_text("thing,colour\n" + "".join(f"thing {i},{('red', 'green')[i % 2]}\n" for i in range(60)))
    address = picker.url
    save_dataset(picker, path)
    picker.goto(address)
    open_step(picker, "step-data")
    expect(picker.locator("#id_task_generate")).to_be_checked()
    picker.locator("#id_dataset").select_option(label="colours v1 (60 rows)")
    expect(picker.locator("#replaced")).to_contain_text("the task is now “Choose a label”")
    expect(picker.locator("#id_task_classify")).to_be_checked()
    picker.locator("#id_task_generate").check()
    expect(picker.locator("#replaced")).to_contain_text("the base model is now “SmolLM2")
    expect(picker.locator("#id_task_generate")).to_be_checked()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_it_fits_into_the_window_with_all_folds_open(watched: Watched, picker: Page, scheme: str, width: int) -> None:
    picker.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    picker.set_viewport_size({"width": width, "height": 900})
    picker.evaluate("document.querySelectorAll('#wizard details').forEach((box) => { box.open = true })")
    assert picker.evaluate("document.documentElement.scrollWidth") <= width
