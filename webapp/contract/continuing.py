"""Going on from an adapter: with which knobs a later job takes up what an earlier one kept."""

from collections.abc import Mapping

from webapp.contract.methods import KnobValue


def knobs_to_continue(method: str, knobs: Mapping[str, KnobValue]) -> dict[str, KnobValue]:
    """The earlier job's knobs, as far as its adapter's make demands other ones.

    rsLoRA and PiSSA are kept as plain LoRA with scale and start worked into the matrices, so it is that which goes on.
    """
    kept = dict(knobs)
    if method == "lora" and (knobs["init"] == "pissa" or knobs["variant"] == "rslora"):
        rank = int(knobs["rank"]) * (2 if knobs["init"] == "pissa" else 1)
        kept |= {"rank": rank, "alpha": rank, "init": "default", "variant": "lora"}
    return kept
