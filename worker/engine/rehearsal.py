"""The last job once more, on a few of its rows and only until its first step, by a process that waits for the next one.

So the next job of its kind finds all imported, prepared and read from the disk that its own first step needs. Nothing
else of it stays: each job sets its own dice.
"""

import ctypes
import gc
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from webapp.contract.events import Event, Stepped
from webapp.contract.job_dir import BASE_MODEL, FACTS, RECIPE, ROWS
from webapp.contract.recipe import Recipe
from webapp.contract.rows import SPLIT_COLUMN
from worker.engine.errors import Stop
from worker.engine.inputs import read_inputs
from worker.engine.model import choose_place
from worker.engine.save import weight_files
from worker.engine.stop import Asking
from worker.engine.train import train

LARGEST_BASE_BYTES = 1_000_000_000
"""A larger one would take its memory while nobody has asked for anything."""
LARGEST_ROWS_BYTES = 20_000_000
ROWS_A_SIDE = 8


class _Enough(Exception):
    """The first step is done."""


def rehearse(job_dir: Path, wanted: Asking) -> None:
    """Until the step, or until it is wanted no more. Nothing where it would take much: methods that hold the base many
    times over, large bases, cards."""
    inputs = read_inputs(job_dir)
    if not _is_light(job_dir, inputs.recipe):
        return
    with TemporaryDirectory(prefix="rehearsal-") as folder, suppress(_Enough, Stop):
        small = Path(folder)
        recipe = inputs.recipe.model_copy(update={"start_adapter": None})
        (small / RECIPE).write_text(recipe.model_dump_json())
        (small / FACTS).write_text(inputs.facts.model_dump_json())
        (small / BASE_MODEL).symlink_to((job_dir / BASE_MODEL).resolve())
        pq.write_table(_a_few(pq.read_table(job_dir / ROWS)), small / ROWS)
        train(small, wanted, _until_a_step)


def give_back_memory() -> None:
    """To the system, also out of the peak that a job would be told to have had. Linux."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _is_light(job_dir: Path, recipe: Recipe) -> bool:
    folder = job_dir / BASE_MODEL
    return (
        recipe.method not in ("full", "freezing")
        and recipe.knobs.get("quantised") != "4bit"
        and choose_place(folder, recipe.task).device.type == "cpu"
        and sum(path.stat().st_size for path in weight_files(folder)) <= LARGEST_BASE_BYTES
        and (job_dir / ROWS).stat().st_size <= LARGEST_ROWS_BYTES
    )


def _a_few(rows: pa.Table) -> pa.Table:
    sides = [rows.filter(pc.equal(rows[SPLIT_COLUMN], side)) for side in ("train", "validation", "test")]
    return pa.concat_tables([side.slice(0, ROWS_A_SIDE) for side in sides])


def _until_a_step(event: Event) -> None:
    if isinstance(event, Stepped):
        raise _Enough
