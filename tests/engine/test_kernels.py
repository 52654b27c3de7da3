"""Loops of our own, compiled for the processor: each computes what PyTorch computes in 64 bits, to the digits that its
numbers have, back and forth, on any number of threads."""

from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, rms_norm, silu
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.activations import ACT2FN
from transformers.models.llama.modeling_llama import LlamaRMSNorm, apply_rotary_pos_emb

from tests.engine.packs import gradients
from worker.engine.kernels import loops
from worker.engine.kernels.gate import gated
from worker.engine.kernels.numbers import claim, exponential, float32, load, numbers, store, whole
from worker.engine.kernels.softmax import seen_softmax_
from worker.engine.levers.blocks import quicken_blocks
from worker.engine.levers.gate import gate
from worker.engine.levers.norm import normed_sum, quicken_norms
from worker.engine.levers.rotary import rotated
from worker.engine.levers.token_loss import token_loss

DIGITS = {torch.float32: 1e-6, torch.bfloat16: 4e-3}
"""How far off each number may be, of the largest of its row: 2^-8 is what 16 bits are rounded by."""
WIDTH = 100
"""No multiple of what a processor takes at a time."""


@pytest.fixture(autouse=True)
def _they_are_used() -> Iterator[None]:
    """Nothing here is about PyTorch's own way."""
    assert loops.takes(torch.ones(1)), (
        "PyTorch runs on another OpenMP than GNU's: the loops are not used on this machine"
    )
    yield


def a_norm(dtype: torch.dtype) -> Any:
    """The same each time, as exactly as `dtype` has it."""
    norm = LlamaRMSNorm(WIDTH, eps=1e-5).requires_grad_(False)
    norm.weight.normal_(generator=torch.Generator().manual_seed(1))
    quicken_norms(nn.ModuleList([norm]))
    return norm.to(dtype)


def of_a_norm(x: Tensor, _y: Tensor, kind: torch.dtype) -> Tensor:
    norm = a_norm(kind)
    return rms_norm(x, (WIDTH,), norm.weight.double(), 1e-5) if x.dtype == torch.float64 else norm(x)


def of_a_sum(x: Tensor, y: Tensor, kind: torch.dtype) -> Tensor:
    """Of which both the norm and the sum go on."""
    norm = a_norm(kind)
    if x.dtype == torch.float64:
        total = x + y + ((x + y).to(kind) - (x + y)).detach()  # the norm reads the sum as it is kept
        read = rms_norm(total, (WIDTH,), norm.weight.double(), 1e-5)
    else:
        read, total = normed_sum(norm, x, y)
    return torch.stack([read, total])


def of_a_gate(x: Tensor, y: Tensor, kind: torch.dtype) -> Tensor:
    return silu(x) * y if x.dtype == torch.float64 else gate(nn.SiLU(), x, y)


def of_a_turn(x: Tensor, _y: Tensor, kind: torch.dtype) -> Tensor:
    """Of five heads of twenty numbers a token."""
    heads = x.view(1, len(x), 5, 20)
    angles = torch.outer(torch.arange(len(x)), torch.linspace(0.1, 1, 10)).repeat(1, 2)[None]
    cos, sin = (one.to(kind).to(x.dtype) for one in (angles.cos(), angles.sin()))
    if x.dtype == torch.float64:
        return apply_rotary_pos_emb(heads, heads, cos, sin, unsqueeze_dim=2)[0].flatten(2)[0]
    return rotated(heads, cos[:, :, None], sin[:, :, None]).flatten(2)[0]


def of_a_loss(x: Tensor, _y: Tensor, kind: torch.dtype) -> Tensor:
    targets = torch.arange(len(x)) % WIDTH
    if x.dtype == torch.float64:
        return cross_entropy(x, targets, reduction="none")
    return token_loss(x, targets)


Computed = Callable[[Tensor, Tensor, torch.dtype], Tensor]


def results(computed: Computed, x: Tensor, y: Tensor, kind: torch.dtype) -> list[Tensor]:
    """What comes out, and the gradients of both inputs. In 64 bits it reads what `kind` can tell."""
    x, y = x.detach().requires_grad_(), y.detach().requires_grad_()
    output = computed(x, y, kind)
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(2)).to(kind)
    found = torch.autograd.grad((output * weights.to(output.dtype)).sum(), (x, y), allow_unused=True)
    return [output.detach(), *(one for one in found if one is not None)]


