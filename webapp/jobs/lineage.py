"""What a job goes on from, in words: the adapter that its own continues."""

from typing import Any

from webapp.jobs.models import Job


def version_words(version: Any) -> str:
    """An adapter version, as one names it in a sentence. (Adapters are an app above this one.)"""
    return f"“{version.adapter.name}” version {version.number}"


def continues_words(job: Job) -> str:
    """Empty for a job that begins with the base model."""
    if job.recipe.start_adapter is None:
        return ""
    return version_words(job.started_from) if job.started_from else "an adapter that was deleted since"
