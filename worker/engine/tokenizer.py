"""The base model's tokenizer, from a local folder only; a file of its own, since to render rows needs no torch."""

from functools import lru_cache
from pathlib import Path

from transformers import AutoTokenizer

from webapp.contract.tasks import Task
from webapp.contract.version import TEXT_VERSION
from worker.engine.encode import FIRST_PLAIN_TEMPLATE, Tokenizer, plain_template
from worker.engine.errors import TrainingError

Stamps = tuple[tuple[str, int, int], ...]


def load_tokenizer(folder: Path, task: Task, text_version: int = TEXT_VERSION) -> Tokenizer:
    """To generate, a tokenizer without a chat template gets a plain one, which then ships with the adapter. It carries
    the version by which it is used to lay out conversations.

    The last one is kept, for a process that has rehearsed its job. Raises TrainingError.
    """
    return _loaded(folder.resolve(), task, text_version, _stamps(folder))


@lru_cache(maxsize=1)
def _loaded(folder: Path, task: Task, text_version: int, stamps: Stamps) -> Tokenizer:
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise refused("The base model's tokenizer cannot be loaded.", error) from error
    if task == "generate" and tokenizer.chat_template is None:
        tokenizer.chat_template = FIRST_PLAIN_TEMPLATE if text_version == 1 else plain_template(tokenizer)
    tokenizer.text_version = text_version
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _stamps(folder: Path) -> Stamps:
    """Of all files: when one of them is another, so is the tokenizer."""
    found = [(path.name, path.stat()) for path in sorted(folder.iterdir())] if folder.is_dir() else []
    return tuple((name, status.st_size, status.st_mtime_ns) for name, status in found)


def refused(what: str, error: Exception) -> TrainingError:
    remedy = "Look whether its folder is whole, or choose another base model."
    return TrainingError("base_model", f"{what} {remedy}", f"{type(error).__name__}: {error}"[:500])
