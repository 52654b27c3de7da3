"""Errands in the hands of a worker."""

from datetime import timedelta

from tests.factories import make_worker
from webapp.clock import database_now
from webapp.errands.attempts import errand_claim
from webapp.errands.models import Errand, Kind


def claim(name: str = "one", kind: Kind = Kind.PREVIEW) -> Errand | None:
    return errand_claim(make_worker(name), [kind])


def claimed(name: str = "one") -> Errand:
    errand = claim(name)
    assert errand
    return errand


def let_lease_run_out(errand: Errand) -> None:
    Errand.objects.filter(id=errand.id).update(lease_until=database_now() - timedelta(seconds=1))
