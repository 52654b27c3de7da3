"""A checkpoint is a folder that is whole or not there: files first, manifest last, then the rename that shows it.

    checkpoints/step-00000040/   state.json  *.safetensors  manifest.json

The engine writes and loads them; the worker and the pages only read what is told here.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from webapp.contract.job_dir import CHECKPOINTS, MANIFEST, FileEntry


class CheckpointManifest(BaseModel):
    """`manifest.json`, written last; lists every other file of the folder with its sha256."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    step: int
    total_steps: int
    epoch: float
    held_out_loss: float | None
    """Of the last time the validation rows were measured; None before the first time."""
    best_step: int
    """The step whose weights had the lowest held-out loss so far; those weights are in the checkpoint too."""
    recipe_sha256: str
    split_sha256: str
    made_at: float
    """Seconds since the epoch."""
    files: tuple[FileEntry, ...]

    @property
    def size_bytes(self) -> int:
        return sum(entry.size_bytes for entry in self.files)


class Checkpoint(NamedTuple):
    folder: Path
    manifest: CheckpointManifest


def checkpoint_name(step: int) -> str:
    return f"step-{step:08d}"


def checkpoints_in(attempt_dir: Path) -> list[Checkpoint]:
    """All of an attempt's that have a readable manifest, the newest first. Checksums are not looked at."""
    found = []
    for folder in sorted((attempt_dir / CHECKPOINTS).glob("step-" + "[0-9]" * 8), reverse=True):
        try:
            found.append(Checkpoint(folder, CheckpointManifest.model_validate_json((folder / MANIFEST).read_bytes())))
        except (OSError, ValidationError):
            continue
    return found


def checkpoint_problem(checkpoint: Checkpoint) -> str | None:
    """Why it must not be resumed from, or None if every byte is what the manifest says."""
    for entry in checkpoint.manifest.files:
        path = checkpoint.folder / entry.name
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if path.stat().st_size != entry.size_bytes or digest != entry.sha256:
                return f"{entry.name} differs from its manifest."
        except OSError as error:
            return f"{entry.name} cannot be read ({error.strerror})."
    return None


def newest_whole(attempt_dir: Path) -> Checkpoint | None:
    """The newest of an attempt's checkpoints that verifies; damaged ones are passed over for older ones."""
    return next((one for one in checkpoints_in(attempt_dir) if checkpoint_problem(one) is None), None)
