"""Receivers here are on this machine, which webhooks may reach only where an admin says so."""

from typing import Any

import pytest


@pytest.fixture
def private_allowed(settings: Any) -> None:
    settings.WEBHOOK_PRIVATE_ADDRESSES = True
