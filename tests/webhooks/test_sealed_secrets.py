"""A webhook's secret cannot be read out of the database, in whatever version it was added."""

import hashlib
import hmac
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core import serializers
from django.core.management import call_command
from django.db import connection
from django.test import Client

from tests.databases import ENGINES, new_database, using_database
from tests.webhooks.receiver import Receiver, receiving
from webapp import storage
from webapp.accounts.models import User
from webapp.sealing import CannotOpen
from webapp.webhooks.models import Notice, Webhook
from webapp.webhooks.services import webhook_add, webhook_test

OLD_SECRET = "whsec_canary-that-an-older-version-kept-as-it-is"
pytestmark = pytest.mark.usefixtures("private_allowed")


def is_signed_with(secret: str, delivery: Any) -> bool:
    time, given = (part.split("=")[1] for part in delivery.headers["Graftwork-Signature"].split(","))
    return hmac.new(secret.encode(), time.encode() + b"." + delivery.body, hashlib.sha256).hexdigest() == given


def rows_of(model: type[Webhook]) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {model._meta.db_table}")
        return str(cursor.fetchall())


def test_the_database_does_not_hold_it_and_deliveries_still_verify(alice: User) -> None:
    with receiving(Receiver(200)) as receiver:
        webhook = webhook_add(alice, receiver.url)
        assert webhook_test(webhook).delivered_at
    [delivery] = receiver.deliveries
    assert webhook.secret.startswith("whsec_") and is_signed_with(webhook.secret, delivery)
    dump = rows_of(Webhook) + serializers.serialize("json", [*Webhook.objects.all(), *Notice.objects.all()])
    assert webhook.secret not in dump and "whsec_" not in dump


def add_as_an_older_version_did(url: str) -> None:
    """To a database that is migrated no further."""
    call_command("migrate", "webhooks", "0001", verbosity=0)
    # Without signals: they write into tables that come later.
    [owner] = User.objects.bulk_create([User(username="alice")])
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            # Debian's build overwrites what is removed; most others do not.
            cursor.execute("PRAGMA secure_delete=OFF")
        cursor.execute(
            "INSERT INTO webhooks_webhook (id, owner_id, url, secret, created_at, is_on, last_error) "
            "VALUES (%s, %s, %s, %s, CURRENT_TIMESTAMP, %s, '')",
            ["0123456789abcdef0123456789abcdef", owner.pk, url, OLD_SECRET, True],
        )


@pytest.mark.parametrize("engine", ENGINES)
def test_secrets_of_an_older_version_are_sealed_and_still_sign(engine: str, django_db_blocker: Any) -> None:
    url = new_database(engine)
    with django_db_blocker.unblock(), using_database(url, migrate=False), receiving(Receiver(200)) as receiver:
        add_as_an_older_version_did(receiver.url)
        call_command("migrate", verbosity=0)
        webhook = Webhook.objects.get()
        assert webhook_test(webhook).delivered_at
        assert OLD_SECRET not in rows_of(Webhook)
        file = Path(str(connection.settings_dict["NAME"]))
        written = b"".join(path.read_bytes() for path in file.parent.glob(f"{file.name}*") if engine == "sqlite")
    assert webhook.secret == OLD_SECRET and is_signed_with(OLD_SECRET, receiver.deliveries[0])
    # SQLite keeps what was removed in free pages and in its log.
    assert OLD_SECRET.encode() not in written
    assert (b"gAAAA" in written) is (engine == "sqlite")


def test_without_its_key_a_webhook_says_what_to_do(alice: User, alice_client: Client) -> None:
    with receiving(Receiver(200)) as receiver:
        webhook = webhook_add(alice, receiver.url)
        storage.hub_token_keys_path().unlink()
        assert "Add the webhook again" in webhook_test(webhook).last_error
    assert receiver.deliveries == []
    page = alice_client.get("/account/webhooks/")
    assert page.status_code == 200 and "Add the webhook again" in page.content.decode()


def test_rotation_seals_them_with_a_new_key(transactional_db: None, alice: User) -> None:
    webhook = webhook_add(alice, "https://example.com/")
    secret, keys = webhook.secret, storage.hub_token_keys_path().read_text()
    said = StringIO()
    call_command("rotate_sealing_key", stdout=said)
    assert "1 webhook secrets are sealed" in said.getvalue()
    webhook.refresh_from_db()
    assert webhook.secret == secret
    storage.hub_token_keys_path().write_text(keys)
    with pytest.raises(CannotOpen):
        _ = webhook.secret
