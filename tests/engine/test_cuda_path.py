"""What cards are spared, as far as it shows without one: nobody waits for them in a step, and few sizes are seen."""

import json
import math
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from tests.engine.here import Attempt, asked, lay_job, with_options
from tests.engine.packs import ROWS, gradients, row, trained_model
from tests.engine.runs import MAKERS
from tests.engine.test_levers import CLOSE
from tests.gpu import checks
from tests.tiny import make_llama, tiny_recipe
from webapp.contract.checkpoint import checkpoints_in
from webapp.contract.events import Event
from webapp.contract.methods import METHODS
from worker.engine import forward, step
from worker.engine.encode import Encoded
from worker.engine.figures import Figures, FiguresOnTheWay
from worker.engine.fit import LARGEST_GRADIENT_NORM
from worker.engine.forward import token_losses
from worker.engine.levers import packed_attention, varlen_attention
from worker.engine.levers.packed_rows import MULTIPLE, Pack, pack
from worker.engine.methods import ENGINE_METHODS
from worker.engine.model import Place, choose_place, load_base

READS = ("_local_scalar_dense", "nonzero", "bincount", "masked_select", "equal")
"""What makes the processor wait for numbers on a card."""


class Waiting(TorchDispatchMode):
    """Notes what would wait for a card; the device “meta”, which has no numbers, stands for it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        tensors = [one for one in args if isinstance(one, Tensor)]
        if any(word in func.name() for word in READS) and any(one.is_meta for one in tensors):
            self.found.append(func.name())
        if "copy" in func.name() and tensors[-1].device != result.device and not kwargs.get("non_blocking"):
            self.found.append(f"{func.name()} from {tensors[-1].device} to {result.device}")
        return result


@pytest.mark.parametrize(
    ("family", "task", "method"),
    [
        *(("llama", "generate", method) for method in METHODS),
        ("gpt2", "generate", "lora"),
        ("llama", "classify", "lora"),
    ],
)
def test_a_step_never_waits_for_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str, task: Any, method: str
) -> None:
    # There is none on “meta”.
    monkeypatch.setattr(step, "mixed_precision", lambda _model: nullcontext())
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda *_of: False)
    base = MAKERS[family](tmp_path / "base")
    place = Place(torch.device("cpu"), torch.float32, torch.float32)
    loaded = load_base(base, task, place, ["a", "b"] if task == "classify" else [])
    model = ENGINE_METHODS[method].build(loaded, tiny_recipe(base, task=task, method=method), base).to("meta")
    label = 0 if task == "classify" else -1
    rows = [Encoded(row(ids).ids, row(ids).trained, ids, label=label) for ids in ROWS]
    with Waiting() as waiting:
        loss = step.step_loss(model, rows, 400)
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        norm = nn.utils.clip_grad_norm_(trained, LARGEST_GRADIENT_NORM)
    assert loss.is_meta and norm.is_meta
    assert waiting.found == []


def test_reading_a_number_of_the_card_would_show() -> None:
    """The test above could fail."""
    with Waiting() as waiting:
        torch.tensor([1.0]).to("meta")
        with pytest.raises((RuntimeError, NotImplementedError)):
            torch.zeros(1, device="meta").item()
    assert waiting.found == ["aten::_to_copy from cpu to meta"]


def test_figures_of_a_card_arrive_when_the_next_ones_set_out() -> None:
    late, prompt = FiguresOnTheWay(is_late=True), FiguresOnTheWay(is_late=False)
    one, two = (Figures(step=number, learning_rate=0.1, tokens=7) for number in (1, 2))
    loss, norm = torch.tensor(2.5), torch.tensor(0.5)
    assert prompt.send(one, loss, norm) == Figures(1, 0.1, 7, 2.5, 0.5) and prompt.arrive() is None
    assert late.send(one, loss, norm) is None
    assert late.send(two, loss, norm) == Figures(1, 0.1, 7, 2.5, 0.5)
    assert late.arrive() == Figures(2, 0.1, 7, 2.5, 0.5) and late.arrive() is None


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A processor that reads its figures as late as those of a card are read."""
    monkeypatch.setattr("worker.engine.training.Training.is_on_card", property(lambda _training: True))
    return lambda: monkeypatch.undo()


