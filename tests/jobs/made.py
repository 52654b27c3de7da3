"""Jobs in every state, brought there by the services, and the fields of the page “New job”."""

import hashlib
import time
from typing import Any

from tests.adapters.verdicts import make_verdict
from tests.factories import make_job, make_starter, make_worker
from webapp import storage
from webapp.accounts.models import User
from webapp.contract.checkpoint import CheckpointManifest, checkpoint_name, recipe_sha256
from webapp.contract.events import Evaluated, PhaseMoved, Started, Stepped
from webapp.contract.job_dir import CHECKPOINTS, MANIFEST, FileEntry
from webapp.contract.verdict import Sample, Verdict
from webapp.datasets.models import DatasetVersion
from webapp.jobs.attempts import job_claim, job_finalize, job_record
from webapp.jobs.endings import Ending, job_fail, job_succeed
from webapp.jobs.models import Job

STARTED = Started(
    trainable_params=2_442_240, total_params=136_957_248, num_train_rows=42, num_validation_rows=6, num_test_rows=12,
    total_steps=9, device="cpu", precision="bf16",
)  # fmt: skip


def fields_for(version: DatasetVersion, **changed: Any) -> dict[str, Any]:
    """What the page sends when everything is left on Auto."""
    make_starter()
    return {
        "name": "Mine",
        "dataset": str(version.id),
        "task": "generate",
        "base_model": "smollm2-135m-instruct",
        "method": "lora",
        **changed,
    }


def stepped(step: int, **changed: Any) -> Stepped:
    figures = {
        "step": step, "total_steps": 9, "epoch": step / 3, "loss": 1 / step, "learning_rate": 1e-3, "tokens": step,
        "tokens_per_second": 561.0, "seconds_left": 75.0, "peak_memory_bytes": 1_940_000_000, **changed,
    }  # fmt: skip
    return Stepped.model_validate(figures)


def evaluated(step: int) -> Evaluated:
    return Evaluated(step=step, epoch=1, loss=0.5, is_best=True)


def claim(name: str = "one") -> Job:
    """The next job, in the hands of a worker of this name."""
    job = job_claim(make_worker(name))
    assert job
    return job


def make_running(owner: User, steps: int = 3) -> Job:
    make_job(owner)
    job = claim()
    job_record(job, [PhaseMoved(phase="loading", sentence="Loading the base model.")])
    job_record(job, [STARTED])
    for step in range(1, steps + 1):
        job_record(job, [stepped(step)])
    job_record(job, [evaluated(steps)])
    return job


def make_failed(owner: User, code: str, message: str = "It broke.", evidence: str = "", **recipe_knobs: Any) -> Job:
    job = make_running(owner)
    if recipe_knobs:
        recipe = {**job.recipe_json, "knobs": {**job.recipe_json["knobs"], **recipe_knobs}}
        Job.objects.filter(id=job.id).update(recipe_json=recipe)
        job.refresh_from_db()
    assert job_fail(job, Ending(code, message, evidence))  # type: ignore[arg-type]
    return job


def lay_checkpoint(job: Job, step: int, *, attempt: int | None = None, **changed: Any) -> str:
    """A whole checkpoint of the job; returns its word."""
    attempt_dir = storage.attempt_dir(job.id, job.attempt if attempt is None else attempt)
    folder = attempt_dir / CHECKPOINTS / checkpoint_name(step)
    folder.mkdir(parents=True)
    (folder / "state.json").write_bytes(b"{}")
    entry = FileEntry(name="state.json", size_bytes=2, sha256=hashlib.sha256(b"{}").hexdigest())
    told = {
        "step": step, "total_steps": 9, "epoch": step / 3, "held_out_loss": 1 / step, "best_step": step,
        "recipe_sha256": recipe_sha256(job.recipe), "split_sha256": job.split_sha256, "made_at": time.time(),
        "files": (entry,), **changed,
    }  # fmt: skip
    (folder / MANIFEST).write_text(CheckpointManifest.model_validate(told).model_dump_json())
    return f"{attempt_dir.name}/{folder.name}"


def make_succeeded(owner: User, verdict: Verdict | None = None) -> Job:
    job = make_running(owner)
    assert job_finalize(job)
    assert job_succeed(
        job, verdict or verdict_with(samples=[sample(2), sample(3, tuned="no", tuned_score=0.0)]), also=lambda: None
    )
    return job


def verdict_with(**changed: Any) -> Verdict:
    return Verdict.model_validate({**make_verdict().model_dump(), **changed})


def sample(line: int, **changed: Any) -> dict[str, Any]:
    texts = {"input": f"question {line}", "expected": "yes", "base": "maybe", "tuned": "yes"}
    return Sample(line=line, **{**texts, "base_score": 0.0, "tuned_score": 1.0, **changed}).model_dump()  # type: ignore[arg-type]
