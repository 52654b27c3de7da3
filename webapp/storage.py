"""Where everything lies in the data folder. The only builder of paths; names are ours, never a person's."""

import contextlib
import errno
import os
import shutil
import tempfile
from pathlib import Path
from uuid import UUID, uuid4

from django.conf import settings

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def uploads_dir() -> Path:
    return _data_dir() / "uploads"


def datasets_dir() -> Path:
    return _data_dir() / "datasets"


def jobs_dir() -> Path:
    return _data_dir() / "jobs"


def adapters_dir() -> Path:
    return _data_dir() / "adapters"


def errands_dir() -> Path:
    return _data_dir() / "errands"


def errand_dir(errand_id: UUID, attempt: int) -> Path:
    """What an errand's child is run on; gone once it has ended."""
    return errands_dir() / f"{errand_id}.{attempt}"


def upload_path(upload_id: UUID) -> Path:
    """The file as the person sent it."""
    return uploads_dir() / str(upload_id)


def upload_reading_dir(upload_id: UUID) -> Path:
    """What was read from the file, as a cache: see webapp/datasets/reading."""
    return uploads_dir() / f"{upload_id}.reading"


def dataset_rows_path(version_id: UUID) -> Path:
    """A dataset version's normalised rows."""
    return datasets_dir() / str(version_id) / "rows.parquet"


def job_rows_path(job_id: UUID) -> Path:
    """The job's own copy of the rows, with the side of the split in each."""
    return job_dir(job_id) / "rows.parquet"


def job_dir(job_id: UUID) -> Path:
    """All that belongs to one job; one folder an attempt inside."""
    return jobs_dir() / str(job_id)


def job_start_dir(job_id: UUID) -> Path:
    """The job's own copy of the adapter that it goes on from."""
    return job_dir(job_id) / "start_adapter"


def attempt_dir(job_id: UUID, attempt: int) -> Path:
    """What the engine is run on. Attempts never share a folder, so a zombie cannot touch its successor's files."""
    return job_dir(job_id) / str(attempt)


def adapter_dir(version_id: UUID) -> Path:
    """A committed adapter version: `files/` as peft reads them, and `adapter.zip` to download."""
    return adapters_dir() / str(version_id)


def base_models_dir() -> Path:
    return _data_dir() / "base_models"


def base_model_dir(model_id: str) -> Path:
    """A starter model, converted and ready; or one that was fetched from the Hub."""
    return base_models_dir() / model_id


def base_model_parts_dir(model_id: str) -> Path:
    """What has come of a model that is being fetched."""
    return base_model_dir(f"{model_id}.partial")


def audit_record_path() -> Path:
    """Number and hash of each entry of the audit log, beside the database: what it may not lose unnoticed."""
    return _data_dir() / "audit_record"


def hub_token_keys_path() -> Path:
    """What secrets in the database are sealed with, Hub tokens and those of webhooks."""
    return _data_dir() / "hub_token_keys"


def installation_id() -> str:
    """What tells this data folder from any other; made on first use. Of two makers at once the first one counts."""
    path = _data_dir() / "installation"
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=_data_dir(), prefix="installation-") as part:
            part.write(str(uuid4()))
            part.flush()
            with contextlib.suppress(FileExistsError):
                os.link(part.name, path)
    return path.read_text()


def run_dir() -> Path:
    """Locks and sockets of what runs just now."""
    return _data_dir() / "run"


def compiled_dir() -> Path:
    """What was compiled, by PyTorch for GPUs and by numba for processors; it may go at any time."""
    return _data_dir() / "compiled"


def folder_delete(path: Path) -> None:
    """Remove a folder or file of ours; nothing happens if it is gone already."""
    assert _data_dir() in path.parents
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def folder_bytes(folder: Path) -> int:
    """Sizes of all files below; links are not followed, and what vanishes meanwhile counts nothing."""
    total = 0
    for parent, _folders, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118
            except OSError:
                continue
    return total


def file_settle(part: Path, path: Path) -> None:
    """Give a wholly written file its name; after a power cut it is there as a whole or not at all."""
    _sync(part)
    part.replace(path)
    folder_show(path.parent)


def folder_settle(folder: Path) -> None:
    """Bring all that is in a folder to the disk, and the way to it."""
    for path in folder.rglob("*"):
        _sync(path)
    folder_show(folder)


def folder_show(folder: Path) -> None:
    """Bring the names in a folder to the disk, and its own and its parents': without them a power cut leaves files
    that cannot be found."""
    assert folder == _data_dir() or _data_dir() in folder.parents
    while folder != _data_dir().parent:
        _sync(folder)
        folder = folder.parent


def _sync(path: Path) -> None:
    """Raises OSError where the disk did not take it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_full(error: BaseException | None) -> bool:
    """Whether an error means that a disk has no room, also in a database's words."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    # shutil gathers what went wrong in words alone.
    return any(words in str(error) for words in ("disk is full", *map(os.strerror, _FULL)))


def _data_dir() -> Path:
    return Path(settings.DATA_DIR)
