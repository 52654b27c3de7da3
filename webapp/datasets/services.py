"""What uploads and datasets can undergo. Whatever fails leaves neither a row nor a file behind."""

import hashlib
import uuid
from pathlib import Path
from typing import Any, NamedTuple

from django.core.files.base import File
from django.db import transaction
from django.db.models import ProtectedError

from webapp import storage
from webapp.accounts.models import User
from webapp.audit.recording import about, settle
from webapp.contract.rows import RowProblem
from webapp.datasets.mapping import Mapping, is_chat_name
from webapp.datasets.models import Dataset, DatasetVersion, Upload
from webapp.datasets.names import file_name_cleaned
from webapp.datasets.readers import Source, read_rows, source_of
from webapp.datasets.readers.record import refusal
from webapp.datasets.rows_check import MAX_PROBLEMS, RowsCheck, rows_check
from webapp.datasets.rows_file import rows_writer
from webapp.samples.catalogue import SAMPLES, sample_path

MAX_ROWS = 2_000_000


class MappingRefused(Exception):
    """Rows cannot be used as they are mapped. `num_good` is what would be left without the bad ones."""

    def __init__(self, check: RowsCheck) -> None:
        self.check = check
        self.problems = [check.too_few] if check.too_few and not check.problems else check.problems
        self.num_problems = check.num_problems
        self.num_good = check.stats.num_rows
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


class _Content(NamedTuple):
    columns: list[str]
    num_rows: int


def upload_create(owner: User, file: "File[bytes]", name: str) -> Upload:
    """Keep a file that can be read to its end. Raises FileRefused."""
    upload = Upload(owner=owner, file_name=file_name_cleaned(name))
    upload.path.parent.mkdir(parents=True, exist_ok=True)
    part = upload.path.with_suffix(".part")
    try:
        upload.size_bytes, upload.sha256 = _copy(file, part)
        source = source_of(part, upload.file_name)
        upload.format = source.format
        upload.columns, upload.num_rows = _content_of(source)
        storage.file_settle(part, upload.path)
        with transaction.atomic():
            upload.save(force_insert=True)
            settle(upload)
    except BaseException:
        storage.folder_delete(part)
        storage.folder_delete(upload.path)
        raise
    return upload


def upload_delete(upload: Upload) -> None:
    """Drop a file that became no dataset. Raises ProtectedError if it did."""
    path = upload.path
    with transaction.atomic():
        about(upload)
        upload.delete()
        settle()
    storage.folder_delete(path)


def upload_source(upload: Upload) -> Source:
    return source_of(upload.path, upload.file_name)


def dataset_create(
    owner: User, upload: Upload, *, name: str, mapping: Mapping, skip_bad_rows: bool = False
) -> DatasetVersion:
    """A new dataset with its first version. Raises MappingRefused."""
    return _version_store(Dataset(owner=owner, name=name), upload, mapping, skip_bad_rows)


def dataset_version_create(
    dataset: Dataset, upload: Upload, *, mapping: Mapping, skip_bad_rows: bool = False
) -> DatasetVersion:
    """A next version; the latest one again if it holds the very same rows. Raises MappingRefused."""
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
            paths += [upload.path for upload in unused]
            unused.delete()
            settle()
    except ProtectedError as error:
        raise DatasetInUse(sorted(str(item) for item in error.protected_objects)) from error
    for path in paths:
        storage.folder_delete(path)


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


def _content_of(source: Source) -> _Content:
    """Reads the file to its end, so that nothing in it comes as a surprise later. Raises FileRefused."""
    columns: dict[str, None] = {}
    num_rows = 0
    for record in read_rows(source):
        num_rows += 1
        if len(record.values) != len(columns) or not record.values.keys() <= columns.keys():
            columns.update(dict.fromkeys(record.values))
        if num_rows > MAX_ROWS:
            message = f"The file has more than {MAX_ROWS:,} rows."
            raise refusal("too_many_rows", message, "Upload a part of them.", line=record.line)
    names = list(columns)
    if len(names) == 1 and not is_chat_name(names[0]) and not isinstance(record.values[names[0]], list):
        raise refusal(
            "one_column",
            f"The file has a single column, “{names[0]}”; an input and an output are needed.",
            "Separate columns by comma, semicolon, tab or bar. A single column of conversations is called messages.",
            column=names[0],
        )
    return _Content(names, num_rows)


def _version_store(dataset: Dataset, upload: Upload, mapping: Mapping, skip_bad_rows: bool) -> DatasetVersion:
    version_id = uuid.uuid4()
    path = storage.dataset_rows_path(version_id)
    with rows_writer(path) as rows:
        check = rows_check(upload_source(upload), mapping, rows.add)
        if check.too_few or (check.num_problems and not skip_bad_rows):
            raise MappingRefused(check)
    version = DatasetVersion(
        id=version_id, dataset=dataset, upload=upload, mapping=mapping, rows_sha256=rows.sha256, **_described(check)
    )
    stored = None
    try:
        with transaction.atomic():
            stored = _version_insert(version)
            settle(stored.dataset)
    finally:
        if stored is not version:
            storage.folder_delete(path.parent)
    return stored


def _described(check: RowsCheck) -> dict[str, Any]:
    problems: list[RowProblem] = [*check.stats.warnings(), *check.problems][:MAX_PROBLEMS]
    return {
        "num_rows": check.stats.num_rows,
        "num_skipped": check.num_problems,
        "problems": [problem.model_dump() for problem in problems],
        "stats": check.stats.as_json(),
        "task_guess": "classify" if check.stats.labels else "generate",
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
