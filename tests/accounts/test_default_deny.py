"""Every page demands that one is signed in, but for the few that let one in. New pages are covered as they come."""

import uuid
from collections.abc import Iterator

from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.converters import UUIDConverter

OPEN = {"login", "logout", "welcome", "worker-join", "admin:login", "admin:logout"}


def pages(patterns: list[URLPattern | URLResolver], prefix: str = "/", space: str = "") -> Iterator[tuple[str, str]]:
    """Name and a possible address of every page there is."""
    for entry in patterns:
        if isinstance(entry, URLResolver):
            inner = f"{entry.namespace}:" if entry.namespace else space
            yield from pages(entry.url_patterns, prefix + filled(entry.pattern), inner)
        else:
            yield f"{space}{entry.name}", prefix + filled(entry.pattern)


def filled(pattern: object) -> str:
    """A route with something that fits in place of each parameter."""
    route = str(pattern)
    for name, converter in pattern.converters.items():  # type: ignore[attr-defined]
        kind = type(converter)
        value = str(uuid.uuid4()) if issubclass(kind, UUIDConverter) else "1"
        for opening in (f"<{word}:{name}>" for word in ("uuid", "int", "str", "slug", "path")):
            route = route.replace(opening, value)
        route = route.replace(f"<{name}>", value)
    return route.removesuffix("$").removeprefix("^")


def lets_strangers_in(url: str, client: Client) -> bool:
    response = client.get(url)
    return not (response.status_code == 302 and "/sign-in?next=" in response["Location"])


def test_a_stranger_is_sent_to_sign_in_everywhere_else(client: Client, db: None) -> None:
    known = [(name, url) for name, url in pages(get_resolver().url_patterns) if not name.startswith("admin:")]
    assert len(known) > 15
    assert {name for name, url in known if lets_strangers_in(url, client)} == OPEN - {"admin:login", "admin:logout"}


def test_the_admin_shows_a_stranger_only_its_door(client: Client, db: None) -> None:
    inside = [url for name, url in pages(get_resolver().url_patterns) if name.startswith("admin:") and name not in OPEN]
    assert inside
    for url in inside:
        response = client.get(url)
        assert response.status_code in (301, 302, 404), url
        assert response.status_code == 404 or "sign-in" in response["Location"] or "login" in response["Location"], url


def test_probes_alone_are_answered_before_anybody_is_asked_for(client: Client, db: None) -> None:
    """They are no pages, see `webapp.health`."""
    assert all(lets_strangers_in(url, client) for url in ("/health/live", "/health/ready"))
    assert {client.get(url).status_code for url in ("/health", "/health/", "/health/live/", "/health/other")} == {404}
