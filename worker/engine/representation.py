"""Where a classifier's model puts a text: the mean of its last hidden states, with what the method adds in place."""

from collections.abc import Sequence

import torch
from torch import Tensor

from worker.engine.encode import Encoded
from worker.engine.forward import Model, hidden_states, padded, unwrapped


def text_directions(model: Model, rows: Sequence[Encoded]) -> Tensor:
    """Unit vectors (B, H) in fp32. Virtual tokens are looked at by the text, but are no part of it."""
    if hasattr(unwrapped(model), "score"):
        places = [(index, position) for index, row in enumerate(rows) for position in range(len(row.ids))]
        states = hidden_states(model, [row.ids for row in rows], places).float()
        sums = torch.stack([one.sum(dim=0) for one in torch.split(states, [len(row.ids) for row in rows])])
    else:
        ids, mask = padded(model, [row.ids for row in rows], "right")
        states = model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states[-1]
        sums = (states[:, -ids.shape[1] :].float() * mask[:, :, None]).sum(dim=1)
    return torch.nn.functional.normalize(sums, dim=-1)
