"""What a person sees of datasets, and what a stranger does not."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.datasets.conftest import JSON, Send
from tests.datasets.files import GOOD_PAIRS, good_chats, good_csv
from tests.factories import make_job, make_version
from webapp.accounts.models import User
from webapp.datasets.models import Dataset, DatasetVersion, Upload

PAIRS = {"input": "question", "output": "answer"}
HTMX = {"HX-Request": "true"}
TABS = ("rows", "problems", "statistics", "versions", "used", "nonsense")


async def body_of(answer: Any) -> bytes:
    return b"".join([piece async for piece in answer])


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


@pytest.fixture
def dataset(saved: Send) -> Dataset:
    rows = "".join(f"question {number},{'yes' if number % 3 else 'no'}\n" for number in range(40))
    saved(f"question,answer\n{rows}broken,\n", **PAIRS, skip_bad_rows="yes")
    return Dataset.objects.get()


def test_a_newcomer_finds_the_drop_zone_and_the_samples(alice_client: Client) -> None:
    page = text(alice_client.get("/datasets/"))
    assert 'type="file" name="file"' in page
    assert "Start with a sample" in page and page.count('name="sample"') == 3


def test_the_list_tells_the_figures_of_each(alice_client: Client, dataset: Dataset) -> None:
    page = text(alice_client.get("/datasets/"))
    for part in ("Mine", ">40<", "1 left out", "Never", f"?dataset={dataset.latest.id}", "2 labels"):
        assert part in page
    make_job(dataset.owner)
    assert "v1" in text(alice_client.get("/datasets/"))


def test_a_long_list_has_pages(alice: User, alice_client: Client) -> None:
    upload = make_version(alice).upload
    for number in range(60):
        DatasetVersion.objects.create(
            dataset=Dataset.objects.create(owner=alice, name=f"Set {number}"),
            **{"number": 1, "upload": upload, "mapping": PAIRS, "num_rows": 1, "rows_sha256": "0"},
        )
    assert "1 to 50 of 61 datasets" in text(alice_client.get("/datasets/"))
    assert "51 to 61" in text(alice_client.get("/datasets/?page=2"))
    assert alice_client.get("/datasets/?page=no").status_code == 200


def test_the_columns_are_guessed_and_the_first_rows_shown(send: Send, alice_client: Client) -> None:
    page = text(alice_client.get(send(good_csv(), "my_tickets.csv").json()["url"]))
    assert 'value="my tickets"' in page
    assert '<option value="question" selected>' in page and '<option value="answer" selected>' in page
    assert "answer 5" in page and "answer 6" not in page
    assert "Save dataset" in page and "<html" in page


def test_another_choice_is_shown_without_the_page_around_it(send: Send, alice_client: Client) -> None:
    url = send("id,q,a\n" + "".join(f"{n},q{n},\n" for n in range(30))).json()["url"]
    page = text(alice_client.get(url, {"input": "q", "output": "id"}, headers=HTMX))
    assert "<html" not in page and "Save dataset" in page
    page = text(alice_client.get(url, {"input": "q", "output": "a"}, headers=HTMX))
    assert "the output is empty" in page and "Line 2" in page
    assert alice_client.get(url, {"input": "q", "output": "q"}, headers=HTMX).status_code == 200


def test_bad_rows_are_offered_to_be_left_out(send: Send, alice_client: Client) -> None:
    url = send(good_csv() + "broken,\n,broken\n").json()["url"]
    assert "Leave these 2 rows out and save" in text(alice_client.get(url))
    answer = alice_client.post(url, {"name": "Mine", **PAIRS})
    assert answer.status_code == 422 and "Not saved. 2 rows cannot be used." in text(answer)
    answer = alice_client.post(url, {"name": "Mine", **PAIRS, "skip_bad_rows": "yes"})
    assert answer["Location"] == reverse("dataset-detail", args=[Dataset.objects.get().id])


def test_a_wrong_choice_is_told_beside_its_field(send: Send, alice_client: Client) -> None:
    answer = alice_client.post(send(good_csv()).json()["url"], {"name": "", "input": "question", "output": "question"})
    assert answer.status_code == 422
    assert "Input and output are the same column" in text(answer) and "This field is required" in text(answer)


def test_too_few_rows_cannot_be_saved_from_the_page(send: Send, alice_client: Client) -> None:
    page = text(alice_client.get(send("q,a\n1,2\n").json()["url"]))
    assert "Add 19 more" in page and "Save dataset" not in page


def test_one_may_choose_between_conversation_and_columns(send: Send, alice_client: Client) -> None:
    url = send(good_csv()).json()["url"]
    assert 'name="messages"' in text(alice_client.get(url, {"as": "chat"}))
    assert 'name="input"' in text(alice_client.get(url, {"as": "pairs"}))
    assert 'name="messages"' in text(alice_client.get(send(good_chats(), "c.jsonl").json()["url"], {"as": "pairs"}))


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_opens(tab: str, alice_client: Client, dataset: Dataset) -> None:
    page = text(alice_client.get(f"/datasets/{dataset.id}", {"tab": tab}))
    expected = {
        "rows": "question 24",
        "problems": "the output is empty",
        "statistics": "sha256 of the rows",
        "versions": "A version never changes",
        "used": "No job has used it yet",
        "nonsense": "question 24",
    }
    assert expected[tab] in page
    assert f"?dataset={dataset.latest.id}" in page


def test_rows_are_paged(alice_client: Client, dataset: Dataset) -> None:
    page = text(alice_client.get(f"/datasets/{dataset.id}", {"page": 2}))
    assert "26 to 40 of 40 rows" in page and "question 25" in page and "question 24" not in page


def test_conversations_are_shown_turn_by_turn(saved: Send, alice_client: Client) -> None:
    url = saved(good_chats(), "chat.jsonl", messages="messages").json()["url"]
    page = text(alice_client.get(url))
    assert "assistant" in page and GOOD_PAIRS[0][1] in page


def test_what_looks_like_a_script_is_shown_as_text(saved: Send, alice_client: Client) -> None:
    evil = "<script>alert(1)</script>{{ 7*7 }}"
    url = saved(good_csv() + f"{evil},{evil}\n", name=evil, **PAIRS).json()["url"]
    page = text(alice_client.get(url, {"page": 2}))
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;{{ 7*7 }}" in page


def test_other_columns_make_the_next_version(alice_client: Client, dataset: Dataset) -> None:
    url = reverse("dataset-remap", args=[dataset.id])
    assert "Saving makes version 2" in text(alice_client.get(url))
    answer = alice_client.post(url, {"input": "answer", "output": "question"}, headers=JSON)
    assert answer.json()["code"] == "too_few_rows"
    swapped = {"input": "question", "output": "answer", "skip_bad_rows": "yes"}
    same = alice_client.post(url, swapped, headers=JSON)
    assert same.json()["version_id"] == str(dataset.latest.id) and dataset.versions.count() == 1


def test_a_next_version_leaves_the_first_as_it_was(saved: Send, alice_client: Client, data_dir: Any) -> None:
    saved(good_csv(), **PAIRS)
    dataset = Dataset.objects.get()
    url = reverse("dataset-remap", args=[dataset.id])
    answer = alice_client.post(url, {"input": "answer", "output": "question"}, headers=JSON)
    assert answer.status_code == 201 and dataset.latest.number == 2
    assert "question 1" in text(alice_client.get(f"/datasets/{dataset.id}?version=1"))
    assert alice_client.get(f"/datasets/{dataset.id}?version=3").status_code == 404
    assert len(list(data_dir.glob("datasets/*/rows.parquet"))) == 2


def test_the_original_file_comes_back_as_it_was(saved: Send, alice_client: Client) -> None:
    saved(good_csv(",", "\r\n"), "größe.csv", **PAIRS)
    answer: Any = alice_client.get(reverse("dataset-download", args=[Dataset.objects.get().id]))
    assert asyncio.run(body_of(answer)).decode() == good_csv(",", "\r\n")
    assert answer["Content-Disposition"] == "attachment; filename*=utf-8''gr%C3%B6%C3%9Fe.csv"
    assert (answer["X-Content-Type-Options"], answer["Content-Type"]) == ("nosniff", "application/octet-stream")


def test_a_dataset_goes_with_all_its_files(
    alice_client: Client, dataset: Dataset, nothing_left: Callable[[], None]
) -> None:
    assert alice_client.post(f"/datasets/{dataset.id}/delete")["Location"] == "/datasets/"
    nothing_left()


def test_a_file_two_datasets_share_stays_with_the_other(send: Send, alice_client: Client) -> None:
    url = send(good_csv()).json()["url"]
    first, second = (alice_client.post(url, {"name": name, **PAIRS}, headers=JSON).json() for name in "ab")
    alice_client.post(f"{first['url']}/delete")
    assert Upload.objects.get().path.exists()
    assert alice_client.get(second["url"]).status_code == 200
    assert b"stays" in alice_client.post(f"{url}/discard", follow=True).content


@pytest.mark.parametrize("headers", [{}, JSON])
def test_a_dataset_a_job_uses_stays(headers: dict[str, str], alice: User, alice_client: Client) -> None:
    job = make_job(alice)
    dataset = job.dataset_version.dataset
    answer = alice_client.post(f"/datasets/{dataset.id}/delete", headers=headers)
    assert answer.status_code == 409
    assert "“First”" in (answer.json()["message"] if headers else text(answer))
    assert Dataset.objects.filter(id=dataset.id).exists() and job.dataset_version.rows_path.exists()
    assert "First" in text(alice_client.get(f"/datasets/{dataset.id}", {"tab": "used"}))


@pytest.mark.parametrize("sample", ["dates", "kinds", "money"])
def test_a_sample_becomes_a_dataset_once(sample: str, alice_client: Client) -> None:
    first = alice_client.post("/datasets/samples", {"sample": sample})
    again = alice_client.post("/datasets/samples", {"sample": sample})
    dataset = Dataset.objects.get()
    assert first["Location"] == again["Location"] == f"/datasets/{dataset.id}"
    assert (dataset.latest.num_rows >= 300, dataset.latest.num_skipped) == (True, 0)
    assert dataset.latest.task_guess == ("classify" if sample == "kinds" else "generate")
    assert alice_client.get(first["Location"]).status_code == 200
    assert Upload.objects.count() == 1


def test_an_unknown_sample_is_not_found(alice_client: Client, nothing_left: Callable[[], None]) -> None:
    assert alice_client.post("/datasets/samples", {"sample": "../settings"}).status_code == 404
    nothing_left()


def test_a_stranger_finds_nothing(dataset: Dataset, bob_client: Client) -> None:
    url = f"/datasets/{dataset.id}"
    assert "Mine" not in text(bob_client.get("/datasets/"))
    assert [bob_client.get(url + part).status_code for part in ("", "/remap", "/download")] == [404] * 3
    assert [bob_client.post(url + part, PAIRS).status_code for part in ("/remap", "/delete")] == [404] * 2
    assert Dataset.objects.filter(id=dataset.id).exists()


@pytest.mark.parametrize("path", ["upload", "samples"])
def test_looking_changes_nothing(path: str, alice_client: Client) -> None:
    assert alice_client.get(f"/datasets/{path}").status_code == 405


def test_an_admin_sees_whose_it_is(dataset: Dataset, admin_client: Client) -> None:
    assert "alice" in text(admin_client.get("/datasets/"))
    assert "by alice" in text(admin_client.get(f"/datasets/{dataset.id}"))


def test_a_wrong_choice_is_told_in_the_preview_too(send: Send, alice_client: Client) -> None:
    url = send(good_csv()).json()["url"]
    page = text(alice_client.get(url, {"input": "answer", "output": "answer"}, headers=HTMX))
    assert "Input and output are the same column" in page and "Save dataset" not in page
