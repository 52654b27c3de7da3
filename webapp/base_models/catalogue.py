"""What the catalogue shows of a base model: what it is for, what each method would train of it, who may remove it."""

from typing import NamedTuple

from webapp.accounts.models import User
from webapp.base_models.models import BaseModel
from webapp.contract.capabilities import impossible
from webapp.contract.costs import Costs, costs_of
from webapp.contract.memory_estimate import memory_bytes
from webapp.contract.methods import METHODS, KnobValue, Method
from webapp.contract.model_shape import FAMILY_WORDS, ModelShape
from webapp.contract.presets import auto_knobs
from webapp.contract.split import split_sizes
from webapp.contract.tasks import TASK_WORDS, Task
from webapp.contract.work import Work

_ROWS, _LABELS = 1_000, 2
"""What the sizes are told for: they hardly depend on it."""
MEMORY_TOKENS = 256
"""Of the longest row: what memory is told for, as it depends on it. Auto's batch size comes with it."""


class MethodLine(NamedTuple):
    """A method on this model, with Auto: for its first task, and which others it can be trained for."""

    method: Method
    task_words: list[str]
    costs: Costs
    memory_bytes: int
    """At the peak, on a processor, for rows of up to `MEMORY_TOKENS`."""

    @property
    def memory_words(self) -> str:
        """An estimate, so no more figures than it is worth."""
        return f"about {self.memory_bytes / 1e9:.1f} GB"


class ModelCard(NamedTuple):
    """A base model with what can be done with it."""

    model: BaseModel
    shape: ModelShape
    family_words: str
    task_words: list[str]
    methods: list[MethodLine]
    memory_tokens: int
    batch_size: int
    """What the memory of its methods is told for."""
    may_remove: bool


def model_card(model: BaseModel, user: User) -> ModelCard:
    shape = model.shape
    return ModelCard(
        model=model,
        shape=shape,
        family_words=FAMILY_WORDS[shape.family],
        task_words=[TASK_WORDS[task][0] for task in model.tasks],
        methods=[line for method in METHODS.values() if (line := _method_line(method, model.tasks, shape))],
        memory_tokens=_longest(shape),
        batch_size=int(auto_knobs("lora", model.tasks[0], shape, _ROWS)["batch_size"]),
        may_remove=may_remove(model, user),
    )


def may_remove(model: BaseModel, user: User) -> bool:
    """Starters stay. A folder is an admin's to take away, a fetched model also its fetcher's."""
    if model.starter:
        return False
    return user.is_staff or (bool(model.hub_id) and model.fetched_by_id == user.pk)


def _method_line(method: Method, tasks: tuple[Task, ...], shape: ModelShape) -> MethodLine | None:
    able = [task for task in tasks if impossible(method.name, shape.family, task) is None]
    if not able:
        return None
    knobs = auto_knobs(method.name, able[0], shape, _ROWS)
    costs = costs_of(method.name, knobs, shape, task=able[0], num_labels=_LABELS)
    memory = _memory(method, able[0], shape, knobs)
    return MethodLine(method, [TASK_WORDS[task][0] for task in able], costs, memory)


def _memory(method: Method, task: Task, shape: ModelShape, knobs: dict[str, KnobValue]) -> int:
    longest = _longest(shape)
    work = Work(
        task=task,
        method=method.name,
        knobs=knobs,
        shape=shape,
        num_labels=_LABELS if task == "classify" else 0,
        sizes=split_sizes(_ROWS),
        mean_tokens=longest / 2,
        longest_tokens=longest,
        answer_tokens=1 if task == "classify" else longest // 4,
    )
    return memory_bytes(work, "cpu")


def _longest(shape: ModelShape) -> int:
    return min(MEMORY_TOKENS, shape.max_length)
