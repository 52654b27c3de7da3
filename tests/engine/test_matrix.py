"""Every method on every task it claims, with tiny models: what comes out, and that plain peft reads it."""

import json
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.engine.runs import Run, digest_of
from tests.stack import environment_of_a_person
from webapp.contract.costs import costs_of
from webapp.contract.events import Started, Stepped
from webapp.contract.job_dir import MANIFEST, Manifest
from webapp.contract.methods import METHODS
from webapp.contract.model_folder import read_model_folder

PAIRS = [(method.name, task) for method in METHODS.values() for task in method.tasks]

IN_A_FRESH_PROCESS = """
import contextlib, io, json, sys
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
base, adapter, task, card, texts = *sys.argv[1:5], json.loads(sys.argv[5])
tokenizer = AutoTokenizer.from_pretrained(adapter)
if task == "classify":
    labels = json.load(open(adapter + "/manifest.json"))["labels"]
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=len(labels))
    model = PeftModel.from_pretrained(model, adapter)
    said = [labels[model(**tokenizer(text, return_tensors="pt")).logits.argmax().item()] for text in texts]
else:
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
    said = []
    for text in texts:
        inputs = tokenizer.apply_chat_template([{"role": "user", "content": text}], add_generation_prompt=True,
                                               return_dict=True, return_tensors="pt")
        new = model.generate(**inputs, max_new_tokens=11, do_sample=False)[0][inputs["input_ids"].shape[1]:]
        said.append(tokenizer.decode(new, skip_special_tokens=True).strip())
with contextlib.redirect_stdout(io.StringIO()) as printed:
    exec(card)
ours = [name for name in sys.modules if name.startswith(("webapp", "worker", "django"))]
print(json.dumps({"said": said, "card": printed.getvalue().strip(), "ours": ours}))
"""
"""Plain peft on the texts, then the model card's own code; neither may need anything of ours."""


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    method, task = request.param
    run = Run(tmp_path_factory.mktemp("run"), task=task, method=method)
    assert run.process.returncode == 0, run.process.stderr
    return run


