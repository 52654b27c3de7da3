"""The chain of hashes through the audit log: adding an entry to it, and checking that nothing was changed since.

What each check can find is said in `verify`. Someone who may write both to the database and to the data folder can
forge all of it; against that, note the newest hash elsewhere now and then and compare it with `expected`.
"""

import hashlib
import json
import os
from functools import partial
from typing import Any, NamedTuple

from django.db import transaction

from webapp import storage
from webapp.audit.models import AuditEntry, AuditHead
from webapp.clock import database_now

_HEAD_ID = 1
_FIELDS = tuple(field.attname for field in AuditEntry._meta.concrete_fields)


class ChainState(NamedTuple):
    """`problem` is a sentence, empty if all is well; `at` is the entry where the chain breaks."""

    num_entries: int
    newest: int
    newest_sha256: str
    problem: str = ""
    at: int | None = None
    is_end_recorded: bool = True
    """Whether the data folder holds a record of entries: without one the removal of the newest may go unnoticed."""


@transaction.atomic
def append(**fields: Any) -> AuditEntry:
    """Add an entry. Call it last in a transaction: until the commit, other writers wait for the head's lock."""
    AuditHead.objects.get_or_create(id=_HEAD_ID)
    head = AuditHead.objects.select_for_update().get(id=_HEAD_ID)
    entry = AuditEntry(number=head.number + 1, at=database_now(), previous_sha256=head.sha256, **fields)
    entry.sha256 = _sha256({name: getattr(entry, name) for name in _FIELDS})
    entry.save()
    AuditHead.objects.filter(id=_HEAD_ID).update(number=entry.number, sha256=entry.sha256)
    transaction.on_commit(partial(_record_end, entry.number, entry.sha256), robust=True)
    return entry


def verify(expected: tuple[int, str] | None = None) -> ChainState:
    """Read the whole log and compare: each entry with its hash, with the entry before it, with what the data folder
    recorded when it was written, and the last one with the recorded end.

    Finds a changed, removed, inserted or moved entry, also the newest ones; a log that was rewritten with new hashes
    only by the data folder's record or by `expected`, the number and hash of an entry that somebody noted.
    """
    recorded = _recorded()
    has_record = bool(recorded)
    if expected:
        recorded[expected[0]] = expected[1]
    # Read before the entries: those that are added meanwhile are newer and no contradiction.
    head = AuditHead.objects.filter(id=_HEAD_ID).first() or AuditHead()
    end = max([head.number, *recorded])
    if head.number:
        recorded.setdefault(head.number, head.sha256)
    number, previous = 0, ""
    for row in AuditEntry.objects.order_by("number").values_list(*_FIELDS).iterator(chunk_size=2000):
        entry = dict(zip(_FIELDS, row, strict=True))
        problem = _problem(entry, number, previous, recorded)
        if problem:
            return ChainState(number, number, previous, problem, number + 1, has_record)
        number, previous = entry["number"], entry["sha256"]
    if number < end:
        problem = f"The newest entries are missing: the log once reached entry {end:,} and now ends at {number:,}."
        return ChainState(number, number, previous, problem, number + 1, has_record)
    return ChainState(number, number, previous, is_end_recorded=has_record or not number)


def glance() -> ChainState:
    """The newest entry alone against its hash and the recorded end: cheap enough for each view of the page."""
    head = AuditHead.objects.filter(id=_HEAD_ID).first() or AuditHead()
    row = AuditEntry.objects.filter(number__gte=head.number).order_by("number").values(*_FIELDS).first()
    if not head.number and row is None:
        return ChainState(0, 0, "")
    if row is None:
        problem = f"Entry {head.number:,}, the newest, is missing."
        return ChainState(head.number, head.number, head.sha256, problem, head.number)
    if (row["number"], row["sha256"]) != (head.number, head.sha256) or row["sha256"] != _sha256(row):
        problem = f"Entry {head.number:,}, the newest, was changed after it was written."
        return ChainState(head.number, head.number, head.sha256, problem, head.number)
    return ChainState(head.number, head.number, head.sha256)


def _problem(entry: dict[str, Any], before: int, previous: str, recorded: dict[int, str]) -> str:
    """What is wrong with the entry that stands after entry `before`; empty if nothing is."""
    number = entry["number"]
    if number != before + 1:
        return f"Entry {before + 1:,} is missing."
    if entry["sha256"] != _sha256(entry):
        return f"Entry {number:,} was changed after it was written."
    if entry["previous_sha256"] != previous:
        return f"Entry {number:,} does not follow from entry {before:,}: one of them was replaced."
    if recorded.get(number, entry["sha256"]) != entry["sha256"]:
        return f"Entry {number:,} is not the one that was recorded when it was written: the log was rewritten."
    return ""


def _sha256(entry: dict[str, Any]) -> str:
    """Over all fields but the hash itself, in one canonical form."""
    content = {name: str(value) for name, value in entry.items() if name not in ("sha256", "at")}
    content["at"] = entry["at"].isoformat()
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _record_end(number: int, sha256: str) -> None:
    """A line in the data folder for each entry, so that the database alone cannot hide that it lost some."""
    descriptor = os.open(storage.audit_record_path(), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{number} {sha256}\n".encode())
    finally:
        os.close(descriptor)


def _recorded() -> dict[int, str]:
    """Number -> hash, by the first line of each number: what a rewritten log appends later does not cover it up. A line
    that was cut by a full disk is passed over."""
    try:
        lines = storage.audit_record_path().read_text("ascii", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    pairs = (line.split(" ") for line in reversed(lines))
    return {int(pair[0]): pair[1] for pair in pairs if len(pair) == 2 and pair[0].isdecimal() and len(pair[1]) == 64}
