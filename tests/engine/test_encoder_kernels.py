"""An encoder's loops: layer norm with dropout and a sum, attention over padded rows, each as PyTorch computes it."""

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.nn.functional import layer_norm, scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

from tests.engine.packs import gradients
from tests.engine.test_kernels import DIGITS, WIDTH, results
from worker.engine.forward import Model
from worker.engine.kernels import loops
from worker.engine.levers import blocks
from worker.engine.levers.blocks import quicken_blocks
from worker.engine.levers.layer_norm import normed_after, quicken_layer_norms
from worker.engine.levers.low_rank import joined, quicken_lora, together
from worker.engine.levers.padded_attention import padded_attention, padded_takes

HEADS, LENGTHS = 5, (9, 4, 1)
Norm = tuple[nn.LayerNorm, nn.Dropout]


@pytest.fixture(autouse=True)
def _they_are_used() -> None:
    assert loops.takes(torch.ones(1)), "PyTorch runs on another OpenMP than GNU's: the loops are not used here"


def a_norm(dropout: float = 0.0) -> Norm:
    """The same each time."""
    norm = nn.LayerNorm(WIDTH, eps=1e-6)
    for weight in norm.parameters():
        weight.requires_grad_(False).normal_(generator=torch.Generator().manual_seed(1))
    quicken_layer_norms(nn.ModuleList([norm]))
    return norm, nn.Dropout(dropout)


def of_a_norm(x: Tensor, y: Tensor, kind: torch.dtype) -> Tensor:
    norm, dropout = a_norm()
    if x.dtype == torch.float64:
        return layer_norm(x + y, (WIDTH,), norm.weight.double(), norm.bias.double(), norm.eps)
    return normed_after(norm, dropout, x, y.float())


def there() -> Tensor:
    """(B, 1, T, T): rows of several lengths, side by side."""
    seen = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    return seen[:, None, None].expand(-1, 1, max(LENGTHS), -1)


def of_attention(x: Tensor, y: Tensor, kind: torch.dtype, *, scale: float = 0.3) -> Tensor:
    """Queries, keys and values are from both, 27 rows of them."""
    both = torch.cat([x, y, x[:, ::2], y[:, ::2]], dim=1).view(len(LENGTHS), max(LENGTHS), 3 * WIDTH)
    if x.dtype != torch.float64:
        assert padded_takes(both, there())
        return padded_attention(both, there(), heads=HEADS, scale=scale, dropout=0.0).view(-1, WIDTH)
    query, key, value = (one.view(*one.shape[:2], HEADS, -1).transpose(1, 2) for one in both.chunk(3, dim=-1))
    output = scaled_dot_product_attention(query, key, value, there(), scale=scale)
    return output.transpose(1, 2).reshape(-1, WIDTH)


