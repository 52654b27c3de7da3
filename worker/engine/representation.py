"""Where a classifier's model puts a text: the mean of its last hidden states, with what the method adds in place."""

from collections.abc import Sequence

import torch
from torch import Tensor

from worker.engine.encode import Encoded
from worker.engine.forward import Model, hidden_states, padded, unwrapped


def text_directions(model: Model, rows: Sequence[Encoded]) -> Tensor:
    """Unit vectors (B, H) in fp32. Virtual tokens are looked at by the text, but are no part of it."""
    ids, mask = padded(model, [row.ids for row in rows], "right")
    if hasattr(unwrapped(model), "score"):
        hidden, num_virtual = hidden_states(model, [row.ids for row in rows])
        hidden = hidden[:, num_virtual:]
    else:
        hidden = model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states[-1]
        hidden = hidden[:, -ids.shape[1] :]
    sums = (hidden.float() * mask[:, :, None]).sum(dim=1)
    return torch.nn.functional.normalize(sums, dim=-1)
