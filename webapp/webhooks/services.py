"""What webhooks and their outbox can undergo. A notice is written with what it tells of, and sent later."""

import json
import logging
import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.db.models import F

from webapp.accounts.models import User
from webapp.clock import database_now
from webapp.sealing import CannotOpen, seal
from webapp.webhooks.message import MAX_BODY, message_of
from webapp.webhooks.models import TEST_TOPIC, Notice, Webhook
from webapp.webhooks.sending import Answer, post

MAX_WEBHOOKS = 5
CLAIMED_FOR = timedelta(seconds=60)
"""Longer than any pass takes; a sender that died in the middle is followed by another after this."""
KEPT_FOR = timedelta(days=30)
_SENDERS = 8

_log = logging.getLogger(__name__)


class TooMany(Exception):
    """The person has as many webhooks as one may have."""


def webhook_add(owner: User, url: str) -> Webhook:
    """Raises TooMany."""
    with transaction.atomic():
        # Two requests at once are counted one after the other.
        User.objects.select_for_update().get(id=owner.id)
        if Webhook.objects.of(owner).count() >= MAX_WEBHOOKS:
            raise TooMany
        return Webhook.objects.create(owner=owner, url=url, sealed_secret=seal(f"whsec_{secrets.token_urlsafe(32)}"))


def webhook_test(webhook: Webhook) -> Notice:
    """Send a test at once, and try it only once. The notice returned says how it went."""
    now = database_now()
    notice = Notice.objects.create(
        webhook=webhook,
        topic=TEST_TOPIC,
        payload={"sentence": "This is a test from Graftwork."},
        created_at=now,
        next_try_at=now,
    )
    if _claim(notice, now):
        _record(notice, _send(notice, now), now)
    notice.refresh_from_db()
    return notice


def notices_add(owner: User, topic: str, payload: dict[str, Any]) -> None:
    """Write down, in the caller's transaction, what the owner's switched-on webhooks are to be told."""
    webhooks = list(Webhook.objects.of(owner).filter(is_on=True))
    if not webhooks:
        return
    # A figure that is not finite has no form in JSON: it must not make the caller's transaction fail.
    clean = json.loads(json.dumps(payload, cls=DjangoJSONEncoder), parse_constant=lambda _: None)
    now = database_now()
    Notice.objects.bulk_create(
        Notice(webhook=webhook, topic=topic, payload=clean, created_at=now, next_try_at=now) for webhook in webhooks
    )


def notices_deliver(now: datetime, limit: int = 20) -> int:
    """Send what is due, several at once; how many were tried. Takes up to about 15 seconds: never call it in the path
    of a job, nor inside a transaction."""
    _forget_old(now)
    due = Notice.objects.due(now).select_related("webhook")[:limit]
    claimed = [notice for notice in due if _claim(notice, now)]
    if not claimed:
        return 0
    with ThreadPoolExecutor(max_workers=min(_SENDERS, len(claimed))) as senders:
        # The threads only send; the database is written to here, by the caller's connection.
        answers = senders.map(partial(_send, at=now), claimed)
        for notice, answer in zip(claimed, answers, strict=True):
            _record(notice, answer, now)
    return len(claimed)


def notice_retry(notice: Notice) -> bool:
    """Put a given-up notice back into the outbox, with all its tries before it. False if it is not given up."""
    given_up = Notice.objects.filter(id=notice.id, given_up_at__isnull=False)
    return given_up.update(given_up_at=None, tries=0, next_try_at=database_now()) == 1


def _claim(notice: Notice, now: datetime) -> bool:
    """Of two senders one gets it. Only the notice's own columns are asked: PostgreSQL checks those again after
    waiting for the other sender, but not a joined table's."""
    mine = Notice.objects.waiting().filter(id=notice.id, next_try_at__lte=now)
    if mine.update(next_try_at=now + CLAIMED_FOR, tries=F("tries") + 1) != 1:
        return False
    notice.tries += 1
    return True


def _send(notice: Notice, at: datetime) -> Answer:
    try:
        message = message_of(notice, at)
    except CannotOpen:
        return Answer(None, "The key of this webhook's secret is lost: nothing can be signed. Add the webhook again.")
    if len(message.body) > MAX_BODY:
        return Answer(None, f"It is {len(message.body):,} bytes long; more than {MAX_BODY:,} are not sent.")
    try:
        return post(notice.webhook.url, message.body, message.headers)
    except Exception:
        # Loud in the log, but one notice must not hold up those of other people.
        _log.exception("Sending notice %s failed by our own fault.", notice.id)
        return Answer(None, "Graftwork itself failed while sending; the server's log says why.")


def _record(notice: Notice, answer: Answer, now: datetime) -> None:
    unsent = Notice.objects.filter(id=notice.id, delivered_at=None)
    if not answer.error:
        unsent.update(delivered_at=now, given_up_at=None, last_error="")
    elif notice.is_last_try:
        unsent.filter(tries=notice.tries).update(given_up_at=now, last_error=answer.error)
    else:
        unsent.filter(tries=notice.tries).update(next_try_at=now + notice.wait, last_error=answer.error)
    Webhook.objects.filter(id=notice.webhook_id).update(last_status=answer.status, last_error=answer.error, last_at=now)


def _forget_old(now: datetime) -> None:
    """Looked for first: a delete would take SQLite's write lock even where nothing is old."""
    old = Notice.objects.filter(created_at__lt=now - KEPT_FOR)
    if old.exists():
        old.delete()
