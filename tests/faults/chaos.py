"""Many jobs while everything breaks at random: F34. `python -m tests.faults.chaos --jobs 1000 --seed 17`.

The same seed throws the same faults in the same order; when each one strikes depends on the machine.
"""

import argparse
import json
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil

LONGEST_SETTLING_SECONDS = 120.0

_AWAY = object()
"""What came of an act that the database was away for."""


class Chaos:
    """`faults` counts what was done to the stack."""

    def __init__(self, stack: Any, dice: random.Random) -> None:
        self.stack, self.dice = stack, dice
        self.faults: Counter[str] = Counter()
        self._debts: list[tuple[float, Callable[[], object]]] = []

    def strike(self) -> None:
        """One fault, and whatever earlier ones have to be undone by now."""
        self._pay()
        name, fault = self.dice.choice(self._faults())
        if self._unless_the_database_is_away(fault) is True:
            self.faults[name] += 1

    def settle(self) -> None:
        """Undo all that is still broken."""
        deadline = time.monotonic() + LONGEST_SETTLING_SECONDS
        while self._debts:
            assert time.monotonic() < deadline, f"what is still broken cannot be undone: {self._debts}"
            self._pay()
            time.sleep(0.1)

    def _faults(self) -> list[tuple[str, Callable[[], bool]]]:
        return [
            ("training process killed", self.kill_child),
            ("training process killed", self.kill_child),
            ("worker killed", self.kill_worker),
            ("worker killed", self.kill_worker),
            ("worker told to go", self.end_worker),
            ("worker frozen", self.freeze_worker),
            ("broker killed", self.kill_broker),
            ("broker frozen", self.freeze_broker),
            ("queue emptied", self.flush_broker),
            ("database cut off", self.cut_database),
            ("worker drained", self.drain_worker),
            ("job cancelled", self.ask_cancel),
            ("job paused", self.ask_pause),
            ("job moved", self.ask_move),
            ("job ended early", self.ask_keep),
        ]

    def _pay(self) -> None:
        due = [debt for debt in self._debts if debt[0] <= time.monotonic()]
        self._debts = [debt for debt in self._debts if debt[0] > time.monotonic()]
        for _at, undo in due:
            if self._unless_the_database_is_away(undo) is _AWAY:
                self._later(2, undo)

    def _unless_the_database_is_away(self, act: Callable[[], object]) -> object:
        """A page would have said 503: a frozen worker holds the row, or every session was just ended."""
        from django.db import connection

        from webapp.jobs.persist import DATABASE_AWAY

        try:
            return act()
        except DATABASE_AWAY:
            connection.close()
            self.faults["asked in vain"] += 1
            return _AWAY

    def _later(self, longest: float, undo: Callable[[], object]) -> None:
        self._debts.append((time.monotonic() + self.dice.uniform(0.2, longest), undo))

    def _worker(self) -> Any | None:
        alive = [part for name, part in self.stack.parts.items() if name.startswith("w") and name != "web"]
        alive = [part for part in alive if part.is_alive]
        return self.dice.choice(alive) if alive else None

    def kill_child(self) -> bool:
        children = self.stack.children()
        if not children:
            return False
        with suppress(psutil.NoSuchProcess):
            self.dice.choice(children).kill()
        return True

    def kill_worker(self) -> bool:
        worker = self._worker()
        if worker is None:
            return False
        worker.kill()
        self._later(3, partial(_revive, worker))
        return True

    def end_worker(self) -> bool:
        worker = self._worker()
        if worker is None:
            return False
        worker.send(signal.SIGTERM)
        told = worker.process

        def again() -> None:
            # The one that was told, not a successor that another debt has started.
            if told.poll() is None:
                self._later(2, again)
            else:
                _revive(worker)

        self._later(3, again)
        return True

    def freeze_worker(self) -> bool:
        """Sometimes for longer than a lease."""
        worker = self._worker()
        if worker is None:
            return False
        worker.send(signal.SIGSTOP)

        def thaw() -> None:
            with suppress(ProcessLookupError):
                worker.send(signal.SIGCONT)

        self._later(9, thaw)
        return True

    def kill_broker(self) -> bool:
        broker = self.stack.parts["broker"]
        if not broker.is_alive:
            return False
        broker.kill()
        self._later(5, partial(_revive, broker))
        return True

    def freeze_broker(self) -> bool:
        broker = self.stack.parts["broker"]
        if not broker.is_alive:
            return False
        broker.send(signal.SIGSTOP)

        def thaw() -> None:
            with suppress(ProcessLookupError):
                broker.send(signal.SIGCONT)

        self._later(5, thaw)
        return True

    def flush_broker(self) -> bool:
        import redis

        try:
            redis.Redis(port=self.stack.broker_port, socket_timeout=1).flushall()
        except redis.RedisError:
            return False
        return True

    def cut_database(self) -> bool:
        """PostgreSQL: every session is ended. SQLite: an exclusive lock, for as long as a slow disk might hold it."""
        from django.db import connection

        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            return True
        with connection.cursor() as cursor:
            cursor.execute("BEGIN EXCLUSIVE")
            time.sleep(self.dice.uniform(0.5, 3))
            cursor.execute("COMMIT")
        return True

    def drain_worker(self) -> bool:
        from webapp.workers.models import Worker
        from webapp.workers.services import worker_drain, worker_resume

        worker = self.dice.choice(list(Worker.objects.all()) or [None])
        if worker is None or not worker_drain(worker.id):
            return False
        self._later(3, partial(worker_resume, worker.id))
        return True

    def ask_cancel(self) -> bool:
        from webapp.jobs.services import job_cancel

        return self._ask(job_cancel)

    def ask_pause(self) -> bool:
        from webapp.jobs.models import State
        from webapp.jobs.services import job_pause, job_resume

        def resume() -> None:
            job.refresh_from_db()
            if job.state == State.PAUSED:
                job_resume(job)
            elif not job.is_over:
                self._later(2, resume)

        job = self._ask(job_pause)
        if job:
            self._later(3, resume)
        return bool(job)

    def ask_move(self) -> bool:
        from webapp.jobs.services import job_move_away

        return bool(self._ask(job_move_away))

    def ask_keep(self) -> bool:
        from webapp.jobs.services import job_keep

        return bool(self._ask(job_keep))

    def _ask(self, verb: Callable[[Any], None]) -> Any:
        """Of one of the jobs in hand, or now and then of one that waits. The job, or None where there was none."""
        from webapp.jobs.models import Job, State
        from webapp.jobs.services import AlreadyOver, NoOtherWorker

        jobs = list(Job.objects.active() if self.dice.random() < 0.8 else Job.objects.filter(state=State.QUEUED)[:5])
        if not jobs:
            return None
        job = self.dice.choice(jobs)
        try:
            verb(job)
        except (AlreadyOver, NoOtherWorker):
            return None
        return job


