"""The last block computed for those positions alone that something is asked of: the labels', or a row's last token.

Keys and values are needed of every token, and attention is computed for all; the feed-forward, three quarters of a
block's products, only for those few. Measured on/off: see README, “Speed”.
"""

from types import MethodType
from typing import Any

from worker.engine.levers.blocks import DECODERS_BLOCKS, decoder_block


def narrow_last_block(model: Any) -> None:
    """Where its last block is one of these, a model given `asked` (N,) returns last hidden states (1, N, H) of these
    places of a pack, and says so by `narrows`."""
    blocks = getattr(model.base_model, "layers", [None])
    model.narrows = isinstance(blocks[-1], DECODERS_BLOCKS)
    if model.narrows:
        blocks[-1].forward = MethodType(decoder_block, blocks[-1])
