"""Whether what is kept is still what was recorded. A damaged adapter is told, never handed out."""

import logging
from functools import lru_cache
from pathlib import Path

from webapp.adapters.models import AdapterVersion
from webapp.contract.adapter_files import FilesDiffer, sha256_of, verify

log = logging.getLogger(__name__)


def version_is_whole(version: AdapterVersion) -> bool:
    """Read every byte of it anew: of the zip, and of the files that it was made of."""
    try:
        verify(version.files_dir)
        return sha256_of(version.zip_path) == version.zip_sha256
    except (FilesDiffer, OSError, ValueError) as error:
        log.error("adapter version %s: %s", version.id, error)
        return False


def held_out_is_whole(version: AdapterVersion) -> bool:
    """Of the rows that the verdict stands on; what was never kept cannot be damaged."""
    if not version.held_out_sha256:
        return True
    try:
        if sha256_of(version.job.held_out_path) == version.held_out_sha256:
            return True
        log.error("held-out rows of job %s are not what was recorded", version.job_id)
    except OSError as error:
        log.error("held-out rows of job %s: %s", version.job_id, error)
    return False


def zip_is_whole(version: AdapterVersion) -> bool:
    """Before a download: what the scrub found, and the bytes as they are, read once for as long as the file stays
    the same. Raises FileNotFoundError."""
    stat = version.zip_path.stat()
    is_same = stat.st_size == version.zip_bytes
    if is_same and _sha256_of(version.zip_path, stat.st_ino, stat.st_mtime_ns) == version.zip_sha256:
        return not version.is_damaged
    log.error("adapter version %s is damaged: %s is not what was recorded", version.id, version.zip_path)
    return False


@lru_cache(maxsize=1000)
def _sha256_of(path: Path, _inode: int, _mtime_ns: int) -> str:
    return sha256_of(path)
