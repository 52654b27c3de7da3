"""The printable report: plain words made of measured figures, and nothing promised that was not measured."""

import uuid
from typing import Any

import pytest
from django.test import Client

from tests.adapters.made import make_adapter
from tests.jobs.made import make_running, make_succeeded, sample, verdict_with
from webapp.accounts.models import User
from webapp.contract.verdict import Confusion, Verdict
from webapp.jobs.models import Job
from webapp.jobs.report import report_of


def with_primary(**changed: Any) -> Verdict:
    return verdict_with(primary={**verdict_with().primary.model_dump(), **changed})


def risks(verdict: Verdict) -> str:
    return " ".join(report_of(verdict).risks)


def page(client: Client, job: Job) -> str:
    return str(client.get(f"/jobs/{job.id}/report").content.decode())


def test_it_counts_right_answers_in_rows() -> None:
    assert report_of(verdict_with()).helped == (
        "Yes. Of 60 rows it had never seen, the tuned model answered 55 right (91.0 %), the base model 2 (4.0 %)."
    )


def test_a_metric_that_is_no_count_is_told_by_its_name() -> None:
    told = report_of(with_primary(metric="chrf", label="character overlap")).helped
    assert told == "Yes. On 60 rows it had never seen, character overlap went from 4.0 % to 91.0 %."


def test_the_interval_is_put_in_words() -> None:
    assert "between +81.0 and +92.0 (95 % interval)" in report_of(verdict_with()).sureness


@pytest.mark.parametrize(
    ("changed", "risk"),
    [
        ({"low": -0.1, "high": 0.1}, "Zero lies inside the interval"),
        ({"low": -0.3, "high": -0.1}, "It does worse than the base model: do not use it"),
        ({"num_rows": 24}, "Only 24 rows were kept aside"),
        ({"low": 0.1, "high": 0.45}, "The interval is 35 points wide"),
        ({"losses": 3}, "3 rows were answered better before."),
        ({"losses": 1}, "1 row was answered better before."),
        ({}, "It is still wrong on 5 of 60 rows"),
    ],
)
def test_each_weakness_of_the_figure_is_a_risk(changed: dict[str, Any], risk: str) -> None:
    assert risk in risks(with_primary(**changed))


def test_a_sound_verdict_has_only_the_risk_that_none_is_without() -> None:
    assert report_of(with_primary(tuned=1.0)).risks == [
        "All rows come from one file: text of another kind may fare worse."
    ]


@pytest.mark.parametrize(("light", "is_told"), [("green", False), ("yellow", True), ("red", True)])
def test_forgetting_is_a_risk_unless_its_light_is_green(light: str, is_told: bool) -> None:
    forgetting = {
        "measure": "loss", "label": "loss", "base": 3.0, "tuned": 3.2, "difference": 0.2, "low": 0.1, "high": 0.3,
        "light": light, "num_texts": 60, "sentence": "It has lost some English.",
    }  # fmt: skip
    assert ("It has lost some English." in risks(verdict_with(forgetting=forgetting))) is is_told


def test_labels_it_does_badly_on_and_odd_rows_are_risks() -> None:
    per_label = [
        {"label": label, "support": 12, "base": figures(0.0), "tuned": figures(recall)}
        for label, recall in (("river", 0.9), ("lake", 0.25))
    ]
    suspects = [
        {"line": line, "kind": "mislabelled", "input": "x", "expected": "y", "loss": 5.0, "why": "."}
        for line in range(2, 9)
    ]
    confusion = Confusion(labels=("river", "lake"), base=((0, 0), (0, 0)), tuned=((11, 1), (9, 3))).model_dump()
    told = risks(verdict_with(per_label=per_label, suspects=suspects, confusion=confusion))
    assert "It misses more than half the rows of “lake” (found 3 of 12)." in told and "“river” (found" not in told
    assert "“lake” taken for “river” (9 times)" in told
    assert "7 training rows look odd and may be wrong: line 2, 3, 4, 5, 6 and 2 more." in told


def figures(recall: float) -> dict[str, float]:
    return {"precision": 0.5, "recall": recall, "f1": 0.5}


def test_examples_are_not_only_the_flattering_ones() -> None:
    samples = [sample(line, tag=tag) for line, tag in enumerate(("best", "best", "best", "worst", "worst", "random"))]
    shown = [one.tag for one in report_of(verdict_with(samples=samples)).examples]
    assert shown == ["best", "best", "worst", "random"]


def test_the_sheet_says_what_was_trained_how_to_use_it_and_what_proves_it(alice: User, alice_client: Client) -> None:
    version = make_adapter(alice)
    html = page(alice_client, version.job)
    for words in (
        "Did it help?", "LoRA on the base model SmolLM2", "42 rows of “Rows” (version 1", "Asked for by alice",
        "9.8 MB", "<code>first-v1.zip</code>", "AutoPeftModelForCausalLM", version.zip_sha256[:16],
        version.job.split_sha256[:16], str(version.job_id), "seed 17", "data-print",
    ):  # fmt: skip
        assert words in html


def test_a_snippet_that_would_fill_the_sheet_is_left_to_the_readme(alice: User, alice_client: Client) -> None:
    version = make_adapter(alice)
    version.manifest["snippet"] = "print('a label')\n" * 100
    version.save()
    html = page(alice_client, version.job)
    assert "Its README.md shows how." in html and "report-code" not in html


def test_a_verdict_without_an_adapter_can_be_reported_all_the_same(alice: User, alice_client: Client) -> None:
    html = page(alice_client, make_succeeded(alice))
    assert "Did it help?" in html and "How to use it" not in html


def test_what_people_and_models_write_stays_text(alice: User, alice_client: Client) -> None:
    evil = "<script>alert(1)</script>"
    verdict = verdict_with(samples=[sample(2, input=evil, expected=evil, base=evil, tuned=evil, tag="best")])
    job = make_succeeded(alice, verdict)
    Job.objects.update(name=evil)
    assert "<script>alert" not in page(alice_client, job)


def test_without_a_verdict_there_is_nothing_to_report(alice: User, alice_client: Client) -> None:
    assert alice_client.get(f"/jobs/{make_running(alice).id}/report").status_code == 404


def test_a_stranger_finds_nothing(alice: User, bob_client: Client, admin_client: Client) -> None:
    job = make_succeeded(alice)
    assert bob_client.get(f"/jobs/{job.id}/report").status_code == 404
    assert bob_client.get(f"/jobs/{uuid.uuid4()}/report").status_code == 404
    assert admin_client.get(f"/jobs/{job.id}/report").status_code == 200
