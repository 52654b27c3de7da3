"""Continue training: a job that starts from an adapter, from the form to the job's own copy of it."""

import json
import shutil
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.test import Client

from tests.adapters.made import adapter_of, make_adapter
from tests.factories import MINILM, make_recipe, make_starter, make_version, make_worker
from tests.jobs.made import claim
from webapp import storage
from webapp.accounts.models import User
from webapp.adapters.models import AdapterVersion
from webapp.contract.methods import KnobValue
from webapp.datasets.models import DatasetVersion
from webapp.jobs.accept import CannotTrain, job_create, job_retry
from webapp.jobs.continuing import start_find
from webapp.jobs.endings import Ending, job_fail
from webapp.jobs.models import Job
from worker.job_dir import job_dir_lay_out

URL = "/jobs/new"
JSON = {"HTTP_ACCEPT": "application/json"}


@pytest.fixture
def version(alice: User) -> AdapterVersion:
    return make_adapter(alice)


def made_with(owner: User, *, labels: tuple[str, ...] = (), **knobs: KnobValue) -> AdapterVersion:
    """An adapter of a job with other knobs, or of one that chose among labels."""
    model = MINILM if labels else "smollm2-135m-instruct"
    recipe = make_recipe(model, task="classify" if labels else "generate", **knobs)
    rows = make_version(owner, labels=labels)
    return adapter_of(
        job_create(owner, name="Kinds", dataset_version=rows, base_model=make_starter(model), recipe=recipe)
    )


def fields_for(version: AdapterVersion, rows: DatasetVersion, **changed: Any) -> dict[str, Any]:
    return {"name": "Onward", "dataset": str(rows.id), "start_adapter": str(version.id), **changed}


def refused(client: Client, fields: dict[str, Any]) -> dict[str, list[str]]:
    """Field -> what is said beside it."""
    response = client.post(URL, json.dumps(fields), content_type="application/json")
    assert response.status_code == 422, response.content
    told: dict[str, list[str]] = response.json()["fields"]
    return told


def started(client: Client, fields: dict[str, Any]) -> Job:
    response = client.post(URL, fields, **JSON)
    assert response.status_code == 201, response.content
    return Job.objects.select_related("started_from").get(id=response.json()["id"])


def test_the_form_is_settled_by_the_adapter(alice_client: Client, version: AdapterVersion) -> None:
    response = alice_client.get(URL, {"start_adapter": str(version.id)})
    form, html = response.context["form"], response.content.decode()
    assert (form.task, form.base_model, form.method.name) == ("generate", version.job.base_model, "lora")
    assert form.version == version.job.dataset_version and form.name == "First"
    assert form.knobs["learning_rate"] == version.job.recipe.number("learning_rate") / 2
    assert "Continues <a" in html and "The verdict compares with the untouched base model" in html
    assert 'name="rank"' not in html and 'name="dropout"' in html and 'name="epochs"' in html
    assert "start_adapter=" in html.partition("new/model-view?")[2].partition('"')[0]


def test_a_job_starts_from_it_with_its_own_copy(alice: User, alice_client: Client, version: AdapterVersion) -> None:
    job = started(alice_client, fields_for(version, version.job.dataset_version, dropout="0.1"))
    assert job.started_from == version and job.recipe.start_adapter == str(version.id)
    assert (job.recipe.knobs["rank"], job.recipe.knobs["dropout"]) == (8, 0.1)
    copy = storage.job_start_dir(job.id)
    assert {path.name for path in copy.iterdir()} == {path.name for path in version.files_dir.iterdir()}
    assert (copy / "adapter_model.safetensors").samefile(version.files_dir / "adapter_model.safetensors")


def test_the_same_rows_stay_on_their_sides(alice_client: Client, version: AdapterVersion) -> None:
    job = started(alice_client, fields_for(version, version.job.dataset_version))
    assert job.split_sha256 == version.job.split_sha256


def test_no_row_that_it_has_seen_is_held_out(alice: User, alice_client: Client, version: AdapterVersion) -> None:
    """Nor by the adapter that the adapter continued; two hundred rows hold the first sixty."""
    grown = make_version(alice, num_rows=200)
    second = adapter_of(started(alice_client, fields_for(version, grown)))
    third = started(alice_client, fields_for(second, make_version(alice, num_rows=400)))

    def side_of(job: Job, side: str) -> set[str]:
        rows = pq.read_table(storage.job_rows_path(job.id)).to_pylist()
        return {row["input"] for row in rows if row["split"] == side}

    for earlier, later in ((version.job, second.job), (version.job, third), (second.job, third)):
        assert not side_of(earlier, "train") & (side_of(later, "test") | side_of(later, "validation"))
        assert not side_of(earlier, "validation") & side_of(later, "test")
    assert (third.split["test"], third.split["validation"]) == (80, 40)


