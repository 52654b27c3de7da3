"""A package index on this machine, as pip asks for it (PEP 503), that can be made to misbehave."""

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Index:
    """`cut_at`: the first answer ends after so many bytes. `stall_at`: every answer stops there until `go_on`."""

    def __init__(self, wheel: Path, package: str) -> None:
        self.wheel, self.package = wheel, package
        self.cut_at: int | None = None
        self.stall_at: int | None = None
        self.go_on = threading.Event()
        self.ranges: list[str] = []
        """The Range header of every request for the wheel, empty where there was none."""
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple/"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        index = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path == f"/simple/{index.package}/":
                    self.send_page()
                elif self.path == f"/{index.wheel.name}":
                    self.send_wheel()
                else:
                    self.send_error(404)

            def send_page(self) -> None:
                link = f'<a href="/{index.wheel.name}">{index.wheel.name}</a>'.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(link)))
                self.end_headers()
                self.wfile.write(link)

            def send_wheel(self) -> None:
                asked = self.headers.get("Range") or ""
                index.ranges.append(asked)
                content = index.wheel.read_bytes()
                begin = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
                self.send_response(206 if asked else 200)
                self.send_header("Content-Length", str(len(content) - begin))
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
                if asked:
                    self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
                self.end_headers()
                if index.cut_at is not None and len(index.ranges) == 1:
                    self.wfile.write(content[: index.cut_at])
                    self.close_connection = True
                    return
                if index.stall_at is not None:
                    self.wfile.write(content[begin : index.stall_at])
                    self.wfile.flush()
                    index.go_on.wait(60)
                    begin = max(begin, index.stall_at)
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(content[begin:])

            def log_message(self, *_words: object) -> None:
                """Quiet."""

        return Handler


@contextlib.contextmanager
def serving(index: Index) -> Iterator[Index]:
    thread = threading.Thread(target=index.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield index
    finally:
        index.go_on.set()
        index.server.shutdown()
        index.server.server_close()
