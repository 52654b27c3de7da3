"""What people, workers and time can do to jobs, each done to the services and to the model of them alike."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from tests.adapters.verdicts import make_verdict
from tests.factories import make_recipe
from tests.jobs.made import stepped
from tests.state_machine.checkpoints import checkpoint_make
from tests.state_machine.invariants import check_all
from tests.state_machine.model import ACTIVE, OVER
from tests.state_machine.world import NAMES, World
from webapp.clock import database_now
from webapp.contract.events import PhaseMoved
from webapp.jobs import attempts, endings
from webapp.jobs.accept import job_create, job_retry
from webapp.jobs.models import Job
from webapp.jobs.reconcile import deadlines_pass, leases_expire
from webapp.jobs.services import (
    NoOtherWorker,
    job_cancel,
    job_keep,
    job_move_away,
    job_pause,
    job_resume,
)
from webapp.workers.models import Worker
from webapp.workers.services import worker_drain, worker_pause, worker_resume

MOST_JOBS = 5
CRASH = endings.Ending("crashed", "It crashed.", exit_code=-11)

workers = st.sampled_from(NAMES)
phases = st.sampled_from(["preparing", "training", "training"])
picks = st.integers(0, 99)


class Jobs(World, RuleBasedStateMachine):
    """`held`: a job as a worker believes to hold it. Nobody tells the worker when that is no longer so, so that
    every rule over `held` is also the rule of a zombie."""

    held = Bundle("held")

    @initialize()
    def begin(self) -> None:
        self.make_world()
        self.create("")

    # People. What they see may be long out of date.

    @rule(key=st.sampled_from(["", "a", "b"]))
    def create(self, key: str) -> None:
        if len(self.models) == MOST_JOBS and key not in self.keys:
            return
        job = job_create(
            self.owner, name="First", dataset_version=self.version, base_model=self.base_model, recipe=make_recipe(),
            idempotency_key=key or None,
        )  # fmt: skip
        if key in self.keys:
            assert job.id == self.keys[key]
            return
        self._accepted(job)
        if key:
            self.keys[key] = job.id

    @rule(pick=picks)
    def retry(self, pick: int) -> None:
        over = [job_id for job_id, model in self.models.items() if model.state in OVER]
        if not over or len(self.models) == MOST_JOBS:
            return
        job = Job.objects.get(id=over[pick % len(over)])
        again = job_retry(job, self.owner)
        self._accepted(again)
        model, before = self.models[again.id], self.models[job.id]
        model.divisor = before.divisor
        if before.newest_step:
            model.checkpoints[0] = before.newest_step

    @rule(pick=picks)
    def look(self, pick: int) -> None:
        job_id = self._any(pick)
        self.pages[job_id] = Job.objects.get(id=job_id)

    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        job_id = self._any(pick)
        self._ask(job_cancel, self.pages[job_id], self.models[job_id].cancel)

    @rule(pick=picks)
    def pause(self, pick: int) -> None:
        job_id = self._any(pick)
        self._ask(job_pause, Job.objects.get(id=job_id), self.models[job_id].pause)

    @rule(pick=picks)
    def keep(self, pick: int) -> None:
        job_id = self._any(pick)
        self._ask(job_keep, self.pages[job_id], self.models[job_id].keep)

    @rule(pick=picks)
    def resume(self, pick: int) -> None:
        job_id = self._any(pick)
        self._ask(job_resume, Job.objects.get(id=job_id), self.models[job_id].resume)

    @rule(pick=picks)
    def move_away(self, pick: int) -> None:
        job_id = self._any(pick)
        model = self.models[job_id]
        job = Job.objects.get(id=job_id)
        if model.others(list(self.workers.values())):
            self._ask(job_move_away, job, model.move_away)
            return
        with pytest.raises(NoOtherWorker):
            job_move_away(job)

    @rule(name=workers, to=st.sampled_from(["paused", "draining", "active"]))
    def steer(self, name: str, to: str) -> None:
        act = {"paused": worker_pause, "draining": worker_drain, "active": worker_resume}[to]
        assert act(Worker.objects.get(name=name).id) == (self.workers[name].intent != to)
        self.workers[name].intent = to

    # Workers, dead or alive.

    @rule(target=held, name=workers)
    def claim(self, name: str) -> Any:
        possible = {job_id for job_id, model in self.models.items() if model.can_go_to(self.workers[name])}
        job = attempts.job_claim(Worker.objects.get(name=name))
        if job is None:
            assert not possible
            return multiple()
        assert job.id in possible
        self.models[job.id].claim(self.workers[name])
        assert job.attempt == self.models[job.id].attempt
        return job

    @rule(job=held, phase=phases, step=st.integers(1, 50))
    def record(self, job: Job, phase: str, step: int) -> None:
        if job.state not in ("starting", "running"):
            return
        model, is_mine = self._model_of(job)
        events: list[Any] = [PhaseMoved.model_validate({"phase": phase, "sentence": "On it."})]
        beat = attempts.job_record(job, [*events, stepped(step)] if phase == "training" else events)
        assert beat.is_mine == is_mine
        if is_mine:
            assert beat.asked == model.asked
            model.record(phase, step)

    @rule(job=held)
    def renew(self, job: Job) -> None:
        model, is_mine = self._model_of(job)
        assert attempts.job_renew(job) == is_mine
        if is_mine:
            model.is_silent = False

    @rule(job=held, more=st.integers(1, 20))
    def save_checkpoint(self, job: Job, more: int) -> None:
        """Into the attempt's own folder; nothing keeps a zombie from that, and it is a good checkpoint."""
        model = self.models[job.id]
        step = model.checkpoints.get(job.attempt, model.progress_step) + more
        checkpoint_make(job, job.attempt, step)
        model.checkpoints[job.attempt] = step

    @rule(job=held)
    def finalize(self, job: Job) -> None:
        if job.state not in ("starting", "running"):
            return
        model, is_mine = self._model_of(job)
        assert attempts.job_finalize(job) == (is_mine and model.finalize())

    @rule(job=consumes(held))
    def succeed(self, job: Job) -> None:
        if job.state in ("starting", "running"):
            self.finalize(job)
        if job.state != "finalizing":
            return
        model, is_mine = self._model_of(job)
        assert endings.job_succeed(job, make_verdict(), also=lambda: self._keep_adapter(job)) == is_mine
        if is_mine:
            model.succeed()

    @rule(job=consumes(held))
    def fail(self, job: Job) -> None:
        self._end(job, endings.job_fail(job, CRASH), "fail")

    @rule(job=consumes(held))
    def crash(self, job: Job) -> None:
        self._end(job, endings.job_crashed(job, CRASH), "crash")

    @rule(job=consumes(held))
    def hand_back(self, job: Job) -> None:
        self._end(job, endings.job_hand_back(job, reason="Shut down."), "hand_back")

    @rule(job=consumes(held))
    def out_of_memory(self, job: Job) -> None:
        if job.state != "finalizing":
            self._end(job, endings.job_out_of_memory(job, CRASH._replace(code="out_of_memory")), "out_of_memory")

    @rule(name=workers)
    def restart_worker(self, name: str) -> None:
        held = [model for model in self.models.values() if model.state in ACTIVE and model.worker == name]
        assert endings.worker_jobs_release(Worker.objects.get(name=name)) == len(held)
        for model in held:
            model.lose_worker()

    # Time.

    @rule(pick=picks)
    def fall_silent(self, pick: int) -> None:
        """Its worker was not heard of for longer than a lease."""
        job_id = self._any(pick)
        if self.models[job_id].state in ACTIVE:
            Job.objects.filter(id=job_id).update(lease_expires_at=database_now() - timedelta(seconds=1))
            self.models[job_id].is_silent = True

    @rule()
    def reconcile(self) -> None:
        silent = [model for model in self.models.values() if model.state in ACTIVE and model.is_silent]
        assert leases_expire(database_now()) == len(silent)
        for model in silent:
            model.lose_worker()

    @rule(pick=picks)
    def pass_deadline(self, pick: int) -> None:
        job_id = self._any(pick)
        if self.models[job_id].state in ACTIVE:
            Job.objects.filter(id=job_id).update(state_deadline=database_now() - timedelta(seconds=1))
            assert deadlines_pass(database_now()) == 1
            self.models[job_id].overdue()

    @rule()
    def rest_is_over(self) -> None:
        Job.objects.update(not_before=None)
        for model in self.models.values():
            model.rests = False

    @invariant()
    def holds(self) -> None:
        check_all(self.models)
