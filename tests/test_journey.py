"""The main job from upload to download: web, broker and worker as processes, tiny models, plain peft at the end."""

import csv
import hashlib
import io
import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.person import Person
from tests.stack import RunningStack, environment_of_a_person, open_to_others, running_stack
from tests.tiny import capitals, make_bert, make_llama, vowels

EXPECTED_FILES = {
    "README.md", "adapter_config.json", "adapter_model.safetensors", "manifest.json", "tokenizer.json",
    "tokenizer_config.json",
}  # fmt: skip

LOAD_GENERATE = """
import sys
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
base, adapter, dtype, text = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(adapter)
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=dtype), adapter)
inputs = tokenizer.apply_chat_template([{"role": "user", "content": text}], add_generation_prompt=True,
                                       return_dict=True, return_tensors="pt")
new = model.generate(**inputs, max_new_tokens=12, do_sample=False)[0][inputs["input_ids"].shape[1]:]
print(tokenizer.decode(new, skip_special_tokens=True))
assert not [name for name in sys.modules if name.startswith(("webapp", "worker", "django"))]
"""

LOAD_CLASSIFY = """
import json, sys
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer
base, adapter, text = sys.argv[1:]
labels = json.load(open(adapter + "/manifest.json"))["labels"]
tokenizer = AutoTokenizer.from_pretrained(adapter)
base = AutoModelForSequenceClassification.from_pretrained(base, num_labels=len(labels))
model = PeftModel.from_pretrained(base, adapter)
print(labels[model(**tokenizer(text, return_tensors="pt")).logits.argmax().item()])
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("journey") / "home") as running:
        yield running


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two tiny base models."""
    folder = tmp_path_factory.mktemp("models")
    make_llama(folder / "tiny-llama")
    make_bert(folder / "tiny-bert")
    return folder


@pytest.fixture(scope="module")
def person(stack: RunningStack, models: Path) -> Person:
    """Signed in as the first admin, who registered both models."""
    person = Person(stack)
    person.base_model_register(models / "tiny-llama", title="Tiny Llama")
    person.base_model_register(models / "tiny-bert", title="Tiny Bert")
    return person


def train(person: Person, folder: Path, rows: list[tuple[str, str]], **fields: str) -> dict[str, Any]:
    """Upload rows as a CSV file, train, and return what the app says of the ended job."""
    path = folder / "rows.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("question", "answer"), *rows])
    version = person.dataset_upload(path, name="Rows", mapping={"input": "question", "output": "answer"})
    url = person.job_start(name="Journey", dataset=version, **fields)
    seen: list[str] = []
    job = person.job_follow(url, lambda now: seen.append(now["state"]))
    assert job["state"] == "succeeded", job["error"]
    assert seen[-1] == "succeeded"
    return job


def unpack(person: Person, job: dict[str, Any], folder: Path) -> Path:
    """Download the adapter, hold every file against the manifest, and return the folder."""
    with zipfile.ZipFile(io.BytesIO(person.adapter_download(job["url"]))) as archive:
        archive.extractall(folder)
    (adapter,) = folder.iterdir()
    assert {path.name for path in adapter.iterdir()} >= EXPECTED_FILES
    manifest = json.loads((adapter / "manifest.json").read_text())
    for entry in manifest["files"]:
        content = (adapter / entry["name"]).read_bytes()
        assert (entry["size_bytes"], entry["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    return adapter


def in_a_fresh_process(script: str, folder: Path, *words: str) -> str:
    """Run a script in a folder and an environment that know nothing of us."""
    process = subprocess.run(
        [sys.executable, "-I", "-c", script, *words],
        cwd=folder,
        env={**environment_of_a_person(), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


@pytest.mark.parametrize("method", ["lora", "prompt_tuning"])
def test_a_person_trains_a_generator_and_plain_peft_loads_it(
    person: Person, models: Path, tmp_path: Path, method: str
) -> None:
    job = train(
        person, tmp_path, capitals(), task="generate", base_model="tiny-llama", method=method, epochs="4",
        learning_rate="0.02",
    )  # fmt: skip
    adapter = unpack(person, job, tmp_path / "unpacked")
    assert f"{job['verdict']['primary']['num_rows']} held-out rows" in person.page(job["url"])
    assert job["verdict"]["sentence"] in (adapter / "README.md").read_text()
    sample = job["verdict"]["samples"][0]
    base = str(models / "tiny-llama")
    # In the engine's own precision: a model this small has near ties that rounding decides.
    dtype = {"bf16": "bfloat16", "fp32": "float32"}[job["live"]["precision"]]
    said = in_a_fresh_process(LOAD_GENERATE, tmp_path, base, str(adapter), dtype, sample["input"])
    assert said[: len(sample["tuned"])] == sample["tuned"]


def test_a_person_trains_a_classifier_and_plain_peft_loads_it(person: Person, models: Path, tmp_path: Path) -> None:
    job = train(
        person, tmp_path, vowels(), task="classify", base_model="tiny-bert", method="lora", epochs="2",
    )  # fmt: skip
    adapter = unpack(person, job, tmp_path / "unpacked")
    base = str(models / "tiny-bert")
    for sample in job["verdict"]["samples"][:2]:
        assert in_a_fresh_process(LOAD_CLASSIFY, tmp_path, base, str(adapter), sample["input"]) == sample["tuned"]


def test_a_job_whose_child_dies_says_why(person: Person, models: Path, tmp_path: Path) -> None:
    """The base model's weights have gone away since it was registered."""
    path = tmp_path / "rows.csv"
    path.write_text("question,answer\n" + "".join(f"{one},{two}\n" for one, two in capitals()))
    version = person.dataset_upload(path, name="Rows", mapping={"input": "question", "output": "answer"})
    (models / "tiny-llama" / "model.safetensors").rename(tmp_path / "away")
    try:
        url = person.job_start(name="Fails", dataset=version, task="generate", base_model="tiny-llama", method="lora")
        job = person.job_follow(url, lambda _: None)
    finally:
        (tmp_path / "away").rename(models / "tiny-llama" / "model.safetensors")
    assert job["state"] == "failed"
    assert job["error"]["message"] in person.page(url)


def test_ctrl_c_in_the_middle_of_a_job_leaves_nothing_behind(
    stack: RunningStack, person: Person, tmp_path: Path
) -> None:
    """Last here: the stack is gone after it."""
    path = tmp_path / "rows.csv"
    path.write_text("question,answer\n" + "".join(f"{one},{two}\n" for one, two in capitals()))
    version = person.dataset_upload(path, name="Rows", mapping={"input": "question", "output": "answer"})
    fields = {"task": "generate", "base_model": "tiny-llama", "method": "lora", "epochs": "100", "batch_size": "1"}
    url = person.job_start(name="Endless", dataset=version, **fields)
    deadline = time.monotonic() + 60
    while "step" not in person.page(f"{url}/live") or not engines_of(stack):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert stack.stop() == 0
    assert engines_of(stack) == []


def engines_of(stack: RunningStack) -> list[int]:
    """Training processes at work in this stack's data folder."""
    lines = [(process.pid, " ".join(process.info["cmdline"] or [])) for process in psutil.process_iter(["cmdline"])]
    return [pid for pid, line in lines if "worker.engine" in line and str(stack.home) in line]


def test_of_all_that_came_about_nothing_is_open_to_other_users(stack: RunningStack) -> None:
    """Last in this file: by now the folder holds uploads, jobs, checkpoints, adapters and compiled code."""
    assert {"adapters", "datasets", "jobs", "logs"} <= {path.name for path in stack.home.iterdir()}
    assert open_to_others(stack.home) == []
