"""Fields of a submission that belong to nothing: misspelt, or a setting of another method."""

from collections.abc import Mapping, Sequence

from webapp.contract.methods import METHODS, Method, knobs_of
from webapp.contract.recipe import unknown_names
from webapp.jobs.knob_text import is_auto


def stray_fields(
    sent: Mapping[str, object], method: Method | None, ours: Sequence[str], of_the_page: Sequence[str]
) -> dict[str, str]:
    """Each with what is wrong with it. `ours` are known to people, `of_the_page` only to the page.

    A script may send any number of fields, so of the unknown ones only the first few have a sentence of their own.
    """
    own = [knob.name for knob in knobs_of(method.name)] if method else []
    known, others = {*ours, *of_the_page, *own}, _owners()
    problems: dict[str, str] = {}
    unknown: list[str] = []
    for field, value in sent.items():
        if field in known or (field in others and is_auto(value)):
            continue
        if field in others and method:
            owners = " and ".join(others[field])
            problems[field] = f"“{field}” is a setting of {owners}, not of {method.label}. Leave it out."
        else:
            unknown.append(field)
    return problems | unknown_names("field", unknown, [*ours, *own])


def _owners() -> dict[str, list[str]]:
    """Setting -> the methods that have it."""
    owners: dict[str, list[str]] = {}
    for method in METHODS.values():
        for knob in method.knobs:
            owners.setdefault(knob.name, []).append(method.label)
    return owners
