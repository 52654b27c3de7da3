"""Where webhooks may not go, by every name it has."""

import ipaddress
import time
from typing import Any

import pytest

from webapp.webhooks import address
from webapp.webhooks.address import Refused, is_allowed, target_of

PUBLIC = ["93.184.215.14", "1.1.1.1", "2606:4700:4700::1111"]
PRIVATE = ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "100.64.0.1", "198.18.0.1", "::1", "fd12::1",
           "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "2002:7f00:1::", "64:ff9b::a00:1"]  # fmt: skip
NEVER = ["169.254.169.254", "169.254.170.2", "0.0.0.0", "0.1.2.3", "::", "fe80::1", "fe80::1%lo", "fd00:ec2::254",
         "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "224.0.0.1", "255.255.255.255", "ff02::1",
         "::ffff:169.254.169.254", "2002:a9fe:a9fe::", "64:ff9b::a9fe:a9fe"]  # fmt: skip

# Spelt as no address should be; the system's resolver reads them all.
SPELLINGS = ["127.0.0.1", "127.1", "2130706433", "0177.0.0.1", "0x7f.1", "0x7f000001", "017700000001", "[::1]",
             "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "0", "10.0.0.5", "169.254.169.254", "2852039166",
             "0xa9fea9fe", "[fe80::1]", "localhost", "LOCALHOST", "127.0.0.1:6379"]  # fmt: skip


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("text", PUBLIC + PRIVATE + NEVER)
def test_public_always_private_if_allowed_metadata_never(text: str, allowed: bool, settings: Any) -> None:
    settings.WEBHOOK_PRIVATE_ADDRESSES = allowed
    assert is_allowed(ipaddress.ip_address(text)) is (text in PUBLIC or (allowed and text in PRIVATE))


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_spelling_of_a_forbidden_address_passes(host: str) -> None:
    with pytest.raises(Refused, match=r"does not lead to an address webhooks may go to|not a web address"):
        target_of(f"http://{host}/", seconds=5)


@pytest.mark.parametrize("host", ["169.254.169.254", "2852039166", "0xa9fea9fe", "0", "[::ffff:169.254.169.254]"])
def test_metadata_stay_out_of_reach_where_private_addresses_are_allowed(host: str, private_allowed: None) -> None:
    with pytest.raises(Refused):
        target_of(f"http://{host}/latest/meta-data/", seconds=5)


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "look_up", lambda host: ["93.184.215.14", "10.0.0.5"])
    with pytest.raises(Refused):
        target_of("https://example.com/", seconds=5)


def test_a_public_name_passes_with_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "look_up", lambda host: ["93.184.215.14"])
    assert target_of("https://example.com:8443/a?b=c", seconds=5).addresses == ["93.184.215.14"]


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("gopher://example.com/", "https://"),
        ("file:///etc/passwd", "https://"),
        ("example.com/hook", "https://"),
        ("https://", "https://"),
        ("", "https://"),
        ("https://me:secret@example.com/", "password"),
        ("https://me@example.com/", "password"),
        ("https://example.com:99999/", "not a web address"),
        ("http://exa mple.com/", "not a web address"),
        ("http://example.com/\r\nHost: other", "not a web address"),
        ("https://example.com:0/", "not a web address"),
        ("https://a%2fb/", "not a web address"),
        ("http://[::1/", "not a web address"),
        ("https://no-such-name.invalid/", "not known"),
    ],
)
def test_what_is_not_a_plain_web_address_is_refused(url: str, word: str) -> None:
    with pytest.raises(Refused, match=word):
        target_of(url, seconds=10)


def test_a_resolver_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "look_up", lambda host: time.sleep(30) or [])
    with pytest.raises(Refused, match="not resolved in time"):
        target_of("https://example.com/", seconds=0.2)
