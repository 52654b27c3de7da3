"""The committed stylesheet is the one the pages need."""

from pathlib import Path

import pytest

from webapp.styles.stylesheet import DAISYUI, STYLESHEET, stamp, stylesheet_build


def test_it_was_made_from_the_present_templates_scripts_and_rules() -> None:
    first_line = STYLESHEET.read_text("utf-8").split("\n", 1)[0]
    assert first_line == stamp(), "Something of the look changed: run `python -m webapp.styles`, commit what it writes."


def test_it_asks_for_nothing_from_elsewhere() -> None:
    css = STYLESHEET.read_text("utf-8")
    assert "@import" not in css
    assert "url(http" not in css and "url(//" not in css


@pytest.mark.slow
def test_making_it_again_gives_the_same_bytes(tmp_path: Path) -> None:
    assert stylesheet_build(tmp_path / f"styles-{DAISYUI}") == STYLESHEET.read_text("utf-8")
