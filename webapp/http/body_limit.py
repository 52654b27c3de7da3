"""The ASGI door: how much of a body is read, from whom, and how slowly it may come.

Django under ASGI stores the whole body before it looks at anything else. So the door asks first: a little is taken
from anyone and stays in memory; more only from someone signed in whose CSRF token is right, a file only where the
address takes one, and only while it arrives at a decent rate.
"""

import asyncio
import time

from asgiref.sync import sync_to_async
from django.conf import settings
from django.urls import Resolver404, ResolverMatch, resolve

from webapp import storage
from webapp.datasets.upload_limit import OVERHEAD_BYTES, too_large
from webapp.http import refusals
from webapp.http.asgi_types import App, Message, Receive, Scope, Send
from webapp.http.sender import sender_refusal

ANYONE_BYTES = 64_000
"""What is read without asking who sends it: sign-in forms and most requests of scripts."""
LINGER_SECONDS = 2.0
"""How long a refused body is still taken and thrown away. A connection that is closed on a sender makes its system
drop the answer unread."""


class BodyRefused(Exception):
    """Raised into whoever reads the body."""

    def __init__(self, refusal: refusals.Refusal) -> None:
        super().__init__()
        self.refusal = refusal


class BodyLimit:
    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        body = _Body(scope, receive)
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await body.check_claim()
            return await self._app(scope, body.receive, noted)
        except BodyRefused as refused:
            refusal = refused.refusal
        except OSError as error:
            if has_begun or not storage.is_full(error):
                raise
            refusal = refusals.failed(error)
        await self._refuse(scope, refusal, body, send)

    async def _refuse(self, scope: Scope, refusal: refusals.Refusal, body: "_Body", send: Send) -> None:
        is_first = True

        async def empty() -> Message:
            nonlocal is_first
            if is_first:
                is_first = False
                return {"type": "http.request", "body": b"", "more_body": False}
            await asyncio.Event().wait()  # Django waits for a disconnect until it has answered.
            raise AssertionError("unreachable")

        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            elif not message.get("more_body", False):
                await send({**message, "more_body": True})
                await body.linger()
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await self._app({**scope, refusals.SCOPE_KEY: refusal}, empty, send_last)


class _Body:
    """What arrives of one request's body."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        claimed = dict(scope["headers"]).get(b"content-length", b"0")
        self._claimed_bytes = int(claimed[:20]) if claimed.isdigit() else 0
        self._num_bytes = 0
        self._limit_bytes = ANYONE_BYTES
        self._waited_seconds = 0.0
        self._is_over = False

    async def check_claim(self) -> None:
        """Raises BodyRefused."""
        if self._claimed_bytes > ANYONE_BYTES:
            await self._raise_limit(self._claimed_bytes)

    async def receive(self) -> Message:
        """Raises BodyRefused."""
        if self._is_over:
            return await self._receive()
        message = await self._in_time()
        self._num_bytes += len(message.get("body", b""))
        self._is_over = not message.get("more_body", False)
        if self._num_bytes > self._limit_bytes:
            await self._raise_limit(self._num_bytes)
        return message

    async def linger(self) -> None:
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while not self._is_over:
                    self._is_over = not (await self._receive()).get("more_body", False)
        except TimeoutError:
            pass

    async def _in_time(self) -> Message:
        """Only the time spent waiting for the client counts, so a large file may take as long as it needs."""
        allowed = settings.BODY_SECONDS + self._num_bytes / settings.BODY_BYTES_PER_SECOND
        began = time.monotonic()
        try:
            async with asyncio.timeout(allowed - self._waited_seconds):
                return await self._receive()
        except TimeoutError:
            raise BodyRefused(refusals.too_slow) from None
        finally:
            self._waited_seconds += time.monotonic() - began

    async def _raise_limit(self, num_bytes: int) -> None:
        """To what the address takes, if it takes so much and the sender may send it. Raises BodyRefused."""
        match = _match(self._scope["path"])
        limit_bytes, refusal = _limit_of(match)
        if num_bytes > limit_bytes:
            raise BodyRefused(refusal)
        ask = sync_to_async(sender_refusal, thread_sensitive=False)
        problem = await ask(self._scope, match, self._claimed_bytes)
        if problem:
            raise BodyRefused(problem)
        self._limit_bytes = limit_bytes


def _match(path: str) -> ResolverMatch | None:
    try:
        return resolve(path)
    except Resolver404:
        return None


def _limit_of(match: ResolverMatch | None) -> tuple[int, refusals.Refusal]:
    """What the address takes, and what is said to more."""
    view = match.func if match else None
    if getattr(view, "takes_file", False):
        return settings.UPLOAD_LIMIT_BYTES + OVERHEAD_BYTES, refusals.file_too_large(too_large())
    # Pages that let one in are open to anyone, and so never take more than they take from anyone.
    is_open = not getattr(view, "login_required", True)
    limit_bytes = ANYONE_BYTES if is_open else int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    return limit_bytes, refusals.too_large(limit_bytes)
