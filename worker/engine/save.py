"""`adapter/`: what leaves the house. Each method writes its weights; the manifest, written last, has every file's
checksum."""

import hashlib
import json
from pathlib import Path

from safetensors.torch import load_file

from webapp.contract.job_dir import BASE_MODEL, MANIFEST, PROMPT_NETWORK, Manifest
from webapp.contract.recipe import Recipe
from worker.engine.commit import entries_of
from worker.engine.encode import Tokenizer
from worker.engine.errors import TrainingError

CARD = "README.md"


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """As transformers 5 writes it, in words that version 4, which other libraries still stand on, reads as well."""
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text("utf-8"))
    if config.get("tokenizer_class") == "TokenizersBackend":
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
        # That class of version 4 gives token types by default, which decoders refuse.
        config["model_input_names"] = list(tokenizer.model_input_names)
    if isinstance(config.get("extra_special_tokens"), list):
        config["additional_special_tokens"] = config.pop("extra_special_tokens")
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", "utf-8")


def seal(
    job_dir: Path, folder: Path, recipe: Recipe, *, card: str, labels: list[str], snippet: str, text_version: int
) -> Manifest:
    """Add card and manifest to a folder whose weights, read again from the disk, are numbers. Raises TrainingError."""
    for path in weight_files(folder):
        refuse_what_is_no_number(path)
    (folder / CARD).write_text(card, "utf-8")
    manifest = Manifest(
        method=recipe.method,
        task=recipe.task,
        base_model=recipe.base_model,
        base_model_sha256=base_model_sha256(job_dir / BASE_MODEL),
        labels=tuple(labels),
        snippet=snippet,
        text_version=text_version,
        files=entries_of(folder),
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2))
    return manifest


def refuse_what_is_no_number(path: Path) -> None:
    """safetensors takes any bits, so that a file can be whole and still be worth nothing."""
    for name, weight in load_file(path).items():
        if not weight.isfinite().all():
            message = (
                "The trained weights hold values that are not numbers, so no adapter was made of them. "
                "Lower the learning rate, to a tenth for a start."
            )
            raise TrainingError("loss_not_finite", message, evidence=f"{path.name}: {name}")


def base_model_sha256(folder: Path) -> str:
    """Of all weight files in order of name."""
    digest = hashlib.sha256()
    for path in weight_files(folder):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def weight_bytes(folder: Path) -> int:
    """Of the weights that are needed to use what was trained."""
    return sum(path.stat().st_size for path in weight_files(folder) if path.name != PROMPT_NETWORK)


def weight_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))
