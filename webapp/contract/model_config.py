"""What the JSON files of a model may say. transformers follows some of their keys to code, or to other files; those
are refused, or dropped where nothing is lost."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SMALL_FILE_BYTES = 64_000_000
"""The most a file may have that holds no weights: a tokenizer of 250,000 words has 35 MB, a gigabyte is an attack."""
CONFIG_BYTES = 1_000_000

_CODE = ("auto_map", "custom_pipelines", "custom_generate", "trust_remote_code")
"""Name classes in Python files that come along, or say that such files are to be trusted."""
_IMPLEMENTATION = (
    "attn_implementation", "_attn_implementation", "_attn_implementation_internal",
    "experts_implementation", "_experts_implementation", "_experts_implementation_internal",
)  # fmt: skip
"""How attention is computed. Any other name than those of transformers itself is a repository of code."""
_OWN_IMPLEMENTATIONS = (
    None, "eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention", "grouped_mm", "batched_mm",
)  # fmt: skip
_ELSEWHERE = ("configuration_files", "fast_tokenizer_files", "transformers_weights")
"""Name other files to read in place of those that are checked."""

_MOST = {
    **dict.fromkeys(("num_hidden_layers", "num_layers", "num_decoder_layers", "n_layer"), 1_000),
    **dict.fromkeys(("num_attention_heads", "num_key_value_heads", "num_heads", "n_head"), 10_000),
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "head_dim", "d_kv"), 100_000),
    **dict.fromkeys(("intermediate_size", "d_ff", "n_inner"), 1_000_000),
    "vocab_size": 10_000_000,
    "num_labels": 100_000,
    **dict.fromkeys(("num_beams", "num_beam_groups", "num_return_sequences"), 100),
}
"""Ten times and more of what any model has. By these numbers code makes tables and goes round in circles."""
_COUNT = re.compile(
    r"(^|_)(num|n|size|layers?|heads?|dims?|buckets|experts|labels|groups|window|positions?|length|id)(_|$)"
)
_MOST_OF_OTHERS = 100_000_000
"""Of any other count: the longest text of a model that counts its positions has 10 million tokens."""


class NotABaseModel(ValueError):
    """The folder is not a model we can fine-tune; the message says what is missing and what to do."""


def read_json(path: Path, most_bytes: int = CONFIG_BYTES) -> dict[str, Any]:
    """An object from a file of a model. Raises NotABaseModel, FileNotFoundError."""
    if path.stat().st_size > most_bytes:
        raise NotABaseModel(f"{path.name} is larger than {most_bytes / 1e6:.0f} MB. Such a file is not read.")
    try:
        said = json.loads(path.read_text("utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise NotABaseModel(f"{path.name} cannot be read: {error}.") from error
    if not isinstance(said, dict):
        raise NotABaseModel(f"{path.name} does not hold an object.")
    return said


def code_problem(name: str, said: dict[str, Any]) -> str | None:
    """Why a file that says this is not loaded."""
    for key, value in _pairs(said):
        if key in _CODE and value:
            return f"{name} asks to run code that comes with the model ({key}). We never do that."
        if key in _IMPLEMENTATION and value not in _OWN_IMPLEMENTATIONS:
            return f"{name} asks for code from elsewhere ({key}: {str(value)[:60]}). We never do that."
        if key in _ELSEWHERE:
            return f"{name} points to other files ({key}), which are not checked. Delete the key from the file."
    return None


def size_problem(name: str, said: dict[str, Any]) -> str | None:
    """Why a file that says this is not loaded: a number in it is larger than any model is."""
    for key, value in _pairs(said):
        numbers = value if isinstance(value, list) else [value]
        most = _MOST.get(key, _MOST_OF_OTHERS if _COUNT.search(key) else None)
        for number in numbers:
            if most is not None and isinstance(number, int | float) and not abs(number) <= most:
                return f"{name} says {key}: {_short(number)}, and no model has more than {most:,}. It is not loaded."
    return None


def _short(number: int | float) -> str:
    """A number may have thousands of digits."""
    return f"{number:,}" if abs(number) < 10**18 else f"{float(number):.0e}" if abs(number) < 10**300 else "far more"


def without_needless(said: Any) -> Any:
    """The same, without keys that only point elsewhere or choose among transformers' own ways."""
    if isinstance(said, list):
        return [without_needless(value) for value in said]
    if not isinstance(said, dict):
        return said
    return {key: without_needless(value) for key, value in said.items() if not _is_needless(key, value)}


def _is_needless(key: str, value: object) -> bool:
    if key in _ELSEWHERE:
        return True
    if key in _IMPLEMENTATION:
        return isinstance(value, str | None) and value in _OWN_IMPLEMENTATIONS
    return key == "trust_remote_code" and not value


def _pairs(said: Any) -> Iterator[tuple[str, Any]]:
    """All keys and values, those of inner objects too: a model in a model has a config in the config."""
    if isinstance(said, list):
        for value in said:
            yield from _pairs(value)
    elif isinstance(said, dict):
        for key, value in said.items():
            yield key, value
            yield from _pairs(value)
