"""Fetches on the page of models: asked, seen, stopped, gone on with; and who sees what came of them."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests.base_models_app.looks import (
    COMMIT,
    TINY,
    asked_fetch,
    asked_look,
    make_fetched,
    make_look,
    make_model,
    settle,
)
from tests.factories import make_job, make_version
from webapp import storage
from webapp.accounts.models import User
from webapp.base_models.models import BaseModel
from webapp.base_models.services import base_model_fetched, hub_model_id
from webapp.errands.models import Errand, Kind, State
from webapp.jobs.models import Job

LIST = "/models/"


def text(client: Client) -> str:
    return client.get(LIST).content.decode()


def fetches() -> Any:
    return Errand.objects.filter(kind=Kind.FETCH_MODEL)


def test_the_commit_that_was_seen_is_fetched(alice_client: Client, alice: User) -> None:
    looked = asked_look(alice, make_look())
    alice_client.post(f"/models/looks/{looked.id}/fetch")
    errand = fetches().get()
    assert errand.asked_by == alice and errand.payload["look"]["commit"] == COMMIT
    assert errand.payload["model_id"] == "hub.acme.tiny.0123456789ab"
    assert "Waiting for a worker. None is online" in text(alice_client)


def test_pressed_twice_it_is_fetched_once(alice_client: Client, bob_client: Client, alice: User, bob: User) -> None:
    for client, user in ((alice_client, alice), (alice_client, alice), (bob_client, bob)):
        client.post(f"/models/looks/{asked_look(user, make_look()).id}/fetch")
    assert fetches().count() == 1


@pytest.mark.parametrize("fields", [{"problem": "It is a “mamba” model."}, {}])
def test_what_cannot_or_need_not_be_fetched_is_not(alice_client: Client, alice: User, fields: dict[str, Any]) -> None:
    if not fields:
        make_model(alice)
    looked = asked_look(alice, make_look(**fields))
    assert alice_client.post(f"/models/looks/{looked.id}/fetch")["Location"] == f"/models/looks/{looked.id}"
    assert not fetches().exists()


def test_a_look_without_an_answer_cannot_be_fetched(alice_client: Client, alice: User) -> None:
    assert alice_client.post(f"/models/looks/{asked_look(alice).id}/fetch").status_code == 404


def test_a_bar_shows_how_far_it_is(alice_client: Client, alice: User) -> None:
    told = {"sentence": "Fetching acme/tiny: 1.0 of 4.0 MB.", "done": 1_000_000, "total": 4_000_000, "unit": "bytes"}
    asked_fetch(alice, state=State.RUNNING, progress=told)
    html = text(alice_client)
    assert 'value="25.0"' in html and told["sentence"] in html and "moving=1" in html


def test_when_one_ends_the_page_is_loaded_anew(alice_client: Client, alice: User) -> None:
    errand = asked_fetch(alice)
    assert "HX-Refresh" not in alice_client.get(f"{LIST}?moving=1", headers={"HX-Request": "true"})
    settle(errand, state=State.DONE)
    assert alice_client.get(f"{LIST}?moving=1", headers={"HX-Request": "true"})["HX-Refresh"] == "true"
    assert alice_client.get(f"{LIST}?moving=1").status_code == 200


def test_it_is_stopped_and_goes_on(alice_client: Client, alice: User) -> None:
    errand = asked_fetch(alice, state=State.RUNNING)
    alice_client.post(f"/models/fetches/{errand.id}/stop")
    errand.refresh_from_db()
    assert errand.wants_stop and "Stopping" in text(alice_client)
    settle(errand, state=State.STOPPED)
    assert "Go on" in text(alice_client)
    alice_client.post(f"/models/fetches/{errand.id}/retry")
    again = fetches().get()
    assert again.id != errand.id and again.payload == errand.payload and again.state == State.WAITING


def test_a_failure_is_told_and_tried_again_as_whose_it_was(admin_client: Client, alice: User) -> None:
    errand = asked_fetch(alice, state=State.FAILED, error="It is gated: https://hub.example/acme/tiny")
    html = text(admin_client)
    assert 'href="https://hub.example/acme/tiny"' in html and "Retry" in html
    admin_client.post(f"/models/fetches/{errand.id}/retry")
    assert fetches().get().asked_by == alice


def test_forgetting_deletes_what_has_come(alice_client: Client, alice: User) -> None:
    errand = asked_fetch(alice)
    parts = storage.base_model_parts_dir(errand.payload["model_id"])
    parts.mkdir(parents=True)
    alice_client.post(f"/models/fetches/{errand.id}/forget")
    assert parts.exists() and fetches().exists()
    settle(errand, state=State.STOPPED)
    alice_client.post(f"/models/fetches/{errand.id}/forget")
    assert not parts.exists() and not fetches().exists()


def test_others_see_the_fetch_of_an_open_model_but_cannot_steer_it(bob_client: Client, alice: User) -> None:
    errand = asked_fetch(alice, state=State.FAILED, error="The Hub does not answer.")
    html = text(bob_client)
    assert TINY in html and "Retry" not in html
    for verb in ("stop", "retry", "forget"):
        assert bob_client.post(f"/models/fetches/{errand.id}/{verb}").status_code == 404


@pytest.mark.parametrize("fields", [{"is_private": True}, {"is_gated": True}])
def test_what_a_token_opened_is_seen_by_its_owner_and_admins_alone(
    alice_client: Client, bob_client: Client, admin_client: Client, alice: User, bob: User, fields: dict[str, bool]
) -> None:
    asked_fetch(alice, make_look(**fields))
    assert [TINY in text(client) for client in (alice_client, bob_client, admin_client)] == [True, False, True]
    fetches().delete()
    model = make_model(alice, **fields)
    assert [COMMIT in text(client) for client in (alice_client, bob_client, admin_client)] == [True, False, True]
    version = make_version(bob)
    sent = {"dataset": version.id, "task": "generate", "base_model": model.id, "method": "lora", "name": "Mine"}
    response = bob_client.post("/jobs/new", sent)
    assert response.status_code == 422 and "base_model" in response.context["errors"]
    assert bob_client.post(f"/models/{model.id}/remove").status_code == 404
    assert hub_model_id(make_look(**fields), bob) != model.id


def test_an_open_model_is_everyones(bob_client: Client, alice: User) -> None:
    make_model(alice)
    html = text(bob_client)
    assert COMMIT in html and "everyone here" in html and "apache-2.0" in html


def test_one_who_leaves_takes_no_private_model_into_the_open(bob_client: Client, alice: User) -> None:
    make_model(alice, is_private=True)
    alice.delete()
    assert COMMIT not in text(bob_client)


def test_who_fetched_it_removes_it_with_its_files(alice_client: Client, bob_client: Client, alice: User) -> None:
    model = make_model(alice)
    assert bob_client.post(f"/models/{model.id}/remove").status_code == 403
    alice_client.post(f"/models/{model.id}/remove")
    assert not BaseModel.objects.filter(id=model.id).exists() and not model.path.exists()


def test_a_model_that_jobs_came_from_stays_with_its_files(alice_client: Client, alice: User) -> None:
    model = make_model(alice)
    Job.objects.filter(id=make_job(alice).id).update(base_model=model)
    response = alice_client.post(f"/models/{model.id}/remove", follow=True)
    assert "stays: jobs were trained from it" in response.content.decode() and model.path.exists()


def test_told_twice_it_is_offered_once(alice: User) -> None:
    assert base_model_fetched(make_fetched(), alice) == base_model_fetched(make_fetched(), alice)


def test_a_fetched_model_names_its_hub_id_and_licence_to_the_adapters(alice: User, tmp_path: Path) -> None:
    model = make_model(alice)
    assert (model.reference, model.licence_words, model.title) == (TINY, "apache-2.0", "tiny")
