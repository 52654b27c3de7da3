"""Join tokens: each lets one machine in as one worker, once, and only for a while.

The machine that uses a token brings a key of its own, made and kept before it asks. From then on the key is what lets
it in again, after a restart or where the answer to its first request was lost; the token is spent for all others.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from webapp import storage
from webapp.audit.recording import note, settle
from webapp.clock import database_now
from webapp.workers.models import JoinToken, Worker
from webapp.workers.rules import Refused

LIFETIMES = {1: "1 hour", 24: "1 day", 168: "1 week"}
"""Hours -> words; what an admin may choose."""
DEFAULT_HOURS = 24
_NEW_ONE = "Make a new one on the worker's page, under Workers."


class TokenRefused(Refused):
    """This token lets this machine in no more, or never did."""


def join_token_make(worker_id: UUID, hours: int = DEFAULT_HOURS) -> tuple[JoinToken, str]:
    """The row, and the token itself, which is kept nowhere. Tokens of this worker that nobody has used end with it.

    Raises Refused.
    """
    # The machine that joins looks for it before it asks.
    storage.installation_id()
    text = secrets.token_urlsafe(32)
    with transaction.atomic():
        if not Worker.objects.in_service().filter(id=worker_id).exists():
            raise Refused("A retired worker may not join again. Add a new one.")
        now = database_now()
        JoinToken.objects.filter(worker_id=worker_id, used_at=None, revoked_at=None).update(revoked_at=now)
        token = JoinToken.objects.create(
            worker_id=worker_id, sha256=_sha256(text), created_at=now, expires_at=now + timedelta(hours=hours)
        )
    return token, text


def join_token_revoke(token: JoinToken) -> bool:
    """A token that was used lets its machine in no more either; a worker that runs is not disturbed. False if it was
    revoked before."""
    return JoinToken.objects.filter(id=token.id, revoked_at=None).update(revoked_at=database_now()) == 1


@transaction.atomic
def join_token_use(text: str, key: str, *, host: str) -> Worker:
    """The worker that this token makes of the machine with this key. Of two machines at once one gets in.

    Raises TokenRefused, with why and what to do; only who holds the token learns that much of it.
    """
    token = JoinToken.objects.select_related("worker").filter(sha256=_sha256(text)).first()
    if token is None:
        raise TokenRefused(f"This join token is not known. Copy it again as one piece, or make a new one. {_NEW_ONE}")
    now = database_now()
    unused = JoinToken.objects.filter(id=token.id, used_at=None, revoked_at=None, expires_at__gt=now)
    if unused.update(used_at=now, used_from=host, key_sha256=_sha256(key)) == 1:
        # Only now: until its successor has come, a machine may still come back with an older token.
        JoinToken.objects.filter(worker=token.worker, revoked_at=None).exclude(id=token.id).update(revoked_at=now)
    else:
        token.refresh_from_db()
        _check_comes_back(token, _sha256(key), now)
        note("came back with its key")
    settle(token.worker)
    return token.worker


def _check_comes_back(token: JoinToken, key_sha256: str, now: datetime) -> None:
    """Raises TokenRefused unless the machine that used this token is here again."""
    if token.revoked_at is not None:
        raise TokenRefused(
            f"This join token was revoked on {_when(token.revoked_at)}, or replaced by a newer one. {_NEW_ONE}"
        )
    if token.used_at is None:
        raise TokenRefused(f"This join token expired on {_when(token.expires_at)}. {_NEW_ONE}")
    if not secrets.compare_digest(token.key_sha256, key_sha256):
        raise TokenRefused(
            f"This join token was used on {_when(token.used_at)} by the worker “{token.worker.name}” on "
            f"{token.used_from or 'another machine'}. It works once, for one machine. {_NEW_ONE}"
        )


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d at %H:%M} UTC"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
