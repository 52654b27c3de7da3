"""What a job may be called."""

import re

from django.utils.text import Truncator

from webapp.jobs.knob_text import is_auto

LONGEST_NAME = 100

_CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")
"""Control characters, line breaks, those that turn the direction of text, and halves of characters."""


def name_suggested(dataset_name: str) -> str:
    return Truncator(dataset_name).chars(LONGEST_NAME)


def name_read(sent: object) -> tuple[str, list[str]]:
    """The name, and what is wrong with it."""
    if is_auto(sent):
        return "", ["Give the job a name; its adapter will be called the same."]
    if not isinstance(sent, str):
        return "", ["The name must be a text."]
    name = sent.strip()
    problems = []
    if len(name) > LONGEST_NAME:
        problems.append(f"The name has {len(name)} characters; {LONGEST_NAME} are the most.")
    if _CONTROL.search(name):
        problems.append("The name holds a line break or a character that cannot be shown. Remove it.")
    return name, problems
