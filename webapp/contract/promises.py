"""What Graftwork promises of a job, in words for people. Help draws from here; tests break things and look."""

from typing import NamedTuple


class Promise(NamedTuple):
    code: str
    sentence: str


PROMISES: tuple[Promise, ...] = (
    Promise("P1", "A job that was accepted is never lost."),
    Promise("P2", "It succeeds at most once, and its files are those whose sha256 was recorded."),
    Promise("P3", "However often it is tried, only one attempt's results can ever be seen."),
    Promise(
        "P4", "A dead worker or machine is noticed within 75 seconds; the job goes on from its last checked checkpoint."
    ),
    Promise("P5", "A cancel takes effect within 15 seconds, 45 where force is needed, and always ends."),
    Promise("P6", "While the message broker is away, jobs start a little later. That is all."),
    Promise("P7", "A job that brings its worker down three times without progress stops, and says why."),
    Promise("P8", "Restarting or upgrading any one part loses no job."),
    Promise("P9", "The pages answer during all of this."),
)
