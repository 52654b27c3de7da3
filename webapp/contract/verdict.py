"""The verdict: did the adapter help, by how much, and how sure are we. Written by the engine as `verdict.json`.

What came later has a default, so that the verdicts of older jobs can still be read. All held-out rows one by one are
in `held_out.py`.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Outcome = Literal["better", "no_clear_difference", "worse"]
Light = Literal["green", "yellow", "red"]


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
    tag: Literal["best", "worst", "random"] | None = None
    """Why it is shown: the tuned model gained most here, lost most, or neither. None in verdicts of older jobs."""


class Confusion(_Frozen):
    """How often which label was answered: `base[i][j]` counts the held-out rows of `labels[i]` answered `labels[j]`."""

    labels: tuple[str, ...]
    base: tuple[tuple[int, ...], ...]
    tuned: tuple[tuple[int, ...], ...]


class LabelFigures(_Frozen):
    precision: float
    recall: float
    f1: float


class LabelScore(_Frozen):
    """One label on the held-out rows; `support` of them have it. A share of nothing counts as 0."""

    label: str
    support: int
    base: LabelFigures
    tuned: LabelFigures


class Forgetting(_Frozen):
    """What the model lost of what it knew, on general texts that ship with the engine; more is worse.

    `loss`: mean loss per word piece, without the adapter and with it. `drift`, for models that choose labels and so
    have no loss on plain text: how far the texts' representations moved, from 0 (not at all) to 1 (as far as one text
    lies from another) and beyond.
    """

    measure: Literal["loss", "drift"]
    label: str
    """What was measured, in words."""
    base: float
    tuned: float
    difference: float
    low: float
    high: float
    light: Light
    num_texts: int
    sentence: str


class Suspect(_Frozen):
    """A training row that still looks odd once training is over; `loss` is its mean."""

    line: int
    kind: Literal["mislabelled", "never_learnt"]
    input: str
    expected: str
    answer: str | None = None
    """What the tuned model says instead, where that is known."""
    loss: float
    why: str


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
    energy_wh: float | None = None
    """Of the GPU while training, where NVML tells it."""


class Verdict(_Frozen):
    """`baseline` says in words what stands for the base model: for labels, an untrained head knows nothing, so the
    stronger of it and "always the most common label" is taken."""

    outcome: Outcome
    sentence: str
    baseline: str
    primary: Comparison
    primary_why: str = ""
    """Why this metric decides, as a sentence."""
    others: tuple[Comparison, ...] = ()
    samples: tuple[Sample, ...] = ()
    """A few telling rows: gained most, lost most, some at random."""
    confusion: Confusion | None = None
    """For labels, up to `MOST_CONFUSION_LABELS` of them."""
    per_label: tuple[LabelScore, ...] = ()
    """For labels, the most common first."""
    forgetting: Forgetting | None = None
    suspects: tuple[Suspect, ...] = ()
    """The highest loss first."""
    suspects_note: str = ""
    """How many training rows were looked at, as a sentence."""
    cost: Cost


MOST_CONFUSION_LABELS = 200
