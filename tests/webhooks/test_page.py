"""The page of one's webhooks."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.webhooks.receiver import Receiver, receiving
from webapp.accounts.models import User
from webapp.webhooks.models import Notice, Webhook
from webapp.webhooks.services import MAX_WEBHOOKS, notices_add, webhook_add

pytestmark = pytest.mark.usefixtures("private_allowed")

LIST = "/account/webhooks/"
DEAD = "http://127.0.0.1:1/hook"


def html(client: Client) -> str:
    response = client.get(LIST)
    assert response.status_code == 200
    return response.content.decode()


def given_up(owner: User) -> Notice:
    webhook = webhook_add(owner, DEAD)
    notices_add(owner, "job.failed", {"job": "1"})
    webhook.notices.update(given_up_at=timezone.now(), tries=12, last_error="It answered 500.")
    return webhook.notices.get()


def addresses_of(notice: Notice) -> list[str]:
    by_webhook = [reverse(f"webhook-{verb}", args=[notice.webhook_id]) for verb in ("switch", "test", "delete")]
    return [reverse("notice-retry", args=[notice.id]), *by_webhook]


def test_the_account_page_leads_here_and_the_empty_page_says_what_to_do(alice_client: Client) -> None:
    assert f'href="{LIST}"' in alice_client.get(reverse("account")).content.decode()
    assert "No webhooks yet" in html(alice_client)


def test_the_secret_is_shown_once(alice: User, alice_client: Client) -> None:
    response = alice_client.post(LIST, {"url": DEAD})
    assert response.status_code == 302
    webhook = Webhook.objects.get()
    assert (webhook.owner, webhook.url) == (alice, DEAD)
    assert webhook.secret in html(alice_client)
    assert webhook.secret not in html(alice_client)


@pytest.mark.parametrize("url", ["", "ftp://example.com/", "http://169.254.169.254/", "https://me:pw@example.com/"])
def test_a_bad_address_is_told_of_beside_its_field(url: str, alice_client: Client) -> None:
    response = alice_client.post(LIST, {"url": url})
    assert response.status_code == 400
    assert 'id="id_url_error"' in response.content.decode()
    assert not Webhook.objects.exists()


def test_a_private_address_is_refused_unless_the_admin_allows_it(alice_client: Client, settings: Any) -> None:
    settings.WEBHOOK_PRIVATE_ADDRESSES = False
    response = alice_client.post(LIST, {"url": DEAD})
    assert "GRAFTWORK_WEBHOOK_PRIVATE_ADDRESSES=yes" in response.content.decode()
    assert not Webhook.objects.exists()


def test_a_sixth_is_refused_also_where_the_form_is_sent_without_the_page(alice: User, alice_client: Client) -> None:
    for _ in range(MAX_WEBHOOKS):
        webhook_add(alice, DEAD)
    assert "Add a webhook" not in html(alice_client)
    response = alice_client.post(LIST, {"url": DEAD})
    assert response.status_code == 400
    assert "Delete one first" in response.content.decode()
    assert alice.webhooks.count() == MAX_WEBHOOKS


def test_a_test_tells_at_once_how_it_went(alice: User, alice_client: Client) -> None:
    with receiving(Receiver(200, 302)) as receiver:
        webhook = webhook_add(alice, receiver.url)
        page = alice_client.post(reverse("webhook-test", args=[webhook.id]), follow=True).content.decode()
        assert "The test was delivered." in page and "Works" in page
        page = alice_client.post(reverse("webhook-test", args=[webhook.id]), follow=True).content.decode()
    assert "Redirects are not followed" in page and "Failing" in page
    assert len(receiver.deliveries) == 2


def test_it_is_switched_off_and_on_and_two_clicks_do_not_undo_each_other(alice: User, alice_client: Client) -> None:
    webhook = webhook_add(alice, DEAD)
    for said, is_on in (("no", False), ("no", False), ("yes", True), ("yes", True)):
        alice_client.post(reverse("webhook-switch", args=[webhook.id]), {"is_on": said})
        webhook.refresh_from_db()
        assert webhook.is_on is is_on


def test_deleting_takes_what_was_still_to_be_told_along(alice: User, alice_client: Client) -> None:
    notice = given_up(alice)
    alice_client.post(reverse("webhook-delete", args=[notice.webhook_id]))
    assert not Webhook.objects.exists() and not Notice.objects.exists()


def test_a_given_up_notice_is_shown_and_goes_back_into_the_outbox(alice: User, alice_client: Client) -> None:
    notice = given_up(alice)
    page = html(alice_client)
    assert "Given up" in page and "It answered 500." in page and "12 tries" in page and "Try again" in page
    alice_client.post(reverse("notice-retry", args=[notice.id]))
    notice.refresh_from_db()
    assert notice.given_up_at is None and notice.tries == 0
    assert "Waiting" in html(alice_client)


@pytest.mark.parametrize("who", ["bob_client", "admin_client"])
def test_others_even_admins_find_nothing(who: str, alice: User, request: pytest.FixtureRequest) -> None:
    other: Client = request.getfixturevalue(who)
    notice = given_up(alice)
    for url in addresses_of(notice):
        assert other.post(url, {"is_on": "no"}).status_code == 404
    notice.refresh_from_db()
    assert notice.given_up_at and notice.webhook.is_on
    assert DEAD not in html(other)


def test_looking_changes_nothing(alice: User, alice_client: Client) -> None:
    for url in addresses_of(given_up(alice)):
        assert alice_client.get(url).status_code == 405


def test_the_admin_sees_neither_secret_nor_what_is_told(alice: User, admin_client: Client) -> None:
    notice = given_up(alice)
    for model, key in (("webhook", notice.webhook_id), ("notice", notice.id)):
        for url in (f"/admin/webhooks/{model}/", f"/admin/webhooks/{model}/{key}/change/"):
            page = admin_client.get(url).content.decode()
            assert DEAD in page
            assert notice.webhook.secret not in page and "&quot;job&quot;" not in page


def test_what_the_address_says_is_text_not_code(alice: User, alice_client: Client) -> None:
    webhook_add(alice, "https://example.com/<script>alert(1)</script>")
    assert "<script>alert" not in html(alice_client)
