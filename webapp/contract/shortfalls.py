"""Where a method fell short on our own rows: what the picker and the help page say of it beside its merits.

Filled from the table that `python -m tests.bench presets` makes; a method that holds what it promises is not in it.
"""

from webapp.contract.tasks import Task

SHORTFALLS: dict[tuple[str, Task], str] = {}
"""(method, task) -> a sentence with the figures, and the rows and the base model they were measured on."""


def shortfall(method: str, task: Task | None) -> str:
    """Empty where nothing fell short, or no task is chosen yet."""
    return SHORTFALLS.get((method, task), "") if task else ""


def shortfalls_of(method: str) -> list[str]:
    """Of every task, in the table's order."""
    return [sentence for (name, _task), sentence in SHORTFALLS.items() if name == method]
