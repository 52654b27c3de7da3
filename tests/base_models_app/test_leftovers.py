"""Files of fetches that nothing speaks of go; those of models and of fetches that can go on stay."""

import os
import time

from tests.base_models_app.looks import asked_fetch, make_fetched, make_look, settle
from webapp import storage
from webapp.accounts.models import User
from webapp.base_models.leftovers import OLD_SECONDS, hub_leftovers_remove
from webapp.base_models.services import base_model_fetched
from webapp.errands.models import State


def make_old(name: str) -> None:
    path = storage.base_model_dir(name)
    path.mkdir(parents=True)
    old = time.time() - OLD_SECONDS - 60
    os.utime(path, (old, old))


def test_only_what_nothing_speaks_of_goes(alice: User) -> None:
    model = base_model_fetched(make_fetched(), alice)
    stopped = settle(asked_fetch(alice, make_look(hub_id="acme/other")), state=State.STOPPED)
    kept = {model.id, f"{stopped.payload['model_id']}.partial", "minilm-l6"}
    strays = {"hub.acme.gone.0123456789ab", "hub.acme.gone.0123456789ab.partial", "hub.acme.gone.0123456789ab.lock"}
    for name in kept | strays:
        make_old(name)
    storage.base_model_dir("hub.acme.new.0123456789ab").mkdir()
    assert {path.name for path in hub_leftovers_remove()} == strays
    left = {path.name for path in storage.base_models_dir().iterdir()}
    assert left == kept | {"hub.acme.new.0123456789ab"}
