"""What ends a job: 100 answers of the base and 100 of the tuned model, by the engine and by `generate` row by row.

python -m tests.bench.engine.evaluation ours|peer BASE_MODEL ADAPTER PROMPTS.json    prints the seconds; the adapter is
trained once and kept, since a tuned model's answers are shorter than the base's.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.engine import ours
from tests.bench.engine.figures import Figures
from tests.bench.engine.lora import RAGGED
from tests.bench.engine.race import NUM_WATCHED_AND_JUDGED
from tests.bench.engine.turn import FIRST_SEED, Part, Turn, environment
from tests.bench.presets import BASE_MODELS, base_model_folder
from tests.bench.rows import SMOLLM2
from tests.stack import PROJECT
from webapp.contract.job_dir import ADAPTER
from worker.engine.encode import row_encoder
from worker.engine.tokenizer import load_tokenizer

NUM_ROWS = 100
MAX_NEW_TOKENS = 48
TRAINED = BASE_MODELS.parent / "evaluated_adapter"


def run_answers(whose: str, turn: Turn) -> Figures:
    recipe = RAGGED.recipe(FIRST_SEED)
    base = base_model_folder(SMOLLM2)
    encode = row_encoder(recipe.task, recipe.whole("max_length"), load_tokenizer(base, recipe.task), [])
    rows = RAGGED.rows(RAGGED.num_train + NUM_WATCHED_AND_JUDGED + NUM_ROWS)[-NUM_ROWS:]
    prompts = turn.folder / "prompts.json"
    prompts.write_text(json.dumps([encode({**row, "line": 0}).prompt for row in rows]))
    words = ["-m", "tests.bench.engine.evaluation", whose, str(base), str(_adapter()), str(prompts)]
    done = subprocess.run([sys.executable, *words], cwd=PROJECT, env=environment(), capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"the answers could not be measured: {done.stderr[-800:]}")
    figures: Figures = json.loads(done.stdout)
    return figures


def _adapter() -> Path:
    if not TRAINED.exists():
        with tempfile.TemporaryDirectory(prefix="gw-engine-") as scratch:
            rows = RAGGED.rows(RAGGED.num_train + NUM_WATCHED_AND_JUDGED)
            job_dir = ours.lay(Path(scratch) / "job", RAGGED.recipe(FIRST_SEED), rows, num_train=RAGGED.num_train)
            ours.run(job_dir)
            shutil.copytree(job_dir / ADAPTER, TRAINED)
    return TRAINED


def _measured(whose: str, base_model: Path, adapter: Path, prompts: list[list[int]]) -> Figures:
    from peft import PeftModel

    from worker.engine.levers.low_rank import quicken_lora
    from worker.engine.model import choose_place, load_base

    tokenizer = load_tokenizer(base_model, "generate")
    answer = _ours if whose == "ours" else _one_by_one
    model = load_base(base_model, "generate", choose_place(base_model, "generate"), [])
    began = time.monotonic()
    answer(model, tokenizer, prompts)
    base_seconds = time.monotonic() - began
    model = PeftModel.from_pretrained(model, adapter).eval()
    if whose == "ours":
        quicken_lora(model)  # as the model is that a job has trained
    began = time.monotonic()
    answer(model, tokenizer, prompts)
    tuned_seconds = time.monotonic() - began
    return {"seconds": base_seconds + tuned_seconds, "base_seconds": base_seconds, "tuned_seconds": tuned_seconds}


def _ours(model: Any, tokenizer: Any, prompts: list[list[int]]) -> None:
    from worker.engine.generate import answers

    answers(model, tokenizer, prompts, max_new_tokens=MAX_NEW_TOKENS, progress=lambda _done: None)


def _one_by_one(model: Any, tokenizer: Any, prompts: list[list[int]]) -> None:
    import torch

    for prompt in prompts:
        ids = torch.tensor([prompt])
        model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=MAX_NEW_TOKENS, do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip


PARTS = (Part("evaluation", {"ours": partial(run_answers, "ours"), "one by one": partial(run_answers, "peer")}),)

if __name__ == "__main__":
    whose, base_model, adapter, prompts = sys.argv[1:]
    figures = _measured(whose, Path(base_model), Path(adapter), json.loads(Path(prompts).read_text()))
    print(json.dumps(figures))  # noqa: T201
