"""What a person may choose on the form “New job”; what is another's, or no id at all, is as if it were not there."""

import uuid

from django.db.models import QuerySet

from webapp.accounts.models import User
from webapp.datasets.models import Dataset, DatasetVersion
from webapp.jobs.models import Job


def versions_of(user: User) -> QuerySet[DatasetVersion]:
    mine = Dataset.objects.visible_to(user)
    return DatasetVersion.objects.filter(dataset__in=mine).select_related("dataset__owner").order_by("-created_at")


def job_of(user: User, word: object) -> Job | None:
    job_id = uuid_of(word)
    return Job.objects.visible_to(user).filter(id=job_id).first() if job_id else None


def uuid_of(word: object) -> uuid.UUID | None:
    try:
        return uuid.UUID(word) if isinstance(word, str) else None
    except ValueError:
        return None
