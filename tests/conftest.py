"""What every test has at hand: a data folder of its own, and people who are signed in."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

# Before Django reads its settings: no test may write into the folder a person works with.
os.environ["GRAFTWORK_HOME"] = tempfile.mkdtemp(prefix="graftwork-tests-")

import pytest
from django.test import Client

from tests.databases import (  # noqa: F401
    either_database,
    postgresql_database,
    pytest_collection_modifyitems,
    sqlite_database,
)
from tests.factories import make_user
from tests.processes import hear_ctrl_c
from webapp.accounts.models import User

hear_ctrl_c()


def pytest_unconfigure() -> None:
    shutil.rmtree(os.environ["GRAFTWORK_HOME"], ignore_errors=True)


@pytest.fixture(autouse=True)
def data_dir(settings: Any, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path / "data"
    settings.DATA_DIR.mkdir()
    return tmp_path / "data"


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice")


@pytest.fixture
def bob(db: None) -> User:
    return make_user("bob")


@pytest.fixture
def admin_user(db: None) -> User:
    return make_user("root", is_staff=True, is_superuser=True)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def alice_client(alice: User) -> Client:
    return signed_in(alice)


@pytest.fixture
def bob_client(bob: User) -> Client:
    return signed_in(bob)


@pytest.fixture
def admin_client(admin_user: User) -> Client:
    return signed_in(admin_user)
