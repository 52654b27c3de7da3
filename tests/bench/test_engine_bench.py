"""The engine's bench: its rows, its sums and its table. What is measured takes hours."""

import json
from pathlib import Path

import pytest

from tests.bench.engine.figures import Run, add_run, differences, medians, read_runs, step_figures
from tests.bench.engine.lora import TRIALS, TRIED, best_config
from tests.bench.engine.peer.train import Collator, multiplier
from tests.bench.engine.rows import MOST_CHARACTERS, even, labelled, ragged
from tests.bench.engine.run import PARTS, engine
from tests.bench.engine.targets import TARGETS, outcomes
from worker.engine.schedule import lr_multiplier


def a_run(who: str, *, repeat: int = 0, part: str = "prompt-heavy", **figures: float) -> Run:
    return Run(part=part, who=who, repeat=repeat, figures=figures, threads=2, machine="one")


def test_its_ragged_rows_are_of_all_lengths_and_mostly_prompt() -> None:
    rows = ragged(300)
    lengths = sorted(len(row["input"]) for row in rows)
    assert len({row["input"] for row in rows}) == 300
    assert lengths[30] < 250 and lengths[-30] > 1200 and lengths[-1] < MOST_CHARACTERS + 200
    assert sum(len(row["output"]) for row in rows) < 0.1 * sum(lengths)
    assert rows[:50] == ragged(50)


def test_its_other_rows_are_as_many_as_are_asked_for() -> None:
    assert len(even(1_000)) == 1_000
    assert {row["output"] for row in labelled(2_000)} == {"numpy", "scipy", "sklearn"}


def test_the_first_steps_are_not_counted() -> None:
    figures = step_figures([0, 50, 100, 101], [50, 100, 101, 103], differences([10, 20, 120, 220]))
    assert figures["tokens_per_second"] == 200 / 3
    assert figures["step_seconds"] == 1.5
    assert figures["tokens"] == 220


def test_medians_are_over_the_repeats() -> None:
    runs = [a_run("ours", repeat=at, tokens_per_second=speed) for at, speed in enumerate((100, 900, 300))]
    assert medians(runs) == {("prompt-heavy", "ours"): {"tokens_per_second": 300}}


def test_a_target_is_met_missed_or_not_measured_yet() -> None:
    runs = [
        a_run("ours", tokens_per_second=900, peak_memory_bytes=6),
        a_run("best peer", tokens_per_second=200, peak_memory_bytes=10),
    ]
    found = {(one.what, one.against): (one.measured, one.is_met) for one in outcomes(medians(runs))}
    assert found["tokens/s, prompt-heavy rows", "Trainer + peft at its best"] == (4.5, True)
    assert found["peak memory, prompt-heavy rows", "Trainer + peft at its best"] == (0.6, False)
    assert found["tokens/s, IA3", "Trainer + peft at its best"] == (None, None)


def test_every_target_is_of_figures_that_somebody_measures() -> None:
    """By the names of parts and of those who take part; a figure of any name is there."""

    class Any(dict[str, float]):
        def __missing__(self, name: str) -> float:
            return 1.0

    everything = {(part.name, who): Any() for part in PARTS for who in part.measures}
    assert [one.what for one in outcomes(everything) if one.measured is None] == []
    assert len(TARGETS) >= 18


def test_growth_is_told_where_it_is_farthest_from_linear() -> None:
    lengths = {"64": 1.0, "128": 1.05, "256": 0.8, "512": 1.1, "1024": 1.1}
    runs = [a_run(who, part="length", seconds_a_token=value) for who, value in lengths.items()]
    growth = next(one for one in outcomes(medians(runs)) if one.what.startswith("time a token, length 64"))
    assert growth.measured == pytest.approx(0.2)
    assert growth.is_met is False


def test_the_best_peer_is_the_fastest_that_was_tried() -> None:
    runs = [
        a_run(one.name, part=TRIALS, tokens_per_second=speed) for one, speed in zip(TRIED, (1, 2, 9, 3), strict=False)
    ]
    assert best_config(runs) == TRIED[2]
    assert best_config([]) == TRIED[0]


def test_it_prints_what_is_there_and_writes_it_down(tmp_path: Path) -> None:
    for run in (a_run("ours", tokens_per_second=900), a_run("best peer", tokens_per_second=200)):
        add_run(tmp_path / "engine.jsonl", run)
    words = ["--table", "--into", str(tmp_path / "engine.jsonl"), "--json", str(tmp_path / "told.json")]
    lines = list(engine(words))
    assert "| tokens/s, prompt-heavy rows | Trainer + peft at its best | ≥ 4 | 4.50 | met |" in lines
    assert "| prompt-heavy | ours | 1 | 900 tokens/s |" in lines
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["targets"][0]["measured"] == 4.5
    assert len(read_runs(tmp_path / "engine.jsonl")) == 2


def test_what_is_to_be_measured_anew_is_forgotten_first(tmp_path: Path) -> None:
    for who in ("ours", "best peer"):
        add_run(tmp_path / "engine.jsonl", a_run(who, tokens_per_second=1))
    words = ["--only", "prompt-heavy", "--who", "ours", "--anew", "--repeats", "0"]
    list(engine([*words, "--into", str(tmp_path / "engine.jsonl")]))
    assert [run.who for run in read_runs(tmp_path / "engine.jsonl")] == ["best peer"]


def test_it_refuses_what_it_does_not_measure() -> None:
    with pytest.raises(SystemExit, match="Unknown: lunch"):
        list(engine(["--only", "lunch"]))


def test_the_peer_has_our_schedule_and_counts_real_tokens() -> None:
    for progress in (0.0, 0.05, 0.1, 0.5, 1.0):
        ours = lr_multiplier(progress, schedule="cosine", warmup_ratio=0.1)
        assert multiplier(progress, 0.1) == pytest.approx(ours, abs=1e-12)
    collator = Collator()
    batch = collator([{"input_ids": [5, 6, 7], "labels": [-100, 6, 7]}, {"input_ids": [8], "labels": [8]}])
    assert collator.tokens == [4]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == [[-100, 6, 7], [8, -100, -100]]
