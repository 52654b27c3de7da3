"""What a client that reads JSON is answered while a file is read or its rows are checked, and how long a request waits.

Most files are read within the first request. A longer reading is answered with 202, the address to ask again and
`Retry-After`; a GET of the upload then answers 202 until it is read, and saving is done by sending the same POST again.
"""

from django.http import HttpRequest, JsonResponse
from django.urls import reverse

from webapp.contract.rows import RowProblem
from webapp.datasets.answers import prefers_json, refusal_json
from webapp.datasets.mapping import mapping_guess
from webapp.datasets.models import Upload
from webapp.datasets.reading.start import Reading

JSON_WAIT_SECONDS = 10.0
PAGE_WAIT_SECONDS = 1.0
"""A page is shown after this long, with the progress in it."""
RETRY_AFTER_SECONDS = 1


def wait_seconds(request: HttpRequest) -> float:
    """A script gets its answer in one request where it can; one that shows progress says `Prefer: respond-async`."""
    is_async = "respond-async" in request.headers.get("Prefer", "")
    return JSON_WAIT_SECONDS if prefers_json(request) and not is_async else PAGE_WAIT_SECONDS


def problem_of(reading: Reading) -> RowProblem | None:
    """Why the file cannot be used, or why reading it was stopped."""
    return (reading.facts.refusal if reading.facts else None) or reading.failure


def created_json(upload: Upload, reading: Reading) -> JsonResponse:
    """To the upload itself: 201, or 202 while the file is read."""
    url = reverse("upload-detail", args=[upload.id])
    if not upload.is_read:
        return _not_yet({"id": str(upload.id), "url": url, "file_name": upload.file_name}, reading, url)
    return JsonResponse(_described(upload, url), status=201, headers={"Location": url})


def unread_json(upload: Upload, reading: Reading) -> JsonResponse:
    """To a look at an upload: 200 once it is read."""
    url = reverse("upload-detail", args=[upload.id])
    if problem := problem_of(reading):
        return refusal_json(problem, status=422)
    if reading.facts is None:
        return _not_yet({"id": str(upload.id), "url": url, "file_name": upload.file_name}, reading, url)
    return JsonResponse(_described(upload, url))


def unchecked_json(request: HttpRequest, reading: Reading) -> JsonResponse:
    """To saving, before the rows were checked. Nothing is saved yet: the same request is to be sent again."""
    if problem := problem_of(reading):
        return refusal_json(problem, status=422)
    body = {"message": "The rows are being checked; nothing is saved yet. Send the same request again."}
    return _not_yet(body, reading, request.path)


def _described(upload: Upload, url: str) -> dict[str, object]:
    return {
        "id": str(upload.id),
        "url": url,
        "file_name": upload.file_name,
        "columns": upload.columns,
        "num_rows": upload.num_rows,
        "guess": mapping_guess(upload.columns),
    }


def _not_yet(body: dict[str, str], reading: Reading, url: str) -> JsonResponse:
    headers = {"Location": url, "Retry-After": str(RETRY_AFTER_SECONDS)}
    return JsonResponse({**body, "progress": reading.progress.model_dump()}, status=202, headers=headers)
