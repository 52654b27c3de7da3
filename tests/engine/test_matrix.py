"""Every method on every family and task it is for, with tiny models: what is trained, what is kept, who can read it."""

import json
import os
import re
import struct
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.engine.cells import CELLS, EVERY_METHOD, Cell, Done, done
from tests.engine.here import Attempt, lay_job
from tests.engine.runs import digest_of
from tests.stack import environment_of_a_person
from webapp.contract.capabilities import CAPABILITIES, impossible
from webapp.contract.continuing import knobs_to_continue
from webapp.contract.costs import costs_of
from webapp.contract.job_dir import BASE_MODEL, MANIFEST, RECIPE, START_ADAPTER, VERDICT, Manifest
from webapp.contract.methods import METHODS
from webapp.contract.model_folder import read_model_folder
from webapp.contract.model_shape import FAMILIES, TASKS_OF_FAMILY
from webapp.contract.recipe import Recipe
from webapp.contract.rows import Message
from webapp.contract.verdict import Verdict
from worker.engine.batches import MICRO_BATCH_TOKENS
from worker.engine.encode import Encoded, Tokenizer, encode_chat, encode_pair, encode_text
from worker.engine.forward import class_logits, hidden_states, is_encoder_decoder, padded, unwrapped
from worker.engine.measure import measure
from worker.engine.methods import ENGINE_METHODS
from worker.engine.model import choose_place, load_base
from worker.engine.rows import JobRows, read_rows
from worker.engine.step import step_loss
from worker.engine.tokenizer import load_tokenizer

OURS_TO_LOAD = ("bottleneck",)
"""Read by AdapterHub's library, which cannot live beside this version of transformers: see tests/interop."""

OWN_WEIGHTS = {
    "lora": r"\.lora_([AB]\.weight|magnitude_vector)",
    "prompt_tuning": r"^prompt_embeddings$",
    "p_tuning": r"^prompt_embeddings$",
    "prefix_tuning": r"^prompt_embeddings$",
    "bottleneck": r"\.adapters\.\w+\.adapter_(down\.0|up)\.(weight|bias)$",
    "ia3": r"\.ia3_l$",
    "freezing": r"(layers?|h|block)\.1\.|\.bias$|layer_norm",
    "full": "",
}
HEAD = r"|(classifier|score)\b"


@pytest.fixture(params=CELLS, ids=str)
def cell(request: pytest.FixtureRequest) -> Cell:
    chosen: Cell = request.param
    return chosen


@pytest.fixture
def run(cell: Cell) -> Done:
    made = done(cell)
    assert made.attempt.exit_code == 0, made.attempt.events[-1]
    return made


def verdict_of(run: Done) -> Verdict:
    return Verdict.model_validate_json((run.attempt.job_dir / VERDICT).read_text())


def labels_of(run: Done) -> list[str]:
    return list(Manifest.model_validate_json((run.adapter / MANIFEST).read_text()).labels)


