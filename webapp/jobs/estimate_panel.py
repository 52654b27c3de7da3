"""What the review of the page “New job” says before a start: does it fit, when would it be done, and what would full
fine-tuning of the same rows take."""

import math
from datetime import datetime, timedelta
from typing import NamedTuple

from webapp.clock import database_now
from webapp.contract.capabilities import impossible
from webapp.contract.costs import Costs, costs_of
from webapp.contract.methods import METHODS
from webapp.contract.work import Hardware, Work
from webapp.jobs.calibration import Foretold, correction_for, foretold
from webapp.jobs.estimates import (
    COMFORTABLE,
    Place,
    best_place,
    foretold_anywhere,
    memory_that_sorts,
    places_of,
    workers_for,
)
from webapp.jobs.forms import CHOICES, JobForm
from webapp.jobs.knob_text import is_auto
from webapp.jobs.smaller import Offer, form_address, offers
from webapp.jobs.waiting import new_job_starts_in
from webapp.jobs.wish_fields import MEMORY, WISHES
from webapp.jobs.workload import work_of
from webapp.workers.models import Worker


class Side(NamedTuple):
    """One column of the comparison with full fine-tuning."""

    foretold: Foretold
    costs: Costs


class EstimatePanel(NamedTuple):
    """`best` is where it would most likely run, None without workers; `starts_in_seconds` None where it cannot be
    told. `full` is None where full fine-tuning is chosen, or cannot be."""

    foretold: Foretold
    own: Side
    full: Side | None
    places: list[Place]
    """Workers that may take the job, by what its person asked for."""
    none_may: bool
    """Workers are online, and none of them has what was asked for."""
    best: Place | None
    starts_in_seconds: float | None
    ends_at: datetime | None
    offers: list[Offer]
    only_where_it_fits: str
    """The address of the form with the wish that keeps it off workers that are too small; empty where none is."""

    @property
    def fits_nowhere(self) -> bool:
        return bool(self.places) and all(place.fitting == "too_large" for place in self.places)


def estimate_panel(form: JobForm) -> EstimatePanel | None:
    """None where something is not chosen yet, or a setting is wrong."""
    work = _work(form)
    if work is None or form.base_model is None:
        return None
    model_id, now = form.base_model.id, database_now()
    wishes = form.wishes
    workers = workers_for(now, wishes.needs)
    places = places_of(work, model_id, workers)
    best = best_place(places)
    told = best.foretold if best else foretold_anywhere(work, model_id)
    fits = best is not None and best.fitting != "too_large"
    starts_in = new_job_starts_in(form.user, workers, wishes.num_processes) if fits else None
    return EstimatePanel(
        foretold=told,
        own=Side(told, _costs(work)),
        full=_full(form, told.hardware),
        places=places,
        none_may=not workers and Worker.objects.online(now).exists(),
        best=best,
        starts_in_seconds=starts_in,
        ends_at=None if starts_in is None else now + timedelta(seconds=starts_in + told.seconds),
        offers=_offers(form, work, best) if best and best.fitting != "fits" else [],
        only_where_it_fits=_only_where_it_fits(form, work, places),
    )


def _work(form: JobForm, method: str = "") -> Work | None:
    """Of another method with its Auto, where one is named."""
    if not (form.version and form.task and form.base_model and form.method and form.sizes):
        return None
    own = {knob for knob in form.errors if knob in form.auto}
    if own:
        return None
    knobs = form.auto_of(METHODS[method]) if method else form.knobs
    return work_of(
        form.version, form.base_model, task=form.task, method=method or form.method.name, knobs=knobs, sizes=form.sizes,
        num_processes=form.wishes.num_processes,
    )  # fmt: skip


def _costs(work: Work) -> Costs:
    return costs_of(work.method, work.knobs, work.shape, task=work.task, num_labels=work.num_labels)


def _full(form: JobForm, hardware: Hardware) -> Side | None:
    work = _work(form, "full")
    if work is None or form.base_model is None or (form.method and form.method.name == "full"):
        return None
    if impossible("full", work.shape.family, work.task):
        return None
    correction = correction_for(form.base_model.id, "full", hardware.kind)
    return Side(foretold(work, hardware, correction), _costs(work))


def _offers(form: JobForm, work: Work, best: Place) -> list[Offer]:
    """Changes after which it fits where it is too large now, foretold with the same corrections."""
    assert form.base_model
    hardware = best.foretold.hardware
    factors = {method: correction_for(form.base_model.id, method, hardware.kind) for method in {work.method, "lora"}}

    def fits(after: Work) -> bool:
        told = foretold(after, hardware, factors[after.method])
        return told.memory_bytes <= COMFORTABLE * best.memory_bytes

    may_change = form.start is None and impossible("lora", work.shape.family, work.task) is None
    lora = _work(form, "lora") if may_change else None
    fixed = form.start.fixed if form.start else ()
    return offers(work, fits, _fields(form, work), lora.knobs if lora else {}, fixed)


def _only_where_it_fits(form: JobForm, work: Work, places: list[Place]) -> str:
    enough = memory_that_sorts(places)
    if enough is None or form.wishes.needs_memory_bytes:
        return ""
    # Rounded down: the worker it was read from must still have it.
    return form_address({**_fields(form, work), MEMORY.name: f"{math.floor(enough / 1e8) / 10:g}"})


def _fields(form: JobForm, work: Work) -> dict[str, str]:
    """What is filled in, as an address holds it, with the choices that were only suggested."""
    kept = {*CHOICES, *WISHES, *form.auto, "parent"}
    sent = {name: str(value) for name, value in form.sent.items() if name in kept and not is_auto(value)}
    assert form.version and form.base_model
    made = {"dataset": str(form.version.id), "base_model": form.base_model.id, "task": work.task, "method": work.method}
    return {**sent, **made}
