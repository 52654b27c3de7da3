"""An adapter as a job leaves it: files with a manifest and a verdict, stored by the service that stores them all."""

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.utils import timezone

from tests.adapters.verdicts import make_held_out, make_verdict
from tests.factories import make_job
from webapp.accounts.models import User
from webapp.adapters.models import Adapter, AdapterVersion
from webapp.adapters.services import adapter_store
from webapp.contract.held_out import held_out_text
from webapp.contract.job_dir import ADAPTER, HELD_OUT, MANIFEST, VERDICT, FileEntry, Manifest
from webapp.jobs.models import Job, State

CARD = """# First

## Use it

```python
from peft import AutoPeftModelForCausalLM

model = AutoPeftModelForCausalLM.from_pretrained("first-v1")
```

## How it was made

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
    return adapter_of(make_job(owner), **job_fields)


def adapter_of(job: Job, **job_fields: Any) -> AdapterVersion:
    """What a job of any recipe leaves."""
    fields = {"state": State.FINALIZING, "attempt": 1, "heartbeat_at": timezone.now(), **job_fields}
    Job.objects.filter(id=job.id).update(**fields)
    job.refresh_from_db()
    made_by_the_engine(job.attempt_dir, job)
    version = adapter_store(job, job.attempt_dir)
    assert version
    return version


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


def made_by_the_engine(attempt_dir: Path, job: Job | None = None) -> Path:
    """What an engine leaves in an attempt's folder: an adapter with its manifest, and a verdict."""
    folder = attempt_dir / ADAPTER
    folder.mkdir(parents=True)
    entries = []
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
        entries.append(FileEntry(name=name, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest()))
    made = {"method": "lora", "task": "generate", "base_model": "smollm2-135m-instruct"}
    if job:
        labels = sorted(job.dataset_version.labels) if job.recipe.task == "classify" else []
        made = job.recipe.model_dump(include=set(made)) | {"labels": tuple(labels)}
    manifest = Manifest(**made, base_model_sha256="0", files=tuple(entries))
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    (attempt_dir / HELD_OUT).write_text(held_out_text(make_held_out()))
    (attempt_dir / VERDICT).write_text(make_verdict().model_dump_json())
    return attempt_dir
