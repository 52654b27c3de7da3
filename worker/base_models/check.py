"""`python -m worker.base_models.check FOLDER`: is this fetched folder a model a job could start from?

A process of its own, offline and without the token: it is the first to read what a stranger wrote. Prints a
FolderReport, or one line that says what is wrong and ends with code 4.
"""

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["USE_HUB_KERNELS"] = "0"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from webapp.contract.model_config import SMALL_FILE_BYTES, NotABaseModel, read_json, without_needless
from webapp.contract.model_folder import FolderReport, read_model_folder, tokenizer_problem
from worker.base_models.finite import not_finite_tensor
from worker.engine.child import FAILED

_MOST_BYTES = 6_000_000_000
"""Of memory of its own: weights are only mapped. A tokenizer that wants more is an attack."""
_JSON = ("config.json", "generation_config.json", "tokenizer_config.json")


def check(folder: Path) -> FolderReport:
    """Raises NotABaseModel."""
    for name in _JSON:
        if (folder / name).exists():
            _clean(folder / name)
    report = read_model_folder(folder)
    for path in sorted(folder.glob("*.safetensors")):
        if tensor := not_finite_tensor(path):
            raise NotABaseModel(f"{path.name} holds numbers that are none (NaN or infinite), in {tensor[:80]}.")
    _load_without_weights(folder, report)
    return report


def _clean(path: Path) -> None:
    said = read_json(path, SMALL_FILE_BYTES)
    cleaned = without_needless(said)
    if cleaned != said:
        path.write_text(json.dumps(cleaned, indent=2) + "\n")


def _load_without_weights(folder: Path, report: FolderReport) -> None:
    """As a job would, but with tensors that have a shape and no content: what does not fit shows all the same."""
    from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    kinds = {"decoder": AutoModelForCausalLM, "encoder": AutoModel, "encoder-decoder": AutoModelForSeq2SeqLM}
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        _model, loading = kinds[report.shape.architecture].from_pretrained(
            folder, device_map="meta", use_safetensors=True, output_loading_info=True, **options
        )
    except Exception as error:
        raise NotABaseModel(f"The weights do not fit config.json: {_first_line(error)}") from error
    # An encoder's pooler is made for a task of its training, and many come without.
    missing = sorted(name for name in loading["missing_keys"] if "pooler" not in name)
    if missing:
        raise NotABaseModel(f"{len(missing)} tensors that config.json promises are not in the weights: {missing[0]}.")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **options)
        tokenizer("A sentence to try it with.")
    except Exception as error:
        raise NotABaseModel(f"The tokenizer cannot be used: {_first_line(error)}") from error
    # transformers may add tokens that the files do not number.
    num_tokens = max(len(tokenizer), *(number + 1 for number in tokenizer.get_vocab().values()))
    if num_tokens > report.shape.vocab_size:
        raise NotABaseModel(tokenizer_problem(num_tokens, report.shape.vocab_size))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def main() -> int:
    resource.setrlimit(resource.RLIMIT_DATA, (_MOST_BYTES, _MOST_BYTES))
    try:
        print(check(Path(sys.argv[1])).model_dump_json())  # noqa: T201
    except NotABaseModel as error:
        print(str(error).replace("\n", " "))  # noqa: T201
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
