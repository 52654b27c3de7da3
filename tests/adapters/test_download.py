"""Taking an adapter home: whole, in part, and by nobody else."""

import hashlib
import io
import uuid
import zipfile
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpResponseBase
from django.test import AsyncClient
from django.urls import reverse

from tests.adapters.made import FILES, make_adapter
from webapp.accounts.models import User
from webapp.adapters.downloads import CHUNK_BYTES
from webapp.adapters.models import AdapterVersion


@pytest.fixture
def version(alice: User) -> AdapterVersion:
    return make_adapter(alice)


def url_of(version: AdapterVersion) -> str:
    return reverse("adapter-download", args=[version.id])


@async_to_sync
async def ask(user: User, url: str, method: str = "get", **headers: str) -> tuple[HttpResponseBase, list[bytes]]:
    """The answer and its pieces, through Django's asynchronous door as under uvicorn."""
    client = AsyncClient()
    await client.aforce_login(user)
    response: Any = await getattr(client, method)(url, headers=headers)
    if not response.streaming:
        return response, [response.content]
    return response, [piece async for piece in response.streaming_content]


def test_the_zip_arrives_whole(alice: User, version: AdapterVersion) -> None:
    response, pieces = ask(alice, url_of(version))
    body = b"".join(pieces)
    assert response.status_code == 200
    assert hashlib.sha256(body).hexdigest() == version.zip_sha256
    assert int(response["Content-Length"]) == len(body) == version.zip_bytes
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.read("first-v1/README.md") == FILES["README.md"]


def test_it_comes_in_pieces(alice: User, version: AdapterVersion) -> None:
    _response, pieces = ask(alice, url_of(version))
    assert len(pieces) > 3
    assert max(map(len, pieces)) <= CHUNK_BYTES


def test_a_browser_saves_it_and_runs_nothing_of_it(alice: User, version: AdapterVersion) -> None:
    response, _pieces = ask(alice, url_of(version))
    assert response["Content-Disposition"] == 'attachment; filename="first-v1.zip"'
    assert response["Content-Type"] == "application/zip"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "sandbox; default-src 'none'"


@pytest.mark.parametrize(
    ("header", "begin", "end"), [("bytes=0-9", 0, 10), ("bytes=100-", 100, None), ("bytes=-5", -5, None)]
)
def test_a_part_can_be_asked_for(
    alice: User, version: AdapterVersion, header: str, begin: int, end: int | None
) -> None:
    whole = version.zip_path.read_bytes()
    response, pieces = ask(alice, url_of(version), range=header)
    assert response.status_code == 206
    assert b"".join(pieces) == whole[begin:end]
    assert response["Content-Range"].endswith(f"/{len(whole)}")
    assert int(response["Content-Length"]) == len(whole[begin:end])


def test_a_part_behind_the_end_is_refused(alice: User, version: AdapterVersion) -> None:
    response, _pieces = ask(alice, url_of(version), range=f"bytes={version.zip_bytes}-")
    assert response.status_code == 416
    assert response["Content-Range"] == f"bytes */{version.zip_bytes}"


def test_a_part_of_another_file_is_not_mixed_in(alice: User, version: AdapterVersion) -> None:
    response, pieces = ask(alice, url_of(version), **{"range": "bytes=5-", "if-range": '"another"'})
    assert response.status_code == 200
    assert sum(map(len, pieces)) == version.zip_bytes


def test_who_has_it_already_gets_nothing(alice: User, version: AdapterVersion) -> None:
    response, pieces = ask(alice, url_of(version), **{"if-none-match": f'"{version.zip_sha256}"'})
    assert response.status_code == 304
    assert pieces == [b""]


def test_the_size_can_be_asked_without_the_file(alice: User, version: AdapterVersion) -> None:
    response, pieces = ask(alice, url_of(version), "head")
    assert int(response["Content-Length"]) == version.zip_bytes
    assert pieces == [b""]


def test_it_refuses_a_stranger(bob: User, version: AdapterVersion) -> None:
    foreign, _pieces = ask(bob, url_of(version))
    missing, _pieces = ask(bob, reverse("adapter-download", args=[uuid.uuid4()]))
    assert foreign.status_code == missing.status_code == 404


def test_an_admin_may_have_it(admin_user: User, version: AdapterVersion) -> None:
    assert ask(admin_user, url_of(version))[0].status_code == 200


def test_only_getting_is_allowed(alice: User, version: AdapterVersion) -> None:
    assert ask(alice, url_of(version), "post")[0].status_code == 405


def test_a_file_that_was_lost_is_not_found(alice: User, version: AdapterVersion) -> None:
    version.zip_path.unlink()
    assert ask(alice, url_of(version))[0].status_code == 404