def test_rows_of_which_most_are_known_cannot_judge(alice: User, alice_client: Client, version: AdapterVersion) -> None:
    response = alice_client.post(URL, fields_for(version, make_version(alice, num_rows=20)), **JSON)
    assert response.status_code == 422
    assert "were not trained on by the adapter already" in response.json()["message"]
    assert [path.name for path in storage.jobs_dir().iterdir()] == [str(version.job_id)]


def test_without_the_earlier_rows_nobody_could_judge(
    alice: User, alice_client: Client, version: AdapterVersion
) -> None:
    storage.job_rows_path(version.job_id).unlink()
    response = alice_client.post(URL, fields_for(version, version.job.dataset_version), **JSON)
    assert response.status_code == 422 and "are gone or damaged" in response.json()["message"]


def test_pissa_goes_on_as_the_plain_lora_it_is_kept_as(alice: User, alice_client: Client) -> None:
    version = made_with(alice, init="pissa", rank=4, alpha=8)
    job = started(alice_client, fields_for(version, version.job.dataset_version))
    knobs = job.recipe.knobs
    assert (knobs["init"], knobs["rank"], knobs["alpha"], knobs["variant"]) == ("default", 8, 8, "lora")


def test_one_that_is_too_large_to_go_on_from_says_so(alice: User, alice_client: Client) -> None:
    version = made_with(alice, init="pissa", rank=200)
    told = refused(alice_client, fields_for(version, version.job.dataset_version))
    assert "400 is out of range" in told["start_adapter"][0]


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [("method", "ia3", "It stays “lora”"), ("base_model", MINILM, "It stays “smollm2-135m-instruct”"),
     ("task", "classify", "It stays “generate”"), ("rank", "16", "Rank: it stays 8, as in “First” version 1"),
     ("targets", "attention", "it stays all-linear"), ("init", "pissa", "it stays default"), ("alpha", "x", "stays")],
)  # fmt: skip
def test_what_the_adapter_settles_cannot_be_asked_otherwise(
    alice_client: Client, version: AdapterVersion, field: str, value: str, says: str
) -> None:
    told = refused(alice_client, fields_for(version, version.job.dataset_version, **{field: value}))
    assert says in told[field][0]


def test_what_says_the_same_is_taken(alice_client: Client, version: AdapterVersion) -> None:
    same = {"method": "lora", "task": "generate", "rank": "8", "base_model": "smollm2-135m-instruct"}
    assert started(alice_client, fields_for(version, version.job.dataset_version, **same)).recipe.knobs["rank"] == 8


def test_labels_must_be_the_same_set(alice: User, alice_client: Client) -> None:
    version = made_with(alice, labels=("red", "green"))
    for labels, says in (
        (("red", "blue"), "it lacks “green” and “blue” is new"),
        (("red", "green", "blue", "grey"), "“blue”, “grey” are new"),
        ((), "does not hold labels"),
    ):
        other = make_version(alice, labels=labels)
        assert says in refused(alice_client, fields_for(version, other))["dataset"][0]
        page = alice_client.get(URL, fields_for(version, other)).content.decode()
        assert "field-error" in page, "told before it is sent"
    same = make_version(alice, num_rows=80, labels=("green", "red"))
    assert started(alice_client, fields_for(version, same)).recipe.task == "classify"


@pytest.mark.parametrize("word", ["", "x", "00000000-0000-0000-0000-000000000000", ["a"], 7, None])
def test_what_is_no_adapter_is_refused_or_means_none(
    alice_client: Client, version: AdapterVersion, word: object
) -> None:
    fields = fields_for(version, version.job.dataset_version, start_adapter=word)
    told = refused(alice_client, fields)
    assert ("start_adapter" in told) == bool(word)
    assert "Choose a method." in told["method"]


def test_another_person_s_adapter_is_as_if_it_were_not_there(
    bob: User, bob_client: Client, version: AdapterVersion
) -> None:
    foreign = refused(bob_client, fields_for(version, make_version(bob)))
    missing = refused(bob_client, fields_for(version, make_version(bob), start_adapter=str(version.job_id)))
    assert foreign["start_adapter"] == missing["start_adapter"]
    page = bob_client.get(URL, {"start_adapter": str(version.id)}).content.decode()
    assert "not there any more" in page and "First" not in page


def test_one_that_is_known_to_be_damaged_is_refused(alice_client: Client, version: AdapterVersion) -> None:
    AdapterVersion.objects.update(is_damaged=True)
    told = refused(alice_client, fields_for(version, version.job.dataset_version))
    assert "“First” version 1 is damaged on the disk" in told["start_adapter"][0]


