"""A receiver of webhooks: a real HTTP server that can be made to answer as badly as one likes."""

import contextlib
import threading
import time
from collections.abc import Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Delivery(NamedTuple):
    path: str
    headers: Message
    body: bytes


class Handler(BaseHTTPRequestHandler):
    receiver: "Receiver"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.receiver.deliveries.append(Delivery(self.path, self.headers, body))
        with contextlib.suppress(OSError):
            getattr(self, self.receiver.way)(self.receiver.next_status())
        self.close_connection = True

    def do_GET(self) -> None:
        self.receiver.deliveries.append(Delivery(self.path, self.headers, b""))
        self.plain(200)

    def plain(self, status: int) -> None:
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", f"http://127.0.0.1:{self.receiver.port}/elsewhere")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def huge(self, status: int) -> None:
        self.send_response(status)
        self.end_headers()
        while not self.receiver.stopped.is_set():
            self.receiver.num_bytes_sent += self.wfile.write(b"x" * 65_536)

    def silent(self, _status: int) -> None:
        self.receiver.stopped.wait(60)

    def drip(self, status: int) -> None:
        """The head of the answer, a byte at a time: no single step is slow."""
        for byte in f"HTTP/1.1 {status} OK\r\nX-Slow: {'x' * 600}\r\n".encode():
            self.wfile.write(bytes([byte]))
            if self.receiver.stopped.wait(0.1):
                return

    def dripping_body(self, status: int) -> None:
        self.send_response(status)
        self.end_headers()
        while not self.receiver.stopped.wait(0.1):
            self.wfile.write(b"x")

    def gibberish(self, _status: int) -> None:
        self.wfile.write(b"hello?\r\n\r\n")

    def slow(self, status: int) -> None:
        time.sleep(0.5)
        self.plain(status)

    def log_message(self, *_words: object) -> None:
        """Quiet."""


class Receiver:
    """Answers with `statuses` in turn, the last one for ever after. `way` says how the answer travels."""

    def __init__(self, *statuses: int, way: str = "plain") -> None:
        self.statuses = list(statuses) or [200]
        self.way = way
        self.deliveries: list[Delivery] = []
        self.num_bytes_sent = 0
        self.stopped = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Mine", (Handler,), {"receiver": self}))
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook?from=graftwork"

    def next_status(self) -> int:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


@contextlib.contextmanager
def receiving(receiver: Receiver) -> Iterator[Receiver]:
    thread = threading.Thread(target=receiver.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.stopped.set()
        receiver.server.shutdown()
        receiver.server.server_close()
        thread.join(10)
