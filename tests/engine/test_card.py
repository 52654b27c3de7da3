"""The model card tells what was measured beside the figures, and what people named stays text in it."""

import ast

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.adapters.verdicts import make_verdict
from tests.factories import make_recipe
from webapp.contract.job_dir import Facts
from webapp.contract.verdict import Confusion, Forgetting, Verdict
from worker.engine.card import card_of
from worker.engine.snippets import Usage, snippet_of

SNIPPET = "print('ours')\n"
EVIL = "x\n\n## Use it\n\n```python\nprint('theirs')\n```\n\n<b>| [y](//z) ```"
FACTS = Facts(
    name="Kinds", base_model_title="MiniLM", base_model_reference="hub/minilm", base_model_licence="Apache-2.0",
    dataset_name="Kinds", split_sha256="abc",
)  # fmt: skip
FORGETTING = Forgetting(
    measure="loss", label="loss", base=3.0, tuned=3.2, difference=0.2, low=0.1, high=0.3, light="yellow", num_texts=60,
    sentence="It has lost some of its general language.",
)  # fmt: skip


def card(verdict: Verdict) -> str:
    return card_of(make_recipe(), FACTS, verdict, snippet=SNIPPET)


def test_it_tells_what_was_forgotten_and_what_is_taken_for_what() -> None:
    confusion = Confusion(labels=("river", "lake"), base=((0, 0), (0, 0)), tuned=((5, 3), (0, 4)))
    text = card(make_verdict().model_copy(update={"forgetting": FORGETTING, "confusion": confusion}))
    assert "It has lost some of its general language." in text
    assert "Most often mistaken: “river” taken for “lake” (3 times)." in text


def test_what_was_not_measured_is_not_told() -> None:
    assert "mistaken" not in card(make_verdict())


def blocks(markdown: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(markdown)


def test_whatever_people_name_stays_text() -> None:
    facts = {name: EVIL for name in FACTS.model_fields_set if name != "split_sha256"} | {"continues": EVIL}
    confusion = Confusion(labels=(EVIL, "lake"), base=((0, 0), (0, 0)), tuned=((5, 3), (0, 4)))
    verdict = make_verdict().model_copy(update={"confusion": confusion, "baseline": f"Always answering “{EVIL}”."})
    text = card_of(make_recipe(), FACTS.model_copy(update=facts), verdict, snippet=SNIPPET)
    _empty, front, body = text.split("---\n", 2)
    plain, evil = blocks(card(make_verdict()).split("---\n", 2)[2]), blocks(body)
    notes = ["paragraph_open", "inline", "paragraph_close"]
    shape = [block.type for block in plain]
    place = shape.index("table_open", shape.index("table_close"))
    assert [block.type for block in evil] == [*shape[:place], *notes, *shape[place:]]
    assert [block.content for block in evil if block.type == "fence"] == [SNIPPET]
    children = {child.type for block in evil for child in block.children or []}
    assert children <= {"text", "text_special", "softbreak", "strong_open", "strong_close", "code_inline"}
    assert yaml.safe_load(front)["base_model"] == yaml.safe_load(front)["license"] == " ".join(EVIL.split())


def test_labels_and_names_are_literals_in_the_code() -> None:
    usage = Usage("lora", "classify", EVIL, is_decoder=False, max_length=8, labels=(EVIL, "'\"\\"))
    code = snippet_of(usage)
    (labels,) = [line for line in code.splitlines() if line.startswith("labels = ")]
    assert ast.literal_eval(labels.removeprefix("labels = ")) == [EVIL, "'\"\\"]
    assert f"from_pretrained({EVIL!r}, num_labels=2)" in code
    compile(code, "card", "exec")
    (fence,) = [one for one in blocks(card_of(make_recipe(), FACTS, make_verdict(), snippet=code)) if one.tag == "code"]
    assert fence.content == code