@pytest.mark.parametrize("break_it", ["flip", "remove", "empty"])
def test_damage_that_nobody_saw_yet_is_seen_when_it_is_accepted(
    alice_client: Client, version: AdapterVersion, break_it: str
) -> None:
    weights = version.files_dir / "adapter_model.safetensors"
    if break_it == "flip":
        weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    elif break_it == "remove":
        weights.unlink()
    else:
        (version.files_dir / "manifest.json").write_text("")
    response = alice_client.post(URL, fields_for(version, version.job.dataset_version), **JSON)
    assert response.status_code == 422 and "is damaged on the disk" in response.json()["message"]
    version.refresh_from_db()
    assert version.is_damaged and Job.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_one_that_is_deleted_while_the_form_is_sent_is_told(alice: User, version: AdapterVersion) -> None:
    start = start_find(alice, str(version.id))
    assert start
    recipe = version.job.recipe.model_copy(update={"start_adapter": str(version.id)})
    rows, model = version.job.dataset_version, version.job.base_model
    AdapterVersion.objects.all().delete()
    for _files_are_gone_too in (False, True):
        with pytest.raises(CannotTrain, match="not there any more"):
            job_create(alice, name="x", dataset_version=rows, base_model=model, recipe=recipe, start=start)
        storage.folder_delete(storage.adapter_dir(start.version.id))
    assert Job.objects.count() == 1
    assert [path.name for path in storage.jobs_dir().iterdir()] == [str(version.job_id)]


def test_an_accepted_job_outlives_the_adapter(alice_client: Client, version: AdapterVersion) -> None:
    job = started(alice_client, fields_for(version, version.job.dataset_version))
    AdapterVersion.objects.all().delete()
    shutil.rmtree(storage.adapters_dir())
    taken = claim()
    assert taken.id == job.id
    folder = job_dir_lay_out(taken, lambda _event: None)
    assert (folder / "start_adapter" / "adapter_model.safetensors").stat().st_size > 0
    assert "an adapter that was deleted since" in (folder / "facts.json").read_text()
    page = alice_client.get(f"/jobs/{job.id}")
    assert "an adapter that was deleted since" in page.content.decode()


def test_a_retry_starts_from_the_same(alice: User, alice_client: Client, version: AdapterVersion) -> None:
    job = started(alice_client, fields_for(version, version.job.dataset_version))
    taken = claim()
    assert job_fail(taken, Ending("our_bug", "It broke."))
    again = job_retry(taken, alice)
    assert (again.started_from, again.recipe) == (version, job.recipe)
    assert (storage.job_start_dir(again.id) / "manifest.json").exists()
    storage.folder_delete(storage.job_start_dir(taken.id))
    with pytest.raises(CannotTrain, match="gone from its folder"):
        job_retry(taken, alice)


def test_training_again_with_changes_starts_from_the_same(alice_client: Client, version: AdapterVersion) -> None:
    job = started(alice_client, fields_for(version, version.job.dataset_version, epochs="2"))
    form = alice_client.get(URL, {"from": str(job.id)}).context["form"]
    assert (form.start.version, form.turned, form.errors) == (version, {"epochs": 2}, {})
    assert form.recipe() == job.recipe
    AdapterVersion.objects.all().delete()
    page = alice_client.get(URL, {"from": str(job.id)}).content.decode()
    assert "not there any more" in page and "Start from the base model" in page


def test_the_way_back_to_the_base_keeps_what_was_chosen(alice_client: Client, version: AdapterVersion) -> None:
    fields = {"start_adapter": str(version.id), "dataset": str(version.job.dataset_version_id), "epochs": "2"}
    address = alice_client.get(URL, fields).context["without_start"]
    form = alice_client.get(f"{URL}?{address}").context["form"]
    assert (form.start, form.method.name, form.turned) == (None, "lora", {"epochs": 2})


def test_what_makes_it_fit_changes_nothing_of_the_adapter(alice_client: Client, version: AdapterVersion) -> None:
    make_worker(devices_json=[{"kind": "cpu", "name": "Small", "memory_bytes": 4 * 10**9, "cores": 2}])
    fields = {"dataset": str(version.job.dataset_version_id), "max_length": "64", "batch_size": "256"}
    plain = alice_client.get(URL, fields).context["estimate"].offers
    onward = alice_client.get(URL, {**fields, "start_adapter": str(version.id)}).context["estimate"].offers
    assert onward and not any("Rank" in offer.sentence for offer in onward)
    assert all(f"start_adapter={version.id}" in offer.url for offer in onward)
    assert not any("start_adapter" in offer.url for offer in plain)
