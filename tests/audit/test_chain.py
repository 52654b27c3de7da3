"""The chain: entries follow one another, nobody changes them, and whoever does is found out."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from tests.databases import new_database, using_database
from tests.factories import make_job, make_user
from tests.state_machine.faults import committing_then_raising
from webapp import storage
from webapp.audit import append_only
from webapp.audit.chain import glance, verify
from webapp.audit.models import AppendOnly, AuditEntry, AuditHead
from webapp.audit.recording import Pending, current, printable, record
from webapp.jobs import persist
from webapp.jobs.models import Job
from webapp.jobs.services import job_pause

NUM = 5


@pytest.fixture(autouse=True)
def no_request() -> Iterator[None]:
    yield
    current.set(None)


def fill(number: int = NUM) -> None:
    for count in range(number):
        record("test.act", detail=f"number {count}")


def sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def unguarded(statement: str) -> None:
    """As somebody with the database's password could, in spite of the triggers."""
    on = "" if connection.vendor == "sqlite" else " ON audit_auditentry"
    names = ("audit_no_update", "audit_no_delete") if connection.vendor == "sqlite" else ("audit_append_only",)
    for name in names:
        sql(f"DROP TRIGGER {name}{on}")
    sql(statement)
    append_only.install("default")


def test_entries_are_numbered_and_tied_to_each_other(either_database: str) -> None:
    fill()
    entries = list(AuditEntry.objects.order_by("number"))
    assert [entry.number for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry.previous_sha256 for entry in entries] == ["", *(entry.sha256 for entry in entries[:-1])]
    assert (verify().problem, verify().num_entries, glance().problem) == ("", NUM, "")
    assert verify().is_end_recorded


def test_an_empty_log_is_whole(either_database: str) -> None:
    assert (verify().num_entries, verify().problem, glance().problem) == (0, "", "")


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_auditentry SET detail = 'x' WHERE number = 2", "DELETE FROM audit_auditentry"]
)
def test_the_database_refuses_to_change_or_delete_an_entry(either_database: str, statement: str) -> None:
    fill()
    with pytest.raises(DatabaseError, match="append-only"):
        sql(statement)
    assert AuditEntry.objects.count() == NUM


def test_the_model_refuses_as_well(either_database: str) -> None:
    fill(1)
    entry = AuditEntry.objects.get()
    for act in (
        entry.save,
        entry.delete,
        AuditEntry.objects.all().delete,
        lambda: AuditEntry.objects.update(detail=""),
    ):
        with pytest.raises(AppendOnly):
            act()


@pytest.mark.parametrize(
    ("statement", "sentence", "at"),
    [
        ("UPDATE audit_auditentry SET detail = 'x' WHERE number = 2", "Entry 2 was changed after", 2),
        ("UPDATE audit_auditentry SET at = '2020-01-01T00:00:00+00:00' WHERE number = 3", "Entry 3 was changed", 3),
        ("UPDATE audit_auditentry SET actor = 'bob', actor_id = 7 WHERE number = 5", "Entry 5 was changed", 5),
        ("DELETE FROM audit_auditentry WHERE number = 1", "Entry 1 is missing", 1),
        ("DELETE FROM audit_auditentry WHERE number = 3", "Entry 3 is missing", 3),
        ("DELETE FROM audit_auditentry WHERE number > 3", "The newest entries are missing", 4),
        ("DELETE FROM audit_auditentry", "The newest entries are missing", 1),
    ],
)
def test_a_broken_chain_says_where(either_database: str, statement: str, sentence: str, at: int) -> None:
    fill()
    unguarded(statement)
    assert verify().problem.startswith(sentence)
    assert verify().at == at
    with pytest.raises(CommandError, match=sentence):
        call_command("audit_verify")


def forge(remove_after: int) -> None:
    """End the log earlier, with an end that fits."""
    unguarded(f"DELETE FROM audit_auditentry WHERE number > {remove_after}")
    last = AuditEntry.objects.latest("number")
    AuditHead.objects.update(number=last.number, sha256=last.sha256)


def test_newest_entries_that_were_removed_with_the_recorded_end_are_missed(either_database: str) -> None:
    fill()
    forge(3)
    assert glance().problem == ""
    assert "once reached entry 5 and now ends at 3" in verify().problem


