"""The web server's door."""

import os
from tempfile import SpooledTemporaryFile

import django
from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
django.setup(set_prefix=False)

from webapp.http.asgi_types import Receive  # noqa: E402  # these need the settings
from webapp.http.body_limit import BodyLimit  # noqa: E402
from webapp.lifespan import WithUpkeep  # noqa: E402


class Handler(ASGIHandler):
    async def read_body(self, receive: Receive) -> SpooledTemporaryFile[bytes]:
        """As Django does it, but what does not fit into memory lies in the data folder: /tmp may be small, or be
        memory itself. The file has no name there and goes with its request."""
        folder = str(settings.FILE_UPLOAD_TEMP_DIR)
        body = SpooledTemporaryFile(settings.FILE_UPLOAD_MAX_MEMORY_SIZE, dir=folder)  # noqa: SIM115
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RequestAborted
                body.write(message.get("body", b""))
                if not message.get("more_body", False):
                    body.seek(0)
                    return body
        except BaseException:
            body.close()
            raise


application = WithUpkeep(BodyLimit(Handler()))
