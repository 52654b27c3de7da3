"""Going on from an adapter: what a later job must take over of the one that made it, and what it may choose anew."""

from collections.abc import Collection, Mapping

from webapp.contract.methods import METHODS, KnobValue

LEARNING_RATE_SHARE = 0.5
"""Of Auto's learning rate, as Auto where training goes on. The warm-up climbs to it again from weights that are good
already: with all of it they would be washed out first, with much less new rows would hardly be learnt."""

_NOT_OF_THE_MAKE = frozenset({"dropout", "quantised"})
"""Knobs of a method that leave no trace in what is kept."""


def knobs_to_continue(method: str, knobs: Mapping[str, KnobValue]) -> dict[str, KnobValue]:
    """The earlier job's knobs, as far as its adapter's make demands other ones.

    rsLoRA and PiSSA are kept as plain LoRA with scale and start worked into the matrices, so it is that which goes on.
    """
    kept = dict(knobs)
    if method == "lora" and (knobs["init"] == "pissa" or knobs["variant"] == "rslora"):
        rank = int(knobs["rank"]) * (2 if knobs["init"] == "pissa" else 1)
        kept |= {"rank": rank, "alpha": rank, "init": "default", "variant": "lora"}
    return kept


def fixed_knobs(method: str, knobs: Mapping[str, KnobValue]) -> dict[str, KnobValue]:
    """Those that gave the earlier job's adapter its shape: its weights fit no others."""
    kept = knobs_to_continue(method, knobs)
    return {knob.name: kept[knob.name] for knob in METHODS[method].knobs if knob.name not in _NOT_OF_THE_MAKE}


def labels_problem(adapter: str, trained: Collection[str], given: Collection[str]) -> str | None:
    """Why an adapter, named `adapter`, that tells `trained` apart cannot go on with rows that have `given`."""
    missing, unknown = sorted(set(trained) - set(given)), sorted(set(given) - set(trained))
    if not missing and not unknown:
        return None
    wrong = [f"it lacks {_some(missing)}"] if missing else []
    wrong += [f"{_some(unknown)} {'is' if len(unknown) == 1 else 'are'} new"] if unknown else []
    return (
        f"Labels: {adapter} tells {_some(sorted(trained))} apart, and this dataset must have exactly these; "
        f"{' and '.join(wrong)}. Choose another dataset, or start from the base model."
    )


def _some(labels: list[str]) -> str:
    shown = ", ".join(f"“{label[:40]}”" for label in labels[:5])
    return f"{shown} and {len(labels) - 5} more" if len(labels) > 5 else shown