def test_a_log_that_was_rewritten_is_found_by_what_the_data_folder_recorded(either_database: str) -> None:
    fill()
    forge(3)
    fill(2)
    assert verify().problem.startswith("Entry 4 is not the one that was recorded")


def test_without_the_data_folder_s_record_a_noted_entry_finds_it(either_database: str, capsys: Any) -> None:
    fill()
    call_command("audit_verify")
    noted = capsys.readouterr().out.split()[-1]
    assert noted.startswith("5:")
    storage.audit_record_path().unlink()
    forge(3)
    assert verify().problem == "" and not verify().is_end_recorded
    call_command("audit_verify")
    assert "might go unnoticed" in capsys.readouterr().out
    with pytest.raises(CommandError, match="once reached entry 5"):
        call_command("audit_verify", expect=noted)
    with pytest.raises(CommandError, match="give NUMBER:SHA256"):
        call_command("audit_verify", expect="nonsense")


def test_the_record_is_for_its_owner_alone(either_database: str) -> None:
    fill(1)
    assert storage.audit_record_path().stat().st_mode & 0o777 == 0o600


def test_a_cut_line_of_the_record_is_passed_over(either_database: str) -> None:
    fill()
    with storage.audit_record_path().open("a") as file:
        file.write("6 abc")
    assert verify().problem == ""


def at_once(works: list[Callable[[], None]]) -> list[BaseException]:
    failed: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


def test_writers_at_once_make_one_chain_and_none_fails(either_database: str) -> None:
    assert at_once([lambda: fill(10)] * 6) == []
    assert (verify().num_entries, verify().problem) == (60, "")


def test_writers_that_change_the_same_things_do_not_lock_each_other_out(either_database: str) -> None:
    """The entry comes last in a transaction, so that nobody waits for a row with the log in their hands."""
    jobs = [make_job(make_user(f"owner{number}")) for number in range(2)]

    def pause_both(order: int) -> None:
        for job in jobs[::order]:
            current.set(Pending("job.pause", actor="alice", keeps_own_transactions=True))
            job_pause(Job.objects.get(id=job.id))

    before = AuditEntry.objects.count()
    assert at_once([lambda order=order: pause_both(order) for order in (1, -1, 1, -1)]) == []  # type: ignore[misc]
    assert AuditEntry.objects.count() - before == 2
    assert verify().problem == ""


def test_an_entry_goes_with_its_transaction(either_database: str) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        fill(1)
        raise ZeroDivisionError
    assert AuditEntry.objects.count() == 0
    fill(1)
    assert (AuditEntry.objects.get().number, verify().problem) == (1, "")


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_table_made_again_gets_its_triggers_back(engine: str, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock(), using_database(new_database(engine)):
        fill(1)
        on = "" if engine == "sqlite" else " ON audit_auditentry"
        sql(f"DROP TRIGGER {'audit_no_update' if engine == 'sqlite' else 'audit_append_only'}{on}")
        call_command("migrate", verbosity=0, interactive=False)
        with pytest.raises(DatabaseError, match="append-only"):
            sql("UPDATE audit_auditentry SET detail = 'x'")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[31mred\x00", r"\x1b[31mred\x00"),
        ("\ud800", r"\ud800"),
        ("right\u202eleft", r"right\u202eleft"),
        ("ünïcode 中", "ünïcode 中"),
        ("x" * 20, "x" * 20),
        ("x" * 30, "x" * 19 + "…"),
        ("\n" * 30, "\\n" * 9 + "\\…"),
    ],
)
def test_text_is_bounded_and_holds_no_control_characters(text: str, shown: str) -> None:
    assert printable(text, 20) == shown


def test_a_change_whose_answer_was_lost_leaves_one_entry(either_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was committed, the connection broke before its caller knew, and the try after it found it done."""
    monkeypatch.setattr(persist, "PAUSES", (0.0,) * len(persist.PAUSES))
    job = make_job(make_user())
    pending = Pending("job.pause", actor="alice", keeps_own_transactions=True)
    current.set(pending)
    with committing_then_raising(1) as faults:
        job_pause(job)
    assert (faults.num_raised, job.state) == (1, "paused")
    assert pending.is_written()
    assert AuditEntry.objects.filter(action="job.pause").count() == 1
    assert verify().problem == ""
