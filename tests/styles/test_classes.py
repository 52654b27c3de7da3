"""Which words count as classes."""

from pathlib import Path

from webapp.styles.classes import used_classes


def classes_in(tmp_path: Path, html: str = "", script: str = "") -> list[str]:
    (tmp_path / "page.html").write_text(html)
    (tmp_path / "page.js").write_text(script)
    return used_classes(tmp_path, tmp_path)


def test_class_attributes_count_and_prose_does_not(tmp_path: Path) -> None:
    assert classes_in(tmp_path, '<p class="a b-c">hidden table</p>') == ["a", "b-c"]


def test_both_sides_of_a_condition_count(tmp_path: Path) -> None:
    assert classes_in(tmp_path, '<p class="a {% if x == 1 %}b{% else %}c{% endif %} {{ d }}">') == ["a", "b", "c"]


def test_words_handed_to_a_fragment_count(tmp_path: Path) -> None:
    html = '{% include "_icon.html" with class="size-5 text-error" %}'
    assert classes_in(tmp_path, html) == ["_icon.html", "size-5", "text-error"]


def test_strings_of_scripts_count(tmp_path: Path) -> None:
    assert classes_in(tmp_path, script="el.className = 'a b'; // c\n x = `d`;") == ["a", "b", "d"]
