"""A process that knows nothing of us: it runs model cards' own code and tells what comes out.

python -I fresh.py < cells.json    [{"code": ..., "inputs": [...], "merges": bool}, ...] -> as many results

All inputs are answered at once, as the card's code does it; then the last one alone, whose logits are told.
"""

import ast
import contextlib
import io
import json
import sys
from typing import Any

import torch


def results_of(cell: dict[str, Any]) -> dict[str, Any]:
    together, _room = run(cell["code"], cell["inputs"])
    alone, room = run(cell["code"], cell["inputs"][-1:])
    logits = logits_of(room)
    merged = None
    if cell["merges"]:
        room["model"] = room["model"].merge_and_unload()
        merged = logits_of(room)
    return {"said": together, "alone": alone[0], "logits": logits, "merged": merged}


def run(code: str, texts: list[str]) -> tuple[list[str], dict[str, Any]]:
    """What the code prints, in a namespace of its own."""
    room = dict[str, Any]()
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code.replace('["YOUR INPUT", "ANOTHER INPUT"]', repr(texts)), room)
    return ast.literal_eval(printed.getvalue()), room


@torch.no_grad()
def logits_of(room: dict[str, Any]) -> list[float]:
    """For the last input: of the next token, of the labels, or of the first token written."""
    model, inputs = room["model"].eval(), dict(room["inputs"])
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = torch.tensor([[model.config.decoder_start_token_id]])
    logits = model(**inputs).logits
    return (logits[0, -1] if logits.dim() == 3 else logits[0]).float().tolist()


if __name__ == "__main__":
    results = [results_of(cell) for cell in json.load(sys.stdin)]
    ours = [name for name in sys.modules if name.startswith(("webapp", "worker", "django"))]
    sys.stdout.write(json.dumps({"results": results, "ours": ours}))