def losses(events: list[Event]) -> dict[int, tuple[float, float, int]]:
    return {one.step: (one.loss, one.learning_rate, one.tokens) for one in events if one.kind == "stepped"}


def test_figures_read_late_are_those_of_their_steps(tmp_path: Path, late: Callable[[], None]) -> None:
    """Also where the job was stopped in between."""
    again = lay_job(tmp_path)
    first = asked(again, "stop", "stepped", 5)
    second, whole = Attempt(again), Attempt(lay_job(tmp_path))
    late()
    prompt = Attempt(lay_job(tmp_path))
    assert losses(whole.events) == losses(prompt.events)
    assert losses(first.events + second.events) == losses(prompt.events)
    assert whole.watched == prompt.watched


def test_nothing_is_kept_of_a_step_whose_loss_was_read_too_late(
    tmp_path: Path, late: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = step.step_loss
    steps = iter(range(1, 100))

    def wild(*args: Any, **rest: Any) -> Tensor:
        loss = plain(*args, **rest)
        if next(steps) == 4:
            weights: list[nn.Parameter] = [one for one in args[0].parameters() if one.grad is not None]
            weights[0].grad = torch.full_like(weights[0], math.nan)
        return loss

    monkeypatch.setattr("worker.engine.process_group.step_loss", wild)
    attempt = Attempt(with_options(lay_job(tmp_path), checkpoint_steps=2))
    failed = attempt.events[-1]
    assert failed.kind == "failed" and failed.code == "loss_not_finite"
    assert "at step 4" in failed.message
    assert [one.manifest.step for one in checkpoints_in(attempt.job_dir)] == [2]
    assert list(losses(attempt.events)) == [1, 2, 3]


# One kernel for the attention of all rows.


def attend_row_by_row(query: Tensor, key: Tensor, value: Tensor, *ends: Any, **rest: Any) -> Tensor:
    """What the kernel computes, the slow way: each row's last query stands at its last key."""
    query_ends, key_ends, longest_query, longest_key = ends
    assert rest["window_size"] == (-1, 0)
    parts = []
    for at in range(len(query_ends) - 1):
        q = query[query_ends[at] : query_ends[at + 1]]
        k, v = (one[key_ends[at] : key_ends[at + 1]] for one in (key, value))
        assert len(q) <= longest_query and len(k) <= longest_key
        hidden = torch.ones(len(q), len(k), dtype=torch.bool).tril(len(k) - len(q)).logical_not()
        heads = query.shape[1] // key.shape[1]
        scores = torch.einsum("qhd,khd->hqk", q, k.repeat_interleave(heads, 1)) * rest["scale"]
        attention = scores.masked_fill(hidden, -torch.inf).softmax(-1)
        parts.append(torch.einsum("hqk,khd->qhd", attention, v.repeat_interleave(heads, 1)))
    return torch.cat(parts)


def kernel_that_shares_keys(*tensors: Any, scale: float, window_size: Any, enable_gqa: bool = False) -> Tensor:
    """With the arguments of torch 2.13."""
    assert enable_gqa
    return attend_row_by_row(*tensors, scale=scale, window_size=window_size)


def kernel_of_torch_2_11(*tensors: Any, scale: float, window_size: Any) -> Tensor:
    """It has no argument for keys that several heads of queries share."""
    assert tensors[0].shape[1] == tensors[1].shape[1] == tensors[2].shape[1]
    return attend_row_by_row(*tensors, scale=scale, window_size=window_size)


@pytest.mark.parametrize("kernel", [kernel_that_shares_keys, kernel_of_torch_2_11])
@pytest.mark.parametrize("multiple", [1, 128])
@pytest.mark.parametrize(
    ("num_virtual", "prefix", "rows"), [(0, 0, ROWS), (3, 0, ROWS), (0, 4, ROWS), (0, 0, ROWS[:1])]
)
def test_the_kernel_is_given_what_each_row_sees(
    monkeypatch: pytest.MonkeyPatch, num_virtual: int, prefix: int, rows: list[list[int]], multiple: int, kernel: Any
) -> None:
    monkeypatch.setattr(varlen_attention, "varlen_attn", kernel)
    layout = pack(rows, num_virtual=num_virtual, multiple=multiple).layout
    tokens = len(layout.positions)
    torch.manual_seed(0)
    sizes = ((4, tokens), (2, prefix + tokens), (2, prefix + tokens))
    q, k, v = (torch.randn(1, heads, many, 8, dtype=torch.float64, requires_grad=True) for heads, many in sizes)

    def seen() -> tuple[Tensor, ...]:
        output = packed_attention.packed_attention(nn.Module(), q, k, v, None, layout=layout, scaling=0.3)[0]
        return output, *torch.autograd.grad(output, (q, k, v), torch.linspace(-1, 1, 8).expand_as(output))

    written_out = seen()
    monkeypatch.setattr(packed_attention, "varlen_takes", lambda *_args, **_rest: True)
    for ours, theirs in zip(seen(), written_out, strict=True):
        torch.testing.assert_close(ours, theirs, **CLOSE)


@pytest.mark.parametrize(
    "asked_for", [{"dropout": 0.1, "window": None}, {"dropout": 0.0, "window": 8}, {"dropout": 0.0, "window": None}]
)
def test_a_processor_has_no_such_kernel(asked_for: dict[str, Any]) -> None:
    assert not varlen_attention.varlen_takes(torch.zeros(3, 2, 8, dtype=torch.bfloat16), **asked_for)


# Few sizes.


@pytest.mark.parametrize("multiple", MULTIPLE.values())
@pytest.mark.parametrize("num_virtual", [0, 3])
def test_packs_are_filled_up_to_a_multiple(num_virtual: int, multiple: int) -> None:
    for rows in (ROWS, ROWS[:1], ROWS[1:3]):
        plain, filled = pack(rows, num_virtual=num_virtual), pack(rows, num_virtual=num_virtual, multiple=multiple)
        assert len(filled.layout.positions) % multiple == 0
        assert len(filled.ids) + num_virtual == len(filled.layout.positions)
        assert filled.ids[: len(plain.ids)].tolist() == plain.ids.tolist()
        assert filled.layout.starts == plain.layout.starts


def _pack(always: int, *args: Any, multiple: int, **rest: Any) -> Pack:
    return pack(*args, multiple=always, **rest)


@pytest.mark.parametrize("method", ["lora", "prompt_tuning", "prefix_tuning"])
def test_what_fills_a_pack_up_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    model = trained_model(make_llama(tmp_path / "base", max_position_embeddings=512), method)
    rows = [row(ids) for ids in ROWS]
    found = []
    for multiple in (1, *MULTIPLE.values()):
        monkeypatch.setattr(forward, "pack", partial(_pack, multiple))
        losses_of_tokens = token_losses(model, rows)[0]
        found.append((losses_of_tokens.detach(), gradients(losses_of_tokens.sum(), model)))
    (plain, plain_gradients), *each = found
    for filled, filled_gradients in each:
        torch.testing.assert_close(filled, plain)
        for name, one in plain_gradients.items():
            torch.testing.assert_close(filled_gradients[name], one, rtol=1e-5, atol=1e-9)


@pytest.mark.gpu
@pytest.mark.parametrize("method", checks.PACKED_METHODS)
def test_on_a_card_the_kernel_has_the_gradients_of_what_is_written_out(tmp_path: Path, method: str) -> None:
    checks.kernel_has_the_gradients_of_what_is_written_out(tmp_path, torch.device("cuda"), method)


@pytest.mark.gpu
def test_on_a_card_a_step_never_waits(tmp_path: Path) -> None:
    checks.a_step_never_waits(tmp_path, torch.device("cuda"))


def test_a_card_that_only_imitates_bf16_computes_in_fp32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cards before Ampere say that they can, and are far slower at it."""
    config = make_llama(tmp_path / "base") / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "dtype": "bfloat16"}))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert choose_place(config.parent, "generate").precision == "fp32"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
    assert choose_place(config.parent, "generate").precision == "bf16"
