"""Stops an upload that is over the limit while it streams in, whatever its Content-Length claims.

Two gates, since Django under ASGI stores the whole body before it looks at it: `webapp.http.body_limit` counts what
arrives at the server's door, UploadLimitHandler counts the bytes of the file itself and lets the page answer.
"""

from typing import Any

from django.conf import settings
from django.core.files.uploadhandler import FileUploadHandler, StopUpload
from django.http import HttpRequest

from webapp.contract.rows import RowProblem

OVERHEAD_BYTES = 1_000_000
"""What a body may hold besides the file: form fields and the marks between parts."""

_FLAG = "graftwork.upload_too_large"


def too_large() -> RowProblem:
    limit_mb = settings.UPLOAD_LIMIT_BYTES // 1_000_000
    return RowProblem(
        code="too_large",
        message=f"The file is larger than {limit_mb} MB, the limit of this installation.",
        hint="Upload a part of the rows, or ask an admin to raise GRAFTWORK_UPLOAD_LIMIT_MB.",
    )


def is_too_large(request: HttpRequest) -> bool:
    """Whether the request's file was stopped. Ask after the first look at request.POST or request.FILES."""
    return _FLAG in request.META


class UploadLimitHandler(FileUploadHandler):
    """First in the chain: counts bytes and passes them on. Fields before the file are read in any case."""

    def handle_raw_input(self, input_data: Any, META: Any, content_length: int, *_: Any, **__: Any) -> None:
        self._is_told = content_length > settings.UPLOAD_LIMIT_BYTES + OVERHEAD_BYTES
        self._num_bytes = 0

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        if self._is_told:
            self._stop()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        self._num_bytes += len(raw_data)
        if self._num_bytes > settings.UPLOAD_LIMIT_BYTES:
            self._stop()
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return None

    def _stop(self) -> None:
        assert self.request is not None
        self.request.META[_FLAG] = "1"
        raise StopUpload(connection_reset=True)
