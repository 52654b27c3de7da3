"""The key that signs sessions: strong or no start, and replaced without signing anybody out."""

import stat
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from tests.stack import PROJECT, environment_of_a_person
from webapp.accounts.models import User
from webapp.secret_key import new_key, secret_keys

GOOD = "k7Qf2-Zr9_xW4mTn8vLc1bYp6HsJd3GaEuRiKoPqXtNyMwBzVfCg5"


@pytest.fixture(autouse=True)
def no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRAFTWORK_SECRET_KEY", raising=False)
    monkeypatch.delenv("GRAFTWORK_SECRET_KEY_FALLBACKS", raising=False)


WEAK = [
    ("", "0 characters"),
    ("hunter2", "7 characters"),
    (GOOD[:49], "49 characters"),
    ("ab" * 40, "2 different characters"),
    ("changeme" + GOOD, "placeholder"),
    ("django-insecure-" + GOOD, "placeholder"),
]


@pytest.mark.parametrize(("key", "reason"), WEAK)
@pytest.mark.parametrize("where", ["GRAFTWORK_SECRET_KEY", "GRAFTWORK_SECRET_KEY_FALLBACKS", "file"])
def test_a_key_that_could_be_guessed_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key: str, reason: str, where: str
) -> None:
    file = tmp_path / "secret_key"
    file.write_text(key)
    if where != "file":
        monkeypatch.setenv("GRAFTWORK_SECRET_KEY", GOOD)
        monkeypatch.setenv(where, key)
    if key == "" and where.endswith("FALLBACKS"):
        assert secret_keys(file) == [GOOD]
        return
    with pytest.raises(ImproperlyConfigured, match=reason) as error:
        secret_keys(file)
    assert (where if where != "file" else str(file)) in str(error.value)
    assert "token_urlsafe(64)" in str(error.value) and not (key and key in str(error.value))


def test_the_start_ends_in_one_sentence(tmp_path: Path) -> None:
    environment = {**environment_of_a_person(), "GRAFTWORK_HOME": str(tmp_path), "GRAFTWORK_SECRET_KEY": "changeme"}
    ended = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=PROJECT, env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert "GRAFTWORK_SECRET_KEY could be guessed" in ended.stderr and "Traceback" not in ended.stderr


def test_a_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "home" / "secret_key"
    (key,) = secret_keys(file)
    assert secret_keys(file) == [key] and len(key) >= 50
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["secret_key"]


def test_the_environment_can_name_older_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    older = [new_key(), new_key()]
    monkeypatch.setenv("GRAFTWORK_SECRET_KEY", GOOD)
    monkeypatch.setenv("GRAFTWORK_SECRET_KEY_FALLBACKS", " , ".join(older))
    assert secret_keys(tmp_path / "secret_key") == [GOOD, *older]


def test_a_rotation_signs_nobody_out_until_the_old_key_is_forgotten(settings: Any, alice: User, data_dir: Path) -> None:
    def restart() -> None:
        settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS = secret_keys(data_dir / "secret_key")

    def is_signed_in(client: Client) -> bool:
        return client.get(reverse("account")).status_code == 200

    restart()
    before = settings.SECRET_KEY
    active, idle = Client(), Client()
    active.force_login(alice)
    idle.force_login(alice)

    call_command("rotate_secret_key", stdout=StringIO())
    restart()
    assert before != settings.SECRET_KEY and [before] == settings.SECRET_KEY_FALLBACKS
    assert is_signed_in(active)

    call_command("rotate_secret_key", forget_old=True, stdout=StringIO())
    restart()
    assert settings.SECRET_KEY_FALLBACKS == []
    assert is_signed_in(active) and not is_signed_in(idle)


def test_where_the_environment_has_the_key_the_command_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFTWORK_SECRET_KEY", GOOD)
    with pytest.raises(CommandError, match="GRAFTWORK_SECRET_KEY_FALLBACKS"):
        call_command("rotate_secret_key")
