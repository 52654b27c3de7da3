"""Keeping what a job made: verify, copy, pack, and only then let it be seen."""

import contextlib
import os
import shutil
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from django.db import IntegrityError
from django.db.models import Max
from django.utils.text import slugify

from webapp import storage
from webapp.adapters.models import Adapter, AdapterVersion
from webapp.contract.adapter_files import FilesDiffer, sha256_of, verify
from webapp.contract.job_dir import ADAPTER, HELD_OUT, VERDICT
from webapp.contract.verdict import Verdict
from webapp.jobs.endings import job_succeed
from webapp.jobs.models import Job
from webapp.jobs.persist import DATABASE_AWAY

Tell = Callable[[Callable[[], bool]], bool]
"""Calls what it is given until the database took it; returns the answer."""


def at_once(change: Callable[[], bool]) -> bool:
    return change()


def finished_attempt(job: Job) -> Path | None:
    """The folder of an earlier attempt whose work is done and whole, only never kept: its worker went in between."""
    if job.resume_from:
        return None
    for number in range(job.attempt - 1, 0, -1):
        folder = storage.attempt_dir(job.id, number)
        with contextlib.suppress(FilesDiffer, OSError, ValueError):
            verify(folder / ADAPTER)
            Verdict.model_validate_json((folder / VERDICT).read_bytes())
            return folder
    return None


def adapter_store(job: Job, made: Path, *, tell: Tell = at_once) -> AdapterVersion | None:
    """Keep what an attempt left in the folder `made`, and end the job: both are seen together or not at all.

    `tell` calls what writes the end, and may call it again where the database is away: the files are copied once,
    however long that takes. None if the job was given to another worker meanwhile: nothing of this attempt is kept.
    Raises FilesDiffer, and the database's error.
    """
    manifest = verify(made / ADAPTER)
    verdict = Verdict.model_validate_json((made / VERDICT).read_bytes())
    about = {"manifest": manifest.model_dump(), "held_out_sha256": _keep_held_out(job, made)}
    while True:
        version = AdapterVersion(number=_next_number(job), job=job, **about)
        kept = storage.adapter_dir(version.id)
        try:
            _fill(version, made / ADAPTER)
            if tell(partial(_end, job, verdict, version)):
                return version
            storage.folder_delete(kept)
            return None
        except IntegrityError:
            # Another job of the same name took this number in the same moment.
            storage.folder_delete(kept)
            if _next_number(job) == version.number:
                raise
        except DATABASE_AWAY:
            # It may be recorded although we were not told, so the files stay; if it is not, they are collected later.
            raise
        except BaseException:
            storage.folder_delete(kept)
            raise


def _end(job: Job, verdict: Verdict, version: AdapterVersion) -> bool:
    """True also where an earlier call was recorded although its caller saw an error."""

    def record() -> None:
        version.adapter, _new = Adapter.objects.get_or_create(owner=job.owner, name=job.name)
        version.save(force_insert=True)

    return job_succeed(job, verdict, also=record) or AdapterVersion.objects.filter(id=version.id).exists()


def _keep_held_out(job: Job, made: Path) -> str:
    """The rows the verdict is of belong where the job that succeeds looks for them: in its present attempt's folder,
    which no other attempt writes to. They are there already unless an earlier attempt made them. Returns their
    sha256."""
    source = made / HELD_OUT
    if not source.exists():
        return ""
    if made != job.attempt_dir:
        job.attempt_dir.mkdir(parents=True, exist_ok=True)
        job.held_out_path.unlink(missing_ok=True)
        os.link(source, job.held_out_path)
        storage.folder_show(job.attempt_dir)
    return sha256_of(job.held_out_path)


def _next_number(job: Job) -> int:
    same_name = AdapterVersion.objects.filter(adapter__owner=job.owner, adapter__name=job.name)
    return (same_name.aggregate(last=Max("number"))["last"] or 0) + 1


def _fill(version: AdapterVersion, made: Path) -> None:
    """Copy and pack the files, bring them to the disk, and note what they are."""
    shutil.copytree(made, version.files_dir)
    # What was copied is what is promised: a bit that flips on the way is found now, not by a person.
    manifest = verify(version.files_dir)
    title = slugify(version.job.name) or "adapter"
    _pack(version.files_dir, version.zip_path, folder=f"{title}-v{version.number}")
    storage.folder_settle(storage.adapter_dir(version.id))
    version.size_bytes = manifest.weight_bytes
    version.zip_bytes = version.zip_path.stat().st_size
    version.zip_sha256 = sha256_of(version.zip_path)


def _pack(files: Path, zip_path: Path, *, folder: str) -> None:
    """A zip with one folder inside. Weights hardly compress, so nothing is compressed."""
    with zipfile.ZipFile(zip_path, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(files.iterdir()):
            archive.write(path, f"{folder}/{path.name}")
