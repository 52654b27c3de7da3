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
    content = json.dumps({name: value for name, value in sent.items() if name != KEY_FIELD}, sort_keys=True)
    digest = hashlib.sha256(f"{request.path}\n{content}".encode()).hexdigest()[:16]
    return f"{_checked(field, LONGEST_FIELD, f'The field {KEY_FIELD}')}-{digest}"


def _checked(key: object, longest: int, what: str) -> str:
    if not isinstance(key, str) or not 0 < len(key) <= longest or not key.isascii() or not key.isprintable():
        raise BadKey(f"{what} must have 1 to {longest} printable ASCII characters.")
    return key
