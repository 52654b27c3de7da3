"""What browsers are told of every answer and Django has no setting for."""

from django.http import HttpRequest, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

_UNUSED = (
    "accelerometer", "autoplay", "browsing-topics", "camera", "clipboard-read", "display-capture",
    "encrypted-media", "fullscreen", "geolocation", "gyroscope", "hid", "idle-detection", "local-fonts", "magnetometer",
    "microphone", "midi", "payment", "picture-in-picture", "publickey-credentials-get", "screen-wake-lock", "serial",
    "usb", "xr-spatial-tracking",
)  # fmt: skip
# Only names that Chromium knows: it warns of any other. Copy buttons write to the clipboard.
PERMISSIONS_POLICY = ", ".join([*(f"{feature}=()" for feature in _UNUSED), "clipboard-write=(self)"])


class PermissionsPolicyMiddleware(MiddlewareMixin):
    """Outside of all that answers by itself, so that errors, redirects and static files have the header as well."""

    def process_response(self, _request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        return response
