"""A verdict as the engine writes it. Knows only the contract, so that a stub of the engine may use it."""

from webapp.contract.held_out import HeldOutRow
from webapp.contract.verdict import Comparison, Cost, Verdict


def make_verdict() -> Verdict:
    return Verdict(
        outcome="better",
        sentence="Better than the base model: exact match 4 % → 91 %.",
        baseline="The base model on the same rows.",
        primary=Comparison(
            metric="exact_match", label="Exact match", base=0.04, tuned=0.91, difference=0.87, low=0.81, high=0.92,
            num_rows=60, wins=52, ties=8, losses=0,
        ),
        cost=Cost(
            train_seconds=75, total_seconds=131, tokens=41000, tokens_per_second=560, peak_memory_bytes=2_000_000_000,
            trainable_params=2_442_240, total_params=136_957_248, adapter_bytes=9_768_960,
            full_checkpoint_bytes=269_060_552,
        ),
    )  # fmt: skip


def make_held_out(num_rows: int = 60) -> list[HeldOutRow]:
    """The rows of that verdict: the base knows one of twenty, the tuned model nine of ten."""
    return [
        HeldOutRow(
            line=line, input=f"question {line}", expected="yes", base="yes" if line % 20 == 0 else "maybe",
            tuned="no" if line % 10 == 5 else "yes", base_score=float(line % 20 == 0),
            tuned_score=float(line % 10 != 5), base_loss=2.0, tuned_loss=0.25,
        )
        for line in range(2, num_rows + 2)
    ]  # fmt: skip
