"""Runs among AdapterHub's library and knows nothing of us.

python -I there.py < orders.json    [{"base": ..., "class": ..., "inputs": {...}, "adapter": ..., "makes": ...}, ...]

`makes` is a kind of adapter, to be written into the folder `adapter` with weights at random; without it the adapter
is loaded from there. Told for each are the logits of the base alone, and with the adapter. An order may also name a
folder as its `tokenizer`, and a `text`, whose ids are told.
"""

import contextlib
import json
import sys
from typing import Any

import adapters
import torch
import transformers


def told_of(order: dict[str, Any]) -> dict[str, Any]:
    sizes = {"num_labels": order["num_labels"]} if order["num_labels"] else {}
    model = getattr(transformers, order["class"]).from_pretrained(order["base"], **sizes)
    inputs = {name: torch.tensor(ids) for name, ids in order["inputs"].items()}
    bare = logits_of(model, inputs)
    adapters.init(model)
    if order["makes"]:
        make(model, order["makes"], order["adapter"])
    else:
        model.load_adapter(order["adapter"], use_safetensors=True, set_active=True)
    labels = {str(number): label for number, label in model.config.id2label.items()}
    return {"bare": bare, "logits": logits_of(model, inputs), "labels": labels, "ids": ids_of(order)}


def ids_of(order: dict[str, Any]) -> list[int]:
    if "tokenizer" not in order:
        return []
    return list(transformers.AutoTokenizer.from_pretrained(order["tokenizer"])(order["text"])["input_ids"])


@torch.no_grad()
def make(model: Any, kind: str, folder: str) -> None:
    model.add_adapter("theirs", config=adapters.AdapterConfig.load(kind, reduction_factor=4))
    model.set_active_adapters("theirs")
    torch.manual_seed(7)
    for name, weight in model.named_parameters():
        if ".adapters.theirs." in name or name.startswith(("classifier.", "score.")):
            weight.normal_(std=0.2)
    with_head = hasattr(model, "classifier") or hasattr(model, "score")
    model.save_adapter(folder, "theirs", with_head=with_head, use_safetensors=True)


@torch.no_grad()
def logits_of(model: Any, inputs: dict[str, torch.Tensor]) -> Any:
    return model.eval()(**inputs).logits.tolist()


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        told = [told_of(order) for order in json.load(sys.stdin)]
    sys.stdout.write(json.dumps(told))
