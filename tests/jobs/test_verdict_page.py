"""What a finished job's page shows of its verdict beyond the sentence: labels, costs, and ways to single rows."""

import pytest
from django.test import Client

from tests.adapters.made import make_adapter
from tests.jobs.made import make_succeeded, verdict_with
from webapp.accounts.models import User
from webapp.contract.verdict import Confusion
from webapp.jobs.confusion import MOST_LABELS_DRAWN, SHADES, confusion_panel
from webapp.jobs.cost_table import cost_table
from webapp.jobs.models import Job

RIVERS = Confusion(labels=("river", "lake", "<sea>"), base=((5, 0, 0),) * 3, tuned=((4, 1, 0), (0, 10, 0), (0, 0, 0)))


def many_labels(how_many: int) -> Confusion:
    """Each label is taken for the next one, ever more often."""
    counts = tuple(
        tuple(row + 1 if column == (row + 1) % how_many else 0 for column in range(how_many)) for row in range(how_many)
    )
    return Confusion(labels=tuple(f"label {number}" for number in range(how_many)), base=counts, tuned=counts)


def page(client: Client, job: Job) -> str:
    return str(client.get(f"/jobs/{job.id}").content.decode())


def test_a_cell_is_as_dark_as_its_share_of_the_line() -> None:
    tuned, base = confusion_panel(RIVERS).pictures
    assert [[cell.shade for cell in line.cells] for line in tuned.lines] == [[4, 1, 0], [0, SHADES, 0], [0, 0, 0]]
    assert [line.num_rows for line in tuned.lines] == [5, 10, 0]
    assert [[cell.is_right for cell in line.cells] for line in base.lines] == [
        [row == column for column in range(3)] for row in range(3)
    ]


def test_up_to_twenty_labels_are_drawn_and_of_more_the_mistakes_are_named() -> None:
    assert len(confusion_panel(many_labels(MOST_LABELS_DRAWN)).pictures) == 2
    panel = confusion_panel(many_labels(MOST_LABELS_DRAWN + 1))
    assert panel.pictures == [] and panel.num_mistakes == 21 and len(panel.mistakes) == 12
    assert panel.sentence == "Most often mistaken: “label 20” taken for “label 0” (21 times)."


def test_the_matrix_stands_on_the_page_with_words_for_those_who_cannot_see_it(
    alice: User, alice_client: Client
) -> None:
    html = page(alice_client, make_succeeded(alice, verdict_with(confusion=RIVERS.model_dump())))
    assert "Most often mistaken: “river” taken for “lake” (once)." in html
    assert 'title="1 of 5: “river” answered “lake”"' in html and "&lt;sea&gt;" in html and "<sea>" not in html
    assert html.count('<table class="confusion" >') == 2 and html.count("data-right") == 6


def test_many_labels_are_told_in_words(alice: User, alice_client: Client) -> None:
    html = page(alice_client, make_succeeded(alice, verdict_with(confusion=many_labels(40).model_dump())))
    assert "“label 38” taken for “label 39” (39 times)" in html
    assert "The most frequent 12 of 40 kinds of mistakes." in html and 'class="confusion"' not in html


def test_a_verdict_of_texts_has_no_labels(alice: User, alice_client: Client) -> None:
    assert "Label by label" not in page(alice_client, make_succeeded(alice))


def test_what_it_took_is_told_line_by_line(alice: User) -> None:
    job = make_succeeded(alice)
    assert job.verdict is not None
    lines = {line.label: line.own for line in cost_table(job, job.verdict.cost, None).lines}
    assert lines == {
        "Training": "1 min 15 s", "In all, with measuring": "2 min 11 s", "Tokens trained on": "41.0 k",
        "Tokens per second": "560", "Memory, at most": "2.0 GB", "Trained weights": "2.4 M (1.8 %)",
        "Result on the disk": "9.8 MB",
    }  # fmt: skip


def test_energy_is_told_where_it_was_measured(alice: User) -> None:
    job = make_succeeded(alice)
    assert job.verdict is not None
    cost = job.verdict.cost.model_copy(update={"energy_wh": 3.25})
    table = cost_table(job, cost, None)
    assert [(line.own, line.full) for line in table.lines if line.label.startswith("Energy")] == [("3.2 Wh", "–")]


def test_full_fine_tuning_is_estimated_at_the_size_it_would_have(alice: User) -> None:
    job = make_succeeded(alice)
    assert job.verdict is not None
    table = cost_table(job, job.verdict.cost, None)
    full = {line.label: line.full for line in table.lines}
    assert table.full_is == "estimated"
    assert full["Trained weights"] == "134.5 M (100.0 %)" and full["Result on the disk"] == "269.0 MB"
    assert full["In all, with measuring"].startswith("at most ")
    assert full["Training"] == "–"


def test_an_odd_row_leads_to_its_place_in_the_dataset(alice: User, alice_client: Client) -> None:
    suspect = {"line": 41, "kind": "mislabelled", "input": "the Rhine", "expected": "lake", "loss": 5.0, "why": "Odd."}
    job = make_succeeded(alice, verdict_with(suspects=[suspect]))
    link = f"/datasets/{job.dataset_version.dataset_id}?version=1&amp;line=41#line-41"
    assert link in page(alice_client, job)
    rows = alice_client.get(link.replace("&amp;", "&").partition("#")[0]).content.decode()
    assert 'id="line-41"' in rows and "26 to 50 of 60 rows" in rows


def test_of_many_odd_rows_most_are_folded(alice: User, alice_client: Client) -> None:
    suspects = [
        {"line": line, "kind": "never_learnt", "input": "x", "expected": "y", "loss": 5.0, "why": "Odd."}
        for line in range(2, 14)
    ]
    assert "7 more" in page(alice_client, make_succeeded(alice, verdict_with(suspects=suspects)))


@pytest.mark.parametrize("line", ["999", "x", "9" * 60, "²", "-1", ""])
def test_a_line_that_no_row_has_shows_the_first_page_of_the_dataset(
    alice: User, alice_client: Client, line: str
) -> None:
    version = make_succeeded(alice).dataset_version
    rows = alice_client.get(f"/datasets/{version.dataset_id}?line={line}").content.decode()
    assert "1 to 25 of 60 rows" in rows


def test_the_report_and_all_rows_are_one_click_away(alice: User, alice_client: Client) -> None:
    job = make_adapter(alice).job
    html = page(alice_client, job)
    assert f'href="/jobs/{job.id}/report"' in html and f'href="/jobs/{job.id}/rows"' in html


def test_what_matters_comes_first(alice: User, alice_client: Client) -> None:
    suspect = {"line": 4, "kind": "never_learnt", "input": "x", "expected": "y", "loss": 5.0, "why": "Odd."}
    html = page(
        alice_client,
        make_succeeded(
            alice,
            verdict_with(confusion=RIVERS.model_dump(), suspects=[suspect], samples=verdict_with().samples),
        ),
    )
    places = [html.index(f'id="{word}"') for word in ("verdict", "cost", "labels", "suspects", "curves", "timeline")]
    assert places == sorted(places)
