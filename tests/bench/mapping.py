"""What choosing other columns of a large file costs the web process, and whoever else asks for a page meanwhile.

python -m tests.bench mapping [--megabytes 57] [--people 8] [--kind csv|jsonl]
"""

import argparse
import json
import os
import platform
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil

from tests.bench.submit import percentile
from tests.databases import new_database
from tests.faults.stack import FaultStack, running_faults
from tests.faults.wire import Submitter

PAIRS, SWAPPED = {"input": "question", "output": "answer"}, {"input": "answer", "output": "question"}
JSON = {"Accept": "application/json"}


def mapping(words: list[str]) -> Iterator[str]:
    parser = argparse.ArgumentParser(prog="python -m tests.bench mapping")
    parser.add_argument("--megabytes", type=int, default=57)
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--kind", action="append", choices=["csv", "jsonl"])
    asked = parser.parse_args(words)
    yield f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, files of {asked.megabytes} MB"
    for kind in asked.kind or ["csv", "jsonl"]:
        home = Path(tempfile.mkdtemp(prefix="gw-", dir="/tmp"))
        try:
            path = _written(home / f"rows.{kind}", asked.megabytes * 1_000_000)
            with running_faults(home, new_database("sqlite"), workers=0, web=True) as stack:
                yield from _measured(stack, path, asked.people)
        finally:
            shutil.rmtree(home, ignore_errors=True)


def _written(path: Path, num_bytes: int) -> Path:
    """Rows as support tickets are: a question of some words, an answer of some."""
    with path.open("w") as file:
        if path.suffix == ".csv":
            file.write("id,question,answer,topic\n")
        number = 0
        while file.tell() < num_bytes:
            number += 1
            answer = f"It left depot {number % 97} today and arrives in {number % 5} days. Sorry for the delay; " * 2
            row = [str(number), f"Where is parcel {number}?", answer.strip(), f"t{number % 9}"]
            names = ("id", "question", "answer", "topic")
            file.write(",".join(row) + "\n" if path.suffix == ".csv" else json.dumps(dict(zip(names, row))) + "\n")  # noqa: B905
    return path


def _measured(stack: FaultStack, path: Path, num_people: int) -> Iterator[str]:
    client = Submitter(stack).client
    client.http.timeout = httpx.Timeout(600)
    web = psutil.Process(stack.parts["web"].process.pid)
    peak = Peak(web)
    began, cpu = time.monotonic(), _cpu_seconds(web)
    urls = [_uploaded(client.http, path)]
    yield f"{path.suffix} upload: {time.monotonic() - began:.1f} s, web {_cpu_seconds(web) - cpu:.1f} s of CPU"
    urls += [_uploaded(client.http, path) for _ in range(num_people - 1)]
    for url in urls:
        _checked(client.http, url, PAIRS)
    began, cpu = time.monotonic(), _cpu_seconds(web)
    _checked(client.http, urls[0], SWAPPED)
    yield f"{path.suffix} one change: {time.monotonic() - began:.1f} s, web {_cpu_seconds(web) - cpu:.2f} s of CPU"
    another = {"input": "question", "output": "topic"}
    began, cpu = time.monotonic(), _cpu_seconds(web)
    people = [threading.Thread(target=_checked, args=[client.http, url, another]) for url in urls]
    for person in people:
        person.start()
    waits = []
    while any(person.is_alive() for person in people):
        asked = time.monotonic()
        client.http.get("/datasets/").raise_for_status()
        waits.append(time.monotonic() - asked)
        time.sleep(0.1)
    waits.sort()
    yield (
        f"{path.suffix} {num_people} changes at once: {time.monotonic() - began:.1f} s until all are shown, "
        f"web {_cpu_seconds(web) - cpu:.1f} s of CPU, peak {peak.stop() / 1e6:.0f} MB; another page meanwhile: "
        f"p50 {percentile(waits, 50):.3f} s, p95 {percentile(waits, 95):.3f} s, slowest {waits[-1]:.3f} s"
    )


class Peak:
    """The most memory a process was seen to have."""

    def __init__(self, process: psutil.Process) -> None:
        self._process, self._most, self._over = process, 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        self._over.set()
        self._thread.join()
        return self._most

    def _look(self) -> None:
        while not self._over.wait(0.05):
            self._most = max(self._most, self._process.memory_info().rss)


def _uploaded(http: httpx.Client, path: Path) -> str:
    with path.open("rb") as file:
        headers = {**JSON, "X-CSRFToken": http.cookies["csrftoken"]}
        answer = http.post("/datasets/upload", headers=headers, files={"file": (path.name, file)}).raise_for_status()
    url = str(answer.json()["url"])
    while answer.status_code == 202:
        time.sleep(0.5)
        answer = http.get(url, headers=JSON).raise_for_status()
    return url


def _checked(http: httpx.Client, url: str, chosen: dict[str, str]) -> None:
    """As the page does it: asks again each second until the figures are there."""
    while "Rows that can be used" not in http.get(url, params=chosen, headers={"HX-Request": "true"}).text:
        time.sleep(1)


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
