"""An admin registers a folder; what is wrong with it is told beside the field."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from tests.base_models_app.folders import NUM_WEIGHTS, WEIGHTS, make_folder, safetensors
from webapp.accounts.models import User
from webapp.base_models.models import BaseModel
from webapp.contract.recipe import Recipe

URL = "/models/register"


def register(client: Client, folder: object, title: str = "Tiny model") -> Any:
    return client.post(URL, {"folder": str(folder), "title": title})


def refused(response: HttpResponse) -> str:
    """What stands beside the folder field; nothing was kept."""
    assert response.status_code == 400
    assert not BaseModel.objects.exclude(folder="").exists()
    return " ".join(response.context["form"].errors["folder"])  # type: ignore[attr-defined]


@pytest.fixture
def admin(client: Client, admin_user: User) -> Client:
    client.force_login(admin_user)
    return client


def test_a_good_folder_is_offered_with_what_it_holds(admin: Client, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "tiny")
    assert register(admin, folder)["Location"] == reverse("base-model-list")
    model = BaseModel.objects.get(id="tiny-model")
    assert (model.folder, model.has_chat_template, model.is_ready) == (str(folder), True, True)
    assert (model.shape.num_params, model.shape.num_layers) == (NUM_WEIGHTS, 2)
    assert model.tasks == ("generate", "classify")


def test_two_folders_of_one_title_get_two_ids(admin: Client, tmp_path: Path) -> None:
    for number in range(3):
        register(admin, make_folder(tmp_path / str(number)))
    ids = BaseModel.objects.exclude(folder="").values_list("id", flat=True)
    assert set(ids) == {"tiny-model", "tiny-model-2", "tiny-model-3"}


@pytest.mark.parametrize("title", ["Größtes Modell!", "模型", "__", "A" * 100, "MiniLM L6"])
def test_every_id_fits_a_recipe(admin: Client, tmp_path: Path, title: str) -> None:
    register(admin, make_folder(tmp_path / "tiny"), title)
    pattern = Recipe.model_json_schema()["properties"]["base_model"]["pattern"]
    model_id = BaseModel.objects.exclude(folder="").get().id
    assert re.match(pattern, model_id)
    assert model_id != "minilm-l6"


def test_a_starter_keeps_its_id(admin: Client, tmp_path: Path) -> None:
    register(admin, make_folder(tmp_path / "tiny"), "minilm l6")
    assert BaseModel.objects.get(id="minilm-l6").folder == ""
    assert BaseModel.objects.filter(id="minilm-l6-2").exists()


def test_a_missing_folder_is_told(admin: Client, tmp_path: Path) -> None:
    assert "is not a folder this machine can read" in refused(register(admin, tmp_path / "nowhere"))


def test_a_path_without_its_beginning_is_refused(admin: Client) -> None:
    assert "Give the whole path" in refused(register(admin, "models/tiny"))


def test_a_name_no_file_system_takes_is_refused(admin: Client, tmp_path: Path) -> None:
    assert "cannot be read" in refused(register(admin, tmp_path / ("a" * 300)))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model_type": "mamba"}, "model_type “mamba”"),
        ({"auto_map": {"AutoModel": "evil.py"}}, "asks to run code"),
        ({"quantization_config": {"bits": 4}}, "quantised"),
        ({"hidden_size": None}, "lacks a usable number"),
        ({"hidden_size": "wide"}, "lacks a usable number"),
        ({"num_attention_heads": 0}, "lacks a usable number"),
        ({"vocab_size": -5}, "lacks a usable number"),
        ({"hidden_size": float("inf")}, "no model has more than"),
        ({"num_hidden_layers": 10**12}, "num_hidden_layers: 1,000,000,000,000, and no model has more than 1,000"),
        ({"num_labels": 10**12}, "num_labels"),
        ({"max_position_embeddings": 10**15}, "max_position_embeddings"),
        ({"type_vocab_size": 10**400}, "type_vocab_size: far more"),
        ({"text_config": {"sliding_window": 10**12}}, "sliding_window"),
        ({"pad_token_id": 10**12}, "pad_token_id"),
        ({"num_hidden_layers": 900}, "It is the config of another model"),
        ({"vocab_size": 31}, "the table of tokens has 32 rows"),
    ],
)
def test_a_model_we_cannot_train_is_refused_with_the_reason(
    admin: Client, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    assert says in refused(register(admin, make_folder(tmp_path / "tiny", **changes)))


@pytest.mark.parametrize(
    ("name", "said", "says"),
    [
        ("tokenizer.json", {"model": {"vocab": {"a": 0, "b": 32}}}, "numbers its tokens up to 33, and the model has"),
        ("tokenizer.json", {"model": {"vocab": [["a", 0.0]] * 33}}, "up to 33"),
        ("tokenizer.json", {"model": {"vocab": {}}, "added_tokens": [{"id": 32, "content": "<x>"}]}, "up to 33"),
        ("tokenizer_config.json", {"added_tokens_decoder": {"32": {"content": "<x>"}}}, "up to 33"),
        ("added_tokens.json", {"<x>": 32}, "up to 33"),
        ("tokenizer.json", {"model": {"vocab": {"a": -1}}}, "the number -1, which no model has"),
        ("tokenizer.json", {"model": {"vocab": {"a": 10**30}}}, "which no model has"),
        ("tokenizer.json", {"added_tokens": ["x"]}, "the number x, which no model has"),
        ("generation_config.json", {"num_beams": 10**9}, "num_beams: 1,000,000,000"),
    ],
)
def test_a_tokenizer_or_a_number_larger_than_the_model_is_refused(
    admin: Client, tmp_path: Path, name: str, said: dict[str, Any], says: str
) -> None:
    folder = make_folder(tmp_path / "tiny")
    (folder / name).write_text(json.dumps(said))
    assert says in refused(register(admin, folder))
    assert not BaseModel.objects.exclude(folder="").exists()


def test_a_tokenizer_as_large_as_the_table_is_taken(admin: Client, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "tiny")
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {"a": 0, "b": 31}}}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 10**30}))
    assert register(admin, folder).status_code == 302


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("config.json", b"{", "config.json cannot be read"),
        ("config.json", b"[]", "does not hold an object"),
        ("model.safetensors", safetensors(WEIGHTS)[:-1], "cut short"),
        ("model.safetensors", b"\x80\x04pickle", "not a whole safetensors file"),
        ("tokenizer_config.json", b"\xff", "tokenizer_config.json cannot be read"),
    ],
)
def test_a_damaged_file_is_named(admin: Client, tmp_path: Path, name: str, content: bytes, says: str) -> None:
    folder = make_folder(tmp_path / "tiny")
    (folder / "chat_template.jinja").unlink()
    (folder / name).write_bytes(content)
    assert says in refused(register(admin, folder))


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(admin: Client, tmp_path: Path, name: str) -> None:
    folder = make_folder(tmp_path / "tiny")
    (folder / name).unlink()
    assert name.removeprefix("model") in refused(register(admin, folder))


def test_someone_who_is_no_admin_is_refused(client: Client, alice: User, tmp_path: Path) -> None:
    client.force_login(alice)
    assert client.get(URL).status_code == 403
    assert register(client, make_folder(tmp_path / "tiny")).status_code == 403
    assert not BaseModel.objects.exclude(folder="").exists()
