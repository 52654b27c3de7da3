"""ASGI's start and end of the web process, at which the upkeep threads begin and end. Django itself knows neither."""

from webapp.http.asgi_types import App, Receive, Scope, Send
from webapp.upkeep.threads import Upkeep


class WithUpkeep:
    """Hands everything but the life span on."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            return await self._app(scope, receive, send)
        upkeep = Upkeep()
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                upkeep.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                upkeep.stop()
                return await send({"type": "lifespan.shutdown.complete"})
