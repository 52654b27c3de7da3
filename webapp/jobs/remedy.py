"""What to change after a failure: settings, as the page “New job” takes them."""

import math
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from django.urls import reverse

from webapp.contract.methods import OPTIMIZER, KnobValue, knobs_of
from webapp.contract.recipe import Recipe
from webapp.jobs.calibration import foretold_of
from webapp.jobs.knob_text import knob_text
from webapp.jobs.models import Job
from webapp.jobs.wish_fields import LONGEST_HOURS, TIME_LIMIT
from webapp.shown import duration

RESERVE = 1.5
"""What a new time limit allows, as a multiple of the estimate: estimates err, and a second stop would help nobody."""


class Remedy(NamedTuple):
    """`sentence` says what is changed; `url` opens the page “New job” with it."""

    sentence: str
    url: str


def remedy_of(job: Job) -> Remedy | None:
    """None where no setting is to blame."""
    code = (job.error or {}).get("code", "")
    if code == "loss_not_finite":
        return _with_knobs(job, {"learning_rate": max(job.recipe.number("learning_rate") / 10, 1e-6)})
    if code == "out_of_memory":
        return _with_knobs(job, _smaller(job.recipe))
    if code == "worker_lacks":
        return _with_knobs(job, _without_extras(job.recipe))
    if code == "time_limit" and job.time_limit_seconds:
        return _with_more_time(job)
    return None


def _with_knobs(job: Job, changed: Mapping[str, KnobValue]) -> Remedy:
    knobs = {knob.name: knob for knob in knobs_of(job.recipe.method)}
    before = {name: job.recipe.value(knobs[name]) for name in changed}
    texts = {name: knob_text(knobs[name], value) for name, value in changed.items()}
    words = [f"{knobs[name].label} {knob_text(knobs[name], before[name])} → {text}" for name, text in texts.items()]
    return Remedy(f"{', '.join(words)}; all else stays.", _url(job, texts))


def _with_more_time(job: Job) -> Remedy:
    """Twice the time, or what the estimate on the job's page says with a reserve, whichever is more."""
    before = job.time_limit_seconds / 3600
    estimate = foretold_of(job)
    needed = estimate.seconds * RESERVE / 3600 if estimate else 0.0
    # Up to a tenth of an hour: a time limit need not be exact, and is easier to read.
    hours = min(max(before * 2, math.ceil(needed * 10) / 10), LONGEST_HOURS)
    why = f" (estimated: {duration(estimate.seconds)})" if estimate and hours > before * 2 else ""
    sentence = (
        f"{TIME_LIMIT.label} {before:.4g} h → {hours:.4g} h{why}; all else stays, and it goes on from its last "
        "checkpoint."
    )
    return Remedy(sentence, _url(job, {TIME_LIMIT.name: knob_text(TIME_LIMIT, hours)}))


def _without_extras(recipe: Recipe) -> dict[str, str]:
    """What any worker can do: settings that need a library of their own are taken back."""
    quantised = {"quantised": "no"} if recipe.knobs.get("quantised") == "4bit" else {}
    optimizer = {OPTIMIZER.name: "adamw"} if recipe.value(OPTIMIZER) != "adamw" or not quantised else {}
    return {**quantised, **optimizer}


def _smaller(recipe: Recipe) -> dict[str, int | float]:
    """Half the rows a step, or where one row a step was too much, half the longest row."""
    if recipe.whole("batch_size") > 1:
        return {"batch_size": recipe.whole("batch_size") // 2}
    return {"max_length": max(recipe.whole("max_length") // 2, 16)}


def _url(job: Job, texts: Mapping[str, str]) -> str:
    return f"{reverse('job-new')}?{urlencode({'from': str(job.id), **texts})}"
