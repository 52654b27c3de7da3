"""From a name on the page to a model that jobs start from, by a real child and a Hub on this machine."""

import json
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.base_models.hub_server import TINY, TOKEN, Hub
from tests.factories import make_version, make_worker
from tests.jobs.made import claim
from webapp import storage
from webapp.accounts.models import User
from webapp.adapters.models import AdapterVersion
from webapp.base_models.hub import fetch_ask, look_ask
from webapp.base_models.models import BaseModel
from webapp.contract.hub import HubLook
from webapp.contract.model_folder import read_model_folder
from webapp.contract.presets import auto_knobs
from webapp.contract.recipe import Recipe
from webapp.errands.models import Errand, Kind, State
from webapp.errands.services import errand_stop
from webapp.hub_tokens.services import hub_token_set
from webapp.jobs.accept import job_create
from worker.errand_run import errand_take
from worker.run import Run, Slot

MB = 1 << 20


def do(errand: Errand) -> Errand:
    """As a worker's thread does it."""
    assert errand_take(make_worker(), Kind(errand.kind), lambda: False)
    errand.refresh_from_db()
    return errand


def looked_at(user: User) -> HubLook:
    errand = do(look_ask(user, TINY, "main"))
    assert errand.state == State.DONE, errand.error
    return HubLook.model_validate(errand.result)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def test_a_private_model_is_looked_at_fetched_and_offered_and_the_token_is_nowhere(
    hub: Hub,
    model: Path,
    alice: User,
    bob: User,
    data_dir: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    hub.repos[TINY].token = TOKEN
    hub_token_set(alice, TOKEN)
    assert "knows no model" in do(look_ask(bob, TINY, "main")).error
    errand = do(fetch_ask(alice, looked_at(alice)))
    assert errand.state == State.DONE, errand.error
    found = BaseModel.objects.get(hub_id=TINY)
    assert found.is_ready and found.is_private and found.fetched_by == alice
    assert found.commit == hub.repos[TINY].commit and found.shape == read_model_folder(found.path).shape
    assert TINY in errand.progress["sentence"]
    assert {path.name for path in found.path.iterdir()} == {path.name for path in model.iterdir()}
    assert traces_of(TOKEN, data_dir) == [] and TOKEN not in caplog.text
    assert not any(storage.errands_dir().iterdir())


def traces_of(word: str, data_dir: Path) -> list[str]:
    """Files and tables that hold it as it is."""
    found = [str(path) for path in data_dir.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            found += [table for row in cursor.fetchall() if word in str(row)]
    return found


@pytest.mark.django_db(transaction=True)
def test_a_stopped_fetch_keeps_what_has_come_and_goes_on(hub: Hub, model: Path, alice: User) -> None:
    look = looked_at(alice)
    errand = fetch_ask(alice, look)
    hub.stall_at = MB + 1000

    def stop_when_stalled() -> None:
        hub.stalled.wait(60)
        errand_stop(errand)
        connection.close()

    stopper = threading.Thread(target=stop_when_stalled)
    stopper.start()
    assert do(errand).state == State.STOPPED
    stopper.join()
    hub.stall_at = None
    hub.go_on.set()
    assert not BaseModel.objects.filter(hub_id=TINY).exists()
    parts = storage.base_model_parts_dir(errand.payload["model_id"])
    assert (parts / "model.safetensors.part").stat().st_size == MB
    again = fetch_ask(alice, look)
    assert again.id != errand.id and do(again).state == State.DONE
    assert hub.ranges_of("model.safetensors") == ["", f"bytes={MB}-"]


def test_who_lost_the_right_meanwhile_fetches_nothing(hub: Hub, model: Path, alice: User, settings: Any) -> None:
    errand = fetch_ask(alice, looked_at(alice))
    settings.HUB = "admins"
    asked = len(hub.asked)
    assert "Only admins" in do(errand).error
    settings.HUB = "members"
    User.objects.filter(id=alice.id).update(is_active=False)
    Errand.objects.filter(id=errand.id).update(state=State.WAITING)
    assert not errand_take(make_worker(), Kind(errand.kind), lambda: False)
    assert len(hub.asked) == asked


def test_a_model_that_was_closed_meanwhile_is_not_shown_to_all(hub: Hub, model: Path, alice: User) -> None:
    look = looked_at(alice)
    hub_token_set(alice, TOKEN)
    hub.repos[TINY].token = TOKEN
    errand = do(fetch_ask(alice, look))
    assert errand.state == State.FAILED and "Look at it again" in errand.error
    assert not BaseModel.objects.filter(hub_id=TINY).exists()
    assert not storage.base_model_dir(errand.payload["model_id"]).exists()


def test_a_variable_of_the_worker_is_no_token(
    hub: Hub, model: Path, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs the server may be signed in to the Hub; that is nobody else's right."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.repos[TINY].token = TOKEN
    assert "knows no model" in do(look_ask(alice, TINY, "main")).error
    assert os.environ["HF_TOKEN"] == TOKEN and {token for _path, _range, token in hub.asked} == {""}


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_job_trains_on_what_was_fetched_and_its_adapter_names_it(
    hub: Hub, model: Path, alice: User, tmp_path: Path
) -> None:
    assert do(fetch_ask(alice, looked_at(alice))).state == State.DONE
    base = BaseModel.objects.get(hub_id=TINY)
    recipe = Recipe(
        task="generate", base_model=base.id, method="lora", knobs=auto_knobs("lora", "generate", base.shape, 60)
    )
    job_create(alice, name="On it", dataset_version=make_version(alice), base_model=base, recipe=recipe)
    with (tmp_path / "lock").open("w") as lock:
        Run(claim(), Slot(0, lock.fileno(), {}), lambda: ("go_on", "")).carry_out()
    version = AdapterVersion.objects.get()
    assert version.job.state == "succeeded" and version.job.base_model == base
    assert json.loads((version.files_dir / "adapter_config.json").read_text())["base_model_name_or_path"] == TINY
