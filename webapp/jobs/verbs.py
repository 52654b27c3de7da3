"""What a person can do with a job just now, as the buttons of its page. The services have the last word."""

import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

from django.urls import reverse

from webapp.jobs.checkpoints import newest_step
from webapp.jobs.continuing import START
from webapp.jobs.models import Asked, Job, State

ASKED_WORDS = {
    Asked.CANCEL: "Cancelling",
    Asked.PAUSE: "Pausing",
    Asked.KEEP: "Stopping and keeping",
    Asked.MOVE: "Moving",
}


class Verb(NamedTuple):
    """One button; the first of a page is in sight on a phone, the others in a menu. `is_off`: asked for already."""

    name: str
    label: str
    icon: str
    url: str
    hint: str = ""
    confirm: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    is_link: bool = False
    is_primary: bool = False
    is_off: bool = False


def verbs_of(job: Job, *, is_staff: bool) -> list[Verb]:
    if job.is_over:
        return list(_of_ended(job))
    if job.state == State.FINALIZING:
        return []
    return [_as_asked(verb, job) for verb in _of_unfinished(job, is_staff=is_staff) if _still_goes(verb, job)]


def retry_verb(job: Job, *, is_primary: bool = False) -> Verb:
    """The same once more, from where it stood."""
    step = newest_step(job)
    hint = f"The same rows and settings; it goes on from step {step}." if step else "The same rows and settings."
    label = f"Retry from step {step}" if step else "Retry"
    return Verb("retry", label, "refresh-cw", _url("job-retry", job), hint, fields=(_key(),), is_primary=is_primary)


def _of_unfinished(job: Job, *, is_staff: bool) -> Iterator[Verb]:
    if job.state == State.PAUSED:
        step = newest_step(job)
        hint = f"It goes on from step {step}." if step else "It goes back into the queue."
        yield Verb("resume", "Resume", "play", _url("job-resume", job), hint, is_primary=True)
    else:
        hint = "It saves a checkpoint, frees the worker, and goes on when you resume it."
        yield Verb("pause", "Pause", "pause", _url("job-pause", job), hint)
    if job.state == State.RUNNING:
        yield Verb(
            "keep",
            "Stop and keep",
            "square",
            _url("job-keep", job),
            hint="Training ends now; what it has learnt is measured and kept.",
            confirm="Stop training now and keep what it has learnt? It is measured on the held-out rows and saved as "
            "an adapter. The remaining steps are not trained.",
        )
    yield Verb(
        "cancel", "Cancel", "x", _url("job-cancel", job), confirm="Cancel this job? Nothing of it is kept."
    )  # fmt: skip
    if job.is_active and is_staff:
        hint = "It saves a checkpoint and goes on at another worker."
        yield Verb("move", "Move to another worker", "arrow-right", _url("job-move-away", job), hint)


def _of_ended(job: Job) -> Iterator[Verb]:
    version: Any = getattr(job, "adapter_version", None)
    if version:
        download = reverse("adapter-download", args=[version.id])
        page = f"{reverse('adapter-detail', args=[version.adapter_id])}?version={version.number}"
        yield Verb("download", "Download adapter", "download", download, is_link=True, is_primary=True)
        yield Verb("adapter", "Adapter page", "sprout", page, is_link=True)
        onward = f"{reverse('job-new')}?{START}={version.id}"
        yield Verb("continue", "Continue training", "git-branch", onward, "A new job starts from it.", is_link=True)
    if job.state != State.SUCCEEDED:
        again = retry_verb(job, is_primary=job.state == State.CANCELLED)
        yield again
        if again.label != "Retry":
            hint = "The same rows and settings, without its checkpoints."
            fields = (("from_start", "yes"), _key())
            yield Verb("restart", "Retry from the beginning", "rotate-ccw", again.url, hint, fields=fields)
    changes = f"{reverse('job-new')}?from={job.id}"
    yield Verb("changes", "Train again with changes", "pencil", changes, is_link=True)
    if not version:
        sure = "Delete this job with its log and curves? This cannot be undone."
        yield Verb("delete", "Delete", "trash-2", _url("job-delete", job), confirm=sure)


def _still_goes(verb: Verb, job: Job) -> bool:
    """A cancel stands: nothing else can be asked after it."""
    return job.asked != Asked.CANCEL or verb.name == "cancel"


def _as_asked(verb: Verb, job: Job) -> Verb:
    return verb._replace(label=ASKED_WORDS[Asked(job.asked)], is_off=True) if verb.name == job.asked else verb


def _url(name: str, job: Job) -> str:
    return reverse(name, args=[job.id])


def _key() -> tuple[str, str]:
    """New with each view of the page: a double click makes one job, another visit may make another."""
    return ("idempotency_key", uuid.uuid4().hex)
