"""The web server's door."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")

django_application = get_asgi_application()

from webapp.datasets.upload_limit import BodyLimit  # noqa: E402  # needs the settings
from webapp.lifespan import WithUpkeep  # noqa: E402

application = WithUpkeep(BodyLimit(django_application))
