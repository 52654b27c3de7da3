"""A job from its files to its adapter, top to bottom: load, train, measure the base and what became of it, judge, save.

What an earlier attempt has left in `checkpoints/` is gone on from, so that no step is trained twice.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.distributed.fsdp import FSDPModule

from webapp.contract.events import Event, Finished, PhaseMoved, Saved, Started
from webapp.contract.held_out import held_out_text
from webapp.contract.job_dir import ADAPTER, BASE_MODEL, HELD_OUT, MANIFEST, START_ADAPTER, VERDICT
from webapp.contract.model_shape import ARCHITECTURE_OF_FAMILY, FAMILY_OF_TYPE
from webapp.contract.recipe import Recipe
from webapp.contract.verdict import Cost
from worker.engine.card import card_of
from worker.engine.commit import need_space, remove_leftovers, sha256, write_file, written_aside
from worker.engine.encode import Tokenizer
from worker.engine.fit import Fit
from worker.engine.forgetting import GeneralTexts
from worker.engine.forward import Model, unwrapped
from worker.engine.generate import writing_room
from worker.engine.inputs import Inputs, read_inputs
from worker.engine.levers.compiled import compile_where_it_pays
from worker.engine.levers.frozen_trunk import remember_trunk
from worker.engine.measuring import SAVE_SECONDS, After, Measuring, heed
from worker.engine.methods import ENGINE_METHODS
from worker.engine.methods.pissa import START
from worker.engine.model import Place, check_tokenizer, choose_place, load_base
from worker.engine.process_group import ALONE, ProcessGroup
from worker.engine.quantised import how_many
from worker.engine.rows import CACHE, JobRows, read_rows
from worker.engine.save import save_tokenizer, seal, weight_bytes, weight_files
from worker.engine.sharding import share_out
from worker.engine.shelf import Shelf
from worker.engine.snippets import Usage, snippet_of
from worker.engine.speed import measured_speed
from worker.engine.start import check_start, text_version_of, tokenizer_dir
from worker.engine.stop import Asking
from worker.engine.tokenizer import load_tokenizer
from worker.engine.training import Standing, Training, peak_memory_bytes
from worker.engine.untouched import Untouched
from worker.engine.verdict import judge

Report = Callable[[Event], None]


def train(job_dir: Path, wanted: Asking, report: Report, group: ProcessGroup = ALONE) -> None:
    """Turn `job_dir`'s recipe and rows into an adapter and a verdict; the others of `group` take part in its steps.
    Raises TrainingError, Stop."""
    began = time.monotonic()
    inputs = read_inputs(job_dir)
    recipe, options = inputs.recipe, inputs.options
    shutil.rmtree(job_dir / ADAPTER, ignore_errors=True)
    remove_leftovers(job_dir)
    need_space(job_dir, 0, min_free_bytes=options.min_free_bytes, what="anything")

    report(PhaseMoved(phase="loading", sentence="Loading the base model and reading the rows."))
    check_start(job_dir, recipe)
    shelf = Shelf(inputs, report)
    resumed = shelf.newest()
    torch.manual_seed(recipe.seed)
    place = choose_place(job_dir / BASE_MODEL, recipe.task)
    tokenizer = load_tokenizer(tokenizer_dir(job_dir, recipe), recipe.task, text_version_of(job_dir, recipe))
    rows = read_rows(job_dir, recipe, tokenizer)
    heed(wanted, resumed.standing.step if resumed else 0)
    is_quantised = recipe.knobs.get("quantised") == "4bit"
    base = load_base(job_dir / BASE_MODEL, recipe.task, group.loads_at(place), rows.labels, is_quantised=is_quantised)
    check_tokenizer(base, tokenizer)

    general = GeneralTexts(base, tokenizer, recipe.task, options.micro_batch_divisor)
    model, untouched = build(base, recipe, job_dir, place)
    quicken(model, rows, recipe, job_dir / CACHE, place, group, report)
    measuring = Measuring(rows, tokenizer, general, untouched, options.micro_batch_divisor, wanted, report)

    standing = resumed.standing if resumed else Standing()
    training = Training(model, recipe, standing, began=began - standing.total_seconds)
    if resumed:
        training.restore(resumed.tensors)
    fit = Fit(
        training, rows, inputs, shelf=shelf, group=group, wanted=wanted, report=report,
        forgetting=measuring.forgetting_so_far, seconds_after=measuring.seconds_after,
    )  # fmt: skip
    report(_started(model, rows, place, total_steps=fit.total_steps, resumed_step=standing.step))
    fit.run()
    group.end_training()
    training.end()
    ENGINE_METHODS[recipe.method].settle(model, place.dtype)

    after = measuring.after(model, standing)
    group.dismiss()

    report(PhaseMoved(phase="saving", sentence="Saving the adapter.", seconds_left=SAVE_SECONDS))
    _save_adapter(inputs, training, tokenizer, rows, after)
    shutil.rmtree(job_dir / CACHE, ignore_errors=True)
    report(_saved(job_dir / ADAPTER))
    report(Finished(train_seconds=standing.seconds, total_seconds=time.monotonic() - training.began))


def build(base: Model, recipe: Recipe, job_dir: Path, place: Place) -> tuple[Model, Untouched]:
    method, own = ENGINE_METHODS[recipe.method], list(base.named_parameters())
    model = method.build(base, recipe, job_dir / BASE_MODEL)
    untouched = Untouched(model, own, job_dir / BASE_MODEL, place.dtype)
    if recipe.start_adapter is not None:
        method.start_from(model, job_dir / START_ADAPTER)
    if recipe.knobs["gradient_checkpointing"] == "yes":
        unwrapped(model).gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model, untouched


def quicken(
    model: Model, rows: JobRows, recipe: Recipe, cache: Path, place: Place, group: ProcessGroup, report: Report
) -> list[FSDPModule]:
    """Bring the model to its place, with what makes this very job's steps faster; returns the blocks that are shared
    out."""
    remember_trunk(unwrapped(model), cache, sum(rows.train.lengths))
    blocks = share_out(model, group, place.device)
    compile_where_it_pays(model, rows.train, recipe.whole("epochs"), report, is_sharded=group.is_sharded)
    return blocks


def _saved(adapter: Path) -> Saved:
    return Saved(manifest_sha256=sha256(adapter / MANIFEST), size_bytes=weight_bytes(adapter))


def _started(model: Model, rows: JobRows, place: Place, *, total_steps: int, resumed_step: int) -> Started:
    trainable, total = count_weights(model)
    return Started(
        trainable_params=trainable,
        total_params=total,
        num_train_rows=len(rows.train),
        num_validation_rows=len(rows.validation),
        num_test_rows=len(rows.test),
        num_truncated_rows=rows.num_truncated,
        total_steps=total_steps,
        device=str(place.device),
        threads=torch.get_num_threads() if place.device.type == "cpu" else 0,
        flops_a_second=measured_speed(),
        precision=place.precision,
        resumed_step=resumed_step,
    )


def _save_adapter(inputs: Inputs, training: Training, tokenizer: Tokenizer, rows: JobRows, after: After) -> None:
    """Judge, and write `held_out.jsonl`, `verdict.json` and `adapter/`; the adapter's folder is shown last, when all
    is there."""
    job_dir, recipe, facts, _options = inputs
    size = 2 * sum(weight.nbytes for weight in training.trainable.values())  # PiSSA keeps twice what it trains
    need_space(job_dir, size, min_free_bytes=inputs.options.min_free_bytes, what="the adapter")
    with written_aside(job_dir / ADAPTER) as folder:
        ENGINE_METHODS[recipe.method].save(training.model, folder, facts.base_model_reference)
        save_tokenizer(tokenizer, folder)
        cost = _cost(job_dir, folder, training)
        verdict, each = judge(
            recipe.task, rows.held_out, training.standing.base, after.tuned, common_label=rows.common_label,
            cost=cost, forgetting=after.forgetting, suspects=after.suspects,
        )  # fmt: skip
        write_file(job_dir / HELD_OUT, held_out_text(each))
        write_file(job_dir / VERDICT, verdict.model_dump_json(indent=2))
        snippet = snippet_of(_usage(inputs, training.model, tokenizer, rows))
        card = card_of(recipe, facts, verdict, snippet=snippet)
        seal(
            job_dir, folder, recipe, card=card, labels=rows.labels, snippet=snippet, text_version=tokenizer.text_version
        )


def _usage(inputs: Inputs, model: Model, tokenizer: Tokenizer, rows: JobRows) -> Usage:
    """What the code that uses the adapter has to know of this job."""
    recipe, base = inputs.recipe, unwrapped(model)
    family = FAMILY_OF_TYPE[base.config.model_type]
    generation = getattr(base, "generation_config", None)
    longest, answer = recipe.whole("max_length"), rows.max_new_tokens
    if recipe.task == "generate":
        room = writing_room(model, answer)
        longest, answer = min(longest, room.prompt), room.answer
    return Usage(
        recipe.method,
        recipe.task,
        inputs.facts.base_model_reference,
        is_decoder=ARCHITECTURE_OF_FAMILY[family] == "decoder",
        max_length=longest,
        max_new_tokens=answer,
        labels=tuple(rows.labels),
        answer_opening=rows.train[0].opening,
        stops_at_eos=generation is None or generation.eos_token_id in (None, tokenizer.eos_token_id),
    )


def _cost(job_dir: Path, folder: Path, training: Training) -> Cost:
    standing = training.standing
    trainable, total = count_weights(training.model)
    return Cost(
        train_seconds=standing.seconds,
        total_seconds=time.monotonic() - training.began,
        tokens=standing.tokens,
        tokens_per_second=standing.tokens / standing.seconds,
        peak_memory_bytes=max(standing.peak_memory_bytes, peak_memory_bytes()),
        trainable_params=trainable,
        total_params=total,
        adapter_bytes=weight_bytes(folder),
        full_checkpoint_bytes=sum(path.stat().st_size for path in weight_files(job_dir / BASE_MODEL)),
        energy_wh=standing.energy_wh,
    )


def count_weights(model: Model) -> tuple[int, int]:
    """How many are trained, and how many there are: without the new head that peft keeps beside the trained one, and
    without a start that is only taken away again."""
    beside = (".original_module.", f".{START}.")
    weights = [(name, one) for name, one in model.named_parameters() if not any(part in name for part in beside)]
    return (
        sum(how_many(weight) for _name, weight in weights if weight.requires_grad),
        sum(how_many(weight) for _name, weight in weights),
    )
