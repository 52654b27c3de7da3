"""What happened, in sentences."""

import pytest

from webapp.jobs.models import JobEvent
from webapp.jobs.timeline import actor_of, sentence_of

STARTED = {
    "num_train_rows": 42, "num_validation_rows": 6, "num_test_rows": 12, "num_truncated_rows": 0,
    "trainable_params": 1000, "total_params": 2000, "device": "cpu", "precision": "fp32",
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "data", "says"),
    [
        ("started", STARTED, "Ready: 42 rows to train on, 6 to watch, 12 held out."),
        ("started", {**STARTED, "resumed_step": 120}, "Goes on from step 120."),
        ("checkpoint_saved", {"step": 40, "size_bytes": 5_000_000, "seconds": 1}, "Checkpoint after step 40, 5.0 MB."),
        ("checkpoint_refused", {"step": 40, "reason": "state.json differs."}, "passed over: state.json differs."),
        ("finished_early", {"step": 40, "total_steps": 90}, "Training ended after step 40 of 90, as asked."),
        ("wait_policy_changed", {"policy": "sleep", "cores_of_others": 1.0}, "Other programs are using 1 of"),
        ("wait_policy_changed", {"policy": "spin", "cores_of_others": 0.0}, "this job's alone again"),
        ("moved", {"to": "paused", "reason": "Paused, as asked."}, "Paused, as asked."),
        ("moved", {"to": "queued", "reason": "Resumed."}, "Queued. Resumed."),
        ("moved", {"to": "running", "reason": ""}, "Running."),
    ],
)  # fmt: skip
def test_each_event_has_its_sentence(kind: str, data: dict[str, object], says: str) -> None:
    assert says in sentence_of(JobEvent(kind=kind, data=data))


@pytest.mark.parametrize(
    ("actor", "before", "shown"),
    [("person", "running", "by hand"), ("reconciler", "running", "by the reconciler"), ("worker one", "queued", ""),
     ("person", "", "")],
)  # fmt: skip
def test_who_moved_it_is_told_where_it_was_not_its_worker(actor: str, before: str, shown: str) -> None:
    event = JobEvent(kind="moved", data={"from": before, "to": "queued", "reason": "", "actor": actor})
    assert actor_of(event) == shown
