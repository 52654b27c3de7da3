"""Stops an upload that is over the limit while it streams in, whatever its Content-Length claims."""

from django.core.files.uploadhandler import FileUploadHandler


class UploadLimitHandler(FileUploadHandler):
    """First in the chain: counts bytes and passes them on."""
