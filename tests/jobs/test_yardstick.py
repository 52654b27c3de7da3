"""A job held against full fine-tuning of the same rows."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from tests.adapters.made import make_adapter
from tests.adapters.verdicts import make_held_out
from tests.factories import make_recipe
from tests.jobs.made import verdict_with
from webapp.accounts.models import User
from webapp.contract.held_out import HeldOutRow, held_out_text
from webapp.contract.verdict import Verdict
from webapp.jobs.accept import job_create
from webapp.jobs.models import Job
from webapp.jobs.yardstick import full_job_like, yardstick_address, yardstick_of

NUM_ROWS = 60


@pytest.fixture
def job(alice: User) -> Job:
    return make_adapter(alice).job


def make_full(job: Job, *, num_right: int = 54, **changed: Any) -> Job:
    """Full fine-tuning of the same rows, right on the first `num_right`."""
    fields = {
        "name": "Full", "dataset_version": job.dataset_version, "split_sha256": job.split_sha256,
        "recipe_json": make_recipe(method="full").model_dump(), **changed,
    }  # fmt: skip
    full = make_adapter(job.owner, **fields).job
    rows = [right(row, is_right=at < num_right) for at, row in enumerate(make_held_out(NUM_ROWS))]
    full.held_out_path.write_text(held_out_text(rows))
    primary = {**verdict_with().primary.model_dump(), "tuned": num_right / NUM_ROWS}
    Job.objects.filter(id=full.id).update(verdict_json=verdict_with(primary=primary).model_dump(mode="json"))
    full.refresh_from_db()
    return full


def right(row: HeldOutRow, *, is_right: bool) -> HeldOutRow:
    return row.model_copy(update={"tuned": "yes" if is_right else "no", "tuned_score": float(is_right)})


def own_rows(job: Job, num_right: int) -> None:
    rows = [right(row, is_right=at < num_right) for at, row in enumerate(make_held_out(NUM_ROWS))]
    job.held_out_path.write_text(held_out_text(rows))


def verdict_of(job: Job) -> Verdict:
    verdict = job.verdict
    assert verdict is not None
    return verdict


def sentence(job: Job) -> str:
    found = yardstick_of(job, verdict_of(job))
    assert found is not None
    return found.sentence


def test_the_difference_is_counted_row_by_row(job: Job) -> None:
    full = make_full(job, num_right=54)
    own_rows(job, num_right=48)
    found = yardstick_of(job, verdict_of(job))
    assert found is not None and found.job == full
    against = found.against
    assert against is not None
    assert (against.wins, against.ties, against.losses, against.num_rows) == (0, 54, 6, 60)
    # 6 of 60 rows lost: the binomial says -10 ± 7.6 points.
    assert (against.low, against.high) == pytest.approx((-0.176, -0.024), abs=0.02)


@pytest.mark.parametrize(
    ("own", "full", "opening"),
    [
        (54, 54, "Within 2 points of full fine-tuning"),
        (60, 40, "Better than full fine-tuning"),
        (40, 60, "Full fine-tuning is better"),
        (53, 54, "No clear difference to full fine-tuning"),
    ],
)
def test_one_sentence_says_how_they_compare(job: Job, own: int, full: int, opening: str) -> None:
    make_full(job, num_right=full)
    own_rows(job, num_right=own)
    assert sentence(job).startswith(opening)
    assert sentence(job).endswith("This one trains 1.8 % of the weights.")


@pytest.mark.parametrize(
    "changed",
    [
        {"split_sha256": "another"},
        {"recipe_json": make_recipe(method="ia3").model_dump()},
        {"recipe_json": make_recipe(task="classify", method="full").model_dump()},
    ],
)
def test_other_rows_other_tasks_and_other_methods_are_no_yardstick(job: Job, changed: dict[str, Any]) -> None:
    full = make_full(job)
    Job.objects.filter(id=full.id).update(**changed)
    assert full_job_like(job) is None


def test_one_that_has_not_finished_is_no_yardstick(job: Job) -> None:
    job_create(
        job.owner, name="Full", dataset_version=job.dataset_version, base_model=job.base_model,
        recipe=make_recipe(method="full"),
    )  # fmt: skip
    assert full_job_like(job) is None


def test_another_persons_full_fine_tuning_is_not_told(job: Job, bob: User) -> None:
    Job.objects.filter(id=make_full(job).id).update(owner=bob)
    assert full_job_like(job) is None


def test_the_yardstick_has_none_itself(job: Job) -> None:
    full = make_full(job)
    assert yardstick_of(full, verdict_of(full)) is None


def test_rows_that_do_not_match_are_not_compared(job: Job) -> None:
    full = make_full(job)
    full.held_out_path.write_text(held_out_text(make_held_out(NUM_ROWS - 1)))
    found = yardstick_of(job, verdict_of(job))
    assert found is not None and found.against is None
    assert "cannot be compared row by row" in found.sentence


def test_rows_that_are_gone_are_told_of_on_the_page(job: Job, alice_client: Client) -> None:
    make_full(job).held_out_path.unlink()
    assert "cannot be compared row by row" in alice_client.get(f"/jobs/{job.id}").content.decode()


def test_the_page_shows_both_side_by_side(job: Job, alice_client: Client) -> None:
    full = make_full(job)
    html = alice_client.get(f"/jobs/{job.id}").content.decode()
    assert "Full fine-tuning, measured" in html and f"/jobs/{full.id}" in html
    assert "LoRA minus full fine-tuning, on the same 60 held-out rows" in html
    assert "Train the yardstick too" not in html


def test_without_one_the_table_is_estimated_and_the_form_is_a_click_away(job: Job, alice_client: Client) -> None:
    html = alice_client.get(f"/jobs/{job.id}").content.decode()
    assert "Full fine-tuning, estimated" in html and "at most" in html
    assert "Train the yardstick too" in html
    asked = parse_qs(urlsplit(yardstick_address(job)).query)
    assert asked["method"] == ["full"] and asked["dataset"] == [str(job.dataset_version_id)]
    form = alice_client.get(yardstick_address(job)).content.decode()
    assert "First, full fine-tuning" in form


def test_a_job_that_went_on_from_an_adapter_is_offered_none(job: Job, alice_client: Client) -> None:
    recipe = make_recipe().model_copy(update={"start_adapter": str(job.id)})
    html = alice_client.get(f"/jobs/{make_full(job, recipe_json=recipe.model_dump()).id}").content.decode()
    assert "It went on from an adapter" in html and "Train the yardstick too" not in html


def test_full_fine_tuning_itself_is_told_to_be_the_yardstick(job: Job, alice_client: Client) -> None:
    html = alice_client.get(f"/jobs/{make_full(job).id}").content.decode()
    assert "What it took" in html and "is the yardstick" in html and "Full fine-tuning, estimated" not in html
