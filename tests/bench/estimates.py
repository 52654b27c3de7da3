"""What the estimates foretell against what the engine takes: `python -m tests.bench estimates`, ten minutes if quiet;
`--threads 2` beside it, for half as long.

One line of JSON a run in `results/estimates.jsonl`; a run that is there is not done twice. `--table` only prints.
"""

import os
import platform
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from tests.bench.presets import base_model_folder
from tests.bench.rows import MINILM, SMOLLM2
from tests.engine.runs import events_of, run_engine
from tests.tiny import lay_job_dir_of
from webapp.contract.base_models import STARTERS
from webapp.contract.events import Stepped
from webapp.contract.job_dir import VERDICT
from webapp.contract.memory_estimate import memory_bytes
from webapp.contract.methods import KnobValue
from webapp.contract.presets import auto_knobs
from webapp.contract.recipe import Recipe
from webapp.contract.split import split_sizes
from webapp.contract.tasks import Task
from webapp.contract.time_estimate import work_seconds
from webapp.contract.verdict import Verdict
from webapp.contract.work import Hardware, Work
from worker.engine.speed import measure_speed

RESULTS = Path(__file__).parent / "results" / "estimates.jsonl"
NUM_ROWS = 32
ANSWER_WORDS = 4


class Cell(BaseModel):
    """A run: `num_words` is how long each row's input is."""

    model_config = ConfigDict(frozen=True)

    base_model: str
    method: str
    num_words: int
    batch_size: int = 8
    gradient_checkpointing: str = "no"

    @property
    def task(self) -> Task:
        return "generate" if self.base_model == SMOLLM2 else "classify"

    @property
    def knobs(self) -> dict[str, KnobValue]:
        auto = auto_knobs(self.method, self.task, STARTERS[self.base_model].shape, split_sizes(NUM_ROWS).train)
        changed: dict[str, KnobValue] = {
            "batch_size": self.batch_size,
            "gradient_checkpointing": self.gradient_checkpointing,
        }
        return {**auto, "epochs": 2, "patience": 0, **changed}


class Measured(BaseModel):
    """What the engine took; bytes at the peak, seconds of all and of training."""

    cell: Cell
    mean_tokens: float
    peak_memory_bytes: int
    total_seconds: float
    train_seconds: float
    machine: str
    num_threads: int = 1
    flops_a_second: float = 0.0

    @property
    def work(self) -> Work:
        cell, sizes = self.cell, split_sizes(NUM_ROWS)
        return Work(
            task=cell.task, method=cell.method, knobs=cell.knobs, shape=STARTERS[cell.base_model].shape, num_labels=2,
            sizes=sizes, mean_tokens=self.mean_tokens, longest_tokens=round(self.mean_tokens),
            answer_tokens=ANSWER_WORDS + 1,
        )  # fmt: skip

    @property
    def hardware(self) -> Hardware:
        return Hardware("cpu", self.num_threads, self.flops_a_second)


CELLS = (
    Cell(base_model=SMOLLM2, method="lora", num_words=10),
    Cell(base_model=SMOLLM2, method="lora", num_words=200),
    Cell(base_model=MINILM, method="lora", num_words=10),
    Cell(base_model=MINILM, method="lora", num_words=400, batch_size=16),
    Cell(base_model=SMOLLM2, method="full", num_words=10),
    Cell(base_model=SMOLLM2, method="prompt_tuning", num_words=100),
    Cell(base_model=MINILM, method="full", num_words=100),
    Cell(base_model=SMOLLM2, method="lora", num_words=400),
    Cell(base_model=MINILM, method="prompt_tuning", num_words=200, batch_size=16),
    Cell(base_model=SMOLLM2, method="full", num_words=200),
    Cell(base_model=SMOLLM2, method="lora", num_words=400, gradient_checkpointing="yes"),
    Cell(base_model=SMOLLM2, method="freezing", num_words=200),
    Cell(base_model=MINILM, method="bottleneck", num_words=400, batch_size=16),
    Cell(base_model=SMOLLM2, method="prefix_tuning", num_words=200),
)


def estimates(words: Sequence[str]) -> Iterator[str]:
    num_threads = int(words[words.index("--threads") + 1]) if "--threads" in words else 1
    if "--table" not in words:
        torch.set_num_threads(num_threads)
        for cell in CELLS:
            if (cell, num_threads) not in {(one.cell, one.num_threads) for one in read_measured()}:
                _add(_measured(cell, num_threads).model_copy(update={"flops_a_second": measure_speed()}))
    yield (
        "| base model | method | tokens a row | batch | threads | memory, MB | foretold / measured "
        "| s | foretold / measured |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    yield from (_line(one) for one in read_measured())


def read_measured() -> list[Measured]:
    return [Measured.model_validate_json(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []


def _add(one: Measured) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a") as file:
        file.write(one.model_dump_json() + "\n")


def _line(one: Measured) -> str:
    cell, work = one.cell, one.work
    memory = memory_bytes(work, "cpu") / one.peak_memory_bytes
    seconds = work_seconds(work, one.hardware) / one.total_seconds
    saves = ", saves memory" if cell.gradient_checkpointing == "yes" else ""
    return (
        f"| {cell.base_model} | {cell.method}{saves} | {one.mean_tokens:.0f} | {cell.batch_size} | {one.num_threads} "
        f"| {one.peak_memory_bytes / 1e6:.0f} | {memory:.2f} | {one.total_seconds:.0f} | {seconds:.2f} |"
    )


def _measured(cell: Cell, num_threads: int) -> Measured:
    """Raises RuntimeError with the engine's last words if it fails."""
    recipe = Recipe(task=cell.task, base_model=cell.base_model, method=cell.method, knobs=cell.knobs)
    with tempfile.TemporaryDirectory(prefix="gw-estimates-") as scratch:
        job_dir = lay_job_dir_of(Path(scratch) / "job", recipe, _rows(cell), base_model_folder(cell.base_model))
        process = run_engine(job_dir, num_threads=num_threads)
        if process.returncode != 0:
            raise RuntimeError(f"{cell}: the engine ended with {process.returncode}: {process.stderr[-500:]}")
        cost = Verdict.model_validate_json((job_dir / VERDICT).read_text()).cost
        last = [event for event in events_of(job_dir) if isinstance(event, Stepped)][-1]
    return Measured(
        cell=cell,
        mean_tokens=last.tokens / (last.epoch * split_sizes(NUM_ROWS).train),
        peak_memory_bytes=cost.peak_memory_bytes,
        total_seconds=cost.total_seconds,
        train_seconds=cost.train_seconds,
        machine=f"{platform.machine()}, {os.cpu_count()} cores",
        num_threads=num_threads,
    )


def _rows(cell: Cell) -> list[dict[str, object]]:
    """All of one length, so that what is longest is what is usual."""
    words = ("stone", "river", "green", "table", "light", "house", "paper")
    answers = ("one two three four", "five six seven eight")
    return [
        {
            "input": f"{number} " + " ".join(words[(number + at) % len(words)] for at in range(cell.num_words)),
            "output": answers[number % 2],
            "messages": None,
        }
        for number in range(NUM_ROWS)
    ]
