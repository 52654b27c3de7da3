"""What a failed job's page says: what happened in plain words, and the one thing to do about it."""

from typing import NamedTuple

from django.urls import reverse

from webapp.contract.failures import FAILURES, FailureKind
from webapp.jobs.models import Job
from webapp.jobs.remedy import Remedy, remedy_of
from webapp.jobs.verbs import Verb, retry_verb

_LATER = FailureKind(
    "The job failed",
    "The reason was told by another version of Graftwork, which this one does not know.",
    "Read the message and the log below, then train again with changes.",
)


class FailureCard(NamedTuple):
    """`message` and `evidence` are this job's own; `fix` or else `verb` is the primary action."""

    code: str
    kind: FailureKind
    message: str
    evidence: str
    fix: Remedy | None
    verb: Verb | None


def failure_card(job: Job) -> FailureCard:
    error = job.error or {}
    code = str(error.get("code", ""))
    fix = remedy_of(job)
    return FailureCard(
        code=code,
        kind=next((kind for known, kind in FAILURES.items() if known == code), _LATER),
        message=str(error.get("message", "")),
        evidence=str(error.get("evidence", "")),
        fix=fix,
        verb=None if fix else _way_on(code, job),
    )


def _way_on(code: str, job: Job) -> Verb:
    """Where no setting is to blame: the data, the base model, or simply once more."""
    if code == "data":
        dataset = reverse("dataset-detail", args=[job.dataset_version.dataset_id])
        return Verb("dataset", "Look at the dataset", "database", dataset, is_link=True)
    if code == "base_model":
        return Verb("base-models", "Look at the base models", "box", reverse("base-model-list"), is_link=True)
    if code in FAILURES and code != "template":
        return retry_verb(job)
    return Verb("again", "Train again with changes", "pencil", f"{reverse('job-new')}?from={job.id}", is_link=True)