def _revive(part: Any) -> None:
    """Unless another debt has done so already."""
    if not part.is_alive:
        part.restart()


def run(stack: Any, *, num_jobs: int, dice: random.Random, every: float, within: float) -> dict[str, Any]:
    """Ask for the jobs while faults strike about every `every` seconds; check the invariants; return the figures."""
    from tests.faults.jobs import Person, check_invariants, until_all_over
    from webapp.jobs.models import OVER, Job, JobAttempt

    chaos = Chaos(stack, dice)
    people = [Person(name) for name in ("alice", "bob", "carol")]
    began = time.monotonic()
    jobs: list[Job] = []
    while time.monotonic() - began < within:
        for _ in range(min(num_jobs - len(jobs), 5)):
            words = f"steps={dice.randint(4, 20)} seconds=0.02"
            jobs.append(_accepted(chaos, partial(dice.choice(people).asks, words, idempotency_key=str(len(jobs)))))
        if len(jobs) == num_jobs and not Job.objects.exclude(state__in=OVER).exists():
            break
        chaos.strike()
        time.sleep(dice.uniform(0.2, 2 * every))
    chaos.settle()
    until_all_over(jobs, 120)
    check_invariants(stack)
    return {
        "jobs": len(jobs),
        "states": dict(Counter(Job.objects.values_list("state", flat=True))),
        "failures": dict(Counter(job.error["code"] for job in Job.objects.filter(state="failed") if job.error)),
        "attempts": JobAttempt.objects.count(),
        "outcomes": dict(Counter(JobAttempt.objects.values_list("outcome", flat=True))),
        "faults": dict(chaos.faults),
        "seconds": round(time.monotonic() - began),
    }


def _accepted(chaos: Chaos, ask: Callable[[], Any]) -> Any:
    """As a script does it that is told 503: the same request with the same key, until it is accepted."""
    from django.db import connection

    from webapp.jobs.persist import DATABASE_AWAY

    while True:
        try:
            return ask()
        except DATABASE_AWAY:
            connection.close()
            chaos.settle()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--every", type=float, default=0.8, help="seconds between two faults, on average")
    parser.add_argument("--within", type=float, default=3000, help="seconds until no new fault strikes")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    words = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="gw-chaos-", dir="/tmp"))
    os.environ["GRAFTWORK_HOME"] = str(home)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
    import django

    django.setup()
    from tests.databases import new_database
    from tests.faults.stack import running_faults

    print(f"seed {words.seed}, data in {home}", flush=True)  # noqa: T201
    with running_faults(home, new_database(words.database), workers=words.workers, web=True) as stack:
        figures = run(
            stack, num_jobs=words.jobs, dice=random.Random(words.seed), every=words.every, within=words.within
        )
    told = {"seed": words.seed, "database": words.database, "workers": words.workers, **figures}
    print(json.dumps(told, indent=2))  # noqa: T201


if __name__ == "__main__":
    main()
