"""All that a job's page shows of its verdict."""

from typing import Any

from webapp.jobs.confusion import confusion_panel
from webapp.jobs.cost_table import cost_table
from webapp.jobs.interval import interval_picture
from webapp.jobs.models import Job
from webapp.jobs.yardstick import yardstick_address, yardstick_of

FIRST_SAMPLES = 6
"""Shown at once; the others are folded."""


def verdict_panel(job: Job) -> dict[str, Any]:
    verdict = job.verdict
    if verdict is None:
        return {"verdict": None}
    yardstick = yardstick_of(job, verdict)
    return {
        "verdict": verdict,
        "picture": interval_picture(verdict.primary),
        "is_right_or_wrong": all(sample.tuned_score in (0, 1) for sample in verdict.samples),
        "first_samples": verdict.samples[:FIRST_SAMPLES],
        "more_samples": verdict.samples[FIRST_SAMPLES:],
        "has_rows": job.held_out_path.exists(),
        "confusion": confusion_panel(verdict.confusion) if verdict.confusion else None,
        "costs": cost_table(job, verdict.cost, yardstick),
        "yardstick": yardstick,
        "yardstick_picture": interval_picture(yardstick.against) if yardstick and yardstick.against else None,
        # What goes on from an adapter holds out other rows than a job that begins with the base would.
        "yardstick_url": "" if yardstick or job.recipe.start_adapter else yardstick_address(job),
        "is_yardstick": job.recipe_json["method"] == "full",
    }
