"""Rows that an adapter has learnt from already: a job that continues it may not be judged by them."""

from typing import Any, NamedTuple

import pyarrow.parquet as pq
from pyarrow import ArrowInvalid

from webapp import storage
from webapp.contract.rows import SPLIT_COLUMN
from webapp.jobs.models import Job


class RowsGone(Exception):
    """The rows of an earlier job cannot be read; the message says what that means."""


class Seen(NamedTuple):
    """Inputs, or whole conversations: those trained on, and those by which the best weights were picked."""

    trained: frozenset[str] = frozenset()
    watched: frozenset[str] = frozenset()


NOTHING_SEEN = Seen()


def seen_by(job: Job) -> Seen:
    """By the job's adapter, and by those that it continued in turn. Raises RowsGone."""
    trained: set[str] = set()
    watched: set[str] = set()
    one: Any = job
    while one is not None:
        for text, side in _rows_of(one):
            {"train": trained, "validation": watched}.get(side, set()).add(text)
        one = one.started_from.job if one.started_from else None
    return Seen(frozenset(trained), frozenset(watched))


def _rows_of(job: Job) -> list[tuple[str, str]]:
    text = "messages" if job.dataset_version.is_chat else "input"
    try:
        table = pq.read_table(storage.job_rows_path(job.id), columns=[text, SPLIT_COLUMN])
    except (FileNotFoundError, ArrowInvalid) as error:
        raise RowsGone(
            f"The rows that “{job.name}” was trained on are gone or damaged, so nobody can tell which rows the adapter "
            "has learnt from already. Start from the base model."
        ) from error
    return list(zip(table.column(text).to_pylist(), table.column(SPLIT_COLUMN).to_pylist(), strict=True))
