"""What uploads and datasets can undergo. Whatever fails leaves neither a row nor a file behind."""

import hashlib
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.files.base import File
from django.db import transaction
from django.db.models import ProtectedError

from webapp import storage
from webapp.accounts.models import User
from webapp.audit.recording import about, settle
from webapp.contract.rows import RowProblem
from webapp.datasets.mapping import Mapping
from webapp.datasets.models import Dataset, DatasetVersion, Upload
from webapp.datasets.names import file_name_cleaned
from webapp.datasets.reading.folder import Progress, TableFacts
from webapp.datasets.reading.start import Reading, folder_of, reading_forget, reading_here, reading_of
from webapp.datasets.rows_check import MAX_PROBLEMS, RowsCheck
from webapp.limits.stored import check_room, take_room
from webapp.samples.catalogue import SAMPLES, sample_path

REFUSALS_KEPT = timedelta(days=1)


class MappingRefused(Exception):
    """Rows cannot be used as they are mapped. `num_good` is what would be left without the bad ones."""

    def __init__(self, check: RowsCheck) -> None:
        self.check = check
        self.problems = [check.too_few] if check.too_few and not check.problems else check.problems
        self.num_problems = check.num_problems
        self.num_good = check.num_rows
        self.can_skip = check.too_few is None
        super().__init__(self._message())

    def _message(self) -> str:
        if self.check.too_few:
            return self.check.too_few.message
        rows = "1 row" if self.num_problems == 1 else f"{self.num_problems:,} rows"
        return f"{rows} cannot be used."


class DatasetInUse(Exception):
    """Jobs were started from it, and their pages need it."""

    def __init__(self, jobs: list[str]) -> None:
        self.jobs = jobs
        named = ", ".join(f"“{job}”" for job in jobs[:5]) + (" and more" if len(jobs) > 5 else "")
        super().__init__(f"The dataset stays: {'a job uses' if len(jobs) == 1 else 'jobs use'} it ({named}).")


class NotChecked(Exception):
    """The rows under this mapping were not checked yet, so nothing can be saved."""


def upload_create(owner: User, file: "File[bytes]", name: str) -> Upload:
    """Keep a file as it is. What it holds is not known yet. Raises LimitReached."""
    upload = Upload(owner=owner, file_name=file_name_cleaned(name))
    upload.path.parent.mkdir(parents=True, exist_ok=True)
    part = upload.path.with_suffix(".part")
    try:
        upload.size_bytes, upload.sha256 = _copy(file, part)
        storage.file_settle(part, upload.path)
        with transaction.atomic():
            take_room(owner, upload.size_bytes)
            upload.save(force_insert=True)
            settle(upload)
    except BaseException:
        storage.folder_delete(part)
        storage.folder_delete(upload.path)
        raise
    return upload


def upload_read(upload: Upload, mapping: Mapping | None = None, *, wait: float = 0) -> Reading:
    """What is known of the file by now, with the check of a mapping if one is given. Of a file that turns out to be
    unusable only the reason is kept."""
    if upload.refusal:
        return Reading(TableFacts(refusal=RowProblem.model_validate(upload.refusal)), None, None, Progress())
    reading = reading_of(upload, mapping, wait=wait)
    if reading.facts:
        _note(upload, reading.facts)
    return reading


def upload_noted(upload: Upload) -> Upload:
    """With what its reading told meanwhile, if it has ended."""
    if not upload.is_read and not upload.refusal and (facts := folder_of(upload).facts()):
        _note(upload, facts)
    return upload


def upload_delete(upload: Upload) -> None:
    """Drop a file that became no dataset. Raises ProtectedError if it did."""
    upload_id, path = upload.id, upload.path
    with transaction.atomic():
        about(upload)
        upload.delete()
        settle()
    storage.folder_delete(path)
    reading_forget(upload_id)


def upload_drop(upload: Upload) -> None:
    """Drop a file that turned out to be unusable while it came in: a part of the same request, with no entry of its
    own."""
    upload_id, path = upload.id, upload.path
    upload.delete()
    storage.folder_delete(path)
    reading_forget(upload_id)


def refused_uploads_forget(now: datetime) -> int:
    """Of files that could not be used the reason is shown for a day; returns how many are forgotten."""
    return Upload.objects.filter(created_at__lt=now - REFUSALS_KEPT).exclude(refusal=None).delete()[0]


def dataset_create(
    owner: User, upload: Upload, *, name: str, mapping: Mapping, skip_bad_rows: bool = False
) -> DatasetVersion:
    """A new dataset with its first version. Raises NotChecked, MappingRefused."""
    return _version_store(Dataset(owner=owner, name=name), upload, mapping, skip_bad_rows)


def dataset_version_create(
    dataset: Dataset, upload: Upload, *, mapping: Mapping, skip_bad_rows: bool = False
) -> DatasetVersion:
    """A next version; the latest one again if it holds the very same rows. Raises NotChecked, MappingRefused."""
    return _version_store(dataset, upload, mapping, skip_bad_rows)


