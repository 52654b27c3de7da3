"""Eight would-be workers ask for one name at the same moment, on a database of its own. Prints who got it.

Run as a program, since the tests' own database lies in memory and knows no two writers.
"""

import os
import threading

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from tests.workers.made import register  # noqa: E402
from webapp.workers.rules import Refused  # noqa: E402

RUNNERS = 8


def main() -> None:
    call_command("migrate", verbosity=0)
    barrier = threading.Barrier(RUNNERS)
    results: list[str] = []
    threads = [threading.Thread(target=_ask, args=[number, barrier, results]) for number in range(RUNNERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("\n".join(results))  # noqa: T201


def _ask(number: int, barrier: threading.Barrier, results: list[str]) -> None:
    barrier.wait()
    try:
        register("box", host=f"host-{number}", pid=number)
        results.append(f"host-{number}")
    except Refused:
        results.append("refused")
    finally:
        connection.close()


if __name__ == "__main__":
    main()
