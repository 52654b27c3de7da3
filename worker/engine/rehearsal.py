"""What a job does until its first step, done once on nothing by a process that waits for one.

So the first real step finds all imported, compiled and read from the disk that a job of the same kind needs. Nothing
of it stays: each job sets its own dice.
"""

import ctypes
import gc
from contextlib import suppress
from pathlib import Path

from webapp.contract.job_dir import BASE_MODEL
from worker.engine.batches import MICRO_BATCH_TOKENS
from worker.engine.encode import Encoded
from worker.engine.inputs import read_inputs
from worker.engine.model import choose_place, load_base
from worker.engine.save import weight_files
from worker.engine.step import step_loss
from worker.engine.tokenizer import load_tokenizer
from worker.engine.train import build
from worker.engine.training import Standing, Training

LARGEST_BASE_BYTES = 1_000_000_000
"""A larger one would take its memory while nobody has asked for anything."""
TEXT = "A few words, to be read once."


def rehearse(job_dir: Path) -> None:
    """One step of a job like that, on rows of a few words. Methods that hold the base many times over are left out."""
    recipe = read_inputs(job_dir).recipe
    folder = job_dir / BASE_MODEL
    place = choose_place(folder, recipe.task)
    size = sum(path.stat().st_size for path in weight_files(folder))
    if recipe.method in ("full", "freezing") or recipe.start_adapter or "4bit" in recipe.knobs.values():
        return
    if size > LARGEST_BASE_BYTES or place.device.type != "cpu":
        return
    is_classifier = recipe.task == "classify"
    ids = load_tokenizer(folder, recipe.task)(TEXT)["input_ids"]
    target = ids if recipe.task == "transform" else []
    row = Encoded(ids, [not target] * len(ids), ids, label=0 if is_classifier else -1, target=target)
    base = load_base(folder, recipe.task, place, ["a", "b"] if is_classifier else [])
    model, _untouched = build(base, recipe, job_dir, place)
    training = Training(model, recipe, Standing(), began=0)
    for _step in range(2):
        step_loss(model, [row, row], MICRO_BATCH_TOKENS)
        training.optimizer.step()
        training.optimizer.zero_grad(set_to_none=True)


def give_back_memory() -> None:
    """To the system, also out of the peak that a job would be told to have had. Linux."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
