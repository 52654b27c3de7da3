"""Odd training rows: those that a test mislabelled or made senseless are found, and looking has an end."""

import json
import random
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engine.here import Attempt, asked
from tests.tiny import lay_job_dir, make_bert, make_llama, tiny_recipe
from webapp.contract.held_out import read_held_out
from webapp.contract.job_dir import HELD_OUT, VERDICT
from webapp.contract.verdict import Suspect, Verdict
from worker.engine import suspects
from worker.engine.encode import Encoded
from worker.engine.suspects import doubted_labels, find_suspects, never_learnt

Rows = list[tuple[str, str]]


def verdict_of(job_dir: Path) -> Verdict:
    return Verdict.model_validate_json((job_dir / VERDICT).read_text())


def colours(num_rows: int = 240) -> Rows:
    """Easy to tell apart by any letter of it."""
    dice = random.Random(1)
    sides = {"low": "abcdefg", "high": "tuvwxyz"}
    return [
        ("".join(dice.choice(letters) for _ in range(6)), label) for label, letters in sides.items()
        for _ in range(num_rows // 2)
    ]  # fmt: skip


def suspects_of(folder: Path, task: str, rows: Rows, **knobs: Any) -> tuple[Suspect, ...]:
    base = (make_bert if task == "classify" else make_llama)(folder / "base")
    recipe = tiny_recipe(
        base, task=task, method="lora", **{"epochs": 12, "learning_rate": 0.02, "patience": 0, **knobs}
    )
    job_dir = lay_job_dir(folder / "job", recipe, rows, base)
    assert Attempt(job_dir).exit_code == 0
    verdict = verdict_of(job_dir)
    assert verdict.suspects_note.startswith("All ")
    return verdict.suspects


def test_mislabelled_rows_are_found(tmp_path: Path) -> None:
    rows = colours()
    wrong = {5, 40, 77, 150, 200}
    for number in wrong:
        text, label = rows[number]
        rows[number] = (text, "high" if label == "low" else "low")
    found = suspects_of(tmp_path, "classify", rows, learning_rate=0.005)
    sides = {line: text for line, (text, _label) in enumerate(rows, start=2)}
    assert {one.line for one in found} == {number + 2 for number in wrong}
    for one in found:
        assert (one.kind, one.input, one.answer != one.expected) == ("mislabelled", sides[one.line], True)
        assert f"sure of “{one.answer}”" in one.why and one.loss > 2.3
    assert [one.loss for one in found] == sorted((one.loss for one in found), reverse=True)


def test_answers_that_were_never_learnt_are_found(tmp_path: Path) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    rows = [(one + two, "yes, of course") for one in letters for two in letters[:8]]
    senseless = {10: "QX7!ZK9?VJ", 90: "J4W:Q-Z8XK", 130: "98-KVXQ;WZ"}
    for number, answer in senseless.items():
        rows[number] = (rows[number][0], answer)
    found = suspects_of(tmp_path, "generate", rows)
    assert found and {one.expected for one in found} <= set(senseless.values())
    assert {(one.kind, one.answer) for one in found} == {("never_learnt", None)}
    assert "half of the rows have" in found[0].why


def test_a_label_is_doubted_only_by_a_sure_model() -> None:
    """Own label and best other: 5 % and 90 %, 15 % and 80 %, 5 % and 70 %."""
    scores = np.log([[0.05, 0.90, 0.05], [0.15, 0.82, 0.03], [0.05, 0.70, 0.25]])
    (odd,) = doubted_labels([7, 8, 9], scores, [0, 0, 0], ["a", "b", "c"])
    assert (odd.number, odd.answer, odd.loss) == (7, "b", pytest.approx(-np.log(0.05)))
    assert "90% sure of “b” and gives “a” 5.0%" in odd.why


def test_a_loss_is_far_out_by_the_spread_of_the_others() -> None:
    losses = np.array([0.9, 1.0, 1.1, 1.2, 0.8, 1.0, 1.4, 3.0])
    assert [odd.number for odd in never_learnt(range(10, 18), losses)] == [17]
    assert never_learnt(range(4), np.array([0.001, 0.001, 0.001, 0.3])) == []


class Many(list[Encoded]):
    labels = ("a", "b")

    def text(self, number: int) -> Any:
        raise AssertionError("no row is odd here")


def looking(num_rows: int, monkeypatch: pytest.MonkeyPatch, **more: Any) -> str:
    """What is said of so many rows, all alike."""
    rows: Any = Many([Encoded([1], [True], [1])] * num_rows)
    monkeypatch.setattr(suspects, "mixed_precision", lambda _model: nullcontext())
    monkeypatch.setattr(suspects, "losses_of", lambda _model, some, **_more: (np.ones(len(some)), np.ones(len(some))))
    arguments = {"train_seconds": 0.0, "divisor": 1, "heed": lambda: None, "progress": lambda _done, _all: None}
    return find_suspects(None, rows, [], **{**arguments, **more}).note


def test_of_very_many_rows_some_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    assert looking(150, monkeypatch).startswith("All 150 training rows were looked at")
    assert looking(5_000, monkeypatch).startswith("2,000 of 5,000 training rows, drawn at random, were looked at")


def test_looking_ends_after_a_tenth_of_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock on which every look at it takes a second."""
    ticks = iter(range(10**6))
    monkeypatch.setattr(suspects, "time", type("Clock", (), {"monotonic": lambda: next(ticks)}))
    assert looking(5_000, monkeypatch, train_seconds=100.0).startswith("640 of 5,000")
    assert looking(5_000, monkeypatch, train_seconds=0.0).startswith("128 of 5,000")


def test_more_rows_are_looked_at_at_once_where_that_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    ticks = iter([0.0, 0.1, 0.2, 0.6, 0.7])
    monkeypatch.setattr(suspects, "time", type("Clock", (), {"monotonic": lambda: next(ticks)}))
    looking(64 + 128 + 256 + 256, monkeypatch, progress=lambda done, _all: seen.append(done))
    assert seen == [0, 64, 64 + 128, 64 + 128 + 256]


def test_a_stop_is_heeded_while_rows_are_looked_at(tmp_path: Path) -> None:
    base = make_bert(tmp_path / "base")
    recipe = tiny_recipe(base, task="classify", method="lora", epochs=1)
    job_dir = lay_job_dir(tmp_path / "job", recipe, colours(60), base)
    # First the held-out rows begin and end, then come the general texts, then this.
    attempt = asked(job_dir, "stop", "phase_moved", 4, phase="measuring_tuned")
    assert attempt.exit_code == 3 and attempt.events[-1].kind == "stopped"
    assert attempt.of_kind("phase_moved")[-1].sentence == "Looking for odd training rows."
    assert Attempt(job_dir).exit_code == 0


def test_all_held_out_rows_are_kept_one_a_line(tmp_path: Path) -> None:
    base = make_bert(tmp_path / "base")
    recipe = tiny_recipe(base, task="classify", method="lora", epochs=1)
    job_dir = lay_job_dir(tmp_path / "job", recipe, colours(60), base)
    assert Attempt(job_dir).exit_code == 0
    rows, primary = list(read_held_out(job_dir / HELD_OUT)), verdict_of(job_dir).primary
    assert len(rows) == primary.num_rows == len({row.line for row in rows})
    assert np.mean([row.tuned_score for row in rows]) == pytest.approx(primary.tuned)
    wins, losses = (sum(sign * row.gain > 0 for row in rows) for sign in (1, -1))
    assert (wins, losses) == (primary.wins, primary.losses)
    first = json.loads((job_dir / HELD_OUT).read_text().splitlines()[0])
    assert first["input"] in {text for text, _label in colours(60)}