def dataset_from_sample(owner: User, sample_id: str) -> Dataset:
    """The person's dataset of this sample, made now unless there is one of its title. Raises KeyError."""
    sample = SAMPLES[sample_id]
    existing = Dataset.objects.filter(owner=owner, name=sample.title).first()
    if existing:
        return existing
    with sample_path(sample_id).open("rb") as file:
        upload = upload_create(owner, File(file), sample.file_name)
    try:
        # The app's own file, so it may be read here.
        facts = reading_here(upload, dict(sample.mapping)).facts
        assert facts is not None
        _note(upload, facts)
        return dataset_create(owner, upload, name=sample.title, mapping=dict(sample.mapping)).dataset
    except BaseException:
        upload_delete(upload)
        raise


def dataset_delete(dataset: Dataset) -> None:
    """Remove a dataset, its versions and the files they came from. Raises DatasetInUse."""
    versions = list(dataset.versions.all())
    paths = [version.rows_path.parent for version in versions]
    try:
        with transaction.atomic():
            about(dataset)
            dataset.delete()
            unused = Upload.objects.filter(id__in=[version.upload_id for version in versions], versions=None)
            uploads = [(upload.id, upload.path) for upload in unused]
            unused.delete()
            settle()
    except ProtectedError as error:
        raise DatasetInUse(sorted(str(item) for item in error.protected_objects)) from error
    for path in paths:
        storage.folder_delete(path)
    for upload_id, path in uploads:
        storage.folder_delete(path)
        reading_forget(upload_id)


def _note(upload: Upload, facts: TableFacts) -> None:
    """Record what reading told, once."""
    if facts.refusal and not upload.is_read:
        upload.refusal = facts.refusal.model_dump()
        upload.size_bytes = 0
        upload.save(update_fields=["refusal", "size_bytes"])
        storage.folder_delete(upload.path)
        reading_forget(upload.id)
    elif not upload.is_read:
        upload.format, upload.columns, upload.num_rows = facts.format, facts.columns, facts.num_rows
        upload.is_read = True
        upload.save(update_fields=["format", "columns", "num_rows", "is_read"])


def _copy(file: "File[bytes]", part: Path) -> tuple[int, str]:
    """Size and sha256 of what was copied."""
    digest = hashlib.sha256()
    size_bytes = 0
    with part.open("xb") as copy:
        for chunk in file.chunks():
            copy.write(chunk)
            digest.update(chunk)
            size_bytes += len(chunk)
    return size_bytes, digest.hexdigest()


def _version_store(dataset: Dataset, upload: Upload, mapping: Mapping, skip_bad_rows: bool) -> DatasetVersion:
    check = upload_read(upload, mapping).check
    if check is None:
        raise NotChecked
    if check.too_few or (check.num_problems and not skip_bad_rows):
        raise MappingRefused(check)
    checked = folder_of(upload).rows_path(mapping)
    if checked.exists():
        # Asked again below; here, so that the checked rows stay where they are for another try.
        check_room(dataset.owner, checked.stat().st_size)
    version_id = uuid.uuid4()
    path = storage.dataset_rows_path(version_id)
    version = DatasetVersion(id=version_id, dataset=dataset, upload=upload, mapping=mapping, **_described(check))
    stored = None
    try:
        _rows_take(checked, path)
        with transaction.atomic():
            take_room(dataset.owner, storage.folder_bytes(path.parent))
            stored = _version_insert(version)
            settle(stored.dataset)
    finally:
        if stored is not version:
            storage.folder_delete(path.parent)
    return stored


def _rows_take(checked: Path, path: Path) -> None:
    """Move the checked rows to where the dataset keeps them. Of two who save them at once, one raises NotChecked."""
    path.parent.mkdir(parents=True)
    try:
        storage.file_settle(checked, path)
    except FileNotFoundError:
        raise NotChecked from None


def _described(check: RowsCheck) -> dict[str, Any]:
    problems: list[RowProblem] = [*check.warnings, *check.problems][:MAX_PROBLEMS]
    return {
        "rows_sha256": check.rows_sha256,
        "num_rows": check.num_rows,
        "num_skipped": check.num_problems,
        "problems": [problem.model_dump() for problem in problems],
        "stats": check.stats,
        "task_guess": "classify" if check.labels else "generate",
    }


def _version_insert(version: DatasetVersion) -> DatasetVersion:
    """The version, or the latest one if that holds the same already and still does."""
    dataset = version.dataset
    if dataset._state.adding:
        dataset.save(force_insert=True)
        version.number = 1
    else:
        latest = dataset.latest
        is_same = (latest.rows_sha256, latest.mapping) == (version.rows_sha256, version.mapping)
        if is_same and not latest.is_damaged:
            return latest
        version.number = latest.number + 1
    version.save(force_insert=True)
    return version
