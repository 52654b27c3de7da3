"""A job from its files to its adapter, top to bottom: load, measure the base, train, measure again, judge, save."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

import torch
from pydantic import BaseModel, ValidationError

from webapp.contract.events import Event, Finished, PhaseMoved, Saved, Started
from webapp.contract.job_dir import ADAPTER, BASE_MODEL, FACTS, RECIPE, VERDICT, Facts
from webapp.contract.recipe import Recipe
from webapp.contract.verdict import Cost
from worker.engine.card import card_of
from worker.engine.encode import Tokenizer
from worker.engine.errors import Stop, TrainingError
from worker.engine.fit import Fitted, fit, peak_memory_bytes, restore
from worker.engine.forward import Model
from worker.engine.measure import Measured, measure
from worker.engine.methods import BUILDERS
from worker.engine.model import choose_place, load_base, load_tokenizer
from worker.engine.rows import CACHE, JobRows, read_rows
from worker.engine.save import commit, save_weights, sha256, weight_files
from worker.engine.verdict import judge

Report = Callable[[Event], None]
Read = TypeVar("Read", bound=BaseModel)

SAVE_SECONDS = 3.0


def train(job_dir: Path, should_stop: Callable[[], bool], report: Report) -> None:
    """Turn `job_dir`'s recipe and rows into an adapter and a verdict. Raises TrainingError, Stop."""
    began = time.monotonic()
    recipe, facts = _read(job_dir / RECIPE, Recipe), _read(job_dir / FACTS, Facts)
    shutil.rmtree(job_dir / ADAPTER, ignore_errors=True)

    report(PhaseMoved(phase="loading", sentence="Loading the base model and reading the rows."))
    torch.manual_seed(recipe.seed)
    place = choose_place(job_dir / BASE_MODEL, recipe.task)
    tokenizer = load_tokenizer(job_dir / BASE_MODEL, recipe.task)
    rows = read_rows(job_dir, recipe, tokenizer)
    base = load_base(job_dir / BASE_MODEL, recipe.task, place, rows.labels)

    measuring = Measuring(rows, tokenizer, should_stop, report)
    before = measuring.run(base, "base")

    model = BUILDERS[recipe.method](base, recipe, str(job_dir / BASE_MODEL))
    trainable, total = count_weights(model)
    report(_started(recipe, rows, trainable, total, str(place.device), place.precision))
    seconds_after = measuring.seconds + SAVE_SECONDS
    fitted = fit(
        model, rows.train, rows.validation, recipe, seconds_after=seconds_after, should_stop=should_stop, report=report
    )
    restore(model, fitted.best)

    after = measuring.run(model, "tuned", step=fitted.steps)

    report(PhaseMoved(phase="saving", sentence="Saving the adapter.", seconds_left=SAVE_SECONDS))
    folder = save_weights(job_dir, model, tokenizer, reference=facts.base_model_reference)
    cost = _cost(job_dir, folder, fitted, trainable, total, total_seconds=time.monotonic() - began)
    verdict = judge(recipe.task, rows.held_out, before, after, common_label=rows.common_label, cost=cost)
    card = card_of(recipe, facts, verdict, labels=rows.labels, max_new_tokens=rows.max_new_tokens)
    (job_dir / VERDICT).write_text(verdict.model_dump_json(indent=2))
    commit(job_dir, folder, recipe, card=card, labels=rows.labels)
    shutil.rmtree(job_dir / CACHE, ignore_errors=True)
    report(Saved(manifest_sha256=sha256(job_dir / ADAPTER / "manifest.json"), size_bytes=cost.adapter_bytes))
    report(Finished(train_seconds=fitted.seconds, total_seconds=time.monotonic() - began))


class Measuring:
    """Measures base and tuned model on the same rows, and remembers how long the last one took."""

    def __init__(self, rows: JobRows, tokenizer: Tokenizer, should_stop: Callable[[], bool], report: Report) -> None:
        self.rows, self.tokenizer, self.should_stop, self.report = rows, tokenizer, should_stop, report
        self.seconds = 0.0

    def run(self, model: Model, which: Literal["base", "tuned"], *, step: int = 0) -> Measured:
        """`step`: the last one trained, for whoever asks to stop meanwhile."""
        num_rows = len(self.rows.test)
        began = time.monotonic()

        def progress(done: int) -> None:
            if self.should_stop():
                raise Stop(step)
            seconds_left = (time.monotonic() - began) / done * (num_rows - done) + SAVE_SECONDS if done else None
            self.report(
                PhaseMoved(
                    phase="measuring_base" if which == "base" else "measuring_tuned",
                    sentence=f"Measuring the {which} model on {num_rows} held-out rows.",
                    done=done,
                    total=num_rows,
                    unit="rows",
                    seconds_left=seconds_left if which == "tuned" else None,
                )
            )

        progress(0)
        measured = measure(
            model,
            self.tokenizer,
            self.rows.test,
            labels=self.rows.labels,
            max_new_tokens=self.rows.max_new_tokens,
            progress=progress,
        )
        self.seconds = time.monotonic() - began
        return measured


def _read(path: Path, kind: type[Read]) -> Read:
    """A file of the job's that must fit its type exactly. Raises TrainingError, naming all that is wrong."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise TrainingError("data", f"{path.name} is missing from the job's folder. Start the job anew.") from error
    except ValidationError as error:
        wrong = " ".join(f"{'.'.join(map(str, one['loc']))} {one['msg']}".strip() for one in error.errors())
        message = f"{path.name} is refused: {wrong.replace('Value error, ', '')} Start a new job with this put right."
        raise TrainingError("data", message) from error


def count_weights(model: Model) -> tuple[int, int]:
    """How many are trained, and how many there are, without the new head that peft keeps beside the trained one."""
    weights = [(name, weight) for name, weight in model.named_parameters() if ".original_module." not in name]
    return (
        sum(weight.numel() for _name, weight in weights if weight.requires_grad),
        sum(weight.numel() for _name, weight in weights),
    )


def _started(recipe: Recipe, rows: JobRows, trainable: int, total: int, device: str, precision: str) -> Started:
    steps_an_epoch = -(-len(rows.train) // recipe.whole("batch_size"))
    return Started(
        trainable_params=trainable,
        total_params=total,
        num_train_rows=len(rows.train),
        num_validation_rows=len(rows.validation),
        num_test_rows=len(rows.test),
        num_truncated_rows=rows.num_truncated,
        total_steps=steps_an_epoch * recipe.whole("epochs"),
        device=device,
        precision=precision,
    )


def _cost(job_dir: Path, folder: Path, fitted: Fitted, trainable: int, total: int, *, total_seconds: float) -> Cost:
    return Cost(
        train_seconds=fitted.seconds,
        total_seconds=total_seconds,
        tokens=fitted.tokens,
        tokens_per_second=fitted.tokens_per_second,
        peak_memory_bytes=peak_memory_bytes(),
        trainable_params=trainable,
        total_params=total,
        adapter_bytes=(folder / "adapter_model.safetensors").stat().st_size,
        full_checkpoint_bytes=sum(path.stat().st_size for path in weight_files(job_dir / BASE_MODEL)),
    )
