"""One measured run of the presets' bench, and the file they are kept in: a line of JSON each."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from webapp.contract.methods import KnobValue

RESULTS = Path(__file__).parent / "results" / "presets.jsonl"


class PresetRun(BaseModel):
    """What was run, and what came of it. Times are seconds on the machine that is named."""

    model_config = ConfigDict(frozen=True)

    rows: str
    method: str
    seed: int
    knobs: dict[str, KnobValue]
    metric: str
    base: float
    tuned: float
    difference: float
    low: float
    high: float
    num_held_out: int
    trainable_params: int
    total_params: int
    adapter_bytes: int
    train_seconds: float
    total_seconds: float
    epochs: float
    """Really run, where training ended early."""
    best_epoch: float
    forgetting: str | None
    machine: str

    @property
    def key(self) -> tuple[str, str, int, str]:
        """Runs of one key need not be done twice."""
        return key_of(self.rows, self.method, self.seed, self.knobs)


def key_of(rows: str, method: str, seed: int, knobs: dict[str, KnobValue]) -> tuple[str, str, int, str]:
    return rows, method, seed, repr(sorted(knobs.items()))


def read_runs(path: Path) -> list[PresetRun]:
    if not path.exists():
        return []
    return [PresetRun.model_validate_json(line) for line in path.read_text().splitlines()]


def add_run(path: Path, run: PresetRun) -> None:
    """A line is written at once, so that two benches may share a file."""
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(run.model_dump_json() + "\n")
