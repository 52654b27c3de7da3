"""A database that misbehaves, put between Django and the real one on this thread's connection."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import OperationalError, connection


class Faults:
    """What was done so far."""

    num_commits = 0
    num_raised = 0


@contextmanager
def committing_then_raising(*which: int, then_away: bool = False) -> Iterator[Faults]:
    """The commits with these numbers (the first is 1) happen, but the caller sees the connection break.

    `then_away`: and from then on nothing answers.
    """
    faults, commit = Faults(), connection.commit

    def commit_and_raise() -> None:
        commit()
        faults.num_commits += 1
        if faults.num_commits in which:
            faults.num_raised += 1
            raise OperationalError("the connection was lost while the answer was on its way")

    def refuse(execute: Any, *words: Any) -> Any:
        if then_away and faults.num_raised:
            raise OperationalError("the database is away")
        return execute(*words)

    connection.commit = commit_and_raise  # type: ignore[method-assign]
    try:
        with connection.execute_wrapper(refuse):
            yield faults
    finally:
        del connection.commit


@contextmanager
def failing_now_and_then(dice: random.Random, share: float) -> Iterator[Faults]:
    """That share of all statements is answered by an error of the kind that passes: locked, or cannot serialize."""
    faults = Faults()

    def maybe(execute: Any, *words: Any) -> Any:
        if dice.random() < share:
            faults.num_raised += 1
            raise OperationalError("database is locked")
        return execute(*words)

    with connection.execute_wrapper(maybe):
        yield faults
