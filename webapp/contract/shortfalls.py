"""Where a method fell short on our own rows: what the picker and the help page say of it beside its merits.

Filled from the table that `python -m tests.bench presets` makes; a method that holds what it promises is not in it.
"""

from webapp.contract.tasks import Task

SHORTFALLS: dict[tuple[str, Task], str] = {
    ("lora", "generate"): (
        "Less than full fine-tuning on our own rows: 85 % against 88 % on dates, 65 % against 70 % on "
        "past tenses (SmolLM2 135M, 200 rows each)."
    ),
    ("prompt_tuning", "generate"): (
        "Less than full fine-tuning on our own rows: 55 % against 88 % on dates, 57 % against 70 % on "
        "past tenses (SmolLM2 135M, 200 rows each)."
    ),
    ("p_tuning", "generate"): (
        "Less than full fine-tuning on our own rows: 60 % against 88 % on dates (SmolLM2 135M, 200 rows)."
    ),
    ("prefix_tuning", "generate"): (
        "Less than full fine-tuning on our own rows: 52 % against 88 % on dates, 57 % against 70 % on "
        "past tenses (SmolLM2 135M, 200 rows each)."
    ),
    ("bottleneck", "generate"): (
        "Less than full fine-tuning on our own rows: 68 % against 70 % on past tenses (SmolLM2 135M, 200 rows)."
    ),
    ("freezing", "generate"): (
        "Less than full fine-tuning on our own rows: 30 % against 88 % on dates, 45 % against 70 % on "
        "past tenses (SmolLM2 135M, 200 rows each)."
    ),
    ("lora", "classify"): (
        "Less than full fine-tuning on our own rows: 66 % against 72 % on kinds of names (MiniLM, 300 rows)."
    ),
    ("prompt_tuning", "classify"): (
        "Less than full fine-tuning on our own rows: 61 % against 81 % on word classes (MiniLM, 300 rows)."
    ),
    ("p_tuning", "classify"): (
        "Less than full fine-tuning on our own rows: 50 % against 81 % on word classes (MiniLM, 300 rows), where one "
        "of three runs did not clearly beat the base."
    ),
    ("bottleneck", "classify"): (
        "Less than full fine-tuning on our own rows: 67 % against 72 % on kinds of names (MiniLM, 300 rows)."
    ),
}
"""(method, task) -> a sentence with the figures, and the rows and the base model they were measured on."""


def shortfall(method: str, task: Task | None) -> str:
    """Empty where nothing fell short, or no task is chosen yet."""
    return SHORTFALLS.get((method, task), "") if task else ""


def shortfalls_of(method: str) -> list[str]:
    """Of every task, in the table's order."""
    return [sentence for (name, _task), sentence in SHORTFALLS.items() if name == method]