@pytest.mark.parametrize("rows", [1, 37])
@pytest.mark.parametrize("dtype", DIGITS)
@pytest.mark.parametrize("computed", [of_a_norm, of_a_sum, of_a_gate, of_a_turn, of_a_loss])
def test_a_loop_computes_what_pytorch_does_in_64_bits(computed: Computed, dtype: torch.dtype, rows: int) -> None:
    torch.manual_seed(0)
    x, y = (torch.randn(rows, WIDTH).mul(3).to(dtype) for _ in range(2))
    exact = results(computed, x.double(), y.double(), dtype)
    ours = results(computed, x, y, dtype)
    assert len(ours) == len(exact) > 1
    for one, other in zip(ours, exact, strict=True):
        assert one.shape == other.shape
        size = other.abs().amax(dim=-1, keepdim=True)
        assert ((one.double() - other).abs() <= DIGITS[dtype] * size).all()


def exponentiate(job: Any) -> None:
    count, x = whole(job, 1), numbers(job, 2)
    while True:
        begin = claim(job, 64)
        if begin >= count:
            break
        for one in range(begin, min(begin + 64, count)):
            store(x, one, exponential(load(x, one)))


def test_an_exponential_has_the_digits_of_32_bits() -> None:
    x = torch.linspace(-87, 88, 100_001)
    exact = x.double().exp()
    loops.Loop(exponentiate)(x.dtype, len(x), x)
    assert ((x.double() - exact).abs() / exact).max() < 2 * 2**-23


@pytest.mark.parametrize("window", [None, 7])
@pytest.mark.parametrize("dtype", DIGITS)
def test_a_softmax_is_over_the_keys_that_a_query_sees(dtype: torch.dtype, window: int | None) -> None:
    """Twenty tokens of three queries each, that see thirteen keys before all of them."""
    torch.manual_seed(0)
    scores = torch.randn(4, 60, 33).mul(3).to(dtype)
    token, key = torch.arange(13, 33).repeat_interleave(3)[:, None], torch.arange(33)
    hidden = (key > token) | (key <= token - (window or 33))
    exact = scores.double().masked_fill(hidden, -torch.inf).softmax(dim=-1)
    ours = seen_softmax_(scores.clone(), heads=3, window=window)
    assert (ours[:, hidden] == 0).all()
    assert ((ours.double() - exact).abs() <= DIGITS[dtype] * exact.amax(dim=-1, keepdim=True)).all()


