"""One POST to a receiver nobody vouches for: judged addresses only, five seconds in all, 64 KB, no redirects.

httpcore rather than httpx: it takes the connection from us, and knows no proxies, redirects or unpacking.
"""

from collections.abc import Iterable
from ssl import SSLCertVerificationError, SSLContext
from time import monotonic
from typing import Any, NamedTuple

import httpcore

from webapp.webhooks.address import Refused, Target, target_of

SECONDS = 5.0
MAX_ANSWER = 65_536
_SLICE = 4096


class Answer(NamedTuple):
    status: int | None
    error: str
    """Empty if the receiver took it."""


def post(url: str, body: bytes, headers: dict[str, str]) -> Answer:
    """The status alone decides: a receiver that said 2xx has the notice, however its body goes on."""
    deadline = monotonic() + SECONDS
    try:
        target = target_of(url, seconds=SECONDS)
        return _verdict(_exchange(target, body, headers, deadline))
    except Refused as refused:
        return Answer(None, str(refused))
    except httpcore.TimeoutException:
        return Answer(None, f"No answer within {SECONDS:.0f} seconds.")
    except (httpcore.NetworkError, OSError) as error:
        return Answer(None, f"No connection: {_reason(error)}."[:500])
    except httpcore.ProtocolError:
        return Answer(None, "The answer was not HTTP.")


def _exchange(target: Target, body: bytes, headers: dict[str, str], deadline: float) -> int:
    url = httpcore.URL(
        scheme=target.url.raw_scheme, host=target.url.raw_host, port=target.url.port, target=target.url.raw_path
    )
    with (
        httpcore.ConnectionPool(network_backend=_Pinned(target.addresses, deadline)) as pool,
        pool.stream("POST", url, headers=list(headers.items()), content=body) as response,
    ):
        _drop(response)
        return response.status


def _drop(response: httpcore.Response) -> None:
    """Read a little, so that an honest receiver can finish its answer; nothing of it is kept."""
    size = 0
    try:
        for chunk in response.iter_stream():
            size += len(chunk)
            if size >= MAX_ANSWER:
                return
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        return


def _verdict(status: int) -> Answer:
    if 200 <= status < 300:
        return Answer(status, "")
    if 300 <= status < 400:
        return Answer(status, f"It answered {status}, a redirect. Redirects are not followed: give the final address.")
    return Answer(status, f"It answered {status}.")


def _reason(error: BaseException) -> str:
    """httpcore keeps the system's error as the argument of its own."""
    cause = next((each for each in error.args if isinstance(each, OSError)), error)
    if isinstance(cause, SSLCertVerificationError):
        return f"the certificate is not to be trusted ({cause.verify_message})"
    return (cause.strerror if isinstance(cause, OSError) else None) or str(cause) or "it was cut off"


class _Pinned(httpcore.NetworkBackend):
    """Connects to the judged addresses, whatever the name says by now, and ends everything at the deadline."""

    def __init__(self, addresses: list[str], deadline: float) -> None:
        self.addresses = addresses
        self.deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        error: Exception = httpcore.ConnectError()
        for number, address in enumerate(self.addresses):
            # Each gets its share of the time, so that a silent first one leaves some for the next.
            share = _left(self.deadline) / (len(self.addresses) - number)
            try:
                return _Timed(httpcore.SyncBackend().connect_tcp(address, port, timeout=share), self.deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                error = failed
        raise error


class _Timed(httpcore.NetworkStream):
    """A stream whose every step gets only what is left: time limits by the step would let a drip go on for ever."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self.stream = stream
        self.deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.stream.read(max_bytes, _left(self.deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _SLICE):
            self.stream.write(buffer[start : start + _SLICE], _left(self.deadline))

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Timed(self.stream.start_tls(ssl_context, server_hostname, _left(self.deadline)), self.deadline)

    def get_extra_info(self, info: str) -> Any:
        return self.stream.get_extra_info(info)

    def close(self) -> None:
        self.stream.close()


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise httpcore.TimeoutException
    return left
