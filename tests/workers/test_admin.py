"""Workers in Django's admin: the same verbs and the same rules."""

from typing import Any

import pytest
from django.test import Client

from tests.workers.made import make_worker
from webapp.workers.models import Intent, Worker
from webapp.workers.services import worker_add

pytestmark = pytest.mark.django_db
LIST = "/admin/workers/worker/"


def change(client: Client, worker: Worker, **fields: Any) -> Any:
    return client.post(f"{LIST}{worker.id}/change/", {"labels": "[]", "slots": "1", **fields})


def test_it_lists_searches_and_filters(admin_client: Client) -> None:
    make_worker("box-1")
    make_worker("tower", intent=Intent.PAUSED)
    assert "Online" in admin_client.get(LIST).content.decode()
    found = admin_client.get(f"{LIST}?q=box").content.decode()
    assert "box-1" in found and "tower" not in found
    assert "box-1" not in admin_client.get(f"{LIST}?intent__exact=paused").content.decode()


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [("pause", "active", "paused"), ("drain", "active", "draining"), ("resume", "paused", "active"),
     ("retire", "active", "retired")],
)  # fmt: skip
def test_actions_are_the_verbs(admin_client: Client, action: str, before: str, after: str) -> None:
    workers = [make_worker("a", intent=before), make_worker("b", intent=before), make_worker("c", intent="retired")]
    chosen = {"action": action, "_selected_action": [str(worker.id) for worker in workers]}
    page = admin_client.post(LIST, chosen, follow=True).content.decode()
    assert [worker.intent for worker in Worker.objects.order_by("name")] == [after, after, "retired"]
    assert "1 stayed as they were" in page


def test_labels_and_slots_follow_the_rules(admin_client: Client) -> None:
    worker = make_worker()
    assert change(admin_client, worker, labels='["EU", "fast"]', slots="4").status_code == 302
    worker.refresh_from_db()
    assert (worker.labels, worker.slots) == (["eu", "fast"], 4)
    for bad in ({"slots": "5"}, {"slots": "0"}, {"labels": '["a b"]'}, {"labels": '"eu"'}, {"labels": "[1]"}):
        assert change(admin_client, worker, **bad).status_code == 200, bad
    worker.refresh_from_db()
    assert worker.slots == 4


def test_slots_that_are_still_open_may_stay_so(admin_client: Client) -> None:
    worker, _token = worker_add(name="box")
    assert change(admin_client, worker, labels='["eu"]', slots="0").status_code == 302
    worker.refresh_from_db()
    assert (worker.labels, worker.slots) == (["eu"], 0)


def test_what_it_tells_cannot_be_changed(admin_client: Client) -> None:
    worker = make_worker()
    assert change(admin_client, worker, name="other", host="other", intent="retired").status_code == 302
    worker.refresh_from_db()
    assert (worker.name, worker.intent) == ("box", "active") and worker.host != "other"


def test_workers_are_neither_made_nor_deleted_here(admin_client: Client) -> None:
    worker = make_worker()
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert admin_client.post(f"{LIST}{worker.id}/delete/", {"post": "yes"}).status_code == 403
