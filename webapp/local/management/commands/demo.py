"""`manage.py demo`: the main job from end to end, on a sample dataset, with a real base model."""

import json
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse
from rich.console import Console

from webapp.accounts.models import User
from webapp.accounts.services import sign_in_link_create
from webapp.adapters.models import AdapterVersion
from webapp.local.client import Client, Refused
from webapp.local.lock import AlreadyRunning
from webapp.local.progress import Lines, job_progress, never_silent
from webapp.local.stack import CannotStart, Stack
from webapp.samples.catalogue import SAMPLES, Sample, sample_path

DEMO_SAMPLE = "dates"
DEMO_SETTINGS = {"epochs": "2", "learning_rate": "0.002"}
"""To be quick: two thirds of Auto's steps at twice its rate answer as many of the sample's held-out rows."""


class Command(BaseCommand):
    help = "Upload a sample dataset, train a LoRA adapter on it, and show base against tuned."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", type=Path, help="also write the figures to this file")

    def handle(self, *_: Any, **options: Any) -> None:
        if settings.HTTPS:
            raise CommandError("The demo talks plain http to itself. Run it without GRAFTWORK_HTTPS=yes.")
        began = time.monotonic()
        console = Console(file=sys.stdout, highlight=False)
        lines = Lines(console)
        sample = SAMPLES[DEMO_SAMPLE]
        try:
            with never_silent(lines), Stack(settings.DATA_DIR, host="127.0.0.1", port=0, say=lines) as stack:
                job = self._carry_out(stack.url, sample, console, lines)
        except AlreadyRunning as error:
            job = self._carry_out(error.holder.url, sample, console, lines)
        except CannotStart as error:
            raise CommandError(str(error)) from error
        except Refused as error:
            raise CommandError(f"The app refused a step: {error}") from error
        if job["verdict"] is None:
            raise CommandError(f"The job {job['state']}: {(job['error'] or {}).get('message', '')}")
        figures = _figures(job, sample, total_seconds=time.monotonic() - began)
        if options["json"]:
            options["json"].write_text(json.dumps(figures, indent=2) + "\n")
        _tell(console, job["verdict"], figures)
        if job["verdict"]["outcome"] != "better":
            raise CommandError("The tuned model does not clearly beat the base model.")

    def _carry_out(self, url: str, sample: Sample, console: Console, lines: Lines) -> dict[str, Any]:
        user, _new = User.objects.get_or_create(username="demo")
        client = Client(url, reverse("welcome", args=[sign_in_link_create(user)]))
        path = sample_path(sample.id)
        lines(f"Uploading {path.name}: {sample.sentence}")
        version_id = client.dataset_upload(path, name=sample.title, mapping=dict(sample.mapping))
        job_url = client.job_start(
            name=f"Demo: {sample.title}",
            dataset=version_id,
            task=sample.task,
            base_model=sample.base_model,
            method="lora",
            **DEMO_SETTINGS,
        )
        lines(
            f"Training a LoRA adapter on {sample.base_model}, to be quick with {_in_words(DEMO_SETTINGS)}; all else "
            f"is on Auto. Watch: {url}{job_url}"
        )
        with job_progress(console, lines) as show:
            job = client.job_follow(job_url, show)
        lines("Stopping the app.")
        return job


def _in_words(settings_of_the_job: dict[str, str]) -> str:
    return " and ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings_of_the_job.items())


def _figures(job: dict[str, Any], sample: Sample, *, total_seconds: float) -> dict[str, Any]:
    """What `--json` writes. Metrics as shares of 1, sizes in bytes."""
    verdict, cost = job["verdict"], job["verdict"]["cost"]
    return {
        "task": sample.task,
        "method": job["recipe"]["method"],
        "rows": sum(job["split"].values()),
        "metric": verdict["primary"]["metric"],
        "base_metric": verdict["primary"]["base"],
        "tuned_metric": verdict["primary"]["tuned"],
        "interval": [verdict["primary"]["low"], verdict["primary"]["high"]],
        "trainable_params": cost["trainable_params"],
        "total_params": cost["total_params"],
        "adapter_bytes": cost["adapter_bytes"],
        "full_checkpoint_bytes": cost["full_checkpoint_bytes"],
        "train_seconds": round(cost["train_seconds"], 1),
        "total_seconds": round(total_seconds, 1),
        "adapter_path": str(AdapterVersion.objects.get(job_id=job["id"]).files_dir),
    }


def _tell(console: Console, verdict: dict[str, Any], figures: dict[str, Any]) -> None:
    share = figures["trainable_params"] / figures["total_params"]
    adapter_mb, full_mb = figures["adapter_bytes"] / 1e6, figures["full_checkpoint_bytes"] / 1e6
    console.print(f"\n{verdict['sentence']}")
    console.print(f"  trained    {figures['trainable_params']:,} of {figures['total_params']:,} weights ({share:.1%})")
    console.print(f"  adapter    {adapter_mb:.1f} MB; a full checkpoint would be {full_mb:.1f} MB")
    console.print(f"  time       {figures['train_seconds']:.0f} s of training, {figures['total_seconds']:.0f} s in all")
    console.print(f"  lies in    {figures['adapter_path']}")
    for sample in verdict["samples"][:3]:
        console.print(f"\n  input      {sample['input']}\n  expected   {sample['expected']}")
        console.print(f"  base       {sample['base']}\n  tuned      {sample['tuned']}")
    console.print(f"\nOpen the app: {sys.executable} manage.py up")
