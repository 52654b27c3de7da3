"""A checkpoint is a folder that is whole or not there: files first, manifest last, then the rename that shows it.

    checkpoints/step-00000040/   state.json  *.safetensors  manifest.json

The engine writes and loads them; the worker and the pages only read what is told here.
"""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from webapp.contract.job_dir import CHECKPOINTS, MANIFEST, FileEntry
from webapp.contract.recipe import Recipe

CHECKPOINT_FORMAT = 1
"""Raised when what lies in a checkpoint changes; one of another format is passed over."""


class CheckpointManifest(BaseModel):
    """`manifest.json`, written last; lists every other file of the folder with its sha256."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = CHECKPOINT_FORMAT
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


def recipe_sha256(recipe: Recipe) -> str:
    """The same for the same recipe, in whatever order a database hands its knobs back."""
    return hashlib.sha256(json.dumps(recipe.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def checkpoint_folders(attempt_dir: Path) -> list[Path]:
    """All that bear a checkpoint's name, the newest first, whole or not."""
    return sorted((attempt_dir / CHECKPOINTS).glob("step-" + "[0-9]" * 8), reverse=True)


def checkpoint_at(folder: Path) -> Checkpoint | None:
    """None without a readable manifest. Checksums are not looked at."""
    try:
        return Checkpoint(folder, CheckpointManifest.model_validate_json((folder / MANIFEST).read_bytes()))
    except (OSError, ValidationError):
        return None


def checkpoints_in(attempt_dir: Path) -> list[Checkpoint]:
    """All of an attempt's that have a readable manifest, the newest first. Checksums are not looked at."""
    found = (checkpoint_at(folder) for folder in checkpoint_folders(attempt_dir))
    return [checkpoint for checkpoint in found if checkpoint is not None]


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
