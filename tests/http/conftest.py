"""The web server as it is run, in a thread of the test's own process, and clients that speak HTTP by hand."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from django.test import Client

from webapp.accounts.models import User
from webapp.http.protocol import Protocol

Connect = Callable[[], socket.socket]

USUAL_HEADERS = (
    "Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy",
    "Cross-Origin-Opener-Policy", "Permissions-Policy",
)  # fmt: skip


class Answer:
    def __init__(self, connection: socket.socket) -> None:
        response = http.client.HTTPResponse(connection)
        response.begin()
        self.status, self.headers = response.status, response.headers
        self.text = response.read().decode()

    @property
    def lacks(self) -> list[str]:
        """Of the headers that every page has."""
        return [name for name in USUAL_HEADERS if name not in self.headers]


def head(path: str, *, length: int | None = None, method: str = "POST", **headers: str) -> bytes:
    """Of a request; without a length its body comes in chunks."""
    fields = {"Host": "localhost", "Transfer-Encoding": "chunked"} if length is None else {"Host": "localhost"}
    if length is not None:
        fields["Content-Length"] = str(length)
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    return f"{method} {path} HTTP/1.1\r\n".encode() + b"".join(f"{n}: {v}\r\n".encode() for n, v in fields.items())


def signed_in_as(user: User) -> dict[str, str]:
    """Headers of a script of theirs."""
    client = Client()
    client.force_login(user)
    token = "t" * 32
    return {"Cookie": f"sessionid={client.cookies['sessionid'].value}; csrftoken={token}", "X_CSRFToken": token}


@pytest.fixture
def web(sqlite_database: str, settings: Any, tmp_path: Path) -> Iterator[Connect]:
    from webapp.asgi import application

    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "data" / "incoming"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()
    config = uvicorn.Config(application, port=0, http=Protocol, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    opened: list[socket.socket] = []

    def connect() -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        opened.append(connection)
        return connection

    yield connect
    for connection in opened:
        connection.close()
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


def file_body(num_bytes: int) -> tuple[bytes, dict[str, str]]:
    """A form with a CSV file of so many bytes, and its content type."""
    row = b"question %07d,answer\n"
    rows = b"q,a\n" + b"".join(row % number for number in range(num_bytes // len(row % 0)))
    name = b'Content-Disposition: form-data; name="file"; filename="rows.csv"\r\nContent-Type: text/csv\r\n\r\n'
    return b"--X\r\n" + name + rows + b"\r\n--X--\r\n", {"Content_Type": "multipart/form-data; boundary=X"}


def is_closed(connection: socket.socket) -> bool:
    """Waits until the server closes it; False if it says anything instead."""
    with closing(connection):
        try:
            return connection.recv(100) == b""
        except ConnectionResetError:
            return True


def open_temporary_files(folder: Path) -> list[str]:
    """Files of this process in the folder, those without a name included."""
    paths = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            paths.append(str(descriptor.readlink()))
    return [path for path in paths if path.startswith(f"{folder}/")]
