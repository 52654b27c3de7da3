"""A few lines of Python that use what was trained, with public libraries only; the model card shows them.

A test runs each as it stands, in a process that knows nothing of us, with texts longer than the model.
"""

from typing import NamedTuple

from webapp.contract.tasks import Task


class _Loading(NamedTuple):
    """How a method's result is loaded: `after` turns the loaded base model into the tuned one."""

    imports: str
    after: str


_PEFT = _Loading("from peft import PeftModel\n", 'model = PeftModel.from_pretrained(model, "ADAPTER_FOLDER")\n')
_LOADINGS = {
    "freezing": _Loading(
        "from safetensors.torch import load_file\n",
        'model.load_state_dict(load_file("ADAPTER_FOLDER/delta.safetensors"), strict=False)\n',
    ),
    "full": _Loading("", ""),
    "bottleneck": _Loading(
        "import adapters\n",
        "adapters.init(model)\n"
        'model.load_adapter("ADAPTER_FOLDER", use_safetensors=True, set_active=True)\n',
    ),
}  # fmt: skip
_CLASSES: dict[Task, str] = {
    "generate": "AutoModelForCausalLM",
    "classify": "AutoModelForSequenceClassification",
    "transform": "AutoModelForSeq2SeqLM",
}
_IN_FRONT = ("prompt_tuning", "p_tuning", "prefix_tuning")
"""Methods that train what stands before the text: in a decoder padding would come between the two."""


class Usage(NamedTuple):
    """What the code depends on. `base` names the base model, as a user loads it."""

    method: str
    task: Task
    base: str
    is_decoder: bool
    """And not an encoder, or one of both."""
    max_length: int
    """Tokens that a text, or a prompt, may have; longer ones are cut."""
    max_new_tokens: int = 0
    labels: tuple[str, ...] = ()
    answer_opening: str = ""
    """What the chat template itself writes before each answer, beyond its own prompt to answer."""
    stops_at_eos: bool = True
    """At the tokenizer's end of text; otherwise at what the base model's generation_config.json names."""


def snippet_of(usage: Usage) -> str:
    """`YOUR INPUT` and `ADAPTER_FOLDER` are for the reader to fill in."""
    loading = _LOADINGS.get(usage.method, _PEFT)
    name = _CLASSES[usage.task]
    # A decoder that answers is cut and padded at the start: its last words are those it goes on from.
    sides = ', padding_side="left", truncation_side="left"' if usage.task == "generate" else ""
    source = '"ADAPTER_FOLDER"' if usage.method == "full" else repr(usage.base)
    return (
        f"{loading.imports}from transformers import {name}, AutoTokenizer\n\n"
        f'tokenizer = AutoTokenizer.from_pretrained("ADAPTER_FOLDER"{sides})\n'
        f"model = {name}.from_pretrained({source}{_sizes(usage)})\n"
        f"{loading.after}\n"
        'texts = ["YOUR INPUT", "ANOTHER INPUT"]\n'
        f"{_classifying(usage) if usage.task == 'classify' else _writing(usage)}"
    )


def _sizes(usage: Usage) -> str:
    if usage.task != "classify":
        return ""
    labels = "" if usage.method == "full" else f", num_labels={len(usage.labels)}"
    # transformers finds the end of a decoder's text by what is no padding.
    return f"{labels}, pad_token_id=tokenizer.pad_token_id" if usage.is_decoder else labels


def _classifying(usage: Usage) -> str:
    chosen = "model(**inputs).logits.argmax(-1).tolist()"
    labels = f"labels = {list(usage.labels)!r}\n"
    if _one_by_one(usage):
        return (
            f"{labels}answers = []\n"
            "for text in texts:  # one by one: padding would stand where the trained vectors end\n"
            f"    inputs = tokenizer(text, {_limits(usage.max_length)})\n"
            f"    answers += [labels[number] for number in {chosen}]\n"
            "print(answers)\n"
        )
    return (
        f"{labels}inputs = tokenizer(texts, padding=True, {_limits(usage.max_length)})\n"
        f"print([labels[number] for number in {chosen}])\n"
    )


def _writing(usage: Usage) -> str:
    options = f"max_new_tokens={usage.max_new_tokens}, do_sample=False"
    if usage.task == "transform":
        return (
            f"inputs = tokenizer(texts, padding=True, {_limits(usage.max_length)})\n"
            f"written = model.generate(**inputs, {options})\n"
            f"{_printed('written')}"
        )
    opening = f" + {usage.answer_opening!r}" if usage.answer_opening else ""
    prompts = (
        'chats = [[{"role": "user", "content": text}] for text in texts]\n'
        "prompts = [tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)"
        f"{opening} for chat in chats]\n"
    )
    limits = f"add_special_tokens=False, {_limits(usage.max_length)}"
    # `adapters` 1.3.0 loses what a Llama or Mistral keeps in its cache, and answers nonsense without a word.
    cache = ", use_cache=False" if usage.method == "bottleneck" else ""
    stop = ", eos_token_id=tokenizer.eos_token_id" if usage.stops_at_eos else ""
    options += f"{stop}, pad_token_id=tokenizer.pad_token_id{cache}"
    generated = f'model.generate(**inputs, {options})[:, inputs["input_ids"].shape[1]:]'
    if _one_by_one(usage):
        return (
            f"{prompts}answers = []\n"
            "for prompt in prompts:  # one by one: padding would stand where the trained vectors end\n"
            f"    inputs = tokenizer(prompt, {limits})\n"
            f"    answers += tokenizer.batch_decode({generated}, skip_special_tokens=True)\n"
            "print([answer.strip() for answer in answers])\n"
        )
    return f"{prompts}inputs = tokenizer(prompts, padding=True, {limits})\nwritten = {generated}\n{_printed('written')}"


def _limits(tokens: int) -> str:
    return f'truncation=True, max_length={tokens}, return_tensors="pt"'


def _printed(tokens: str) -> str:
    return f"print([answer.strip() for answer in tokenizer.batch_decode({tokens}, skip_special_tokens=True)])\n"


def _one_by_one(usage: Usage) -> bool:
    return usage.is_decoder and usage.method in _IN_FRONT
