"""Which classes the pages use. Only these go into the stylesheet, whatever else the templates say in prose."""

import re
from pathlib import Path

_TAG = re.compile(r"\{[%{#].*?[#%}]\}", re.DOTALL)
_CLASS_ATTRIBUTE = re.compile(r"""\bclass\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_STRING = re.compile(r""""([^"\n]*)"|'([^'\n]*)'|`([^`]*)`""")


def used_classes(templates: Path, scripts: Path) -> list[str]:
    """Every word of a class attribute, of a string inside a template tag, or of a string in our scripts; sorted."""
    words: set[str] = set()
    for path in templates.rglob("*.html"):
        words |= _words_of_template(path.read_text("utf-8"))
    for path in scripts.glob("*.js"):
        words |= _words(_STRING, path.read_text("utf-8"))
    return sorted(words)


def _words_of_template(text: str) -> set[str]:
    tags = " ".join(_TAG.findall(text))
    return _words(_CLASS_ATTRIBUTE, _TAG.sub(" ", text)) | _words(_STRING, tags)


def _words(pattern: re.Pattern[str], text: str) -> set[str]:
    return {word for groups in pattern.findall(text) for found in groups for word in found.split()}
