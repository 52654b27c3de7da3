"""The key by which a request that is sent twice makes one job."""

import hashlib
import json
from collections.abc import Mapping

from django.http import HttpRequest

KEY_FIELD = "idempotency_key"
"""What the page sends with each form, new with every view of it."""
LONGEST_KEY = 100
LONGEST_FIELD = 64


class BadKey(ValueError):
    """The key cannot be used; the message says why."""


class KeyReused(Exception):
    """The key made a job of another request."""

    def __init__(self, job_name: str) -> None:
        super().__init__(
            f"This Idempotency-Key was sent before with another request, which made the job “{job_name}”. Nothing was "
            "made now. Send a new key with a new request, or the same request again."
        )


def key_of(request: HttpRequest, sent: Mapping[str, object]) -> str | None:
    """A script's own key from the header, else the page's, else None. Raises BadKey.

    The page's key counts only together with what was sent: who goes back and changes something wants another job.
    """
    header = request.headers.get("Idempotency-Key")
    if header is not None:
        return _checked(header, LONGEST_KEY, "The header Idempotency-Key")
    field = sent.get(KEY_FIELD)
    if field is None or field == "":
        return None
    digest = request_sha256(request, sent)[:16]
    return f"{_checked(field, LONGEST_FIELD, f'The field {KEY_FIELD}')}-{digest}"


def request_sha256(request: HttpRequest, sent: Mapping[str, object]) -> str:
    """Of the address and all that was sent but the key: two requests with one key must not differ in it."""
    content = json.dumps({name: value for name, value in sent.items() if name != KEY_FIELD}, sort_keys=True)
    return hashlib.sha256(f"{request.path}\n{content}".encode()).hexdigest()


def _checked(key: object, longest: int, what: str) -> str:
    if not isinstance(key, str) or not 0 < len(key) <= longest or not key.isascii() or not key.isprintable():
        raise BadKey(f"{what} must have 1 to {longest} printable ASCII characters.")
    return key
