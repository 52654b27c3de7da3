"""What becomes of an errand, by what its child did. The children are real ones."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine.previews import lay_tokenizer
from tests.errands.made import claimed
from tests.factories import make_user, make_version, make_worker
from tests.tiny import CHAT_TEMPLATE, make_llama
from webapp import storage
from webapp.base_models.services import base_model_register
from webapp.contract.model_folder import read_model_folder
from webapp.contract.preview import Preview
from webapp.errands.models import Errand, Kind, State
from webapp.errands.services import errand_ask, errand_stop
from worker.errand_kinds import WAYS
from worker.errand_run import ErrandRun
from worker.errand_way import Told, Way
from worker.errands import Errands

IDLE = Way("tests.worker.idle_child", lambda _errand: Told("{}"), 60.0, blame="It is idle.")


def ask_preview(folder: Path, template: str = CHAT_TEMPLATE) -> Errand:
    """Of a dataset of sixty rows, and a base model with the tokenizer of one token a character."""
    user = make_user()
    lay_tokenizer(make_llama(folder / "tiny"), template=template)
    report = read_model_folder(folder / "tiny")
    model = base_model_register(title="Tiny", folder=str(folder / "tiny"), report=report)
    asked = {"dataset_version": str(make_version(user).id), "base_model": model.id, "task": "generate"}
    return errand_ask(user, Kind.PREVIEW, {**asked, "max_length": 64, "seed": 0})


def stays() -> bool:
    return False


def run_idle(monkeypatch: pytest.MonkeyPatch, way: Way = IDLE, is_leaving: Callable[[], bool] = stays) -> Errand:
    """An errand whose child does nothing, from its being asked to its end."""
    monkeypatch.setitem(WAYS, Kind.PREVIEW, way)
    monkeypatch.setattr("worker.errand_run.BEAT_SECONDS", 0.0)
    errand = errand_ask(make_user(), Kind.PREVIEW, {})
    ErrandRun(claimed(), is_leaving).carry_out()
    errand.refresh_from_db()
    return errand


@pytest.mark.django_db
def test_a_preview_is_answered_and_nothing_is_left_on_the_disk(tmp_path: Path) -> None:
    errand = ask_preview(tmp_path)
    ErrandRun(claimed(), stays).carry_out()
    errand.refresh_from_db()
    assert (errand.state, errand.error) == (State.DONE, "")
    assert Preview.model_validate(errand.result).num_rows == 60
    assert list(storage.errands_dir().iterdir()) == []


@pytest.mark.django_db
def test_a_template_that_refuses_is_told_in_its_own_words(tmp_path: Path) -> None:
    errand = ask_preview(tmp_path, "{{ raise_exception('only poems') }}")
    ErrandRun(claimed(), stays).carry_out()
    errand.refresh_from_db()
    assert errand.state == State.FAILED
    assert "only poems" in errand.error
    assert errand.result == {"code": "template"}


@pytest.mark.django_db
def test_a_dataset_that_was_deleted_meanwhile_is_told(tmp_path: Path) -> None:
    errand = errand_ask(make_user(), Kind.PREVIEW, {"dataset_version": str(Errand().id), "base_model": "none"})
    ErrandRun(claimed(), stays).carry_out()
    errand.refresh_from_db()
    assert "deleted meanwhile" in errand.error


@pytest.mark.django_db
def test_one_that_is_asked_to_stop_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop_it() -> bool:
        if (errand := Errand.objects.get()).progress:
            errand_stop(errand)
        return False

    errand = run_idle(monkeypatch, is_leaving=stop_it)
    assert (errand.state, errand.progress["sentence"]) == (State.STOPPED, "Half.")


@pytest.mark.django_db
def test_a_worker_that_leaves_hands_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    errand = run_idle(monkeypatch, is_leaving=lambda: True)
    assert (errand.state, errand.num_lost) == (State.WAITING, 0)


@pytest.mark.django_db
def test_one_that_takes_too_long_is_ended_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    errand = run_idle(monkeypatch, IDLE._replace(seconds=1.0))
    assert (errand.state, errand.error) == (State.FAILED, "It took longer than it may and was ended. It is idle.")


@pytest.mark.django_db
def test_one_that_was_given_to_another_worker_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def give_away() -> bool:
        Errand.objects.update(attempt=2)
        return False

    errand = run_idle(monkeypatch, is_leaving=give_away)
    assert (errand.state, errand.attempt, errand.error) == (State.RUNNING, 2, "")


@pytest.mark.django_db
def test_a_child_that_crashes_fails_it(monkeypatch: pytest.MonkeyPatch) -> None:
    errand = run_idle(monkeypatch, IDLE._replace(module="tests.worker.no_such_child"))
    assert (errand.state, errand.error) == (State.FAILED, "It ended before it was done (code 1). It is idle.")


def test_the_threads_do_what_is_asked_without_a_broker_and_end(
    sqlite_database: str, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.TIMING = replace(settings.TIMING, poll=0.2)
    monkeypatch.setitem(WAYS, Kind.PREVIEW, IDLE)
    threads = Errands(make_worker())
    threads.start()
    errand = errand_ask(make_user(), Kind.PREVIEW, {})
    try:
        wait_for(lambda: Errand.objects.get(id=errand.id).progress != {})
    finally:
        threads.leave()
        threads.join()
    assert Errand.objects.get(id=errand.id).state == State.WAITING


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)
