"""Whatever a person calls something, in Markdown it stays the text of one line."""

import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from webapp.contract.markdown import code_block, code_span, escape, one_line, yaml_text

EVIL = [
    "x\n\n```python\nimport os\n```\n",
    "<script>alert(1)</script>",
    "a | b",
    "[here](https://evil.example)",
    "![picture](//evil.example/a.png)",
    "https://evil.example and www.evil.example and a@evil.example",
    "**bold** _soft_ ~~gone~~ `code` &amp; # no heading",
    "\\` \\\\",
    "```",
    "line\u2028other\x00end\r\n# heading",
]
TEXTS = st.one_of(st.sampled_from(EVIL), st.text())


@given(TEXTS)
def test_escaped_text_is_the_text_of_its_line(text: str) -> None:
    html = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(f"Called {escape(text)}.")
    (inline,) = [block for block in html if block.type == "inline"]
    assert {child.type for child in inline.children or []} <= {"text", "text_special"}
    assert "".join(child.content for child in inline.children or []) == f"Called {one_line(text)}."


@given(TEXTS)
def test_a_code_span_holds_the_text_and_nothing_else(text: str) -> None:
    (_open, inline, _close) = MarkdownIt("commonmark").parse(f"Base {code_span(text) if one_line(text) else '``'} end")
    if one_line(text):
        (span,) = [child for child in inline.children or [] if child.type == "code_inline"]
        assert span.content.strip() == one_line(text)


@given(TEXTS)
def test_nothing_in_a_block_of_code_ends_it(text: str) -> None:
    code = f"labels = {[text]!r}\n{text!r}\n```\n~~~"
    (fence, *rest) = MarkdownIt("commonmark").parse(code_block(code, "python") + "\n\nafter")
    assert (fence.type, fence.info, fence.content) == ("fence", "python", code + "\n")
    assert [token.type for token in rest] == ["paragraph_open", "inline", "paragraph_close"]


@given(TEXTS)
def test_the_front_matter_reads_back_as_the_text(text: str) -> None:
    assert yaml.safe_load(f"base_model: {yaml_text(text)}\ntags: []") == {"base_model": one_line(text), "tags": []}


def test_a_bare_address_becomes_no_link() -> None:
    links = "https://evil.example and www.evil.example and a@evil.example"
    assert escape(links) == "https\\://evil.example and www\\.evil.example and a\\@evil.example"
