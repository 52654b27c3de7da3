"""How many bytes of uploads and datasets are one person's."""

from django.db.models import Sum

from webapp import storage
from webapp.datasets.models import DatasetVersion, Upload


def bytes_of_datasets(user_id: int) -> int:
    """A dataset is the folder of each of its versions, which holds a few files."""
    uploads = Upload.objects.filter(owner_id=user_id).aggregate(total=Sum("size_bytes"))["total"] or 0
    versions = DatasetVersion.objects.filter(dataset__owner_id=user_id).values_list("id", flat=True)
    return int(uploads) + sum(storage.folder_bytes(storage.dataset_rows_path(version).parent) for version in versions)
