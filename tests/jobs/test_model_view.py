"""What the model will see, on the page “New job”: asked of a worker once, and told however it went."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from tests.base_models_app.folders import make_folder
from tests.errands.made import claimed
from tests.factories import make_starter, make_version, make_worker
from tests.jobs.made import fields_for
from webapp.accounts.models import User
from webapp.base_models.services import base_model_register
from webapp.contract.model_folder import read_model_folder
from webapp.contract.preview import Piece, Preview, PreviewRow, Stretch
from webapp.errands.attempts import errand_done, errand_failed
from webapp.errands.models import Errand
from webapp.jobs.models import Job

pytestmark = pytest.mark.django_db
URL = "/jobs/new/model-view"


def letters(text: str, **fate: bool) -> Stretch:
    pieces = tuple(Piece(text=letter, ids=(ord(letter),)) for letter in text)
    return Stretch(**{"is_trained": False, "is_cut": False, **fate}, head=pieces)


def make_preview(**changed: Any) -> Preview:
    row = PreviewRow(
        which=("first", "longest"), line=2, num_tokens=9, num_trained=3, num_cut=2,
        reads=(letters("ab", is_cut=True), letters("hi<\n"), letters("you", is_trained=True)),
    )  # fmt: skip
    told = {
        "task": "generate", "max_length": 7, "rows": (row,), "num_rows": 60, "num_counted": 60, "num_huge": 0,
        "num_cut": 1, "mean_tokens": 5.5, "max_tokens": 9, "bins": (), **changed,
    }  # fmt: skip
    return Preview.model_validate(told)


@pytest.fixture
def query(alice: User, tmp_path: Path) -> dict[str, Any]:
    """Of rows of alice's, and a base model whose folder is there."""
    folder = make_folder(tmp_path / "tiny")
    model = base_model_register(title="Tiny", folder=str(folder), report=read_model_folder(folder))
    return {"dataset": str(make_version(alice).id), "base_model": model.id, "task": "generate", "max_length": 7}


def state_of(client: Client, query: dict[str, Any]) -> str:
    page = client.get(URL, query).content.decode()
    return page.partition('data-shown="')[2].partition('"')[0]


def test_it_is_asked_once_and_shown_once_it_is_answered(alice_client: Client, query: dict[str, Any]) -> None:
    make_worker()
    assert state_of(alice_client, query) == "moving"
    assert state_of(alice_client, query) == "moving"
    assert Errand.objects.count() == 1
    errand_done(claimed(), make_preview().model_dump(mode="json"))
    page = alice_client.get(URL, query).content.decode()
    assert 'data-shown="done"' in page
    assert "1 of 60 rows" in page
    assert "First row and longest row" in page
    assert '<del class="tokens-cut"><span title="97">a</span>' in page
    assert '<mark class="tokens-trained"><span title="121">y</span>' in page
    assert '<span title="60">&lt;</span><span title="10">↵\n</span>' in page


def test_another_limit_or_another_draw_is_another_question(alice_client: Client, query: dict[str, Any]) -> None:
    make_worker()
    for changed in ({}, {"max_length": 8}, {"draw": 1}, {"virtual_tokens": 16}):
        alice_client.get(URL, {**query, **changed})
    assert Errand.objects.count() == 3


def test_virtual_tokens_stand_before_the_rest(alice_client: Client, query: dict[str, Any]) -> None:
    make_worker()
    alice_client.get(URL, query)
    errand_done(claimed(), make_preview().model_dump(mode="json"))
    assert b"+16 virtual tokens before this" in alice_client.get(URL, {**query, "virtual_tokens": 16}).content


def test_a_template_that_was_changed_is_another_question(
    alice_client: Client, query: dict[str, Any], tmp_path: Path
) -> None:
    make_worker()
    alice_client.get(URL, query)
    (tmp_path / "tiny" / "chat_template.jinja").write_text("{{ messages[0] }}")
    alice_client.get(URL, query)
    assert Errand.objects.count() == 2


