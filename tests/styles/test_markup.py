"""What the content security policy forbids is in no template, and nothing is loaded from elsewhere."""

import re

import pytest
from django.conf import settings

TEMPLATES = sorted((settings.BASE_DIR / "templates").rglob("*.html"))

FORBIDDEN = {
    "a style attribute": r"<[^>]*\sstyle\s*=",
    "a style element": r"<style\b",
    "a script without src": r"<script(?![^>]*\bsrc=)(?![^>]*type=\"application/json\")",
    "an event attribute": r"<[^>]*\son[a-z]+\s*=",
    "something from elsewhere": r"(?:src|href)\s*=\s*[\"'](?:https?:)?//",
    "unescaped text": r"\|\s*safe\b|autoescape off",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_template_holds(what: str) -> None:
    assert TEMPLATES
    found = [path.name for path in TEMPLATES if re.search(FORBIDDEN[what], path.read_text("utf-8"))]
    assert found == []


def test_the_policy_allows_no_inline_script() -> None:
    directives = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    assert directives["default-src"] == ["'self'"]
    assert not {"script-src", "style-src"} & set(directives)
