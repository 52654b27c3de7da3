"""The words that virtual tokens and prefixes may start from."""

from webapp.contract.tasks import Task

START_TEXT: dict[Task, str] = {
    "generate": "Read the input and write exactly the output that belongs to it, nothing else.",
    "classify": "Read the text and choose the one label that fits it best.",
    "transform": "Read the text and turn it into exactly the output that belongs to it.",
}