def test_a_failure_is_told_and_tried_again_when_asked(alice_client: Client, query: dict[str, Any]) -> None:
    make_worker()
    alice_client.get(URL, query)
    errand_failed(claimed(), "The template says <no>.")
    page = alice_client.get(URL, query).content.decode()
    assert "The template says &lt;no&gt;." in page
    assert "hx-trigger" not in page
    assert state_of(alice_client, {**query, "again": 1}) == "moving"
    assert state_of(alice_client, query) == "moving"


REFUSED = "Line 2: The base model's chat template refuses this conversation: No cities."


def submit(client: Client, query: dict[str, Any]) -> Any:
    fields = {"name": "Mine", "dataset": query["dataset"], "task": "generate", "method": "lora"}
    return client.post(
        "/jobs/new", {**fields, "base_model": query["base_model"]}, headers={"Accept": "application/json"}
    )


def seen(client: Client, query: dict[str, Any]) -> Errand:
    """What a view of it was asked of, claimed by a worker."""
    client.get(URL, query)
    return claimed()


def test_a_template_that_is_known_to_refuse_the_rows_refuses_the_job(
    alice_client: Client, query: dict[str, Any]
) -> None:
    make_worker()
    errand_failed(seen(alice_client, query), REFUSED, code="template")
    answer = submit(alice_client, query)
    assert answer.status_code == 422
    assert answer.json()["fields"] == {"base_model": [REFUSED]}
    assert not Job.objects.exists()
    html = alice_client.post("/jobs/new", {**query, "name": "Mine", "method": "lora", "max_length": "256"})
    assert html.status_code == 422 and escape(REFUSED) in html.content.decode()


def test_only_the_newest_view_of_the_same_rows_and_template_refuses(
    alice: User, alice_client: Client, query: dict[str, Any], tmp_path: Path
) -> None:
    make_worker()
    errand_failed(seen(alice_client, query), REFUSED, code="template")
    assert submit(alice_client, {**query, "dataset": str(make_version(alice).id)}).status_code == 201
    errand_done(seen(alice_client, {**query, "draw": 1}), make_preview().model_dump(mode="json"))
    assert submit(alice_client, query).status_code == 201
    errand_failed(seen(alice_client, {**query, "draw": 2}), REFUSED, code="template")
    assert submit(alice_client, query).status_code == 422
    (tmp_path / "tiny" / "chat_template.jinja").write_text("{{ messages[0] }}")
    assert submit(alice_client, query).status_code == 201


def test_a_view_that_failed_for_another_reason_refuses_nothing(alice_client: Client, query: dict[str, Any]) -> None:
    make_worker()
    errand_failed(seen(alice_client, query), "The machine's memory ran out.")
    assert submit(alice_client, query).status_code == 201


def test_without_a_worker_nothing_is_put_in_the_queue(alice_client: Client, query: dict[str, Any]) -> None:
    assert state_of(alice_client, query) == "no_worker"
    assert not Errand.objects.exists()


def test_a_starter_that_is_not_here_yet_is_told(alice_client: Client, query: dict[str, Any]) -> None:
    make_worker()
    assert state_of(alice_client, {**query, "base_model": make_starter().id}) == "not_fetched"
    assert not Errand.objects.exists()


def test_a_stranger_sees_no_rows(bob_client: Client, query: dict[str, Any]) -> None:
    make_worker()
    assert bob_client.get(URL, query).status_code == 404


@pytest.mark.parametrize(
    "changed",
    [{"max_length": "0"}, {"max_length": "many"}, {"task": "sing"}, {"dataset": "x"}, {"base_model": "none"},
     {"draw": "-1"}, {"max_length": "1e99"}],
)  # fmt: skip
def test_an_address_of_nothing_is_not_found(
    alice_client: Client, query: dict[str, Any], changed: dict[str, Any]
) -> None:
    assert alice_client.get(URL, {**query, **changed}).status_code == 404


def test_the_form_asks_with_its_own_choices(alice: User, alice_client: Client) -> None:
    fields = fields_for(make_version(alice), method="prompt_tuning", max_length="99", num_virtual_tokens="5")
    page = alice_client.get(reverse("job-new"), fields).content.decode()
    assert f"{URL}?dataset={fields['dataset']}&amp;base_model=smollm2-135m-instruct" in page
    assert "max_length=99&amp;virtual_tokens=5" in page
