"""Keeping what a job made: verify, copy, pack, and only then let it be seen."""

import hashlib
import os
import shutil
import zipfile
from pathlib import Path

from django.db import transaction
from django.utils.text import slugify

from webapp import storage
from webapp.adapters.models import Adapter, AdapterVersion
from webapp.contract.job_dir import ADAPTER, MANIFEST, VERDICT, Manifest
from webapp.contract.verdict import Verdict
from webapp.jobs.models import Job
from webapp.jobs.services import job_succeed

WEIGHTS = "adapter_model.safetensors"


class FilesDiffer(Exception):
    """A file of the adapter is not what its manifest says."""


class NoLongerMine(Exception):
    """The job was given to another worker meanwhile; nothing of this attempt is kept."""


def adapter_store(job: Job) -> AdapterVersion:
    """Keep the adapter of a finished attempt and end the job. Both are seen together or not at all.

    Raises FilesDiffer, NoLongerMine.
    """
    made = job.attempt_dir / ADAPTER
    manifest = _verify(made)
    verdict = Verdict.model_validate_json((job.attempt_dir / VERDICT).read_bytes())
    adapter, _new = Adapter.objects.get_or_create(owner=job.owner, name=job.name)
    version = AdapterVersion(adapter=adapter, number=adapter.versions.count() + 1, job=job)
    kept = storage.adapter_dir(version.id)
    try:
        shutil.copytree(made, version.files_dir)
        _pack(version.files_dir, version.zip_path, folder=f"{slugify(job.name) or 'adapter'}-v{version.number}")
        _sync(kept)
        version.manifest = manifest.model_dump()
        version.size_bytes = (version.files_dir / WEIGHTS).stat().st_size
        version.zip_bytes = version.zip_path.stat().st_size
        version.zip_sha256 = _sha256(version.zip_path)
        with transaction.atomic():
            version.save(force_insert=True)
            if not job_succeed(job, verdict):
                raise NoLongerMine
    except BaseException:
        storage.folder_delete(kept)
        raise
    return version


def _verify(folder: Path) -> Manifest:
    manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    for entry in manifest.files:
        path = folder / entry.name
        if path.stat().st_size != entry.size_bytes or _sha256(path) != entry.sha256:
            raise FilesDiffer(f"{entry.name} differs from its manifest.")
    return manifest


def _pack(files: Path, zip_path: Path, *, folder: str) -> None:
    """A zip with one folder inside. Weights hardly compress, so nothing is compressed."""
    with zipfile.ZipFile(zip_path, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(files.iterdir()):
            archive.write(path, f"{folder}/{path.name}")


def _sync(folder: Path) -> None:
    """Bring all files of a folder to the disk before the database says they are there."""
    for path in [*folder.rglob("*"), folder, folder.parent]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
