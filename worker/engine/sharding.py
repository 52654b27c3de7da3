"""A frozen base larger than one card: each process keeps its share of every block, and all lend theirs when it is
computed (FSDP2, Zhao et al. 2023, arXiv 2304.11277, as PyTorch's `fully_shard`).

What an adapter has stays whole in every process, since it is small; so steps, checkpoints and adapters are as without
this. While the first computes alone (it measures, it generates), it calls the others for each block.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard

from worker.engine.errors import TrainingError
from worker.engine.forward import Model, unwrapped
from worker.engine.methods.pissa import START
from worker.engine.process_group import ProcessGroup, Say

_IN_4_BITS = (
    "A base in 4 bits cannot be shared out among processes. Keep its weights as they are, or set is_sharded to false "
    "in the job's options.json."
)


def share_out(model: Model, group: ProcessGroup, device: torch.device) -> list[FSDPModule]:
    """The blocks whose frozen weights are shared out from now on, in an order that all processes agree on; none where
    each process keeps all. The model may lie in main memory still; each block moves to the device as it is cut."""
    if not group.is_sharded:
        return []
    mesh = init_device_mesh(device.type, (group.size,))
    # Who has kept what comes out of frozen blocks would not go through them with the others.
    unwrapped(model).frozen_trunk = None
    blocks = []
    names = set(unwrapped(model)._no_split_modules)
    for block in [module for module in model.modules() if type(module).__name__ in names]:
        if not all(one.is_floating_point() for one in block.parameters()):
            raise TrainingError("base_model", _IN_4_BITS)
        whole = {one for name, one in block.named_parameters() if one.requires_grad or f".{START}." in name}
        if len(whole) < len(list(block.parameters())):
            blocks.append(fully_shard(block, mesh=mesh, reshard_after_forward=True, ignored_params=whole))
    model.to(device)
    if group.is_first:
        for number, block in enumerate(blocks):
            block.register_forward_pre_hook(_call_the_others(group, number), prepend=True)
    return blocks


def lend(block: FSDPModule) -> None:
    """Take part in the gathering of a block that somebody else computes."""
    block.unshard()
    block.reshard()


def _call_the_others(group: ProcessGroup, number: int) -> Callable[..., None]:
    def call(_block: torch.nn.Module, _inputs: Any) -> None:
        if not group.is_in_step:
            group.say(Say.LEND, [number])

    return call
