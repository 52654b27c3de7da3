"""What a receiver gets: a JSON body, and headers that name the delivery and prove who sent it."""

import hashlib
import hmac
import json
from datetime import datetime
from typing import NamedTuple

from django.core.serializers.json import DjangoJSONEncoder

from webapp.webhooks.models import Notice

MAX_BODY = 65_536


class Message(NamedTuple):
    body: bytes
    headers: dict[str, str]


def message_of(notice: Notice, at: datetime) -> Message:
    """The body is the same at every try; the signature's time is that of the try."""
    told = {"id": notice.id, "topic": notice.topic, "created_at": notice.created_at, "data": notice.payload}
    body = json.dumps(told, cls=DjangoJSONEncoder, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Graftwork-Webhooks/1",
        "Graftwork-Delivery": str(notice.id),
        "Graftwork-Topic": notice.topic,
        "Graftwork-Signature": _signature(notice.webhook.secret, int(at.timestamp()), body),
    }
    return Message(body, headers)


def _signature(secret: str, at: int, body: bytes) -> str:
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"
