"""The page of all held-out rows: found, ordered, linked, and honest about what is not there."""

import re
import uuid
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from tests.adapters.made import make_adapter
from tests.jobs.made import make_running, make_succeeded, verdict_with
from webapp.accounts.models import User
from webapp.contract.held_out import HeldOutRow, held_out_text
from webapp.jobs.models import Job
from webapp.jobs.views_held_out import PAGE_SIZE

ORDERS = ("file", "best", "worst", "loss-high", "loss-low", "random")


def row(line: int, **changed: Any) -> HeldOutRow:
    fields: dict[str, Any] = {
        "line": line, "input": f"question {line}", "expected": "yes", "base": "maybe", "tuned": "yes",
        "base_score": 0.0, "tuned_score": 0.0, "base_loss": 2.0, "tuned_loss": 1.0, **changed,
    }  # fmt: skip
    return HeldOutRow(**fields)


def keep(job: Job, rows: list[HeldOutRow]) -> Job:
    job.held_out_path.parent.mkdir(parents=True, exist_ok=True)
    job.held_out_path.write_text(held_out_text(rows), "utf-8")
    return job


@pytest.fixture
def job(alice: User) -> Job:
    """Three rows by hand: won, lost, the same; the losses in another order."""
    return keep(
        make_succeeded(alice),
        [
            row(4, tuned_score=1.0, tuned_loss=0.5),
            row(2, base_score=1.0, tuned="Größe <b>", tuned_loss=0.1),
            row(9, input="ein Haus", tuned_loss=3.0),
        ],
    )


def page(client: Client, job: Job, query: str = "") -> str:
    response = client.get(f"/jobs/{job.id}/rows{query}")
    assert response.status_code == 200
    return str(response.content.decode())


def lines(client: Client, job: Job, query: str = "") -> list[int]:
    return [int(line) for line in re.findall(r'<tr id="line-(\d+)"', page(client, job, query))]


def test_rows_stand_in_the_order_that_is_asked_for(alice_client: Client, job: Job) -> None:
    found = {order: lines(alice_client, job, f"?order={order}") for order in ORDERS}
    assert sorted(found.pop("random")) == [2, 4, 9]
    assert found == {
        "file": [2, 4, 9], "best": [4, 9, 2], "worst": [2, 9, 4], "loss-high": [9, 4, 2], "loss-low": [2, 4, 9],
    }  # fmt: skip


def test_rows_drawn_at_random_stay_over_pages_and_can_be_drawn_anew(alice_client: Client, job: Job) -> None:
    keep(job, [row(line) for line in range(2, 62)])
    drawn = [line for number in (1, 2, 3) for line in lines(alice_client, job, f"?order=random&page={number}")]
    assert sorted(drawn) == list(range(2, 62)) != drawn
    assert lines(alice_client, job, "?order=random&draw=1") != drawn[:PAGE_SIZE]


@pytest.mark.parametrize(("show", "expected"), [("better", [4]), ("same", [9]), ("worse", [2]), ("all", [2, 4, 9])])
def test_only_rows_that_gained_or_lost_are_shown(
    alice_client: Client, job: Job, show: str, expected: list[int]
) -> None:
    assert lines(alice_client, job, f"?show={show}") == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("HAUS", [9]), ("größe", [2]), ("question", [2, 4]), ("maybe", [2, 4, 9]), ("%", [])]
)
def test_texts_and_answers_are_searched(alice_client: Client, job: Job, text: str, expected: list[int]) -> None:
    assert lines(alice_client, job, f"?q={quote(text)}") == expected


def test_where_nothing_fits_the_way_back_is_shown(alice_client: Client, job: Job) -> None:
    html = page(alice_client, job, "?q=nowhere&show=better")
    assert "No row fits" in html and 'href="?"' in html


def test_scores_and_losses_are_told_and_what_models_write_stays_text(alice_client: Client, job: Job) -> None:
    html = page(alice_client, job)
    assert "Größe &lt;b&gt;" in html and "<b>" not in html
    assert "right" in html and "wrong" in html and "2.00 →" in html and "3.00" in html


def test_scores_that_are_met_in_part_are_shares(alice: User, alice_client: Client) -> None:
    primary = {**verdict_with().primary.model_dump(), "metric": "chrf", "label": "character overlap"}
    job = keep(make_succeeded(alice, verdict_with(primary=primary)), [row(2, base_score=0.25, tuned_score=0.75)])
    html = page(alice_client, job)
    assert "character overlap 75.0 %" in html and "+50.0" in html and "circle-x" not in html


def test_a_line_is_found_on_the_page_where_it_stands(alice_client: Client, job: Job) -> None:
    keep(job, [row(line) for line in range(2, 62)])
    html = page(alice_client, job, "?line=60")
    assert 'id="line-60"' in html and "51 to 60 of 60 rows" in html
    assert f"/datasets/{job.dataset_version.dataset_id}?version=1&amp;line=60#line-60" in html


def test_pages_keep_what_was_asked_for(alice_client: Client, job: Job) -> None:
    keep(job, [row(line) for line in range(2, 62)])
    html = page(alice_client, job, "?q=question&order=loss-low&show=same")
    assert "?order=loss-low&amp;show=same&amp;q=question&amp;page=2" in html


@pytest.mark.parametrize(
    "query",
    ["?page=abc", "?page=-1", "?page=999", "?order=up", "?show=none", "?draw=x", "?draw=²", "?line=x", "?line=77",
     "?line=" + "9" * 40, "?q=%00"],
)  # fmt: skip
def test_an_address_that_makes_no_sense_shows_rows_all_the_same(alice_client: Client, job: Job, query: str) -> None:
    assert alice_client.get(f"/jobs/{job.id}/rows{query}").status_code == 200


def test_a_file_that_is_gone_or_damaged_is_told_of(alice_client: Client, job: Job) -> None:
    job.held_out_path.write_text(held_out_text([row(2), row(3)])[:-20])
    assert "The rows cannot be read" in page(alice_client, job)
    job.held_out_path.unlink()
    assert "The rows are not kept" in page(alice_client, job)
    assert "/rows" not in alice_client.get(f"/jobs/{job.id}").content.decode()


def test_before_the_end_there_is_nothing_to_show_yet(alice: User, alice_client: Client) -> None:
    assert "Not measured yet" in page(alice_client, make_running(alice))


def test_a_stranger_finds_nothing(bob_client: Client, admin_client: Client, job: Job) -> None:
    assert bob_client.get(f"/jobs/{job.id}/rows").status_code == 404
    assert bob_client.get(f"/jobs/{uuid.uuid4()}/rows").status_code == 404
    assert admin_client.get(f"/jobs/{job.id}/rows").status_code == 200


def test_the_rows_the_engine_left_are_one_click_from_the_verdict(alice: User, alice_client: Client) -> None:
    job = make_adapter(alice).job
    html = alice_client.get(f"/jobs/{job.id}").content.decode()
    assert f"/jobs/{job.id}/rows" in html and "All 60 held-out rows" in html
    assert "60 rows." in page(alice_client, job)


def test_ten_thousand_rows_are_paged(alice_client: Client, job: Job) -> None:
    keep(job, [row(line, tuned_loss=line / 7) for line in range(2, 10_002)])
    assert lines(alice_client, job, "?order=loss-high&page=400") == list(range(26, 1, -1))
