"""A worker that does nothing but claim and hand back, as a process: `python -m tests.state_machine.claimer NAME N`.

Says "ready", waits for a line, and prints what it claimed: [[job, attempt, seconds], ...].
"""

import json
import sys
import time

import django

LONGEST_WAIT_SECONDS = 540


def main(name: str, how_many: int) -> None:
    from webapp.jobs.attempts import job_claim
    from webapp.jobs.endings import job_hand_back
    from webapp.workers.models import Worker

    worker = Worker.objects.get(name=name)
    claimed: list[tuple[str, int, float]] = []
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while len(claimed) < how_many:
        assert time.monotonic() < deadline, f"{len(claimed)} of {how_many} claims"
        began = time.perf_counter()
        job = job_claim(worker)
        if job is not None:
            claimed.append((str(job.id), job.attempt, time.perf_counter() - began))
            assert job_hand_back(job, reason="")
    print(json.dumps(claimed))  # noqa: T201


if __name__ == "__main__":
    django.setup()
    main(sys.argv[1], int(sys.argv[2]))
