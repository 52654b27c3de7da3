"""A job from its files to its adapter, top to bottom: load, measure the base, train, measure again, judge, save."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import torch

from webapp.contract.events import Event, Finished, PhaseMoved, Saved, Started
from webapp.contract.job_dir import ADAPTER, BASE_MODEL, FACTS, RECIPE, VERDICT, Facts
from webapp.contract.recipe import Recipe
from webapp.contract.verdict import Cost
from worker.engine.card import card_of
from worker.engine.fit import Fitted, fit, peak_memory_bytes, restore
from worker.engine.forward import Model
from worker.engine.measure import Measured, measure
from worker.engine.methods import BUILDERS
from worker.engine.model import choose_place, load_base, load_tokenizer
from worker.engine.rows import CACHE, JobRows, read_rows
from worker.engine.save import commit, save_weights, sha256, weight_files
from worker.engine.verdict import judge

Report = Callable[[Event], None]

SAVE_SECONDS = 3.0


def train(job_dir: Path, should_stop: Callable[[], bool], report: Report) -> None:
    """Turn `job_dir`'s recipe and rows into an adapter and a verdict. Raises TrainingError, Stop."""
    began = time.monotonic()
    recipe = Recipe.model_validate_json((job_dir / RECIPE).read_bytes())
    facts = Facts.model_validate_json((job_dir / FACTS).read_bytes())
    shutil.rmtree(job_dir / ADAPTER, ignore_errors=True)

    report(PhaseMoved(phase="loading", sentence="Loading the base model and reading the rows."))
    torch.manual_seed(recipe.seed)
    place = choose_place(recipe.task)
    tokenizer = load_tokenizer(job_dir / BASE_MODEL)
    rows = read_rows(job_dir, recipe, tokenizer)
    base = load_base(job_dir / BASE_MODEL, recipe.task, place, rows.labels)

    measuring = Measuring(recipe, rows, tokenizer, report)
    before = measuring.run(base, "base")

    model = BUILDERS[recipe.method](base, recipe, str(job_dir / BASE_MODEL))
    trainable = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    total = sum(weight.numel() for weight in model.parameters())
    report(_started(recipe, rows, trainable, total, str(place.device), place.precision))
    fitted = fit(
        model,
        rows.train,
        rows.validation,
        recipe,
        seconds_after=measuring.seconds + SAVE_SECONDS,
        should_stop=should_stop,
        report=report,
    )
    restore(model, fitted.best)

    after = measuring.run(model, "tuned")

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

    def __init__(self, recipe: Recipe, rows: JobRows, tokenizer: object, report: Report) -> None:
        self.recipe, self.rows, self.tokenizer, self.report = recipe, rows, tokenizer, report
        self.seconds = 0.0

    def run(self, model: Model, which: str) -> Measured:
        num_rows = len(self.rows.test)
        began = time.monotonic()

        def progress(done: int) -> None:
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
