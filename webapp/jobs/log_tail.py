"""The end of a job's log as text. A log is what a process wrote: any bytes, of any length."""

from typing import NamedTuple

from webapp.contract.job_dir import LOG
from webapp.jobs.models import Job

SHOWN_BYTES = 16_000
"""On the job's page."""
MOST_BYTES = 2_000_000
"""At the log's own address."""


class LogTail(NamedTuple):
    text: str
    is_whole: bool


def log_tail(job: Job, most_bytes: int) -> LogTail:
    """Of the present attempt; empty where nothing was written yet. A line cut in two is left out."""
    path = job.attempt_dir / LOG
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - most_bytes))
            raw = file.read(most_bytes)
    except FileNotFoundError:
        return LogTail("", is_whole=True)
    is_whole = size <= most_bytes
    if not is_whole and b"\n" in raw:
        raw = raw.split(b"\n", 1)[1]
    return LogTail(raw.decode("utf-8", errors="replace").replace("\0", "�"), is_whole)
