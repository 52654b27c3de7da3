"""The verdict: did the adapter help, by how much, and how sure are we. Written by the engine as `verdict.json`."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Outcome = Literal["better", "no_clear_difference", "worse"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Comparison(_Frozen):
    """One metric, base against tuned, on the same held-out rows. `low` and `high` bound the difference tuned - base
    with 95 % confidence (paired bootstrap over rows, Efron 1979)."""

    metric: str
    label: str
    base: float
    tuned: float
    difference: float
    low: float
    high: float
    num_rows: int
    wins: int
    ties: int
    losses: int
    higher_is_better: bool = True
    is_percent: bool = True
    """True where 0..1 is shown as a percentage; False for losses and the like."""


class Sample(_Frozen):
    """One held-out row with what both models answered. Scores are those of the primary metric."""

    line: int
    input: str
    expected: str
    base: str
    tuned: str
    base_score: float
    tuned_score: float


class Cost(_Frozen):
    """What it took. Seconds, bytes and counts as measured on this job."""

    train_seconds: float
    total_seconds: float
    tokens: int
    tokens_per_second: float
    peak_memory_bytes: int
    trainable_params: int
    total_params: int
    adapter_bytes: int
    full_checkpoint_bytes: int


class Verdict(_Frozen):
    """`baseline` says in words what stands for the base model: for labels, an untrained head knows nothing, so the
    stronger of it and "always the most common label" is taken."""

    outcome: Outcome
    sentence: str
    baseline: str
    primary: Comparison
    others: tuple[Comparison, ...] = ()
    samples: tuple[Sample, ...] = ()
    cost: Cost