@cache
def from_a_fresh_process() -> dict[Cell, dict[str, Any]]:
    """All cells that public libraries can load, in one process that starts once."""
    runs = [done(cell) for cell in CELLS if cell.method not in OURS_TO_LOAD]
    cells = [
        {
            "code": runnable(run),
            "inputs": texts_of(run),
            "merges": merges(run),
        }
        for run in runs
    ]
    process = subprocess.run(
        [sys.executable, "-I", str(Path(__file__).parent / "fresh.py")],
        input=json.dumps(cells),
        cwd="/",
        env={**environment_of_a_person(), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    told = json.loads(process.stdout)
    assert told["ours"] == []
    return {run.cell: one for run, one in zip(runs, told["results"], strict=True)}


def texts_of(run: Done) -> list[str]:
    """Rows of the verdict, among them one text that is longer than the model and one than its training."""
    one, other, last = (sample.input for sample in verdict_of(run).samples[:3])
    return [one, f"{other} " * 200, other, f"{one} " * 40, last]


def merges(run: Done) -> bool:
    """By peft; what is in the base's own weights is merged already."""
    can = CAPABILITIES[run.cell.method]["merge"].yes
    return can and run.cell.method not in ("freezing", "full")


def snippet_in(run: Done) -> str:
    (code,) = re.findall(r"```python\n(.*?)```", (run.adapter / "README.md").read_text(), re.DOTALL)
    return str(code)


def runnable(run: Done) -> str:
    return snippet_in(run).replace("ADAPTER_FOLDER", str(run.adapter)).replace("'tiny'", repr(str(run.base)))


def built_anew(run: Done) -> tuple[Any, JobRows]:
    """A model with the adapter in it, as training would go on from it, and the rows."""
    folder = run.attempt.job_dir
    tokenizer = load_tokenizer(folder / BASE_MODEL, run.cell.task)
    base = load_base(
        folder / BASE_MODEL, run.cell.task, choose_place(folder / BASE_MODEL, run.cell.task), labels_of(run)
    )
    recipe = run.recipe.model_copy(update={"knobs": knobs_to_continue(run.cell.method, run.recipe.knobs)})
    model = ENGINE_METHODS[run.cell.method].build(base, recipe, folder / BASE_MODEL)
    ENGINE_METHODS[run.cell.method].start_from(model, run.adapter)
    return model, read_rows(folder, run.recipe, tokenizer)


@torch.no_grad()
def logits_here(run: Done) -> Tensor:
    """What the engine says for the third sample's input, the adapter put into a model that was built anew."""
    model, rows = built_anew(run)
    model.eval()
    line = verdict_of(run).samples[:3][-1].line
    row = rows.test[rows.held_out.lines.index(line)]
    if run.cell.task == "classify":
        return class_logits(model, [row])[0]
    if is_encoder_decoder(model):
        ids, mask = padded(model, [row.ids], "right")
        start = torch.tensor([[unwrapped(model).config.decoder_start_token_id]])
        return model(input_ids=ids, attention_mask=mask, decoder_input_ids=start).logits[0, -1]  # type: ignore[no-any-return]
    last = hidden_states(model, [row.prompt], [(0, len(row.prompt) - 1)])
    return unwrapped(model).get_output_embeddings()(last[0])  # type: ignore[no-any-return]


def test_the_matrix_has_every_cell_that_can_be() -> None:
    can = {
        (method, family, task)
        for method in METHODS
        for family in FAMILIES
        for task in TASKS_OF_FAMILY[family]
        if impossible(method, family, task) is None
    }
    tested = {(cell.method, cell.family, cell.task) for cell in CELLS}
    untested = {(method, family, task) for method, family, task in can - tested if family != "gpt2"}
    assert untested == set(), "GPT-2 as a classifier goes the way of Llama; of it three methods are tested"


def test_it_learns(run: Done) -> None:
    watched = [loss for loss, _is_best in run.attempt.watched.values()]
    assert min(watched[1:]) < watched[0]


def test_a_step_reaches_every_weight_that_learns(run: Done) -> None:
    """Whatever makes a step faster must not go past what a method has put into the model."""
    model, rows = built_anew(run)
    step_loss(model, [rows.train[number] for number in range(8)], MICRO_BATCH_TOKENS)
    learning = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    assert learning
    assert [name for name, weight in learning.items() if weight.grad is None or not weight.grad.any()] == []


def test_the_base_model_is_left_as_it_was(run: Done) -> None:
    assert digest_of(run.base) == run.base_before


def test_only_the_method_s_own_weights_are_kept(run: Done) -> None:
    own = OWN_WEIGHTS[run.cell.method] + (HEAD if run.cell.task == "classify" else "")
    own += r"|\bpooler\." if run.cell.kind == "bert without pooler" else ""
    assert run.attempt.weights
    assert [name for name in run.attempt.weights if not re.search(own, name)] == []


def test_what_was_promised_before_training_is_what_came(run: Done) -> None:
    shape = read_model_folder(run.base).shape
    costs = costs_of(run.cell.method, run.recipe.knobs, shape, task=run.cell.task, num_labels=len(labels_of(run)))
    started = run.attempt.of_kind("started")[0]
    cost = verdict_of(run).cost
    assert (started.trainable_params, started.total_params) == (costs.trainable_params, costs.total_params)
    assert sum(weight.nbytes for weight in run.attempt.weights.values()) == costs.adapter_bytes
    assert cost.full_checkpoint_bytes == costs.full_checkpoint_bytes
    assert cost.adapter_bytes == run.attempt.of_kind("saved")[0].size_bytes


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.method not in OURS_TO_LOAD], ids=str)
def test_the_card_s_code_says_what_the_verdict_says(run: Done) -> None:
    fresh = from_a_fresh_process()[run.cell]
    said = [fresh["said"][0], fresh["said"][2], fresh["said"][4]]
    assert said == [sample.tuned for sample in verdict_of(run).samples[:3]]
    assert fresh["alone"] == said[-1]


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.method not in OURS_TO_LOAD], ids=str)
def test_the_card_s_code_answers_texts_longer_than_the_model_as_the_engine_does(run: Done) -> None:
    model, _rows = built_anew(run)
    tokenizer = load_tokenizer(run.adapter, run.cell.task)
    rows = [cut_row(run, tokenizer, text) for text in texts_of(run)]
    here = measure(
        model.eval(),
        tokenizer,
        rows,
        labels=labels_of(run),
        max_new_tokens=max_new_tokens_of(run),
        divisor=1,
        heed=lambda: None,
        progress=lambda _done: None,
    )
    assert from_a_fresh_process()[run.cell]["said"] == here.answers


