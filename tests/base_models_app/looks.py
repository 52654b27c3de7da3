"""What the Hub says of a model, and errands in every state, as a worker would leave them."""

from typing import Any

from tests.base_models_app.folders import CONFIG
from webapp.accounts.models import User
from webapp.base_models import hub
from webapp.base_models.models import BaseModel
from webapp.base_models.services import base_model_fetched
from webapp.clock import database_now
from webapp.contract.hub import FetchedModel, HubFile, HubLook
from webapp.contract.model_folder import shape_from_config
from webapp.errands.models import Errand, State

TINY = "acme/tiny"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def make_look(**fields: Any) -> HubLook:
    files = tuple(HubFile(name=name, size_bytes=1_000_000) for name in ("config.json", "model.safetensors"))
    said = {
        "hub_id": TINY, "commit": COMMIT, "licence": "apache-2.0", "url": f"https://hub.example/{TINY}",
        "is_private": False, "is_gated": False, "files": files, "num_params": 10, "model_type": "llama",
        "shape": shape_from_config(CONFIG, "llama"), "has_chat_template": True, "left_behind": ("evil.py",),
    }  # fmt: skip
    return HubLook.model_validate({**said, **fields})


def make_fetched(**fields: Any) -> FetchedModel:
    shape = shape_from_config(CONFIG, "llama").model_copy(update={"num_params": 10, "size_bytes": 40})
    return FetchedModel(look=make_look(**fields), shape=shape, has_chat_template=True)


def make_model(user: User, **fields: Any) -> BaseModel:
    """Fetched, with its files in their place."""
    model = base_model_fetched(make_fetched(**fields), user)
    model.path.mkdir(parents=True, exist_ok=True)
    (model.path / "config.json").write_text("{}")
    return model


def asked_look(user: User, look: HubLook | None = None, **fields: Any) -> Errand:
    """Answered with the look, or in another state."""
    errand = hub.look_ask(user, TINY, "main")
    answer = {"state": State.DONE, "result": look.model_dump(mode="json")} if look else {}
    return settle(errand, **answer, **fields)


def asked_fetch(user: User, look: HubLook | None = None, **fields: Any) -> Errand:
    return settle(hub.fetch_ask(user, look or make_look()), **fields)


def settle(errand: Errand, **fields: Any) -> Errand:
    ended = {"finished_at": database_now()} if fields.get("state") in (State.DONE, State.FAILED, State.STOPPED) else {}
    Errand.objects.filter(id=errand.id).update(**fields, **ended)
    errand.refresh_from_db()
    return errand
