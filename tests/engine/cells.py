"""The matrix of methods, families and tasks: each cell a tiny job, run once in this process."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from tests.engine.here import Attempt, lay_job
from tests.engine.runs import digest_of
from webapp.contract.methods import METHODS
from webapp.contract.model_shape import FAMILY_OF_TYPE
from webapp.contract.recipe import Recipe
from webapp.contract.tasks import Task


class Cell(NamedTuple):
    """`kind` is the model's type, as in its config.json, and what sets it apart."""

    method: str
    kind: str
    task: Task
    knobs: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        words = [self.task, self.kind, self.method, *(str(value) for _name, value in self.knobs)]
        return "-".join(words).replace(" ", "_")

    @property
    def family(self) -> str:
        return FAMILY_OF_TYPE[self.kind.split()[0]]


EVERY_METHOD = [
    Cell(method, kind, task)
    for kind, task in (
        ("llama", "generate"), ("gpt2", "generate"), ("bert", "classify"), ("llama", "classify"), ("t5", "transform"),
    )
    for method in METHODS
]  # fmt: skip
VARIANTS = [
    Cell("lora", "llama", "generate", (("variant", "rslora"),)),
    Cell("lora", "llama", "generate", (("variant", "dora"),)),
    Cell("lora", "llama", "generate", (("init", "pissa"),)),
    Cell("lora", "llama", "generate", (("init", "pissa"), ("variant", "rslora"))),
    Cell("lora", "llama", "generate", (("gradient_checkpointing", "yes"),)),
    Cell("lora", "gpt2", "generate", (("init", "pissa"),)),
    Cell("lora", "bert", "classify", (("init", "pissa"),)),
    Cell("lora", "bert", "classify", (("targets", "attention"),)),
    Cell("prompt_tuning", "llama", "generate", (("init", "random"),)),
    Cell("prompt_tuning", "bert", "classify", (("init", "vocabulary"),)),
    Cell("prefix_tuning", "llama", "generate", (("init", "text"),)),
    Cell("prefix_tuning", "llama", "generate", (("projection", "yes"),)),
    Cell("bottleneck", "llama", "generate", (("placement", "houlsby"),)),
    Cell("bottleneck", "bert", "classify", (("placement", "houlsby"),)),
    Cell("freezing", "bert", "classify", (("also", "biases"),)),
    Cell("freezing", "t5", "transform", (("also", "norms"),)),
    Cell("lora", "roberta", "classify"),
    Cell("full", "roberta", "classify"),
    Cell("lora", "gpt2", "classify"),
    Cell("prompt_tuning", "gpt2", "classify"),
    Cell("prefix_tuning", "gpt2", "classify"),
    *(Cell(method, "bert without pooler", "classify") for method in METHODS),
    Cell("lora", "bert without pooler", "classify", (("init", "pissa"),)),
]
CELLS = EVERY_METHOD + VARIANTS

LEARNING_RATES = {"ia3": 0.3, "prefix_tuning": 0.1, "full": 0.01, "freezing": 0.01}
"""For models so small; the usual one of the tests is 0.02."""


class Done(NamedTuple):
    """A cell's job after training."""

    cell: Cell
    attempt: Attempt
    base: Path
    base_before: dict[str, str]
    recipe: Recipe
    kept: "TemporaryDirectory[str]"
    """Where all of it lies, until this process ends."""

    @property
    def adapter(self) -> Path:
        return self.attempt.adapter


@cache
def done(cell: Cell) -> Done:
    """Trained once however many tests look at it."""
    kept = TemporaryDirectory(prefix="cell-")
    folder = Path(kept.name)
    job_dir = lay_job(folder, task=cell.task, method=cell.method, kind=cell.kind, **knobs_of_cell(cell))
    base = folder / "base"
    before = digest_of(base)
    attempt = Attempt(job_dir)
    recipe = Recipe.model_validate_json((job_dir / "recipe.json").read_text())
    return Done(cell, attempt, base, before, recipe, kept)


def knobs_of_cell(cell: Cell) -> dict[str, Any]:
    own: dict[str, Any] = {"num_blocks": 1} if cell.method == "freezing" else {}
    if cell.method == "bottleneck":
        own = {"reduction_factor": 4}
    if cell.method == "ia3":
        own = {"epochs": 6}
    # A fresh pooler is trained along, whole matrices that fall apart at the rate of three vectors.
    method = "lora" if cell.kind == "bert without pooler" and cell.method == "ia3" else cell.method
    return {"learning_rate": LEARNING_RATES.get(method, 0.02), "patience": 0, **own, **dict(cell.knobs)}
