"""A folder with a short path, and an empty database, for a stack of processes."""

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.databases import ENGINES, new_database
from tests.faults.stack import EARNEST

SEED = int(os.environ.get("GRAFTWORK_TEST_SEED", "17"))


@pytest.fixture
def home(django_db_blocker: Any) -> Iterator[Path]:
    """The stack's data folder. The test may look at the database for as long as it has this."""
    folder = Path(tempfile.mkdtemp(prefix="gw-", dir="/tmp"))
    with django_db_blocker.unblock():
        yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database_url() -> str:
    return new_database("sqlite")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.faults)])
def any_database_url(request: pytest.FixtureRequest) -> str:
    """SQLite by default, PostgreSQL too in the full matrix."""
    return new_database(request.param)


@pytest.fixture(params=ENGINES)
def either_database_url(request: pytest.FixtureRequest) -> str:
    return new_database(request.param)


@pytest.fixture(params=[pytest.param({}, id="quick"), pytest.param(EARNEST, id="earnest", marks=pytest.mark.faults)])
def timing(request: pytest.FixtureRequest) -> dict[str, str]:
    """Variables for a stack: everything fast, or as people run it."""
    return dict(request.param)


@pytest.fixture
def dice() -> random.Random:
    """The same throws for the same seed: `python -m tests faults --seed N`."""
    print(f"seed {SEED}")  # noqa: T201
    return random.Random(SEED)
