"""The page “New job”."""

import difflib
import json
import uuid
from typing import Any

import pytest
from django.test import Client

from tests.factories import MINILM, make_job, make_recipe, make_starter, make_version
from tests.jobs.made import fields_for
from webapp import storage
from webapp.accounts.models import User
from webapp.base_models.models import BaseModel
from webapp.contract.base_models import STARTERS
from webapp.contract.capabilities import impossible
from webapp.contract.methods import METHODS, TRAINING_KNOBS
from webapp.contract.recipe import MAX_NAME_CHARS, MAX_SENTENCES, unknown_name
from webapp.contract.shortfalls import SHORTFALLS
from webapp.datasets.models import DatasetVersion
from webapp.datasets.rows_file import rows_writer
from webapp.jobs.accept import job_create
from webapp.jobs.models import Job, State

URL = "/jobs/new"
JSON = {"HTTP_ACCEPT": "application/json"}


def page(client: Client, **query: str) -> str:
    response = client.get(URL, query)
    assert response.status_code == 200
    return str(response.content.decode())


def test_without_a_dataset_it_leads_to_uploads_and_samples(alice_client: Client) -> None:
    html = page(alice_client)
    assert "No rows to train on yet" in html
    assert 'name="sample" value="dates"' in html
    assert 'id="wizard"' not in html


def test_without_a_base_model_it_says_so(alice: User, alice_client: Client) -> None:
    BaseModel.objects.all().delete()
    make_version(alice)
    html = page(alice_client)
    assert "There is no base model yet" in html


def test_everything_is_suggested_and_reviewed(alice: User, alice_client: Client) -> None:
    make_starter()
    version = make_version(alice)
    html = page(alice_client, dataset=str(version.id))
    for words in ("Suggested", "2,442,240", "9.8 MB", "269.1 MB", "What the model will see", "Start training"):
        assert words in html
    review = alice_client.get(URL, {"dataset": str(version.id)}).context["review"]
    assert review.sizes == (42, 6, 12)
    assert review.num_steps == 6 * 10


def test_labels_suggest_choosing_a_label(alice: User, alice_client: Client) -> None:
    make_starter()
    make_starter(MINILM)
    version = make_version(alice, labels=("red", "green"))
    form = alice_client.get(URL, {"dataset": str(version.id)}).context["form"]
    assert (form.task, form.base_model.id, form.method.name) == ("classify", MINILM, "lora")


def test_the_impossible_is_greyed_with_the_reason(alice: User, alice_client: Client) -> None:
    make_starter()
    make_starter(MINILM)
    html = page(alice_client, dataset=str(make_version(alice).id))
    assert "MiniLM L6 cannot do this task; it can choose a label." in html
    assert "does not hold labels" in html
    context = alice_client.get(URL).context
    assert [card.problem is None for card in context["models"]] == [card.is_chosen for card in context["models"]]


