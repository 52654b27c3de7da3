"""A kept adapter's files held against their manifest: by whoever keeps them, hands them out or trains on from them."""

import hashlib
from pathlib import Path

from webapp.contract.job_dir import MANIFEST, Manifest


class FilesDiffer(Exception):
    """A file of the adapter is not what its manifest says."""


def verify(folder: Path) -> Manifest:
    """Every file is what the manifest says. Raises FilesDiffer, OSError where one is missing, and ValueError where the
    manifest itself cannot be read."""
    manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    for entry in manifest.files:
        path = folder / entry.name
        if path.stat().st_size != entry.size_bytes or sha256_of(path) != entry.sha256:
            raise FilesDiffer(f"{entry.name} differs from its manifest.")
    return manifest


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
