"""The fields of the page “New job” that lead to an earlier job's choices again."""

from collections.abc import Mapping

from webapp.accounts.models import User
from webapp.contract.methods import Knob, KnobValue, knobs_of
from webapp.contract.recipe import Recipe
from webapp.jobs.continuing import START
from webapp.jobs.forms import PARENT, JobForm
from webapp.jobs.knob_text import knob_text
from webapp.jobs.models import Job
from webapp.jobs.wish_fields import fields_of, wishes_of


def fields_from_job(job: Job, user: User) -> dict[str, object]:
    """What one would choose to train the same again."""
    recipe = job.recipe
    chosen: dict[str, object] = {"name": job.name, "dataset": str(job.dataset_version_id), PARENT: str(job.id)}
    if recipe.start_adapter is not None:
        chosen[START] = recipe.start_adapter
    blank = JobForm(user, {**chosen, **fields_from(recipe, recipe.knobs)}, is_draft=True)
    wishes = fields_of(wishes_of(job), is_staff=user.is_staff)
    return {**chosen, **fields_from(recipe, blank.auto), **wishes}


def fields_from(recipe: Recipe, auto: Mapping[str, KnobValue]) -> dict[str, object]:
    """The fields that lead to a recipe again: a knob is named where it differs from Auto."""
    knobs: dict[str, Knob] = {knob.name: knob for knob in knobs_of(recipe.method)}
    turned = {
        name: knob_text(knobs[name], value)
        for name, value in recipe.knobs.items()
        if name in knobs and value != auto.get(name)
    }
    return {"task": recipe.task, "base_model": recipe.base_model, "method": recipe.method, **turned}