def test_a_method_s_card_tells_what_it_can_do_and_where_it_fell_short(
    alice: User, alice_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_starter()
    monkeypatch.setitem(SHORTFALLS, ("ia3", "generate"), "12 points behind LoRA on 600 dates.")
    html = page(alice_client, dataset=str(make_version(alice).id))
    for words in ("Not DoRA, which has weights that vLLM does not know.", "vLLM takes LoRA only.", "Measured:"):
        assert words in html
    assert html.count("12 points behind LoRA on 600 dates.") == 1


def test_settled_sections_are_folded(alice: User, alice_client: Client) -> None:
    version = make_version(alice)
    fields = fields_for(version)
    assert alice_client.get(URL, fields).context["open"] == {
        "data": False, "model": False, "method": False, "expert": False, "running": False
    }  # fmt: skip
    assert alice_client.get(URL).context["open"]["data"]


def test_every_knob_is_in_the_expert_drawer_with_its_sentence_and_auto(alice: User, alice_client: Client) -> None:
    html = page(alice_client, **fields_for(make_version(alice), rank="16"))
    for words in ("Size of the correction.", 'placeholder="Auto: 8"', "1 to 256", "Auto: Cosine", "Differs from Auto"):
        assert words in html
    assert "4,884,480" in html, "costs follow the knobs"


@pytest.mark.parametrize("method", METHODS)
def test_the_settings_of_training_can_be_changed_for_every_method(
    alice: User, alice_client: Client, method: str
) -> None:
    make_starter()
    make_starter(MINILM)
    task = next(one for one in ("generate", "classify") if not impossible(method, "llama", one))
    html = page(alice_client, dataset=str(make_version(alice).id), method=method, task=task)
    for knob in TRAINING_KNOBS:
        assert f'id="id_{knob.name}"' in html


def test_a_change_brings_only_the_form_and_an_address_to_come_back_to(alice: User, alice_client: Client) -> None:
    fields = fields_for(make_version(alice), method="prompt_tuning", rank="8", epochs="")
    response = alice_client.get(URL, fields, HTTP_HX_REQUEST="true")
    html = response.content.decode()
    assert html.lstrip().startswith("<form") and "<html" not in html
    assert 'name="num_virtual_tokens"' in html and 'name="rank"' not in html
    assert "method=prompt_tuning" in response["HX-Replace-Url"] and "epochs" not in response["HX-Replace-Url"]


def test_a_wrong_value_is_told_while_drafting(alice: User, alice_client: Client) -> None:
    response = alice_client.get(URL, fields_for(make_version(alice), rank="0"), HTTP_HX_REQUEST="true")
    assert response.status_code == 200
    assert "Rank: 0 is out of range; it goes from 1 to 256." in response.content.decode()


def test_without_scripts_update_shows_the_choice_and_starts_nothing(alice: User, alice_client: Client) -> None:
    fields = fields_for(make_version(alice), method="prompt_tuning", update="yes")
    response = alice_client.post(URL, fields)
    assert response.status_code == 200
    assert 'name="num_virtual_tokens"' in response.content.decode()
    assert not Job.objects.exists()


def test_a_person_starts_a_job(alice: User, alice_client: Client) -> None:
    version = make_version(alice)
    response = alice_client.post(URL, fields_for(version, rank="16", learning_rate="2e-3", schedule="linear"))
    job = Job.objects.get()
    assert (response.status_code, response["Location"]) == (302, f"/jobs/{job.id}")
    assert (job.owner, job.name, job.state) == (alice, "Mine", State.QUEUED)
    knobs = job.recipe.knobs
    assert (knobs["rank"], knobs["learning_rate"], knobs["schedule"], knobs["epochs"]) == (16, 2e-3, "linear", 10)


def test_a_script_starts_a_job_with_form_fields(alice: User, alice_client: Client) -> None:
    response = alice_client.post(URL, fields_for(make_version(alice)), **JSON)
    job = Job.objects.get()
    assert response.status_code == 201
    assert response.json() == {"id": str(job.id), "url": f"/jobs/{job.id}"}


def test_a_script_starts_a_job_with_a_json_body(alice: User, alice_client: Client) -> None:
    fields = fields_for(make_version(alice), rank=4, dropout=0.1, epochs=None, batch_size="2")
    response = alice_client.post(URL, json.dumps(fields), content_type="application/json")
    assert response.status_code == 201
    knobs = Job.objects.get().recipe.knobs
    assert (knobs["rank"], knobs["dropout"], knobs["epochs"], knobs["batch_size"]) == (4, 0.1, 10, 2)


BAD_TEXTS = [
    ("learning_rate", "nan", "must be a number"),
    ("learning_rate", "inf", "must be a number"),
    ("learning_rate", "1e999", "out of range"),
    ("learning_rate", "0", "out of range"),
    ("learning_rate", "-0.001", "out of range"),
    ("learning_rate", "0,001", "must be a number"),
    ("learning_rate", "1e9", "out of range"),
    ("rank", "0", "out of range"),
    ("rank", "8.0", "must be a whole number"),
    ("rank", "true", "must be a number"),
    ("rank", "1_0", "must be a number"),
    ("rank", "١٢", "must be a number"),
    ("rank", "9" * 5000, "out of range"),
    ("rank", "8; rm -rf /", "must be a number"),
    ("epochs", "1000000000", "out of range"),
    ("schedule", "Cosine", "choose one of cosine"),
    ("max_length", "8193", "out of range"),
    ("task", "translate", "Unknown task “translate”"),
    ("task", "", "Choose a task."),
    ("task", "classify", "does not hold labels"),
    ("base_model", "../../etc", "Unknown base model"),
    ("base_model", "", "Choose a base model."),
    ("method", "lara", "Did you mean “lora”?"),
    ("method", "", "Choose a method."),
    ("dataset", "", "Choose a dataset."),
    ("dataset", "1", "There is no such dataset."),
    ("dataset", str(uuid.UUID(int=1)), "There is no such dataset."),
    ("name", "", "Give the job a name"),
    ("name", "   ", "Give the job a name"),
    ("name", "x" * 101, "The name has 101 characters"),
    ("name", "a\nb", "line break"),
    ("name", "a\0b", "line break"),
    ("name", "a\u202eb", "cannot be shown"),
]


@pytest.mark.parametrize(("field", "value", "message"), BAD_TEXTS, ids=lambda text: text[:20])
def test_a_wrong_field_is_refused_beside_it(
    alice: User, alice_client: Client, data_dir: Any, field: str, value: str, message: str
) -> None:
    fields = fields_for(make_version(alice), **{field: value})
    response = alice_client.post(URL, fields, **JSON)
    assert response.status_code == 422
    refusal = response.json()
    assert refusal["code"] == "invalid"
    assert message in " ".join(refusal["fields"][field])
    html = alice_client.post(URL, fields)
    assert html.status_code == 422
    assert "Nothing was started." in html.content.decode()
    assert 'class="field-error"' in html.content.decode()
    assert not Job.objects.exists()
    assert not any((data_dir / "jobs").glob("*"))


BAD_JSON_VALUES = [
    ("rank", True, "must be a number"),
    ("rank", 8.0, "must be a whole number"),
    ("rank", [8], "must be a number"),
    ("rank", 10**400, "out of range"),
    ("targets", {"a": 1}, "choose one of"),
    ("name", 7, "must be a text"),
    ("dataset", ["x"], "a text is needed"),
    ("task", 1, "a text is needed"),
]


@pytest.mark.parametrize(("field", "value", "message"), BAD_JSON_VALUES, ids=lambda value: str(value)[:20])
def test_a_wrong_json_value_is_refused(
    alice: User, alice_client: Client, field: str, value: object, message: str
) -> None:
    body = json.dumps(fields_for(make_version(alice), **{field: value}))
    response = alice_client.post(URL, body, content_type="application/json")
    assert response.status_code == 422
    assert message in " ".join(response.json()["fields"][field])
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    "body",
    [b"{", b"[1]", b"7", b'{"rank": NaN}', b'{"rank": 8, "rank": 9}', b"\xff\xfe", b"[" * 100_000, b"9" * 5000,
     b'{"rank": ' + b"9" * 5000 + b"}"],
    ids=lambda body: repr(body[:20]),
)  # fmt: skip
def test_a_body_that_is_no_json_object_is_refused(alice_client: Client, body: bytes) -> None:
    response = alice_client.generic("POST", URL, body, content_type="application/json")
    assert response.status_code == 400
    assert response.json()["code"] == "bad_body"


