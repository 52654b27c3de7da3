"""A job that was interrupted ends as if it had not been: same losses, same rows, same adapter, to the last digit."""

from pathlib import Path
from shutil import copytree

import pytest
import torch

from tests.engine.dice import make_dice
from tests.engine.here import Attempt, asked, lay_job, with_options
from webapp.contract.checkpoint import CheckpointManifest, checkpoints_in
from webapp.contract.job_dir import MANIFEST, VERDICT
from webapp.contract.methods import METHODS
from webapp.contract.verdict import Verdict
from worker.engine.commit import entries_of
from worker.engine.training import Standing

PAIRS = [(method, task) for method in METHODS for task in ("generate", "classify", "transform")]


def assert_same_adapter(one: Attempt, other: Attempt) -> None:
    assert one.weights.keys() == other.weights.keys()
    for name, weight in one.weights.items():
        assert torch.equal(weight, other.weights[name]), name


def verdict_of(attempt: Attempt) -> Verdict:
    verdict = Verdict.model_validate_json((attempt.job_dir / VERDICT).read_text())
    return verdict.model_copy(update={"cost": None})


@pytest.mark.parametrize(("method", "task"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_a_stopped_job_goes_on_as_if_undisturbed(method: str, task: str, tmp_path: Path) -> None:
    whole = Attempt(lay_job(tmp_path, task=task, method=method))
    assert whole.exit_code == 0
    at = make_dice().randrange(1, len(whole.trace))
    job_dir = lay_job(tmp_path, task=task, method=method)
    first, second = asked(job_dir, "stop", "stepped", at), Attempt(job_dir)
    assert (first.exit_code, first.events[-1].kind, first.steps_kept) == (3, "stopped", [at])
    assert (second.exit_code, second.of_kind("started")[0].resumed_step) == (0, at)
    assert min(second.trace) == at + 1 and max(first.trace) == at
    assert first.trace | second.trace == whole.trace
    assert first.watched | second.watched == whole.watched
    assert_same_adapter(second, whole)
    assert verdict_of(second) == verdict_of(whole)


def test_the_base_is_measured_once_training_is_over(tmp_path: Path) -> None:
    attempt = Attempt(lay_job(tmp_path))
    told = [getattr(event, "phase", event.kind) for event in attempt.events]
    assert told.index("loading") < told.index("stepped") < told.index("measuring_base") < told.index("measuring_tuned")
    assert list(attempt.watched) == sorted(attempt.watched) and min(attempt.watched) == 0
    assert told.index("stepped") < told.index("evaluated")


def test_what_a_checkpoint_of_an_older_version_knows_of_the_base_is_not_measured_again(tmp_path: Path) -> None:
    job_dir = lay_job(tmp_path)
    first = asked(job_dir, "stop", "phase_moved", phase="measuring_tuned")
    known = ["an older answer"] * first.of_kind("started")[0].num_test_rows
    (newest,) = checkpoints_in(job_dir)[:1]
    standing = Standing.model_validate_json((newest.folder / "state.json").read_text())
    assert standing.base_answers == []
    shelf_again(newest.folder, standing.model_copy(update={
        "base_answers": known, "base_losses": [1.0] * len(known), "base_num_labels": [3] * len(known),
    }))  # fmt: skip
    second = Attempt(job_dir)
    assert second.exit_code == 0 and "measuring_base" not in second.phases()
    assert {sample.base for sample in verdict_of(second).samples} == {"an older answer"}


def shelf_again(folder: Path, standing: Standing) -> None:
    """The same checkpoint with another state."""
    (folder / "state.json").write_text(standing.model_dump_json())
    manifest = CheckpointManifest.model_validate_json((folder / MANIFEST).read_text())
    (folder / MANIFEST).unlink()
    (folder / MANIFEST).write_text(manifest.model_copy(update={"files": entries_of(folder)}).model_dump_json())


def test_many_interruptions_change_no_more_than_one(tmp_path: Path) -> None:
    whole = Attempt(lay_job(tmp_path))
    job_dir = with_options(lay_job(tmp_path), checkpoint_steps=4)
    attempts = [asked(job_dir, "stop", "stepped", 2)]
    while attempts[-1].exit_code == 3:
        attempts.append(asked(job_dir, "stop", "stepped", 2))
    told: dict[int, tuple[float, ...]] = {}
    for attempt in attempts:
        assert not told.keys() & attempt.trace.keys()
        told |= attempt.trace
    assert told == whole.trace
    assert len(attempts) > len(whole.trace) // 2
    assert_same_adapter(attempts[-1], whole)


def saved_steps(attempt: Attempt) -> list[int]:
    return [event.step for event in attempt.of_kind("checkpoint_saved")]


def test_checkpoints_come_as_often_as_asked_and_at_the_end_of_training(tmp_path: Path) -> None:
    by_steps = Attempt(with_options(lay_job(tmp_path), checkpoint_steps=5))
    last = max(by_steps.trace)
    assert saved_steps(by_steps) == [*range(5, last, 5), last]
    by_time = Attempt(with_options(lay_job(tmp_path), checkpoint_seconds=0))
    assert saved_steps(by_time) == list(by_time.trace)
    seldom = Attempt(with_options(lay_job(tmp_path)))
    assert saved_steps(seldom) == [last]


def test_figures_go_on_counting(tmp_path: Path) -> None:
    job_dir = lay_job(tmp_path)
    first, second = asked(job_dir, "stop", "stepped", 6), Attempt(job_dir)
    before, after = first.of_kind("stepped")[-1], second.of_kind("stepped")[0]
    assert after.tokens > before.tokens and after.peak_memory_bytes >= before.peak_memory_bytes
    assert after.tokens / after.tokens_per_second > before.tokens / before.tokens_per_second
    finished = second.of_kind("finished")[0]
    assert finished.total_seconds > second.events[-1].at - second.events[0].at
    assert finished.train_seconds > second.of_kind("stepped")[-1].at - second.of_kind("started")[0].at


def test_stopped_while_the_tuned_model_is_measured_it_trains_no_step_again(tmp_path: Path) -> None:
    whole = Attempt(lay_job(tmp_path))
    job_dir = lay_job(tmp_path)
    first = asked(job_dir, "stop", "phase_moved", phase="measuring_tuned")
    second = Attempt(job_dir)
    assert first.exit_code == 3 and first.trace == whole.trace
    assert second.exit_code == 0 and second.trace == {} and second.watched == {}
    assert second.of_kind("started")[0].resumed_step == max(whole.trace)
    assert_same_adapter(second, whole)


@pytest.mark.parametrize("word", ["stop", "cancel"])
def test_asked_to_end_before_any_training_it_does(word: str, tmp_path: Path) -> None:
    attempt = asked(lay_job(tmp_path), word, "phase_moved", phase="loading")  # type: ignore[arg-type]
    assert (attempt.exit_code, attempt.events[-1].kind) == (3, "stopped")
    assert attempt.trace == {} and attempt.steps_kept == []
    assert len(attempt.of_kind("phase_moved")) == 1


@pytest.mark.parametrize("word", ["stop", "cancel"])
def test_asked_to_end_while_the_base_is_measured_it_keeps_what_was_trained(word: str, tmp_path: Path) -> None:
    attempt = asked(lay_job(tmp_path), word, "phase_moved", phase="measuring_base")  # type: ignore[arg-type]
    assert (attempt.exit_code, attempt.events[-1].kind) == (3, "stopped")
    assert attempt.steps_kept == [max(attempt.trace)] and "measuring_tuned" not in attempt.phases()


@pytest.mark.parametrize("moment", ["stepped", "phase_moved"])
def test_cancelled_it_leaves_no_checkpoint_and_no_adapter(moment: str, tmp_path: Path) -> None:
    job_dir = lay_job(tmp_path)
    attempt = asked(job_dir, "cancel", moment, 3 if moment == "stepped" else 1)
    assert (attempt.exit_code, attempt.events[-1].kind) == (3, "stopped")
    assert attempt.steps_kept == [] and list((job_dir / "checkpoints").iterdir()) == []
    assert not list(job_dir.glob("adapter*"))


def test_asked_to_keep_it_ends_training_and_makes_an_adapter(tmp_path: Path) -> None:
    attempt = asked(lay_job(tmp_path), "keep", "stepped", 7)
    (early,) = attempt.of_kind("finished_early")
    assert attempt.exit_code == 0 and attempt.events[-1].kind == "finished"
    assert (early.step, max(attempt.trace), max(attempt.watched)) == (7, 7, 7)
    assert early.total_steps > 7 and attempt.weights
    assert verdict_of(attempt).primary.num_rows > 0


def test_asked_to_keep_before_a_step_is_done_it_does_one(tmp_path: Path) -> None:
    attempt = asked(lay_job(tmp_path), "keep", "phase_moved")
    assert attempt.exit_code == 0
    assert list(attempt.trace) == [1] and attempt.of_kind("finished_early")[0].step == 1


def test_a_job_that_was_interrupted_after_it_finished_early_is_asked_again(tmp_path: Path) -> None:
    """The worker repeats the wish to whoever goes on; without it the remaining steps are trained."""
    told: list[object] = []

    def wanted() -> str:
        phases = [event for event in told if getattr(event, "phase", "") == "measuring_tuned"]
        return "stop" if phases else "keep" if sum(event.kind == "stepped" for event in told) == 5 else "go_on"

    job_dir = lay_job(tmp_path)
    first = Attempt(job_dir, wanted, told.append)  # type: ignore[arg-type]
    again = Attempt(copytree(job_dir, tmp_path / "again", symlinks=True), lambda: "keep")
    goes_on = Attempt(job_dir)
    assert (first.exit_code, first.steps_kept[0]) == (3, 5)
    assert (again.exit_code, again.trace) == (0, {})
    assert again.of_kind("finished_early")[0].step == 5
    assert min(goes_on.trace) == 6
