"""Few lines of Python that use what was trained, with public libraries only; the model card shows them.

A test runs each as it stands, in a process that knows nothing of us.
"""

from typing import NamedTuple

from webapp.contract.tasks import Task


class _Loading(NamedTuple):
    """How a method's result is loaded: `model` is an expression of the loaded base model."""

    imports: str
    model: str


_PEFT = _Loading("from peft import PeftModel\n", 'PeftModel.from_pretrained({base}, "ADAPTER_FOLDER")')
_LOADINGS = {
    "freezing": _Loading("from safetensors.torch import load_file\n", "{base}"),
    "full": _Loading("", "{base}"),
    "bottleneck": _Loading("import adapters\n", "{base}"),
}
_AFTERWARDS = {
    "freezing": 'model.load_state_dict(load_file("ADAPTER_FOLDER/delta.safetensors"), strict=False)\n',
    "bottleneck": (
        "adapters.init(model)\n"
        'model.load_adapter("ADAPTER_FOLDER", use_safetensors=True, set_active=True)\n'
    ),
}  # fmt: skip

_CLASSES: dict[Task, str] = {
    "generate": "AutoModelForCausalLM",
    "classify": "AutoModelForSequenceClassification",
    "transform": "AutoModelForSeq2SeqLM",
}
_USES: dict[Task, str] = {
    "generate": """\
inputs = tokenizer.apply_chat_template([{{"role": "user", "content": "YOUR INPUT"}}], add_generation_prompt=True, \
return_dict=True, return_tensors="pt")
print(tokenizer.decode(model.generate(**inputs, max_new_tokens={tokens}, do_sample=False{cache})\
[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))
""",
    "classify": """\
inputs = tokenizer("YOUR INPUT", return_tensors="pt")
print({labels}[model(**inputs).logits.argmax().item()])
""",
    "transform": """\
inputs = tokenizer("YOUR INPUT", return_tensors="pt")
print(tokenizer.decode(model.generate(**inputs, max_new_tokens={tokens}, do_sample=False)[0], \
skip_special_tokens=True))
""",
}


def snippet_of(method: str, task: Task, *, base: str, labels: list[str], max_new_tokens: int) -> str:
    """`base` names the base model; YOUR INPUT and ADAPTER_FOLDER are for the reader to fill in."""
    loading = _LOADINGS.get(method, _PEFT)
    source = "ADAPTER_FOLDER" if method == "full" else base
    # `adapters` 1.3.0 loses what a Llama or Mistral keeps in its cache, and answers nonsense without a word.
    cache = ", use_cache=False" if method == "bottleneck" else ""
    sizes = f", num_labels={len(labels)}" if task == "classify" and method != "full" else ""
    loaded = f'{_CLASSES[task]}.from_pretrained("{source}"{sizes})'
    return (
        f"{loading.imports}from transformers import {_CLASSES[task]}, AutoTokenizer\n"
        'tokenizer = AutoTokenizer.from_pretrained("ADAPTER_FOLDER")\n'
        f"model = {loading.model.format(base=loaded)}\n"
        f"{_AFTERWARDS.get(method, '')}"
        f"{_USES[task].format(tokens=max_new_tokens, labels=labels, cache=cache)}"
    )