def test_a_field_sent_twice_is_refused(alice: User, alice_client: Client) -> None:
    response = alice_client.post(URL, {**fields_for(make_version(alice)), "rank": ["8", "9"]}, **JSON)
    assert response.status_code == 400
    assert "more than once" in response.json()["message"]


@pytest.mark.parametrize(
    ("field", "hint"),
    [("learning_rat", "Did you mean “learning_rate”?"), ("owner", "Unknown field “owner”."), ("state", "Unknown field"),
     ("num_virtual_tokens", "a setting of Prompt tuning and P-tuning and Prefix tuning, not of LoRA")],
)  # fmt: skip
def test_an_unknown_field_is_refused_with_the_nearest_known(
    alice: User, alice_client: Client, field: str, hint: str
) -> None:
    fields = fields_for(make_version(alice), **{field: "1"})
    response = alice_client.post(URL, fields, **JSON)
    assert response.status_code == 422
    assert hint in response.json()["fields"][field][0]
    assert hint in alice_client.post(URL, fields).content.decode()
    assert not Job.objects.exists()


@pytest.mark.parametrize("num_fields", [10_000, 100_000])
def test_any_number_of_unknown_fields_are_refused_in_a_few_sentences(
    alice: User, alice_client: Client, monkeypatch: pytest.MonkeyPatch, num_fields: int
) -> None:
    compared: list[str] = []
    nearest = difflib.get_close_matches

    def get_close_matches(name: str, known: Any, **how: Any) -> list[str]:
        compared.append(name)
        return nearest(name, known, **how)

    monkeypatch.setattr(difflib, "get_close_matches", get_close_matches)
    fields = {**fields_for(make_version(alice)), **{f"u{number}": 1 for number in range(num_fields)}}
    response = alice_client.post(URL, json.dumps(fields), content_type="application/json", **JSON)
    assert response.status_code == 422
    told = response.json()["fields"]
    assert (len(compared), len(told)) == (MAX_SENTENCES, MAX_SENTENCES + 1)
    assert told["u10"] == [f"“u10” and {num_fields - 11:,} more are unknown as well. Leave out what is unknown."]


