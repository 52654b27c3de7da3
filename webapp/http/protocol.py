"""uvicorn's HTTP protocol with what it lacks: a time and a size within which a request's headers have to be there.

`uvicorn --http webapp.http.protocol:Protocol`. Without it a client that sends its headers byte by byte, or never ends
them, holds a connection for ever.
"""

from __future__ import annotations

import asyncio

from django.conf import settings
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEADER_BYTES = 65_536


class Protocol(HttpToolsProtocol):
    """The timer runs while headers are awaited: from the connection on, and again from the first byte that follows an
    answer. Between those two uvicorn's own keep-alive time-out holds."""

    _timer: asyncio.TimerHandle | None = None
    _num_header_bytes = 0
    _is_in_message = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch(0)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch(len(data))

    def on_headers_complete(self) -> None:
        self._is_in_message = True
        self._unwatch()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._is_in_message = False
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def _watch(self, num_bytes: int) -> None:
        has_request = self.cycle is not None and not self.cycle.response_complete
        if self._is_in_message or has_request or self.transport.is_closing():
            return
        self._num_header_bytes += num_bytes
        if self._num_header_bytes > MOST_HEADER_BYTES:
            self.transport.close()
        elif self._timer is None:
            self._timer = self.loop.call_later(settings.HEADER_SECONDS, self.transport.close)

    def _unwatch(self) -> None:
        self._num_header_bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
