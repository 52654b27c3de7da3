"""What a worker that joins over HTTP is told: who it is, and where database, broker and data folder are."""

from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from django.conf import settings
from django.db import connection
from pydantic import BaseModel, ConfigDict, Field

from webapp import storage
from webapp.contract.version import graftwork_version
from webapp.workers.models import Worker
from webapp.workers.rules import Refused


class JoinRequest(BaseModel):
    """What a machine says of itself beside its token."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: str = Field(min_length=32, max_length=200)
    """A secret of its own, by which it comes back later."""
    installation: str = Field(max_length=100)
    """As its data folder says."""
    host: str = Field(default="", max_length=255)


class JoinAnswer(BaseModel):
    """The addresses carry passwords: to be kept in memory and shown to nobody."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    name: str
    database_url: str
    broker_url: str
    """Empty where the worker cannot reach the broker: it then finds its work by looking."""
    installation: str
    version: str


def join_answer(worker: Worker, *, is_same_machine: bool) -> JoinAnswer:
    """Raises Refused where the addresses we know would lead the worker nowhere."""
    return JoinAnswer(
        id=str(worker.id),
        name=worker.name,
        database_url=_database_url(is_same_machine),
        broker_url=_broker_url(is_same_machine),
        installation=storage.installation_id(),
        version=graftwork_version(),
    )


def is_loopback(address: str) -> bool:
    """Of an IP address or of a URL's host."""
    try:
        return ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return address == "localhost"


def is_readable_by_others(url: str) -> bool:
    """Whether what is sent to this address crosses a network without https."""
    place = urlsplit(url)
    return place.scheme == "http" and not is_loopback(place.hostname or "")


def _database_url(is_same_machine: bool) -> str:
    if connection.vendor == "sqlite":
        if not is_same_machine:
            raise Refused(
                "This installation keeps its data in an SQLite file, which only workers on its own machine can use. "
                "Move it to PostgreSQL (GRAFTWORK_DATABASE_URL) before workers on other machines join."
            )
        return f"sqlite:///{Path(settings.DATABASES['default']['NAME']).absolute()}"
    if not is_same_machine and _is_own_host(settings.WORKER_DATABASE_URL):
        raise Refused(
            "The app reaches its database on its own machine, under an address that leads nowhere from another one. "
            "Set GRAFTWORK_WORKER_DATABASE_URL for the web server to the address that workers elsewhere can reach."
        )
    return str(settings.WORKER_DATABASE_URL)


def _broker_url(is_same_machine: bool) -> str:
    url = str(settings.WORKER_BROKER_URL)
    return "" if not is_same_machine and _is_own_host(url) else url


def _is_own_host(url: str) -> bool:
    """Also of a socket's address: that has no host, or a path in its place."""
    place = urlsplit(url)
    host = unquote(place.hostname or parse_qs(place.query).get("host", [""])[0])
    return host.startswith("/") or host in ("", "localhost") or is_loopback(host)
