"""An adapter as a job leaves it: files with a manifest and a verdict, stored by the service that stores them all."""

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.utils import timezone

from tests.factories import make_job
from webapp.accounts.models import User
from webapp.adapters.models import Adapter, AdapterVersion
from webapp.adapters.services import adapter_store
from webapp.contract.job_dir import ADAPTER, MANIFEST, VERDICT, FileEntry, Manifest
from webapp.contract.verdict import Comparison, Cost, Verdict
from webapp.jobs.models import Job, State

CARD = """# First

```python
from peft import AutoPeftModelForCausalLM

model = AutoPeftModelForCausalLM.from_pretrained("first-v1")
```

```python
print("another block")
```
"""
FILES = {
    "README.md": CARD.encode(),
    "adapter_config.json": b"{}",
    "adapter_model.safetensors": bytes(range(256)) * 4096,
}


def make_adapter(owner: User, **job_fields: Any) -> AdapterVersion:
    """Version 1 of a new adapter, or the next version of the one with the same name."""
    job = make_job(owner)
    fields = {"state": State.FINALIZING, "attempt": 1, "heartbeat_at": timezone.now(), **job_fields}
    Job.objects.filter(id=job.id).update(**fields)
    job.refresh_from_db()
    _write(job.attempt_dir)
    return adapter_store(job, job.attempt_dir)


def make_many(owner: User, how_many: int) -> None:
    """Adapters of other names, each a copy of one row; for pages of lists."""
    version = make_adapter(owner)
    for number in range(how_many - 1):
        job = Job.objects.get(id=version.job_id)
        job.pk = None
        job._state.adding = True
        job.id = Job._meta.pk.get_default()
        job.save()
        adapter = Adapter.objects.create(owner=owner, name=f"Copy {number}")
        Adapter.objects.filter(id=adapter.id).update(created_at=timezone.now() - timedelta(days=number + 1))
        AdapterVersion.objects.create(
            adapter=adapter,
            number=1,
            job=job,
            manifest=version.manifest,
            size_bytes=1,
            zip_bytes=1,
            zip_sha256=version.zip_sha256,
        )


def make_verdict() -> Verdict:
    return Verdict(
        outcome="better",
        sentence="Better than the base model: exact match 4 % → 91 %.",
        baseline="The base model on the same rows.",
        primary=Comparison(
            metric="exact_match", label="Exact match", base=0.04, tuned=0.91, difference=0.87, low=0.81, high=0.92,
            num_rows=60, wins=52, ties=8, losses=0,
        ),
        cost=Cost(
            train_seconds=75, total_seconds=131, tokens=41000, tokens_per_second=560, peak_memory_bytes=2_000_000_000,
            trainable_params=2_442_240, total_params=136_957_248, adapter_bytes=9_768_960,
            full_checkpoint_bytes=269_060_552,
        ),
    )  # fmt: skip


def _write(attempt_dir: Path) -> None:
    folder = attempt_dir / ADAPTER
    folder.mkdir(parents=True)
    entries = []
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
        entries.append(FileEntry(name=name, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest()))
    manifest = Manifest(
        method="lora", task="generate", base_model="smollm2-135m-instruct", base_model_sha256="0", files=tuple(entries)
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    (attempt_dir / VERDICT).write_text(make_verdict().model_dump_json())
