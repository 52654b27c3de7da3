"""Sending a large file in pieces. FileResponse would read all of it into memory under ASGI; this never does."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header

from webapp.adapters.byte_range import ByteRange, Unsatisfiable, read_range

CHUNK_BYTES = 256 * 1024


def zip_response(request: HttpRequest, path: Path, *, size: int, sha256: str, name: str) -> HttpResponseBase:
    """The file as an attachment: whole, the one range asked for, or "you have it already"."""
    etag = f'"{sha256}"'
    response: HttpResponseBase
    if request.headers.get("If-None-Match") == etag:
        response = HttpResponse(status=304)
    else:
        response = _with_body(request, path, size=size, etag=etag)
        response["Content-Type"] = "application/zip"
        response["Content-Disposition"] = content_disposition_header(True, name) or ""
        response["X-Checksum-SHA256"] = sha256
    response["ETag"] = etag
    response["Accept-Ranges"] = "bytes"
    response["Cache-Control"] = "private, no-cache"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


def _with_body(request: HttpRequest, path: Path, *, size: int, etag: str) -> HttpResponseBase:
    try:
        part = _asked_range(request, size, etag)
    except Unsatisfiable:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    wanted = part or ByteRange(0, size - 1)
    headers = {"Content-Length": str(wanted.length)}
    if part:
        headers["Content-Range"] = f"bytes {part.first}-{part.last}/{size}"
    if request.method == "HEAD":
        return HttpResponse(headers=headers)
    return StreamingHttpResponse(_pieces(path, wanted), status=206 if part else 200, headers=headers)


def _asked_range(request: HttpRequest, size: int, etag: str) -> ByteRange | None:
    if request.headers.get("If-Range", etag) != etag:
        return None
    return read_range(request.headers.get("Range", ""), size)


async def _pieces(path: Path, wanted: ByteRange) -> AsyncIterator[bytes]:
    """Reads wait in a thread, so that a slow disk holds up nobody else. An open file outlives its deletion."""
    left = wanted.length
    with await asyncio.to_thread(path.open, "rb") as file:
        await asyncio.to_thread(file.seek, wanted.first)
        while left > 0:
            piece = await asyncio.to_thread(file.read, min(CHUNK_BYTES, left))
            if not piece:
                return
            left -= len(piece)
            yield piece
