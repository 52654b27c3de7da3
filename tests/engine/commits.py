"""A job far smaller than the tiny ones, with everything a checkpoint holds: saved in a millisecond, for its commit."""

import time
from pathlib import Path

import torch
import torch._dynamo  # the first optimizer would bring it in, again after every fork

from webapp.contract.base_models import STARTERS
from webapp.contract.events import Event
from webapp.contract.job_dir import Facts, Options
from webapp.contract.presets import auto_knobs
from webapp.contract.recipe import Recipe
from worker.engine.inputs import Inputs
from worker.engine.shelf import Shelf
from worker.engine.training import Standing, Training

RECIPE = Recipe(
    task="generate",
    base_model="smollm2-135m-instruct",
    method="lora",
    knobs=auto_knobs("lora", "generate", STARTERS["smollm2-135m-instruct"].shape, 100),
)
FACTS = Facts(
    name="Tiny", base_model_title="Tiny", base_model_reference="tiny", base_model_licence="none",
    dataset_name="Rows v1", split_sha256="0" * 64,
)  # fmt: skip


class Bench:
    """A model of one matrix on the shelf of `job_dir`, from wherever its newest checkpoint says."""

    def __init__(self, job_dir: Path, *, recipe: Recipe = RECIPE, split: str = FACTS.split_sha256, **options: int):
        self.told: list[Event] = []
        facts = FACTS.model_copy(update={"split_sha256": split})
        self.shelf = Shelf(Inputs(job_dir, recipe, facts, Options(**options)), self.told.append)  # type: ignore[arg-type]
        resumed = self.shelf.newest()
        self.standing = resumed.standing if resumed else Standing()
        torch.manual_seed(0)
        self.training = Training(torch.nn.Linear(8, 8), recipe, self.standing, began=time.monotonic())
        if resumed:
            self.training.restore(resumed.tensors)

    def step(self, *, is_best: bool = False) -> None:
        """One real optimizer step."""
        self.training.model(torch.ones(1, 8)).sum().backward()
        self.training.optimizer.step()
        self.standing.step += 1
        if is_best:
            self.standing.best_step = self.standing.step

    def save(self) -> None:
        self.shelf.save(self.training, total_steps=100, epoch=self.standing.step / 100)

    def steps(self, number: int) -> "Bench":
        """So many steps, each saved."""
        for _step in range(number):
            self.step()
            self.save()
        return self


def save_one(job_dir: Path) -> None:
    """What the crash points are enumerated of: going on from the newest, one more step, its checkpoint."""
    Bench(job_dir).steps(1)
