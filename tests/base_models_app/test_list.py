"""The page of base models, and removing one from it."""

from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from tests.base_models_app.folders import make_folder
from tests.factories import make_job, make_starter
from webapp import storage
from webapp.accounts.models import User
from webapp.base_models.models import BaseModel
from webapp.base_models.services import base_model_register
from webapp.contract.model_folder import read_model_folder
from webapp.jobs.models import Job


@pytest.fixture
def registered(db: None, tmp_path: Path) -> BaseModel:
    folder = make_folder(tmp_path / "models" / "tiny")
    return base_model_register(title="Tiny model", folder=str(folder), report=read_model_folder(folder))


def page(client: Client, user: User) -> str:
    client.force_login(user)
    return client.get(reverse("base-model-list")).content.decode()


def test_it_tells_what_a_starter_is_for_and_what_fetching_it_takes(client: Client, alice: User) -> None:
    html = page(client, alice)
    for words in ("SmolLM2 135M Instruct", "Write an answer", "Apache-2.0", "134.5 M parameters", "8,192 tokens"):
        assert words in html
    assert "Fetched on first use (92.9 MB)" in html


def test_it_tells_the_memory_of_each_method_and_what_for(client: Client, alice: User) -> None:
    html = page(client, alice)
    assert "rows of up to 256 tokens, 8 a step" in html
    client.force_login(alice)
    cards = {card.model.id: card for card in client.get(reverse("base-model-list")).context["starters"]}
    needs = {line.method.name: line.memory_bytes for line in cards["smollm2-135m-instruct"].methods}
    assert 1e9 < needs["prompt_tuning"] < needs["lora"] < needs["full"] < 10e9


def test_a_fetched_starter_is_ready(client: Client, alice: User) -> None:
    folder = storage.base_model_dir("minilm-l6")
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    html = page(client, alice)
    assert html.count(" Ready<") == 1 and html.count("Fetched on first use") == 1


def test_only_an_admin_sees_where_a_folder_lies_and_how_to_add_one(
    client: Client, alice: User, admin_user: User, registered: BaseModel
) -> None:
    hers, theirs = page(client, alice), page(client, admin_user)
    assert "Tiny model" in hers and "Tiny model" in theirs
    for words in (registered.folder, reverse("base-model-register"), "Remove from the list"):
        assert words not in hers and words in theirs


def test_a_folder_that_vanished_is_marked(client: Client, alice: User, registered: BaseModel) -> None:
    (registered.path / "config.json").unlink()
    assert "Folder is gone" in page(client, alice)


def test_an_admin_removes_a_folder_but_not_its_files(client: Client, admin_user: User, registered: BaseModel) -> None:
    client.force_login(admin_user)
    client.post(reverse("base-model-remove", args=[registered.id]))
    assert not BaseModel.objects.filter(id=registered.id).exists()
    assert (registered.path / "config.json").exists()


def test_a_folder_that_jobs_came_from_stays(client: Client, admin_user: User, registered: BaseModel) -> None:
    make_starter()
    Job.objects.filter(id=make_job(admin_user).id).update(base_model=registered)
    client.force_login(admin_user)
    response = client.post(reverse("base-model-remove", args=[registered.id]), follow=True)
    assert "stays: jobs were trained from it" in response.content.decode()
    assert BaseModel.objects.filter(id=registered.id).exists()


def test_a_starter_cannot_be_removed(client: Client, admin_user: User) -> None:
    client.force_login(admin_user)
    assert client.post(reverse("base-model-remove", args=["minilm-l6"])).status_code == 404


def test_someone_who_is_no_admin_cannot_remove(client: Client, alice: User, registered: BaseModel) -> None:
    client.force_login(alice)
    assert client.post(reverse("base-model-remove", args=[registered.id])).status_code == 403
    assert BaseModel.objects.filter(id=registered.id).exists()


def test_wrong_verbs_are_refused(client: Client, admin_user: User, registered: BaseModel) -> None:
    client.force_login(admin_user)
    assert client.post(reverse("base-model-list")).status_code == 405
    assert client.get(reverse("base-model-remove", args=[registered.id])).status_code == 405
    assert client.put(reverse("base-model-register")).status_code == 405
