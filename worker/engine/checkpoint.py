"""A checkpoint's content, to the disk and back: safetensors and JSON, so that reading one can run no code."""

import time
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from webapp.contract.checkpoint import CHECKPOINT_FORMAT, Checkpoint, CheckpointManifest, checkpoint_problem
from webapp.contract.job_dir import MANIFEST
from worker.engine.commit import entries_of
from worker.engine.training import Standing, Training, Weights

STATE = "state.json"
TENSORS = ("weights", "best", "optimizer", "random")


class Origin(NamedTuple):
    """What a checkpoint belongs to; it is of use only where all of this is the same again."""

    recipe_sha256: str
    split_sha256: str


class Loaded(NamedTuple):
    standing: Standing
    tensors: dict[str, Weights]


class Unusable(Exception):
    """A checkpoint cannot be resumed from; the message says why."""


def write_checkpoint(folder: Path, training: Training, origin: Origin, *, total_steps: int, epoch: float) -> None:
    """Fill the folder, the manifest last. What is not written flies as an error."""
    standing = training.standing
    for name, tensors in training.tensors().items():
        plain = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
        # Written by Python, whose errors name the system's reason; save_file's do not.
        (folder / f"{name}.safetensors").write_bytes(save(plain))
    (folder / STATE).write_text(standing.model_dump_json(), "utf-8")
    manifest = CheckpointManifest(
        step=standing.step,
        total_steps=total_steps,
        epoch=epoch,
        held_out_loss=standing.held_out_loss,
        best_step=standing.best_step,
        recipe_sha256=origin.recipe_sha256,
        split_sha256=origin.split_sha256,
        made_at=time.time(),
        files=entries_of(folder),
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2), "utf-8")


def read_checkpoint(checkpoint: Checkpoint | None, origin: Origin) -> Loaded:
    """Raises Unusable for one that is damaged or belongs to something else."""
    if checkpoint is None:
        raise Unusable(f"{MANIFEST} is missing or damaged.")
    if reason := checkpoint_problem(checkpoint) or _strangeness(checkpoint.manifest, origin):
        raise Unusable(reason)
    folder = checkpoint.folder
    try:
        standing = Standing.model_validate_json((folder / STATE).read_bytes())
        tensors = {name: load_file(folder / f"{name}.safetensors") for name in TENSORS}
    except (OSError, ValidationError, SafetensorError) as error:
        raise Unusable(f"It cannot be read: {error}"[:300]) from error
    # Copies, since the file's own bytes need not begin where fast arithmetic wants them to.
    return Loaded(standing, {name: {key: one.clone() for key, one in group.items()} for name, group in tensors.items()})


def _strangeness(manifest: CheckpointManifest, origin: Origin) -> str | None:
    if manifest.format != CHECKPOINT_FORMAT:
        return f"It has format {manifest.format}; this version reads format {CHECKPOINT_FORMAT}."
    if manifest.recipe_sha256 != origin.recipe_sha256:
        return "It is of another recipe."
    if manifest.split_sha256 != origin.split_sha256:
        return "It is of another split of the rows."
    return None
