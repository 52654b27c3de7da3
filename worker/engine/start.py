"""The adapter that training goes on from, if any: whether it is whole and fits, and whose tokenizer reads the rows."""

from pathlib import Path

from webapp.contract.adapter_files import FilesDiffer, verify
from webapp.contract.job_dir import BASE_MODEL, MANIFEST, START_ADAPTER, TOKENIZER_CONFIG, Manifest
from webapp.contract.recipe import Recipe
from worker.engine.errors import TrainingError
from worker.engine.save import base_model_sha256

_REMEDY = "Continue from another version of it, or start from the base model."


def tokenizer_dir(job_dir: Path, recipe: Recipe) -> Path:
    """The adapter's own tokenizer and chat template, which it was trained with, where it brought them."""
    start = job_dir / START_ADAPTER
    return start if recipe.start_adapter is not None and (start / TOKENIZER_CONFIG).exists() else job_dir / BASE_MODEL


def text_version_of(job_dir: Path, recipe: Recipe) -> int:
    """How conversations become tokens: as for the adapter that training goes on from, which was checked before."""
    if recipe.start_adapter is None:
        return recipe.text_version
    return Manifest.model_validate_json((job_dir / START_ADAPTER / MANIFEST).read_bytes()).text_version


def check_start(job_dir: Path, recipe: Recipe) -> None:
    """Raises TrainingError where training cannot go on from the adapter; without one there is nothing to check."""
    if recipe.start_adapter is None:
        return
    try:
        manifest = verify(job_dir / START_ADAPTER)
    except (FilesDiffer, OSError, ValueError) as error:
        message = f"The adapter to go on from is missing or damaged on the disk. {_REMEDY}"
        raise TrainingError("start_adapter", message, f"{type(error).__name__}: {error}"[:500]) from error
    if problem := _misfit(manifest, recipe, job_dir):
        raise TrainingError("start_adapter", f"{problem} {_REMEDY}")


def _misfit(manifest: Manifest, recipe: Recipe, job_dir: Path) -> str | None:
    if (manifest.method, manifest.task) != (recipe.method, recipe.task):
        made, asked = f"{manifest.method} for {manifest.task}", f"{recipe.method} for {recipe.task}"
        return f"The adapter to go on from is {made}, and this job trains {asked}."
    if manifest.base_model_sha256 != base_model_sha256(job_dir / BASE_MODEL):
        return "The base model's weights are no longer those that the adapter to go on from was trained on."
    return None
