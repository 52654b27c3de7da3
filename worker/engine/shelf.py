"""The shelf of a job's checkpoints: when the next is due, which are kept, and which one to go on from."""

import time
from collections.abc import Callable
from pathlib import Path

from webapp.contract.checkpoint import (
    checkpoint_at,
    checkpoint_folders,
    checkpoint_name,
    checkpoint_problem,
    recipe_sha256,
)
from webapp.contract.events import CheckpointRefused, CheckpointSaved, Event
from webapp.contract.job_dir import CHECKPOINTS
from worker.engine.checkpoint import Loaded, Origin, Unusable, read_checkpoint, write_checkpoint
from worker.engine.commit import need_space, remove_leftovers, retire, sync, written_aside
from worker.engine.inputs import Inputs
from worker.engine.training import Training

SAVE_SHARE = 20
"""Seconds of training at the least for each second that the last checkpoint took to write; but checkpoints are never
more than so many times as far apart as the worker wants them."""


class Shelf:
    """`JOB_DIR/checkpoints`. Whoever makes it sweeps out what a crash has left there half done."""

    def __init__(self, inputs: Inputs, report: Callable[[Event], None]) -> None:
        self._job_dir, self._folder = inputs.job_dir, inputs.job_dir / CHECKPOINTS
        self._origin = Origin(recipe_sha256(inputs.recipe), inputs.facts.split_sha256)
        self._options, self._report = inputs.options, report
        self._saved_at = time.monotonic()
        self._saved_step = 0
        self._save_seconds = 0.0
        self._folder.mkdir(exist_ok=True)
        sync(self._job_dir)
        remove_leftovers(self._folder)

    def newest(self) -> Loaded | None:
        """The newest that is whole and belongs to this job; those passed over on the way are told."""
        for folder in checkpoint_folders(self._job_dir):
            try:
                loaded = read_checkpoint(checkpoint_at(folder), self._origin)
            except Unusable as unusable:
                self._report(CheckpointRefused(step=_step_of(folder), reason=str(unusable)))
                continue
            self._saved_step = loaded.standing.step
            return loaded
        return None

    def is_due(self, step: int) -> bool:
        every = self._options.checkpoint_steps
        # A checkpoint of a full fine-tuning takes seconds to write; that must stay a small part of training.
        often = self._options.checkpoint_seconds
        seconds = max(often, min(SAVE_SHARE * self._save_seconds, SAVE_SHARE * often))
        by_time = time.monotonic() - self._saved_at >= seconds
        return by_time or (every > 0 and step % every == 0)

    def save(self, training: Training, *, total_steps: int, epoch: float) -> None:
        """One of the present step; nothing to do if the shelf has it, or if no step was done yet.

        Older ones go only after it is in its place. Raises OSError, or TrainingError if the disk is too full.
        """
        step = training.standing.step
        if step == self._saved_step:
            return
        began = time.monotonic()
        size = sum(tensor.nbytes for tensors in training.tensors().values() for tensor in tensors.values())
        need_space(self._job_dir, size, min_free_bytes=self._options.min_free_bytes, what="a checkpoint")
        final = self._folder / checkpoint_name(step)
        with written_aside(final) as folder:
            write_checkpoint(folder, training, self._origin, total_steps=total_steps, epoch=epoch)
            if final.exists():
                # It was refused at the start, or else training would have gone on from it.
                retire(final)
        saved = checkpoint_at(final)
        assert saved is not None and checkpoint_problem(saved) is None, f"{final} is not what was written"
        self._saved_at, self._saved_step = time.monotonic(), step
        self._save_seconds = self._saved_at - began
        self._tidy(step, training.standing.best_step)
        self._report(CheckpointSaved(step=step, size_bytes=saved.manifest.size_bytes, seconds=self._save_seconds))

    def _tidy(self, step: int, best_step: int) -> None:
        """Keep the newest few and the best one. Those of later steps are what the start has refused."""
        folders = checkpoint_folders(self._job_dir)
        newest = [folder for folder in folders if _step_of(folder) <= step][: max(1, self._options.keep_checkpoints)]
        for folder in folders:
            if folder not in newest and _step_of(folder) != best_step:
                retire(folder)


def _step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))
