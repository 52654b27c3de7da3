"""What a finished job took, line by line, beside full fine-tuning of the same rows: measured, or else estimated."""

from typing import NamedTuple

from webapp.contract.capabilities import impossible
from webapp.contract.costs import costs_of
from webapp.contract.presets import auto_knobs
from webapp.contract.split import SplitSizes
from webapp.contract.verdict import Cost
from webapp.contract.work import Hardware
from webapp.jobs.calibration import correction_for, foretold, hardware_of
from webapp.jobs.models import Job
from webapp.jobs.workload import work_of
from webapp.jobs.yardstick import Yardstick
from webapp.shown import duration, megabytes, percent, short_count


class Line(NamedTuple):
    label: str
    own: str
    full: str = ""


class CostTable(NamedTuple):
    """`full_is` heads the second column: how it was come by. Empty where there is none: for full fine-tuning itself."""

    lines: list[Line]
    full_is: str


class _Figures(NamedTuple):
    """Of one column, as shown; empty where nobody knows."""

    training: str
    total: str
    tokens: str
    speed: str
    memory: str
    trained: str
    result: str
    energy: str


_LABELS = _Figures(
    training="Training",
    total="In all, with measuring",
    tokens="Tokens trained on",
    speed="Tokens per second",
    memory="Memory, at most",
    trained="Trained weights",
    result="Result on the disk",
    energy="Energy of the GPU",
)


def cost_table(job: Job, cost: Cost, yardstick: Yardstick | None) -> CostTable:
    own = _measured(cost)
    full = _measured(yardstick.verdict.cost) if yardstick else _estimated(job)
    if full is None:
        return CostTable([Line(*line) for line in zip(_LABELS, own, strict=True) if line[1]], "")
    lines = [Line(label, mine, theirs or "–") for label, mine, theirs in zip(_LABELS, own, full, strict=True) if mine]
    return CostTable(lines, "measured" if yardstick else "estimated")


def _measured(cost: Cost) -> _Figures:
    return _Figures(
        training=duration(cost.train_seconds),
        total=duration(cost.total_seconds),
        tokens=short_count(cost.tokens),
        speed=f"{cost.tokens_per_second:,.0f}",
        memory=megabytes(cost.peak_memory_bytes),
        trained=_trained(cost.trainable_params, cost.total_params),
        result=megabytes(cost.adapter_bytes),
        energy="" if cost.energy_wh is None else f"{cost.energy_wh:.1f} Wh",
    )


def _estimated(job: Job) -> _Figures | None:
    """With Auto for every knob, on what the job itself ran on. None where full fine-tuning is the job itself, or
    cannot be."""
    recipe, shape = job.recipe, job.base_model.shape
    if recipe.method == "full" or impossible("full", shape.family, recipe.task):
        return None
    sizes = SplitSizes(**job.split)
    knobs = auto_knobs("full", recipe.task, shape, sizes.train)
    work = work_of(job.dataset_version, job.base_model, task=recipe.task, method="full", knobs=knobs, sizes=sizes)
    hardware = hardware_of(job) or Hardware("cpu")
    told = foretold(work, hardware, correction_for(job.base_model_id, "full", hardware.kind))
    costs = costs_of("full", knobs, shape, task=recipe.task, num_labels=work.num_labels)
    return _Figures(
        training="",
        total=f"at most {duration(told.seconds)}",
        tokens="",
        speed="",
        memory=megabytes(told.memory_bytes),
        trained=_trained(costs.trainable_params, costs.total_params),
        result=megabytes(costs.adapter_bytes),
        energy="",
    )


def _trained(trainable: int, total: int) -> str:
    return f"{short_count(trainable)} ({percent(trainable / total)})"
