"""Where everything lies in the data folder. The only builder of paths; names are ours, never a person's."""

import os
import shutil
from pathlib import Path
from uuid import UUID

from django.conf import settings


def upload_path(upload_id: UUID) -> Path:
    """The file as the person sent it."""
    return _data_dir() / "uploads" / str(upload_id)


def dataset_rows_path(version_id: UUID) -> Path:
    """A dataset version's normalised rows."""
    return _data_dir() / "datasets" / str(version_id) / "rows.parquet"


def job_rows_path(job_id: UUID) -> Path:
    """The job's own copy of the rows, with the side of the split in each."""
    return job_dir(job_id) / "rows.parquet"


def job_dir(job_id: UUID) -> Path:
    """All that belongs to one job; one folder an attempt inside."""
    return _data_dir() / "jobs" / str(job_id)


def attempt_dir(job_id: UUID, attempt: int) -> Path:
    """What the engine is run on. Attempts never share a folder, so a zombie cannot touch its successor's files."""
    return job_dir(job_id) / str(attempt)


def adapter_dir(version_id: UUID) -> Path:
    """A committed adapter version: `files/` as peft reads them, and `adapter.zip` to download."""
    return _data_dir() / "adapters" / str(version_id)


def base_model_dir(model_id: str) -> Path:
    """A starter model, converted and ready."""
    return _data_dir() / "base_models" / model_id


def folder_delete(path: Path) -> None:
    """Remove a folder or file of ours; nothing happens if it is gone already."""
    assert _data_dir() in path.parents
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def file_settle(part: Path, path: Path) -> None:
    """Give a wholly written file its name; after a power cut it is there as a whole or not at all."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)


def _data_dir() -> Path:
    return Path(settings.DATA_DIR)
