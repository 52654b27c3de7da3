"""A job held against full fine-tuning of the same rows, where its owner has trained that as well."""

import logging
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from webapp.contract.held_out import read_held_out
from webapp.contract.verdict import Comparison, Verdict
from webapp.jobs.models import Job, State
from webapp.jobs.paired import Labelled, macro_f1_gain, mean, paired_interval
from webapp.jobs.smaller import form_address
from webapp.shown import difference_in, percent

log = logging.getLogger(__name__)

AS_GOOD_AS = 0.02
"""Within this, both ways and with 95 % confidence, an adapter is called as good as full fine-tuning."""


class Yardstick(NamedTuple):
    """`against` compares full fine-tuning (as the base) with the job; None where that
    cannot be done row by row."""

    job: Job
    verdict: Verdict
    against: Comparison | None
    sentence: str


class Paired(NamedTuple):
    """What of a comparison comes from the rows; named as there."""

    low: float
    high: float
    num_rows: int
    wins: int
    ties: int
    losses: int


def yardstick_of(job: Job, verdict: Verdict) -> Yardstick | None:
    """None where there is none to compare with, and for full fine-tuning itself."""
    full = None if job.recipe_json["method"] == "full" else full_job_like(job)
    if full is None or (full_verdict := full.verdict) is None:
        return None
    against = _compare(job, verdict, full, full_verdict)
    return Yardstick(full, full_verdict, against, _sentence(against, verdict))


def full_job_like(job: Job) -> Job | None:
    """The owner's newest full fine-tuning of the same rows on the same sides, from the same base model."""
    alike = Job.objects.filter(
        owner_id=job.owner_id,
        state=State.SUCCEEDED,
        verdict_json__isnull=False,
        dataset_version_id=job.dataset_version_id,
        base_model_id=job.base_model_id,
        split_sha256=job.split_sha256,
        recipe_json__method="full",
        recipe_json__task=job.recipe_json["task"],
    )
    return alike.order_by("-finished_at").first()


def yardstick_address(job: Job) -> str:
    """The page “New job”, filled in so that it trains what is missing, with Auto for every knob."""
    recipe = job.recipe
    return form_address(
        {
            "dataset": str(job.dataset_version_id),
            "task": recipe.task,
            "base_model": recipe.base_model,
            "method": "full",
            "name": f"{job.name[:70]}, full fine-tuning",
        }
    )


def _compare(job: Job, verdict: Verdict, full: Job, full_verdict: Verdict) -> Comparison | None:
    own, yard = verdict.primary, full_verdict.primary
    if own.metric != yard.metric:
        return None
    try:
        paired = _paired(job.held_out_path, full.held_out_path, own.metric)
    except (OSError, ValueError) as error:
        log.warning("jobs %s and %s cannot be compared row by row: %s", job.id, full.id, error)
        return None
    figures = {"base": yard.tuned, "tuned": own.tuned, "difference": own.tuned - yard.tuned}
    return own.model_copy(update={**figures, **paired._asdict()})


@lru_cache(maxsize=128)
def _paired(own_path: Path, full_path: Path, metric: str) -> Paired:
    """Kept, since what a job that is over has written stays as it is. Raises OSError, ValueError."""
    own, full = list(read_held_out(own_path)), list(read_held_out(full_path))
    if not own or [(row.line, row.expected) for row in own] != [(row.line, row.expected) for row in full]:
        raise ValueError("they were not measured on the same rows")
    gains = [mine.tuned_score - theirs.tuned_score for mine, theirs in zip(own, full, strict=True)]
    if metric == "macro_f1":
        labelled = [Labelled(mine.expected, mine.tuned, theirs.tuned) for mine, theirs in zip(own, full, strict=True)]
        low, high = paired_interval(labelled, macro_f1_gain)
    else:
        low, high = paired_interval(gains, mean)
    wins, losses = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    return Paired(low, high, num_rows=len(own), wins=wins, ties=len(own) - wins - losses, losses=losses)


def _sentence(against: Comparison | None, verdict: Verdict) -> str:
    weights = f"trains {percent(verdict.cost.trainable_params / verdict.cost.total_params)} of the weights"
    if against is None:
        return (
            f"The two cannot be compared row by row, so nobody can tell how sure the difference is. This one {weights}."
        )
    points, low, high = (difference_in(value, against) for value in (against.difference, against.low, against.high))
    told = f"{points} points, 95 % interval {low} to {high}"
    if against.low >= -AS_GOOD_AS and against.high <= AS_GOOD_AS:
        opening = "Within 2 points of full fine-tuning"
    elif against.low > 0:
        opening = "Better than full fine-tuning"
    elif against.high < 0:
        opening = "Full fine-tuning is better"
    else:
        opening = "No clear difference to full fine-tuning"
    return f"{opening} ({told}). This one {weights}."
