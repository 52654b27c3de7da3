"""Estimates corrected by what finished jobs measured, and how far earlier estimates turned out to be off."""

import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db.models import F
from pydantic import BaseModel as Validated
from pydantic import ConfigDict, ValidationError

from webapp.contract.memory_estimate import memory_bytes
from webapp.contract.split import SplitSizes
from webapp.contract.time_estimate import work_seconds
from webapp.contract.verdict import Cost
from webapp.contract.work import Hardware, Kind, Work
from webapp.jobs.models import Job, JobQuerySet, State

NUM_EARLIER = 20


class Foretold(Validated):
    """Kept with a job. The factors are what the plain arithmetic was multiplied by at the time; the errors are shares
    that half of the earlier estimates kept within, None where none can be held against a finished job."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Kind
    threads: int = 1
    flops_a_second: float = 0.0
    memory_bytes: int
    seconds: float
    """At most: ending early saves some of it."""
    memory_factor: float = 1.0
    seconds_factor: float = 1.0
    memory_error: float | None = None
    seconds_error: float | None = None
    num_jobs: int = 0
    """Finished jobs that it was corrected by; 0: a rough guess."""
    mean_tokens: float
    longest_tokens: int
    answer_tokens: int

    @property
    def hardware(self) -> Hardware:
        return Hardware(self.kind, self.threads, self.flops_a_second)


class Correction(NamedTuple):
    memory: float = 1.0
    seconds: float = 1.0
    memory_error: float | None = None
    seconds_error: float | None = None
    num_jobs: int = 0


class Measured(NamedTuple):
    """Of a finished job: what it took as a multiple of the plain arithmetic, and the factors foretold for that."""

    memory: float
    seconds: float
    foretold: Foretold


def foretold(work: Work, hardware: Hardware, correction: Correction) -> Foretold:
    return Foretold(
        kind=hardware.kind,
        threads=hardware.threads,
        flops_a_second=hardware.flops_a_second,
        memory_bytes=round(memory_bytes(work, hardware.kind) * correction.memory),
        seconds=work_seconds(work, hardware) * correction.seconds,
        memory_factor=correction.memory,
        seconds_factor=correction.seconds,
        memory_error=correction.memory_error,
        seconds_error=correction.seconds_error,
        num_jobs=correction.num_jobs,
        mean_tokens=work.mean_tokens,
        longest_tokens=work.longest_tokens,
        answer_tokens=work.answer_tokens,
    )


def foretold_of(job: Job) -> Foretold | None:
    """None for jobs of an older version, and for those that went on from a checkpoint."""
    try:
        return Foretold.model_validate(job.estimate_json)
    except ValidationError:
        return None


def hardware_of(job: Job) -> Hardware | None:
    """What it ran on; None where that is not known: it has not begun, or is of an older version."""
    if str(job.live.get("device", "")).startswith("cuda"):
        return Hardware("gpu")
    threads = job.live.get("threads", 0)
    if not threads:
        return None
    told = foretold_of(job)
    # A job that began cold has not measured its processor; it was foretold for one that is most likely the same.
    flops = job.live.get("flops_a_second", 0.0) or (told.flops_a_second if told else 0.0)
    return Hardware("cpu", threads, flops)


def correction_for(base_model_id: str, method: str, kind: Kind) -> Correction:
    """By the last finished jobs of the same base model and method; where there is none of the same base model; else
    of the same kind of device."""
    finished = Job.objects.filter(state=State.SUCCEEDED, verdict_json__isnull=False, estimate_json__isnull=False)
    # What several processes took is what the first one measured, and depends on how they are wired.
    finished = finished.filter(num_processes=1)
    finished = finished.filter(live__device__startswith="cuda" if kind == "gpu" else "cpu")
    of_model = finished.filter(base_model_id=base_model_id)
    for alike in (of_model.filter(recipe_json__method=method), of_model, finished):
        if measured := _measured(alike):
            return _correction(measured)
    return Correction()


def _measured(jobs: JobQuerySet) -> list[Measured]:
    newest = jobs.select_related("base_model", "dataset_version").order_by(F("finished_at").desc())
    # A verdict holds the held-out rows as well; only its cost is wanted.
    jobs_with_cost: Any = newest.defer("verdict_json").annotate(cost=F("verdict_json__cost"))
    return [one for job in jobs_with_cost[:NUM_EARLIER] if (one := _held_against(job, job.cost))]


def _held_against(job: Job, cost: object) -> Measured | None:
    """Time by the tokens really trained on, since training may have ended early."""
    told, hardware = foretold_of(job), hardware_of(job)
    if told is None or hardware is None:
        return None
    took = Cost.model_validate(cost)
    recipe = job.recipe
    work = Work(
        task=recipe.task,
        method=recipe.method,
        knobs=recipe.knobs,
        shape=job.base_model.shape,
        num_labels=len(job.dataset_version.labels) if recipe.task == "classify" else 0,
        sizes=SplitSizes(**job.split),
        mean_tokens=told.mean_tokens,
        longest_tokens=told.longest_tokens,
        answer_tokens=told.answer_tokens,
    )
    plain = work_seconds(work, hardware, tokens=took.tokens)
    return Measured(took.peak_memory_bytes / memory_bytes(work, hardware.kind), took.total_seconds / plain, told)


def _correction(measured: Sequence[Measured]) -> Correction:
    return Correction(
        memory=statistics.median(one.memory for one in measured),
        seconds=statistics.median(one.seconds for one in measured),
        memory_error=statistics.median(abs(one.memory / one.foretold.memory_factor - 1) for one in measured),
        seconds_error=statistics.median(abs(one.seconds / one.foretold.seconds_factor - 1) for one in measured),
        num_jobs=len(measured),
    )
