"""Every lever of speed computes what the plain way computes: outputs and gradients, in 64 bits, to the last digits."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from tests.engine.packs import ROWS, SHARED, gradients, row, trained_model
from tests.engine.runs import MAKERS
from tests.tiny import make_llama
from webapp.contract.methods import METHODS
from worker.engine.forward import row_losses, token_losses, unwrapped
from worker.engine.levers.frozen_trunk import remember_trunk
from worker.engine.levers.last_block import narrow_last_block
from worker.engine.levers.low_rank import quicken_lora
from worker.engine.levers.norm import quicken_norms
from worker.engine.levers.packed_rows import LEAST_SHARED, pack

CLOSE = {"rtol": 1e-9, "atol": 1e-11}


def assert_same(quick: dict[str, Tensor], plain: dict[str, Tensor]) -> None:
    assert quick.keys() == plain.keys() != set()
    for name, one in plain.items():
        torch.testing.assert_close(quick[name], one, rtol=1e-8, atol=1e-10)


def test_what_rows_begin_with_is_laid_once_and_each_keeps_a_token_of_its_own() -> None:
    packed = pack([[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5], [1, 2, 3, 4, 9]])
    assert packed.ids.tolist() == [1, 2, 3, 4, 5, 6, 5, 9]
    assert packed.layout.positions.tolist() == [0, 1, 2, 3, 4, 5, 4, 4]
    assert [packed.layout.place(0, at) for at in range(6)] == [0, 1, 2, 3, 4, 5]
    assert [packed.layout.place(2, at) for at in range(5)] == [0, 1, 2, 3, 7]


def test_little_in_common_is_not_worth_a_part_of_its_own() -> None:
    few = list(range(LEAST_SHARED - 1))
    assert pack([[*few, 50, 51], [*few, 60]]).layout.shared == 0
    assert pack([[1, 2, 3, 4, 5, 6]]).layout.shared == 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_rows_packed_have_the_gradients_of_rows_alone(tmp_path: Path, family: str, method: str) -> None:
    model = trained_model(MAKERS[family](tmp_path / "base"), method)
    rows = [row(ids) for ids in ([*SHARED, 9, 8, 7], [*SHARED, 6, 7], [*SHARED, *[6, 3] * 9], [*SHARED, 4, 4, 4])]
    together = gradients(token_losses(model, rows)[0].sum(), model)
    alone = gradients(torch.cat([token_losses(model, [one])[0] for one in rows]).sum(), model)
    assert together.keys() == alone.keys()
    for name in alone:
        torch.testing.assert_close(together[name], alone[name], rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_the_last_block_for_labels_alone_has_the_gradients_of_a_whole_one(tmp_path: Path, method: str) -> None:
    model = trained_model(make_llama(tmp_path / "base"), method)
    rows = [row(ids, answer) for ids, answer in zip(ROWS, (2, 1, 7, 40), strict=True)]
    whole = gradients(token_losses(model, rows)[0].sum(), model)
    narrow_last_block(unwrapped(model))
    assert unwrapped(model).narrows
    narrowed = gradients(token_losses(model, rows)[0].sum(), model)
    assert set(narrowed) == set(whole)
    for name, gradient in whole.items():
        torch.testing.assert_close(narrowed[name], gradient, **CLOSE)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_packed_row_has_the_loss_that_transformers_computes(tmp_path: Path, family: str) -> None:
    base = MAKERS[family](tmp_path / "base")
    ours, theirs = (AutoModelForCausalLM.from_pretrained(base).double().eval() for _ in range(2))
    rows = [row([*SHARED, 9, 8, 7]), row([*SHARED, *[6, 3] * 9])]
    sums, _counts = row_losses(ours, rows)
    for one, found in zip(rows, sums, strict=True):
        logits = theirs(input_ids=torch.tensor([one.ids])).logits[0]
        expected = cross_entropy(logits[-3:-1].float(), torch.tensor(one.ids[-2:]), reduction="sum")
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_window_of_attention_is_that_of_transformers() -> None:
    config = MistralConfig(
        vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, sliding_window=6, max_position_embeddings=64,
    )  # fmt: skip
    torch.manual_seed(0)
    model = MistralForCausalLM(config).double().eval()
    ids = list(range(1, 31))
    theirs = model(input_ids=torch.tensor([ids])).logits[0, -2]
    expected = cross_entropy(theirs.float(), torch.tensor(ids[-1]))
    torch.testing.assert_close(row_losses(model, [row(ids, answer=1)])[0][0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rslora", [False, True])
@pytest.mark.parametrize("family", ["llama", "gpt2", "bert"])
def test_a_lora_layer_is_peft_s(tmp_path: Path, family: str, rslora: bool) -> None:
    names = {"llama": ["q_proj", "down_proj"], "gpt2": ["c_attn", "c_proj"], "bert": ["query", "dense"]}[family]
    base = AutoModel.from_pretrained(MAKERS[family](tmp_path / "base")).double()
    model = get_peft_model(base, LoraConfig(
        r=3, lora_alpha=5, use_rslora=rslora, target_modules=names, fan_in_fan_out=family == "gpt2",
    )).eval()  # fmt: skip
    torch.manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight.normal_()
    ids = torch.arange(20).view(2, 10)

    def seen() -> tuple[Tensor, dict[str, Tensor]]:
        output = model(input_ids=ids).last_hidden_state
        return output.detach(), gradients((output * torch.linspace(-1, 1, output.shape[-1])).sum(), model)

    plain, plain_gradients = seen()
    quicken_lora(model)
    quick, quick_gradients = seen()
    torch.testing.assert_close(quick, plain, **CLOSE)
    assert_same(quick_gradients, plain_gradients)
    with model.disable_adapter():
        bare = model(input_ids=ids).last_hidden_state
    assert not torch.allclose(bare, quick)


def test_a_lora_layer_drops_the_same_back_as_forth() -> None:
    model = get_peft_model(
        nn.Sequential(nn.Linear(5, 4)).double(), LoraConfig(r=2, lora_dropout=0.5, target_modules=["0"])
    )
    quicken_lora(model)
    model.train()
    layer: Any = model.base_model.model[0]
    nn.init.normal_(layer.lora_B["default"].weight)
    down = layer.lora_A["default"].weight

    def answer(x: Tensor, _down: Tensor) -> Tensor:
        torch.manual_seed(1)
        return layer(x)  # type: ignore[no-any-return]

    layer.lora_A["default"].double(), layer.lora_B["default"].double()
    x = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(answer, (x, down))


def test_dora_stays_peft_s(tmp_path: Path) -> None:
    model = trained_model(make_llama(tmp_path / "base"), "lora", variant="dora")
    assert all("forward" not in vars(layer) for name, layer in model.named_modules() if name.endswith("q_proj"))


def test_a_norm_is_transformers_own() -> None:
    config = LlamaConfig(
        vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config).double()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.normal_()
    ids = torch.arange(20).view(2, 10)
    plain = gradients(model(input_ids=ids, labels=ids).loss, model)
    quicken_norms(model)
    quick = gradients(model(input_ids=ids, labels=ids).loss, model)
    for name, one in plain.items():
        # transformers' own norm computes in 32 bits, whatever it is given; ours in 64 here.
        torch.testing.assert_close(quick[name], one, rtol=1e-4, atol=1e-5)
    assert unwrapped(model) is model


def test_a_remembered_trunk_gives_the_gradients_of_one_computed_anew(tmp_path: Path) -> None:
    """Also for rows that meet other rows than before, and so share another start."""
    model = trained_model(make_llama(tmp_path / "base"), "freezing", num_blocks=1)
    rows = [row([*SHARED, 9, 8, 7]), row([*SHARED, 9, 8, 7, 6, 7]), row([*SHARED, *[6, 3] * 9]), row([7, 6, 5, 4, 3])]
    pairs = [[0, 1], [2, 3], [1, 2]]
    plain = [gradients(token_losses(model, [rows[at] for at in pair])[0].sum(), model) for pair in pairs]
    remember_trunk(model, tmp_path / "cache", num_tokens=1000)
    blocks_run: list[int] = []
    model.model.layers[0].register_forward_hook(lambda *_: blocks_run.append(1))
    quick = [gradients(token_losses(model, [rows[at] for at in pair])[0].sum(), model) for pair in pairs]
    assert len(blocks_run) == 2
    for ours, theirs in zip(quick, plain, strict=True):
        assert ours.keys() == theirs.keys() != set()
        for name, one in theirs.items():
            torch.testing.assert_close(ours[name], one, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize(("method", "knobs"), [
    ("lora", {}), ("full", {}), ("prompt_tuning", {}), ("freezing", {"also": "norms"}), ("freezing", {"num_blocks": 2}),
])  # fmt: skip
def test_no_trunk_is_remembered_where_none_is_frozen(tmp_path: Path, method: str, knobs: dict[str, Any]) -> None:
    model = trained_model(make_llama(tmp_path / "base"), method, **knobs)
    remember_trunk(unwrapped(model), tmp_path / "cache", num_tokens=1000)
    assert not hasattr(unwrapped(model), "frozen_trunk")


def test_no_trunk_is_remembered_without_room_or_with_dropout(tmp_path: Path) -> None:
    model = trained_model(make_llama(tmp_path / "base"), "freezing", num_blocks=1)
    remember_trunk(model, tmp_path / "cache", num_tokens=10**15)
    model.config.attention_dropout = 0.1
    remember_trunk(model, tmp_path / "cache", num_tokens=1000)
    assert not hasattr(model, "frozen_trunk")
