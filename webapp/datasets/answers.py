"""How a refusal is told to a client that reads JSON."""

from collections.abc import Sequence

from django.http import HttpRequest, JsonResponse

from webapp.contract.rows import RowProblem


def prefers_json(request: HttpRequest) -> bool:
    return request.get_preferred_type(["text/html", "application/json"]) == "application/json"


def refusal_json(problem: RowProblem, *, status: int, problems: Sequence[RowProblem] = ()) -> JsonResponse:
    """{"code", "message", "hint", "line", "column", "problems"}"""
    body = {**problem.model_dump(), "problems": [item.model_dump() for item in problems]}
    return JsonResponse(body, status=status)