def cut_row(run: Done, tokenizer: Tokenizer, text: str) -> Encoded:
    """As the engine reads a text that it has no answer to."""
    most = run.recipe.whole("max_length")
    if run.cell.task == "classify":
        return encode_text(tokenizer, text, 0, most)
    if run.cell.task == "transform":
        return encode_pair(tokenizer, text, "x", most)
    messages = [Message(role="user", content=text), Message(role="assistant", content="x")]
    row = encode_chat(tokenizer, messages, 10_000)
    return row._replace(ids=row.ids[-most:], trained=row.trained[-most:], prompt=row.prompt[-most:])


def max_new_tokens_of(run: Done) -> int:
    found = re.search(r"max_new_tokens=(\d+)", snippet_in(run))
    return int(found[1]) if found else 0


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.method not in OURS_TO_LOAD], ids=str)
def test_a_fresh_process_has_the_same_logits(run: Done) -> None:
    fresh = torch.tensor(from_a_fresh_process()[run.cell]["logits"])
    torch.testing.assert_close(fresh, logits_here(run), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.method in ("lora", "ia3")], ids=str)
def test_merged_is_the_same_as_not_merged(run: Done) -> None:
    fresh = from_a_fresh_process()[run.cell]
    torch.testing.assert_close(torch.tensor(fresh["merged"]), torch.tensor(fresh["logits"]), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("cell", EVERY_METHOD, ids=str)
def test_training_goes_on_from_an_adapter(run: Done, tmp_path: Path) -> None:
    cell = run.cell
    (tmp_path / "base").symlink_to(run.base)
    knobs = knobs_to_continue(cell.method, run.recipe.knobs)
    job_dir = lay_job(tmp_path, task=cell.task, method=cell.method, kind=cell.kind, **{**knobs, "epochs": 1})
    begun = Recipe.model_validate_json((job_dir / RECIPE).read_text())
    going_on = begun.model_copy(update={"start_adapter": "00000000-0000-0000-0000-000000000000"})
    (job_dir / RECIPE).write_text(going_on.model_dump_json())
    (job_dir / START_ADAPTER).symlink_to(run.adapter)
    attempt = Attempt(job_dir)
    assert attempt.exit_code == 0, attempt.events[-1]
    best = min(loss for loss, _is_best in run.attempt.watched.values())
    assert attempt.watched[0][0] == pytest.approx(best, abs=1e-4)


def test_the_manifest_has_every_file_s_checksum(run: Done) -> None:
    manifest = Manifest.model_validate_json((run.adapter / MANIFEST).read_text())
    assert {entry.name for entry in manifest.files} == {path.name for path in run.adapter.iterdir()} - {MANIFEST}
    digests = digest_of(run.adapter)
    for entry in manifest.files:
        assert (entry.sha256, entry.size_bytes) == (digests[entry.name], (run.adapter / entry.name).stat().st_size)
    assert run.attempt.of_kind("saved")[0].manifest_sha256 == digests[MANIFEST]
    assert manifest.base_model_sha256 == run.base_before["model.safetensors"]


def test_nothing_that_could_run_or_tell_ships(run: Done) -> None:
    names = {path.name for path in run.adapter.iterdir()}
    assert {"README.md", "manifest.json", "tokenizer.json", "tokenizer_config.json"} <= names
    assert ("chat_template.jinja" in names) == (run.cell.kind in ("llama", "gpt2"))
    assert {os.path.splitext(name)[1] for name in names} <= {".json", ".safetensors", ".md", ".jinja"}  # noqa: PTH122
    for path in run.adapter.glob("*.json"):
        assert str(run.base) not in path.read_text() and str(run.attempt.job_dir) not in path.read_text()


def test_the_weights_file_is_no_larger_than_its_weights(run: Done) -> None:
    for path in run.adapter.glob("*.safetensors"):
        with path.open("rb") as file:
            (header,) = struct.unpack("<Q", file.read(8))
        assert header < 1000 * len(run.attempt.weights) + 1000


def test_the_card_has_the_numbers_and_a_few_lines_of_code(run: Done) -> None:
    card = (run.adapter / "README.md").read_text()
    verdict = verdict_of(run)
    assert verdict.sentence in card and f"{verdict.cost.trainable_params:,}" in card
    assert len([line for line in snippet_in(run).splitlines() if line]) <= 13
    assert Manifest.model_validate_json((run.adapter / MANIFEST).read_text()).snippet == snippet_in(run)


@pytest.mark.parametrize("cell", EVERY_METHOD[:8], ids=str)
def test_the_same_seed_gives_the_same_run(run: Done, tmp_path: Path) -> None:
    (tmp_path / "base").symlink_to(run.base)
    again = Attempt(lay_job(tmp_path, task=run.cell.task, method=run.cell.method, **run.recipe.knobs))
    assert again.trace == run.attempt.trace
    for name, weight in again.weights.items():
        assert torch.equal(weight, run.attempt.weights[name])
