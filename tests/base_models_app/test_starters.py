"""The starters' rows follow the contract."""

from django.apps.registry import Apps
from django.core.management import call_command

from webapp.base_models.apps import refresh_starters
from webapp.base_models.models import BaseModel
from webapp.contract.base_models import STARTERS


def test_a_fresh_database_holds_every_starter(db: None) -> None:
    assert {model.id: model.shape for model in BaseModel.objects.all()} == {
        starter.id: starter.shape for starter in STARTERS.values()
    }


def test_only_the_model_that_writes_has_a_chat_template(db: None) -> None:
    templates = dict(BaseModel.objects.values_list("id", "has_chat_template"))
    assert templates == {"smollm2-135m-instruct": True, "minilm-l6": False}


def test_migrating_mends_a_starter_that_differs(db: None) -> None:
    BaseModel.objects.filter(id="minilm-l6").update(title="Old name", shape_json={})
    call_command("migrate", verbosity=0)
    assert BaseModel.objects.get(id="minilm-l6").shape == STARTERS["minilm-l6"].shape


def test_nothing_is_written_where_migrating_back_left_no_table(db: None) -> None:
    BaseModel.objects.all().delete()
    refresh_starters(Apps())
    assert not BaseModel.objects.exists()