def test_of_an_endless_name_only_the_beginning_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    monkeypatch.setattr(difflib, "get_close_matches", lambda name, *_args, **_how: compared.append(name) or [])
    sentence = unknown_name("field", "x" * 1_000_000, [f"known{number}" for number in range(5_000)])
    assert compared == ["x" * MAX_NAME_CHARS]
    assert len(sentence) < 1_000 and "and 4,950 more" in sentence


def test_empty_settings_of_another_method_do_no_harm(alice: User, alice_client: Client) -> None:
    fields = fields_for(make_version(alice), method="prompt_tuning", rank="", targets="")
    assert alice_client.post(URL, fields).status_code == 302


def test_too_few_rows_are_told_with_the_number_needed(alice: User, alice_client: Client) -> None:
    fields = fields_for(make_version(alice, num_rows=12))
    response = alice_client.post(URL, fields, **JSON)
    assert response.status_code == 422
    assert "Add 8 more" in response.json()["message"]
    assert "Add 8 more" in page(alice_client, **fields)


def test_what_only_the_service_can_see_is_told_as_well(alice: User, alice_client: Client) -> None:
    version = make_version(alice, num_rows=60)
    fields = fields_for(version)
    version.rows_path.unlink()
    with rows_writer(version.rows_path) as rows:
        for line in range(60):
            rows.add((line, "same", "answer", None))
    DatasetVersion.objects.filter(id=version.id).update(rows_sha256=rows.sha256)
    response = alice_client.post(URL, fields, **JSON)
    assert (response.status_code, response.json()["code"]) == (422, "cannot_train")
    html = alice_client.post(URL, fields)
    assert html.status_code == 422
    assert "too few" in html.content.decode()
    assert not Job.objects.exists()


def test_a_row_longer_than_the_model_reads_is_refused(alice: User, alice_client: Client) -> None:
    make_starter(MINILM)
    version = make_version(alice, labels=("red", "green"))
    fields = fields_for(version, task="classify", base_model=MINILM, max_length="513")
    response = alice_client.post(URL, fields, **JSON)
    assert "reads at most 512 tokens" in response.json()["fields"]["max_length"][0]


def test_auto_makes_room_for_virtual_tokens(alice: User, alice_client: Client) -> None:
    make_starter(MINILM)
    version = make_version(alice, labels=("red", "green"))
    fields = fields_for(version, task="classify", base_model=MINILM, method="prompt_tuning", num_virtual_tokens="100")
    assert alice_client.post(URL, fields).status_code == 302
    assert Job.objects.get().recipe.whole("max_length") == STARTERS[MINILM].shape.max_length - 100


def test_a_strangers_dataset_is_not_there(bob: User, alice_client: Client) -> None:
    version = make_version(bob)
    assert alice_client.get(URL, {"dataset": str(version.id)}).status_code == 404
    response = alice_client.post(URL, fields_for(version), **JSON)
    assert response.json()["fields"]["dataset"] == ["There is no such dataset. Choose one of the list."]


def test_a_name_nobody_typed_follows_the_dataset(alice: User, alice_client: Client) -> None:
    version = make_version(alice)
    fields = fields_for(version, name="Other", suggested_name="Other")
    assert alice_client.get(URL, fields).context["form"].name == "Rows"
    assert alice_client.get(URL, {**fields, "name": "Typed"}).context["form"].name == "Typed"
    response = alice_client.get(URL, fields, HTTP_HX_REQUEST="true")
    assert "suggested_name" not in response["HX-Replace-Url"]
    assert alice_client.post(URL, fields).status_code == 302
    assert Job.objects.get().name == "Other"


