"""Jobs for the fault tests, made by the app's own services, and the six invariants that hold after every fault."""

import json
from collections.abc import Iterable
from uuid import UUID

import psutil

from tests.factories import make_recipe, make_starter, make_version
from tests.faults.stack import FaultStack, until
from webapp import storage
from webapp.accounts.models import User
from webapp.adapters.models import AdapterVersion
from webapp.contract.adapter_files import verify
from webapp.contract.job_dir import MANIFEST
from webapp.datasets.models import DatasetVersion
from webapp.jobs.accept import job_create
from webapp.jobs.models import ACTIVE, OVER, Job, JobAttempt, State
from webapp.jobs.transition import MOVES


class Person:
    """Somebody with a dataset, who asks for jobs."""

    def __init__(self, name: str = "alice") -> None:
        self.user, _new = User.objects.get_or_create(username=name)
        self.base_model = make_starter()
        folder = storage.base_model_dir(self.base_model.id)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text("{}")
        self.version: DatasetVersion = make_version(self.user)

    def asks(self, words: str, **more: object) -> Job:
        """A job whose name tells the stub what to do."""
        return job_create(
            self.user,
            name=words,
            dataset_version=self.version,
            base_model=self.base_model,
            recipe=make_recipe(),
            **more,  # type: ignore[arg-type]
        )


def now(job: Job) -> Job:
    job.refresh_from_db()
    return job


def until_state(job: Job, *states: State, seconds: float = 60) -> Job:
    until(lambda: now(job).state in states, seconds, lambda: _story(job))
    return job


def until_step(job: Job, step: int, seconds: float = 60) -> Job:
    until(lambda: now(job).live.get("step", 0) >= step or job.is_over, seconds, lambda: _story(job))
    assert not job.is_over, _story(job)
    return job


def until_all_over(jobs: Iterable[Job], seconds: float) -> None:
    """I1: every accepted job ends."""
    ids = {job.id for job in jobs}

    def left() -> list[Job]:
        return list(Job.objects.filter(id__in=ids).exclude(state__in=OVER))

    until(lambda: not left(), seconds, lambda: "\n\n".join(_story(job) for job in left()[:3]))


def all_succeed(stack: FaultStack, jobs: Iterable[Job], seconds: float) -> None:
    """Each at its first attempt, under workers that stayed: a trouble around them is no reason for a second."""
    jobs = list(jobs)
    until_all_over(jobs, seconds)
    for job in jobs:
        assert (now(job).state, job.attempt) == (State.SUCCEEDED, 1), _story(job)
    assert not [name for name, part in stack.parts.items() if name.startswith("w") and not part.is_alive]
    check_invariants(stack)


def check_invariants(stack: FaultStack, *, steps: int | None = None) -> None:
    """I2 to I5 of all jobs there are; I1 is `until_all_over`. `steps`: of jobs whose name does not say."""
    for job in Job.objects.all():
        _history_is_legal(job)
        _attempts_fit(job)
        _artifact_is_whole(job)
    _nothing_is_left(stack)


def _history_is_legal(job: Job) -> None:
    """I3: every move is one of the table's, each begins where the last one ended, no number is missing."""
    events = list(job.events.all())
    assert [event.seq for event in events] == list(range(1, len(events) + 1)), _story(job)
    state = ""
    for move in (event.data for event in events if event.kind == "moved"):
        assert move["from"] == state, _story(job)
        assert state == "" or State(move["to"]) in MOVES[State(state)], _story(job)
        state = move["to"]
    assert state == job.state, _story(job)


def _attempts_fit(job: Job) -> None:
    numbers = list(JobAttempt.objects.filter(job=job).values_list("number", flat=True))
    assert numbers == list(range(1, job.attempt + 1)), _story(job)
    num_open = JobAttempt.objects.filter(job=job, ended_at=None).count()
    assert num_open == (1 if job.state in ACTIVE else 0), _story(job)


def _artifact_is_whole(job: Job) -> None:
    """I2 and I5: one adapter if it succeeded, else none; its bytes match; every step was trained once, in order."""
    versions = list(AdapterVersion.objects.filter(job=job))
    assert len(versions) == (1 if job.state == State.SUCCEEDED else 0), _story(job)
    for version in versions:
        assert verify(version.files_dir).model_dump(mode="json") == json.loads(
            (version.files_dir / MANIFEST).read_text()
        )
        assert version.zip_path.stat().st_size == version.zip_bytes
        trace = json.loads((version.files_dir / "adapter_model.safetensors").read_text())
        wanted = _steps_of(job.name)
        kept_early = job.events.filter(kind="finished_early").exists()
        assert trace == list(range(1, (len(trace) if kept_early else wanted) + 1)), _story(job)


def _nothing_is_left(stack: FaultStack) -> None:
    """I4: no training process without an active job, no half-made adapter, no slot still locked by an orphan."""
    active = {str(job_id) for job_id in Job.objects.filter(state__in=ACTIVE).values_list("id", flat=True)}
    orphans = [
        process for process in stack.children() if not any(job_id in " ".join(_words(process)) for job_id in active)
    ]
    assert not orphans, orphans
    kept = {UUID(path.name) for path in storage.adapters_dir().iterdir()} if storage.adapters_dir().exists() else set()
    assert kept >= set(AdapterVersion.objects.values_list("id", flat=True))


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _steps_of(name: str) -> int:
    from tests.faults.stub_engine import words_of

    return int(words_of(name).get("steps", 10))


def _story(job: Job) -> str:
    job.refresh_from_db()
    lines = [f"{event.seq} {event.kind} {event.data}" for event in job.events.exclude(kind="stepped")]
    return "\n".join([f"{job.name!r} {job.id} is {job.state}, attempt {job.attempt}, error {job.error}", *lines])
