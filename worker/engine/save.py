"""`adapter/`: what leaves the house. Plain peft reads it; the manifest, written last, has every file's checksum."""

import hashlib
import os
import shutil
from pathlib import Path

from webapp.contract.job_dir import ADAPTER, BASE_MODEL, MANIFEST, FileEntry, Manifest
from webapp.contract.recipe import Recipe
from worker.engine.encode import Tokenizer
from worker.engine.forward import Model

CARD = "README.md"


def save_weights(job_dir: Path, model: Model, tokenizer: Tokenizer, *, reference: str) -> Path:
    """Write weights, config, tokenizer and template aside; returns the folder. `reference` names the base model."""
    folder = job_dir / f"{ADAPTER}.partial"
    shutil.rmtree(folder, ignore_errors=True)
    for config in model.peft_config.values():
        config.base_model_name_or_path = reference
        # Where the tokenizer lay while training is nobody's business, and not there on another machine.
        if getattr(config, "tokenizer_name_or_path", None):
            config.tokenizer_name_or_path = reference
    # "auto" would ask the hub whether the vocabulary grew; it never does here.
    model.save_pretrained(folder, save_embedding_layers=False)
    tokenizer.save_pretrained(folder)
    return folder


def commit(job_dir: Path, folder: Path, recipe: Recipe, *, card: str, labels: list[str]) -> Manifest:
    """Add card and manifest, bring everything to the disk, and rename the folder to `adapter/`."""
    (folder / CARD).write_text(card, "utf-8")
    entries = tuple(
        FileEntry(name=path.name, size_bytes=path.stat().st_size, sha256=sha256(path))
        for path in sorted(folder.iterdir())
    )
    manifest = Manifest(
        method=recipe.method,
        task=recipe.task,
        base_model=recipe.base_model,
        base_model_sha256=base_model_sha256(job_dir / BASE_MODEL),
        labels=tuple(labels),
        files=entries,
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2))
    for path in [*folder.iterdir(), folder]:
        _sync(path)
    folder.rename(job_dir / ADAPTER)
    _sync(job_dir)
    return manifest


def base_model_sha256(folder: Path) -> str:
    """Of all weight files in order of name."""
    digest = hashlib.sha256()
    for path in weight_files(folder):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def weight_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
