"""Brings one file of a commit, going on from the bytes that are here already, and holds it against the Hub's checksum.

huggingface_hub alone would begin a killed download anew: its part files have a new name each time.
"""

import hashlib
import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from huggingface_hub import constants, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.file_download import get_hf_file_metadata, http_get
from huggingface_hub.utils._headers import build_hf_headers
from huggingface_hub.utils.tqdm import disable_progress_bars

from webapp.contract.hub import HubFile, HubLook, HubRequest
from worker.base_models.hub_refusal import HubRefusal, in_words

# What comes is written in pieces of this size: no more is lost when this process is killed.
constants.DOWNLOAD_CHUNK_SIZE = 1 << 20
disable_progress_bars()
# Its warnings name addresses with a signature that opens them.
logging.getLogger("huggingface_hub").setLevel(logging.ERROR)

Came = Callable[[int], None]
"""Told the bytes of the file that have come."""


def download(look: HubLook, file: HubFile, token: str, folder: Path, came: Came) -> None:
    """The whole file in `folder`, under its own name. Raises HubRefusal."""
    whole = folder / file.name
    if whole.exists():
        came(file.size_bytes)
        return
    part = folder / f"{file.name}.part"
    if part.exists() and part.stat().st_size > file.size_bytes:
        part.unlink()
    request = HubRequest(wants="fetch", hub_id=look.hub_id, revision=look.commit)
    with in_words(request, has_token=bool(token)):
        _bring(look, file, token, part, came)
    if not _is_whole(file, part):
        part.unlink()
        message = f"{file.name} of {look.hub_id} came damaged and was thrown away. Try again."
        raise HubRefusal("no_answer", message)
    part.rename(whole)


def _bring(look: HubLook, file: HubFile, token: str, part: Path, came: Came) -> None:
    url = hf_hub_url(look.hub_id, file.name, revision=look.commit)
    headers = build_hf_headers(token=token or False)
    place = get_hf_file_metadata(url, headers=headers, token=token or False)
    if urlsplit(place.location)[:2] != urlsplit(url)[:2]:
        # Large files lie with others, behind an address that is signed: the token is none of their business.
        headers.pop("authorization", None)
    try:
        with _Told(part, came) as target:
            http_get(place.location, target, resume_size=target.tell(), headers=headers, expected_size=file.size_bytes)
    except OSError as error:
        # An error without a number is the library's own, that the size is not the expected one; we look ourselves.
        if error.errno is not None or isinstance(error, HfHubHTTPError):
            raise


class _Told(io.BufferedWriter):
    """A file that is written on from its end, and tells how far it is."""

    def __init__(self, path: Path, came: Came) -> None:
        super().__init__(io.FileIO(path, "a"))
        self.came = came
        came(self.tell())

    def write(self, chunk: Any) -> int:
        written = super().write(chunk)
        self.came(self.tell())
        return written


def _is_whole(file: HubFile, path: Path) -> bool:
    """By the sha256 of a large file, or by git's checksum, which counts in the size."""
    if path.stat().st_size != file.size_bytes:
        return False
    digest = hashlib.sha256() if file.sha256 else hashlib.sha1(f"blob {file.size_bytes}\0".encode())
    with path.open("rb") as content:
        while chunk := content.read(1 << 20):
            digest.update(chunk)
    known = file.sha256 or file.git_sha1
    return not known or digest.hexdigest() == known
