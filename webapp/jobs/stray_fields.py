"""Fields of a submission that belong to nothing: misspelt, or a setting of another method."""

from collections.abc import Iterator, Mapping, Sequence

from webapp.contract.methods import METHODS, Method, knobs_of
from webapp.contract.recipe import unknown_name
from webapp.jobs.knob_text import is_auto


def stray_fields(
    sent: Mapping[str, object], method: Method | None, ours: Sequence[str], of_the_page: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Each with what is wrong with it. `ours` are known to people, `of_the_page` only to the page."""
    own = [knob.name for knob in knobs_of(method.name)] if method else []
    others = _owners()
    for field, value in sent.items():
        if field in (*ours, *of_the_page) or field in own or (field in others and is_auto(value)):
            continue
        if field in others and method:
            owners = " and ".join(others[field])
            yield field, f"“{field}” is a setting of {owners}, not of {method.label}. Leave it out."
        else:
            yield field, unknown_name("field", field, [*ours, *own])


def _owners() -> dict[str, list[str]]:
    """Setting -> the methods that have it."""
    owners: dict[str, list[str]] = {}
    for method in METHODS.values():
        for knob in method.knobs:
            owners.setdefault(knob.name, []).append(method.label)
    return owners
