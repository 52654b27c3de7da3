"""What the list of datasets shows."""

from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.core.paginator import Paginator
from django.db.models import Max, Prefetch

from webapp.accounts.models import User
from webapp.contract.tasks import TASK_WORDS
from webapp.datasets.models import Dataset, DatasetVersion, Upload
from webapp.datasets.services import upload_noted
from webapp.samples.catalogue import SAMPLES

PAGE_SIZE = 50


class Line(NamedTuple):
    """A dataset with its latest version. `last_used_at` is when the latest job was started from it."""

    dataset: Dataset
    version: DatasetVersion
    task: str
    last_used_at: datetime | None


def listing(user: User, page_number: str | None = None) -> dict[str, Any]:
    newest_first = DatasetVersion.objects.select_related("upload").order_by("-number")
    datasets = (
        Dataset.objects.visible_to(user)
        .select_related("owner")
        .annotate(last_used_at=Max("versions__jobs__created_at"))
        .prefetch_related(Prefetch("versions", queryset=newest_first))
        .order_by("-created_at")
    )
    waiting = Upload.objects.visible_to(user).filter(versions=None).order_by("-created_at")
    page = Paginator(datasets, PAGE_SIZE).get_page(page_number)
    lines = [
        Line(dataset, version, TASK_WORDS[version.task][0], dataset.last_used_at)  # type: ignore[attr-defined]
        for dataset in page
        for version in dataset.versions.all()[:1]
    ]
    return {
        "page": page,
        "lines": lines,
        "waiting": [upload_noted(upload) for upload in waiting[:10]],
        "samples": SAMPLES.values(),
        "limit_bytes": settings.UPLOAD_LIMIT_BYTES,
    }
