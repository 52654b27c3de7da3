"""Every request that changes something leaves exactly one entry, in the same transaction; a look leaves none."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import get_resolver, resolve, reverse
from django.views.generic import RedirectView

from tests.accounts.test_default_deny import pages
from tests.adapters.made import make_adapter
from tests.audit.changes import CHANGES, PASSWORD, Change
from tests.conftest import signed_in
from tests.factories import make_job, make_version, make_worker
from tests.jobs.made import fields_for
from webapp import storage
from webapp.accounts.models import User
from webapp.audit import chain, recording
from webapp.audit.actions import DOWNLOADS, IN_ONE_TRANSACTION, KEEPS_OWN_TRANSACTIONS
from webapp.audit.models import AuditEntry
from webapp.workers.services import worker_add

pytestmark = pytest.mark.django_db

TESTED_ELSEWHERE = {"worker-join", "webhook-test"}


@pytest.fixture(autouse=True)
def everything_is_allowed(settings: Any) -> None:
    settings.HUB, settings.HUB_IS_OFFLINE = "members", False
    settings.WEBHOOK_PRIVATE_ADDRESSES = True
    cache.clear()


def new_entries(act: Callable[[], Any]) -> tuple[Any, list[AuditEntry]]:
    before = AuditEntry.objects.count()
    answer = act()
    return answer, list(AuditEntry.objects.order_by("number")[before:])


def test_every_address_that_takes_a_post_is_audited(admin_client: Client) -> None:
    takes_posts = set()
    for name, url in pages(get_resolver().url_patterns):
        if name.startswith("admin:") or name == "job-stream":
            continue
        leads_elsewhere = getattr(resolve(url).func, "view_class", None) is RedirectView
        if admin_client.post(url).status_code != 405 and not leads_elsewhere:
            takes_posts.add(name)
        admin_client.force_login(User.objects.get(username="root"))
    own = {name for name in {**IN_ONE_TRANSACTION, **KEEPS_OWN_TRANSACTIONS} if not name.startswith("admin:")}
    assert takes_posts == own, "name it in webapp/audit/actions.py and make a change of it in tests/audit/changes.py"


def test_every_audited_address_is_tested_and_exists() -> None:
    exist = {name for name, _url in pages(get_resolver().url_patterns)}
    audited = {**IN_ONE_TRANSACTION, **KEEPS_OWN_TRANSACTIONS}.keys()
    assert audited - TESTED_ELSEWHERE <= CHANGES.keys()
    assert (audited | DOWNLOADS.keys()) <= exist


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_leaves_one_entry(name: str, admin_user: User, tmp_path: Path) -> None:
    action, make = CHANGES[name]
    change = make(admin_user, tmp_path)
    before = change.seen()
    answer, entries = new_entries(change.send)
    assert answer.status_code in (201, 302), answer.content[:2000]
    assert change.seen() != before
    assert [(entry.action, entry.outcome, entry.actor, entry.actor_id) for entry in entries] == [
        (action, "done", "root", admin_user.pk)
    ]
    assert entries[0].address == "127.0.0.1"
    assert "secret" not in str(AuditEntry.objects.values()) and "hf_" not in str(AuditEntry.objects.values())
    assert PASSWORD not in str(AuditEntry.objects.values())


@pytest.mark.parametrize("name", CHANGES)
def test_without_its_entry_a_change_is_not_made(
    name: str, admin_user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change: Change = CHANGES[name][1](admin_user, tmp_path)
    before = change.seen()

    def fails(**_: Any) -> None:
        raise RuntimeError("The audit log cannot be written.")

    monkeypatch.setattr(recording, "append", fails)
    with pytest.raises(RuntimeError, match="The audit log cannot be written"):
        change.send()
    assert change.seen() == before


@pytest.mark.parametrize("name", sorted({**IN_ONE_TRANSACTION, **KEEPS_OWN_TRANSACTIONS}))
def test_a_refused_request_leaves_one_entry_that_says_so(name: str, alice_client: Client) -> None:
    """By a member, of things that are not there or not hers, with an empty form."""
    url = dict(pages(get_resolver().url_patterns))[name]
    if name in ("logout", "admin:logout", "hub-token-delete"):
        return  # Never refused.
    answer, entries = new_entries(lambda: alice_client.post(url))
    if name in ("login", "admin:login"):
        return  # Somebody who is signed in is led on.
    assert len(entries) == 1
    assert (entries[0].outcome, entries[0].actor) == ("refused", "alice"), answer.status_code


def test_a_refusal_that_is_told_on_the_next_page_is_one(admin_client: Client, admin_user: User) -> None:
    job = make_job(admin_user, state="failed")
    answer, entries = new_entries(lambda: admin_client.post(f"/jobs/{job.id}/cancel"))
    assert answer.status_code == 302
    assert [(entry.outcome, entry.object_id) for entry in entries] == [("refused", str(job.id))]


def test_a_failed_sign_in_is_told_with_the_name_that_was_typed(client: Client) -> None:
    fields = {"username": "mallory\r\n2026 root signed in", "password": PASSWORD}
    _answer, [entry] = new_entries(lambda: client.post("/sign-in", fields, REMOTE_ADDR="192.0.2.7"))
    assert (entry.action, entry.outcome, entry.actor_id, entry.address) == ("sign-in", "refused", None, "192.0.2.7")
    assert entry.actor == r"mallory\r\n2026 root signed in"


def test_drafts_and_looks_leave_no_entry(admin_client: Client, admin_user: User) -> None:
    fields = {**fields_for(make_version(admin_user)), "update": "1"}
    job = make_job(admin_user)
    looks = [
        lambda url=url: admin_client.get(url) for url in ("/", "/jobs/", f"/jobs/{job.id}", "/audit/", "/workers/")
    ]
    for look in [*looks, lambda: admin_client.post("/jobs/new", fields), lambda: admin_client.head("/jobs/")]:
        answer, entries = new_entries(look)
        assert (answer.status_code, entries) == (200, [])


def test_strangers_fill_no_log(client: Client) -> None:
    for url in (f"/jobs/{uuid.uuid4()}/cancel", "/workers/add", "/sign-out", "/datasets/upload"):
        _answer, entries = new_entries(lambda url=url: client.post(url))
        assert entries == []


def test_a_download_is_told_before_the_first_byte(
    admin_user: User, admin_client: Client, bob_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = make_adapter(admin_user)
    url = reverse("adapter-download", args=[version.id])
    _answer, entries = new_entries(lambda: admin_client.get(url))
    assert [(entry.action, entry.outcome, entry.actor, entry.object_name) for entry in entries] == [
        ("adapter.download", "done", "root", version.zip_name)
    ]
    assert new_entries(lambda: admin_client.head(url))[1][0].action == "adapter.download"
    assert new_entries(lambda: bob_client.get(url))[1] == []
    monkeypatch.setattr(recording, "append", lambda **_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        admin_client.get(url)


def join(client: Client, token: str) -> Any:
    sent = {"key": "k" * 43, "installation": storage.installation_id(), "host": "box"}
    headers = {"Authorization": f"Bearer {token}"}
    return client.post("/workers/join", sent, content_type="application/json", headers=headers)


def test_a_throttled_client_leaves_one_entry_a_minute(client: Client) -> None:
    statuses = [join(client, "wrong").status_code for _ in range(40)]
    entries = AuditEntry.objects.filter(action="worker.join", outcome="refused")
    assert statuses.count(429) > 1
    assert entries.filter(detail="throttled").count() == 1
    assert entries.exclude(detail="throttled").count() == statuses.count(401)


def test_throttled_sign_ins_are_told(client: Client) -> None:
    fields = {"username": "root", "password": PASSWORD}
    statuses = [client.post("/sign-in", fields).status_code for _ in range(10)]
    assert 429 in statuses
    assert AuditEntry.objects.filter(action="sign-in", actor="root", detail="throttled").count() == 1


def test_a_worker_that_joins_leaves_one_entry(client: Client) -> None:
    _worker, token = worker_add(name="box")
    _answer, [entry] = new_entries(lambda: join(client, token))
    assert (entry.action, entry.outcome, entry.actor) == ("worker.join", "done", "not signed in")
    assert token not in str(AuditEntry.objects.values())


def test_who_was_disabled_and_who_was_promoted_is_told(admin_user: User, tmp_path: Path) -> None:
    CHANGES["admin:accounts_user_change"][1](admin_user, tmp_path).send()
    entry = AuditEntry.objects.latest("number")
    assert "is_active True → False" in entry.detail and "alice" in entry.detail


def test_accounts_made_and_promoted_by_a_command_are_told(db: None) -> None:
    user = User.objects.create_user("carol", password=PASSWORD)
    user.is_staff = True
    user.save()
    user.save()
    told = AuditEntry.objects.filter(object_name="carol").order_by("number")
    assert [(entry.action, entry.actor.split(":")[0]) for entry in told] == [
        ("account.add", "command line"),
        ("account.change", "command line"),
    ]
    assert told[1].detail == "carol: is_staff False → True"


def test_many_jobs_cancelled_in_the_admin_leave_one_entry(admin_client: Client, admin_user: User) -> None:
    jobs = [make_job(admin_user) for _ in range(3)]
    fields = {"action": "cancel", "_selected_action": [str(job.id) for job in jobs]}
    _answer, entries = new_entries(lambda: admin_client.post("/admin/jobs/job/", fields))
    assert [(entry.action, entry.object_kind) for entry in entries] == [("admin.changelist", "jobs_job")]
    assert entries[0].detail == "cancel, 3 chosen"


def test_a_worker_process_leaves_no_entry(admin_user: User) -> None:
    from tests.jobs.made import make_succeeded

    make_job(admin_user)
    assert new_entries(lambda: make_succeeded(admin_user))[1] == []
    make_worker()


def test_the_chain_holds_after_all_that(admin_user: User, tmp_path: Path) -> None:
    for number, name in enumerate(("job-new", "worker-add", "admin:auth_group_add")):
        CHANGES[name][1](admin_user, tmp_path / str(number)).send()
    assert chain.verify().problem == ""
    assert signed_in(admin_user).get("/audit/?check=yes").status_code == 200
