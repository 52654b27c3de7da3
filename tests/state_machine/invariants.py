"""What must hold of the tables after every single step, whatever was done."""

from collections import defaultdict
from itertools import pairwise
from uuid import UUID

from tests.state_machine.model import ModelJob
from webapp.adapters.models import AdapterVersion
from webapp.jobs.models import ACTIVE, Job, JobAttempt, JobEvent, State
from webapp.jobs.transition import MOVES


def check_all(models: dict[UUID, ModelJob]) -> None:
    """The tables are what the models say, and each job's history is one that can have happened."""
    jobs = {job.id: job for job in Job.objects.select_related("worker", "avoid_worker")}
    assert jobs.keys() == models.keys(), "a job was lost, or made twice"
    attempts, events, adapters = defaultdict(list), defaultdict(list), defaultdict(int)
    for attempt in JobAttempt.objects.order_by("number"):
        attempts[attempt.job_id].append(attempt)
    for event in JobEvent.objects.order_by("seq"):
        events[event.job_id].append(event)
    for job_id in AdapterVersion.objects.values_list("job_id", flat=True):
        adapters[job_id] += 1
    for job_id, job in jobs.items():
        is_as_modelled(job, models[job_id])
        history_is_legal(events[job_id], models[job_id], job)
        attempts_are_in_order(attempts[job_id], job)
        assert adapters[job_id] == models[job_id].num_adapters == (job.state == State.SUCCEEDED)
        assert bool(job.verdict_json) == (job.state == State.SUCCEEDED)


def is_as_modelled(job: Job, model: ModelJob) -> None:
    seen = {
        "state": job.state,
        "attempt": job.attempt,
        "worker": job.worker and job.worker.name,
        "avoids": job.avoid_worker and job.avoid_worker.name,
        "asked": job.asked,
        "rests": job.not_before is not None,
        "crash_count": job.crash_count,
        "progress_step": job.progress_step,
        "divisor": job.micro_batch_divisor,
        "live_step": job.live.get("step", 0),
    }
    # What a job rests or avoids once it is held or over is nobody's business.
    ignored = () if job.state in ("queued", "paused") else ("rests", "avoids")
    told = {name: getattr(model, name) for name in seen}
    assert {**seen, **dict.fromkeys(ignored)} == {**told, **dict.fromkeys(ignored)}


def history_is_legal(events: list[JobEvent], model: ModelJob, job: Job) -> None:
    """Gap-free, each move from where the one before it led, all of them in the table of moves."""
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    moves = [event.data for event in events if event.kind == "moved"]
    assert [move["to"] for move in moves] == model.moves
    assert moves[0]["from"] == "" and moves[-1]["to"] == job.state
    for earlier, later in pairwise(moves):
        assert later["from"] == earlier["to"]
        assert later["to"] in MOVES[State(later["from"])]
    assert len(events) - len(moves) == model.num_engine_events
    numbers = [event.attempt for event in events]
    assert numbers == sorted(numbers), "an earlier attempt wrote after a later one"


def attempts_are_in_order(attempts: list[JobAttempt], job: Job) -> None:
    """1, 2, 3 ...; all closed but the last, and that open exactly while the job is in a worker's hands."""
    assert [attempt.number for attempt in attempts] == list(range(1, job.attempt + 1))
    is_open = [attempt.ended_at is None for attempt in attempts]
    assert not any(is_open[:-1])
    assert any(is_open) == (job.state in ACTIVE)
    assert all(bool(attempt.outcome) != (attempt.ended_at is None) for attempt in attempts)
