"""What to try after a failure: settings to change, as the page “New job” takes them."""

from typing import NamedTuple
from urllib.parse import urlencode

from django.urls import reverse

from webapp.contract.methods import knobs_of
from webapp.contract.recipe import Recipe
from webapp.jobs.knob_text import knob_text
from webapp.jobs.models import Job


class Remedy(NamedTuple):
    """`sentence` says what is changed; `url` opens the page “New job” with it."""

    sentence: str
    url: str


def remedy_of(job: Job) -> Remedy | None:
    """None where only a person can tell what to change."""
    code = (job.error or {}).get("code", "")
    changed = _changed(code, job)
    if changed is None:
        return None
    knobs = {knob.name: knob for knob in knobs_of(job.recipe.method)}
    before = job.recipe.knobs
    words = [
        f"{knobs[name].label} {knob_text(knobs[name], before[name])} → {knob_text(knobs[name], value)}"
        for name, value in changed.items()
    ]
    fields = {"from": str(job.id), **{name: knob_text(knobs[name], value) for name, value in changed.items()}}
    sentence = f"{', '.join(words)}; all else stays." if words else "The same settings once more."
    return Remedy(sentence, f"{reverse('job-new')}?{urlencode(fields)}")


def _changed(code: str, job: Job) -> dict[str, int | float] | None:
    recipe = job.recipe
    if code == "loss_not_finite":
        return {"learning_rate": max(recipe.number("learning_rate") / 10, 1e-6)}
    if code == "out_of_memory" or (code == "crashed" and "memory" in (job.error or {}).get("message", "")):
        return _smaller(recipe)
    if code in ("worker_lost", "storage", "storage_full", "crashed"):
        return {}
    return None


def _smaller(recipe: Recipe) -> dict[str, int | float]:
    """Half the rows a step, or where one row a step was too much, half the longest row."""
    if recipe.whole("batch_size") > 1:
        return {"batch_size": recipe.whole("batch_size") // 2}
    return {"max_length": max(recipe.whole("max_length") // 2, 16)}
