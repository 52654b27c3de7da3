"""Layers that read the same input in one step, and blocks whose parts are ours: outputs and gradients as by peft and
transformers, in 64 bits."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    RobertaConfig,
    RobertaModel,
)
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from tests.engine.packs import gradients
from tests.engine.test_levers import CLOSE, assert_same
from worker.engine.forward import Model
from worker.engine.levers.blocks import quicken_blocks
from worker.engine.levers.low_rank import quicken_lora, together
from worker.engine.levers.rotary import rotated


def side_by_side(**changes: Any) -> Any:
    """Two LoRA layers that may read the same input, of different widths, with everything at random."""
    torch.manual_seed(2)
    plain = nn.ModuleDict({"wide": nn.Linear(5, 6), "narrow": nn.Linear(5, 3, bias=False)})
    model = get_peft_model(plain, LoraConfig(r=2, lora_alpha=3, target_modules=["wide", "narrow"], **changes)).double()
    quicken_lora(model)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weight)
    model.train()
    return model


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_layers_side_by_side_make_what_each_makes_by_itself(dropout: float) -> None:
    model = side_by_side(lora_dropout=dropout)
    layers = [model.base_model.model["wide"], model.base_model.model["narrow"]]
    x = torch.randn(2, 4, 5, dtype=torch.float64, requires_grad=True)

    def seen(outputs: list[Tensor]) -> list[Tensor]:
        x.grad = None
        found = gradients(sum((one * torch.arange(one.numel()).view_as(one)).sum() for one in outputs), model)
        assert x.grad is not None and len(found) == 4
        return [*outputs, x.grad, *found.values()]

    torch.manual_seed(1)
    alone = seen([layer(x) for layer in layers])
    torch.manual_seed(1)
    for ours, theirs in zip(seen(together(layers, x)), alone, strict=True):
        torch.testing.assert_close(ours, theirs, **CLOSE)


def test_layers_that_are_not_alike_go_each_by_itself() -> None:
    model = side_by_side(alpha_pattern={"wide": 7})
    layers = [model.base_model.model["wide"], model.base_model.model["narrow"], nn.Linear(5, 2).double()]
    x = torch.randn(4, 5, dtype=torch.float64)
    for chosen in (layers[:2], layers[1:]):
        for ours, layer in zip(together(chosen, x), chosen, strict=True):
            assert torch.equal(ours, layer(x))
    with model.disable_adapter():
        for ours, layer in zip(together(layers[:2], x), layers, strict=False):
            assert torch.equal(ours, layer.get_base_layer()(x))


def test_queries_are_turned_as_transformers_turns_them() -> None:
    angles = torch.outer(torch.arange(5.0), torch.tensor([1, 0.1, 0.01])).repeat(1, 2).double()[None]  # (1, T, d)
    cos, sin = angles.cos(), angles.sin()
    x = torch.randn(1, 5, 2, 6, dtype=torch.float64, requires_grad=True)
    expected, _key = apply_rotary_pos_emb(x, x, cos, sin, unsqueeze_dim=2)
    turned = rotated(x, cos[:, :, None], sin[:, :, None])
    torch.testing.assert_close(turned, expected, **CLOSE)
    weights = torch.randn_like(x)
    ours, theirs = (torch.autograd.grad((one * weights).sum(), x)[0] for one in (turned, expected))
    torch.testing.assert_close(ours, theirs, **CLOSE)


SMALL: dict[str, int] = {
    "vocab_size": 50, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "max_position_embeddings": 64,
}  # fmt: skip


@pytest.mark.parametrize("targets", [["q_proj", "v_proj"], "all-linear"])
@pytest.mark.parametrize(
    "made",
    [
        lambda: LlamaForCausalLM(LlamaConfig(**SMALL, sliding_window=6)),  # which a Llama takes no notice of
        lambda: MistralForCausalLM(MistralConfig(**SMALL, sliding_window=6)),
        lambda: Qwen2ForCausalLM(Qwen2Config(**SMALL, sliding_window=6)),  # switched off by its config
        lambda: Qwen2ForCausalLM(Qwen2Config(**SMALL, sliding_window=6, use_sliding_window=True, max_window_layers=1)),
    ],
    ids=["llama", "mistral", "qwen2", "qwen2-window"],
)
def test_a_quick_block_is_transformers_own(made: Callable[[], Model], targets: Any) -> None:
    torch.manual_seed(0)
    model = get_peft_model(made(), LoraConfig(r=3, target_modules=targets)).double().train()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight.normal_(std=0.2)
    ids = torch.arange(40).view(2, 20)

    def seen() -> tuple[Tensor, dict[str, Tensor]]:
        loss = model(input_ids=ids, labels=ids).loss
        return loss.detach(), gradients(loss, model)

    def written() -> Tensor:
        words = model.eval().generate(ids[:, :4], max_new_tokens=12, do_sample=False)
        model.train()
        return words  # type: ignore[no-any-return]

    (plain, plain_gradients), words = seen(), written()
    quicken_lora(model)
    quicken_blocks(model)
    quick, quick_gradients = seen()
    torch.testing.assert_close(quick, plain, rtol=1e-7, atol=1e-9)  # the head's loss is computed in 32 bits
    assert quick_gradients.keys() == plain_gradients.keys()
    for name, one in plain_gradients.items():
        torch.testing.assert_close(quick_gradients[name], one, rtol=1e-5, atol=1e-8)
    assert torch.equal(written(), words)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", [(BertConfig, BertModel), (RobertaConfig, RobertaModel)], ids=["bert", "roberta"])
def test_a_quick_encoder_is_transformers_own(kind: Any, attention: str) -> None:
    torch.manual_seed(0)
    config, family = kind
    base = family(config(
        vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        attn_implementation=attention,
    ))  # fmt: skip
    model = get_peft_model(base, LoraConfig(r=3, target_modules=["query", "value"])).double().train()
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weight, std=0.2)
    ids = torch.arange(2, 42).view(2, 20)
    mask = (torch.arange(20)[None] < torch.tensor([[20], [13]])).long()

    def seen() -> tuple[Tensor, dict[str, Tensor]]:
        output = model(input_ids=ids, attention_mask=mask).last_hidden_state
        return output.detach(), gradients((output * torch.linspace(-1, 1, 16)).sum(), model)

    plain, plain_gradients = seen()
    quicken_lora(model)
    quicken_blocks(model)
    quick, quick_gradients = seen()
    torch.testing.assert_close(quick, plain, **CLOSE)
    assert_same(quick_gradients, plain_gradients)


def test_copies_in_16_bits_are_made_once_and_follow_a_weight_that_changes() -> None:
    model = side_by_side().float()
    layer = model.base_model.model["wide"]
    x = torch.randn(4, 5)
    with torch.autocast("cpu", torch.bfloat16):
        before, again = layer(x), layer(x)
        _version, copied, _bias = layer.copied
        with torch.no_grad():
            layer(x)
        assert layer.copied[1] is copied and copied.dtype == torch.bfloat16 and torch.equal(before, again)
        layer.get_base_layer().weight.mul_(2)
        assert torch.equal(layer.copied[1], copied)
        changed = layer(x)
    assert torch.equal(layer.copied[1], 2 * copied) and not torch.equal(changed, before)
