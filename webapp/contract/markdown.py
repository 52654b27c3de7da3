"""Text that a person or a stranger's file may choose, made safe to stand in Markdown: it stays text, on one line."""

import json
import re

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~!&$])")
_LINK = re.compile(r"(://|\bwww\.|@)", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
_FENCE = re.compile(r"`+")


def one_line(text: str) -> str:
    """The text with any white space and what cannot be printed as single spaces."""
    return _SPACE.sub(" ", "".join(letter if letter.isprintable() else " " for letter in text)).strip()


def escape(text: str) -> str:
    """For running text and table cells: neither markup, HTML nor a link that is made of a bare address."""
    safe = _MARKUP.sub(r"\\\1", one_line(text))
    return _LINK.sub(lambda found: re.sub(r"([:.@])", r"\\\1", found[0]), safe)


def code_span(text: str) -> str:
    """As code in a line. No escapes are read there, so that the marks around it are longer than any within."""
    line = one_line(text)
    marks = "`" * (_longest_run(line) + 1)
    # One space on either side is taken away again, and keeps a backtick at the edge from joining the marks.
    return f"{marks} {line} {marks}" if "`" in line else f"`{line}`"


def code_block(code: str, language: str) -> str:
    """Lines of code in a fence that nothing in them can close."""
    fence = "`" * max(3, _longest_run(code) + 1)
    return f"{fence}{language}\n{code.rstrip()}\n{fence}"


def yaml_text(text: str) -> str:
    """A value of the front matter: every JSON text is a YAML text."""
    return json.dumps(one_line(text), ensure_ascii=False)


def _longest_run(text: str) -> int:
    return max((len(run) for run in _FENCE.findall(text)), default=0)
