"""What goes together: why a task, base model or method cannot be chosen. Pages grey by it, services refuse by it.

Each function gives the reason in a sentence, or None where the choice is fine.
"""

from webapp.base_models.models import BaseModel
from webapp.contract.capabilities import impossible
from webapp.contract.methods import METHODS, Method
from webapp.contract.tasks import TASK_WORDS, Task
from webapp.datasets.models import DatasetVersion


def task_problem(task: Task, version: DatasetVersion) -> str | None:
    if task == "classify" and version.is_chat:
        return "Chat rows have no labels. Choose the task “Write an answer”."
    if task == "transform" and version.is_chat:
        return "Chat rows have several turns. Choose the task “Write an answer”."
    if task == "classify" and len(version.labels) < 2:
        return "The output column does not hold labels: two to a hundred different short texts are needed."
    return None


def base_model_problem(base_model: BaseModel, task: Task) -> str | None:
    if task not in base_model.tasks:
        can = " and ".join(TASK_WORDS[able][0].lower() for able in base_model.tasks)
        return f"{base_model.title} cannot do this task; it can {can}. Choose another base model or task."
    return None


def method_problem(method: Method, base_model: BaseModel, task: Task) -> str | None:
    return impossible(method.name, base_model.shape.family, task)


def method_suggested(base_model: BaseModel | None, task: Task | None) -> Method | None:
    """The first of the catalogue that works here."""
    if base_model is None or task is None:
        return None
    return next((method for method in METHODS.values() if not method_problem(method, base_model, task)), None)
