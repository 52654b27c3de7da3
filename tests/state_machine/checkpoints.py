"""A checkpoint as its readers see it, without an engine: a folder with a manifest that lists no files."""

from webapp import storage
from webapp.contract.checkpoint import CheckpointManifest, checkpoint_name
from webapp.contract.job_dir import CHECKPOINTS, MANIFEST
from webapp.jobs.models import Job


def checkpoint_make(job: Job, attempt: int, step: int) -> None:
    folder = storage.attempt_dir(job.id, attempt) / CHECKPOINTS / checkpoint_name(step)
    folder.mkdir(parents=True, exist_ok=True)
    manifest = CheckpointManifest(
        step=step, total_steps=99, epoch=0, held_out_loss=None, best_step=0, recipe_sha256="0", split_sha256="0",
        made_at=0, files=(),
    )  # fmt: skip
    (folder / MANIFEST).write_text(manifest.model_dump_json())
