"""A person's own file, sent back in pieces: it may be large, and FileResponse would read it whole under ASGI."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header

from webapp.datasets.models import Upload

CHUNK_BYTES = 256 * 1024


def original_response(upload: Upload) -> HttpResponseBase:
    """Always an attachment of no particular type, so that no browser shows what somebody else wrote."""
    return StreamingHttpResponse(
        _pieces(upload.path),
        headers={
            "Content-Type": "application/octet-stream",
            "Content-Disposition": content_disposition_header(True, upload.file_name) or "attachment",
            "Content-Length": str(upload.size_bytes),
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Cache-Control": "private, no-cache",
        },
    )


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield piece
