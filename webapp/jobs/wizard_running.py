"""The drawer “How it is queued and run” of the page “New job”, and what the review says of it."""

import uuid
from typing import Any, NamedTuple

from webapp.clock import database_now
from webapp.contract.methods import Knob
from webapp.jobs.accept import goes_on_from
from webapp.jobs.checkpoints import newest_step
from webapp.jobs.forms import JobForm
from webapp.jobs.models import Job
from webapp.jobs.placing import why_no_worker
from webapp.jobs.queue_panel import priority_choices
from webapp.jobs.wish_fields import MEMORY, PROCESSES, TIME_LIMIT, wish_words
from webapp.workers.models import Worker


class WishNumber(NamedTuple):
    knob: Knob
    sent: str
    errors: list[str]
    unsaid: str
    """What holds where the field is empty."""


def running_context(form: JobForm) -> dict[str, Any]:
    return {
        "priorities": priority_choices(form.wishes.priority, form.user.is_staff),
        "labels_sent": _as_text(form.sent.get("needs_labels")),
        "wish_numbers": [_number(knob, form) for knob in (PROCESSES, MEMORY, TIME_LIMIT)],
        "wish_words": wish_words(form.wishes),
        "waits_because": _waits_because(form),
        "goes_on_step": _goes_on_step(form),
        "idempotency_key": uuid.uuid4().hex,
    }


def _number(knob: Knob, form: JobForm) -> WishNumber:
    unsaid = "1" if knob == PROCESSES else "none"
    return WishNumber(knob, _as_text(form.sent.get(knob.name)), form.errors.get(knob.name, []), unsaid)


def _as_text(sent: object) -> str:
    return "" if sent is None else ", ".join(map(str, sent)) if isinstance(sent, list) else str(sent)[:400]


def _waits_because(form: JobForm) -> str:
    """Why no worker could take such a job just now; empty where one could."""
    wishes = form.wishes
    job = Job(
        needs_labels=wishes.needs_labels,
        needs_memory_bytes=wishes.needs_memory_bytes,
        num_processes=wishes.num_processes,
    )
    why = why_no_worker(job, Worker.objects.online(database_now())) or ""
    return why[:1].lower() + why[1:]


def _goes_on_step(form: JobForm) -> int:
    """Where a job of which nothing that is trained was changed goes on; 0: it begins anew."""
    chosen = form.version and form.task and form.base_model and form.method
    if form.parent is None or not chosen or not form.is_valid or form.version is None:
        return 0
    return newest_step(form.parent) if goes_on_from(form.parent, form.version, form.recipe()) else 0
