"""The presets' bench: its rows, and what its checks call short. The figures themselves take hours."""

from pathlib import Path

from tests.bench.presets_table import checks, newest, short_of, table
from tests.bench.results import RESULTS, PresetRun, add_run, read_runs
from tests.bench.rows import BENCH_ROWS
from webapp.contract.methods import METHODS
from webapp.contract.shortfalls import shortfall
from webapp.contract.split import split_sizes


def a_run(method: str, tuned: float, *, low: float = 0.1, seed: int = 17) -> PresetRun:
    return PresetRun(
        rows="kinds", method=method, seed=seed, knobs={"epochs": 1}, metric="accuracy", base=0.2, tuned=tuned,
        difference=tuned - 0.2, low=low, high=0.9, num_held_out=120, trainable_params=1, total_params=1000,
        adapter_bytes=1_000_000, train_seconds=50, total_seconds=60, epochs=1, best_epoch=1, forgetting="green",
        machine="one",
    )  # fmt: skip


def test_there_are_enough_rows_to_learn_from_and_to_judge_by() -> None:
    for bench_rows in BENCH_ROWS.values():
        rows = bench_rows.read()
        sizes = split_sizes(len(rows))
        assert len({row["input"].casefold() for row in rows}) == len(rows)
        assert 140 <= sizes.train <= 250
        assert sizes.test * len(bench_rows.seeds) >= 40


def test_its_rows_are_always_the_same() -> None:
    for bench_rows in BENCH_ROWS.values():
        assert bench_rows.read() == bench_rows.read()


def test_it_names_what_is_not_clearly_better_and_what_is_far_behind() -> None:
    runs = [a_run("full", 0.80), a_run("lora", 0.77), a_run("bottleneck", 0.79), a_run("ia3", 0.3, low=-0.01)]
    short = [line for line in checks(runs) if "on kinds" in line and not line.startswith("Not measured")]
    assert short == [
        "3.0 points behind full fine-tuning: LoRA on kinds.",
        "Not clearly better than the base with seeds [17]: IA3 on kinds.",
    ]


def test_what_was_run_again_counts_as_run_last(tmp_path: Path) -> None:
    for run in (a_run("lora", 0.5), a_run("lora", 0.7), a_run("lora", 0.6, seed=18)):
        add_run(tmp_path / "results" / "runs.jsonl", run)
    _head, _rule, line = table(read_runs(tmp_path / "results" / "runs.jsonl"))
    assert line == "| kinds | LoRA | 20% | 65.0% | +45 (+10 to +90) | 0.100% | 1.00 | 1.0 | 1.0 |"


def test_what_fell_short_is_told_where_methods_are_chosen() -> None:
    runs = read_runs(RESULTS)
    for name, bench_rows in BENCH_ROWS.items():
        full = newest(runs, name, "full")
        behind = [method for method in METHODS if list(short_of(method, newest(runs, name, method), full))]
        assert [method for method in behind if not shortfall(method, bench_rows.task)] == [], name
