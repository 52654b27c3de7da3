"""The entry that a request or command leaves in the audit log, from its beginning until it is written.

A request has one `Pending` entry; the middleware makes it and sees to it that it is written once. Services that keep
their own transactions call `settle` as the last statement of the one that makes the change, so that change and entry
are there together or not at all.
"""

import getpass
import uuid
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Model

from webapp.audit.chain import append
from webapp.audit.models import AuditEntry, Outcome

_TEXTS = ("actor", "address", "action", "object_kind", "object_id", "object_name", "detail")
_LENGTHS = {name: int(getattr(AuditEntry._meta.get_field(name), "max_length", 0)) for name in _TEXTS}


@dataclass
class Pending:
    """What is known so far. `keeps_own_transactions`: services settle it; otherwise the middleware does."""

    action: str
    actor: str = ""
    actor_id: int | None = None
    address: str = ""
    object_kind: str = ""
    object_id: str = ""
    object_name: str = ""
    details: list[str] = field(default_factory=list)
    keeps_own_transactions: bool = False
    changes_nothing: bool = False
    request_id: uuid.UUID = field(default_factory=uuid.uuid4)
    may_be_written: bool = False
    """An insert was tried; whether its transaction was committed, only the database knows."""

    def write(self, outcome: Outcome) -> None:
        self.may_be_written = True
        texts = {
            "actor": self.actor or "not signed in",
            "address": self.address,
            "action": self.action,
            "object_kind": self.object_kind,
            "object_id": self.object_id,
            "object_name": self.object_name,
            "detail": "; ".join(self.details),
        }
        cleaned = {name: printable(text, _LENGTHS[name]) for name, text in texts.items()}
        append(actor_id=self.actor_id, outcome=outcome, request_id=self.request_id, **cleaned)

    def is_written(self) -> bool:
        return self.may_be_written and AuditEntry.objects.filter(request_id=self.request_id).exists()


current: ContextVar[Pending | None] = ContextVar("audit_pending", default=None)


def about(thing: Model, name: str | None = None) -> None:
    """Say what the present request is about. `name` where the object's own text may hold a secret, as a URL may."""
    pending = current.get()
    if pending is not None:
        _describe(pending, thing, name)


def acts_as(user_id: int, name: str) -> None:
    """Say who makes the present request, where that shows only while it is served."""
    pending = current.get()
    if pending is not None:
        pending.actor_id, pending.actor = user_id, name


def note(detail: str) -> None:
    """Add to what the present request's entry tells; nothing where there is none. Never a secret, never rows."""
    pending = current.get()
    if pending is not None and detail:
        pending.details.append(detail)


def changes_nothing() -> None:
    """The present request turned out to be a mere look: it leaves no entry."""
    pending = current.get()
    if pending is not None:
        pending.changes_nothing = True


def settle(thing: Model | None = None, name: str | None = None) -> None:
    """Write the present request's entry now. The last statement of the transaction that makes the change.

    Nothing happens where there is no request, as in a worker, or where the request is one transaction as a whole.
    """
    pending = current.get()
    if pending is None:
        return
    # A request about many things, as an action of Django's admin is, keeps what its address says.
    if thing is not None and (pending.keeps_own_transactions or not pending.object_kind):
        _describe(pending, thing, name)
    if pending.keeps_own_transactions:
        pending.write(Outcome.DONE)


def record(action: str, thing: Model | None = None, detail: str = "") -> None:
    """Something that a command does. Within a request it becomes part of what the request's entry tells."""
    pending = current.get()
    if pending is not None:
        note(f"{action}: {detail}" if detail else action)
        return
    pending = Pending(action, actor=f"command line: {getpass.getuser()}", details=[detail] if detail else [])
    if thing is not None:
        _describe(pending, thing, None)
    pending.write(Outcome.DONE)


def printable(text: Any, most: int) -> str:
    """At most `most` characters, with control characters written out: no entry can forge a line of a log or a page."""
    shown = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in str(text)[: most + 1]
    )
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _describe(pending: Pending, thing: Model, name: str | None) -> None:
    pending.object_kind = str(thing._meta.verbose_name)
    pending.object_id = str(thing.pk)
    pending.object_name = str(thing) if name is None else name