@pytest.mark.parametrize("dtype", DIGITS)
@pytest.mark.parametrize("computed", [of_a_norm, of_attention])
def test_a_loop_computes_what_pytorch_does_in_64_bits(computed: Any, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x, y = (torch.randn(sum(LENGTHS) + 13, WIDTH).to(dtype) for _ in range(2))
    exact = results(computed, x.double(), y.double(), dtype)
    ours = results(computed, x, y, dtype)
    assert len(ours) == len(exact) == 3
    for one, other in zip(ours, exact, strict=True):
        off = (one.double() - other).abs().max()
        assert off <= 3 * DIGITS[dtype] * other.abs().max(), off


@pytest.mark.parametrize("dtype", DIGITS)
def test_the_backward_pass_throws_the_dice_that_the_forward_pass_threw(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    (norm, dropout), x, y = a_norm(0.25), torch.randn(40, WIDTH).to(dtype), torch.randn(40, WIDTH)
    x.requires_grad_()
    y.requires_grad_()
    output = normed_after(norm, dropout, x, y)
    weights = torch.randn_like(output)
    d_x, d_y = torch.autograd.grad((output * weights).sum(), (x, y))
    kept = (d_x != 0).double() / 0.75  # what was dropped has no gradient
    exact_x, exact_y = (one.detach().double().requires_grad_() for one in (x, y))
    exact = layer_norm(exact_x * kept + exact_y, (WIDTH,), norm.weight.double(), norm.bias.double(), norm.eps)
    torch.testing.assert_close(output.double(), exact, rtol=0, atol=1e-5)
    its = torch.autograd.grad((exact * weights.double()).sum(), (exact_x, exact_y))
    torch.testing.assert_close(d_y.double(), its[1], rtol=0, atol=1e-4)
    torch.testing.assert_close(d_x.double(), its[0], rtol=2 * DIGITS[dtype], atol=1e-4)


def test_attention_that_drops_out_has_the_gradient_of_what_it_computes() -> None:
    """By differences: each draw of the dice is one function."""
    torch.manual_seed(0)
    both = torch.randn(2, 6, 3 * 8)
    weights = torch.randn(2, 6, 8)

    def seen(x: Tensor) -> Tensor:
        torch.manual_seed(7)
        return (padded_attention(x, None, heads=2, scale=0.5, dropout=0.4) * weights).sum()

    both.requires_grad_()
    (found,) = torch.autograd.grad(seen(both), both)
    for _ in range(5):
        way = torch.randn_like(both)
        step = 1e-2 * way / way.norm()
        with torch.no_grad():
            slope = (seen(both + step) - seen(both - step)) / 2
        torch.testing.assert_close((found * step).sum(), slope, rtol=5e-3, atol=1e-5)


def dropped(probability: float, shape: tuple[int, int] = (400, WIDTH)) -> Tensor:
    """Which of these numbers are."""
    norm, dropout = a_norm(probability)
    x = torch.ones(shape, requires_grad=True)
    output = normed_after(norm, dropout, x, torch.randn(shape))
    return torch.autograd.grad((output * torch.randn(shape)).sum(), x)[0] == 0


def test_dice_drop_as_many_as_they_should_and_alike_everywhere() -> None:
    torch.manual_seed(0)
    for probability in (0.05, 0.1, 0.5):
        found, again = dropped(probability).float(), dropped(probability).float()
        spread = (probability * (1 - probability)) ** 0.5
        assert abs(found.mean() - probability) < 5 * spread / found.numel() ** 0.5
        for one, other in ((found, again), (found[:, 1:], found[:, :-1]), (found[1:], found[:-1])):
            together_ = ((one - probability) * (other - probability)).mean() / spread**2
            assert abs(together_) < 5 / one.numel() ** 0.5
        for axis in (0, 1):
            few = found.mean(dim=axis)
            assert (few - probability).abs().max() < 6 * spread / found.shape[axis] ** 0.5


def test_the_same_seed_drops_the_same_and_no_dropout_none() -> None:
    torch.manual_seed(3)
    one, other = dropped(0.3), dropped(0.3)
    torch.manual_seed(3)
    assert torch.equal(dropped(0.3), one) and not torch.equal(one, other)
    assert not dropped(0.0).any()


def test_any_number_of_threads_computes_the_same_bits() -> None:
    torch.manual_seed(0)
    both, (norm, dropout) = torch.randn(4, 50, 3 * 40).bfloat16(), a_norm(0.1)
    x, beside = torch.randn(90, WIDTH), torch.randn(90, WIDTH)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            torch.manual_seed(5)
            inputs = [one.clone().requires_grad_() for one in (both, x, beside)]
            outputs = [
                padded_attention(inputs[0], None, heads=4, scale=0.2, dropout=0.1),
                normed_after(norm, dropout, inputs[1], inputs[2]),
            ]
            found.append([*outputs, *torch.autograd.grad([one.float().square().sum() for one in outputs], inputs)])
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(one, its) for one, its in zip(found[0], other, strict=True))


def test_what_hangs_on_a_norm_is_called_and_finds_the_same() -> None:
    torch.manual_seed(0)
    (norm, dropout), x, beside = a_norm(), torch.randn(5, WIDTH), torch.randn(5, WIDTH)
    plain, seen = normed_after(norm, dropout, x, beside), []
    norm.register_forward_hook(lambda module, inputs, output: seen.append((inputs[0], output)))
    hooked = normed_after(norm, dropout, x, beside)
    assert torch.equal(hooked, plain)
    assert len(seen) == 1 and torch.equal(seen[0][0], x + beside) and torch.equal(seen[0][1], plain)


def test_what_hangs_on_a_dropout_is_called() -> None:
    torch.manual_seed(0)
    (norm, dropout), x, beside = a_norm(), torch.randn(5, WIDTH), torch.randn(5, WIDTH)
    plain = normed_after(norm, dropout, x, beside)
    dropout.register_forward_hook(lambda _module, _inputs, output: output + 1 - beside)
    torch.testing.assert_close(normed_after(norm, dropout, x, beside), normed_after(norm, nn.Dropout(0), x, 1 + 0 * x))
    assert not torch.allclose(normed_after(norm, dropout, x, beside), plain)


def test_a_norm_that_learns_has_its_gradients() -> None:
    torch.manual_seed(0)
    (norm, dropout), x, beside = a_norm(), torch.randn(5, WIDTH), torch.randn(5, WIDTH)
    norm.requires_grad_(True)
    weights = torch.randn(5, WIDTH)
    found = torch.autograd.grad((normed_after(norm, dropout, x, beside) * weights).sum(), list(norm.parameters()))
    exact = layer_norm(x + beside, (WIDTH,), norm.weight, norm.bias, norm.eps)
    for one, other in zip(found, torch.autograd.grad((exact * weights).sum(), list(norm.parameters())), strict=True):
        torch.testing.assert_close(one, other)


def an_encoder(kind: Any, targets: Any = "all-linear", dropout: float = 0.0) -> Model:
    torch.manual_seed(0)
    config, family = kind
    base = family(config(
        vocab_size=50, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout,
    ))  # fmt: skip
    model = get_peft_model(base, LoraConfig(r=3, target_modules=targets, init_lora_weights=False)).train()
    for name, weight in model.named_parameters():
        if "lora_" in name:
            nn.init.normal_(weight, std=0.2)
    return model


IDS = torch.arange(2, 42).view(2, 20)
MASK = (torch.arange(20)[None] < torch.tensor([[20], [13]])).long()
KINDS = pytest.mark.parametrize(
    "kind", [(BertConfig, BertModel), (RobertaConfig, RobertaModel)], ids=["bert", "roberta"]
)


def gradients_of(model: Model, ids: Tensor = IDS) -> dict[str, Tensor]:
    output = model(input_ids=ids, attention_mask=MASK).last_hidden_state.float()
    return gradients((output * torch.linspace(-1, 1, 24) * MASK[..., None]).sum(), model)


def off(found: dict[str, Tensor], exact: dict[str, Tensor]) -> float:
    assert found.keys() == exact.keys() and len(found) > 4
    squares = sum(float((found[name].double() - one.double()).square().sum()) for name, one in exact.items())
    return (squares / sum(float(one.double().square().sum()) for one in exact.values())) ** 0.5


def quickened(model: Model) -> Model:
    for quicken in (quicken_lora, quicken_layer_norms, quicken_blocks):
        quicken(model)
    return model


@KINDS
@pytest.mark.parametrize("targets", ["all-linear", ["query", "value"]])
def test_a_whole_encoder_in_32_bits_has_transformers_gradients(kind: Any, targets: Any) -> None:
    model = an_encoder(kind, targets)
    exact = gradients_of(model)
    with pytest.MonkeyPatch.context() as patches:
        called = []
        patches.setattr(blocks, "padded_attention", lambda *a, **k: called.append(1) or padded_attention(*a, **k))
        assert off(gradients_of(quickened(model)), exact) < 1e-5
    assert len(called) == 2


def test_queries_keys_and_values_in_one_product_are_those_of_three() -> None:
    model = quickened(an_encoder((BertConfig, BertModel)))
    attention = model.base_model.model.encoder.layer[0].attention.self
    layers = [attention.query, attention.key, attention.value]
    x, weights = torch.randn(7, 24), torch.randn(7, 72)

    def seen(output: Tensor) -> dict[str, Tensor]:
        return {"output": output.detach(), **gradients((output * weights).sum(), model)}

    with torch.autocast("cpu", torch.bfloat16):
        at_once, again = seen(joined(layers, x)), seen(joined(layers, x))
        assert layers[0].copied[1].shape == (72, 24) and "copied" not in vars(layers[1])
        plain = seen(torch.cat(together(layers, x), dim=-1))
    assert off(at_once, plain) < 4e-3 and off(again, at_once) == 0
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for layer in layers:
            layer.get_base_layer().weight.mul_(2)
        torch.testing.assert_close(joined(layers, x), torch.cat(together(layers, x), dim=-1), rtol=2e-2, atol=2e-2)


@KINDS
def test_a_block_that_is_computed_again_drops_the_same(kind: Any) -> None:
    model = quickened(an_encoder(kind, dropout=0.2))
    torch.manual_seed(4)
    exact = gradients_of(model)
    for block in model.base_model.model.encoder.layer:
        forward = block.forward
        block.forward = lambda *a, forward=forward, **k: checkpoint(forward, *a, use_reentrant=False, **k)
    torch.manual_seed(4)
    assert off(gradients_of(model), exact) == 0
    assert off(gradients_of(model), exact) > 1e-3
