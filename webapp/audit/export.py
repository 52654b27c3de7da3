"""The audit log as a file: CSV for a spreadsheet, or JSON lines with every field, so that the chain can be checked
elsewhere. Written piece by piece, however long the log is."""

import csv
import io
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.core.serializers.json import DjangoJSONEncoder
from django.db import close_old_connections

from webapp.audit.models import AuditEntry, AuditQuerySet

FIELDS = tuple(field.attname for field in AuditEntry._meta.concrete_fields)
PIECE = 1000
_STARTS_A_FORMULA = ("=", "+", "-", "@")

Row = dict[str, Any]


async def csv_lines(entries: AuditQuerySet) -> AsyncIterator[bytes]:
    yield _csv([list(FIELDS)])
    async for rows in _pieces(entries):
        yield _csv([[cell(row[name]) for name in FIELDS] for row in rows])


async def json_lines(entries: AuditQuerySet) -> AsyncIterator[bytes]:
    async for rows in _pieces(entries):
        yield "".join(json.dumps(row, cls=_Encoder, ensure_ascii=False) + "\n" for row in rows).encode()


FORMATS: dict[str, tuple[Callable[[AuditQuerySet], AsyncIterator[bytes]], str]] = {
    "csv": (csv_lines, "text/csv; charset=utf-8"),
    "jsonl": (json_lines, "application/x-ndjson; charset=utf-8"),
}
"""Word in the address -> writer, content type."""


def cell(value: Any) -> str:
    """A spreadsheet runs what begins like a formula, also after blanks; a quote before it makes it text."""
    text = "" if value is None else value.isoformat() if hasattr(value, "isoformat") else str(value)
    return f"'{text}" if text.strip().startswith(_STARTS_A_FORMULA) else text


class _Encoder(DjangoJSONEncoder):
    """Times with all their digits: Django's own form drops the microseconds that the hash is over."""

    def default(self, o: Any) -> Any:
        return o.isoformat() if hasattr(o, "isoformat") else super().default(o)


async def _pieces(entries: AuditQuerySet) -> AsyncIterator[list[Row]]:
    """From the newest on. Between two pieces neither a connection nor a transaction is held."""
    before: int | None = None
    while rows := await sync_to_async(_piece)(entries, before):
        yield rows
        before = rows[-1]["number"]


def _piece(entries: AuditQuerySet, before: int | None) -> list[Row]:
    try:
        rest = entries if before is None else entries.filter(number__lt=before)
        return list(rest.order_by("-number").values(*FIELDS)[:PIECE])
    finally:
        close_old_connections()


def _csv(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
