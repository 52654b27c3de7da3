"""What differs where people reach the app by https, seen from outside: settings, headers, cookies."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from tests.stack import PROJECT, RunningStack, environment_of_a_person, running_stack
from webapp.security_headers import PERMISSIONS_POLICY
from webapp.settings import LOOPBACK_HOSTS, env_hosts

FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.5"}


def manage(home: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=PROJECT,
        env={**environment_of_a_person(), "GRAFTWORK_HOME": str(home), **environment},
        capture_output=True,
        text=True,
    )


def test_djangos_check_of_deployments_finds_nothing(tmp_path: Path) -> None:
    ended = manage(tmp_path, "check", "--deploy", "--fail-level", "WARNING", GRAFTWORK_HTTPS="yes")
    assert ended.returncode == 0, ended.stderr
    assert "no issues" in ended.stdout


@pytest.mark.parametrize("hosts", ["*", "localhost,*", "graftwork.example.org, *"])
def test_answering_to_every_name_stops_the_start(monkeypatch: pytest.MonkeyPatch, hosts: str) -> None:
    monkeypatch.setenv("GRAFTWORK_ALLOWED_HOSTS", hosts)
    with pytest.raises(ImproperlyConfigured, match="List the names"):
        env_hosts("GRAFTWORK_ALLOWED_HOSTS", [], debug=False)


def test_debugging_where_others_can_reach_it_stops_the_start(tmp_path: Path) -> None:
    def check(hosts: str) -> subprocess.CompletedProcess[str]:
        return manage(tmp_path, "check", GRAFTWORK_DEBUG="yes", GRAFTWORK_ALLOWED_HOSTS=hosts)

    for hosts in ("*", "localhost,graftwork.example.org"):
        ended = check(hosts)
        assert ended.returncode == 1 and "GRAFTWORK_ALLOWED_HOSTS" in ended.stderr and "Traceback" not in ended.stderr
    assert check(",".join(LOOPBACK_HOSTS)).returncode == 0


def test_the_demo_says_that_it_cannot_talk_https(tmp_path: Path) -> None:
    ended = manage(tmp_path, "demo", GRAFTWORK_HTTPS="yes")
    assert ended.returncode == 1 and "Run it without GRAFTWORK_HTTPS=yes" in ended.stderr


@pytest.fixture(scope="module")
def https_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Behind a proxy on this machine that ends https; here the test is the proxy."""
    home = tmp_path_factory.mktemp("https") / "home"
    with running_stack(home, GRAFTWORK_HTTPS="yes", GRAFTWORK_TRUSTED_PROXIES="127.0.0.1") as running:
        yield running


@pytest.fixture(scope="module")
def visitor(https_stack: RunningStack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=https_stack.url, headers=FORWARDED) as client:
        yield client


def test_cookies_are_of_this_host_and_https_alone(https_stack: RunningStack, visitor: httpx.Client) -> None:
    """The first admin signs in through the proxy, form and all."""
    assert https_stack.welcome_url is not None
    path = https_stack.welcome_url.removeprefix(https_stack.url)
    page = visitor.get(path)
    token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    csrf = page.headers["Set-Cookie"]
    form = {"username": "ada", "password": "seven lazy otters", "password_again": "seven lazy otters"}
    answer = visitor.post(
        path,
        data={**form, "csrfmiddlewaretoken": token},
        # httpx would not send a Secure cookie over the proxy's plain side.
        headers={"Cookie": csrf.partition(";")[0], "Origin": https_stack.url.replace("http:", "https:")},
    )
    assert answer.status_code == 302 and answer.headers["Location"] == "/"
    for cookie in [csrf, *answer.headers.get_list("Set-Cookie")]:
        assert cookie.startswith(("__Host-csrftoken=", "__Host-sessionid=")), cookie
        assert "Secure" in cookie and "Path=/" in cookie and "Domain" not in cookie and "SameSite=Lax" in cookie


ANSWERS = {
    "/sign-in": 200, "/": 302, "/no-such-page": 404, "/static/css/app.css": 200, "/static/no.css": 404,
    "/health/live": 200, "/health/ready": 200,
}  # fmt: skip


@pytest.mark.parametrize("path", ANSWERS)
def test_every_answer_tells_the_browser_what_it_may_do(visitor: httpx.Client, path: str) -> None:
    answer = visitor.get(path)
    assert answer.status_code == ANSWERS[path]
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
    assert answer.headers["Permissions-Policy"] == PERMISSIONS_POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_plain_http_is_sent_on_but_for_probes(https_stack: RunningStack) -> None:
    answer = httpx.get(f"{https_stack.url}/sign-in")
    assert answer.status_code == 301
    assert answer.headers["Location"] == f"{https_stack.url.replace('http:', 'https:')}/sign-in"
    assert httpx.get(f"{https_stack.url}/health/ready").json()["status"] == "ok"


def test_a_proxy_that_is_not_in_the_settings_is_told_so_instead_of_redirected_for_ever(settings: Any) -> None:
    settings.HTTPS = settings.SECURE_SSL_REDIRECT = True
    answer = Client(headers=FORWARDED).get("/sign-in")
    assert answer.status_code == 400 and "GRAFTWORK_TRUSTED_PROXIES" in answer.content.decode()


@pytest.mark.parametrize("path", ["/no-such-page", "/sign-in"])
def test_refusals_and_errors_have_the_header_too(alice_client: Client, path: str) -> None:
    for client in (alice_client, Client(headers={"Host": "evil.example"}), Client(enforce_csrf_checks=True)):
        answer = client.post(path)
        assert answer["Permissions-Policy"] == PERMISSIONS_POLICY, answer.status_code


def test_a_server_error_has_the_header_too(alice_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    alice_client.raise_request_exception = False
    monkeypatch.setattr("webapp.accounts.views.OwnPasswordForm", None)
    answer = alice_client.get("/account")
    assert (answer.status_code, answer["Permissions-Policy"]) == (500, PERMISSIONS_POLICY)


def test_without_https_cookies_and_headers_are_those_of_localhost(client: Client, db: None) -> None:
    answer = client.get("/sign-in")
    assert "Strict-Transport-Security" not in answer and set(answer.cookies) == {"csrftoken"}
    assert not answer.cookies["csrftoken"]["secure"]
