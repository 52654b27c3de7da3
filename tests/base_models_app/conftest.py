"""The Hub may be asked, whatever this machine has set."""

from typing import Any

import pytest


@pytest.fixture(autouse=True)
def hub_is_open(settings: Any) -> None:
    settings.HUB, settings.HUB_IS_OFFLINE = "members", False
