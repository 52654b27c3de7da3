"""The tasks we train for."""

from typing import Literal, get_args

Task = Literal["generate", "classify", "transform"]

TASKS: tuple[Task, ...] = get_args(Task)

TASK_WORDS: dict[Task, tuple[str, str]] = {
    "generate": ("Write an answer", "The model reads the input and writes the output, word by word."),
    "classify": (
        "Choose a label",
        "The model reads the input and picks one of the outputs seen in training.",
    ),
    "transform": (
        "Turn one text into another",
        "An encoder reads the whole input, then a decoder writes the output: translate, correct, shorten.",
    ),
}
"""Task -> (short label, sentence)."""
