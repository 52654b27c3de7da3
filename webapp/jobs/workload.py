"""A job in the numbers that its estimate is made of: rows, and tokens of each."""

from collections.abc import Mapping

from webapp.base_models.models import BaseModel
from webapp.contract.methods import KnobValue
from webapp.contract.split import SplitSizes
from webapp.contract.tasks import Task
from webapp.contract.work import Work
from webapp.datasets.models import DatasetVersion
from webapp.errands.models import Errand, Kind, State

CHARACTERS_A_TOKEN = 3.5
"""Of English; a little few for most models, so that an estimate is rather too high."""
TEMPLATE_TOKENS = 30
"""Of a chat template around a row."""
MOST_ANSWER_TOKENS = 256


def work_of(
    version: DatasetVersion,
    base_model: BaseModel,
    *,
    task: Task,
    method: str,
    knobs: Mapping[str, KnobValue],
    sizes: SplitSizes,
    num_processes: int = 1,
) -> Work:
    """Lengths are those counted for the preview where somebody looked at it, else guessed from characters."""
    answer = 1 if task == "classify" else _tokens(version, "output", "longest")
    mean, longest = _counted(version, base_model, task) or _guessed(version, task)
    return Work(
        task=task,
        method=method,
        knobs=knobs,
        shape=base_model.shape,
        num_labels=len(version.labels) if task == "classify" else 0,
        sizes=sizes,
        mean_tokens=max(1.0, mean),
        longest_tokens=max(1, longest),
        answer_tokens=max(1, min(answer, MOST_ANSWER_TOKENS)),
        num_processes=num_processes,
    )


def _guessed(version: DatasetVersion, task: Task) -> tuple[float, int]:
    """Mean and longest."""
    around = TEMPLATE_TOKENS if task == "generate" else 2
    read = [around + _tokens(version, "input", which) for which in ("mean", "longest")]
    if task == "generate":
        read = [one + _tokens(version, "output", which) for one, which in zip(read, ("mean", "longest"), strict=True)]
    return float(read[0]), read[1]


def _tokens(version: DatasetVersion, role: str, which: str) -> int:
    num_characters: float = version.stats.get("lengths", {}).get(role, {}).get(which, 0)
    return round(num_characters / CHARACTERS_A_TOKEN)


def _counted(version: DatasetVersion, base_model: BaseModel, task: Task) -> tuple[float, int] | None:
    """Mean and longest by the model's own tokenizer."""
    answers = Errand.objects.filter(
        kind=Kind.PREVIEW,
        state=State.DONE,
        payload__dataset_version=str(version.id),
        payload__base_model=base_model.id,
        payload__task=task,
    )
    told = answers.order_by("-created_at").values_list("result__mean_tokens", "result__max_tokens").first()
    return (float(told[0]), int(told[1])) if told and told[0] is not None and told[1] is not None else None
