"""Random numbers for tests, the same again with GRAFTWORK_TEST_SEED; pytest shows the seed of a test that failed."""

import os
import random
import time


def make_dice() -> random.Random:
    seed = os.environ.get("GRAFTWORK_TEST_SEED") or str(time.time_ns() % 1_000_000)
    print(f"GRAFTWORK_TEST_SEED={seed}")  # noqa: T201
    return random.Random(seed)
