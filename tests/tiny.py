"""Tiny real base models, made in milliseconds, and job folders to run the engine on.

    base = make_llama(tmp_path / "base")                     # or make_bert
    job_dir = lay_job_dir(tmp_path / "job", recipe, rows, base)   # rows: [(input, output), ...]
    subprocess.run([sys.executable, "-m", "worker.engine", str(job_dir)])

The models are what transformers writes, only small: they train, save and load like large ones.
"""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    T5Config,
    T5ForConditionalGeneration,
)

from webapp.contract.job_dir import BASE_MODEL, FACTS, RECIPE, ROWS, Facts
from webapp.contract.model_folder import read_model_folder
from webapp.contract.presets import auto_knobs
from webapp.contract.recipe import Recipe
from webapp.contract.split import split_rows, split_sha256

CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,:;!?-'\n"
CHAT_TEMPLATE = (
    "{% for m in messages %}{{ '<' + m['role'][0] + '>' + m['content'] + '</s>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<a>' }}{% endif %}"
)
"""`<u>input</s><a>output</s>`: one token a character, so ids can be read by eye."""


def make_tokenizer(*, chat_template: str | None = CHAT_TEMPLATE) -> PreTrainedTokenizerFast:
    """One token a character."""
    special = ["<pad>", "</s>", "<unk>", "<u>", "<a>", "[CLS]", "[SEP]"]
    vocabulary = {token: number for number, token in enumerate([*special, *CHARACTERS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(special)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        chat_template=chat_template,
    )


def make_llama(folder: Path, **changes: Any) -> Path:
    """A two-layer Llama with a character tokenizer and a chat template; returns the folder."""
    tokenizer = make_tokenizer()
    sizes = {
        "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
        "initializer_range": 0.2,  # with the usual 0.02 all scores are alike, and an adapter could change little
    }  # fmt: skip
    torch.manual_seed(0)
    config = LlamaConfig(**{**sizes, "eos_token_id": 1, "pad_token_id": 0, "bos_token_id": None, **changes})
    return _save(LlamaForCausalLM(config), tokenizer, folder)


def make_windowed(folder: Path) -> Path:
    """A two-layer Mistral whose tokens see six, themselves included; returns the folder."""
    tokenizer = make_tokenizer()
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, sliding_window=6, initializer_range=0.2, eos_token_id=1,
        pad_token_id=0, bos_token_id=None,
    )  # fmt: skip
    return _save(MistralForCausalLM(config), tokenizer, folder)


def _framing_tokenizer() -> PreTrainedTokenizerFast:
    """As encoders have: `[CLS] text [SEP]`."""
    tokenizer = make_tokenizer(chat_template=None)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 5), ("[SEP]", 6)]
    )
    return tokenizer


def make_bert(folder: Path) -> Path:
    """A two-layer BERT without a head, as sentence encoders come, with a character tokenizer; returns the folder."""
    tokenizer = _framing_tokenizer()
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=128, pad_token_id=0,
    )  # fmt: skip
    return _save(BertModel(config), tokenizer, folder)


def make_bert_without_pooler(folder: Path) -> Path:
    """As models for filling gaps come, whose own head needs none; returns the folder."""
    weights = load_file(make_bert(folder) / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if not name.startswith("pooler.")}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def make_gpt2(folder: Path) -> Path:
    """A two-layer GPT-2 with a character tokenizer and a chat template; returns the folder."""
    tokenizer = make_tokenizer()
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=4, n_positions=256, initializer_range=0.2,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, eos_token_id=1, pad_token_id=0, bos_token_id=None,
    )  # fmt: skip
    return _save(GPT2LMHeadModel(config), tokenizer, folder)


def make_t5(folder: Path, **changes: Any) -> Path:
    """A T5 of two blocks each way, with a character tokenizer that ends each text; returns the folder."""
    tokenizer = make_tokenizer(chat_template=None)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, dropout_rate=0.0,
        feed_forward_proj="gated-gelu", tie_word_embeddings=False, decoder_start_token_id=0, eos_token_id=1,
        pad_token_id=0, **changes,
    )  # fmt: skip
    return _save(T5ForConditionalGeneration(config), tokenizer, folder)


def make_roberta(folder: Path) -> Path:
    """A two-layer RoBERTa without a head, with a character tokenizer; returns the folder."""
    tokenizer = _framing_tokenizer()
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=130, pad_token_id=0,
    )  # fmt: skip
    return _save(RobertaModel(config), tokenizer, folder)


def tiny_recipe(base: Path, *, task: str = "generate", method: str = "lora", seed: int = 17, **knobs: Any) -> Recipe:
    """Auto, with these knobs changed."""
    shape = read_model_folder(base).shape
    auto = auto_knobs(method, task, shape, 100)  # type: ignore[arg-type]
    return Recipe(task=task, base_model="tiny", method=method, knobs={**auto, **knobs}, seed=seed)  # type: ignore[arg-type]


def capitals(num_rows: int = 60) -> list[tuple[str, str]]:
    """A generate task a tiny model can make progress on: say two letters in capitals."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [one + two for one in letters for two in letters][::7]
    return [(word, word.upper()) for word in words[:num_rows]]


def vowels(num_rows: int = 60) -> list[tuple[str, str]]:
    """A classify task a tiny model can learn: does the word start with a vowel."""
    letters = "abeciudofahigjoku"
    words = [letters[index % 17] + letters[(index * 5 + index // 17) % 17] + str(index) for index in range(num_rows)]
    return [(word, "vowel" if word[0] in "aeiou" else "consonant") for word in words]


def lay_job_dir(folder: Path, recipe: Recipe, rows: list[tuple[str, str]], base: Path) -> Path:
    """Everything the engine needs, with the split the app would make; returns the folder."""
    return lay_job_dir_of(folder, recipe, [{"input": one, "output": two, "messages": None} for one, two in rows], base)


def lay_job_dir_of(folder: Path, recipe: Recipe, rows: list[dict[str, Any]], base: Path) -> Path:
    """As `lay_job_dir`, for rows that may be chat (`messages`: a list of {role, content})."""
    folder.mkdir(parents=True)
    inputs = [row["input"] for row in rows]
    strata = [row["output"] if recipe.task == "classify" else "" for row in rows]
    sides = split_rows(inputs, strata, recipe.seed)
    columns = {
        "line": pa.array(range(2, len(rows) + 2), pa.int64()),
        "input": pa.array(inputs, pa.string()),
        "output": pa.array([row["output"] for row in rows], pa.string()),
        "messages": pa.array([row["messages"] and json.dumps(row["messages"]) for row in rows], pa.string()),
        "split": pa.array(sides, pa.string()),
    }
    pq.write_table(pa.table(columns), folder / ROWS)
    facts = Facts(
        name="Tiny", base_model_title="Tiny", base_model_reference="tiny", base_model_licence="none",
        dataset_name="Rows v1", split_sha256=split_sha256(inputs, sides),
    )  # fmt: skip
    (folder / RECIPE).write_text(recipe.model_dump_json())
    (folder / FACTS).write_text(facts.model_dump_json())
    (folder / BASE_MODEL).symlink_to(base.absolute())
    return folder


def _save(model: Any, tokenizer: PreTrainedTokenizerFast, folder: Path) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
