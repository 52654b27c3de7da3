"""Several workers at once, with real commits: each errand is begun by exactly one."""

import threading

import pytest
from django.db import connection

from tests.factories import make_user, make_worker
from webapp.errands.attempts import errand_claim
from webapp.errands.models import Errand, Kind
from webapp.errands.services import errand_ask

NUM_ERRANDS, NUM_WORKERS = 12, 3


@pytest.mark.usefixtures("either_database")
def test_each_errand_is_begun_by_one_worker() -> None:
    user = make_user()
    for row in range(NUM_ERRANDS):
        errand_ask(user, Kind.PREVIEW, {"row": row})
    claimed: list[object] = []
    names = [f"worker-{number}" for number in range(NUM_WORKERS)]
    for name in names:
        make_worker(name)

    def claim_all(name: str) -> None:
        worker = make_worker(name)
        try:
            while (errand := errand_claim(worker, [Kind.PREVIEW])) is not None:
                claimed.append(errand.id)
        finally:
            connection.close()

    threads = [threading.Thread(target=claim_all, args=[name]) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == NUM_ERRANDS
    assert Errand.objects.filter(attempt=1).count() == NUM_ERRANDS
