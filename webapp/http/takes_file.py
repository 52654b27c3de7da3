"""Marks the views that take a file: only their bodies may be larger than a form."""

from collections.abc import Callable
from typing import Any, TypeVar

View = TypeVar("View", bound=Callable[..., Any])


def takes_file(check_before_body: Callable[[Any, int], None]) -> Callable[[View], View]:
    """`check_before_body(user, claimed_bytes)` raises LimitReached before anything of a large body is read.

    It may be wrong in favour of the person; what counts is what the view itself checks.
    """

    def mark(view: View) -> View:
        view.takes_file = True  # type: ignore[attr-defined]
        view.check_before_body = check_before_body  # type: ignore[attr-defined]
        return view

    return mark
