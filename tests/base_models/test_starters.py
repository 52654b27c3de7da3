"""The real starters from the package index this machine is set up for: they load, and make sense."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

from webapp.contract.base_models import STARTERS
from webapp.contract.model_folder import read_model_folder
from worker.base_models.prepare import prepare

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=sorted(STARTERS))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("models") / str(request.param)
    prepare(STARTERS[request.param], folder, lambda _event: None)
    return request.param, folder


def test_the_catalogue_tells_the_truth(made: tuple[str, Path]) -> None:
    name, folder = made
    report = read_model_folder(folder)
    assert report.shape == STARTERS[name].shape
    assert report.has_chat_template == (report.shape.family == "llama")


@torch.no_grad()
def test_it_makes_sense(made: tuple[str, Path]) -> None:
    name, folder = made
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if name == "minilm-l6":
        model = AutoModel.from_pretrained(folder)
        texts = ["A cat sleeps on the sofa.", "The kitten is napping on the couch.", "Interest rates rose again."]
        batch = tokenizer(texts, padding=True, return_tensors="pt")
        hidden, mask = model(**batch).last_hidden_state, batch["attention_mask"][..., None]
        means = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)
        alike = means @ means.T
        assert alike[0, 1] > 0.6 > 0.2 > alike[0, 2]
    else:
        model = AutoModelForCausalLM.from_pretrained(folder)
        question = [{"role": "user", "content": "What is the capital of France?"}]
        inputs = tokenizer.apply_chat_template(
            question, add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )
        new = model.generate(**inputs, max_new_tokens=20, do_sample=False)[0, inputs["input_ids"].shape[1] :]
        assert "Paris" in tokenizer.decode(new, skip_special_tokens=True)
        assert new[-1] == tokenizer.eos_token_id, "it knows when to stop"
