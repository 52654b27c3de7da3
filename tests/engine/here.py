"""The engine run in this process, which has torch loaded already: quick, and asked to end at an exact moment."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from tests.engine.runs import KINDS, MAKERS, QUICK, ROWS
from tests.tiny import lay_job_dir, tiny_recipe
from webapp.contract.checkpoint import checkpoints_in
from webapp.contract.events import Event
from webapp.contract.job_dir import ADAPTER, OPTIONS, PROMPT_NETWORK, Options
from worker.engine.child import exit_code_of
from worker.engine.stop import Asking, Wanted, never
from worker.engine.train import train

Report = Callable[[Event], None]


class Attempt:
    """One run in a job's folder, and what it told."""

    def __init__(self, job_dir: Path, wanted: Asking = never, also: Report = lambda _event: None) -> None:
        self.job_dir, self.events = job_dir, list[Event]()

        def report(event: Event) -> None:
            self.events.append(event)
            also(event)

        self.exit_code = exit_code_of(lambda: train(job_dir, wanted, report), report)
        self.steps_kept = [one.manifest.step for one in checkpoints_in(job_dir)]

    def of_kind(self, kind: str) -> list[Any]:
        return [event for event in self.events if event.kind == kind]

    def phases(self) -> set[str]:
        return {event.phase for event in self.of_kind("phase_moved")}

    @property
    def trace(self) -> dict[int, tuple[float, ...]]:
        """Of each step what must not depend on how often the job was interrupted."""
        return {event.step: (event.loss, event.learning_rate, event.tokens) for event in self.of_kind("stepped")}

    @property
    def watched(self) -> dict[int, tuple[float, bool]]:
        return {event.step: (event.loss, event.is_best) for event in self.of_kind("evaluated")}

    @property
    def adapter(self) -> Path:
        return self.job_dir / ADAPTER

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        """Those that are needed to use what was trained."""
        files = [path for path in sorted(self.adapter.glob("*.safetensors")) if path.name != PROMPT_NETWORK]
        return {name: weight for path in files for name, weight in load_file(path).items()}


def lay_job(
    folder: Path, *, task: str = "generate", method: str = "lora", kind: str | None = None, **knobs: Any
) -> Path:
    """A job with dropout, where the method has it, so that lost dice would show. `kind`: of the base model."""
    base = folder / "base"
    if not base.exists():
        MAKERS[kind or KINDS[task]](base)
    if method == "lora":
        knobs = {"dropout": 0.1, **knobs}
    recipe = tiny_recipe(base, task=task, method=method, **{**QUICK, **knobs})
    return lay_job_dir(folder / f"job-{len(list(folder.iterdir()))}", recipe, ROWS[task](), base)


def with_options(job_dir: Path, **options: Any) -> Path:
    (job_dir / OPTIONS).write_text(Options(**{"checkpoint_seconds": 1e9, **options}).model_dump_json())
    return job_dir


class Asker:
    """Says a word from the moment on that it hears of an event: `Asker("stop", "stepped", 3)` at the third step."""

    def __init__(self, word: Wanted, kind: str, nth: int = 1, *, phase: str = "") -> None:
        self.word, self.kind, self.left, self.phase = word, kind, nth, phase

    def hear(self, event: Event) -> None:
        if event.kind == self.kind and (not self.phase or getattr(event, "phase", "") == self.phase):
            self.left -= 1

    def __call__(self) -> Wanted:
        return self.word if self.left <= 0 else "go_on"


def asked(job_dir: Path, word: Wanted, kind: str, nth: int = 1, *, phase: str = "") -> Attempt:
    asker = Asker(word, kind, nth, phase=phase)
    return Attempt(job_dir, asker, asker.hear)
