"""Every method on every task it claims, with tiny models: what comes out, and that plain peft reads it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.engine.runs import Run, digest_of
from tests.stack import environment_of_a_person
from webapp.contract.base_models import read_model_folder
from webapp.contract.costs import costs_of
from webapp.contract.events import Started, Stepped
from webapp.contract.methods import METHODS

PAIRS = [(method.name, task) for method in METHODS.values() for task in method.tasks]

PLAIN_PEFT = """
import json, sys
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
base, adapter, task, dtype, texts = *sys.argv[1:5], json.loads(sys.argv[5])
tokenizer = AutoTokenizer.from_pretrained(adapter)
if task == "classify":
    labels = json.load(open(adapter + "/manifest.json"))["labels"]
    base = AutoModelForSequenceClassification.from_pretrained(base, num_labels=len(labels))
    model = PeftModel.from_pretrained(base, adapter)
    said = [labels[model(**tokenizer(text, return_tensors="pt")).logits.argmax().item()] for text in texts]
else:
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=dtype), adapter)
    said = []
    for text in texts:
        inputs = tokenizer.apply_chat_template([{"role": "user", "content": text}], add_generation_prompt=True,
                                               return_dict=True, return_tensors="pt")
        new = model.generate(**inputs, max_new_tokens=11, do_sample=False)[0][inputs["input_ids"].shape[1]:]
        said.append(tokenizer.decode(new, skip_special_tokens=True).strip())
print(json.dumps(said))
"""


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    method, task = request.param
    run = Run(tmp_path_factory.mktemp("run"), task=task, method=method)
    assert run.process.returncode == 0, run.process.stderr
    return run


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
    head = shape.hidden_size * 2 + 2 if run.task == "classify" else 0
    # A bert checkpoint carries a head of its own, of which the job has two: the fresh one and the trained copy.
    assert started.total_params - costs.total_params in (0, head)
    assert sum(weight.numel() for weight in run.weights.values()) == costs.trainable_params
    assert run.verdict.cost.adapter_bytes == pytest.approx(costs.adapter_bytes, rel=0.05, abs=8_000)


def test_plain_peft_says_what_the_verdict_says(run: Run, tmp_path: Path) -> None:
    samples = run.verdict.samples[:4]
    # The engine's own precision: a model this small and this little trained has near ties that rounding decides.
    dtype = {"bf16": "bfloat16", "fp32": "float32"}[run.of_kind("started")[0].precision]
    words = [str(run.base), str(run.adapter), run.task, dtype, json.dumps([sample.input for sample in samples])]
    process = subprocess.run(
        [sys.executable, "-I", "-c", PLAIN_PEFT, *words],
        cwd=tmp_path, env={**environment_of_a_person(), "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    said = json.loads(process.stdout)
    for sample, text in zip(samples, said, strict=True):
        assert text == sample.tuned or text.startswith(sample.tuned)


def test_nothing_but_what_is_needed_ships(run: Run) -> None:
    names = {path.name for path in run.adapter.iterdir()}
    assert {"README.md", "manifest.json", "adapter_config.json", "adapter_model.safetensors"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl", ".py"))]
    config = (run.adapter / "adapter_config.json").read_text()
    assert str(run.job_dir) not in config and str(run.base) not in config


def test_the_card_has_the_numbers_and_five_lines_of_code(run: Run) -> None:
    card = (run.adapter / "README.md").read_text()
    assert run.verdict.sentence in card and f"{run.verdict.cost.trainable_params:,}" in card
    (snippet,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(snippet.strip().splitlines()) == 5


def test_the_card_s_code_runs(run: Run, tmp_path: Path) -> None:
    card = (run.adapter / "README.md").read_text()
    (snippet,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    sample = run.verdict.samples[0]
    code = snippet.replace("ADAPTER_FOLDER", str(run.adapter)).replace('"tiny"', f'"{run.base}"')
    code = code.replace("YOUR INPUT", sample.input).replace("YOUR TEXT", sample.input)
    process = subprocess.run(
        [sys.executable, "-I", "-c", code],
        cwd=tmp_path, env={**environment_of_a_person(), "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    if run.task == "classify":
        assert process.stdout.strip() == sample.tuned


def test_the_same_seed_gives_the_same_run(run: Run, tmp_path: Path) -> None:
    again = Run(tmp_path, task=run.task, method=run.method, base=run.base)
    assert [step.loss for step in again.of_kind("stepped")] == [step.loss for step in run.of_kind("stepped")]
    for name, weight in load_file(again.adapter / "adapter_model.safetensors").items():
        assert torch.equal(weight, run.weights[name])
