"""Reads a knob's value from what a form or a JSON body holds. Strict: what a person did not clearly say is refused."""

import re

from webapp.contract.methods import Knob, KnobValue

_WHOLE = re.compile(r"[+-]?[0-9]+", re.ASCII)
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", re.ASCII)
_MOST_DIGITS = 30
"""More digits are out of every range; Python refuses to read thousands of them."""


def knob_value(knob: Knob, sent: object) -> object:
    """The value to be checked against the knob; whatever is no number stays as it is and fails that check."""
    if knob.kind == "choice" or not isinstance(sent, str):
        return sent
    text = sent.strip()
    if _WHOLE.fullmatch(text):
        return int(text[:_MOST_DIGITS])
    if _DECIMAL.fullmatch(text[:100]) and len(text) <= 100:
        return float(text)
    return text


def knob_text(knob: Knob, value: KnobValue) -> str:
    """A value as one types it: 0.001, not 1e-03."""
    if knob.kind != "float":
        return str(value)
    return f"{value:.10f}".rstrip("0").rstrip(".")


def is_auto(sent: object) -> bool:
    """Nothing typed: the knob stays on Auto."""
    return sent is None or (isinstance(sent, str) and not sent.strip())