def test_where_numbers_lie_in_memory_makes_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a thread notes right behind the scores, or far away."""
    torch.manual_seed(0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    for keys in range(5, 60):
        memory = torch.empty(3 * keys + keys)
        scores = torch.randn(1, 3, keys)
        far = seen_softmax_(scores.clone(), heads=1, window=None)
        near = memory[: 3 * keys].view(1, 3, keys).copy_(scores)
        with patch.object(torch, "empty", lambda *_sizes: memory[3 * near.shape[2] :].view(1, -1)):  # noqa: B023
            seen_softmax_(near, heads=1, window=None)
        assert torch.equal(near, far)


def test_any_number_of_threads_computes_the_same_bits() -> None:
    torch.manual_seed(0)
    x, y = (torch.randn(300, WIDTH).bfloat16() for _ in range(2))
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(
                [one for computed in (of_a_sum, of_a_gate, of_a_loss) for one in results(computed, x, y, x.dtype)]
            )
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(one, its) for one, its in zip(found[0], other, strict=True))


@pytest.mark.parametrize("dtype", DIGITS)
def test_what_is_very_large_or_no_number_is_as_pytorch_has_it(dtype: torch.dtype) -> None:
    x = torch.tensor([[-1e4, -200.0, -89.0, 0.0, 89.0, 200.0, 1e4], [0.0] * 7]).to(dtype)
    torch.testing.assert_close(gated(x, torch.ones_like(x)), silu(x))
    for odd in (float("nan"), float("inf")):
        x[0, 2] = odd
        losses = token_loss(x, torch.tensor([4, 4]))
        assert losses[0].isnan() and losses[1].isfinite()
        assert not gated(x, x)[0, 2].isfinite()
    torch.testing.assert_close(
        token_loss(torch.tensor([[1e4, -1e4, 0.0]]).to(dtype), torch.tensor([1])),
        torch.tensor([2e4]),
        rtol=1e-2,
        atol=0,
    )


@pytest.mark.parametrize(
    "given",
    [
        [torch.ones(4, 4).double()],
        [torch.ones(4, 4).half()],
        [torch.ones(4, 4).T[:, :2]],
        [torch.ones(4, 4), torch.ones(4, 4).bfloat16()],
        [torch.ones(4, 4, device="meta")],
    ],
    ids=["64 bits", "fp16", "with gaps", "of two kinds", "elsewhere"],
)
def test_what_loops_cannot_take_goes_pytorch_s_way(given: list[Tensor]) -> None:
    assert not loops.takes(*given)


def test_what_has_gaps_is_computed_all_the_same() -> None:
    torch.manual_seed(0)
    x = torch.randn(8, 6).bfloat16()
    norm = LlamaRMSNorm(4).requires_grad_(False)
    quicken_norms(nn.ModuleList([norm.bfloat16()]))
    torch.testing.assert_close(normed_sum(norm, x[:, :4])[0], normed_sum(norm, x[:, :4].contiguous())[0])
    torch.testing.assert_close(gate(nn.SiLU(), x[:, :3], x[:, 3:]), silu(x[:, :3]) * x[:, 3:])
    torch.testing.assert_close(gate(nn.GELU(), x, x), nn.GELU()(x) * x)


def test_the_gate_of_transformers_models_is_a_loop() -> None:
    x = torch.randn(3, 4, requires_grad=True)
    ours = gate(nn.SiLU(), x, x)
    for name in ("silu", "swish"):
        assert type(gate(ACT2FN[name], x, x).grad_fn) is type(ours.grad_fn)
    assert type(gate(nn.GELU(), x, x).grad_fn) is not type(ours.grad_fn)


@pytest.mark.parametrize("dtype", DIGITS)
def test_a_weight_that_learns_stays_in_32_bits_and_has_its_gradient(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.randn(30, WIDTH).to(dtype).requires_grad_()
    norm = a_norm(torch.float32).requires_grad_()
    exact_x, exact_weight = (one.detach().double().requires_grad_() for one in (x, norm.weight))
    read, _total = normed_sum(norm, x)
    assert read.dtype == dtype
    ours = torch.autograd.grad(read.sum(), (x, norm.weight))
    exact = torch.autograd.grad(rms_norm(exact_x, (WIDTH,), exact_weight, 1e-5).sum(), (exact_x, exact_weight))
    for one, other in zip(ours, exact, strict=True):
        assert ((one.double() - other).abs() <= DIGITS[dtype] * other.abs().max()).all()


def test_without_gnu_s_openmp_it_is_pytorch_s_way() -> None:
    loops.openmp_parallel.cache_clear()
    try:
        with patch.object(loops.ctypes, "CDLL", side_effect=OSError):
            assert not loops.takes(torch.ones(2))
    finally:
        loops.openmp_parallel.cache_clear()


@pytest.mark.parametrize("error", [RuntimeError("cannot cache function"), OSError(28, "No space left on device")])
def test_where_nothing_can_be_kept_a_loop_is_compiled_each_time(error: Exception) -> None:
    plain = loops.cfunc

    def only_fleeting(*words: Any, cache: bool = False, **how: Any) -> Any:
        if cache:
            raise error
        return plain(*words, **how)

    def doubled(job: Any) -> None:
        count, x = whole(job, 1), numbers(job, 2)
        while True:
            one = claim(job, 1)
            if one >= count:
                break
            store(x, one, load(x, one) * two)

    two, x = float32(2), torch.arange(5.0)
    with patch.object(loops, "cfunc", only_fleeting):
        loops.Loop(doubled)(x.dtype, len(x), x)
    assert x.tolist() == [0, 2, 4, 6, 8]


def test_each_state_of_the_loops_has_a_place_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert loops.config.CACHE_DIR.rpartition("/")[2].startswith("kernels-")
    monkeypatch.setattr(loops.config, "CACHE_DIR", "/somewhere")
    assert loops._place().startswith("/somewhere/kernels-")
    monkeypatch.setattr(loops.config, "CACHE_DIR", "")
    with patch.object(loops.Path, "home", side_effect=RuntimeError):
        assert loops._place() == ""


def a_llama() -> Any:
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=3, num_attention_heads=2,
        num_key_value_heads=1,
    ))  # fmt: skip
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.normal_()
    return get_peft_model(model, LoraConfig(r=3, target_modules="all-linear", init_lora_weights=False)).train()


def test_a_whole_llama_in_32_bits_has_transformers_gradients() -> None:
    ids = torch.arange(40).view(2, 20)
    model = a_llama()
    exact = gradients(model(input_ids=ids, labels=ids).loss, model)

    def off(model: Any) -> float:
        found = gradients(model(input_ids=ids, labels=ids).loss, model)
        assert found.keys() == exact.keys()
        squares = sum(float((found[name].double() - one.double()).square().sum()) for name, one in exact.items())
        return (squares / sum(float(one.double().square().sum()) for one in exact.values())) ** 0.5

    quicken_norms(model)
    quicken_blocks(model)
    assert off(model) < 1e-5
