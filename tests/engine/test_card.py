"""The model card tells what was measured beside the figures."""

from tests.adapters.verdicts import make_verdict
from tests.factories import make_recipe
from webapp.contract.job_dir import Facts
from webapp.contract.verdict import Confusion, Forgetting, Verdict
from worker.engine.card import card_of

FACTS = Facts(
    name="Kinds", base_model_title="MiniLM", base_model_reference="hub/minilm", base_model_licence="Apache-2.0",
    dataset_name="Kinds", split_sha256="abc",
)  # fmt: skip
FORGETTING = Forgetting(
    measure="loss", label="loss", base=3.0, tuned=3.2, difference=0.2, low=0.1, high=0.3, light="yellow", num_texts=60,
    sentence="It has lost some of its general language.",
)  # fmt: skip


def card(verdict: Verdict) -> str:
    return card_of(make_recipe(), FACTS, verdict, labels=[], max_new_tokens=8)


def test_it_tells_what_was_forgotten_and_what_is_taken_for_what() -> None:
    confusion = Confusion(labels=("river", "lake"), base=((0, 0), (0, 0)), tuned=((5, 3), (0, 4)))
    text = card(make_verdict().model_copy(update={"forgetting": FORGETTING, "confusion": confusion}))
    assert "It has lost some of its general language." in text
    assert "Most often mistaken: “river” taken for “lake” (3 times)." in text


def test_what_was_not_measured_is_not_told() -> None:
    assert "mistaken" not in card(make_verdict())