def test_another_dataset_brings_its_own_task_and_model(alice: User, alice_client: Client) -> None:
    """What was chosen for answers to write must not silently train labels as answers, nor the other way round."""
    make_starter()
    make_starter(MINILM)
    answers, labels = make_version(alice), make_version(alice, labels=("red", "green"))
    chosen = {"task": "generate", "base_model": "smollm2-135m-instruct", "method": "ia3", "chosen_for": answers.id}
    response = alice_client.get(URL, {**chosen, "dataset": labels.id}, headers={"HX-Request": "true"})
    form = response.context["form"]
    assert (form.task, form.base_model.id, form.method.name) == ("classify", MINILM, "ia3")
    assert form.replaced == [("task", "Choose a label"), ("base model", "MiniLM L6")]
    html = response.content.decode()
    assert "To fit your change, the task is now “Choose a label” and the base model is now “MiniLM L6”" in html
    assert f'name="chosen_for" value="{labels.id}"' in html
    assert "task=" not in response["HX-Replace-Url"] and "chosen_for" not in response["HX-Replace-Url"]
    chosen = {"task": "classify", "base_model": MINILM, "method": "ia3", "chosen_for": labels.id}
    form = alice_client.get(URL, {**chosen, "dataset": answers.id}).context["form"]
    assert (form.task, form.base_model.id) == ("generate", "smollm2-135m-instruct")


def test_another_dataset_of_the_same_kind_changes_no_choice(alice: User, alice_client: Client) -> None:
    make_starter()
    make_starter(MINILM)
    first, second = (make_version(alice, labels=("red", "green")) for _ in range(2))
    chosen = {"task": "classify", "base_model": "smollm2-135m-instruct", "method": "lora", "chosen_for": first.id}
    form = alice_client.get(URL, {**chosen, "dataset": second.id}).context["form"]
    assert (form.task, form.base_model.id, form.replaced) == ("classify", "smollm2-135m-instruct", [])


def test_a_task_chosen_for_these_rows_stays(alice: User, alice_client: Client) -> None:
    make_starter()
    labels = make_version(alice, labels=("red", "green"))
    form = alice_client.get(URL, {"dataset": labels.id, "task": "generate", "chosen_for": labels.id}).context["form"]
    assert (form.task, form.replaced) == ("generate", [])


def test_start_pressed_before_the_page_could_follow_starts_nothing(alice: User, alice_client: Client) -> None:
    make_starter(MINILM)
    answers, labels = make_version(alice), make_version(alice, labels=("red", "green"))
    response = alice_client.post(URL, fields_for(labels, chosen_for=str(answers.id)))
    assert response.status_code == 422 and not Job.objects.exists()
    html = response.content.decode()
    assert "Nothing was started." in html and "You changed the dataset" in html
    assert 'id="id_task_classify" value="classify" checked' in html
    assert alice_client.post(URL, fields_for(labels, chosen_for=str(labels.id))).status_code == 302


def test_training_again_starts_from_the_earlier_choices(alice: User, alice_client: Client) -> None:
    version = make_version(alice)
    job = job_create(
        alice,
        name="Earlier",
        dataset_version=version,
        base_model=make_starter(),
        recipe=make_recipe(rank=32, learning_rate=5e-4, epochs=10),
    )
    form = alice_client.get(URL, {"from": str(job.id), "learning_rate": "0.0001"}).context["form"]
    assert (form.name, form.version, form.turned) == ("Earlier", version, {"rank": 32, "learning_rate": 0.0001})


@pytest.mark.parametrize("earlier", ["x", str(uuid.UUID(int=1))])
def test_an_earlier_job_that_is_not_there_is_not_found(alice_client: Client, earlier: str) -> None:
    assert alice_client.get(URL, {"from": earlier}).status_code == 404


def test_a_strangers_job_is_no_earlier_job(bob: User, alice_client: Client) -> None:
    assert alice_client.get(URL, {"from": str(make_job(bob).id)}).status_code == 404


def test_data_is_shown_as_text(alice: User, alice_client: Client) -> None:
    version = make_version(alice, labels=("<script>alert(1)</script>", "b"))
    version.dataset.name = "<script>alert(2)</script>{{ 7 }}"
    version.dataset.save()
    html = page(alice_client, dataset=str(version.id), rank='"><script>alert(3)</script>')
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(2)" in html and "{{ 7 }}" in html


def test_rows_that_are_gone_do_not_break_the_page(alice: User, alice_client: Client) -> None:
    make_starter()
    version = make_version(alice)
    storage.folder_delete(version.rows_path)
    assert "What the model will see" in page(alice_client, dataset=str(version.id))


def test_other_verbs_are_refused(alice_client: Client) -> None:
    assert alice_client.put(URL).status_code == 405