@pytest.fixture(scope="module")
def fresh(run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process that knows nothing of us says with the adapter."""
    inputs = [sample.input for sample in run.verdict.samples]
    code = snippet_of(run).replace("ADAPTER_FOLDER", str(run.adapter)).replace('"tiny"', f'"{run.base}"')
    code = code.replace("YOUR INPUT", inputs[0]).replace("YOUR TEXT", inputs[0])
    words = [str(run.base), str(run.adapter), run.task, code, json.dumps(inputs)]
    process = subprocess.run(
        [sys.executable, "-I", "-c", IN_A_FRESH_PROCESS, *words],
        cwd=tmp_path_factory.mktemp("fresh"),
        env={**environment_of_a_person(), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    said: dict[str, Any] = json.loads(process.stdout)
    return said


def snippet_of(run: Run) -> str:
    (code,) = re.findall(r"```python\n(.*?)```", (run.adapter / "README.md").read_text(), re.DOTALL)
    return str(code)


def test_events_tell_the_story_in_order(run: Run) -> None:
    kinds = [event.kind for event in run.events]
    once = [kind for kind in dict.fromkeys(kinds) if kind in ("started", "stepped", "saved", "finished")]
    assert once == ["started", "stepped", "saved", "finished"]
    phases = list(dict.fromkeys(event.phase for event in run.of_kind("phase_moved")))
    assert phases == ["loading", "measuring_base", "measuring_tuned", "saving"]
    steps: list[Stepped] = run.of_kind("stepped")
    assert [step.step for step in steps] == list(range(1, steps[0].total_steps + 1))
    assert run.of_kind("evaluated")[0].step == 0


def test_it_learns(run: Run) -> None:
    watched = [event.loss for event in run.of_kind("evaluated")]
    assert min(watched[1:]) < watched[0]


def test_the_base_model_is_left_as_it_was(run: Run) -> None:
    assert digest_of(run.base) == run.base_before


def test_the_verdict_weighs_both_models_on_the_same_rows(run: Run) -> None:
    started: Started = run.of_kind("started")[0]
    comparisons = [run.verdict.primary, *run.verdict.others]
    assert {comparison.num_rows for comparison in comparisons} == {started.num_test_rows}
    for comparison in comparisons:
        assert comparison.difference == pytest.approx(comparison.tuned - comparison.base)
        assert comparison.low <= comparison.difference <= comparison.high
        assert comparison.wins + comparison.ties + comparison.losses == comparison.num_rows


def test_what_was_promised_before_training_is_what_came(run: Run) -> None:
    labels = json.loads((run.adapter / "manifest.json").read_text())["labels"]
    shape = read_model_folder(run.base).shape
    costs = costs_of(run.method, run.recipe.knobs, shape, task=run.recipe.task, num_labels=len(labels))
    started: Started = run.of_kind("started")[0]
    assert started.trainable_params == costs.trainable_params
    assert started.total_params == costs.total_params
    assert sum(weight.numel() for weight in run.weights.values()) == costs.trainable_params
    with (run.adapter / "adapter_model.safetensors").open("rb") as file:
        (header,) = struct.unpack("<Q", file.read(8))
    assert run.verdict.cost.adapter_bytes - header - 8 == costs.adapter_bytes
    assert run.verdict.cost.full_checkpoint_bytes == costs.full_checkpoint_bytes


def test_only_the_adapter_and_a_classifier_s_head_are_trained(run: Run) -> None:
    parts = {"lora": r"\.lora_[AB]\.weight$", "prompt_tuning": r"^prompt_embeddings$"}[run.method]
    if run.task == "classify":
        parts += r"|classifier\.(weight|bias)$"
    assert [name for name in run.weights if not re.search(parts, name)] == []
    assert {weight.dtype for weight in run.weights.values()} == {torch.float32}


def test_plain_peft_says_what_the_verdict_says(run: Run, fresh: dict[str, Any]) -> None:
    assert fresh["said"] == [sample.tuned for sample in run.verdict.samples]
    assert fresh["ours"] == []


def test_the_manifest_has_every_file_s_checksum(run: Run) -> None:
    manifest = Manifest.model_validate_json((run.adapter / MANIFEST).read_text())
    assert {entry.name for entry in manifest.files} == {path.name for path in run.adapter.iterdir()} - {MANIFEST}
    digests = digest_of(run.adapter)
    for entry in manifest.files:
        assert (entry.sha256, entry.size_bytes) == (digests[entry.name], (run.adapter / entry.name).stat().st_size)
    assert run.of_kind("saved")[0].manifest_sha256 == digests[MANIFEST]
    assert manifest.base_model_sha256 == run.base_before["model.safetensors"]


def test_nothing_but_what_is_needed_ships(run: Run) -> None:
    names = {path.name for path in run.adapter.iterdir()}
    needed = {"README.md", "manifest.json", "adapter_config.json", "adapter_model.safetensors"}
    assert needed | {"tokenizer.json", "tokenizer_config.json"} <= names
    assert ("chat_template.jinja" in names) == (run.task == "generate")
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl", ".py"))]
    config = (run.adapter / "adapter_config.json").read_text()
    assert str(run.job_dir) not in config and str(run.base) not in config


def test_the_card_has_the_numbers_and_five_lines_of_code(run: Run) -> None:
    card = (run.adapter / "README.md").read_text()
    assert run.verdict.sentence in card and f"{run.verdict.cost.trainable_params:,}" in card
    assert len(snippet_of(run).strip().splitlines()) == 5


def test_the_card_s_code_runs(run: Run, fresh: dict[str, Any]) -> None:
    assert fresh["card"] == run.verdict.samples[0].tuned


def test_the_same_seed_gives_the_same_run(run: Run, tmp_path: Path) -> None:
    again = Run(tmp_path, task=run.task, method=run.method, base=run.base)
    assert [step.loss for step in again.of_kind("stepped")] == [step.loss for step in run.of_kind("stepped")]
    for name, weight in load_file(again.adapter / "adapter_model.safetensors").items():
        assert torch.equal(weight, run.weights[name])
