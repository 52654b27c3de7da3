"""The fields of a request, from a form or from a JSON object. What could be read in two ways is refused."""

import json
from typing import Any, NoReturn

from django.http import HttpRequest, QueryDict

from webapp.datasets.answers import prefers_json

NOT_OURS = ("csrfmiddlewaretoken", "update")
"""Sent by the page, not by the person."""


class BadBody(ValueError):
    """The request's body cannot be read; the message says why."""


def wants_json(request: HttpRequest) -> bool:
    """A script asks: by what it accepts, or by what it sends."""
    return _is_json(request) or prefers_json(request)


def sent_fields(request: HttpRequest) -> dict[str, object]:
    """Raises BadBody."""
    if _is_json(request):
        return json_fields(request.body)
    return _form_fields(request.POST)


def json_fields(body: bytes) -> dict[str, object]:
    """The members of one JSON object. Raises BadBody for all that is no plain JSON, NaN and double names included."""
    try:
        fields = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_without_doubles)
    except RecursionError:
        raise BadBody("The JSON is nested too deeply.") from None
    except ValueError as error:
        raise BadBody(f"The body is not JSON we can read: {error}.") from error
    if not isinstance(fields, dict):
        raise BadBody("The body must be a JSON object, as in {“name”: “My job”, …}.")
    return fields


def _form_fields(form: QueryDict) -> dict[str, object]:
    twice = [name for name, values in form.lists() if len(values) > 1]
    if twice:
        raise BadBody(f"“{twice[0][:60]}” was sent more than once. Send each field once.")
    return {name: value for name, value in form.items() if name not in NOT_OURS}


def _is_json(request: HttpRequest) -> bool:
    return request.content_type == "application/json"


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON number")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name occurs twice in one object")
    return members
